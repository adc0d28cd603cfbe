// SUBSCRIBE, PUBLISH and their kin as commands: what they say, and the table of who listens.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "libkv/base/limits.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/command_talk.hpp"

namespace kv::test {
namespace {

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

/// What one name is answered; name "nil": without one.
std::string said(std::string_view word, std::string_view name, int count) {
  return ">3\r\n" + bulk(word) + (name == "nil" ? "_\r\n" : bulk(name)) + ":" +
         std::to_string(count) + "\r\n";
}

struct Listeners {
  FakeServices server;
  FakeClient a{server}, b{server}, plio{server, Dialect::plio};
};

constexpr std::string_view needs_resp = "messages need a client that speaks RESP";

TEST_CASE("commands/subscribe: each channel has an answer, and counts once") {
  Listeners l;
  CHECK(l.a("SUBSCRIBE x y x") ==
        said("subscribe", "x", 1) + said("subscribe", "y", 2) + said("subscribe", "x", 2));
  CHECK(l.a.session.subscriptions[0] == 2);
  CHECK(l.a.session.subscriber);
  CHECK(has(l.a("CLIENT INFO"), "flags=P db=0 sub=2 psub=0 ssub=0 "));
  CHECK(has(l.plio("SUBSCRIBE x"), needs_resp));
  CHECK_FALSE(l.plio.session.subscriber);
  CHECK(has(l.b("CLIENT LIST TYPE pubsub"), "id=1 "));
  CHECK_FALSE(has(l.b("CLIENT LIST TYPE normal"), "id=1 "));
  CHECK(has(l.b("INFO stats"), "pubsub_channels:2\r\npubsub_patterns:0\r\n"));
  CHECK(l.b("CLIENT KILL TYPE pubsub") == ":1\r\n");
}

TEST_CASE("commands/psubscribe: counted with the channels") {
  Listeners l;
  l.a("SUBSCRIBE x");
  CHECK(l.a("PSUBSCRIBE x* y") == said("psubscribe", "x*", 2) + said("psubscribe", "y", 3));
  CHECK(l.b("PUBSUB NUMPAT") == ":2\r\n");
  CHECK(has(l.plio("PSUBSCRIBE x"), needs_resp));
}

TEST_CASE("commands/ssubscribe: counted by itself") {
  Listeners l;
  l.a("SUBSCRIBE x");
  CHECK(l.a("SSUBSCRIBE x") == said("ssubscribe", "x", 1));
  CHECK(l.b("PUBLISH x m") == ":1\r\n");
  CHECK(l.b("SPUBLISH x m") == ":1\r\n");
}

TEST_CASE("commands/unsubscribe: some, those one does not listen to, and all") {
  Listeners l;
  CHECK(l.a("UNSUBSCRIBE") == said("unsubscribe", "nil", 0));
  l.a("SUBSCRIBE x y z");
  CHECK(l.a("UNSUBSCRIBE y q") == said("unsubscribe", "y", 2) + said("unsubscribe", "q", 2));
  const std::string both = l.a("UNSUBSCRIBE");
  CHECK((both == said("unsubscribe", "x", 1) + said("unsubscribe", "z", 0) ||
         both == said("unsubscribe", "z", 1) + said("unsubscribe", "x", 0)));
  CHECK_FALSE(l.a.session.subscriber);
  CHECK(l.b("PUBSUB CHANNELS") == "*0\r\n");
  CHECK(has(l.plio("UNSUBSCRIBE"), needs_resp));
}

TEST_CASE("commands/punsubscribe: patterns, as they were given") {
  Listeners l;
  l.a("PSUBSCRIBE a* b*");
  CHECK(l.a("PUNSUBSCRIBE a b*") == said("punsubscribe", "a", 2) + said("punsubscribe", "b*", 1));
  CHECK(l.b("PUBLISH abc m") == ":1\r\n");
  CHECK(l.a("PUNSUBSCRIBE") == said("punsubscribe", "a*", 0));
}

TEST_CASE("commands/sunsubscribe: shard channels and no others") {
  Listeners l;
  l.a("SUBSCRIBE x"), l.a("SSUBSCRIBE x");
  CHECK(l.a("SUNSUBSCRIBE") == said("sunsubscribe", "x", 0));
  CHECK(l.a.session.subscriber);
  CHECK(l.b("PUBLISH x m") == ":1\r\n");
}

TEST_CASE("commands/publish: to the channel and to each pattern, any bytes, over PLIO as well") {
  Listeners l;
  CHECK(l.b("PUBLISH x m") == ":0\r\n");
  l.a("SUBSCRIBE x"), l.a("PSUBSCRIBE ? x* y");
  CHECK(l.b("PUBLISH x ''") == ":3\r\n");
  CHECK(has(l.plio("PUBLISH x N:12"), "3"));
  using Published = std::vector<std::pair<std::string, std::string>>;
  CHECK(l.server.published == Published{{"x", "m"}, {"x", ""}, {"x", "12"}});
  CHECK_FALSE(l.b.committed);
  l.server.publish_fails = {Code::limit, "too much"};
  CHECK(l.b("PUBLISH x m") == "-ERR too much\r\n");
}

TEST_CASE("commands/spublish: patterns do not hear it") {
  Listeners l;
  l.a("SUBSCRIBE x"), l.a("PSUBSCRIBE *");
  CHECK(l.b("SPUBLISH x m") == ":0\r\n");
}

TEST_CASE("commands/pubsub: tells what is listened to") {
  Talk t;
  t.resp("SUBSCRIBE news");
  FakeClient other(t.server);
  CHECK(other("PUBSUB CHANNELS") == "*1\r\n$4\r\nnews\r\n");
  CHECK(other("PUBSUB CHANNELS x*") == "*0\r\n");
  CHECK(other("PUBSUB NUMSUB news x") == "*4\r\n$4\r\nnews\r\n:1\r\n$1\r\nx\r\n:0\r\n");
  CHECK(other("PUBSUB NUMPAT") == ":0\r\n");
  CHECK(other("PUBSUB SHARDCHANNELS") == "*0\r\n");
  CHECK(other("PUBSUB SHARDNUMSUB news") == "*2\r\n$4\r\nnews\r\n:0\r\n");
  CHECK(has(other("PUBSUB HELP"), "NUMPAT"));
  CHECK(other("PUBSUB X") == "-ERR unknown subcommand 'X'. Try PUBSUB HELP.\r\n");
}

TEST_CASE("commands/reset: leaves all channels") {
  Listeners l;
  l.a("SUBSCRIBE x"), l.a("PSUBSCRIBE x"), l.a("SSUBSCRIBE x");
  CHECK(l.a("PING") == "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  l.a("RESET");
  CHECK_FALSE(l.a.session.subscriber);
  CHECK(l.a("PING") == "+PONG\r\n");
  CHECK(l.server.subscriptions_.count(Topic::pattern) == 0);
}

TEST_CASE("subscriptions: leaving in any order keeps everybody else's place") {
  Subscriptions table;
  std::vector<Session> sessions(50);
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    for (std::size_t k = 0; k < 20; ++k) {
      REQUIRE(table.add(sessions[i], Topic::channel, "c" + std::to_string((i * k) % 20)) ==
              ((i * k) % 20 != 0 || k == 0));
      if (i % 20 != 1) break;
    }
    table.add(sessions[i], Topic::channel, "all");
  }
  std::size_t left = sessions.size();
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    Session& session = sessions[(i * 7) % sessions.size()];
    CHECK(table.listeners(Topic::channel, "all") == left--);
    if (i % 2 == 0) table.forget(session);
    else CHECK(table.remove(session, Topic::channel, "all"));
    CHECK_FALSE(table.remove(session, Topic::channel, "all"));
  }
  CHECK(table.listeners(Topic::channel, "all") == 0);
  for (Session& session : sessions) table.forget(session);
  CHECK(table.count(Topic::channel) == 0);
}

TEST_CASE("subscriptions: a session, all of them and patterns have limits (N2)") {
  Subscriptions table;
  Session session, other;
  const std::string half(limits::subscriptions_bytes_max / 2, 'n'), more = half + "m";
  const auto why = [&](Session& who, Topic topic, const std::vector<Scalar>& names) {
    return std::string(table.why_not(who, topic, names));
  };
  CHECK(has(why(session, Topic::channel, {Scalar(half), Scalar(more)}), "too many subscriptions"));
  CHECK(why(session, Topic::channel, {Scalar(half)}).empty());
  CHECK(table.add(session, Topic::channel, half));
  CHECK(has(why(session, Topic::channel, {Scalar(more)}), "of one connection"));
  CHECK(why(session, Topic::channel, {Scalar(half)}).empty());
  CHECK(why(other, Topic::channel, {Scalar(more)}).empty());
  const std::string long_pattern(limits::patterns_bytes_max, 'p');
  CHECK(table.add(session, Topic::pattern, long_pattern));
  CHECK(has(why(other, Topic::pattern, {"x"}), "too many patterns"));
  CHECK(why(other, Topic::pattern, {Scalar(long_pattern)}).empty());
  table.forget(session);
  CHECK(why(other, Topic::pattern, {"x"}).empty());
}

TEST_CASE("subscriptions: where memory ends, all of a request or nothing (E1)") {
  Listeners l;
  l.b("SUBSCRIBE kept");
  const std::string large(3000, 'n');
  const std::vector<Scalar> request{"SUBSCRIBE", "a", "b", "kept", Scalar(large)};
  bool done = false;
  for (std::size_t limit = 16; limit < 8192 && !done; limit += 16) {
    std::string reply;
    reply.reserve(8192);
    try {
      const AllocationLimit none(limit);
      reply = l.a.run(request);
      done = true;
    } catch (const std::bad_alloc&) {
      CHECK_FALSE(l.a.session.subscriber);
      CHECK(l.server.subscriptions_.count(Topic::channel) == 1);
      CHECK(l.server.subscriptions_.listeners(Topic::channel, "kept") == 1);
    }
  }
  CHECK(done);
  CHECK(l.server.subscriptions_.count(Topic::channel) == 4);
}

}  // namespace
}  // namespace kv::test
