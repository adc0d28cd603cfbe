// The data folder: what each file in it is, and how the logs continue each other.
//
//   kv.aof                        the log that is being written; begins where the snapshot ends
//   kv.aof.1596099036.281142829   a finished log, named after its last line
//   kv.db, kv.bin                 the snapshot, as text or binary; .old: the one before
//   kv.aof.torn-..., .damaged-... bytes that recovery or repair set aside; never read again
//   *.tmp, *.new                  half-made files of a crash; swept at the next start
//   kv.lock                       who uses the folder
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libkv/base/env.hpp"
#include "persistence/aof_reader.hpp"
#include "persistence/persistence.hpp"
#include "persistence/record.hpp"

namespace kv {

/// "kv.aof.SECONDS.NANOSECONDS": the name of a log whose last line has this time.
std::string finished_log_name(std::int64_t last_ns);
/// Is this the name of a finished log?
bool is_finished_log(std::string_view name) noexcept;
/// Of a file that a crash left half-made, which is removed at the next start?
bool is_half_made(std::string_view name) noexcept;
/// The name for bytes set aside now: "kv.aof.torn-1596099036.281142829".
std::string aside_name(std::string_view why, std::int64_t now_ns);

/// What the beginning of a snapshot says. version 0: a file of picolisp-kv, which says nothing.
struct SnapshotHeader {
  unsigned version = 0;
  LogPosition as_of;
  bool log_follows = false;  // a log that begins at as_of belongs to it
};

/// What a snapshot that cannot be used would cost, and the words before the command that mends.
inline constexpr std::string_view snapshot_loss =
    "; what neither the snapshot before it nor the logs hold would be lost";

/// A log and what its header says. original: picolisp-kv's, without a header.
struct LogFile {
  std::string name;
  std::unique_ptr<Mapping> mapping;
  LogPosition after;
  bool original = false;
};

struct SnapshotFile {
  std::string name;
  SnapshotFormat format = SnapshotFormat::text;
  std::unique_ptr<Mapping> mapping;
  FileInfo info;
  SnapshotHeader header;
};

/// Everything in the folder that counts, opened; nothing is changed.
struct Folder {
  std::string path;
  std::vector<LogFile> logs;            // oldest first; kv.aof, if there, is the last one
  std::vector<SnapshotFile> snapshots;  // kv.db and kv.bin, the newest first
  std::vector<SnapshotFile> old_snapshots;
  std::vector<std::string> half_made;     // names of .tmp and .new files
  std::vector<std::string> doubled_logs;  // second names or copies of logs, left out of logs
  bool has_log() const noexcept { return !logs.empty() && logs.back().name == log_name; }
};

/// Looks through the folder. Fails where a header cannot be read: what it belongs to is unknown.
/// with_old: also opens kv.db.old and kv.bin.old (broken ones are left out).
Result<Folder> read_folder(Env& env, const std::string& path, bool with_old);

/// Opens one file of picolisp-kv or of ours as a log.
Result<LogFile> read_log_file(Env& env, const std::string& folder, const std::string& name);

}  // namespace kv
