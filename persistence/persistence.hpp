// What the engine knows of the disk: one object that restores the data, keeps the log and tells a
// snapshot writer what to do. The files themselves are described in FORMAT.md.
//
// Owned by the sibling, used from its one thread. The promise: at every instant the files in the
// data folder hold everything written so far exactly once, as far as --fsync says. It must never
// start emptier than the disk says: what is missing or damaged is refused with the way to repair
// it.
//
// The order of use:
//   auto opened = Persistence::open(env, settings, replay);       // restores, then the log is open
//   log().add(...); log().write();                                 // each batch
//   auto job = begin_save();                                       // the log is switched
//   fork(); in the child: _exit(job->run(env, databases, progress).ok() ? 0 : 1);
//   save_finished(status)                                          // when the child has ended
//   tick(monotonic_ns())                                           // after each batch, or often
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libkv/base/clock.hpp"
#include "libkv/base/env.hpp"
#include "libkv/base/status.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "persistence/write_log.hpp"

namespace kv {

enum class Fsync : std::uint8_t { always, everysec, no };
enum class SnapshotFormat : std::uint8_t { text, binary };  // kv.db, kv.bin

using MonotonicClock = std::int64_t (*)() noexcept;

struct PersistenceSettings {
  std::string folder = ".";
  bool log = true;  // --persist was given. If not: data is loaded, nothing is logged
  Fsync fsync = Fsync::everysec;
  SnapshotFormat format = SnapshotFormat::text;
  unsigned keep_logs = 0;  // finished logs kept, besides those that follow the .old snapshot
  unsigned databases = 16;
  bool had_data = false;  // this server has had files in the folder: it may not be empty now
  MonotonicClock clock = monotonic_ns;  // tests have their own
};

/// How far a load or a save has come. total is 0 when it is not known.
struct Progress {
  std::string_view what;  // "kv.db", "kv.aof": the file
  std::uint64_t done_bytes = 0, total_bytes = 0;
  std::uint64_t items = 0;  // keys or lines so far
};
/// Called every few thousand items; may be empty.
using ProgressFunction = std::function<void(const Progress&)>;

/// What restoring needs of its caller. apply executes one logged command without logging it;
/// args[0] is the command word, args live only during the call. An error ends the restore.
struct Replay {
  std::function<Keyspace*(unsigned number)> database;  // null: no such database
  /// dialect: of the client whose line it was (WriteLog::add). code reply: it did nothing but get
  /// an error; a line of a log that does so is told, and no reason to end.
  std::function<Status(std::int64_t time_ns, unsigned database, Dialect dialect,
                       std::span<const Scalar> args)>
      apply;
  ProgressFunction progress;
};

/// What a restore found and did.
struct RecoveryReport {
  std::string snapshot;            // name of the snapshot file used; empty if none
  std::int64_t as_of_ns = 0;       // the snapshot holds every line up to this time
  std::uint64_t keys = 0;          // from the snapshot
  std::uint64_t lines = 0;         // replayed from the log
  std::int64_t last_ns = 0;        // time of the last line known; 0 if there is none
  std::uint32_t chain = 0;         // checksum chain at that line (FORMAT.md)
  bool from_original = false;      // picolisp-kv's files; they are converted at once when logging
  bool save_needed = false;        // the files in the folder should be replaced by a snapshot now
  std::vector<std::string> notes;  // sentences: "cut 17 bytes of an unfinished line ..."
};

/// Everything a snapshot writer needs, taken at the instant of begin_save(). Copyable.
class SaveJob {
 public:
  /// Writes the snapshot: temporary file, sync, previous kept as .old, rename, directory sync. Call
  /// it in a fork (or directly, for SAVE). databases[i] is database i; null ones are skipped. On
  /// failure the folder is as it was.
  Status run(Env& env, std::span<Keyspace* const> databases,
             const ProgressFunction& progress = {}) const;
  /// "kv.db" or "kv.bin".
  std::string file_name() const;

  std::string folder;
  SnapshotFormat format = SnapshotFormat::text;
  std::int64_t as_of_ns = 0;   // time of the last line the snapshot holds
  std::uint32_t chain = 0;     // the log's chain at that line
  bool log_follows = true;     // there is a log from there on
  bool keep_old = true;        // the snapshot before it becomes .old
  std::int32_t owner_pid = 0;  // of the process that called begin_save()
};

class Persistence {
 public:
  virtual ~Persistence() = default;

  /// Locks the folder, restores what is there through replay, opens the log (when settings.log).
  /// Files of picolisp-kv are read, and replaced by ours when settings.log. Every failure's message
  /// says what to run. env must outlive the result.
  static Result<std::unique_ptr<Persistence>> open(Env& env, const PersistenceSettings& settings,
                                                   const Replay& replay);

  virtual const RecoveryReport& recovery() const = 0;
  /// There were files at the start, or have been made since: whoever opens the folder after this
  /// one says had_data.
  virtual bool has_data() const = 0;
  /// Never null. Without settings.log it gives times and writes nothing.
  virtual WriteLog& log() = 0;

  /// Switches the log to a new file and says what the snapshot writer has to do; call it between
  /// batches, fork at once. busy while a save runs. On failure everything is as it was.
  virtual Result<SaveJob> begin_save() = 0;
  /// The writer has ended. When ok, logs no longer needed are removed (--keep-logs).
  virtual void save_finished(const Status& status) = 0;
  virtual bool saving() const = 0;
  /// For CONVERT: of the next snapshot.
  virtual void set_format(SnapshotFormat format) = 0;
  virtual SnapshotFormat format() const = 0;
  virtual void set_fsync(Fsync policy) = 0;
  virtual Fsync fsync() const = 0;

  /// After each batch and several times a second: asks for the sync under everysec, notices a
  /// deleted log.
  virtual void tick(std::int64_t monotonic_ns) = 0;
  /// Returns when every line written so far is on the disk; blocks for one sync of the
  /// log. A failure is for good (log_failed). Without a log there is nothing to do.
  virtual Status sync_now() = 0;
  /// Under Fsync::always: from now on write() leaves the sync to sync_now(), and the caller answers
  /// nothing before that.
  virtual void defer_syncs(bool deferred) = 0;
  /// Looks whether the log is still the one it writes. False: it was removed or changed while in
  /// use, and no save has succeeded since; the files do not hold all of the data.
  virtual bool log_intact() = 0;
  /// Before a clean end: writes what waits, marks the end of the log, syncs it. A log that is not
  /// intact is left as it is, which is an error.
  virtual Status close() = 0;
  /// DEBUG RELOAD: restores from the folder into what replay gives (which is empty), while the log
  /// stays open. The log must have nothing pending.
  virtual Status reload(const Replay& replay) = 0;

  // --- for INFO, LASTSAVE, WAITAOF ---
  /// ok, or why writes are refused at the moment: the sentence clients are told.
  virtual Status log_status() const = 0;
  /// True after a failed sync: it cannot heal in this process. Under Fsync::always the server must
  /// end (nothing more may be acknowledged); otherwise writes stay refused.
  virtual bool log_failed() const = 0;
  virtual std::uint64_t log_bytes() const = 0;       ///< size of kv.aof
  virtual std::uint64_t log_base_bytes() const = 0;  ///< of the snapshot it follows
  virtual std::uint64_t log_lines() const = 0;       ///< lines since the last snapshot
  virtual std::int64_t written_ns() const = 0;       ///< time of the last line written to the file
  virtual std::int64_t synced_ns() const = 0;  ///< time of the last line known to be on the disk
  /// How often a write waited for the disk, so that everysec's second is kept.
  virtual std::uint64_t delayed_syncs() const = 0;
  virtual std::int64_t last_save_ns() const = 0;  ///< as-of time of the last snapshot; 0: none
  virtual Status last_save_status() const = 0;
};

// --- what the server's verbs do (persistence/tool.hpp has the command-line face) ---

/// "kv.aof", "kv.db", "kv.bin".
inline constexpr std::string_view log_name = "kv.aof";
std::string_view snapshot_name(SnapshotFormat format) noexcept;
/// Reads "always", "everysec", "no".
bool parse_fsync(std::string_view word, Fsync& policy) noexcept;
std::string_view fsync_name(Fsync policy) noexcept;

}  // namespace kv
