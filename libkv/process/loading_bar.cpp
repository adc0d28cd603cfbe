// See loading_bar.hpp.
#include "libkv/process/loading_bar.hpp"

#include <unistd.h>

#include <algorithm>

#include "libkv/base/fd.hpp"
#include "libkv/base/text.hpp"

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

bool on_terminal() { return ::isatty(STDERR_FILENO) == 1; }

/// "loading kv.aof  [#####.....] 52 %"
std::string bar(std::string_view verb, std::string_view what, double share) {
  share = std::clamp(share, 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * bar_width);
  std::string line = std::string(verb) + " " + std::string(what.substr(0, name_width_max)) + "  [";
  line.append(full, '#').append(bar_width - full, '.');
  return line + "] " + std::to_string(static_cast<int>(share * 100)) + " %";
}

std::string cut(std::string line) {
  if (line.size() > line_width_max) line.resize(line_width_max);
  return line;
}

}  // namespace

std::string loading_line(std::string_view what, double share, std::int64_t eta_s) {
  return cut(bar("loading", what, share) + (eta_s >= 0 ? ", " + duration(eta_s) + " left" : ""));
}

std::string saving_line(std::string_view what, double share, std::uint64_t bytes) {
  return cut(bar("saving", what, share) + (bytes != 0 ? ", " + human_bytes(bytes) : ""));
}

LoadingBar::LoadingBar() : terminal_(on_terminal()) {}

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

SavingBar::SavingBar(std::uint64_t keys)
    : terminal_(on_terminal()), keys_(keys), next_(Clock::now() + redraw_interval) {}

void SavingBar::step(const Progress& progress) {
  if (!terminal_ || keys_ == 0) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + redraw_interval;
  const double share = static_cast<double>(progress.items) / static_cast<double>(keys_);
  // Back to the line's beginning: the server goes on meanwhile and may have something to say.
  put("\x1b[K" + saving_line(progress.what, share, progress.done_bytes) + "\r");
  shown_ = true;
}

void SavingBar::done() {
  if (shown_) put("\x1b[K");
  shown_ = false;
}

void SavingBar::wipe_after_another() {
  if (on_terminal()) put("\x1b[K");
}

}  // namespace kv
