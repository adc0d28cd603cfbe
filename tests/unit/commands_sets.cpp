// The set commands in both dialects; see commands_strings.cpp.
#include <map>
#include <set>

#include "tests/unit/command_talk.hpp"

namespace {

using kv::Kind;
using kv::Place;
using kv::Scalar;
using kv::test::Talk;

constexpr const char* wrong_type =
    "(WRONGTYPE Operation against a key holding the wrong kind of value)";

TEST_CASE("commands/sadd: the new members are counted, and what is there already is no change") {
  Talk t;
  t.redis({{"SADD s a b a", "2"},
           {"SADD s b c", "1"},
           {"SMEMBERS s", "~['a' 'b' 'c']"},
           {"TYPE s", "set"},
           {"SET k v", "OK"},
           {"SADD k a", wrong_type},
           {"SADD %stats%/x a", "(ERR %stats% keys are read-only)"},
           {"SADD s a b", "0"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE(
    "commands/sadd: a member keeps the kind PLIO first gave it, and bytes tell members apart") {
  Talk t;
  CHECK(t.plio.run({"SADD", "s", {"7", Kind::number}, {"foo", Kind::symbol}}) == ":2\r\n");
  t.pico({{"SADD s 7 x", "1"}, {"SMEMBERS s", "~[#7 `foo` 'x']"}, {"SISMEMBER s foo", "1"}});
  t.redis({{"SMEMBERS s", "~['7' 'foo' 'x']"}, {"SADD s 7", "0"}});
  t.redis({{"SMOVE s t 7", "1"}, {"SUNIONSTORE u t s", "3"}});
  t.pico({{"SMEMBERS t", "~[#7]"}, {"SMEMBERS u", "~[#7 'x' `foo`]"}, {"GET u", "[#7 'x' `foo`]"}});
  t.pico({{"STRLEN u", "3"}, {"LLEN u", "3"}, {"HLEN u", "nil"}, {"LINDEX u 0", "nil"}});
}

TEST_CASE("commands/sets: over PLIO too few arguments are misuse, and NIL is no key") {
  Talk t;
  for (const char* line : {"SADD s", "SREM s", "SISMEMBER s", "SMISMEMBER s", "SMEMBERS", "SCARD",
                           "SMOVE a b", "SPOP", "SRANDMEMBER", "SSCAN s", "SINTER", "SINTERSTORE d",
                           "SINTERCARD 1", "SUNION", "SUNIONSTORE d", "SDIFF", "SDIFFSTORE d"}) {
    INFO(line);
    CHECK(t.p(line).find("wrong number of arguments") != std::string::npos);
  }
  CHECK(t.p("SADD NIL a").find("no key") != std::string::npos);
  CHECK(t.p("SUNIONSTORE NIL a").find("no key") != std::string::npos);
}

TEST_CASE("commands/srem: the set goes with its last member") {
  Talk t;
  t.redis({{"SREM s a", "0"},
           {"SADD s a b c", "3"},
           {"SREM s x a a", "1"},
           {"SREM s b c", "2"},
           {"EXISTS s", "0"},
           {"SET k v", "OK"},
           {"SREM k v", wrong_type},
           {"SREM s a", "0"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE("commands/sismember: one member") {
  Talk t;
  t.redis({{"SISMEMBER s a", "0"},
           {"SADD s a", "1"},
           {"SISMEMBER s a", "1"},
           {"SISMEMBER s b", "0"},
           {"SET k v", "OK"},
           {"SISMEMBER k v", wrong_type}});
}

TEST_CASE("commands/smismember: an answer for each member") {
  Talk t;
  t.redis({{"SMISMEMBER s a b", "[0 0]"},
           {"SADD s a", "1"},
           {"SMISMEMBER s b a a", "[0 1 1]"},
           {"SET k v", "OK"},
           {"SMISMEMBER k v", wrong_type}});
}

TEST_CASE("commands/smembers: all of them, which need no order") {
  Talk t;
  t.redis({{"SMEMBERS s", "~[]"},
           {"SADD s a b c", "3"},
           {"SREM s a", "1"},
           {"SMEMBERS s", "~['c' 'b']"},  // as the numbers of the members have it
           {"SET k v", "OK"},
           {"SMEMBERS k", wrong_type}});
}

TEST_CASE("commands/scard: how many") {
  Talk t;
  t.redis({{"SCARD s", "0"},
           {"SADD s a b", "2"},
           {"SCARD s", "2"},
           {"SET k v", "OK"},
           {"SCARD k", wrong_type}});
}

TEST_CASE("commands/smove: a member leaves one set and is in the other") {
  Talk t;
  t.redis({{"SADD s a b", "2"},
           {"SMOVE s t a", "1"},
           {"SMEMBERS t", "~['a']"},
           {"SMOVE s t x", "0"},
           {"SMOVE s s b", "1"},
           {"SADD t b", "1"},
           {"SMOVE s t b", "1"},
           {"EXISTS s", "0"},
           {"SCARD t", "2"},
           {"SET k v", "OK"},
           {"SMOVE t k a", wrong_type},
           {"SMOVE k t a", wrong_type},
           {"SMOVE nokey k a", "0"},
           {"SMOVE t t a", "1"}});
  CHECK_FALSE(t.resp.committed);
}

// --- at random ---

std::set<std::string> members_of(kv::test::Talk& t, std::string_view key) {
  std::set<std::string> members;
  Place place = t.server.database(0).peek(key, 0);
  t.server.database(0).set(place).visit(
      [&](const Scalar& member) { return members.insert(std::string(member.bytes)), true; });
  return members;
}

TEST_CASE("commands/spop: one, some or all; a count of 0 changes nothing") {
  Talk t;
  t.redis({{"SPOP s", "nil"},
           {"SPOP s 3", "~[]"},
           {"SADD s a", "1"},
           {"SPOP s", "'a'"},
           {"EXISTS s", "0"},
           {"SADD s a b c", "3"},
           {"SPOP s 0", "~[]"},
           {"SPOP s -1", "(ERR value is out of range, must be positive)"},
           {"SPOP s 1 2", "(ERR syntax error)"},
           {"SPOP s 3", "~['a' 'b' 'c']"},
           {"EXISTS s", "0"},
           {"SET k v", "OK"},
           {"SPOP k", wrong_type}});
}

TEST_CASE("commands/spop: what is answered is what goes, and nothing twice") {
  for (const int size : {9, 128, 129, 3000}) {
    Talk t;
    for (int i = 0; i < size; ++i) t.resp("SADD s m" + std::to_string(i));
    std::set<std::string> popped;
    for (int round = 0; popped.size() < static_cast<std::size_t>(size); ++round) {
      t.pass_ms(1);
      const std::string reply = t.r(round % 3 == 0 ? "SPOP s" : "SPOP s 7");
      for (std::size_t at = 0; (at = reply.find("'m", at)) != reply.npos; ++at) {
        REQUIRE(popped.insert(reply.substr(at + 1, reply.find('\'', at + 1) - at - 1)).second);
      }
      const std::set<std::string> left = members_of(t, "s");
      REQUIRE(left.size() + popped.size() == static_cast<std::size_t>(size));
      for (const std::string& member : left) REQUIRE(popped.count(member) == 0);
    }
    CHECK(t.r("EXISTS s") == "0");
  }
}

TEST_CASE("commands/spop: the same set and the same time give the same member, in any form") {
  Talk one, two;
  // The second one has been large, or was filled from a snapshot: its table is another one.
  two.resp("SADD s " + std::string(1000, 'x'));
  two.resp("SREM s " + std::string(1000, 'x'));
  two.resp("SADD other a");
  for (int i = 0; i < 100; ++i) {
    for (Talk* t : {&one, &two}) t->resp("SADD s m" + std::to_string(i));
  }
  for (int i = 0; i < 30; ++i) {
    for (Talk* t : {&one, &two}) t->pass_ms(7);
    CHECK(one.r("SPOP s") == two.r("SPOP s"));
    CHECK(one.r("SPOP s 2") == two.r("SPOP s 2"));
  }
  CHECK(one.r("SMEMBERS s") == two.r("SMEMBERS s"));
}

TEST_CASE("commands/spop: each member has about the same chance") {
  std::map<std::string, int> times;
  Talk t;
  for (int i = 0; i < 4000; ++i) {
    t.pass_ms(3);
    t.resp("SADD s a b c d");
    ++times[t.r("SPOP s")];
  }
  REQUIRE(times.size() == 4);
  for (const auto& [member, n] : times) CHECK((n > 800 && n < 1200));
}

TEST_CASE("commands/srandmember: different ones, or with repeats") {
  Talk t;
  t.redis({{"SRANDMEMBER s", "nil"},
           {"SRANDMEMBER s 3", "[]"},
           {"SADD s a", "1"},
           {"SRANDMEMBER s", "'a'"},
           {"SRANDMEMBER s -3", "['a' 'a' 'a']"},
           {"SRANDMEMBER s 0", "[]"},
           {"SADD s b c", "2"},
           {"SRANDMEMBER s 5", "['a' 'b' 'c']"},
           {"SRANDMEMBER s x", "(ERR value is not an integer or out of range)"},
           {"SRANDMEMBER s 1 2", "(ERR syntax error)"},
           {"SRANDMEMBER s -99999999999", "(ERR value is out of range)"},
           {"SET k v", "OK"},
           {"SRANDMEMBER k", wrong_type}});
  for (int i = 0; i < 3000; ++i) t.resp("SADD big m" + std::to_string(i));
  std::map<std::string, int> seen;
  for (int i = 0; i < 20; ++i) {
    std::set<std::string> once;
    const std::string reply = t.r("SRANDMEMBER big 1000");
    for (std::size_t at = 0; (at = reply.find("'m", at)) != reply.npos; ++at) {
      once.insert(reply.substr(at, reply.find('\'', at + 1) - at));
    }
    REQUIRE(once.size() == 1000);
    for (const std::string& member : once) ++seen[member];
  }
  CHECK(seen.size() > 2990);
}

TEST_CASE("commands/sscan: a small set in one step, a large one completely") {
  Talk t;
  t.redis({{"SSCAN s 0", "['0' []]"},
           {"SADD s a b bb", "3"},
           {"SSCAN s 0 MATCH b*", "['0' ['b' 'bb']]"},
           {"SSCAN s x", "(ERR invalid cursor)"},
           {"SSCAN s 0 COUNT 0", "(ERR syntax error)"}});
  for (int i = 0; i < 2000; ++i) t.resp("SADD big m" + std::to_string(i));
  std::set<std::string> seen;
  std::string cursor = "0";
  int steps = 0;
  do {
    const std::string text = t.r("SSCAN big " + cursor + " COUNT 50");
    cursor = text.substr(2, text.find('\'', 2) - 2);
    for (std::size_t at = text.find("'m"); at != text.npos; at = text.find("'m", at + 1)) {
      seen.insert(text.substr(at, text.find('\'', at + 1) - at));
    }
    REQUIRE(++steps < 2000);
  } while (cursor != "0");
  CHECK(seen.size() == 2000);
  CHECK(steps > 5);
}

}  // namespace
