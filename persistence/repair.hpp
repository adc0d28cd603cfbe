// --repair and --reseal: the two ways to make a folder startable again.
//
// Repair keeps everything that can be shown to be whole, and says what it left out. Reseal trusts a
// person's edit and computes the checksums anew. Both first give every old file a second name in a
// folder beside them, and replace files whole; neither ever changes a byte in place.
#pragma once

#include <string>
#include <vector>

#include "libkv/base/env.hpp"
#include "persistence/persistence.hpp"

namespace kv {

struct RepairReport {
  bool needed = false;     // false: the folder was fine (a torn end was cut, notes say so)
  std::string kept_in;     // the folder that holds the old files
  std::uint64_t keys = 0;  // in the repaired data
  std::uint64_t lost_lines = 0, lost_keys = 0;
  bool lost_more = false;          // what cannot be counted; notes say what
  std::vector<std::string> notes;  // one sentence for each thing done or lost
};

/// Fails, changing nothing, where a file is there but cannot be read: it may be whole.
/// Databases from 0 to databases - 1 of replay must be empty; they hold the result. The folder must
/// be locked.
Result<RepairReport> repair_folder(Env& env, const std::string& folder, SnapshotFormat format,
                                   const Replay& replay, unsigned databases);

/// Fails, changing nothing, where a line cannot be read or its time is not later than the one
/// before. Returns what was done, as sentences.
Result<std::vector<std::string>> reseal_folder(Env& env, const std::string& folder);

}  // namespace kv
