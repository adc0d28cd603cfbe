// Replies wait here until the lines behind them are on the disk (--fsync always).
//
// Syncs run in a thread of its own, one after the other; meanwhile the loop takes, logs and applies
// further requests, so that the next sync covers all of them (measured, tests/bench). What may be
// sent is decided for a channel as a whole: a read that came behind a write may have seen it. No
// reply may pass before the sync that covers everything written when the reply was finished.
#pragma once

#include <cstdint>
#include <vector>

#include "libkv/process/channel.hpp"
#include "persistence/persistence.hpp"

namespace kv {

class ReplyGate {
 public:
  /// Takes the channels that have new replies and returns those that have something to send now.
  /// dirty is left with those of which earlier replies still wait. Asks for the sync it takes.
  std::vector<Channel*> pass(Persistence* store, std::vector<Channel*>& dirty);
  /// The channel goes away.
  void forget(const Channel* channel) {
    std::erase_if(held_, [channel](const Held& one) { return one.channel == channel; });
  }

 private:
  struct Held {
    Channel* channel;
    std::int64_t until_ns;  // synced_ns() has come so far
  };
  std::vector<Held> held_;
};

}  // namespace kv
