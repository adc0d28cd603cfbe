// When and how snapshots are written: the --persist timer, BGSAVE, SAVE; forks and reaps writers.
//
// The sibling owns one. It must never lose a failure: what went wrong is kept for INFO and said on
// stderr, and the timer tries again later each time (back-off). How long something took or has to
// wait is told by a clock that never steps.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <boost/interprocess/mapped_region.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libkv/commands/services.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/process/loading_bar.hpp"
#include "persistence/persistence.hpp"

namespace kv {

class Saver {
 public:
  /// after_fork runs in the writer, first thing: it closes what a writer must not hold.
  Saver(Env& env, Persistence& store, Counters& counters, std::function<void()> after_fork,
        MonotonicClock clock = monotonic_ns);

  /// Forks a writer for these databases. busy while one runs.
  Status start(const std::vector<std::unique_ptr<Keyspace>>& databases);
  /// Writes the snapshot here and now; busy while a writer runs.
  Status save_here(const std::vector<std::unique_ptr<Keyspace>>& databases);
  /// A child of this process has ended. True if it was the writer.
  bool reaped(pid_t pid, int wait_status);
  /// Is it time for the timer's save? interval 0: never.
  bool due(std::uint32_t interval_s) const;
  /// Ends a running writer and waits for it (bounded): at the server's own end.
  void abandon();

  bool running() const noexcept { return writer_ > 0; }
  void fill(PersistenceState& state) const;

 private:
  void note_start();
  void note_result(const Status& status);
  std::int64_t now_ms() const noexcept { return clock_() / 1'000'000; }
  ProgressFunction progress(SavingBar& bar);
  std::atomic<std::uint64_t>& keys_saved() const;
  [[noreturn]] void be_writer(const SaveJob& job, const std::vector<Keyspace*>& databases,
                              int result_fd) noexcept;

  Env& env_;
  Persistence& store_;
  Counters& counters_;
  std::function<void()> after_fork_;
  MonotonicClock clock_;
  pid_t writer_ = -1;
  int result_fd_ = -1;                         // the writer's sentence when it fails
  boost::interprocess::mapped_region shared_;  // with the writer: how many keys it has saved
  std::uint64_t keys_to_save_ = 0;
  bool abandoned_ = false;                         // we ended it ourselves
  std::int64_t started_ms_ = 0, last_end_ms_ = 0;  // by clock_
  std::int64_t started_s_ = 0, last_save_s_ = 0;   // since 1970, as LASTSAVE tells it
  std::int64_t last_duration_s_ = -1;
  std::uint64_t changes_at_start_ = 0;
  std::uint64_t saves_ = 0;
  std::uint64_t cow_bytes_ = 0;
  unsigned failures_ = 0;  // in a row
  std::string last_error_;
};

}  // namespace kv
