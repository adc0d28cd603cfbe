// See persistence.hpp. The order of every step on the disk is here; each leaves a folder that can
// be loaded, whole, if the power fails right after it.
#include "persistence/persistence.hpp"

#include <unistd.h>

#include <algorithm>

#include "libkv/base/clock.hpp"
#include "libkv/base/text.hpp"
#include "persistence/anew.hpp"
#include "persistence/aof_writer.hpp"
#include "persistence/folder.hpp"
#include "persistence/recovery.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

/// Without --persist: times, but no file.
class NoLog final : public WriteLog {
 public:
  std::int64_t next_time(std::int64_t wall) override { return std::max(wall, last_ns + 1); }
  void add(std::int64_t time_ns, unsigned, Dialect, std::span<const Scalar>) override {
    last_ns = time_ns;
  }
  Status write() override { return {}; }
  Status take_back(std::size_t) override { return {}; }
  void give_up(const Status&) override {}
  void forget() noexcept override {}
  bool pending() const override { return false; }
  std::int64_t last_ns = 0;
};

class Store final : public Persistence {
 public:
  Store(Env& env, const PersistenceSettings& settings) : env_(env), settings_(settings) {}
  Status start(const Replay& replay);

  const RecoveryReport& recovery() const override { return report_; }
  bool has_data() const override { return has_data_; }
  WriteLog& log() override {
    return writer_ == nullptr ? static_cast<WriteLog&>(no_log_) : *writer_;
  }
  Result<SaveJob> begin_save() override;
  void save_finished(const Status& status) override;
  bool saving() const override { return is_saving_; }
  void set_format(SnapshotFormat format) override { settings_.format = format; }
  SnapshotFormat format() const override { return settings_.format; }
  void set_fsync(Fsync policy) override {
    settings_.fsync = policy;
    if (writer_ != nullptr) writer_->set_policy(policy);
  }
  Fsync fsync() const override { return settings_.fsync; }
  void tick(std::int64_t monotonic_ns) override;
  Status sync_now() override { return writer_ == nullptr ? Status{} : writer_->sync_now(); }
  void defer_syncs(bool deferred) override {
    if (writer_ != nullptr) writer_->defer_syncs(deferred);
  }
  bool log_intact() override;
  Status close() override;
  Status reload(const Replay& replay) override {
    return recover(env_, settings_.folder, {}, replay).status();
  }

  Status log_status() const override { return writer_ == nullptr ? Status{} : writer_->status(); }
  bool log_failed() const override { return writer_ != nullptr && writer_->failed(); }
  std::uint64_t log_bytes() const override { return writer_ == nullptr ? 0 : writer_->size(); }
  std::uint64_t log_base_bytes() const override { return base_bytes_; }
  std::uint64_t log_lines() const override {
    return lines_before_ + (writer_ == nullptr ? 0 : writer_->lines());
  }
  std::int64_t written_ns() const override {
    return writer_ == nullptr ? 0 : writer_->position().time_ns;
  }
  std::int64_t synced_ns() const override { return writer_ == nullptr ? 0 : writer_->synced_ns(); }
  std::uint64_t delayed_syncs() const override {
    return writer_ == nullptr ? 0 : writer_->delayed_syncs();
  }
  std::int64_t last_save_ns() const override { return last_save_ns_; }
  Status last_save_status() const override { return last_save_status_; }

 private:
  std::string path(std::string_view name) const { return join_path(settings_.folder, name); }
  Status start_log(const Recovered& found, const Replay& replay);
  Status data_gone() const;
  Status begin_first_log(const Replay& replay);
  Status replace_files(const Recovered& found, const Replay& replay);
  Status open_log(const LogPosition& after, std::uint64_t bytes, const LogPosition& position,
                  std::uint64_t lines, bool sealed);
  Status switch_log();
  Status put_aside_foreign_log();
  Status open_new_log(const LogPosition& after);
  std::vector<Keyspace*> databases_of(const Replay& replay) const;
  void note_save(const SaveJob& job);
  SaveJob job_at(const LogPosition& as_of, bool log_follows) const;
  Status first_name_needed(std::string& name) const;
  void remove_old_logs();
  void look_for_log();
  Status put_tail_aside();

  Env& env_;
  PersistenceSettings settings_;
  std::unique_ptr<DirectoryLock> lock_;
  RecoveryReport report_;
  bool has_data_ = false;
  NoLog no_log_;
  std::unique_ptr<AofWriter> writer_;  // null without --persist
  LogPosition log_after_;              // where kv.aof begins
  bool log_lost_ = false;              // kv.aof was removed while in use
  bool log_replaced_ = false;          // and a new one is there, which needs a snapshot before it
  std::uint64_t torn_bytes_ = 0;       // still at the end of kv.aof (Recovered)
  std::string torn_name_;
  bool is_saving_ = false;
  SaveJob saving_;                  // the last one begun
  std::uint64_t lines_before_ = 0;  // in finished logs since the last snapshot
  std::uint64_t lines_at_save_ = 0;
  std::uint64_t base_bytes_ = 0;
  std::int64_t last_save_ns_ = 0;
  std::int64_t last_look_ns_ = 0;
  Status last_save_status_;
};

// --- starting ---

Status Store::start(const Replay& replay) {
  if (!env_.exists(settings_.folder)) {
    if (settings_.had_data) return data_gone();
    if (Status s = env_.make_folder(settings_.folder); !s) return s;
  }
  Result<std::unique_ptr<DirectoryLock>> lock = env_.lock_directory(settings_.folder);
  if (!lock) return lock.status();
  lock_ = std::move(*lock);
  Result<Recovered> found = recover(env_, settings_.folder, {.mend = settings_.log}, replay);
  if (!found) return found.status();
  if (found->empty_folder && settings_.had_data) return data_gone();
  // A start that was killed may have made the folder; one that somebody else made may not allow it.
  if (found->empty_folder) static_cast<void>(env_.sync_name_of(settings_.folder).ok());
  report_ = found->report;
  no_log_.last_ns = found->position.time_ns;
  base_bytes_ = found->snapshot_bytes;
  last_save_ns_ = report_.as_of_ns;
  has_data_ = settings_.log || !found->empty_folder;
  return settings_.log ? start_log(*found, replay) : Status{};
}

/// Nothing is there where this server had its data: a restart is no first start.
Status Store::data_gone() const {
  return {Code::corrupt, "the files of this server are gone: there is no data in " +
                             shown(settings_.folder) +
                             " any more, and what it held would be lost; put the folder back "
                             "(mount it again, or copy a backup there) and start the server again"};
}

Status Store::start_log(const Recovered& found, const Replay& replay) {
  if (found.log_is_ours) {
    lines_before_ = report_.lines - std::min(report_.lines, found.log_lines);
    report_.save_needed = lines_before_ > 0;
    torn_bytes_ = found.torn_bytes;
    torn_name_ = found.torn_name;
    return open_log(found.log_after, found.log_bytes, found.position, found.log_lines,
                    found.log_sealed);
  }
  if (found.empty_folder) return begin_first_log(replay);
  if (found.new_log_waits) {
    if (Status s = finish_switch(env_, settings_.folder); !s) return s;
    return open_new_log(found.position);
  }
  return replace_files(found, replay);
}

/// A folder without data: a log, and an empty snapshot that says that a log must be there. Without
/// it, a log removed by mistake would look like a first start.
Status Store::begin_first_log(const Replay& replay) {
  const SaveJob job = job_at({}, true);
  if (Status s = begin_anew(env_, job, databases_of(replay)); !s) return s;
  note_save(job);
  return open_new_log({});
}

/// What is there cannot be continued (picolisp-kv's files, or a snapshot taken without a log): it
/// is replaced by a snapshot of ours and a log that follows it.
Status Store::replace_files(const Recovered& found, const Replay& replay) {
  const LogPosition as_of = {std::max(wall_ns(), found.position.time_ns + 1), found.position.chain};
  const SaveJob job = job_at(as_of, true);
  const std::vector<Keyspace*> databases = databases_of(replay);
  if (Status s = begin_anew(env_, job, databases, replay.progress); !s) return s;
  note_save(job);
  return open_new_log(as_of);
}

/// kv.aof has just taken its place and holds nothing but its header.
Status Store::open_new_log(const LogPosition& after) {
  Result<LogFile> log = read_log_file(env_, settings_.folder, std::string(log_name));
  if (!log) return log.status();
  LogScan scan;
  static_cast<void>(scan_log(
      log->mapping->bytes(), [](const Record&, std::uint64_t) { return Status{}; }, scan));
  if (scan.verdict != Verdict::clean || scan.after != after || scan.lines != 0) {
    return {Code::corrupt, path(log_name) + " is not the log that was just begun"};
  }
  return open_log(scan.after, scan.good_bytes, scan.end, 0, false);
}

Status Store::open_log(const LogPosition& after, std::uint64_t bytes, const LogPosition& position,
                       std::uint64_t lines, bool sealed) {
  Result<std::unique_ptr<File>> file = env_.open(path(log_name), Open::append);
  if (!file) return file.status();
  Result<FileInfo> info = (*file)->info();
  if (!info) return info.status();
  if (info->size != bytes + torn_bytes_)
    return {Code::corrupt, path(log_name) + " changed while it was read"};
  // What a killed server wrote is in the file, but perhaps not on the disk yet; nor is the name of
  // the file, if it was killed while it switched logs.
  if (Status s = (*file)->sync(); !s) return s;
  if (Status s = env_.sync_directory(settings_.folder); !s) return s;
  log_after_ = after;
  writer_ = std::make_unique<AofWriter>(std::move(*file), bytes, position, lines, sealed,
                                        settings_.fsync, settings_.clock);
  if (torn_bytes_ > 0) {
    writer_->refuse({Code::no_space, path(log_name) + " ends with " + std::to_string(torn_bytes_) +
                                         " bytes of a line that a crash cut short, and there is no "
                                         "room to keep them aside: writes are refused until "
                                         "there is"});
  }
  return {};
}

SaveJob Store::job_at(const LogPosition& as_of, bool log_follows) const {
  SaveJob job;
  job.folder = settings_.folder;
  job.format = settings_.format;
  job.as_of_ns = as_of.time_ns;
  job.chain = as_of.chain;
  job.log_follows = log_follows;
  job.owner_pid = ::getpid();
  return job;
}

std::vector<Keyspace*> Store::databases_of(const Replay& replay) const {
  std::vector<Keyspace*> databases;
  for (unsigned i = 0; i < settings_.databases; ++i) databases.push_back(replay.database(i));
  return databases;
}

void Store::note_save(const SaveJob& job) {
  const Result<FileInfo> info = env_.stat(path(job.file_name()));
  base_bytes_ = info ? info->size : 0;
  last_save_ns_ = job.as_of_ns;
}

// --- saving ---

Result<SaveJob> Store::begin_save() {
  if (is_saving_) return Status{Code::busy, "a save is running already"};
  LogPosition as_of;
  if (writer_ == nullptr) {
    as_of = {std::max(wall_ns(), no_log_.last_ns + 1), report_.chain};
    no_log_.last_ns = as_of.time_ns;
  } else {
    if (writer_->pending()) return Status{Code::busy, "a batch waits to be written"};
    if (writer_->failed()) return writer_->status();
    look_for_log();
    if (Status s = put_tail_aside(); !s) return s;
    lines_at_save_ = log_lines();
    if (writer_->lines() > 0 || log_lost_) {
      if (Status s = switch_log(); !s) return s;
    }
    as_of = log_after_;
  }
  is_saving_ = true;
  saving_ = job_at(as_of, writer_ != nullptr);
  return saving_;
}

/// kv.aof becomes a finished log and a new kv.aof continues it. The old one is on the disk before
/// the new one can take a line; it gets its second name before the new one takes the first.
Status Store::switch_log() {
  if (!log_lost_) {
    if (Status s = writer_->sync_now(); !s) return s;
  }
  const LogPosition after = writer_->position();
  LogPosition end;
  Result<std::unique_ptr<File>> file = make_log(env_, path(new_log_name), after, end);
  if (!file) return file.status();
  const std::string finished = path(finished_log_name(after.time_ns));
  Status status = log_lost_ ? put_aside_foreign_log() : env_.keep_as(path(log_name), finished);
  if (status) status = env_.sync_directory(settings_.folder);
  if (status) status = env_.rename(path(new_log_name), path(log_name));
  if (!status) {
    static_cast<void>(env_.remove(path(new_log_name)).ok());
    // Its name would be wrong as soon as kv.aof grows.
    if (!log_lost_) static_cast<void>(env_.remove(finished).ok());
    return status;
  }
  lines_before_ += writer_->lines();
  log_after_ = after;
  Result<FileInfo> info = (*file)->info();
  writer_->switch_to(std::move(*file), info ? info->size : 0, end);
  if (log_lost_) log_replaced_ = true;
  log_lost_ = false;
  // Without it the new name may be lost, and with it every line that the new log takes.
  status = env_.sync_directory(settings_.folder);
  if (!status) writer_->give_up(status);
  return status;
}

/// Something else may stand where our log was; it is kept, under another name.
Status Store::put_aside_foreign_log() {
  if (!env_.exists(path(log_name))) return {};
  return env_.rename(path(log_name), path(aside_name("foreign", wall_ns())));
}

void Store::save_finished(const Status& status) {
  is_saving_ = false;
  last_save_status_ = status;
  if (!status) return;
  has_data_ = true;
  note_save(saving_);
  lines_before_ -= std::min(lines_before_, lines_at_save_);
  retire_other_format(env_, settings_.folder, saving_.format);
  remove_old_logs();
  if (log_replaced_ && !log_lost_) {
    log_replaced_ = false;
    writer_->resume();
  }
}

/// A finished log is named after its last line: those with a later name than this hold what came
/// after the newest .old snapshot. Empty if there is none that could be used.
Status Store::first_name_needed(std::string& name) const {
  for (const SnapshotFormat format : {SnapshotFormat::text, SnapshotFormat::binary}) {
    const std::string old = std::string(snapshot_name(format)) + ".old";
    const Result<std::unique_ptr<Mapping>> mapping = env_.map(path(old));
    if (mapping.status().code() == Code::not_found) continue;
    if (!mapping) return mapping.status();
    const Result<SnapshotHeader> header = read_snapshot_header((*mapping)->bytes(), format, old);
    if (!header || header->version == 0) continue;
    name = std::max(name, finished_log_name(header->as_of.time_ns));
  }
  return {};
}

void Store::remove_old_logs() {
  Result<std::vector<std::string>> names = env_.list(settings_.folder);
  std::string before;
  if (!names || !first_name_needed(before)) return;
  std::erase_if(*names, [](const std::string& name) { return !is_finished_log(name); });
  // Besides what was asked for: the log that leads from the .old snapshot to this one, and those
  // that saves in between began which then failed.
  const auto needed =
      before.empty() ? 0 : names->end() - std::upper_bound(names->begin(), names->end(), before);
  const std::size_t kept =
      std::min<std::size_t>(std::size_t{settings_.keep_logs} +
                                static_cast<std::size_t>(std::max<std::ptrdiff_t>(needed, 1)),
                            names->size());
  names->resize(names->size() - kept);  // sorted by time: the newest stay
  for (const std::string& name : *names) static_cast<void>(env_.remove(path(name)).ok());
}

// --- after each batch ---

void Store::tick(std::int64_t monotonic_ns) {
  if (writer_ == nullptr) return;
  writer_->tick(monotonic_ns);
  if (monotonic_ns - last_look_ns_ < ns_per_second) return;
  last_look_ns_ = monotonic_ns;
  look_for_log();
  static_cast<void>(put_tail_aside());  // why not is what writes are refused with
}

/// The end that a crash left and the start had no room to keep aside: as soon as there is room, and
/// before anything else is written.
Status Store::put_tail_aside() {
  if (torn_bytes_ == 0) return {};
  Status s = cut_tail(env_, settings_.folder, log_name, writer_->size(), torn_name_);
  if (!s) return s;
  torn_bytes_ = 0;
  writer_->resume();
  return {};
}

/// Is the file we write still the one that the next start would read?
void Store::look_for_log() {
  if (log_lost_ || writer_->failed()) return;
  Result<FileInfo> open = writer_->file().info();
  Result<FileInfo> named = env_.stat(path(log_name));
  const bool ours = open && open->links > 0 && named && named->inode == open->inode &&
                    named->device == open->device;
  // After a file that was cut in place (copytruncate), or added to, our next line continues
  // nothing.
  if (ours && open->size == writer_->size() + torn_bytes_) return;
  log_lost_ = true;
  torn_bytes_ = 0;  // gone with it
  writer_->refuse({Code::io, path(log_name) +
                                 " was removed or replaced, or cut or added to, while in use; "
                                 "writes are refused until "
                                 "a save (BGSAVE) has succeeded"});
}

bool Store::log_intact() {
  if (writer_ == nullptr) return true;
  look_for_log();
  return !log_lost_ && !log_replaced_;
}

Status Store::close() {
  if (!log_intact()) {
    return {Code::io, path(log_name) +
                          " was removed or replaced, or cut or added to, while in use, and no save "
                          "has succeeded since: it was left as it is, and what was written after "
                          "the last snapshot may be lost; run: ./server --check --dir " +
                          shown(settings_.folder)};
  }
  if (writer_ == nullptr || torn_bytes_ > 0) return {};  // then nothing was written either
  return writer_->close();
}

}  // namespace

Result<std::unique_ptr<Persistence>> Persistence::open(Env& env,
                                                       const PersistenceSettings& settings,
                                                       const Replay& replay) {
  auto store = std::make_unique<Store>(env, settings);
  if (Status s = store->start(replay); !s) return s;
  return std::unique_ptr<Persistence>(std::move(store));
}

bool parse_fsync(std::string_view word, Fsync& policy) noexcept {
  for (const Fsync one : {Fsync::always, Fsync::everysec, Fsync::no}) {
    if (!equals_ignoring_case(word, fsync_name(one))) continue;
    policy = one;
    return true;
  }
  return false;
}

std::string_view fsync_name(Fsync policy) noexcept {
  switch (policy) {
    case Fsync::always: return "always";
    case Fsync::everysec: return "everysec";
    case Fsync::no: break;
  }
  return "no";
}

}  // namespace kv
