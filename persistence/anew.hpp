// Beginning a data folder anew: a snapshot of what is in memory and an empty log that follows it,
// taking the place of whatever was there. For the first start after picolisp-kv, after a time
// without a log, and for repair, load and restore.
//
// The new log lies ready (kv.aof.new) before the snapshot takes its place, so that a start after a
// crash can finish the steps: the folder is loadable at every instant.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libkv/base/env.hpp"
#include "persistence/persistence.hpp"
#include "persistence/record.hpp"

namespace kv {

inline constexpr std::string_view new_log_name = "kv.aof.new";

/// Makes a log with only its header, synced. end: the position at the end of the header.
Result<std::unique_ptr<File>> make_log(Env& env, const std::string& path, const LogPosition& after,
                                       LogPosition& end);

/// job.as_of_ns and chain say where the snapshot ends and the log begins. Other snapshots and logs
/// in the folder that would contradict them become .old.
Status begin_anew(Env& env, const SaveJob& job, std::span<Keyspace* const> databases,
                  const ProgressFunction& progress = {});

/// The last step alone: kv.aof.new takes the place of kv.aof (kept as a finished log,
/// or as kv.aof.old).
Status finish_switch(Env& env, const std::string& folder);

/// Gives these files a second name in a new folder inside theirs, before they are replaced, so that
/// nothing is lost. Those that are not replaced must not be given: a log with two names is not
/// written to. Returns that folder's name: "before-repair-1596099036.281142829".
Result<std::string> keep_files(Env& env, const std::string& folder,
                               const std::vector<std::string>& names, std::string_view why,
                               std::int64_t now_ns);

/// After CONVERT the snapshot of the other form is an older one: it becomes .old.
void retire_other_format(Env& env, const std::string& folder, SnapshotFormat saved);

}  // namespace kv
