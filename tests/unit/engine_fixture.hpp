// What the engine's tests share: a log and replies of the test's own, clocks that it turns, and the
// engine among them over real keyspaces and commands. Not a test.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libkv/engine/engine.hpp"
#include "libkv/keyspace/digest.hpp"
#include "tests/unit/fake_services.hpp"

namespace kv::test {

/// Remembers lines, counts writes, fails when told to.
class FakeLog final : public WriteLog {
 public:
  struct Line {
    std::int64_t time_ns;
    unsigned database;
    Dialect dialect;
    std::vector<std::pair<std::string, Kind>> args;
  };
  /// As if it continued what ends at that time.
  void continue_from(std::int64_t time_ns) { last_ns_ = time_ns; }
  std::int64_t next_time(std::int64_t wall_ns) override {
    return wall_ns > last_ns_ ? wall_ns : last_ns_ + 1;
  }
  void add(std::int64_t time_ns, unsigned database, Dialect dialect,
           std::span<const Scalar> args) override {
    last_ns_ = time_ns;
    Line line{time_ns, database, dialect, {}};
    for (const Scalar& arg : args) line.args.emplace_back(std::string(arg.bytes), arg.kind);
    waiting.push_back(std::move(line));
  }
  Status write() override {
    ++writes;
    std::this_thread::sleep_for(takes);
    if (const Status status = closed.ok() ? next_status : closed; !status.ok()) {
      waiting.clear();
      return status;
    }
    for (Line& line : waiting) lines.push_back(std::move(line));
    waiting.clear();
    return {};
  }
  Status take_back(std::size_t count) override {
    lines.resize(lines.size() - count);
    next_status = behind_take_back;
    return {};
  }
  void give_up(const Status& why) override { closed = why; }
  void forget() noexcept override { waiting.clear(); }
  bool pending() const override { return !waiting.empty(); }

  /// The lines written, as words with a blank between.
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const Line& line : lines) {
      std::string text;
      for (const auto& [word, kind] : line.args) text += (text.empty() ? "" : " ") + word;
      all.push_back(text);
    }
    return all;
  }

  std::vector<Line> waiting, lines;
  Status next_status, behind_take_back, closed;
  int writes = 0;
  std::chrono::milliseconds takes{0};

 private:
  std::int64_t last_ns_ = 0;
};

class FakeSink final : public ReplySink {
 public:
  std::string& begin_reply(Session& session) override { return replies[session.id]; }
  void end_reply(Session& session, bool, std::string_view rest) override {
    if (session.id == no_memory_for) throw std::bad_alloc();
    if (!rest.empty()) replies[session.id].append(rest) += "\r\n";
  }
  void lose_reply(Session& session) override { lost.push_back(session.id); }
  void begin_wait(Session& session) override { waiting.insert(session.id); }
  void end_wait(Session& session) override { waiting.erase(session.id); }
  std::map<std::uint64_t, std::string> replies;
  std::uint64_t no_memory_for = 0;  // a session
  std::vector<std::uint64_t> lost;
  std::set<std::uint64_t> waiting;
};

/// Services whose watches are the engine's, as the sibling's are.
class WatchingServices final : public FakeServices {
 public:
  void watch_key(Session& session, std::string_view key, bool there) override {
    engine->watch(session, key, there);
  }
  void unwatch_keys(Session& session) override { engine->unwatch(session); }
  Engine* engine = nullptr;
};

struct Bench {
  explicit Bench(const Clocks& clocks = {}) : engine(services, sink, clocks) {
    services.engine = &engine;
    session.id = 1;
    session.authenticated = true;
    engine.set_log(&log);
  }
  void submit(std::vector<std::string> words) { submit(session, std::move(words)); }
  void submit(Session& from, std::vector<std::string> words) {
    kept.push_back(std::move(words));
    std::vector<Scalar> args;
    for (const std::string& word : kept.back()) args.emplace_back(word);
    engine.submit(from, args);
  }
  std::string take() { return take(session); }
  std::string take(const Session& from) {
    engine.finish();
    return std::exchange(sink.replies[from.id], {});
  }
  /// Another client.
  Session& another(unsigned database = 0) {
    others.emplace_back();
    others.back().id = 1 + others.size();
    others.back().authenticated = true;
    others.back().database = database;
    return others.back();
  }
  std::string digest() {
    std::vector<Keyspace*> all;
    for (unsigned i = 0; i < services.databases(); ++i) all.push_back(&services.database(i));
    return dataset_digest(all);
  }

  WatchingServices services;
  FakeSink sink;
  FakeLog log;
  Engine engine;
  Session session;
  std::deque<Session> others;
  std::vector<std::vector<std::string>> kept;
};

/// The digest of what a replay of the log makes.
inline std::string replayed(const FakeLog& log) {
  Bench other;
  for (const FakeLog::Line& line : log.lines) {
    std::vector<Scalar> args;
    for (const auto& [word, kind] : line.args) args.emplace_back(word, kind);
    CHECK(other.engine.replay(line.time_ns, line.database, line.dialect, args).ok());
  }
  return other.digest();
}

/// Clocks that a test turns.
struct Turned {
  static inline std::int64_t wall_ns = 0, steady_ns = 0;
  static inline std::int64_t look_ns = 0;  // that pass with each look at the steady clock
  static Clocks clocks() {
    return {[]() noexcept { return wall_ns; }, []() noexcept { return steady_ns += look_ns; },
            []() noexcept { return steady_ns; }};
  }
  static void pass(std::int64_t ms) {
    wall_ns += ms * 1'000'000;
    steady_ns += ms * 1'000'000;
  }
  Turned() {
    wall_ns = 1'700'000'000 * ns_per_second, steady_ns = 5 * ns_per_second;
    look_ns = 0;
  }
};

constexpr std::int64_t hour_ns = 3600 * ns_per_second;

}  // namespace kv::test
