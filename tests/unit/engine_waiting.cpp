// The engine: requests that wait for a list or a sorted set. Who is served by what, in which order,
// what the log says about it, and how a wait ends.
#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/command_talk.hpp"
#include "tests/unit/engine_fixture.hpp"

namespace kv::test {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("engine/waiting: what finds no list waits, and the push that feeds it serves it") {
  Bench b;
  Session& worker = b.another();
  b.submit(worker, {"BLPOP", "other", "jobs", "0"});
  CHECK(b.take(worker).empty());
  CHECK(worker.waiting);
  CHECK(worker.last_command == "blpop");
  CHECK(b.sink.waiting.contains(worker.id));
  CHECK(b.engine.waiting() == 1);
  b.submit({"RPUSH", "jobs", "a", "b"});
  CHECK(b.take() == ":2\r\n");
  CHECK(b.take(worker) == "*2\r\n$4\r\njobs\r\n$1\r\na\r\n");
  CHECK_FALSE(worker.waiting);
  CHECK(b.sink.waiting.empty());
  CHECK(b.engine.waiting() == 0);
  CHECK(b.log.texts() == Words{"RPUSH jobs a b", "BLPOP jobs 0"});
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/waiting: with a list at hand nothing waits, and it joins the batch") {
  Bench b;
  b.submit({"RPUSH", "k", "a", "b", "c", "d"});
  b.submit({"BRPOP", "k", "0"});
  CHECK(b.take() == ":4\r\n*2\r\n$1\r\nk\r\n$1\r\nd\r\n");
  b.submit({"SET", "s", "1"});
  b.submit({"BLMPOP", "0", "2", "none", "k", "LEFT", "COUNT", "2"});
  b.submit({"BLMOVE", "k", "l", "LEFT", "RIGHT", "0"});
  CHECK(b.take() == "+OK\r\n*2\r\n$1\r\nk\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
  CHECK(b.engine.waiting() == 0);
  CHECK(replayed(b.log) == b.digest());
  const int writes = b.log.writes;
  b.submit({"RPUSH", "x", "1"});
  b.submit({"BLPOP", "l", "0"});
  b.submit({"RPUSH", "y", "1"});
  CHECK(b.take() == ":1\r\n*2\r\n$1\r\nl\r\n$1\r\nc\r\n:1\r\n");
  CHECK(b.log.writes == writes + 1);
}

TEST_CASE("engine/waiting: who waited first is served first, each by what it wants") {
  Bench b;
  Session &first = b.another(), &second = b.another(), &third = b.another();
  b.submit(first, {"BRPOP", "k", "0"});
  b.submit(second, {"BLPOP", "j", "k", "0"});
  b.submit(third, {"BLPOP", "k", "0"});
  b.submit({"RPUSH", "k", "a", "b"});
  CHECK(b.take(first) == "*2\r\n$1\r\nk\r\n$1\r\nb\r\n");
  CHECK(b.take(second) == "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
  CHECK(b.take(third).empty());
  b.submit({"LPUSH", "k", "c"});
  CHECK(b.take(third) == "*2\r\n$1\r\nk\r\n$1\r\nc\r\n");
  b.submit({"RPUSH", "j", "nobody"});  // second has had its answer
  b.submit({"EXISTS", "k", "j"});
  CHECK(b.take() == ":2\r\n:1\r\n:1\r\n:1\r\n");
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/waiting: nobody takes from a list before those who wait for it") {
  Bench b;
  Session& worker = b.another();
  b.submit(worker, {"BLPOP", "k", "0"});
  b.submit({"RPUSH", "k", "a"});
  b.submit({"LPOP", "k"});  // in the same batch
  b.submit({"RPUSH", "k", "b"});
  CHECK(b.take() == ":1\r\n_\r\n:1\r\n");
  CHECK(b.take(worker) == "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
  CHECK(b.log.texts() == Words{"RPUSH k a", "BLPOP k 0", "RPUSH k b"});
}

TEST_CASE("engine/waiting: what is moved to a list feeds who waits for that") {
  Bench b;
  Session &first = b.another(), &second = b.another(), &third = b.another();
  b.submit(first, {"BLMOVE", "a", "b", "LEFT", "RIGHT", "0"});
  b.submit(second, {"BRPOPLPUSH", "b", "c", "0"});
  b.submit(third, {"BLMPOP", "0", "1", "c", "LEFT"});
  b.submit({"RPUSH", "a", "x"});
  CHECK(b.take() == ":1\r\n");
  CHECK(b.take(first) == "$1\r\nx\r\n");
  CHECK(b.take(second) == "$1\r\nx\r\n");
  CHECK(b.take(third) == "*2\r\n$1\r\nc\r\n*1\r\n$1\r\nx\r\n");
  b.submit({"DBSIZE"});
  CHECK(b.take() == ":0\r\n");
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/waiting: who waits for a sorted set is served by one, not by a list") {
  Bench b;
  Session &lowest = b.another(), &list = b.another(), &several = b.another();
  b.submit(lowest, {"BZPOPMIN", "other", "k", "0"});
  b.submit(list, {"BLPOP", "k", "0"});
  b.submit(several, {"BZMPOP", "0", "2", "k", "j", "MAX", "COUNT", "2"});
  CHECK(b.engine.waiting() == 3);
  b.submit({"RPUSH", "k", "a"});
  CHECK(b.take() == ":1\r\n");
  CHECK(b.take(list) == "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
  CHECK(b.engine.waiting() == 2);
  b.submit({"ZADD", "k", "1", "x", "2", "y", "3", "z"});
  CHECK(b.take() == ":3\r\n");
  CHECK(b.take(lowest) == "*3\r\n$1\r\nk\r\n$1\r\nx\r\n$1\r\n1\r\n");
  CHECK(b.take(several).starts_with("*2\r\n$1\r\nk\r\n*2\r\n*2\r\n$1\r\nz\r\n"));
  b.submit({"EXISTS", "k"});
  CHECK(b.take() == ":0\r\n");
  CHECK(b.log.texts() == Words{"RPUSH k a", "BLPOP k 0", "ZADD k 1 x 2 y 3 z", "BZPOPMIN k 0",
                               "BZMPOP 0 1 k MAX COUNT 2"});
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/waiting: of several keys the one that was fed first serves") {
  Bench b;
  Session &one = b.another(), &some = b.another(), &list = b.another();
  b.submit(one, {"BZPOPMIN", "p", "q", "0"});
  b.submit(some, {"BZMPOP", "0", "3", "x", "p", "q", "MAX", "COUNT", "5"});
  b.submit(list, {"BRPOP", "l", "m", "n", "0"});
  for (const Words& words :
       {Words{"MULTI"}, Words{"ZADD", "q", "1", "a"}, Words{"RPUSH", "m", "c"},
        Words{"ZADD", "p", "2", "b"}, Words{"RPUSH", "l", "d"}, Words{"EXEC"}}) {
    b.submit(words);
  }
  CHECK(b.take(one) == "*3\r\n$1\r\nq\r\n$1\r\na\r\n$1\r\n1\r\n");
  CHECK(b.take(some).starts_with("*2\r\n$1\r\np\r\n*1\r\n*2\r\n$1\r\nb\r\n"));
  CHECK(b.take(list) == "*2\r\n$1\r\nm\r\n$1\r\nc\r\n");
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/waiting: a sorted set that is stored feeds who waits for its key") {
  Bench b;
  Session &first = b.another(), &second = b.another(), &source = b.another();
  b.submit({"ZADD", "a", "1", "x"});
  b.take();
  b.submit(first, {"BZPOPMAX", "d", "0"});
  b.submit({"ZUNIONSTORE", "d", "1", "a"});
  CHECK(b.take() == ":1\r\n");
  CHECK(b.take(first) == "*3\r\n$1\r\nd\r\n$1\r\nx\r\n$1\r\n1\r\n");
  b.submit(second, {"BZPOPMAX", "d", "0"});
  b.submit(source, {"BZPOPMAX", "e", "0"});
  b.submit({"ZRANGESTORE", "d", "a", "0", "-1"});
  CHECK(b.take() == ":1\r\n");
  CHECK(b.take(second) == "*3\r\n$1\r\nd\r\n$1\r\nx\r\n$1\r\n1\r\n");
  CHECK(b.take(source).empty());
  CHECK(b.engine.waiting() == 1);
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/waiting: however long a chain of moves is, it needs no deeper stack") {
  Bench b;
  constexpr int links = 20'000;
  for (int i = 0; i < links; ++i) {
    b.submit(b.another(),
             {"BLMOVE", std::to_string(i), std::to_string(i + 1), "LEFT", "LEFT", "0"});
  }
  b.submit({"RPUSH", "0", "x"});
  b.submit({"LRANGE", std::to_string(links), "0", "-1"});
  CHECK(b.take() == ":1\r\n*1\r\n$1\r\nx\r\n");
  CHECK(b.engine.waiting() == 0);
}

TEST_CASE("engine/waiting: a list that comes by another way feeds as well, in its database only") {
  Bench b;
  Session &here = b.another(0), &there = b.another(1), &mover = b.another(2);
  const auto wait = [&] {
    b.submit(here, {"BLPOP", "k", "0"});
    b.submit(there, {"BLPOP", "k", "0"});
  };
  wait();
  b.submit({"RPUSH", "l", "renamed"});
  b.submit({"RENAME", "l", "k"});
  CHECK(b.take(here) == "*2\r\n$1\r\nk\r\n$7\r\nrenamed\r\n");
  CHECK(b.take(there).empty());
  b.submit(mover, {"RPUSH", "k", "moved"});
  b.submit(mover, {"MOVE", "k", "1"});
  CHECK(b.take(there) == "*2\r\n$1\r\nk\r\n$5\r\nmoved\r\n");
  wait();
  b.submit(mover, {"RPUSH", "l", "copied"});
  b.submit(mover, {"COPY", "l", "k", "DB", "1"});
  CHECK(b.take(there) == "*2\r\n$1\r\nk\r\n$6\r\ncopied\r\n");
  CHECK(b.take(here).empty());
  b.submit(mover, {"RPUSH", "k", "swapped"});
  b.submit(mover, {"SWAPDB", "0", "2"});
  CHECK(b.take(here) == "*2\r\n$1\r\nk\r\n$7\r\nswapped\r\n");
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/waiting: what is no list, or no longer one, serves nobody") {
  Bench b;
  Session& worker = b.another();
  b.submit(worker, {"BLPOP", "k", "0"});
  b.submit({"SET", "k", "v"});
  b.submit({"DEL", "k"});
  b.submit({"HSET", "k", "f", "v"});
  CHECK(b.take() == "+OK\r\n:1\r\n:1\r\n");
  CHECK(b.take(worker).empty());
  b.submit(b.another(), {"BLPOP", "k", "0"});
  CHECK(b.sink.replies[3].starts_with("-WRONGTYPE"));
  b.submit({"DEL", "k"});
  b.submit({"RPUSH", "k", "v"});
  CHECK(b.take(worker) == "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
}

TEST_CASE("engine/waiting: a list that expires before the pop's line serves nobody") {
  Turned clock;
  Bench b(Turned::clocks());
  Session& worker = b.another();
  b.submit(worker, {"BLPOP", "k", "0"});
  const std::int64_t end_ms = Turned::wall_ns / 1'000'000 + 1;
  Turned::wall_ns = end_ms * 1'000'000 - 3;  // where it stays: each line is a nanosecond later
  b.submit({"RPUSH", "list", "a"});
  b.submit({"PEXPIREAT", "list", std::to_string(end_ms)});
  b.submit({"RENAME", "list", "k"});
  CHECK(b.take() == ":1\r\n:1\r\n+OK\r\n");
  CHECK(b.take(worker).empty());
  CHECK(worker.waiting);
  b.submit({"RPUSH", "k", "b"});
  CHECK(b.take(worker) == "*2\r\n$1\r\nk\r\n$1\r\nb\r\n");
}

TEST_CASE("engine/waiting: where the move has no place to go the element stays") {
  Bench b;
  Session &first = b.another(), &second = b.another();
  b.submit({"SET", "s", "v"});
  b.submit(first, {"BLMOVE", "k", "s", "LEFT", "LEFT", "0"});
  b.submit(second, {"BLPOP", "k", "0"});
  b.submit({"RPUSH", "k", "a"});
  CHECK(b.take(first).starts_with("-WRONGTYPE"));
  CHECK(b.take(second) == "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
}

TEST_CASE("engine/waiting: a wait ends with its time, which is answered null and logged nowhere") {
  Turned clock;
  Bench b(Turned::clocks());
  Session &half = b.another(), &second = b.another(), &ever = b.another();
  b.submit(second, {"BLPOP", "k", "1"});
  b.submit(half, {"BLMOVE", "k", "l", "LEFT", "LEFT", "0.4999"});
  b.submit(ever, {"BRPOP", "k", "0"});
  CHECK(b.engine.next_wait_end_ns() - Turned::steady_ns == 500'000'000);
  Turned::pass(499);
  CHECK_FALSE(b.engine.end_overdue_waits());
  Turned::pass(1);
  CHECK(b.engine.end_overdue_waits());
  CHECK(b.take(half) == "*-1\r\n");
  CHECK_FALSE(half.waiting);
  CHECK(b.take(second).empty());
  Turned::pass(500);
  CHECK(b.engine.end_overdue_waits());
  CHECK(b.take(second) == "*-1\r\n");
  CHECK(b.engine.next_wait_end_ns() == INT64_MAX);
  CHECK(b.engine.waiting() == 1);
  CHECK(b.sink.waiting == std::set<std::uint64_t>{ever.id});
  CHECK(b.log.lines.empty());
  CHECK(b.services.counters().commands["blpop"].calls == 1);
}

TEST_CASE("engine/waiting: times to wait that are none are refused at once") {
  Bench b;
  const auto answer = [&](Words words) {
    b.submit(std::move(words));
    return b.take();
  };
  CHECK(answer({"BLPOP", "k", "-0.0001"}) == "-ERR timeout is negative\r\n");
  CHECK(answer({"BLPOP", "k", "soon"}) == "-ERR timeout is not a float or out of range\r\n");
  CHECK(answer({"BLPOP", "k", "1e300"}) == "-ERR timeout is out of range\r\n");
  CHECK(answer({"BLMPOP", "x", "1", "k", "LEFT"}).starts_with("-ERR timeout"));
  CHECK(answer({"BLMPOP", "0", "2", "k", "LEFT"}) == "-ERR syntax error\r\n");
  CHECK(answer({"BLMOVE", "k", "l", "LEFT", "UP", "0"}) == "-ERR syntax error\r\n");
  CHECK(answer({"BRPOPLPUSH", "k", "0"}).starts_with("-ERR wrong number"));
  CHECK(b.engine.waiting() == 0);
  CHECK(answer({"BLPOP", "k", "9e15"}).empty());  // some 285 million years
  CHECK(b.engine.next_wait_end_ns() == INT64_MAX);
}

TEST_CASE("engine/waiting: who has withdrawn takes nothing and is answered when it is told") {
  Bench b;
  Session &killed = b.another(), &told = b.another();
  b.submit(killed, {"BLPOP", "k", "0"});
  b.submit(told, {"BLPOP", "k", "0"});
  CHECK(b.engine.withdraw_wait(killed));
  CHECK(b.engine.withdraw_wait(told));
  CHECK_FALSE(b.engine.withdraw_wait(told));
  b.submit({"RPUSH", "k", "a"});
  CHECK(b.take(killed).empty());
  b.engine.end_wait(told, "UNBLOCKED by somebody");
  CHECK(b.take(told) == "-UNBLOCKED by somebody\r\n");
  CHECK_FALSE(told.waiting);
  b.submit({"LLEN", "k"});
  CHECK(b.take() == ":1\r\n:1\r\n");
}

TEST_CASE("engine/waiting: who waits for very many keys holds up nobody") {
  Bench b;
  Session &worker = b.another(), &other = b.another();
  other.database = 1;
  std::vector<std::string> keys;
  for (int i = 0; i < 200'000; ++i) keys.push_back("k" + std::to_string(i));
  Words words = keys;
  words.insert(words.begin(), "BLPOP");
  words.push_back("0");
  const std::vector<Scalar> args(words.begin(), words.end());
  const auto start = std::chrono::steady_clock::now();
  b.engine.submit(worker, args);
  b.submit({"RPUSH", "list", "a", "b"});
  for (int i = 0; i < 1000; ++i) b.submit({"LMPOP", "1", "list", "LEFT"});
  b.submit({"FLUSHALL"});
  CHECK(worker.waiting);
  b.submit(other, {"RPUSH", keys.back(), "x"});
  b.submit({"SWAPDB", "0", "1"});
  CHECK(b.take(worker) == "*2\r\n$7\r\n" + keys.back() + "\r\n$1\r\nx\r\n");
  b.engine.submit(worker, args);
  b.submit({"SWAPDB", "0", "1"});
  CHECK(b.engine.withdraw_wait(worker));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("engine/waiting: without a log it waits and is served all the same") {
  Bench b;
  b.engine.set_log(nullptr);
  Session& worker = b.another();
  b.submit(worker, {"BLPOP", "k", "0"});
  CHECK(worker.waiting);
  b.submit({"RPUSH", "k", "a"});
  CHECK(b.take(worker) == "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
}

TEST_CASE("engine/waiting: a push that cannot be logged serves nobody, a pop that cannot says so") {
  Bench b;
  Session& worker = b.another();
  b.submit(worker, {"BLPOP", "k", "0"});
  b.log.next_status = {Code::io, "no room"};
  b.submit({"RPUSH", "k", "a"});
  CHECK(b.take() == "-MISCONF no room\r\n");
  CHECK(b.take(worker).empty());
  CHECK(worker.waiting);
  b.log.next_status = {};
  b.submit({"RPUSH", "k", "a"});
  CHECK(b.take(worker) == "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
}

TEST_CASE("engine/waiting: replies that are switched off stay so") {
  Bench b;
  Session& worker = b.another();
  worker.reply_mode = Session::ReplyMode::off;
  b.submit(worker, {"BLPOP", "k", "0"});
  b.submit({"RPUSH", "k", "a", "b"});
  b.submit({"LLEN", "k"});
  CHECK(b.take() == ":2\r\n:1\r\n");
  CHECK_FALSE(worker.waiting);
  CHECK(b.take(worker).empty());
}

Words random_request(std::mt19937& random) {
  const auto pick = [&](unsigned n) { return random() % n; };
  const auto key = [&] { return "k" + std::to_string(pick(4)); };
  const std::string a = key(), b = key();
  switch (pick(16)) {
    case 0: return {"RPUSH", a, "x"};
    case 1: return {"LPUSH", a, "y", "z"};
    case 2: return {"LPOP", a};
    case 3: return {"SET", a, "v"};
    case 4: return {"DEL", a, b};
    case 5: return {"RENAME", a, b};
    case 6: return {"COPY", a, b, "DB", std::to_string(pick(2)), "REPLACE"};
    case 7: return {"MOVE", a, std::to_string(pick(2))};
    case 8: return {"SWAPDB", "0", "1"};
    case 9: return {"LMOVE", a, b, "LEFT", "RIGHT"};
    case 10:
    case 11: return {"BLPOP", a, b, a, "0"};
    case 12: return {"BRPOP", a, pick(2) == 0 ? "0" : "0.05"};
    case 13: return {"BLMOVE", a, b, "RIGHT", "LEFT", "0"};
    case 14: return {"BRPOPLPUSH", a, b, "0.1"};
    default: return {"BLMPOP", "0", "2", a, b, "LEFT", "COUNT", "2"};
  }
}

/// What each waiting session waits for, as the test saw it sent.
void check_nobody_is_forgotten(Bench& b, const std::map<Session*, Words>& sent) {
  for (const auto& [session, words] : sent) {
    if (!session->waiting) continue;
    const Command* const command = find_command(words[0]);
    const std::size_t count = words[0] == "BLMPOP" ? 2 : words[0] == "BLPOP" ? 3 : 1;
    const std::size_t first = words[0] == "BLMPOP" ? 3 : 1;
    REQUIRE((command->flags & kBlocking) != 0);
    for (std::size_t i = first; i < first + count; ++i) {
      Keyspace& keys = b.services.database(session->database);
      Place place = keys.peek(words[i], b.engine.now_ns() / 1'000'000);
      CAPTURE(words, i, session->database);
      CHECK(keys.type(place) != Type::list);
    }
  }
}

TEST_CASE(
    "engine/waiting: whatever comes, no list is left to who waits for it, and a replay agrees") {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Turned clock;
    Bench b(Turned::clocks());
    std::map<Session*, Words> sent;
    std::vector<Session*> clients;
    for (unsigned i = 0; i < 8; ++i) clients.push_back(&b.another(i % 2));
    std::map<std::uint64_t, unsigned> asked;
    for (int step = 0; step < 200; ++step) {
      Session* client = clients[random() % clients.size()];
      if (client->waiting) client = clients.front();
      do sent[client] = random_request(random);
      while (client == clients.front() && sent[client][0].starts_with('B'));  // it never waits
      ++asked[client->id];
      b.submit(*client, sent[client]);
      if (random() % 3 != 0) continue;  // a batch
      b.engine.finish();
      Turned::pass(random() % 20);
      b.engine.end_overdue_waits();
      check_nobody_is_forgotten(b, sent);
    }
    b.engine.finish();
    check_nobody_is_forgotten(b, sent);
    CHECK(replayed(b.log) == b.digest());
    for (Session* client : clients) {
      // One reply to each request, but for the one that waits.
      std::string_view replies = b.sink.replies[client->id];
      unsigned answered = 0;
      for (; !replies.empty(); ++answered) (void)readable(replies);
      CHECK(answered + (client->waiting ? 1 : 0) == asked[client->id]);
    }
  }
}

}  // namespace
}  // namespace kv::test
