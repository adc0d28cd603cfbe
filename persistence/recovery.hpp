// Restoring: the snapshot, then the logs from there on, into databases the caller gives.
//
// It decides what belongs together, refuses what does not, and never falls back in silence. Used at
// the server's start and by the tools (check, dump, restore), which change nothing.
#pragma once

#include <cstdint>

#include "persistence/folder.hpp"
#include "persistence/persistence.hpp"

namespace kv {

struct RecoveryOptions {
  std::int64_t until_ns = INT64_MAX;  // the state as of then: later lines are left out
  /// May change the folder: cut off and keep aside what a crash left at the end of the log, remove
  /// half-made files. The folder must be locked.
  bool mend = false;
};

/// What the caller needs to go on writing where the restore ended.
struct Recovered {
  RecoveryReport report;
  LogPosition position;                        // of the last line known
  bool log_is_ours = false;                    // kv.aof can be continued
  std::uint64_t log_bytes = 0, log_lines = 0;  // of kv.aof, the good part
  bool log_sealed = false;                     // its last line is a trailer
  /// What a crash left at its end and the disk had no room to keep aside, under this name.
  std::uint64_t torn_bytes = 0;
  std::string torn_name;
  LogPosition log_after;  // where kv.aof begins
  std::uint64_t snapshot_bytes = 0;
  bool empty_folder = false;  // nothing of kv is there
  /// kv.aof.new is the log that follows the snapshot: a crash kept it from taking its place.
  bool new_log_waits = false;
};

/// What to say where a restore or a tool has run out of memory.
Status no_memory_for(const std::string& folder);

/// Restores the folder. On failure the databases hold some of the data and must not be served.
Result<Recovered> recover(Env& env, const std::string& folder, const RecoveryOptions& options,
                          const Replay& replay);

/// Keeps what follows the good bytes of a log under the name aside, then cuts it off. Safe to be
/// killed at any point: done again it does the same, at worst with one more copy kept aside. code
/// no_space: nothing was changed.
Status cut_tail(Env& env, const std::string& folder, std::string_view name,
                std::uint64_t good_bytes, const std::string& aside);

/// The part that is read from picolisp-kv's files (original.cpp). lines: what was executed.
Status load_original_snapshot(const SnapshotFile& file, const Replay& replay, std::uint64_t& keys);
/// last_ns: the time of the last line. Lines at or before skip_until_ns are checked, not executed.
struct OriginalScan {
  std::uint64_t lines = 0, good_bytes = 0, bad_line = 0;
  std::int64_t last_ns = 0;
  std::string reason;  // what is wrong with bad_line
  bool torn = false;   // the bad line is the last one
};
Status replay_original_log(std::string_view bytes, std::string_view name,
                           std::int64_t skip_until_ns, std::int64_t until_ns, const Replay& replay,
                           OriginalScan& scan);

}  // namespace kv
