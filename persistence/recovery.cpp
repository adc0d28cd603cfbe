// See recovery.hpp.
#include "persistence/recovery.hpp"

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

#include "libkv/base/clock.hpp"
#include "libkv/base/text.hpp"
#include "persistence/aof_reader.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

// A log does not say how many keys it makes. A short SET of a new one takes about so many bytes;
// where a log is something else, its keyspace settles afterwards.
constexpr std::size_t log_bytes_a_key = 128;
constexpr std::uint64_t idle_lines_named = 20;

class Recovery {
 public:
  Recovery(Env& env, const std::string& path, const RecoveryOptions& options, const Replay& replay)
      : env_(env), path_(path), options_(options), replay_(replay) {}
  Result<Recovered> run();

 private:
  Status load_snapshot_file();
  Status unusable(const Status& why) const;
  Status find_first_log(std::size_t& first);
  bool new_log_fits();
  bool cut_to_nothing();
  Status only_old_snapshots();
  Status missing_piece() const;
  Status without_header(std::size_t first) const;
  Status too_early() const;
  Status replay_logs(std::size_t first);
  Status replay_log(const LogFile& log, const LogPosition* next);
  Status replay_original(const LogFile& log);
  Status finish_log(const LogFile& log, const LogScan& scan);
  Status damaged(const LogFile& log, const LogScan& scan) const;
  Status mend_tail(const LogFile& log, std::uint64_t good_bytes);
  Status sweep();
  std::string repair_hint() const { return "; run: ./server --repair --dir " + shown(path_); }
  std::string reseal_hint() const {
    return "; if a newer kv wrote it, start that one; after an edit by hand change or remove the "
           "line and run: ./server --reseal --dir " +
           shown(path_);
  }
  void note_idle(const LogFile& log, std::uint64_t line, const Status& why);
  void note(std::string sentence) { out_.report.notes.push_back(std::move(sentence)); }
  ScanProgress log_progress(const LogFile& log) const;

  Env& env_;
  const std::string& path_;
  const RecoveryOptions& options_;
  const Replay& replay_;
  Folder folder_;
  const SnapshotFile* snapshot_ = nullptr;
  bool reached_until_ = false;
  std::uint64_t idle_lines_ = 0;
  Recovered out_;
};

/// The newest snapshot that is not later than the point asked for.
Status Recovery::load_snapshot_file() {
  const auto fits = [&](const SnapshotFile& file) {
    return file.header.as_of.time_ns <= options_.until_ns;
  };
  for (const auto* files : {&folder_.snapshots, &folder_.old_snapshots}) {
    for (const SnapshotFile& file : *files) {
      if (snapshot_ == nullptr && fits(file)) snapshot_ = &file;
    }
  }
  if (snapshot_ == nullptr) return {};
  out_.report.snapshot = snapshot_->name;
  out_.report.as_of_ns = snapshot_->header.as_of.time_ns;
  out_.position = snapshot_->header.as_of;
  out_.snapshot_bytes = snapshot_->info.size;
  if (snapshot_->header.version == 0) {
    out_.report.from_original = true;
    Status s = load_original_snapshot(*snapshot_, replay_, out_.report.keys);
    return s ? s : unusable(s);
  }
  SnapshotLoad load;
  Status s =
      load_snapshot(snapshot_->mapping->bytes(), snapshot_->format, snapshot_->name, replay_, load);
  out_.report.keys = load.keys;
  return s ? s : unusable(s);
}

/// Why the snapshot is no help, with what that would cost.
Status Recovery::unusable(const Status& why) const {
  const std::string where = join_path(path_, why.message());
  if (why.code() != Code::corrupt) return {why.code(), where};
  return {why.code(), where + std::string(snapshot_loss) + repair_hint()};
}

/// A new log lies ready that begins where the snapshot ends?
bool Recovery::new_log_fits() {
  if (snapshot_ == nullptr || !snapshot_->header.log_follows) return false;
  Result<LogFile> log = read_log_file(env_, path_, "kv.aof.new");
  return log && !log->original && log->after == out_.position;
}

/// --until a moment before the oldest snapshot, whose earlier logs are no longer kept.
Status Recovery::too_early() const {
  std::int64_t earliest_ns = INT64_MAX;
  for (const auto* files : {&folder_.snapshots, &folder_.old_snapshots}) {
    for (const SnapshotFile& file : *files) {
      earliest_ns = std::min(earliest_ns, file.header.as_of.time_ns);
    }
  }
  return {Code::not_found, "nothing kept in " + path_ + " reaches back to " +
                               format_local(options_.until_ns) + "; the earliest moment is " +
                               format_local(earliest_ns) + " (--keep-logs keeps more)"};
}

/// An empty file is picolisp-kv's empty database, unless the snapshot before it is one of ours.
bool Recovery::cut_to_nothing() {
  if (snapshot_->info.size != 0) return false;
  for (const SnapshotFormat form : {SnapshotFormat::text, SnapshotFormat::binary}) {
    const std::string name = std::string(snapshot_name(form)) + ".old";
    const Result<std::unique_ptr<Mapping>> old = env_.map(join_path(path_, name));
    if (!old) continue;
    const Result<SnapshotHeader> header = read_snapshot_header((*old)->bytes(), form, name);
    if (!header || header->version != 0) return true;
  }
  return false;
}

/// Nothing to start with, but the snapshot before: this is no first start.
Status Recovery::only_old_snapshots() {
  for (const SnapshotFormat form : {SnapshotFormat::text, SnapshotFormat::binary}) {
    const std::string name(snapshot_name(form));
    if (!env_.exists(join_path(path_, name + ".old"))) continue;
    return {Code::corrupt, join_path(path_, name) + " is missing, only " + name +
                               ".old is there: everything written after it would be lost" +
                               repair_hint()};
  }
  return {};
}

/// Why the log to go on with is not there.
Status Recovery::missing_piece() const {
  const bool any = !folder_.snapshots.empty() || !folder_.old_snapshots.empty();
  if (snapshot_ == nullptr && any && options_.until_ns != INT64_MAX) return too_early();
  if (snapshot_ != nullptr && snapshot_->header.version == 0 && snapshot_->info.size == 0) {
    return unusable(
        {Code::corrupt, snapshot_->name + " is empty, and the files beside it are not"});
  }
  const std::string have =
      snapshot_ == nullptr
          ? "there is no snapshot"
          : snapshot_->name + " is as of " + format_seconds(snapshot_->header.as_of.time_ns);
  if (!folder_.has_log()) {
    return {Code::corrupt, join_path(path_, log_name) + " is missing: everything written since " +
                               (snapshot_ == nullptr ? "the finished logs" : "the snapshot") +
                               " would be lost (" + have + ")" + repair_hint()};
  }
  if (Status s = without_header(0); !s) return s;
  const LogFile& oldest = folder_.logs.front();
  return {Code::corrupt, "the files in " + path_ + " do not belong together: " + have + ", but " +
                             oldest.name + " begins after " + format_seconds(oldest.after.time_ns) +
                             ": what lies between would be lost" + repair_hint()};
}

/// A log without a header, from the first needed on, is no log of picolisp-kv where files of ours
/// are: those are all replaced at once. It is one of ours that was emptied or overwritten.
Status Recovery::without_header(std::size_t first) const {
  const auto begin = folder_.logs.begin() + static_cast<std::ptrdiff_t>(first);
  const auto ours = [](const LogFile& log) { return !log.original; };
  const bool beside_ours = (snapshot_ != nullptr && snapshot_->header.version != 0) ||
                           std::any_of(begin, folder_.logs.end(), ours);
  const auto bad = std::find_if_not(begin, folder_.logs.end(), ours);
  if (!beside_ours || bad == folder_.logs.end()) return {};
  const std::string what = bad->mapping->bytes().empty()
                               ? " is empty, and its header is gone"
                               : " line 1: the first line is not the header of a log of kv";
  return {Code::corrupt, join_path(path_, bad->name) + what +
                             ": what was written to it may be lost" + repair_hint()};
}

/// The log that begins where the snapshot ends. first == logs.size(): none is needed.
Status Recovery::find_first_log(std::size_t& first) {
  const auto& logs = folder_.logs;
  for (first = 0; first < logs.size(); ++first) {
    const bool alone_from_original =
        logs[first].original && (snapshot_ == nullptr || snapshot_->header.version == 0);
    if (alone_from_original) break;
    if (!logs[first].original && logs[first].after == out_.position &&
        (snapshot_ == nullptr || snapshot_->header.version != 0)) {
      break;
    }
  }
  if (first == logs.size() && new_log_fits()) {
    out_.new_log_waits = true;
    return {};
  }
  if (first < logs.size()) {
    return logs.back().name == log_name ? without_header(first) : missing_piece();
  }
  if (snapshot_ == nullptr) return logs.empty() ? Status{} : missing_piece();
  if (snapshot_->header.version == 0) {
    return logs.empty() && !cut_to_nothing() ? Status{} : missing_piece();
  }
  // A snapshot that was taken without a log: every log there is must be older.
  if (snapshot_->header.log_follows) return missing_piece();
  for (const LogFile& log : logs) {
    if (log.original) return missing_piece();
    LogScan scan;
    static_cast<void>(scan_log(
        log.mapping->bytes(), [](const Record&, std::uint64_t) { return Status{}; }, scan));
    if (scan.verdict == Verdict::corrupt_middle) return damaged(log, scan);
    if (scan.end.time_ns > out_.position.time_ns) return missing_piece();
  }
  return {};
}

ScanProgress Recovery::log_progress(const LogFile& log) const {
  if (!replay_.progress) return {};
  const std::uint64_t total = log.mapping->bytes().size();
  return [this, total, name = log.name](std::uint64_t bytes, std::uint64_t lines) {
    replay_.progress({.what = name, .done_bytes = bytes, .total_bytes = total, .items = lines});
  };
}

Status Recovery::damaged(const LogFile& log, const LogScan& scan) const {
  const std::string where = join_path(path_, log.name) + " line " + std::to_string(scan.bad_line) +
                            " (byte " + std::to_string(scan.good_bytes) + "): ";
  if (scan.verdict == Verdict::unknown_version) {
    return {Code::unsupported, where + scan.reason + "; start a newer kv"};
  }
  const std::string lost = scan.lines_after == 0
                               ? "the rest of the file would be lost"
                               : "this line, and perhaps some of the " +
                                     std::to_string(scan.lines_after) + " after it, would be lost";
  return {Code::corrupt, where + scan.reason + "; " + lost + repair_hint() +
                             " (or, after an edit by hand, --reseal)"};
}

/// A line that somebody wrote by hand: what the server logs does something.
void Recovery::note_idle(const LogFile& log, std::uint64_t line, const Status& why) {
  if (++idle_lines_ > idle_lines_named) return;
  note(log.name + " line " + std::to_string(line) + " does nothing: " + why.message());
}

Status Recovery::replay_log(const LogFile& log, const LogPosition* next) {
  LogScan scan;
  const auto visit = [&](const Record& record, std::uint64_t line) -> Status {
    if (record.time_ns > options_.until_ns) {
      reached_until_ = true;
      return {Code::timeout, "until"};
    }
    Status s = replay_.apply(record.time_ns, record.database, record.dialect, record.args);
    if (s.code() == Code::reply) {
      note_idle(log, line, s);
    } else if (!s) {
      return {s.code(), join_path(path_, log.name) + " line " + std::to_string(line) + ": " +
                            s.message() + (s.code() == Code::unsupported ? reseal_hint() : "")};
    }
    ++out_.report.lines;
    out_.position = {record.time_ns, record.checksum};
    return {};
  };
  const std::string_view bytes = log.mapping->bytes();
  const Expected expected(replay_, bytes.size() / log_bytes_a_key);
  Status s = scan_log(bytes, visit, scan, log_progress(log));
  if (reached_until_) return {};
  if (!s) return s;
  if (next == nullptr) return finish_log(log, scan);
  if (scan.verdict != Verdict::clean) return damaged(log, scan);
  out_.position = scan.end;
  if (scan.end == *next) return {};
  return {Code::corrupt, join_path(path_, log.name) + " ends at " +
                             format_seconds(scan.end.time_ns) + ", but the next log begins after " +
                             format_seconds(next->time_ns) +
                             ": the lines between them would be lost" + repair_hint()};
}

/// kv.aof was read to its end, or to where it stops being good.
Status Recovery::finish_log(const LogFile& log, const LogScan& scan) {
  if (scan.verdict != Verdict::clean && !scan.tail_only()) return damaged(log, scan);
  out_.position = scan.end;
  out_.log_is_ours = true;
  out_.log_bytes = scan.good_bytes;
  out_.log_lines = scan.lines;
  out_.log_sealed = scan.sealed;
  out_.log_after = scan.after;
  if (scan.verdict == Verdict::clean) return {};
  const std::uint64_t rest = scan.file_bytes - scan.good_bytes;
  note(log.name + " line " + std::to_string(scan.bad_line) + " (byte " +
       std::to_string(scan.good_bytes) + "): " + std::string(verdict_name(scan.verdict)) + ": " +
       scan.reason + "; " + std::to_string(rest) +
       " bytes at the end were never completely written");
  return mend_tail(log, scan.good_bytes);
}

/// Cuts off what was never completely written. Where the disk has no room to keep it aside, a log
/// of ours is served as it is: it can be read, and who writes makes room first (Store).
Status Recovery::mend_tail(const LogFile& log, std::uint64_t good_bytes) {
  if (!options_.mend) return {};
  // First, since it may be what fills the disk; and a second name that a crash left keeps the log
  // from being opened.
  if (Status s = sweep(); !s) return s;
  const std::string aside = aside_name("torn", wall_ns());
  const Status cut = cut_tail(env_, path_, log.name, good_bytes, aside);
  if (cut.code() == Code::no_space && !log.original) {
    out_.torn_bytes = log.mapping->bytes().size() - good_bytes;
    out_.torn_name = aside;
    note("they stay there, since there is no room to keep them aside (" + cut.message() +
         "); writes are refused until there is");
    return {};
  }
  if (cut) note("they were cut off and are kept in " + aside);
  return cut;
}

Status Recovery::replay_original(const LogFile& log) {
  OriginalScan scan;
  out_.report.from_original = true;
  Status s = replay_original_log(log.mapping->bytes(), log.name, INT64_MIN, options_.until_ns,
                                 replay_, scan);
  out_.report.lines += scan.lines;
  out_.position.time_ns = std::max(out_.position.time_ns, scan.last_ns);
  if (!s || scan.bad_line == 0) return s;
  if (!scan.torn) {
    return {Code::corrupt, join_path(path_, log.name) + " line " + std::to_string(scan.bad_line) +
                               ": " + scan.reason + "; the lines from there on would be lost" +
                               repair_hint()};
  }
  note(log.name + " line " + std::to_string(scan.bad_line) + ": torn_tail: " + scan.reason);
  return mend_tail(log, scan.good_bytes);
}

Status Recovery::replay_logs(std::size_t first) {
  const auto& logs = folder_.logs;
  for (std::size_t i = first; i < logs.size() && !reached_until_; ++i) {
    const LogPosition* const next = i + 1 < logs.size() ? &logs[i + 1].after : nullptr;
    Status s = logs[i].original ? replay_original(logs[i]) : replay_log(logs[i], next);
    if (!s) return s;
  }
  return {};
}

/// Removes what a crash left half-made, once; it was never part of the data.
Status Recovery::sweep() {
  if (!options_.mend) return {};
  std::vector<std::string> names = std::exchange(folder_.half_made, {});
  if (out_.new_log_waits) std::erase(names, "kv.aof.new");
  for (std::string& name : std::exchange(folder_.doubled_logs, {})) {
    names.push_back(std::move(name));
  }
  for (const std::string& name : names) {
    if (Status s = env_.remove(join_path(path_, name)); !s) return s;
  }
  return names.empty() ? Status{} : env_.sync_directory(path_);
}

Result<Recovered> Recovery::run() {
  Result<Folder> folder = read_folder(env_, path_, options_.until_ns != INT64_MAX);
  if (!folder) return folder.status();
  folder_ = std::move(*folder);
  out_.empty_folder = folder_.logs.empty() && folder_.snapshots.empty();
  if (out_.empty_folder) {
    if (Status s = only_old_snapshots(); !s) return s;
  }
  std::size_t first = 0;
  if (Status s = load_snapshot_file(); !s) return s;
  // It is in memory now: its address space is for what follows.
  for (SnapshotFile& file : folder_.snapshots) file.mapping.reset();
  if (Status s = find_first_log(first); !s) return s;
  if (Status s = replay_logs(first); !s) return s;
  if (idle_lines_ > idle_lines_named) {
    note(std::to_string(idle_lines_ - idle_lines_named) + " more lines do nothing");
  }
  if (Status s = sweep(); !s) return s;
  out_.report.last_ns = out_.position.time_ns;
  out_.report.chain = out_.position.chain;
  return std::move(out_);
}

}  // namespace

Status cut_tail(Env& env, const std::string& folder, std::string_view name,
                std::uint64_t good_bytes, const std::string& aside) {
  const std::string path = join_path(folder, name);
  const Result<std::unique_ptr<Mapping>> log = env.map(path);
  if (!log) return log.status();
  const std::string_view tail = (*log)->bytes().substr(good_bytes);
  Result<std::unique_ptr<File>> file = env.open(path, Open::append);
  if (!file) return file.status();
  if (Status s = env.write_file(join_path(folder, aside), tail); !s) return s;
  if (const int error = (*file)->truncate(good_bytes); error != 0) {
    return Status::from_errno(error, "cannot cut " + path);
  }
  return (*file)->sync();
}

Status no_memory_for(const std::string& folder) {
  return {Code::limit, "not enough memory for the data in " + shown(folder) +
                           ", which is as it was: allow more (ulimit -v, the service's limit) or "
                           "use a larger machine"};
}

Result<Recovered> recover(Env& env, const std::string& folder, const RecoveryOptions& options,
                          const Replay& replay) {
  try {
    return Recovery(env, folder, options, replay).run();
  } catch (const std::bad_alloc&) {
    return no_memory_for(folder);
  } catch (const std::system_error&) {
    return no_memory_for(folder);  // for the stack of the thread that unpacks
  }
}

}  // namespace kv
