// The engine: what is logged, in which order, and what a failed log write means. Real keyspaces and
// commands; the log and the replies are the test's own.
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/engine_fixture.hpp"

namespace kv::test {
namespace {

TEST_CASE("engine: a batch is logged with one write before any of it is answered") {
  Bench b;
  b.submit({"SET", "a", "1"});
  b.submit({"SET", "b", "2"});
  b.submit({"GET", "a"});
  CHECK(b.sink.replies[1].empty());
  CHECK(b.log.writes == 0);
  CHECK(b.take() == "+OK\r\n+OK\r\n$1\r\n1\r\n");
  CHECK(b.log.writes == 1);
  CHECK(b.log.lines.size() == 2);
}

TEST_CASE("engine: reads alone are answered at once and leave no line") {
  Bench b;
  b.submit({"GET", "a"});
  CHECK(b.sink.replies[1] == "_\r\n");
  CHECK(b.take() == "_\r\n");
  CHECK(b.log.writes == 0);
}

TEST_CASE(
    "engine: a large value is whole in a batch too, and goes nowhere after CLIENT REPLY OFF") {
  Bench b;
  const std::string value(200'000, 'v');
  b.submit({"SET", "a", value});
  b.submit({"GET", "a"});
  b.submit({"SET", "a", "other"});
  CHECK(b.take() == "+OK\r\n$200000\r\n" + value + "\r\n+OK\r\n");
  b.submit({"SET", "a", value});
  b.take();
  b.session.reply_mode = Session::ReplyMode::skip_next;
  b.submit({"PING"});
  b.submit({"GET", "a"});
  b.submit({"PING"});
  CHECK(b.take() == "+PONG\r\n");
}

TEST_CASE("engine: a write that can change nothing leaves no line, in a pipeline too") {
  Bench b;
  b.submit({"LPOP", "none"});
  b.submit({"RPUSH", "l", "a"});
  b.submit({"LPOP", "l"});
  b.submit({"LPOP", "l"});
  b.submit({"DEL", "l"});
  b.submit({"INCR", "n"});
  b.submit({"RPUSH", "n", "x"});
  const std::string replies = b.take();
  CHECK(replies.starts_with("_\r\n:1\r\n$1\r\na\r\n_\r\n:0\r\n:1\r\n-WRONGTYPE"));
  REQUIRE(b.log.lines.size() == 3);
  CHECK(b.log.lines[0].args[0].first == "RPUSH");
  CHECK(b.log.lines[1].args[0].first == "LPOP");
  CHECK(b.log.lines[2].args[0].first == "INCR");
}

TEST_CASE("engine: a failed log write is answered with an error and not applied") {
  Bench b;
  b.submit({"SET", "kept", "1"});
  b.take();
  const std::string before = b.digest();
  b.log.next_status = {Code::no_space, "the disk is full"};
  b.submit({"SET", "kept", "2"});
  b.submit({"INCR", "n"});
  b.submit({"GET", "kept"});
  CHECK(b.take() == "-MISCONF the disk is full\r\n-MISCONF the disk is full\r\n$1\r\n1\r\n");
  CHECK(b.digest() == before);
  b.log.next_status = {};
  b.submit({"INCR", "n"});
  CHECK(b.take() == ":1\r\n");
}

TEST_CASE("engine: times strictly increase, also when the clock stands still") {
  Bench b;
  for (int i = 0; i < 1000; ++i) b.submit({"SET", "k" + std::to_string(i), "v"});
  b.take();
  REQUIRE(b.log.lines.size() == 1000);
  for (std::size_t i = 1; i < b.log.lines.size(); ++i) {
    REQUIRE(b.log.lines[i].time_ns > b.log.lines[i - 1].time_ns);
  }
}

TEST_CASE("engine: a wall clock that is set back keeps no key alive") {
  const Turned turned;
  Bench b(Turned::clocks());
  b.submit({"SET", "k", "v", "PX", "1500"});
  b.take();
  Turned::wall_ns -= hour_ns;
  b.submit({"SET", "later", "v", "PX", "1500"});
  b.take();
  Turned::pass(1000);
  b.submit({"EXISTS", "k", "later"});
  CHECK(b.take() == ":2\r\n");
  Turned::pass(520);  // a 128th slower, until the wall clock has caught up
  b.submit({"EXISTS", "k", "later"});
  CHECK(b.take() == ":0\r\n");
  b.submit({"SET", "k", "v"});
  b.take();
  REQUIRE(b.log.lines.size() == 3);
  CHECK(b.log.lines[0].time_ns < b.log.lines[1].time_ns);
  CHECK(b.log.lines[1].time_ns < b.log.lines[2].time_ns);
  // After 128 hours it has.
  Turned::pass(129 * 3600 * 1000);
  CHECK(b.engine.now_ns() == Turned::wall_ns);
}

TEST_CASE("engine: a line logged with a clock ahead keeps no key alive after a restart") {
  const Turned turned;
  Bench b(Turned::clocks());
  const std::vector<Scalar> line{"SET", "k", "v", "PX", "1500"};
  const std::int64_t ahead_ns = Turned::wall_ns + 24 * hour_ns;
  REQUIRE(b.engine.replay(ahead_ns, 0, Dialect::resp, line).ok());
  b.submit({"PTTL", "k"});
  CHECK(b.take() == ":1500\r\n");
  Turned::pass(1520);
  b.submit({"EXISTS", "k"});
  CHECK(b.take() == ":0\r\n");
  CHECK(b.engine.now_ns() > ahead_ns);
}

TEST_CASE("engine: time goes on where the log ends, also before its first line") {
  const Turned turned;
  Bench b(Turned::clocks());
  const std::int64_t ahead_ns = Turned::wall_ns + hour_ns;
  b.log.continue_from(ahead_ns);
  b.engine.set_log(&b.log);
  CHECK(b.engine.now_ns() >= ahead_ns);
}

/// Keys of one database whose time has come.
void fill_with_due(Keyspace& keys, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::string key = "k" + std::to_string(i);
    Place place = keys.peek(key, 0);
    keys.set_string(place, Scalar("v"));
    keys.set_expiry(place, 1000);
  }
}

TEST_CASE("engine: expiry stops when its time is up, comes back soon, and ends") {
  const Turned turned;
  Bench b(Turned::clocks());
  Keyspace& keys = b.services.database(3);
  fill_with_due(keys, 10'000);
  Turned::look_ns = 50'000;  // 16 keys take so long, says the clock
  std::int64_t next = b.engine.expire_some();
  const std::size_t first = 10'000 - keys.size();
  CHECK(first >= 16 * 5);
  CHECK(first <= 16 * 12);  // 0.5 ms
  CHECK(next - Turned::steady_ns == 1'000'000);
  // Others had 8 ms: a slice of 4.
  Turned::steady_ns += 8'000'000;
  b.engine.expire_some();
  const std::size_t second = 10'000 - first - keys.size();
  CHECK(second >= 16 * 70);
  CHECK(second <= 16 * 90);
  // However long others had, it is never more than 10 ms.
  Turned::steady_ns += 8'000'000'000;
  b.engine.expire_some();
  CHECK(10'000 - first - second - keys.size() <= 16 * 210);
  int calls = 0;
  for (; keys.size() > 0 && calls < 1000; ++calls) {
    next = b.engine.expire_some();
    if (keys.size() > 0) CHECK(next - Turned::steady_ns == 1'000'000);
    Turned::steady_ns = next;
  }
  CHECK(calls < 100);
  next = b.engine.expire_some();
  CHECK(next - Turned::steady_ns == 100'000'000);
  CHECK(b.services.counters().expired_keys == 10'000);
}

TEST_CASE("engine: a database with many due keys does not keep others from their turn") {
  const Turned turned;
  Bench b(Turned::clocks());
  fill_with_due(b.services.database(0), 100'000);
  fill_with_due(b.services.database(9), 10);
  Turned::look_ns = 50'000;
  b.engine.expire_some();
  b.engine.expire_some();
  CHECK(b.services.database(0).size() > 0);
  CHECK(b.services.database(9).size() == 0);
}

TEST_CASE("engine: before authentication only what lets one in is answered (A3)") {
  Bench b;
  b.session.authenticated = false;
  for (const Command* command : all_commands()) {
    if ((command->flags & kNoAuth) != 0) continue;
    std::vector<std::string> words{std::string(command->name)};
    const auto least = static_cast<std::size_t>(std::abs(command->arity));
    while (words.size() < least) words.emplace_back("x");
    b.submit(words);
    INFO(command->name);
    CHECK(b.take() == "-NOAUTH Authentication required.\r\n");
  }
  CHECK(b.log.lines.empty());
  CHECK(b.digest() == std::string(40, '0'));
}

TEST_CASE("engine: errors of dispatch have Redis's words") {
  Bench b;
  b.submit({"nosuch", "a", "b"});
  CHECK(b.take() == "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n");
  b.submit({std::string("no\0such", 7), std::string("a\0b", 3)});
  CHECK(b.take() == "-ERR unknown command 'no', with args beginning with: 'a' \r\n");
  b.submit({"nosuch", "a", std::string(200, 'x')});
  CHECK(b.take() == "-ERR unknown command 'nosuch', with args beginning with: 'a' '" +
                        std::string(124, 'x') + "' \r\n");
  b.submit({"GET"});
  CHECK(b.take() == "-ERR wrong number of arguments for 'get' command\r\n");
  b.engine.set_loading(true);
  b.submit({"GET", "k"});
  CHECK(b.take().starts_with("-LOADING "));
}

TEST_CASE("engine: what was rejected and what failed is counted where it belongs") {
  Bench b;
  auto& stats = b.services.counters().commands;
  const auto is = [&](const char* name, std::uint64_t calls, std::uint64_t rejected,
                      std::uint64_t failed) {
    INFO(name);
    REQUIRE(stats.contains(name));
    CHECK(stats[name].calls == calls);
    CHECK(stats[name].rejected == rejected);
    CHECK(stats[name].failed == failed);
  };
  const auto& place = stats["get"];
  b.submit({"SET", "k", "v"});
  b.submit({"GET"});
  b.submit({"RPUSH", "k", "x"});
  b.submit({"NOSUCH"});
  b.submit({"CONFIG"});
  b.submit({"CONFIG", "NOSUCH"});
  b.submit({"CONFIG", "SET", "port"});
  b.submit({"config", "set", "nosuch", "1"});
  b.submit({"DEBUG", "NOSUCH"});
  b.submit({"DEBUG", "SLEEP", "0"});
  b.log.next_status = {Code::no_space, "cannot write"};
  b.submit({"DEL", "k"});
  b.engine.finish();
  b.engine.refuse_writes("MISCONF the log is closed");
  b.submit({"DEL", "k"});
  b.engine.set_loading(true);
  b.submit({"GET", "k"});
  b.submit({"MEMORY", "usage", "k"});
  b.session.authenticated = false;
  b.submit({"TYPE"});
  b.submit({"CLIENT", "ID"});
  b.take();
  CHECK(&place == &stats["get"]);
  is("set", 1, 0, 0), is("get", 0, 2, 0), is("rpush", 1, 0, 1), is("config", 0, 1, 0);
  is("config|set", 1, 1, 1), is("debug", 2, 0, 1), is("del", 0, 2, 0), is("memory|usage", 0, 1, 0);
  is("type", 0, 1, 0), is("client|id", 0, 1, 0);
  std::map<std::string_view, std::uint64_t> errors;
  for (const ErrorCounts::Row& row : b.services.counters().errors) errors[row.word()] = row.count;
  CHECK(errors == std::map<std::string_view, std::uint64_t>{
                      {"ERR", 7}, {"LOADING", 2}, {"MISCONF", 2}, {"NOAUTH", 2}, {"WRONGTYPE", 1}});
  CHECK(b.services.counters().error_replies == 14);
}

TEST_CASE("engine: CLIENT REPLY silences refusals too, and SKIP ends with the one request") {
  Bench b;
  using Mode = Session::ReplyMode;
  b.submit({"CLIENT", "REPLY", "SKIP"});
  b.submit({"GET"});
  b.submit({"ECHO", "e"});
  CHECK(b.take() == "$1\r\ne\r\n");
  b.submit({"SET", "a", "1"});
  b.submit({"CLIENT", "REPLY", "SKIP"});
  b.submit({"nosuch"});
  b.submit({"nosuch"});
  CHECK(b.take() == "+OK\r\n-ERR unknown command 'nosuch', with args beginning with: \r\n");
  b.submit({"CLIENT", "REPLY", "OFF"});
  b.submit({"GET"});
  b.engine.refuse_for_memory(b.session);
  b.log.next_status = {Code::no_space, "the disk is full"};
  b.submit({"SET", "a", "2"});
  CHECK(b.take().empty());
  CHECK(b.session.reply_mode == Mode::off);
  CHECK(b.services.counters().error_replies == 6);
  b.engine.set_loading(true);
  b.session.reply_mode = Mode::skip_next;
  b.submit({"GET", "a"});
  CHECK(b.session.reply_mode == Mode::skipping);
  b.submit({"GET", "a"});
  CHECK(b.take().empty());
  CHECK(b.session.reply_mode == Mode::on);
}

TEST_CASE("engine: an answer never overtakes an earlier one of its connection") {
  Bench b;
  b.submit({"SET", "a", "1"});
  b.submit({"nosuch"});
  b.submit({"SET", "b", "1"});
  b.submit({"GET"});
  b.submit({"PING"});
  b.submit({"SELECT", "1"});
  b.submit({"EXISTS", "a"});
  const std::string replies = b.take();
  CHECK(replies ==
        "+OK\r\n-ERR unknown command 'nosuch', with args beginning with: \r\n+OK\r\n"
        "-ERR wrong number of arguments for 'get' command\r\n+PONG\r\n+OK\r\n:0\r\n");
  CHECK(b.log.lines.size() == 2);
}

/// Some command over few keys, so that pipelines touch the same ones.
std::vector<std::string> some_command(std::mt19937& random) {
  const auto pick = [&](unsigned n) { return std::to_string(random() % n); };
  const std::string key = "k" + pick(4);
  switch (random() % 12) {
    case 0: return {"SET", key, pick(100)};
    case 1: return {"INCR", key};
    case 2: return {"RPUSH", key, pick(10), pick(10)};
    case 3: return {"LPOP", key};
    case 4: return {"HSET", key, "f" + pick(3), pick(10)};
    case 5: return {"HDEL", key, "f" + pick(3)};
    case 6: return {"DEL", key, "k" + pick(4)};
    case 7: return {"APPEND", key, pick(1000)};
    case 8: return {"LREM", key, "0", pick(10)};
    case 9: return {"MSET", key, pick(10), "k" + pick(4), pick(10)};
    case 10: return {"RENAME", key, "k" + pick(4)};
    default: return {"EXPIRE", key, "1000"};
  }
}

TEST_CASE(
    "engine: replaying the log gives the state, and pipelines the replies of single requests") {
  const unsigned seed = GENERATE(1U, 2U, 3U, 4U, 5U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  Bench piped, single;
  std::string piped_replies, single_replies;
  for (int round = 0; round < 300; ++round) {
    const auto depth = 1 + random() % 20;
    for (unsigned i = 0; i < depth; ++i) {
      const std::vector<std::string> words = some_command(random);
      piped.submit(words);
      single.submit(words);
      single_replies += single.take();
    }
    piped_replies += piped.take();
  }
  CHECK(piped_replies == single_replies);
  CHECK(piped.digest() == single.digest());
  CHECK(piped.log.lines.size() == single.log.lines.size());

  FakeServices fresh;
  FakeSink sink;
  Engine replayer(fresh, sink);
  for (const FakeLog::Line& line : piped.log.lines) {
    std::vector<Scalar> args;
    for (const auto& [bytes, kind] : line.args) args.emplace_back(bytes, kind);
    REQUIRE(replayer.replay(line.time_ns, line.database, line.dialect, args).ok());
  }
  std::vector<Keyspace*> all;
  for (unsigned i = 0; i < fresh.databases(); ++i) all.push_back(&fresh.database(i));
  CHECK(dataset_digest(all) == piped.digest());
}

TEST_CASE("engine: a reply without memory costs its own session, not what came with it") {
  Bench b;
  Session other;
  other.id = 2;
  other.authenticated = true;
  const std::vector<Scalar> first{"SET", "a", "1"}, read{"GET", "a"}, second{"SET", "b", "2"};
  b.sink.no_memory_for = other.id;
  b.engine.submit(b.session, first);
  b.engine.submit(other, read);
  b.engine.submit(b.session, second);
  b.engine.submit(other, {{Scalar("NOSUCH")}});  // and a refusal
  b.engine.finish();
  CHECK(b.sink.lost == std::vector<std::uint64_t>{2, 2});
  CHECK(b.sink.replies[1] == "+OK\r\n+OK\r\n");
  CHECK(b.log.lines.size() == 2);
  b.submit({"MGET", "a", "b"});
  CHECK(b.sink.replies[1].ends_with("*2\r\n$1\r\n1\r\n$1\r\n2\r\n"));
}

TEST_CASE("engine: what came last is known by its subcommand too, for CLIENT LIST") {
  Bench b;
  b.submit({"CONFIG", "GET", "port"});
  CHECK(b.session.last_command == "config");
  CHECK(b.session.last_subcommand == "get");
  b.submit({"CLIENT", "INFO"});
  CHECK(b.take().find(" cmd=client|info ") != std::string::npos);
  b.submit({"get", "k"});
  b.take();
  CHECK(b.session.last_command == "get");
  CHECK(b.session.last_subcommand.empty());
  b.submit({"CONFIG", "NOSUCH"});
  b.take();
  CHECK(b.session.last_command == "config");
  CHECK(b.session.last_subcommand.empty());
}

TEST_CASE("engine: a word means the command it names, whatever came before") {
  Bench b;
  b.submit({"SET", "a", "1"});
  for (const char* word : {"SET", "SE", "SETT", "", "set", "GET", "Get", "GETT", "get"}) {
    b.submit({word, "a"});
  }
  const std::string arity = "-ERR wrong number of arguments for 'set' command\r\n";
  const auto unknown = [](const std::string& word) {
    return "-ERR unknown command '" + word + "', with args beginning with: 'a' \r\n";
  };
  CHECK(b.take() == "+OK\r\n" + arity + unknown("SE") + unknown("SETT") + unknown("") + arity +
                        "$1\r\n1\r\n$1\r\n1\r\n" + unknown("GETT") + "$1\r\n1\r\n");
}

TEST_CASE("engine: a slow disk makes no command slow, a slow command only itself") {
  Bench b;
  SlowLog& slow = b.services.counters().slow;
  slow.threshold_us = 500'000;
  b.log.takes = std::chrono::milliseconds(700);
  b.submit({"SET", "a", "1"});
  b.submit({"GET", "a"});
  b.take();
  CHECK(slow.entries().empty());
  b.log.takes = {};
  b.services.sleeps = true;
  b.submit({"GET", "a"});
  b.submit({"DEBUG", "SLEEP", "0.7"});
  b.submit({"GET", "a"});
  b.take();
  REQUIRE(slow.entries().size() == 1);
  CHECK(slow.entries().front().args.front() == "DEBUG");
  CHECK(b.engine.busy_us() > 500'000);
  CHECK(b.engine.busy_us() < 1'200'000);
}

TEST_CASE("engine: what may take long waits in a batch with few of its kind") {
  Bench b;
  b.submit({"SET", "a", "1"});
  for (int i = 0; i < 3; ++i) b.submit({"LRANGE", "l", "0", "-1"});
  for (int i = 0; i < 50; ++i) b.submit({"GET", "a"});  // quick ones do not count
  CHECK(b.log.writes == 0);
  b.submit({"LREM", "l", "0", "x"});  // a write that changes nothing is like a read
  CHECK(b.log.writes == 1);
  CHECK(b.sink.replies[1].starts_with("+OK\r\n*0\r\n*0\r\n*0\r\n$1\r\n1\r\n"));
  CHECK(b.sink.replies[1].ends_with("$1\r\n1\r\n:0\r\n"));
  for (int i = 0; i < 50; ++i) b.submit({"SET", "k" + std::to_string(i), "1"});
  CHECK(b.log.writes < 10);  // 1, or more where two keys share a mark
}

TEST_CASE("engine: marks of a batch long ago are not this one's, also after 2^32 batches") {
  TouchedKeys touched(UINT32_MAX);
  touched.add(77, 900);
  CHECK(touched.contains(77));
  touched.clear();
  CHECK_FALSE(touched.contains(77));
  CHECK_FALSE(touched.contains(5));  // never marked
  touched.add(5, 1);
  CHECK(touched.contains(5));
  CHECK(touched.noted(5) == 1);
}

TEST_CASE("engine: replay refuses what it cannot know") {
  Bench b;
  const std::vector<Scalar> unknown{"NOSUCH", "x"};
  CHECK(b.engine.replay(1, 0, Dialect::resp, unknown).code() == Code::unsupported);
  const std::vector<Scalar> set{"SET", "k", "v"};
  CHECK(b.engine.replay(1, 99, Dialect::resp, set).code() == Code::limit);
  CHECK(b.engine.replay(1, 0, Dialect::resp, set).ok());
}

}  // namespace
}  // namespace kv::test
