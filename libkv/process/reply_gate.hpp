// Replies wait here until the lines behind them are on the disk (--fsync always).
//
// The sync runs in a thread of its own; meanwhile the loop takes, logs and applies further
// requests, so that the next sync covers all of them (measured, tests/bench). What may be sent is
// decided for a channel as a whole: a read that came behind a write may have seen it. No reply may
// pass before the sync that covers everything written when the reply was finished.
#pragma once

#include <cstdint>
#include <vector>

#include "libkv/process/channel.hpp"
#include "persistence/persistence.hpp"

namespace kv {

class ReplyGate {
 public:
  /// Takes the channels that have new replies and returns those that have something to send now.
  /// dirty is left with the ones that have to wait for the next sync but one. Starts that sync.
  std::vector<Channel*> pass(Persistence* store, std::vector<Channel*>& dirty);
  /// The channel goes away.
  void forget(const Channel* channel) { std::erase(held_, channel); }

 private:
  std::int64_t held_for_ns_ = 0;  // a sync up to there is under way; 0: none is
  std::vector<Channel*> held_;    // with replies that it covers
};

}  // namespace kv
