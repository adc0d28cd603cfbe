// See progress.hpp.
#include "libkv/client/console/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace kv {

Progress::Progress(std::uint64_t total, std::string_view unit)
    : terminal_(isatty(STDERR_FILENO) == 1), total_(total), unit_(unit) {}

void Progress::update(std::uint64_t position, std::uint64_t count) {
  if (!terminal_) return;
  const auto now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  std::string line = "\r\033[K";
  if (total_ > 0) {
    constexpr std::uint64_t width = 40;
    const std::uint64_t part = std::min(position, total_);
    const auto done = static_cast<std::size_t>(part * width / total_);
    line += "[" + std::string(done, '#') + std::string(width - done, ' ') + "] " +
            std::to_string(part * 100 / total_) + "% ";
  }
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const auto rate =
      static_cast<std::uint64_t>(static_cast<double>(count) / std::max(seconds, 1e-3));
  line += std::to_string(count) + " " + std::string(unit_) + ", " + std::to_string(rate) + "/s";
  std::fwrite(line.data(), 1, line.size(), stderr);
  visible_ = true;
}

void Progress::hide() {
  if (visible_) std::fputs("\r\033[K", stderr);
  visible_ = false;
}

}  // namespace kv
