// How far the restore or a save has come: one line on a terminal, rewritten, and the figures INFO
// shows.
//
// The sibling owns one while it loads, a snapshot writer while it saves; they tell it of every
// step. Nothing is written when stderr is no terminal. It must never hold up the work: a step that
// comes too soon costs one look at a clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "libkv/commands/services.hpp"
#include "persistence/persistence.hpp"

namespace kv {

/// "loading kv.aof  [#####.....] 52 %, 3 s left", at most 79 characters; eta_s < 0: not known yet.
std::string loading_line(std::string_view what, double share, std::int64_t eta_s);

/// "saving kv.db  [#####.....] 52 %, 12.5M", at most 79 characters; bytes 0: not known.
std::string saving_line(std::string_view what, double share, std::uint64_t bytes);

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

class SavingBar {
 public:
  /// keys: that will be saved. A save that is soon over shows nothing.
  explicit SavingBar(std::uint64_t keys);
  void step(const Progress& progress);
  /// Wipes the line. Call it when the save has ended, in whatever way.
  void done();
  /// For a writer that was killed before it could.
  static void wipe_after_another();

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_;
  bool shown_ = false;
  std::uint64_t keys_;
  Clock::time_point next_;
};

}  // namespace kv
