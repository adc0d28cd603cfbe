// The engine's forecasts: pipelines that hammer a few keys are answered, logged and stored exactly
// as the same requests sent one by one, in fewer log writes.
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "libkv/engine/engine.hpp"
#include "libkv/keyspace/digest.hpp"
#include "tests/unit/fake_services.hpp"

namespace kv::test {
namespace {

/// Remembers the words of every line written.
class WordLog final : public WriteLog {
 public:
  std::int64_t next_time(std::int64_t wall_ns) override {
    return last_ns_ = wall_ns > last_ns_ ? wall_ns : last_ns_ + 1;
  }
  void add(std::int64_t, unsigned database, Dialect, std::span<const Scalar> args) override {
    std::string line = std::to_string(database);
    for (const Scalar& arg : args) line.append(" ").append(arg.bytes);
    waiting_.push_back(line);
  }
  Status write() override {
    ++writes;
    if (next_status.ok()) lines.insert(lines.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    return next_status;
  }
  Status take_back(std::size_t count) override {
    lines.resize(lines.size() - count);
    return {};
  }
  void forget() noexcept override { waiting_.clear(); }
  bool pending() const override { return !waiting_.empty(); }

  std::vector<std::string> lines;
  Status next_status;
  int writes = 0;

 private:
  std::vector<std::string> waiting_;
  std::int64_t last_ns_ = 0;
};

class TextSink final : public ReplySink {
 public:
  std::string& begin_reply(Session&) override { return text; }
  void end_reply(Session&, bool, std::string_view) override {}
  void lose_reply(Session&) override {}
  void begin_wait(Session&) override {}
  void end_wait(Session&) override {}
  std::string text;
};

using Words = std::vector<std::string>;

struct Side {
  explicit Side(unsigned sessions = 1) : engine(services, sink), session(sessions) {
    for (unsigned i = 0; i < sessions; ++i) {
      session[i].id = i + 1;
      session[i].authenticated = true;
      session[i].database = i;
    }
    engine.set_log(&log);
  }
  void submit(const Words& words, std::size_t from = 0) {
    kept.push_back(words);
    std::vector<Scalar> args;
    for (const std::string& word : kept.back()) args.emplace_back(word);
    engine.submit(session[from], args);
  }
  std::string digest() {
    std::vector<Keyspace*> all;
    for (unsigned i = 0; i < services.databases(); ++i) all.push_back(&services.database(i));
    return dataset_digest(all);
  }

  FakeServices services;
  TextSink sink;
  WordLog log;
  Engine engine;
  std::vector<Session> session;
  std::deque<Words> kept;
};

Words random_request(std::mt19937& random) {
  const auto pick = [&](unsigned n) { return random() % n; };
  const std::string key = "k" + std::to_string(pick(3));
  switch (pick(22)) {
    case 0: return {"LPUSH", key, "a"};
    case 1: return {"RPUSH", key, "b", "c"};
    case 2:
    case 3: return {"RPOP", key};
    case 4:
    case 5: return {"LPOP", key};
    case 6: return {"LPOP", key, "2"};
    case 7: return {"HSET", key, "f" + std::to_string(pick(3)), "v"};
    case 8: return {"HSET", key, "f"};
    case 9: return {"HMSET", key, "f", "1", "g", "2"};
    case 10: return {"SET", key, std::to_string(pick(50))};
    case 11: return {"SET", key, pick(2) == 0 ? "word" : "9223372036854775807"};
    case 12: return {"SET", key, "5", pick(2) == 0 ? "NX" : "XX"};
    case 13:
    case 14: return {"INCR", key};
    case 15: return {"INCRBY", key, "7"};
    case 16: return {"DEL", key};
    case 17: return {"PEXPIREAT", key, "9999999999999"};
    case 18: return {"RPOPLPUSH", key, "k" + std::to_string(pick(3))};
    case 19: return {"MSET", key, "1", "k0", "x"};
    case 20: return {"GET", key};
    default: return {"LLEN", key};
  }
}

TEST_CASE("engine/forecast: any pipeline is answered, logged and stored as if sent one by one") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Side together(2), apart(2);
    for (int round = 0; round < 20; ++round) {
      const unsigned length = 1 + static_cast<unsigned>(random() % 30);
      for (unsigned i = 0; i < length; ++i) {
        const Words request = random_request(random);
        const std::size_t from = random() % 4 == 0 ? 1 : 0;
        together.submit(request, from);
        apart.submit(request, from);
        apart.engine.finish();
      }
      together.engine.finish();
      REQUIRE(together.sink.text == apart.sink.text);
      REQUIRE(together.log.lines == apart.log.lines);
      REQUIRE(together.digest() == apart.digest());
    }
    CHECK(together.log.writes < apart.log.writes);
  }
}

TEST_CASE("engine/forecast: a pipeline on one queue, counter or hash takes one log write") {
  const std::vector<std::pair<Words, Words>> pipelines = {
      {{"RPUSH", "k", "a", "b"}, {"LPUSH", "k", "c"}},
      {{"SET", "k", "1"}, {"INCR", "k"}},
      {{"HSET", "k", "f", "v"}, {"HSET", "k", "g", "w"}},
      {{"RPUSH", "k", "a"}, {"RPOP", "k"}}};
  for (const auto& [first, second] : pipelines) {
    CAPTURE(second[0]);
    Side side;
    side.submit(first);
    for (int i = 0; i < 500; ++i) side.submit(second);
    side.engine.finish();
    CHECK(side.log.writes == 1);
  }
}

TEST_CASE("engine/forecast: what a list holds before the batch counts") {
  Side side;
  side.submit({"RPUSH", "k", "a", "b"});
  side.engine.finish();
  side.sink.text.clear();
  for (int i = 0; i < 4; ++i) side.submit({"RPOP", "k"});
  side.engine.finish();
  CHECK(side.sink.text == "$1\r\nb\r\n$1\r\na\r\n_\r\n_\r\n");
  CHECK(side.log.writes == 2);
  CHECK(side.log.lines == std::vector<std::string>{"0 RPUSH k a b", "0 RPOP k", "0 RPOP k"});
}

TEST_CASE("engine/forecast: if the log write fails, what was foreseen is refused as well") {
  Side side;
  side.submit({"RPUSH", "k", "a"});
  side.engine.finish();
  const std::string before = side.digest();
  side.log.next_status = {Code::no_space, "the disk is full"};
  side.sink.text.clear();
  side.submit({"RPOP", "k"});
  side.submit({"RPOP", "k"});  // nothing would be left for it
  side.submit({"RPUSH", "k", "b"});
  side.engine.finish();
  const std::string refusal = "-MISCONF the disk is full\r\n";
  CHECK(side.sink.text == refusal + refusal + refusal);
  CHECK(side.digest() == before);
}

TEST_CASE("engine/forecast: another database's key of the same name is another key") {
  Side side(2);
  side.submit({"RPUSH", "k", "a"}, 0);
  side.submit({"RPOP", "k"}, 1);
  side.submit({"RPOP", "k"}, 0);
  side.engine.finish();
  CHECK(side.sink.text == ":1\r\n_\r\n$1\r\na\r\n");
  CHECK(side.log.lines == std::vector<std::string>{"0 RPUSH k a", "0 RPOP k"});
}

}  // namespace
}  // namespace kv::test
