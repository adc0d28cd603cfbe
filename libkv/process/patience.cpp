// See patience.hpp.
#include "libkv/process/patience.hpp"

#include <sched.h>

#include <algorithm>

#include "libkv/base/clock.hpp"

namespace kv {
namespace {

// How long to look at most, and first. The request of a client that is alone at work takes 60 us
// here when it meets child and sibling asleep, and 20 when it meets them awake: so who sleeps
// through such a round trip is woken within this, looks from then on, and is met awake.
constexpr std::int64_t window_most_ns = 100'000;
constexpr std::int64_t window_first_ns = 20'000;
// Others had the processor for longer than one of them needs to answer: many want it, and it is
// theirs.
constexpr std::int64_t others_ran_ns = 15'000;
// Others kept the processor for so long: they compute, and are not part of this server's work.
constexpr std::int64_t away_too_long_ns = 1'000'000;
constexpr std::int64_t rest_ns = 5'000'000;

}  // namespace

int Patience::look(int epoll, epoll_event* events, int most) noexcept {
  int count = ::epoll_wait(epoll, events, most, 0);
  if (count != 0) return count;
  const std::int64_t start = monotonic_ns();
  const std::int64_t end = start + window_ns_;
  std::int64_t now = start;
  while (count == 0 && now >= asleep_until_ns_ && (now == start || now < end)) {
    const std::int64_t before = now;
    ::sched_yield();
    count = ::epoll_wait(epoll, events, most, 0);
    now = monotonic_ns();
    if (now - before > away_too_long_ns) asleep_until_ns_ = now + rest_ns;
    if (now - before > others_ran_ns) break;
  }
  return count;
}

/// Who slept for a short time had better looked on; who slept long looks half as long from now on,
/// or, at last, not at all.
void Patience::learn(std::int64_t slept_ns) noexcept {
  if (slept_ns < window_most_ns) {
    window_ns_ = std::clamp(2 * window_ns_, window_first_ns, window_most_ns);
  } else {
    window_ns_ = window_ns_ > window_first_ns ? window_ns_ / 2 : 0;
  }
}

int Patience::wait(int epoll, epoll_event* events, int most, int timeout_ms) noexcept {
  int count = worked_ && timeout_ms != 0 ? look(epoll, events, most) : 0;
  if (count == 0) {
    const std::int64_t start = timeout_ms != 0 ? monotonic_ns() : 0;
    count = ::epoll_wait(epoll, events, most, timeout_ms);
    if (start != 0 && count > 0) learn(monotonic_ns() - start);
  }
  worked_ = count > 0;
  return count;
}

}  // namespace kv
