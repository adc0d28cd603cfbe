// Waiting awake: nothing is missed by it, and nobody is kept waiting for ever.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "libkv/base/fd.hpp"
#include "libkv/process/patience.hpp"

namespace kv {
namespace {

/// An epoll instance that watches one descriptor, which is always ready.
struct Ready {
  Ready() { watch(epoll.get(), event.get(), EPOLLIN); }
  int wait(Patience& patience) {
    epoll_event events[4];
    return patience.wait(epoll.get(), events, 4, 1000);
  }
  Fd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  Fd event{::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
};

TEST_CASE("process/patience: who has not worked does not look, but sleeps") {
  Patience patience;
  int looks = 0;
  CHECK_FALSE(patience.look_for([&] { return ++looks > 0; }));
  CHECK(looks == 0);
}

TEST_CASE("process/patience: who always finds work is sent to wait() all the same, now and then") {
  Ready ready;
  Patience patience;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int found = 0, in_a_row = 0, most_in_a_row = 0;
  while (found < 500 && std::chrono::steady_clock::now() < until) {
    if (patience.look_for([] { return true; })) {
      ++found;
      most_in_a_row = std::max(most_in_a_row, ++in_a_row);
    } else {
      REQUIRE(ready.wait(patience) == 1);
      in_a_row = 0;
    }
  }
  CHECK(found == 500);
  CHECK(most_in_a_row <= 64);
}

TEST_CASE("process/patience: who finds nothing looks no more before the next wait()") {
  Ready ready;
  Patience patience;
  REQUIRE(ready.wait(patience) == 1);
  int looks = 0;
  const auto nothing = [&] { return ++looks < 0; };
  CHECK_FALSE(patience.look_for(nothing));
  const int before = looks;
  CHECK_FALSE(patience.look_for(nothing));
  CHECK(looks == before);
  CHECK(ready.wait(patience) == 1);
}

}  // namespace
}  // namespace kv
