// What commands may ask of the server around them. Engine implements it; tests use a small fake.
//
// This is the whole door between the commands and the processes: no command includes more.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/status.hpp"
#include "libkv/commands/error_counts.hpp"
#include "libkv/commands/session.hpp"
#include "libkv/commands/slow_log.hpp"
#include "libkv/commands/subscriptions.hpp"
#include "libkv/keyspace/keyspace.hpp"

namespace kv {

struct Command;

/// What INFO commandstats tells of one command.
struct CommandStats {
  std::uint64_t calls = 0;
  std::uint64_t micros = 0;    // that those took, and
  std::uint64_t nanos = 0;     // what was measured of the next microsecond
  std::uint64_t rejected = 0;  // requests refused before the command ran
  std::uint64_t failed = 0;    // calls that answered an error

  bool empty() const noexcept { return calls == 0 && rejected == 0; }
  /// Of sixteen calls one is timed, and stands for all. A clock that steps back: 0.
  void took_one_in_sixteen(std::int64_t ns) noexcept {
    nanos += ns > 0 ? static_cast<std::uint64_t>(ns) : 0;
    micros += nanos / 1000 * 16;
    nanos %= 1000;
  }
};

/// Everything INFO and %stats% count. Sizes in bytes, times as the names say.
struct Counters {
  std::uint64_t connections_received = 0;  // authenticated ones, as the original counts
  std::uint64_t connections_rejected = 0;  // wrong password, or over --max-clients
  std::uint64_t commands_processed = 0;
  std::uint64_t net_input_bytes = 0, net_output_bytes = 0;
  std::uint64_t keyspace_hits = 0, keyspace_misses = 0;
  std::uint64_t expired_keys = 0;
  std::uint64_t error_replies = 0;
  ErrorCounts errors;  // the same, by their first words
  std::uint64_t changes_since_save = 0;
  std::uint64_t child_crashes = 0;
  std::string last_client;  // name of the last one authenticated
  std::int64_t started_ms = 0;
  std::int64_t clock_ms = 0;  // the wall clock, read once a round of the loop
  // By "get" or "config|get". RESETSTAT sets them to 0: entries stay where they are.
  std::map<std::string, CommandStats> commands;
  // Averages of the last second or so; the engine's clock tick sets them.
  std::uint64_t ops_per_second = 0;
  double input_kbps = 0, output_kbps = 0;  // KiB per second
  // Of the sibling, in bytes: once it is up and empty, and the most INFO has seen since.
  std::uint64_t memory_at_start = 0, memory_peak = 0;
  SlowLog slow;  // requests that took long; the engine notes them
};

/// Shall the server's end save what has changed? yes: as well as it can; must: or it does not end.
enum class SaveAtEnd : std::uint8_t { no, yes, must };

/// How saving goes, for INFO and LASTSAVE. Filled by the persistence side.
struct PersistenceState {
  bool loading = false;
  // While loading, of the file being read; the time left in seconds, -1 if not known.
  std::uint64_t loading_total_bytes = 0, loading_loaded_bytes = 0;
  std::int64_t loading_eta_s = -1;
  bool aof_enabled = false;
  bool binary = false;
  bool saving = false;
  std::int64_t last_save_s = 0;  // seconds since 1970; 0: there is no snapshot
  std::string last_save_status = "ok";
  std::int64_t last_save_duration_s = -1;
  std::int64_t current_save_s = -1;
  std::uint64_t save_keys = 0, save_keys_total = 0;  // of a running save: done, and all
  std::uint64_t saves = 0;
  std::uint64_t last_cow_bytes = 0;
  std::uint64_t aof_bytes = 0, aof_base_bytes = 0;
  std::string aof_status = "ok";  // or why writes are refused
  bool aof_synced = false;        // every line of the log is on the disk
  std::uint64_t aof_delayed = 0;  // writes that waited for the disk under everysec
};

/// One line of CONFIG: its name, how to read it, how to change it (null: at start only).
struct Setting {
  std::string_view name;
  std::function<std::string()> get;
  std::function<Status(std::string_view)> set;
};

class Services {
 public:
  virtual ~Services() = default;

  virtual Keyspace& database(unsigned number) = 0;
  virtual unsigned databases() const = 0;

  virtual Counters& counters() = 0;
  virtual const PersistenceState& persistence() const = 0;
  virtual const std::vector<Setting>& settings() const = 0;
  /// Every connection, by id. Never deletes one while a command runs.
  virtual const std::map<std::uint64_t, Session*>& sessions() const = 0;

  /// Compares in constant time; notes and delays failures (false) by the session's address.
  virtual bool check_password(Session& session, std::string_view password) = 0;
  /// As check_password for PLIO's 16-bit hash of it.
  virtual bool check_password_hash(Session& session, std::uint32_t hash) = 0;
  /// Hangs up; of what is already answered the client gets what it takes at once. May be the
  /// caller's own session.
  virtual void close_session(Session& session) = 0;

  /// MONITOR: is the session told of every request from now on? All of it, or std::bad_alloc and
  /// nothing.
  virtual void monitor(Session& session, bool on) = 0;

  /// Ends the wait of a session whose request waits for a list: answers it null, or an error. It
  /// is told later. False: it has none.
  virtual bool unblock(Session& session, bool with_error) = 0;

  /// WATCH: the session's next EXEC does nothing if the key of its database changes until then.
  /// there: it is, now.
  virtual void watch_key(Session& session, std::string_view key, bool there) = 0;
  virtual void unwatch_keys(Session& session) = 0;

  /// Who listens to what.
  virtual Subscriptions& subscriptions() = 0;
  /// Sends a message to all who listen to the channel and, unless it is one of a shard, to a
  /// pattern that it matches. It arrives behind the reply that is being made. Returns for how many
  /// it was; fails, and nobody gets it, where it would take too much memory for all of them.
  virtual Result<std::uint64_t> publish(const Session& from, Topic topic, std::string_view channel,
                                        const Scalar& message) = 0;

  /// Forks a snapshot writer. busy if one runs.
  virtual Status save_in_background() = 0;
  /// Returns when the file is on disk.
  virtual Status save_now() = 0;
  /// Returns when every write so far is on the disk as a line of the log.
  virtual Status sync_log() = 0;
  /// Switches text/binary for this and later snapshots and saves in the new format.
  virtual Status convert_format() = 0;
  /// DEBUG RELOAD: save, forget everything, load.
  virtual Status reload() = 0;
  /// Ends the server cleanly. If it must save and cannot, it says why and goes on.
  virtual Status shutdown(SaveAtEnd save) = 0;

  virtual void set_active_expire(bool on) = 0;
  /// DEBUG SLEEP and tests: the sibling does nothing for that long.
  virtual void sleep_ms(std::int64_t ms) = 0;

  /// --plio-remote: may PLIO clients log in from other machines?
  virtual bool plio_remote() const = 0;

  // Facts for INFO.
  virtual int port() const = 0;
  virtual std::string run_id() const = 0;  // 40 hex digits, new at each start
  virtual std::string executable() const = 0;
  virtual std::string config_file() const = 0;  // empty if none
  virtual std::uint64_t children() const = 0;   // child processes
  virtual std::uint64_t max_clients() const = 0;
};

/// When all was saved last, in seconds since 1970. Before the first save the start, as Redis has
/// it: who computes how old the newest save is must not come to half a century.
inline std::int64_t last_save_or_start_s(const PersistenceState& state, const Counters& counters) {
  return state.last_save_s != 0 ? state.last_save_s : counters.started_ms / 1000;
}

}  // namespace kv
