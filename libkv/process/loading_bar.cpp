// See loading_bar.hpp.
#include "libkv/process/loading_bar.hpp"

#include <unistd.h>

#include <algorithm>

#include "libkv/base/fd.hpp"

namespace kv {
namespace {

constexpr std::chrono::milliseconds redraw_interval{250};
constexpr std::size_t bar_width = 30, line_width_max = 79, name_width_max = 24;

void put(std::string_view text) {
  // A closed terminal must not stop a load: what cannot be written is not.
  std::size_t written = 0;
  (void)write_some(STDERR_FILENO, text, written);
}

std::string duration(std::int64_t seconds) {
  if (seconds < 100) return std::to_string(seconds) + " s";
  return std::to_string((seconds + 30) / 60) + " min";
}

}  // namespace

std::string loading_line(std::string_view what, double share, std::int64_t eta_s) {
  share = std::clamp(share, 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * bar_width);
  std::string line = "loading " + std::string(what.substr(0, name_width_max)) + "  [";
  line.append(full, '#').append(bar_width - full, '.');
  line += "] " + std::to_string(static_cast<int>(share * 100)) + " %";
  if (eta_s >= 0) line += ", " + duration(eta_s) + " left";
  if (line.size() > line_width_max) line.resize(line_width_max);
  return line;
}

LoadingBar::LoadingBar() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void LoadingBar::step(const Progress& progress, PersistenceState& state) {
  const auto now = Clock::now();
  if (file_ != progress.what) file_ = progress.what, file_started_ = now;
  const std::uint64_t total = progress.total_bytes;
  const std::uint64_t done = std::min(progress.done_bytes, total);
  state.loading_total_bytes = total;
  state.loading_loaded_bytes = done;
  const auto passed = std::chrono::duration<double>(now - file_started_).count();
  const double left =
      done == 0 ? -1 : passed * static_cast<double>(total - done) / static_cast<double>(done);
  state.loading_eta_s = done == 0 ? -1 : static_cast<std::int64_t>(left + 0.5);
  if (!terminal_ || total == 0 || now < next_) return;
  next_ = now + redraw_interval;
  const double share = static_cast<double>(done) / static_cast<double>(total);
  // The end of the line before may be longer than this one.
  put("\r" + loading_line(file_, share, passed < 1 ? -1 : state.loading_eta_s) + "\x1b[K");
  shown_ = true;
}

void LoadingBar::done() {
  if (shown_) put("\r\x1b[K");
  shown_ = false;
}

}  // namespace kv
