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
// (Fifty children, one after the other, take 1 ms now and then.)
constexpr std::int64_t away_too_long_ns = 2'000'000;
// Once is no sign of that: the host of a virtual machine takes a processor away for milliseconds
// several times a second. It is believed when it happens again within so long: whoever computes is
// met nearly each time the processor is given away.
constexpr std::int64_t believed_within_ns = 20'000'000;
// They are left alone for so long, and twice as long if they are met again so soon afterwards.
constexpr std::int64_t rest_first_ns = 5'000'000;
constexpr std::int64_t rest_most_ns = 320'000'000;
constexpr std::int64_t met_again_within_ns = 40'000'000;

}  // namespace

int Patience::look(int epoll, epoll_event* events, int most) noexcept {
  int count = ::epoll_wait(epoll, events, most, 0);
  if (count != 0) return count;
  for (start_looking(); count == 0 && once_more();) count = ::epoll_wait(epoll, events, most, 0);
  return count;
}

void Patience::start_looking() noexcept {
  now_ns_ = monotonic_ns();
  look_until_ns_ = now_ns_ + std::max<std::int64_t>(window_ns_, 1);
}

/// Gives the processor away, for another look. False, and nothing done: enough of that.
bool Patience::once_more() noexcept {
  if (now_ns_ >= look_until_ns_ || now_ns_ < asleep_until_ns_) return false;
  ::sched_yield();
  const std::int64_t back_ns = monotonic_ns();
  const std::int64_t away_ns = back_ns - now_ns_;
  now_ns_ = back_ns;
  if (away_ns > others_ran_ns) look_until_ns_ = back_ns;
  if (away_ns > away_too_long_ns) suspect(away_ns);
  return true;
}

/// Others have kept the processor for too long. Does somebody compute here, to whom it is left?
void Patience::suspect(std::int64_t away_ns) noexcept {
  const bool met_again = now_ns_ - asleep_until_ns_ < met_again_within_ns;
  const bool believed = now_ns_ - away_ns - away_too_long_at_ns_ < believed_within_ns;
  away_too_long_at_ns_ = now_ns_;
  if (!met_again && !believed) return;
  rest_ns_ = met_again ? std::min(2 * rest_ns_, rest_most_ns) : rest_first_ns;
  asleep_until_ns_ = now_ns_ + rest_ns_;
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
  blind_rounds_ = 0;
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
