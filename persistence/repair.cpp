// See repair.hpp: repair.
#include "persistence/repair.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "libkv/base/clock.hpp"
#include "persistence/anew.hpp"
#include "persistence/aof_reader.hpp"
#include "persistence/binary_form.hpp"
#include "persistence/checksum.hpp"
#include "persistence/recovery.hpp"
#include "persistence/scratch.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

/// A snapshot opened without believing anything in it.
struct Candidate : SnapshotFile {
  bool header_good = false;
  /// The place in the logs up to which it holds everything, where that is known.
  std::optional<LogPosition> place;
  std::string mended_header;  // in the place of a damaged one, where it is proven to be right
};

std::string_view first_line(std::string_view bytes) { return bytes.substr(0, bytes.find('\n')); }

/// Does a header, damaged elsewhere, still say that the snapshot ends where a log begins? Time and
/// chain together are no accident.
bool names_place(const Candidate& file, const LogPosition& after) {
  const std::string_view bytes = file.mapping->bytes();
  if (file.format == SnapshotFormat::binary) {
    binary_form::FileHead head{};
    if (bytes.size() < sizeof head) return false;
    std::memcpy(&head, bytes.data(), sizeof head);
    return after.time_ns != 0 && LogPosition{head.as_of_ns, head.chain} == after;
  }
  const std::string said =
      ", as of " + format_seconds(after.time_ns) + ", chain " + std::to_string(after.chain) + ",";
  return first_line(bytes).find(said) != std::string_view::npos;
}

/// Does the log begin with a line as picolisp-kv writes it? An empty one, or zeros, may be ours.
bool begins_as_original(const LogFile& log) {
  OriginalScan scan;
  Scratch scratch;
  static_cast<void>(replay_original_log(log.mapping->bytes(), log.name, INT64_MIN, INT64_MAX,
                                        scratch.replay(), scan));
  return scan.lines > 0;
}

std::uint64_t count_lines(std::string_view text) {
  const auto breaks = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  return breaks + (text.empty() || text.back() == '\n' ? 0 : 1);
}

std::string_view last_line(std::string_view bytes) {
  return bytes.substr(bytes.size() < 2 ? 0 : bytes.rfind('\n', bytes.size() - 2) + 1);
}

/// How many keys the trailer of a text snapshot states, if the last line is one.
std::optional<std::uint64_t> stated_keys(std::string_view bytes) {
  RecordReader reader;
  std::uint64_t keys = 0;
  if (reader.parse(last_line(bytes)) != LineKind::sealed) return {};
  if (!parse_text_trailer(reader.sealed_text(), keys)) return {};
  return keys;
}

/// The header of a text snapshot that ends where a log begins, if the checksum at the end of the
/// file, which covers the header too, says that it was this one and all the rest is right.
std::string header_before(const Candidate& file, const LogPosition& after) {
  const std::string_view bytes = file.mapping->bytes();
  const std::string_view trailer = last_line(bytes);
  const std::size_t body = std::min(first_line(bytes).size() + 1, bytes.size());
  RecordReader reader;
  if (file.format != SnapshotFormat::text || body + trailer.size() > bytes.size() ||
      reader.parse(trailer) != LineKind::sealed || !stated_keys(bytes)) {
    return {};
  }
  std::string header;
  const std::uint32_t chain = append_sealed(header, 0, text_header(after, true));
  const std::string_view middle = bytes.substr(body, bytes.size() - trailer.size() - body);
  const std::uint32_t right = reader.chain_after(trailer, crc32(middle, chain));
  return right == reader.checksum() ? header : std::string();
}

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
  void mend_header(Candidate& file) const;
  Status load_base(bool& loaded);
  Status load_whole(const Candidate& file, bool& loaded);
  Status load_original(const Candidate& file, bool& loaded);
  bool logs_reach(const LogPosition& as_of) const;
  bool header_lost(const Candidate& file) const;
  bool logs_hold_everything() const;
  Status load_what_is_left();
  Status load_lines(const Candidate& file);
  void count_missing(const Candidate& file, std::uint64_t lines);
  void find_place(const Candidate& file);
  Status add_logs();
  Status add_log(const LogFile& log);
  Status add_original_log(const LogFile& log);
  bool may_be_older(const LogFile& log) const;
  void tell_what_is_gone();
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
  bool place_unknown_ = false;  // of the lines that were loaded: logs may be older than they
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
  if (header && header->version != 0) file.place = header->as_of;
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
  log.original = salvage.kept == 0 && begins_as_original(log);
  logs_.push_back(std::move(log));
  return {};
}

/// The logs know what a damaged header said.
void Repair::mend_header(Candidate& file) const {
  for (const LogFile& log : logs_) {
    if (names_place(file, log.after)) file.place = log.after;
    file.mended_header = header_before(file, log.after);
    if (file.mended_header.empty()) continue;
    file.header = {snapshot_version, log.after, true};
    file.header_good = true;
    file.place = log.after;
    return;
  }
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
  for (Candidate& file : snapshots_) {
    if (!file.place && header_lost(file)) mend_header(file);
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
  if (!file.header_good) return {};
  if (file.header.version == 0) return load_original(file, loaded);
  clear();
  SnapshotLoad load;
  std::string_view bytes = file.mapping->bytes();
  std::string mended = file.mended_header;
  if (!mended.empty()) {
    mended += bytes.substr(first_line(bytes).size() + 1);
    bytes = mended;
    note("the header of " + file.name + " is damaged; a log and the checksum prove what it was");
  }
  if (Status s = load_snapshot(bytes, file.format, file.name, replay_, load); !s) {
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

/// One of picolisp-kv's has no checksum: it is believed if all of it can be read, and only beside
/// a log of its kind. An empty one may be one of ours that was cut.
Status Repair::load_original(const Candidate& file, bool& loaded) {
  if (header_lost(file) || file.mapping->bytes().empty()) return {};
  if (std::none_of(logs_.begin(), logs_.end(), [](const LogFile& log) { return log.original; })) {
    return {};
  }
  clear();
  std::uint64_t keys = 0;
  if (Status s = load_original_snapshot(file, replay_, keys); !s) {
    clear();
    return is_damage(s) ? Status{} : s;
  }
  loaded = true;
  used_ = &file;
  note(file.name + " of picolisp-kv can be read: " + std::to_string(keys) + " keys");
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
    note(file->name + " is damaged");
  }
  return {};
}

/// A snapshot of ours of which the header does not say up to where it goes. picolisp-kv's have
/// none.
bool Repair::header_lost(const Candidate& file) const {
  if (!file.header_good) return true;
  if (file.header.version != 0) return false;
  const bool ours =
      std::any_of(logs_.begin(), logs_.end(), [](const LogFile& log) { return !log.original; });
  return (ours && !file.name.ends_with(".old")) || has_our_marks(file.mapping->bytes());
}

/// Do the logs hold every line since the first start, none missing between them, and none of the
/// snapshots more? A first log begins behind nothing.
bool Repair::logs_hold_everything() const {
  if (logs_.empty() || logs_.back().name != log_name) return false;
  LogPosition end;
  for (const LogFile& log : logs_) {
    LogScan scan;
    static_cast<void>(scan_log(
        log.mapping->bytes(), [](const Record&, std::uint64_t) { return Status{}; }, scan));
    const bool whole = scan.verdict == Verdict::clean || (scan.tail_only() && log.name == log_name);
    if (!whole || scan.after != end) return false;
    end = scan.end;
  }
  return std::none_of(snapshots_.begin(), snapshots_.end(), [&](const Candidate& file) {
    return file.place && file.place->time_ns > end.time_ns;
  });
}

/// No snapshot is whole from which the logs go on. A damaged one is used only where the logs alone
/// do not hold everything: no line of it has a checksum of its own.
Status Repair::load_what_is_left() {
  if (logs_hold_everything()) {
    note("the logs hold everything since the first start: no snapshot is needed");
    return {};
  }
  for (const Candidate& file : snapshots_) {
    bool loaded = false;
    if (Status s = load_whole(file, loaded); !s || loaded) return s;
    if (file.format == SnapshotFormat::text) return load_lines(file);
  }
  if (!snapshots_.empty()) {
    lost(
        "no snapshot is whole, and none is text: only the logs are left; how many keys are lost is "
        "not known");
  }
  return {};
}

/// The lines of a damaged text snapshot that can be read.
Status Repair::load_lines(const Candidate& file) {
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
  if (!file.place && !header_lost(file)) return {};  // picolisp-kv's
  count_missing(file, keys + report_.lost_keys);
  if (keys == 0) return {};  // nothing that a log could be older than
  lost("one checksum covers all of " + file.name + ", and it is wrong: what was read may be too");
  find_place(file);
  return {};
}

/// The trailer says how many keys there were.
void Repair::count_missing(const Candidate& file, std::uint64_t lines) {
  const std::optional<std::uint64_t> stated = stated_keys(file.mapping->bytes());
  if (!stated) lost("the end of " + file.name + " is lost: how many keys it held is not known");
  if (!stated || *stated <= lines) return;
  report_.lost_keys += *stated - lines;
  note("the trailer of " + file.name + " counts " + std::to_string(*stated - lines) +
       " keys more, which are lost");
}

/// From where the logs go on behind the lines that were loaded. Nothing may be applied twice: of
/// logs that may be older than the snapshot only kv.aof is used, which begins with a save or later.
void Repair::find_place(const Candidate& file) {
  if (file.place) {
    position_ = *file.place;
    return;
  }
  place_unknown_ = true;
  lost("the header of " + file.name + " is damaged, and with it the place in the logs to which " +
       file.name + " goes: logs that may be older are not replayed");
}

Status Repair::add_original_log(const LogFile& log) {
  OriginalScan scan;
  const std::string_view bytes = log.mapping->bytes();
  Status s = replay_original_log(bytes, log.name, position_.time_ns, INT64_MAX, replay_, scan);
  position_.time_ns = std::max(position_.time_ns, scan.last_ns);
  std::string sentence =
      log.name + " of picolisp-kv: " + std::to_string(scan.lines) + " lines replayed";
  if (scan.bad_line != 0) {
    sentence += ", from line " + std::to_string(scan.bad_line) + " on lost";
    report_.lost_lines += count_lines(bytes.substr(scan.good_bytes));
  }
  note(sentence);
  return s;
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
  if (log.original) return add_original_log(log);
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
  if (!salvage.has_header && salvage.kept == 0) {
    lost(log.name + (log.mapping->bytes().empty() ? " is empty" : " holds no whole line") +
         ": what was in it is lost");
  } else if (salvage.hides_lines) {
    lost("of " + log.name + " more lines may be lost, of which nothing is left to count");
  }
  return {};
}

/// May its lines be in the snapshot already, of which the place is not known?
bool Repair::may_be_older(const LogFile& log) const {
  if (!place_unknown_ || log.original) return false;
  const std::string_view header = first_line(used_->mapping->bytes());
  return log.name != log_name || header.find(", no log") != std::string_view::npos;
}

Status Repair::add_logs() {
  for (const LogFile& log : logs_) {
    if (may_be_older(log)) {
      note(log.name + " is not replayed");
      continue;
    }
    if (log.after.time_ns > position_.time_ns && !place_unknown_) {
      lost("what was written " +
           (position_.time_ns == 0 ? "before "
                                   : "between " + format_utc(position_.time_ns) + " and ") +
           format_utc(log.after.time_ns) + " is in no file and is lost");
    }
    if (Status s = add_log(log); !s) return s;
  }
  tell_what_is_gone();
  return {};
}

void Repair::tell_what_is_gone() {
  const auto says_no_log = [](const Candidate& file) {
    return file.header_good && file.header.version != 0 && !file.header.log_follows;
  };
  const auto says_log = [this](const Candidate& file) {
    return header_lost(file) || file.header.log_follows;
  };
  // A finished log was followed by another one, unless a snapshot was taken without one since.
  const bool log_expected =
      std::any_of(snapshots_.begin(), snapshots_.end(), says_log) ||
      (!logs_.empty() && std::none_of(snapshots_.begin(), snapshots_.end(), says_no_log));
  if (log_expected && (logs_.empty() || logs_.back().name != log_name)) {
    lost(std::string(log_name) + " is missing: what was written after " +
         (position_.time_ns == 0 ? "the last save" : format_utc(position_.time_ns)) +
         " is in no file and is lost");
  }
  for (const Candidate& file : snapshots_) {
    if (&file == used_) continue;
    const bool reached_further =
        file.place ? file.place->time_ns > position_.time_ns : logs_.empty();
    if (reached_further) {
      lost("what only " + file.name + " held is lost");
    } else if (!file.place && header_lost(file)) {
      lost("the header of " + file.name + " is damaged: if a server without --persist saved it, " +
           "what only it held is lost");
    }
  }
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
  if (Status s = loaded ? Status{} : load_what_is_left(); !s) return s;
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
