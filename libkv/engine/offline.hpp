// The server around the commands when there is none: databases to replay a log into, nothing else.
//
// For the verbs that work on a folder (--check, --dump ...). Whatever needs a running server
// refuses.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "libkv/engine/engine.hpp"

namespace kv {

class Offline final : public Services, public ReplySink {
 public:
  explicit Offline(unsigned databases);

  Status replay(std::int64_t time_ns, unsigned number, Dialect dialect,
                std::span<const Scalar> args) {
    return engine_.replay(time_ns, number, dialect, args);
  }

  Keyspace& database(unsigned number) override { return *databases_[number]; }
  unsigned databases() const override { return static_cast<unsigned>(databases_.size()); }
  Counters& counters() override { return counters_; }
  const PersistenceState& persistence() const override { return persistence_; }
  const std::vector<Setting>& settings() const override { return settings_; }
  const std::map<std::uint64_t, Session*>& sessions() const override { return sessions_; }
  bool check_password(Session&, std::string_view) override { return false; }
  bool check_password_hash(Session&, std::uint32_t) override { return false; }
  void close_session(Session&) override {}
  bool unblock(Session&, bool) override { return false; }
  void watch_key(Session&, std::string_view, bool) override {}
  void monitor(Session&, bool) override {}
  Subscriptions& subscriptions() override { return subscriptions_; }
  Result<std::uint64_t> publish(const Session&, Topic, std::string_view, const Scalar&) override {
    return std::uint64_t{0};
  }
  void unwatch_keys(Session&) override {}
  Status save_in_background() override { return refusal(); }
  Status save_now() override { return refusal(); }
  Status sync_log() override { return refusal(); }
  Status convert_format() override { return refusal(); }
  Status reload() override { return refusal(); }
  Status shutdown(SaveAtEnd) override { return refusal(); }
  void set_active_expire(bool) override {}
  void sleep_ms(std::int64_t) override {}
  bool plio_remote() const override { return false; }
  int port() const override { return 0; }
  std::string run_id() const override { return {}; }
  std::string executable() const override { return {}; }
  std::string config_file() const override { return {}; }
  std::uint64_t children() const override { return 0; }
  std::uint64_t max_clients() const override { return 0; }

  std::string& begin_reply(Session&) override { return nowhere_.clear(), nowhere_; }
  void end_reply(Session&, bool, std::string_view) override {}
  void lose_reply(Session&) override {}
  void begin_wait(Session&) override {}
  void end_wait(Session&) override {}

 private:
  static Status refusal() { return {Code::unsupported, "no server is running here"}; }

  std::vector<std::unique_ptr<Keyspace>> databases_;
  Counters counters_;
  PersistenceState persistence_;
  std::vector<Setting> settings_;
  std::map<std::uint64_t, Session*> sessions_;
  Subscriptions subscriptions_;
  std::string nowhere_;
  Engine engine_;
};

}  // namespace kv
