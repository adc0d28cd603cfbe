// The commands on several sets; see commands_strings.cpp.
#include <set>

#include "libkv/keyspace/arena.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/command_talk.hpp"

namespace {

using kv::Place;
using kv::Scalar;
using kv::test::Talk;

constexpr const char* wrong_type =
    "(WRONGTYPE Operation against a key holding the wrong kind of value)";

/// s: a b c d, t: c d e, u: d, k: no set
void fill(Talk& t) {
  t.redis({{"SADD s a b c d", "4"}, {"SADD t c d e", "3"}, {"SADD u d", "1"}, {"SET k v", "OK"}});
}

TEST_CASE("commands/sinter: what all have") {
  Talk t;
  fill(t);
  t.redis({{"SINTER s", "~['a' 'b' 'c' 'd']"},
           {"SINTER s t", "~['c' 'd']"},
           {"SINTER s t u", "~['d']"},
           {"SINTER s t nokey", "~[]"},
           {"SINTER s nokey k", wrong_type}});
  t.pico({{"SINTER s t", "~['c' 'd']"}});
}

TEST_CASE("commands/sinter: a small set and a huge one cost what the small one does") {
  Talk t;
  for (int i = 0; i < 100'000; ++i) t.resp("SADD huge " + std::to_string(i));
  t.resp("SADD small 7 99999 x");
  const kv::test::Allocations made;
  CHECK(t.r("SINTER huge small") == "~['7' '99999']");
  CHECK(t.r("SINTERCARD 2 huge small") == "2");
  CHECK(t.r("SINTERSTORE d huge small") == "2");
  CHECK(t.r("SDIFF small huge") == "~['x']");
  CHECK(made.bytes() < 64 * 1024);
}

TEST_CASE("commands/sinterstore: takes the place of anything, its expiry too") {
  Talk t;
  fill(t);
  t.redis({{"SET d v EX 100", "OK"},
           {"SINTERSTORE d s t", "2"},
           {"SMEMBERS d", "~['c' 'd']"},
           {"TTL d", "-1"},
           {"SINTERSTORE d s k", wrong_type},
           {"SCARD d", "2"},
           {"SINTERSTORE d d u", "1"},
           {"SINTERSTORE d d nokey", "0"},
           {"EXISTS d", "0"},
           {"SINTERSTORE %stats%/x s", "(ERR %stats% keys are read-only)"},
           {"SINTERSTORE d s nokey", "0"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE("commands/sintercard: counts, up to a limit") {
  Talk t;
  fill(t);
  t.redis({{"SINTERCARD 2 s t", "2"},
           {"SINTERCARD 2 s t LIMIT 1", "1"},
           {"SINTERCARD 2 s t LIMIT 0", "2"},
           {"SINTERCARD 2 s nokey", "0"},
           {"SINTERCARD 3 s t", "(ERR Number of keys can't be greater than number of args)"},
           {"SINTERCARD 0 s", "(ERR numkeys should be greater than 0)"},
           {"SINTERCARD 1 s LIMIT -1", "(ERR LIMIT can't be negative)"},
           {"SINTERCARD 1 s x", "(ERR syntax error)"},
           {"SINTERCARD 1 k", wrong_type}});
}

TEST_CASE("commands/sunion: what any has") {
  Talk t;
  fill(t);
  t.redis({{"SUNION s", "~['a' 'b' 'c' 'd']"},
           {"SUNION t s nokey", "~['c' 'd' 'e' 'a' 'b']"},
           {"SUNION nokey", "~[]"},
           {"SUNION s k", wrong_type}});
}

TEST_CASE("commands/sunionstore: the destination may be one of the sets") {
  Talk t;
  fill(t);
  t.redis({{"SUNIONSTORE s s t", "5"},
           {"SMEMBERS s", "~['a' 'b' 'c' 'd' 'e']"},
           {"SUNIONSTORE s nokey", "0"},
           {"EXISTS s", "0"},
           {"SUNIONSTORE d k", wrong_type},
           {"SUNIONSTORE s nokey", "0"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE("commands/sdiff: what the first alone has") {
  Talk t;
  fill(t);
  t.redis({{"SDIFF s", "~['a' 'b' 'c' 'd']"},
           {"SDIFF s t u", "~['a' 'b']"},
           {"SDIFF s s", "~[]"},
           {"SDIFF nokey s", "~[]"},
           {"SDIFF s nokey", "~['a' 'b' 'c' 'd']"},
           {"SDIFF s k", wrong_type}});
}

TEST_CASE("commands/sdiffstore: both ways to subtract come to the same") {
  Talk t;
  fill(t);
  t.redis({{"SDIFFSTORE d s t", "2"},
           {"SMEMBERS d", "~['a' 'b']"},
           {"SDIFFSTORE d u s", "0"},
           {"EXISTS d", "0"},
           {"SDIFFSTORE d s k", wrong_type},
           {"SDIFFSTORE d nokey", "0"}});
  CHECK_FALSE(t.resp.committed);
  // Many small ones from a large one: their members are taken out of a copy.
  std::set<std::string> left;
  for (int i = 0; i < 1000; ++i) t.resp("SADD large " + std::to_string(i));
  std::string line = "SDIFFSTORE d large";
  for (int i = 0; i < 20; ++i) {
    t.resp("SADD part" + std::to_string(i) + " " + std::to_string(i * 40) + " x");
    line += " part" + std::to_string(i);
  }
  CHECK(t.r(line) == "980");
  CHECK(t.r("SMISMEMBER d 0 40 760 761 x 999") == "[0 0 0 1 0 1]");
}

TEST_CASE("commands/sets: what is stored is made aside, so that memory that ends leaves all (E1)") {
  for (const char* line : {"SUNIONSTORE s s t", "SINTERSTORE s t u", "SDIFFSTORE d s t"}) {
    bool failed = true;
    for (std::uint64_t nth = 1; failed; ++nth) {
      REQUIRE(nth < 500);
      Talk t;
      for (int i = 0; i < 200; ++i) {
        t.resp("SADD s a" + std::to_string(i));
        t.resp("SADD t b" + std::to_string(i));
        t.resp("SADD u b" + std::to_string(i));
      }
      const std::string before = t.r("SMEMBERS s");
      failed = false;
      kv::arena().fail_at(nth, true);
      try {
        t.resp(line);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      kv::arena().fail_at(0);
      if (!failed) break;
      CHECK(t.r("SMEMBERS s") == before);
      CHECK(t.r("EXISTS d") == "0");
    }
  }
}

}  // namespace
