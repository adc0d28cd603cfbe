// The engine and messages: when PUBLISH runs, what one that listens may ask for, and what CLIENT
// REPLY does not take back.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/command_talk.hpp"
#include "tests/unit/engine_fixture.hpp"

namespace kv::test {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("engine/pubsub: PUBLISH is no line of the log, ends no batch and keeps its place") {
  Bench b;
  b.submit({"SET", "k", "1"});
  b.submit({"PUBLISH", "c", "set"});
  b.submit({"INCR", "n"});
  b.submit({"PUBLISH", "c", "counted"});
  CHECK(b.services.published.empty());
  CHECK(b.take() == "+OK\r\n:0\r\n:1\r\n:0\r\n");
  CHECK(b.log.texts() == Words{"SET k 1", "INCR n"});
  CHECK(b.log.writes == 1);
  CHECK(b.services.published.size() == 2);
}

TEST_CASE("engine/pubsub: in a transaction it is sent by EXEC, and a failed log does not keep it") {
  Bench b;
  b.submit({"MULTI"}), b.submit({"PUBLISH", "c", "m"}), b.submit({"SUBSCRIBE", "c"});
  b.submit({"PUBLISH", "c", "m"});
  CHECK(b.take() == "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  CHECK(b.services.published.empty());
  b.submit({"EXEC"});
  CHECK(b.take() == "*3\r\n:0\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n:1\r\n");
  CHECK(b.log.lines.empty());
  b.services.subscriptions_.forget(b.session);
}

TEST_CASE("engine/pubsub: over RESP2 who listens may ask for little else, over RESP3 for all") {
  Bench b;
  b.submit({"SUBSCRIBE", "c"}), b.submit({"GET", "k"});
  CHECK(has(b.take(),
            "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
            "QUIT / RESET are allowed in this context\r\n"));
  b.submit({"CLIENT", "ID"});
  CHECK(has(b.take(), "'client|id'"));
  for (const Words& allowed : {Words{"PING"},
                               {"PSUBSCRIBE", "p"},
                               {"SSUBSCRIBE", "s"},
                               {"SUNSUBSCRIBE"},
                               {"PUNSUBSCRIBE"}}) {
    b.submit(allowed);
    CHECK_FALSE(has(b.take(), "-ERR"));
  }
  b.session.protocol = 3;
  b.submit({"GET", "k"});
  CHECK(b.take() == "_\r\n");
  b.session.protocol = 2;
  b.submit({"UNSUBSCRIBE"}), b.submit({"GET", "k"});
  CHECK(has(b.take(), ":0\r\n_\r\n"));
}

TEST_CASE("engine/pubsub: CLIENT REPLY takes back replies, not what is a message") {
  Bench b;
  b.submit({"CLIENT", "REPLY", "OFF"}), b.submit({"SUBSCRIBE", "c"}), b.submit({"PING"});
  b.submit({"SUBSCRIBE"});
  CHECK(b.take() == ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  b.services.subscriptions_.forget(b.session);
  b.submit({"CLIENT", "REPLY", "ON"}), b.submit({"CLIENT", "REPLY", "SKIP"});
  b.submit({"UNSUBSCRIBE", "c"}), b.submit({"PING"});
  CHECK(b.take() == "+OK\r\n>3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n+PONG\r\n");
}

}  // namespace
}  // namespace kv::test
