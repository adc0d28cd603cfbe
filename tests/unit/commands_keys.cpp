// The commands on keys, databases and expiry in both dialects; see commands_strings.cpp.
#include <set>

#include "tests/unit/command_talk.hpp"

namespace {

using kv::test::Talk;

constexpr const char* not_an_integer = "(ERR value is not an integer or out of range)";
constexpr const char* read_only = "(ERR %stats% keys are read-only)";

TEST_CASE("commands/del: counts what was there; PLIO counts what was named") {
  Talk t;
  t.redis({{"MSET a 1 b 2", "OK"}, {"DEL a nokey b a", "2"}, {"DEL a", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"SET a 1", "OK"}, {"DEL a %stats%/x", read_only}, {"EXISTS a", "1"}});
  t.pico({{"DEL nokey a a", "3"}, {"EXISTS a", "0"}, {"DEL nokey", "1"}});
  CHECK_FALSE(t.plio.committed);
  t.pico({{"SET a 1", "OK"},
          {"DEL %stats%/x a", "0"},
          {"EXISTS a", "1"},
          {"DEL a %stats%/x", "1"},
          {"EXISTS a", "0"},
          {"DEL", "0"},
          {"DEL NIL", "0"}});
}

TEST_CASE("commands/unlink: as DEL, with Redis's count in both dialects") {
  Talk t;
  t.redis({{"MSET a 1 b 2", "OK"}, {"UNLINK a nokey", "1"}});
  t.pico({{"UNLINK b nokey", "1"}, {"UNLINK b", "0"}});
}

TEST_CASE("commands/exists: counts repeats, and %stats% keys") {
  Talk t;
  t.redis({{"SET a 1", "OK"},
           {"EXISTS a a nokey", "2"},
           {"EXISTS %stats%/keyspace_hits", "1"},
           {"EXISTS %stats%/nonsense", "0"}});
  t.pico({{"EXISTS a", "1"}, {"EXISTS", "0"}, {"EXISTS NIL", "0"}});
}

TEST_CASE("commands/touch: counts the keys that are there") {
  Talk t;
  t.redis({{"SET a 1", "OK"}, {"TOUCH a nokey a", "2"}});
}

TEST_CASE("commands/type: Redis's words") {
  Talk t;
  t.redis({{"TYPE a", "none"},
           {"SET a 1", "OK"},
           {"TYPE a", "string"},
           {"RPUSH l a", "1"},
           {"TYPE l", "list"},
           {"HSET h f v", "1"},
           {"TYPE h", "hash"}});
  t.pico({{"TYPE l", "list"}});
}

TEST_CASE("commands/rename: takes the value, its type and its end along") {
  Talk t;
  t.redis({{"SET a 1 EX 10", "OK"},
           {"SET b 2", "OK"},
           {"RENAME a b", "OK"},
           {"GET b", "'1'"},
           {"TTL b", "10"},
           {"EXISTS a", "0"},
           {"RENAME a b", "(ERR no such key)"},
           {"RENAME b b", "OK"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"RENAME b %stats%/x", read_only},
           {"RPUSH l a", "1"},
           {"RENAME l b", "OK"},
           {"LRANGE b 0 -1", "['a']"},
           {"TTL b", "-1"},
           {"DBSIZE", "1"}});
}

TEST_CASE("commands/renamenx: only to a free name") {
  Talk t;
  t.redis({{"MSET a 1 b 2", "OK"},
           {"RENAMENX a b", "0"},
           {"RENAMENX a c", "1"},
           {"RENAMENX c c", "0"},
           {"RENAMENX nokey x", "(ERR no such key)"}});
}

TEST_CASE("commands/copy: a value of its own, in any database") {
  Talk t;
  t.redis({{"RPUSH a x", "1"},
           {"COPY a b", "1"},
           {"RPUSH a y", "2"},
           {"LRANGE b 0 -1", "['x']"},
           {"COPY a b", "0"},
           {"COPY a b REPLACE", "1"},
           {"LLEN b", "2"},
           {"COPY a c DB 5", "1"},
           {"EXISTS c", "0"},
           {"COPY a a", "(ERR source and destination objects are the same)"},
           {"COPY a b DB 99", "(ERR DB index is out of range)"},
           {"HSET h f v g w", "2"},
           {"PEXPIRE h 5000", "1"},
           {"COPY h b REPLACE", "1"},
           {"HGETALL b", "{'f' 'v' 'g' 'w'}"},
           {"PTTL b", "5000"}});
  t.resp.session.database = 5;
  t.redis({{"LRANGE c 0 -1", "['x' 'y']"}});
}

TEST_CASE("commands/copy: PLIO's kinds are copied as well") {
  Talk t;
  t.pico({{"RPUSH a N:1 Y:foo NIL", "3"}, {"COPY a b", "1"}, {"GET b", "[#1 `foo` nil]"}});
}

TEST_CASE("commands/move: to another database, if the name is free there") {
  Talk t;
  t.redis({{"SET a 1 EX 10", "OK"},
           {"MOVE a 3", "1"},
           {"EXISTS a", "0"},
           {"SET a 2", "OK"},
           {"MOVE a 3", "0"},
           {"MOVE a 0", "(ERR source and destination objects are the same)"},
           {"MOVE a 16", "(ERR DB index is out of range)"},
           {"MOVE a x", not_an_integer}});
  t.resp.session.database = 3;
  t.redis({{"GET a", "'1'"}, {"TTL a", "10"}});
}

TEST_CASE("commands/swapdb: exchanges two databases") {
  Talk t;
  t.redis({{"SET a 1", "OK"}, {"SWAPDB 0 1", "OK"}, {"EXISTS a", "0"}, {"SWAPDB 0 0", "OK"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"SWAPDB 2 3", "OK"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"SWAPDB x 1", "(ERR invalid first DB index)"},
           {"SWAPDB 0 99", "(ERR DB index is out of range)"}});
  t.resp.session.database = 1;
  t.redis({{"GET a", "'1'"}});
}

TEST_CASE("commands/dbsize: the keys of this database") {
  Talk t;
  t.redis({{"DBSIZE", "0"}, {"MSET a 1 b 2", "OK"}, {"DBSIZE", "2"}});
}

TEST_CASE("commands/flushdb: this database alone; an empty one is nothing to log") {
  Talk t;
  t.redis({{"FLUSHDB", "OK"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"SET a 1", "OK"},
           {"COPY a a DB 1", "1"},
           {"FLUSHDB ASYNC", "OK"},
           {"DBSIZE", "0"},
           {"FLUSHDB bogus", "(ERR syntax error)"}});
  t.resp.session.database = 1;
  t.redis({{"DBSIZE", "1"}});
}

TEST_CASE("commands/flushall: every database") {
  Talk t;
  t.redis({{"SET a 1", "OK"}, {"COPY a a DB 15", "1"}, {"FLUSHALL", "OK"}, {"DBSIZE", "0"}});
  t.resp.session.database = 15;
  t.redis({{"DBSIZE", "0"}, {"FLUSHALL SYNC", "OK"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE("commands/randomkey: one that is there and not past its time") {
  Talk t;
  t.redis({{"RANDOMKEY", "nil"}, {"SET gone 1 PX 5", "OK"}, {"SET a 1", "OK"}});
  t.pass_ms(10);
  for (int i = 0; i < 20; ++i) CHECK(t.r("RANDOMKEY") == "'a'");
  t.redis({{"SET b 1", "OK"}});
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(t.r("RANDOMKEY"));
  CHECK(seen == std::set<std::string>{"'a'", "'b'"});
}

TEST_CASE("commands/keys: by pattern, nothing that is past its time (N11)") {
  Talk t;
  t.redis({{"KEYS *", "[]"},
           {"SET one 1", "OK"},
           {"SET two 2 PX 5", "OK"},
           {"KEYS o*", "['one']"},
           {"KEYS t?o", "['two']"},
           {"KEYS x*", "[]"}});
  t.pass_ms(10);
  t.redis({{"KEYS *", "['one']"}, {"KEYS a*a*a*a*a*a*b", "[]"}});
}

TEST_CASE("commands/scan: meets every key, by pattern and type") {
  Talk t;
  t.redis({{"SCAN 0", "['0' []]"},
           {"SET s 1", "OK"},
           {"RPUSH l a", "1"},
           {"SCAN 0 TYPE list", "['0' ['l']]"},
           {"SCAN 0 MATCH s*", "['0' ['s']]"},
           {"SCAN 0 TYPE nosuch", "['0' []]"},
           {"SCAN x", "(ERR invalid cursor)"},
           {"SCAN 0 COUNT 0", "(ERR syntax error)"},
           {"SCAN 0 COUNT x", not_an_integer}});
  for (int i = 0; i < 3000; ++i) t.resp("SET key" + std::to_string(i) + " v");
  std::set<std::string> seen;
  std::string cursor = "0";
  int steps = 0;
  do {
    std::string reply = t.resp("SCAN " + cursor + " COUNT 100 MATCH key*");
    std::string_view rest = reply;
    const std::string text = kv::test::readable(rest);
    cursor = text.substr(2, text.find('\'', 2) - 2);
    for (std::size_t at = text.find("'key"); at != text.npos; at = text.find("'key", at + 1)) {
      seen.insert(text.substr(at, text.find('\'', at + 1) - at));
    }
    t.resp("SET more" + std::to_string(steps) + " v");  // growing meanwhile loses nothing
    REQUIRE(++steps < 3000);
  } while (cursor != "0");
  CHECK(seen.size() == 3000);
}

// --- expiry ---

TEST_CASE("commands/expire: ends a key at its time, by conditions") {
  Talk t;
  t.redis({{"EXPIRE k 10", "0"},
           {"SET k v", "OK"},
           {"EXPIRE k 10 XX", "0"},
           {"EXPIRE k 10 GT", "0"},
           {"EXPIRE k 10 NX", "1"},
           {"EXPIRE k 20 NX", "0"},
           {"EXPIRE k 5 GT", "0"},
           {"EXPIRE k 20 GT", "1"},
           {"EXPIRE k 30 LT", "0"},
           {"EXPIRE k 15 LT", "1"},
           {"TTL k", "15"},
           {"EXPIRE k 5 bogus", "(ERR Unsupported option bogus)"},
           {"EXPIRE k 5 NX XX",
            "(ERR NX and XX, GT or LT options at the same time are not compatible)"},
           {"EXPIRE k 5 GT LT", "(ERR GT and LT options at the same time are not compatible)"}});
  t.pass_ms(14'999);
  t.redis({{"GET k", "'v'"}});
  t.pass_ms(1);
  t.redis({{"GET k", "nil"}, {"EXPIRE k 10", "0"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE("commands/expire: times beyond the calendar are errors (N12, D19)") {
  Talk t;
  constexpr const char* invalid = "(ERR invalid expire time in 'expire' command)";
  t.redis({{"SET k v", "OK"},
           {"EXPIRE k 9223372036854775807", invalid},
           {"EXPIRE k -9223372036854775808", invalid},
           {"EXPIRE k 9223372036854775", invalid},
           {"EXPIRE k x", not_an_integer},
           {"TTL k", "-1"},
           {"EXPIRE k -1", "1"},
           {"EXISTS k", "0"}});
}

TEST_CASE("commands/pexpire: in milliseconds") {
  Talk t;
  t.redis({{"SET k v", "OK"},
           {"PEXPIRE k 1500", "1"},
           {"PTTL k", "1500"},
           {"PEXPIRE k 9223372036854775807", "(ERR invalid expire time in 'pexpire' command)"},
           {"PEXPIRE k 0", "1"},
           {"EXISTS k", "0"}});
}

TEST_CASE("commands/expireat: at a second") {
  Talk t;
  t.redis({{"SET k v", "OK"},
           {"EXPIREAT k 1700000100", "1"},
           {"TTL k", "100"},
           {"EXPIREAT k 1", "1"},
           {"EXISTS k", "0"}});
}

TEST_CASE("commands/pexpireat: at a millisecond") {
  Talk t;
  t.redis({{"SET k v", "OK"},
           {"PEXPIREAT k 1700000000123", "1"},
           {"PTTL k", "123"},
           {"PEXPIREAT k 1700000000000", "1"},
           {"EXISTS k", "0"}});
}

TEST_CASE("commands/ttl: seconds, rounded; -1 without an end, -2 without a key") {
  Talk t;
  t.redis({{"TTL k", "-2"},
           {"SET k v", "OK"},
           {"TTL k", "-1"},
           {"PEXPIRE k 1499", "1"},
           {"TTL k", "1"},
           {"PEXPIRE k 1500", "1"},
           {"TTL k", "2"}});
}

TEST_CASE("commands/pttl: milliseconds that are left") {
  Talk t;
  t.redis({{"PTTL k", "-2"}, {"SET k v PX 100", "OK"}});
  t.pass_ms(40);
  t.redis({{"PTTL k", "60"}});
}

TEST_CASE("commands/expiretime: the second it ends") {
  Talk t;
  t.redis(
      {{"EXPIRETIME k", "-2"}, {"SET k v EXAT 1700000100", "OK"}, {"EXPIRETIME k", "1700000100"}});
}

TEST_CASE("commands/pexpiretime: the millisecond it ends") {
  Talk t;
  t.redis({{"SET k v", "OK"},
           {"PEXPIRETIME k", "-1"},
           {"PEXPIREAT k 1700000100001", "1"},
           {"PEXPIRETIME k", "1700000100001"}});
}

TEST_CASE("commands/persist: takes the end away") {
  Talk t;
  t.redis({{"PERSIST k", "0"}, {"SET k v EX 5", "OK"}, {"PERSIST k", "1"}, {"PERSIST k", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.pass_ms(10'000);
  t.redis({{"GET k", "'v'"}});
}

}  // namespace
