// A progress bar on standard error, if that is a terminal. Shows itself only after half a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace kv {

class Progress {
 public:
  /// total 0: not known, only the count is shown. unit: what is counted, "lines".
  explicit Progress(std::uint64_t total, std::string_view unit);
  ~Progress() { hide(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// position is compared with total; count is shown. Cheap: draws ten times a second at most.
  void update(std::uint64_t position, std::uint64_t count);
  /// Takes the bar off the screen, before something else is written there.
  void hide();

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_, visible_ = false;
  std::uint64_t total_;
  std::string_view unit_;
  Clock::time_point started_ = Clock::now(), next_draw_ = started_ + std::chrono::milliseconds(500);
};

}  // namespace kv
