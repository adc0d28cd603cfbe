// DUMP and RESTORE. That redis-server reads what one writes, and the other what redis-server
// writes, is seen in tests/python/redis_files.py.
#include "libkv/base/bytes.hpp"
#include "libkv/rdb/form.hpp"
#include "tests/unit/command_talk.hpp"

using kv::Scalar;
using kv::test::Talk;

namespace {

/// The payload around a value: "set" and the like as RdbType numbers them.
std::string payload(std::string value, std::uint16_t version = 8) {
  kv::append_u16(value, version);
  kv::append_u64(value, kv::rdb_checksum(value));
  return value;
}

/// RESTORE's answer; after: words behind the payload.
std::string restore(Talk& t, std::string_view key, std::string_view ttl, const std::string& bytes,
                    const std::vector<std::string_view>& after = {}) {
  std::vector<Scalar> words = {Scalar("RESTORE"), Scalar(key), Scalar(ttl), Scalar(bytes)};
  for (const std::string_view word : after) words.emplace_back(word);
  const std::string reply = t.resp.run(words);
  std::string_view left = reply;
  return kv::test::readable(left);
}

/// What DUMP answers, as it came.
std::string dumped(Talk& t, std::string_view key) {
  const std::string reply = t.resp("DUMP " + std::string(key));
  const std::size_t head = reply.find("\r\n") + 2;
  return reply.substr(head, reply.size() - head - 2);
}

using namespace std::string_literals;

}  // namespace

TEST_CASE("commands/dump: what it answers comes back the same, long lengths included") {
  Talk t;
  t.redis({{"SET text " + std::string(20'000, 'x'), "OK"},
           {"SET middling " + std::string(100, 'y'), "OK"},
           {"SET empty ''", "OK"},
           {"RPUSH list a '' 12", "3"},
           {"HSET hash f v g ''", "2"},
           {"SADD set a '' 12", "3"},
           {"ZADD sorted 1 a 0.1 '' inf 12", "3"},
           {"DUMP nokey", "nil"}});
  for (const char* key : {"text", "middling", "empty", "list", "hash", "set", "sorted"}) {
    CAPTURE(key);
    const std::string bytes = dumped(t, key);
    CHECK(restore(t, "copy", "0", bytes, {"REPLACE"}) == "OK");
    CHECK(t.r("DEBUG DIGEST-VALUE copy") == t.r("DEBUG DIGEST-VALUE " + std::string(key)));
    CHECK(dumped(t, "copy") == bytes);
  }
}

TEST_CASE("commands/restore: only whole values of types that there are, and nothing else") {
  Talk t;
  const std::string good = payload("\0\x05hello"s);
  CHECK(restore(t, "k", "0", good) == "OK");
  t.redis({{"GET k", "'hello'"}, {"TTL k", "-1"}});
  CHECK(restore(t, "k", "0", good) == "(BUSYKEY Target key name already exists.)");
  constexpr const char* wrong = "(ERR DUMP payload version or checksum are wrong)";
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    CHECK(restore(t, "new", "0", bad) == wrong);
    CHECK(restore(t, "new", "0", good.substr(0, i)) == wrong);
  }
  CHECK(restore(t, "new", "0", payload("\0\x05hello"s, 99)) == wrong);
  CHECK(restore(t, "new", "0", payload("\0\x05hell"s)) == "(ERR Bad data format)");
  CHECK(restore(t, "new", "0", payload("\0\x05hello and more"s)) == "(ERR Bad data format)");
  CHECK(restore(t, "new", "0", payload("\x01\0"s)) == "(ERR Bad data format)");
  CHECK(restore(t, "new", "0", payload("\x04\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01x"s)) ==
        "(ERR Bad data format)");
  const std::string one = "\0\0\0\0\0\0\xf0\x3f"s;  // 1, as a double
  CHECK(restore(t, "zset", "0", payload("\x05\x02\x01x"s + one + "\x01y" + one)) == "OK");
  CHECK(restore(t, "old", "0",
                payload("\x03\x03\x01x\x03"
                        "2.5\x01y\xfe\x01z\xff"s)) == "OK");
  t.redis({{"ZRANGE zset 0 -1 WITHSCORES", "['x' '1' 'y' '1']"},
           {"ZRANGE old 0 -1 WITHSCORES", "['z' '-inf' 'x' '2.5' 'y' 'inf']"}});
  for (const std::string& bad :
       {"\x05\x02\x01x"s + one + "\x01x" + one, "\x05\x01\x01x"s + one.substr(1),
        "\x05\x01\x01x\0\0\0\0\0\0\xf8\x7f"s, "\x03\x01\x01x\xfd"s, "\x03\x01\x01x\x01q"s,
        "\x05\0"s}) {
    CHECK(restore(t, "new", "0", payload(bad)) == "(ERR Bad data format)");
  }
  CHECK(restore(t, "new", "0", payload("\x0f\0\0\0\0\0"s)) ==
        "(ERR the value is a stream, which kv does not have)");
  t.redis({{"EXISTS new", "0"}, {"RESTORE %stats%/x 0 x", "(ERR %stats% keys are read-only)"}});
}

TEST_CASE("commands/restore: the time to live") {
  Talk t;
  const std::string good = payload("\0\x05hello"s);
  CHECK(restore(t, "k", "5000", good) == "OK");
  t.redis({{"PTTL k", "5000"}});
  CHECK(restore(t, "k", "4102444800123", good, {"ABSTTL", "REPLACE", "IDLETIME", "7"}) == "OK");
  t.redis({{"PEXPIRETIME k", "4102444800123"}});
  CHECK(restore(t, "k", "9223372036854775807", good, {"REPLACE"}) ==
        "(ERR invalid expire time in 'restore' command)");
  CHECK(restore(t, "k", "1", good, {"ABSTTL", "REPLACE"}) == "OK");  // its time is over
  t.redis({{"EXISTS k", "0"}});
}
