// Waiting for events without going to sleep at once.
//
// To put a process to sleep and wake it again costs more than most requests here (on a virtual
// machine, where waking an idle processor leaves the guest, up to twenty times more). Whoever has
// just worked will mostly have work again in a moment: it looks, lets others run, and looks again
// before it sleeps. While nobody else wants the processor it goes on looking, for as long as such a
// wait has been worth it lately: up to a tenth of a millisecond when it was woken sooner than that,
// not at all for clients that ask now and then. How many clients there are says nothing: of a pool
// of connections one may be at work. It must never keep a processor from others: every look but the
// first comes after giving it away.
#pragma once

#include <sys/epoll.h>

#include <cstdint>

namespace kv {

class Patience {
 public:
  /// epoll_wait(2), after looking again if the last call brought events. -1 and errno as it gives
  /// them.
  int wait(int epoll, epoll_event* events, int most, int timeout_ms) noexcept;

  /// For who knows where its next work comes from, and looks there by itself: found() returns
  /// whether there was any. That takes half the system calls, and is blind for all else. False:
  /// none came while it was worth looking, or it is time for a wait(), which sees everything.
  template <class Found>
  bool look_for(Found found) {
    if (!worked_ || ++blind_rounds_ > blind_rounds_max) return false;
    for (start_looking(); once_more();) {
      if (found()) return true;
    }
    worked_ = false;
    return false;
  }

 private:
  int look(int epoll, epoll_event* events, int most) noexcept;
  void start_looking() noexcept;
  bool once_more() noexcept;
  void suspect(std::int64_t away_ns) noexcept;
  void learn(std::int64_t slept_ns) noexcept;

  static constexpr int blind_rounds_max = 32;

  bool worked_ = false;
  int blind_rounds_ = 0;  // since the last wait()
  std::int64_t now_ns_ = 0, look_until_ns_ = 0;
  std::int64_t window_ns_ = 0;        // how long to look
  std::int64_t asleep_until_ns_ = 0;  // the processor is wanted elsewhere: no looking before that
  std::int64_t rest_ns_ = 0;          // the last such rest
  std::int64_t away_too_long_at_ns_ = 0;  // when others last kept it too long
};

}  // namespace kv
