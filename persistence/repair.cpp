// See repair.hpp: repair.
#include "persistence/repair.hpp"

#include <unistd.h>

#include <algorithm>

#include "libkv/base/clock.hpp"
#include "persistence/anew.hpp"
#include "persistence/aof_reader.hpp"
#include "persistence/recovery.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

/// A file opened without believing anything in it.
struct Candidate {
  std::string name;
  SnapshotFormat format = SnapshotFormat::text;
  std::unique_ptr<Mapping> mapping;
  SnapshotHeader header;
  bool header_good = false;
};

/// Only what was read and found wrong is damage. Whatever else keeps a file from being read
/// (rights, memory, too many open files, the device) may pass, and the file be whole: it ends the
/// repair.
bool is_damage(const Status& status) { return status.code() == Code::corrupt; }

class Repair {
 public:
  Repair(Env& env, const std::string& folder, SnapshotFormat format, const Replay& replay,
         unsigned databases)
      : env_(env), folder_(folder), format_(format), replay_(replay) {
    for (unsigned i = 0; i < databases; ++i) databases_.push_back(replay.database(i));
  }
  Result<RepairReport> run();

 private:
  void clear();
  Status open_files();
  Status open_snapshot(const std::string& name);
  Status open_log(const std::string& name);
  Status load_base(bool& loaded);
  Status load_whole(const Candidate& file, bool& loaded);
  bool logs_reach(const LogPosition& as_of) const;
  Status load_what_is_whole();
  Status add_logs();
  Status add_log(const LogFile& log);
  Result<std::string> keep_all(std::int64_t now_ns);
  Status put_in_place(const SaveJob& job);
  Status take_waiting_log();
  void lost(std::string sentence) {
    report_.lost_more = true;
    note(std::move(sentence));
  }
  void note(std::string sentence) { report_.notes.push_back(std::move(sentence)); }

  Env& env_;
  const std::string& folder_;
  SnapshotFormat format_;
  const Replay& replay_;
  std::vector<Keyspace*> databases_;
  std::vector<Candidate> snapshots_;  // the newest first; .old ones behind
  const Candidate* used_ = nullptr;   // of them
  std::vector<LogFile> logs_;         // oldest first
  std::vector<std::string> replaced_;
  LogPosition position_;
  RepairReport report_;
};

void Repair::clear() {
  for (Keyspace* database : databases_) database->clear();
}

Status Repair::open_snapshot(const std::string& name) {
  Result<std::unique_ptr<Mapping>> mapping = env_.map(join_path(folder_, name));
  if (!mapping) return mapping.status().code() == Code::not_found ? Status{} : mapping.status();
  Candidate file;
  file.name = name;
  file.format = name.starts_with("kv.db") ? SnapshotFormat::text : SnapshotFormat::binary;
  file.mapping = std::move(*mapping);
  Result<SnapshotHeader> header = read_snapshot_header(file.mapping->bytes(), file.format, name);
  if (!header && !is_damage(header.status())) return header.status();
  file.header_good = header.ok();
  if (header) file.header = *header;
  snapshots_.push_back(std::move(file));
  return {};
}

Status Repair::open_log(const std::string& name) {
  // Looks at the header: a log of a newer kv is not damaged.
  if (Status s = read_log_file(env_, folder_, name).status(); !s && !is_damage(s)) return s;
  Result<std::unique_ptr<Mapping>> mapping = env_.map(join_path(folder_, name));
  if (!mapping) return mapping.status();
  LogFile log;
  log.name = name;
  log.mapping = std::move(*mapping);
  Salvage salvage;
  static_cast<void>(salvage_log(
      log.mapping->bytes(), [](const Record&, std::uint64_t) { return Status{}; }, salvage));
  log.after = salvage.after;
  log.original = salvage.kept == 0 && !log.mapping->bytes().starts_with("#");
  logs_.push_back(std::move(log));
  return {};
}

Status Repair::open_files() {
  for (const char* name : {"kv.db", "kv.bin", "kv.db.old", "kv.bin.old"}) {
    if (Status s = open_snapshot(name); !s) return s;
  }
  Result<std::vector<std::string>> names = env_.list(folder_);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    if (name != log_name && !is_finished_log(name)) continue;
    if (Status s = open_log(name); !s) return s;
  }
  std::stable_sort(logs_.begin(), logs_.end(), [](const LogFile& a, const LogFile& b) {
    if ((a.name == log_name) != (b.name == log_name)) return b.name == log_name;
    return a.name < b.name;  // finished logs are named by their last line's time
  });
  return {};
}

bool Repair::logs_reach(const LogPosition& as_of) const {
  return std::any_of(logs_.begin(), logs_.end(),
                     [&](const LogFile& log) { return log.after.time_ns <= as_of.time_ns; });
}

Status Repair::load_whole(const Candidate& file, bool& loaded) {
  if (!file.header_good || file.header.version == 0) return {};
  clear();
  SnapshotLoad load;
  if (Status s = load_snapshot(file.mapping->bytes(), file.format, file.name, replay_, load); !s) {
    clear();
    return is_damage(s) ? Status{} : s;
  }
  loaded = true;
  used_ = &file;
  position_ = file.header.as_of;
  note(file.name + " is whole: " + std::to_string(load.keys) + " keys as of " +
       format_utc(position_.time_ns));
  return {};
}

/// The newest snapshot that is whole and from which the logs go on, if there is one.
Status Repair::load_base(bool& loaded) {
  std::vector<const Candidate*> files;
  for (const Candidate& file : snapshots_) files.push_back(&file);
  std::stable_sort(files.begin(), files.end(), [](const Candidate* a, const Candidate* b) {
    return a->header.as_of.time_ns > b->header.as_of.time_ns;
  });
  for (const Candidate* file : files) {
    if (file->header_good && file->header.version == 0 && logs_.empty()) continue;
    if (!logs_.empty() && !logs_reach(file->header.as_of)) continue;
    if (Status s = load_whole(*file, loaded); !s || loaded) return s;
    note(file->name + " is damaged and is not used");
  }
  return {};
}

/// No snapshot is whole: the lines of the newest text one that can be read.
Status Repair::load_what_is_whole() {
  for (const Candidate& file : snapshots_) {
    if (file.format != SnapshotFormat::text) continue;
    used_ = &file;
    KeyLineReader reader(replay_, true);
    const std::string_view bytes = file.mapping->bytes();
    std::uint64_t keys = 0;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t end = std::min(bytes.find('\n', at), bytes.size() - 1) + 1;
      const std::string_view line = bytes.substr(at, end - at);
      at = end;
      if (line[0] == '#' || line.size() == 1) continue;
      if (reader.load(line)) ++keys;
      else if (reader.code() != Code::corrupt) return {reader.code(), reader.error()};
      else ++report_.lost_keys;
    }
    note("no snapshot is whole; of " + file.name + " " + std::to_string(keys) +
         " lines could be read, " + std::to_string(report_.lost_keys) + " could not");
    if (file.header_good) position_ = file.header.as_of;
    return {};
  }
  if (!snapshots_.empty()) {
    lost(
        "no snapshot is whole, and none is text: only the logs are left; how many keys are lost is "
        "not known");
  }
  return {};
}

Status Repair::add_log(const LogFile& log) {
  Salvage salvage;
  std::uint64_t applied = 0;
  const auto visit = [&](const Record& record, std::uint64_t) -> Status {
    if (record.time_ns <= position_.time_ns) return {};
    position_ = {record.time_ns, record.checksum};
    ++applied;
    // A command that cannot be done is lost, not a reason to lose the rest.
    const Status s = replay_.apply(record.time_ns, record.database, record.dialect, record.args);
    if (!s && s.code() != Code::reply) {
      ++report_.lost_lines;
    }
    return {};
  };
  if (log.original) {
    OriginalScan scan;
    Status s = replay_original_log(log.mapping->bytes(), log.name, position_.time_ns, INT64_MAX,
                                   replay_, scan);
    position_.time_ns = std::max(position_.time_ns, scan.last_ns);
    note(log.name + " of picolisp-kv: " + std::to_string(scan.lines) + " lines replayed" +
         (scan.bad_line == 0 ? "" : ", from line " + std::to_string(scan.bad_line) + " on lost"));
    return s;
  }
  if (Status s = salvage_log(log.mapping->bytes(), visit, salvage); !s) return s;
  std::string sentence = log.name + ": " + std::to_string(applied) + " lines replayed";
  if (!salvage.lost_lines.empty()) {
    report_.lost_lines += salvage.lost_lines.size();
    sentence += ", " + std::to_string(salvage.lost_lines.size()) + " lost (line";
    for (std::size_t i = 0; i < salvage.lost_lines.size() && i < 10; ++i) {
      sentence += " " + std::to_string(salvage.lost_lines[i]);
    }
    sentence += salvage.lost_lines.size() > 10 ? " ...)" : ")";
  }
  note(sentence);
  return {};
}

Status Repair::add_logs() {
  for (const LogFile& log : logs_) {
    if (log.after.time_ns > position_.time_ns) {
      lost("what was written between " + format_utc(position_.time_ns) + " and " +
           format_utc(log.after.time_ns) + " is in no file and is lost");
    }
    if (Status s = add_log(log); !s) return s;
  }
  const bool log_expected = std::any_of(
      snapshots_.begin(), snapshots_.end(),
      [](const Candidate& file) { return file.header_good && file.header.log_follows; });
  if (log_expected && (logs_.empty() || logs_.back().name != log_name)) {
    lost(std::string(log_name) + " is missing: what was written after " +
         format_utc(position_.time_ns) + " is in no file and is lost");
  }
  for (const Candidate& file : snapshots_) {
    const bool reached_further =
        file.header_good ? file.header.as_of.time_ns > position_.time_ns : logs_.empty();
    if (reached_further && &file != used_) lost("what only " + file.name + " held is lost");
  }
  return {};
}

/// Gives everything that will be replaced a second name first.
Result<std::string> Repair::keep_all(std::int64_t now_ns) {
  const Result<std::vector<std::string>> names = env_.list(folder_);
  if (!names) return names.status();
  for (const Candidate& file : snapshots_) replaced_.push_back(file.name);
  for (const LogFile& log : logs_) replaced_.push_back(log.name);
  Result<std::string> kept = keep_files(env_, folder_, replaced_, "repair", now_ns);
  if (!kept) return kept;
  note("the old files are kept in " + *kept);
  for (const std::string& name : *names) {
    if (name.starts_with("before-repair-")) note("those of an earlier repair are in " + name);
  }
  return kept;
}

/// The repaired data takes the place of everything. Killed at any point, a second repair comes to
/// the same end: until the new snapshot has its name nothing else has lost its own, and from then
/// on it is the newest; the new log waits until only the old log is left beside it.
Status Repair::put_in_place(const SaveJob& job) {
  const std::string log = join_path(folder_, log_name), new_log = join_path(folder_, new_log_name);
  LogPosition end;
  if (Status s = make_log(env_, new_log, {job.as_of_ns, job.chain}, end).status(); !s) return s;
  if (Status s = env_.sync_directory(folder_); !s) return s;
  if (Status s = job.run(env_, databases_); !s) return s;
  for (const std::string& name : replaced_) {
    if (name == log_name || name == job.file_name()) continue;
    if (Status s = env_.remove(join_path(folder_, name)); !s) return s;
  }
  if (Status s = env_.sync_directory(folder_); !s) return s;
  if (Status s = env_.rename(new_log, log); !s) return s;
  return env_.sync_directory(folder_);
}

/// The log that an earlier one left waiting is needed until the new snapshot is there. The one in
/// its place has been kept.
Status Repair::take_waiting_log() {
  const std::string waiting = join_path(folder_, new_log_name);
  if (Status s = env_.rename(waiting, join_path(folder_, log_name)); !s) return s;
  return env_.sync_directory(folder_);
}

Result<RepairReport> Repair::run() {
  const Result<Recovered> found = recover(env_, folder_, {.mend = true}, replay_);
  if (!found && !is_damage(found.status())) return found.status();
  if (found) report_.notes = found->report.notes;
  if (found && !found->new_log_waits) {
    note("nothing to repair");
    return std::move(report_);
  }
  note(found ? "an earlier repair or load did not come to its end; it does now"
             : "was: " + found.status().message());
  report_.needed = true;
  clear();
  bool loaded = false;
  if (Status s = open_files(); !s) return s;
  if (Status s = load_base(loaded); !s) return s;
  if (Status s = loaded ? Status{} : load_what_is_whole(); !s) return s;
  if (Status s = add_logs(); !s) return s;
  const std::int64_t now = wall_ns();
  Result<std::string> kept = keep_all(now);
  if (!kept) return kept.status();
  report_.kept_in = *kept;
  if (found && found->new_log_waits) {
    if (Status s = take_waiting_log(); !s) return s;
  }
  SaveJob job;
  job.folder = folder_;
  job.format = format_;
  job.as_of_ns = std::max(now, position_.time_ns + 1);
  job.chain = position_.chain;
  job.owner_pid = ::getpid();  // or the folder's lock would be let go
  job.keep_old = false;        // it may be damaged, and the one before it good
  if (Status s = put_in_place(job); !s) return s;
  for (Keyspace* database : databases_) report_.keys += database->size();
  return std::move(report_);
}

}  // namespace

Result<RepairReport> repair_folder(Env& env, const std::string& folder, SnapshotFormat format,
                                   const Replay& replay, unsigned databases) {
  return Repair(env, folder, format, replay, databases).run();
}

}  // namespace kv
