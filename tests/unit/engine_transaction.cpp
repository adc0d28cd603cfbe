// The engine: MULTI, EXEC and WATCH. What is queued is one line of the log, applied as one.
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "libkv/base/limits.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/engine_fixture.hpp"

namespace kv::test {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("engine/transaction: what is queued is logged with one line and carried out as one") {
  Bench b;
  b.submit({"MULTI"});
  b.submit({"SET", "a", "1"});
  b.submit({"INCR", "a"});
  b.submit({"GET", "a"});
  b.submit({"SELECT", "3"});
  b.submit({"RPUSH", "l", "", "x\ny"});
  CHECK(b.take() == "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  CHECK(b.log.lines.empty());
  CHECK(b.services.database(0).size() == 0);
  b.submit({"EXEC"});
  CHECK(b.take() == "*5\r\n+OK\r\n:2\r\n$1\r\n2\r\n+OK\r\n:2\r\n");
  CHECK(b.log.texts() == Words{"EXEC 3 SET a 1 2 INCR a 2 SELECT 3 4 RPUSH l  x\ny"});
  CHECK(b.log.lines[0].database == 0);
  CHECK(b.log.lines[0].args[1].second == Kind::number);
  CHECK(b.session.database == 3);
  CHECK(b.log.writes == 1);
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/transaction: nobody else's request comes between") {
  Bench b;
  Session& other = b.another();
  b.submit({"MULTI"});
  b.submit({"INCR", "n"});
  b.submit(other, {"INCR", "n"});
  b.submit({"INCR", "n"});
  b.submit({"EXEC"});
  b.submit(other, {"GET", "n"});
  CHECK(b.take() == "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n:3\r\n");
  CHECK(b.take(other) == ":1\r\n$1\r\n3\r\n");
  CHECK(b.log.texts() == Words{"INCR n", "EXEC 2 INCR n 2 INCR n"});
}

TEST_CASE("engine/transaction: what changes nothing leaves no line, nor do its reads") {
  Bench b;
  const auto transaction = [&](std::vector<Words> requests) {
    b.submit({"MULTI"});
    for (Words& request : requests) b.submit(std::move(request));
    b.submit({"EXEC"});
    (void)b.take();
  };
  transaction({});
  transaction({{"GET", "a"}, {"LPOP", "queue"}, {"SELECT", "1"}, {"DEL", "none"}});
  CHECK(b.session.database == 1);
  CHECK(b.log.lines.empty());
  transaction({{"LPOP", "queue"}, {"SET", "a", "1"}, {"GET", "a"}});
  CHECK(b.log.texts() == Words{"EXEC 2 LPOP queue 3 SET a 1"});
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/transaction: its line means the same however many databases there are") {
  Bench b;
  b.submit({"MULTI"});
  b.submit({"SELECT", "99"});
  b.submit({"SET", "k", "1"});
  b.submit({"MOVE", "k", "99"});
  b.submit({"COPY", "k", "k", "DB", "99"});
  b.submit({"SWAPDB", "0", "99"});
  b.submit({"SELECT", "-1"});
  b.submit({"SELECT", "2"});
  b.submit({"SELECT", "x"});
  b.submit({"SET", "k", "2"});
  b.submit({"EXEC"});
  CHECK(b.session.database == 2);
  CHECK(b.log.texts() == Words{"EXEC 3 SET k 1 2 SELECT -1 2 SELECT 2 2 SELECT x 3 SET k 2"});
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/transaction: a line for a database that is not there is not carried out") {
  Bench b;
  b.submit({"SET", "k", "1"});
  (void)b.take();
  const auto replay = [&](const std::vector<Scalar>& args) {
    const Status done = b.engine.replay(1, 0, Dialect::resp, args);
    CHECK(done.code() == Code::limit);
    return done.message();
  };
  const std::string why = "this line is for database 20: start with --databases 21 or more";
  const Scalar two("2", Kind::number), three("3", Kind::number);
  CHECK(replay({{"EXEC"}, two, {"SELECT"}, {"20"}, three, {"SET"}, {"a"}, {"1"}}) == why);
  CHECK(replay({{"EXEC"}, three, {"MOVE"}, {"k"}, {"20"}}) == why);
  CHECK(replay({{"MOVE"}, {"k"}, {"20"}}) == why);
  CHECK(replay({{"COPY"}, {"k"}, {"k"}, {"DB"}, {"20"}}) == why);
  CHECK(replay({{"SWAPDB"}, {"0"}, {"20"}}) == why);
}

TEST_CASE("engine/transaction: one that fails does so by itself, then and when replayed") {
  Bench b;
  b.submit({"SET", "s", "v"});
  b.submit({"MULTI"});
  b.submit({"LPUSH", "s", "x"});
  b.submit({"SET", "t", "1"});
  b.submit({"EXEC"});
  const std::string said = b.take();
  CHECK(said.find("*2\r\n-WRONGTYPE") != said.npos);
  CHECK(said.ends_with("\r\n+OK\r\n"));
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/transaction: after a request that is refused EXEC carries out none") {
  const Words refused = GENERATE(Words{"SET", "a"}, Words{"NOSUCH"}, Words{"SAVE"}, Words{"BGSAVE"},
                                 Words{"DEBUG", "RELOAD"}, Words{"CONVERT"}, Words{"SHUTDOWN"},
                                 Words{"HELLO", "3"}, Words{"CLIENT", "ID"});
  Bench b;
  b.submit({"MULTI"});
  b.submit({"SET", "a", "1"});
  b.submit(refused);
  CHECK(b.take().find("\r\n-ERR ") != std::string::npos);
  b.submit({"EXEC"});
  CHECK(b.take() == "-EXECABORT Transaction discarded because of previous errors.\r\n");
  b.submit({"EXISTS", "a"});
  b.submit({"EXEC"});
  CHECK(b.take() == ":0\r\n-ERR EXEC without MULTI\r\n");
  CHECK(b.services.asked.empty());
}

TEST_CASE("engine/transaction: if its line cannot be written nothing of it is done") {
  Bench b;
  b.submit({"MULTI"});
  b.submit({"SET", "a", "1"});
  b.submit({"GET", "a"});
  b.log.next_status = {Code::io, "no room"};
  (void)b.take();
  b.submit({"EXEC"});
  CHECK(b.take() == "-MISCONF no room\r\n");
  b.log.next_status = {};
  b.submit({"EXISTS", "a"});
  CHECK(b.take() == ":0\r\n");
  b.engine.refuse_writes("MISCONF the disk is full");
  b.submit({"MULTI"});
  b.submit({"SET", "a", "1"});
  b.submit({"EXEC"});
  CHECK(b.take().ends_with(
      "-EXECABORT Transaction discarded because of: MISCONF the disk is full\r\n"));
}

TEST_CASE("engine/transaction: EXEC does nothing if a watched key has changed") {
  const auto [change, changed] = GENERATE(
      std::pair{Words{"SET", "k", "2"}, true}, std::pair{Words{"DEL", "k"}, true},
      std::pair{Words{"PEXPIRE", "k", "99"}, true}, std::pair{Words{"RENAME", "k", "m"}, true},
      std::pair{Words{"RENAME", "l", "new"}, true}, std::pair{Words{"FLUSHALL"}, true},
      std::pair{Words{"SWAPDB", "0", "1"}, true},
      std::pair{Words{"LMPOP", "1", "l2", "LEFT"}, true}, std::pair{Words{"GET", "k"}, false},
      std::pair{Words{"SET", "other", "1"}, false},
      std::pair{Words{"LMPOP", "1", "l", "LEFT"}, false},
      std::pair{Words{"LPUSH", "k", "x"}, false}, std::pair{Words{"DEL", "none"}, false});
  CAPTURE(change);
  Bench b;
  Session& other = b.another();
  b.submit({"SET", "k", "1"});
  b.submit({"RPUSH", "l", "a", "b"});
  b.submit({"RPUSH", "l2", "a"});
  b.submit({"WATCH", "k", "new", "l2"});
  b.submit(other, change);
  b.submit({"MULTI"});
  b.submit({"SET", "done", "1"});
  (void)b.take();
  b.submit({"EXEC"});
  CHECK(b.take() == (changed ? "*-1\r\n" : "*1\r\n+OK\r\n"));
  b.submit({"MULTI"});  // once: nothing is watched any more
  b.submit({"EXEC"});
  CHECK(b.take() == "+OK\r\n*0\r\n");
}

TEST_CASE("engine/transaction: to watch many keys takes no time that others would wait for") {
  Bench b;
  Words watch{"WATCH"};
  for (int i = 0; i < 200'000; ++i) watch.push_back("k" + std::to_string(i));
  const auto start = std::chrono::steady_clock::now();
  b.submit(watch);
  b.submit({"UNWATCH"});
  CHECK(b.take() == "+OK\r\n+OK\r\n");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE(
    "engine/transaction: CLIENT LIST tells what a client has queued, and the memory it takes") {
  Bench b;
  Session& other = b.another();
  b.services.sessions_[1] = &b.session;
  b.submit({"MULTI"});
  b.submit({"SET", "k", std::string(1'000'000, 'x')});
  b.submit(other, {"CLIENT", "LIST"});
  const std::string list = b.take(other);
  CHECK(list.find(" multi=1 ") != list.npos);
  CHECK(list.find(" multi-mem=1000") != list.npos);
  CHECK(list.find(" tot-mem=100") != list.npos);
}

TEST_CASE("engine/transaction: the end of a watched key's time is a change, UNWATCH forgets it") {
  Turned clock;
  Bench b(Turned::clocks());
  const auto try_it = [&](const Words& first) {
    b.submit({"SET", "k", "1", "PX", "50"});
    b.submit({"WATCH", "k", "absent"});
    if (!first.empty()) b.submit(first);
    b.submit({"PING"});
    Turned::pass(60);
    b.submit({"MULTI"});
    (void)b.take();
    b.submit({"EXEC"});
    return b.take();
  };
  CHECK(try_it({}) == "*-1\r\n");
  CHECK(try_it({"UNWATCH"}) == "*0\r\n");
  b.submit({"WATCH", "k"});  // whose time was over before
  b.submit({"MULTI"});
  (void)b.take();
  b.submit({"EXEC"});
  CHECK(b.take() == "*0\r\n");
}

TEST_CASE("engine/transaction: RESET, DISCARD and the session's end forget all of it") {
  Bench b;
  b.submit({"WATCH", "k"});
  b.submit({"MULTI"});
  b.submit({"SET", "k", "1"});
  b.submit({"DISCARD"});
  b.submit({"SET", "k", "2"});
  b.submit({"MULTI"});
  b.submit({"GET", "k"});
  (void)b.take();
  b.submit({"EXEC"});
  CHECK(b.take() == "*1\r\n$1\r\n2\r\n");
  b.submit({"MULTI"});
  b.submit({"RESET"});
  CHECK(b.session.transaction == nullptr);
  {
    Session gone;
    gone.id = 99;
    gone.authenticated = true;
    b.submit(gone, {"WATCH", "k", "k"});
    (void)b.take(gone);
    b.engine.unwatch(gone);
  }
  b.session.authenticated = true;
  b.submit({"SET", "k", "3"});  // must not reach for the one that is gone
  CHECK(b.take().ends_with("+OK\r\n"));
}

TEST_CASE("engine/transaction: nobody waits in it, and who waits is served behind it") {
  Bench b;
  Session& worker = b.another();
  b.submit(worker, {"BLPOP", "k", "0"});
  b.submit({"MULTI"});
  b.submit({"BLPOP", "none", "0"});
  b.submit({"BLMOVE", "none", "k", "LEFT", "LEFT", "0"});
  b.submit({"RPUSH", "k", "a", "b"});
  b.submit({"LPOP", "k"});
  (void)b.take();
  b.submit({"EXEC"});
  CHECK(b.take() == "*4\r\n*-1\r\n_\r\n:2\r\n$1\r\na\r\n");
  CHECK(b.take(worker) == "*2\r\n$1\r\nk\r\n$1\r\nb\r\n");
  CHECK(replayed(b.log) == b.digest());
}

TEST_CASE("engine/transaction: large values are elements like others") {
  Bench b;
  const std::string large(300'000, 'x');
  b.submit({"SET", "a", large});
  b.submit({"MULTI"});
  b.submit({"GET", "a"});
  b.submit({"STRLEN", "a"});
  (void)b.take();
  b.submit({"EXEC"});
  CHECK(b.take() == "*2\r\n$300000\r\n" + large + "\r\n:300000\r\n");
}

TEST_CASE("engine/transaction: each of them is counted when it is carried out") {
  Bench b;
  b.submit({"MULTI"});
  b.submit({"INCR", "n"});
  b.submit({"LPUSH", "n", "x"});
  b.submit({"INCR", "n"});
  (void)b.take();
  CHECK(b.services.counters().commands["incr"].calls == 0);
  b.submit({"EXEC"});
  (void)b.take();
  CHECK(b.services.counters().commands["incr"].calls == 2);
  CHECK(b.services.counters().commands["lpush"].failed == 1);
  CHECK(b.services.counters().commands["exec"].calls == 1);
  CHECK(b.services.counters().changes_since_save == 2);
}

TEST_CASE("engine/transaction: without a log all of it is done, too") {
  Bench b;
  b.engine.set_log(nullptr);
  b.submit({"MULTI"});
  b.submit({"SET", "a", "1"});
  b.submit({"EXEC"});
  CHECK(b.take() == "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
}

TEST_CASE("engine/transaction: a line that counts its words wrong is damage, not half done") {
  Bench b;
  const auto replay = [&](const std::vector<Scalar>& args) {
    return b.engine.replay(1, 0, Dialect::resp, args).code();
  };
  CHECK(replay({{"EXEC"}, {"3", Kind::number}, {"SET"}, {"a"}}) == Code::corrupt);
  CHECK(replay({{"EXEC"}, {"0", Kind::number}}) == Code::corrupt);
  CHECK(replay({{"EXEC"}, {"x"}, {"SET"}, {"a"}, {"1"}}) == Code::corrupt);
  CHECK(replay({{"EXEC"}, {"2", Kind::number}, {"GET"}, {"a"}}) == Code::reply);
  CHECK(replay({{"EXEC"}, {"2", Kind::number}, {"NEW"}, {"a"}}) == Code::unsupported);
  CHECK(replay({{"EXEC"}}) == Code::ok);
  // Whatever is wrong with its end, and however that counts.
  const Scalar two("2", Kind::number), three("3", Kind::number);
  const auto behind_a_write = [&](std::vector<Scalar> end) {
    end.insert(end.begin(), {{"EXEC"}, three, {"SET"}, {"a"}, {"1"}});
    return replay(end);
  };
  CHECK(behind_a_write({three, {"SET"}, {"b"}}) == Code::corrupt);
  CHECK(behind_a_write({two, {"NEW"}, {"b"}}) == Code::unsupported);
  CHECK(behind_a_write({two, {"GET"}, {"b"}}) == Code::reply);
  CHECK(behind_a_write({two, {"SET"}, {"b"}}) == Code::reply);
  CHECK(b.services.database(0).size() == 0);
}

TEST_CASE("engine/transaction: any of them is logged and stored as if sent one by one") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto pick = [&](std::size_t n) { return random() % n; };
    Bench whole, single;
    for (int i = 0; i < 60; ++i) {
      whole.submit({"MULTI"});
      std::string apart;
      const std::size_t count = pick(5);
      for (std::size_t n = 0; n < count; ++n) {
        const std::string key = "k" + std::to_string(pick(3));
        const std::vector<Words> shapes = {{"SET", key, "5"},
                                           {"INCR", key},
                                           {"LPUSH", key, "a", ""},
                                           {"RPOP", key},
                                           {"DEL", key},
                                           {"GET", key},
                                           {"COPY", key, "k0"},
                                           {"HSET", key, "f", ""},
                                           {"SELECT", std::to_string(pick(2))},
                                           {"LRANGE", key, "0", "-1"}};
        const Words& request = shapes[pick(shapes.size())];
        whole.submit(request);
        single.submit(request);
        apart += single.take();
      }
      (void)whole.take();
      whole.submit({"EXEC"});
      CHECK(whole.take() == "*" + std::to_string(count) + "\r\n" + apart);
    }
    CHECK(whole.digest() == single.digest());
    CHECK(replayed(whole.log) == whole.digest());
  }
}

TEST_CASE("engine/transaction: each request in it is counted and timed by its own name") {
  Turned clock;
  Clocks clocks = Turned::clocks();
  clocks.coarse = []() noexcept { return Turned::steady_ns += 20'000'000; };
  Bench b(clocks);
  b.submit({"MULTI"});
  b.submit({"CONFIG", "GET", "maxmemory"});
  b.submit({"SET", "a", "secret"});
  b.submit({"GET", "a"});
  (void)b.take();
  const std::int64_t busy_us = b.engine.busy_us();
  b.services.counters().slow.clear();
  b.submit({"EXEC"});
  const auto& commands = b.services.counters().commands;
  CHECK(commands.at("config|get").calls == 1);
  CHECK(commands.at("set").calls == 1);
  CHECK(commands.at("get").calls == 1);
  CHECK(b.session.last_command == "exec");
  CHECK(b.session.last_subcommand.empty());
  const auto& slow = b.services.counters().slow.entries();
  REQUIRE(slow.size() == 3);
  CHECK(slow[0].args == Words{"GET", "a"});
  CHECK(slow[1].args == Words{"SET", "a", "(redacted)"});
  CHECK(b.engine.busy_us() - busy_us == 60'000);  // or who sends many would take all the turns
}

TEST_CASE("engine/transaction: without memory for its line nothing of it is done (E1)") {
  Bench b;
  b.submit({"MULTI"});
  for (int i = 0; i < 5000; ++i) b.submit({"SET", "k" + std::to_string(i), "v"});
  (void)b.take();
  {
    const AllocationLimit limit(65536);
    b.submit({"EXEC"});
  }
  CHECK(b.sink.lost.empty());
  CHECK(b.take() == "-OOM command not allowed: there is not enough memory for it\r\n");
  CHECK(b.services.database(0).size() == 0);
  CHECK(b.log.lines.empty());
}

TEST_CASE("engine/transaction: where memory ends on the way the log says what was done (E1)") {
  Bench b;
  const auto pop_without_memory = [&] {
    for (int i = 0; i < 100; ++i) b.submit({"RPUSH", "l", std::string(1000, 'x')});
    b.submit({"MULTI"});
    b.submit({"SET", "a", "1"});
    b.submit({"LPOP", "l", "100"});
    b.submit({"SET", "b", "1"});
    (void)b.take();
    const AllocationLimit limit(65536);
    b.submit({"EXEC"});
    return b.take();
  };
  const std::string oom = "-OOM command not allowed: there is not enough memory for it\r\n";
  CHECK(pop_without_memory() == "*3\r\n+OK\r\n" + oom + oom);
  CHECK(b.log.texts().back() == "EXEC 3 SET a 1");
  CHECK(replayed(b.log) == b.digest());
  // Nothing may be logged behind what the log could not say.
  b.submit({"DEL", "a"});
  b.log.behind_take_back = {Code::io, "no room"};
  (void)pop_without_memory();
  b.log.next_status = {};
  b.submit({"SET", "c", "1"});
  CHECK(b.take() == "-MISCONF no room\r\n");
}

}  // namespace
}  // namespace kv::test
