// The server around a command, as small as a unit test needs it, and a client to talk through.
//
// FakeServices implements Services over real keyspaces and notes what commands asked of it.
// FakeClient does what the engine does for one request (look up, arity, trial run, real run), with
// a clock the test turns by hand. Must never start a process, open a file or read the time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "libkv/commands/call.hpp"
#include "libkv/commands/command.hpp"
#include "libkv/commands/services.hpp"

namespace kv::test {

class FakeServices : public Services {
 public:
  explicit FakeServices(unsigned databases = 16) {
    for (unsigned i = 0; i < databases; ++i) databases_.push_back(std::make_unique<Keyspace>());
  }

  Keyspace& database(unsigned number) override { return *databases_.at(number); }
  unsigned databases() const override { return static_cast<unsigned>(databases_.size()); }
  Counters& counters() override { return counters_; }
  const PersistenceState& persistence() const override { return persistence_; }
  const std::vector<Setting>& settings() const override { return settings_; }
  const std::map<std::uint64_t, Session*>& sessions() const override { return sessions_; }

  bool check_password(Session& session, std::string_view word) override {
    session.failed_logins += word != password;
    return word == password;
  }
  bool check_password_hash(Session& session, std::uint32_t hash) override {
    session.failed_logins += hash != password_hash;
    return hash == password_hash;
  }
  void close_session(Session& session) override { closed.push_back(session.id); }
  bool unblock(Session& session, bool with_error) override {
    if (session.waiting) unblocked.emplace_back(session.id, with_error);
    return session.waiting;
  }
  void watch_key(Session&, std::string_view key, bool there) override {
    watched.emplace_back(std::string(key), there);
  }
  void unwatch_keys(Session&) override { watched.clear(); }

  void monitor(Session& session, bool on) override { session.monitor = on; }
  Subscriptions& subscriptions() override { return subscriptions_; }
  Result<std::uint64_t> publish(const Session&, Topic topic, std::string_view channel,
                                const Scalar& message) override {
    if (!publish_fails.ok()) return publish_fails;
    std::vector<Subscriptions::Audience> audiences;
    subscriptions_.find_audiences(topic, channel, audiences);
    std::uint64_t receivers = 0;
    for (const auto& audience : audiences) receivers += audience.listeners->size();
    published.emplace_back(std::string(channel), std::string(message.bytes));
    return receivers;
  }

  Status save_in_background() override { return note("save_in_background"); }
  Status save_now() override { return note("save_now"); }
  Status sync_log() override { return note("sync_log"); }
  Status convert_format() override { return note("convert_format"); }
  Status reload() override { return note("reload"); }
  Status shutdown(SaveAtEnd save) override {
    constexpr const char* said[] = {"shutdown", "shutdown save", "shutdown must save"};
    return note(said[static_cast<int>(save)]);
  }
  void set_active_expire(bool on) override { active_expire = on; }
  void sleep_ms(std::int64_t ms) override {
    slept_ms += ms;
    if (sleeps) std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  }

  bool plio_remote() const override { return plio_from_afar; }

  int port() const override { return 6378; }
  std::string run_id() const override { return std::string(40, 'a'); }
  std::string executable() const override { return "/usr/bin/kv-server"; }
  std::string config_file() const override { return {}; }
  std::uint64_t children() const override { return 1; }
  std::uint64_t max_clients() const override { return 10'000; }

  // What a test sets, and what it looks at afterwards.
  std::string password = "secret";
  std::uint32_t password_hash = 62011;                    // picolisp-kv's hash of "secret"
  Status next_status;                                     // what the next save, reload, ... answers
  std::vector<std::string> asked;                         // saves, reloads, shutdowns, in order
  std::vector<std::uint64_t> closed;                      // ids given to close_session
  std::vector<std::pair<std::string, bool>> watched;      // keys, and whether they were there
  std::vector<std::pair<std::uint64_t, bool>> unblocked;  // what was given to unblock
  std::vector<std::pair<std::string, std::string>> published;
  Status publish_fails;
  bool active_expire = true;
  bool plio_from_afar = false;
  std::int64_t slept_ms = 0;
  bool sleeps = false;  // really
  Counters counters_;
  PersistenceState persistence_;
  std::vector<Setting> settings_;
  std::map<std::uint64_t, Session*> sessions_;
  Subscriptions subscriptions_;

 private:
  Status note(const char* what) {
    asked.emplace_back(what);
    return next_status;
  }
  std::vector<std::unique_ptr<Keyspace>> databases_;
};

/// One connection. Replies are the RESP3 bytes that would travel to the child.
class FakeClient {
 public:
  explicit FakeClient(FakeServices& server, Dialect dialect = Dialect::resp) : server_(&server) {
    session.id = server.sessions_.size() + 1;
    session.authenticated = true;
    session.dialect = dialect;
    session.name = "test";
    session.address = "127.0.0.1:40312";
    server.sessions_[session.id] = &session;
  }
  ~FakeClient() {
    server_->sessions_.erase(session.id);
    server_->subscriptions_.forget(session);
  }
  FakeClient(const FakeClient&) = delete;
  FakeClient& operator=(const FakeClient&) = delete;

  /// Words with blanks between; '' is the empty word, N:12 a number, Y:abc a symbol, NIL (over PLIO
  /// only) nil. For other bytes use run().
  std::string operator()(std::string_view line) {
    std::vector<Scalar> args;
    while (!line.empty()) {
      const std::size_t end = std::min(line.find(' '), line.size());
      if (end > 0) args.push_back(scalar(line.substr(0, end)));
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    return run(args);
  }

  std::string run(const std::vector<Scalar>& args) {
    std::string out;
    committed = false;
    const Command* command = find_command(args.at(0).bytes);
    if (command == nullptr) return "-ERR unknown command\r\n";
    const auto argc = static_cast<int>(args.size());
    const bool lenient =
        session.dialect == Dialect::plio && (command->flags & (kPlioNil | kPlioZero)) != 0;
    if (!lenient && (command->arity > 0 ? argc != command->arity : argc < -command->arity)) {
      Call call(*server_, session, *command, args, now_ns, out);
      call.fail("ERR wrong number of arguments for '" + std::string(command->name) + "' command");
      return out;
    }
    ++server_->counters_.commands_processed;
    if ((command->flags & kWrite) != 0 && !without_trial) {
      Call trial(*server_, session, *command, args, now_ns, out);
      trial.set_trial();
      command->run(trial);
      committed = trial.committed();
      if (!committed || trial_only) return out;
      out.clear();
    }
    session.last_command = command->name;  // as the engine does
    session.last_subcommand = {};
    Call call(*server_, session, *command, args, now_ns, out);
    command->run(call);
    committed = call.committed();
    if (const std::string_view rest = call.reply.rest(); !rest.empty()) out.append(rest) += "\r\n";
    return out;
  }

  Session session;
  std::int64_t now_ns = 1'700'000'000'000'000'000;  // the test's clock
  bool committed = false;                           // did the last request reach commit()?
  bool trial_only = false;                          // stop after the trial run of a write
  bool without_trial = false;                       // as a replay of the log does it

 private:
  Scalar scalar(std::string_view word) const {
    if (word == "''") return {""};
    if (word == "NIL" && session.dialect == Dialect::plio) return {"", Kind::nil};
    if (word.starts_with("N:")) return {word.substr(2), Kind::number};
    if (word.starts_with("Y:")) return {word.substr(2), Kind::symbol};
    return {word};
  }

  FakeServices* server_;
};

/// What a bulk or verbatim reply holds.
inline std::string text_of(const std::string& reply) {
  const std::size_t line = reply.find("\r\n");
  std::string text = reply.substr(line + 2, reply.size() - line - 4);
  return reply[0] == '=' ? text.substr(4) : text;
}

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace kv::test
