// What commands may ask of the sibling: the Services part of sibling.hpp.
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "libkv/base/clock.hpp"
#include "libkv/base/fd.hpp"
#include "libkv/base/log.hpp"
#include "libkv/base/text.hpp"
#include "libkv/process/listener.hpp"
#include "libkv/process/sibling.hpp"

namespace kv {
namespace {

constexpr unsigned failed_logins_max = 10;  // then the connection is closed

Status yes_or_no(std::string_view text, bool& value) {
  if (equals_ignoring_case(text, "yes")) return value = true, Status{};
  if (equals_ignoring_case(text, "no")) return value = false, Status{};
  return {Code::usage, "argument must be 'yes' or 'no'"};
}

/// What exporters, dashboards and client libraries ask a Redis for. kv has no such options; listed
/// are those to which there is a true answer, and nothing of Lua or of choosing keys to evict.
std::vector<std::pair<std::string_view, std::string>> answers_for_tools() {
  return {
      {"maxmemory", "0"},  // no limit but the machine's
      {"maxmemory-policy", "noeviction"},
      {"hash-max-listpack-entries", std::to_string(listpack_pairs_max)},
      {"hash-max-listpack-value", std::to_string(listpack_value_max)},
      {"timeout", "0"},  // who has logged in may be silent for ever
      {"tcp-keepalive", std::to_string(keepalive_idle_s)},
      {"io-threads", "1"},  // in each process
      {"cluster-enabled", "no"},
      {"notify-keyspace-events", ""},  // none are sent
      {"latency-monitor-threshold", "0"},
  };
}

}  // namespace

const PersistenceState& Sibling::persistence() const {
  state_.loading = loading_;
  state_.aof_enabled = setup_.options.persist;
  state_.binary = setup_.binary;
  if (store_ == nullptr || saver_ == nullptr) return state_;
  saver_->fill(state_);
  state_.binary = store_->format() == SnapshotFormat::binary;
  if (state_.last_save_s == 0) state_.last_save_s = store_->last_save_ns() / 1'000'000'000;
  state_.aof_bytes = store_->log_bytes();
  state_.aof_base_bytes = store_->log_base_bytes();
  state_.aof_synced = state_.aof_enabled && store_->synced_ns() >= store_->written_ns();
  state_.aof_delayed = store_->delayed_syncs();
  const Status status = store_->log_status();
  state_.aof_status = status.ok() ? "ok" : status.message();
  return state_;
}

bool Sibling::check_password(Session& session, std::string_view password) {
  if (gatekeeper_.password_fits(password)) {
    session.failed_logins = 0;  // in a row
    return true;
  }
  ++counters_.connections_rejected;
  gatekeeper_.note_failure(session.address, monotonic_ms());
  // What it has already sent is not run.
  if (++session.failed_logins >= failed_logins_max) session.close_after_reply = true;
  return false;
}

bool Sibling::check_password_hash(Session& session, std::uint32_t hash) {
  if (gatekeeper_.plio_hash_fits(hash)) return true;
  ++counters_.connections_rejected;
  gatekeeper_.note_failure(session.address, monotonic_ms());
  return false;
}

void Sibling::close_session(Session& session) {
  if (session.dead) return;
  session.close_after_reply = true;
  session.dead = true;  // nothing more of it is run
  (void)engine_.withdraw_wait(session);
  subscriptions_.forget(session);
  monitor(session, false);
  forget_messages(session, 0);
  // The child is told later: a reply to somebody else in that child may be half written now.
  if (session.channel != nullptr) closing_.push_back(&session);
}

bool Sibling::unblock(Session& session, bool with_error) {
  if (!engine_.withdraw_wait(session)) return false;
  unblocked_.emplace_back(session.id, with_error);
  return true;
}

Status Sibling::save_in_background() {
  if (saver_ == nullptr) return {Code::busy, "still loading"};
  const Status started = saver_->start(databases_);
  if (started.ok()) tell_parent('s');
  return started;
}

Status Sibling::save_now() {
  if (saver_ == nullptr) return {Code::busy, "still loading"};
  const Status saved = saver_->save_here(databases_);
  tell_of_data();
  return saved;
}

Status Sibling::sync_log() {
  if (store_ == nullptr) return {Code::busy, "still loading"};
  return store_->sync_now();
}

Status Sibling::convert_format() {
  if (saver_ == nullptr || saver_->running())
    return {Code::busy, "a background save is in progress"};
  const bool binary = store_->format() == SnapshotFormat::binary;
  store_->set_format(binary ? SnapshotFormat::text : SnapshotFormat::binary);
  if (Status started = save_in_background(); !started.ok()) {
    store_->set_format(binary ? SnapshotFormat::binary : SnapshotFormat::text);
    return started;
  }
  tell_parent(binary ? 't' : 'b');
  return {};
}

void Sibling::tell_parent(char word) {
  std::size_t put = 0;
  (void)write_some(setup_.parent.get(), {&word, 1}, put);
}

/// The next sibling may not begin anew where there was data.
void Sibling::tell_of_data() {
  if (store_->has_data()) tell_parent('d');
}

/// Into keyspaces of its own, which take the place of those that are served only as a whole: where
/// descriptors or memory end on the way, what was there is still there.
Status Sibling::reload() {
  if (Status saved = save_now(); !saved.ok()) return saved;
  std::vector<Keyspace> others(databases());
  // What is in them, not themselves: others hold references to them.
  const auto exchange = [&] {
    for (unsigned i = 0; i < databases(); ++i) databases_[i]->swap(others[i]);
  };
  exchange();
  Status loaded;
  try {
    loaded = load_again();
  } catch (const std::bad_alloc&) {
    exchange();
    throw;  // the reply says so
  }
  if (!loaded.ok()) exchange();
  return loaded;
}

Status Sibling::load_again() {
  Replay replay;
  replay.database = [this](unsigned number) -> Keyspace* {
    return number < databases_.size() ? databases_[number].get() : nullptr;
  };
  replay.apply = [this](std::int64_t time_ns, unsigned number, Dialect dialect,
                        std::span<const Scalar> args) {
    return engine_.replay(time_ns, number, dialect, args);
  };
  return store_->reload(replay);
}

Status Sibling::shutdown(SaveAtEnd save) {
  // While the data is loaded there is nothing to save: all of it is on the disk.
  if (save == SaveAtEnd::must && saver_ != nullptr) {
    if (saver_->running()) {
      saver_->abandon();
      background_save_ended();
    }
    if (Status saved = save_now(); !saved.ok()) return saved;
  }
  ending_ = true;
  save_at_end_ = save != SaveAtEnd::no;
  return {};
}

void Sibling::sleep_ms(std::int64_t ms) {
  // Nothing else happens meanwhile, but the parent's death or its order to end is heard.
  const auto end =
      Clock::now() + std::chrono::milliseconds(std::clamp<std::int64_t>(ms, 0, 3'600'000));
  while (!ending_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return;
    pollfd signals{signals_.get(), POLLIN, 0};
    if (::poll(&signals, 1, static_cast<int>(left)) > 0) handle_signals();
  }
}

void Sibling::make_settings() {
  const Options& o = setup_.options;
  const auto fixed = [this](std::string_view name, std::string value) {
    settings_.push_back({name, [value = std::move(value)] { return value; }, nullptr});
  };
  fixed("port", std::to_string(setup_.port));
  fixed("unixsocket", o.unix_socket);
  fixed("dir", o.folder);
  fixed("databases", std::to_string(o.databases));
  fixed("maxclients", std::to_string(o.max_clients));
  fixed("children", std::to_string(o.children));
  fixed("appendfilename", "kv.aof");
  fixed("appendonly", o.persist ? "yes" : "no");
  fixed("save", o.persist ? std::to_string(o.persist_seconds) + " 1" : "");
  fixed("proto-max-bulk-len", std::to_string(limits::value_bytes_max));
  fixed("plio-remote", o.plio_remote ? "yes" : "no");
  for (auto& [name, value] : answers_for_tools()) fixed(name, std::move(value));
  // While the data is loaded there is no store to ask.
  const auto format = [this] {
    const auto first = setup_.binary ? SnapshotFormat::binary : SnapshotFormat::text;
    return store_ != nullptr ? store_->format() : first;
  };
  const auto fsync = [this] { return store_ != nullptr ? store_->fsync() : setup_.fsync; };
  settings_.push_back(
      {"dbfilename", [format] { return std::string(snapshot_name(format())); }, nullptr});
  settings_.push_back({"appendfsync", [fsync] { return std::string(fsync_name(fsync())); },
                       [this](std::string_view text) -> Status {
                         Fsync policy{};
                         if (!parse_fsync(text, policy)) {
                           return {Code::usage, "argument must be always, everysec or no"};
                         }
                         if (store_ == nullptr) return {Code::busy, "still loading"};
                         // What this round has written so far was promised to be safe.
                         if (Status safe = store_->sync_now(); !safe.ok()) return safe;
                         store_->set_fsync(policy);
                         tell_parent(static_cast<char>('0' + static_cast<int>(policy)));
                         return {};
                       }});
  make_slow_log_settings();
  settings_.push_back({"verbose", [] { return std::string(log::verbose() ? "yes" : "no"); },
                       [](std::string_view text) -> Status {
                         bool on = false;
                         const Status status = yes_or_no(text, on);
                         if (status.ok()) log::set_verbose(on);
                         return status;
                       }});
}

void Sibling::make_slow_log_settings() {
  const auto number = [this](std::string_view name, std::int64_t least, auto& value) {
    const auto set = [&value, least](std::string_view text) -> Status {
      std::int64_t n = 0;
      if (!parse_integer(text, n)) {
        return {Code::usage, "argument couldn't be parsed into an integer"};
      }
      if (n < least) {
        return {Code::usage, "argument must be between " + std::to_string(least) + " and " +
                                 std::to_string(INT64_MAX) + " inclusive"};
      }
      value = static_cast<std::remove_reference_t<decltype(value)>>(n);
      return {};
    };
    settings_.push_back({name, [&value] { return std::to_string(value); }, set});
  };
  number("slowlog-log-slower-than", -1, counters_.slow.threshold_us);
  number("slowlog-max-len", 0, counters_.slow.length_max);
}

}  // namespace kv
