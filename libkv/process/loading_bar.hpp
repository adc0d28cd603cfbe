// How far the restore has come: one line on a terminal, rewritten, and the figures INFO shows.
//
// The sibling owns one while it loads and tells it of every step. Nothing is written when stderr is
// no terminal. It must never hold up the load: a step that comes too soon costs one look at a
// clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "libkv/commands/services.hpp"
#include "persistence/persistence.hpp"

namespace kv {

/// "loading kv.aof  [#####.....] 52 %, 3 s left", at most 79 characters; eta_s < 0: not known yet.
std::string loading_line(std::string_view what, double share, std::int64_t eta_s);

class LoadingBar {
 public:
  LoadingBar();
  /// Notes the step in state; rewrites the line four times a second.
  void step(const Progress& progress, PersistenceState& state);
  /// Wipes the line. Call it when the load has ended, in whatever way.
  void done();

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_;
  bool shown_ = false;
  std::string file_;  // the one being read
  Clock::time_point file_started_, next_;
};

}  // namespace kv
