// See patience.hpp.
#include "libkv/process/patience.hpp"

#include <sched.h>

#include "libkv/base/clock.hpp"

namespace kv {
namespace {

// Longer than waking a process on another processor takes, so that a lone client's next request is
// met awake: 15 us instead of 63 (tests/bench).
constexpr std::int64_t looking_ns = 20'000;
// A look that found nobody else waiting for the processor is over sooner.
constexpr std::int64_t others_ran_ns = 3'000;
// Others kept the processor for so long: they compute, and are not part of this server's work.
constexpr std::int64_t away_too_long_ns = 1'000'000;
constexpr std::int64_t rest_ns = 5'000'000;

}  // namespace

int Patience::look(int epoll, epoll_event* events, int most, bool lone) noexcept {
  int count = ::epoll_wait(epoll, events, most, 0);
  if (count != 0) return count;
  const std::int64_t start = monotonic_ns();
  if (start < asleep_until_ns_) return 0;
  for (std::int64_t before = start, now = start; now - start <= looking_ns; before = now) {
    ::sched_yield();
    count = ::epoll_wait(epoll, events, most, 0);
    now = monotonic_ns();
    if (now - before > away_too_long_ns) asleep_until_ns_ = now + rest_ns;
    // Others ran meanwhile: the processor is theirs.
    if (count != 0 || !lone || now - before > others_ran_ns) break;
  }
  return count;
}

int Patience::wait(int epoll, epoll_event* events, int most, int timeout_ms, bool lone) noexcept {
  int count = worked_ && timeout_ms != 0 ? look(epoll, events, most, lone) : 0;
  if (count == 0) count = ::epoll_wait(epoll, events, most, timeout_ms);
  worked_ = count > 0;
  return count;
}

}  // namespace kv
