// The commands on sorted sets, over RESP and, where kinds of members show, PLIO. What Redis answers
// to all their options and mistakes is compared in tests/python/redis_cases/sorted_sets.txt.
#include <map>
#include <set>

#include "tests/unit/allocations.hpp"
#include "tests/unit/command_talk.hpp"

namespace {

using kv::Scalar;
using kv::test::Talk;

constexpr const char* wrong_type =
    "(WRONGTYPE Operation against a key holding the wrong kind of value)";
constexpr const char* syntax = "(ERR syntax error)";

TEST_CASE("commands/zadd: adds, updates, and heeds every option") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b", "2"},
           {"ZADD z 3 a 4 c", "1"},
           {"ZADD z CH 3 a 5 c 6 d", "2"},
           {"ZADD z NX 9 a 9 e", "1"},
           {"ZADD z XX 8 a 8 f", "0"},
           {"ZADD z GT 7 a", "0"},
           {"ZADD z LT CH 7 a", "1"},
           {"ZADD z INCR 0.5 a", "'7.5'"},
           {"ZADD z NX INCR 1 a", "nil"},
           {"ZRANGE z 0 -1 WITHSCORES", "['b' '2' 'c' '5' 'd' '6' 'a' '7.5' 'e' '9']"},
           {"ZADD z NX XX 1 a", "(ERR XX and NX options at the same time are not compatible)"},
           {"ZADD z 1 a 2", syntax},
           {"ZADD z 1 a nan b", "(ERR value is not a valid float)"},
           {"ZADD none XX 1 a", "0"},
           {"EXISTS none", "0"},
           {"SET k v", "OK"},
           {"ZADD k 1 a", wrong_type},
           {"ZADD %stats%/x 1 a", "(ERR %stats% keys are read-only)"}});
}

TEST_CASE("commands/zadd: what changes nothing is no change") {
  Talk t;
  t.redis({{"ZADD z 1 a 0 b", "2"}, {"ZADD z 1 a -0 b", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"ZADD z GT 1 a", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"ZADD z INCR 0 a", "'1'"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE("commands/zadd: scores are told as Redis 7.0 prints them, -0 is 0") {
  Talk t;
  t.redis({{"ZADD z 0.1 a 1e15 b 1e17 c inf d -inf e -0 f 1e16 g", "7"},
           {"ZMSCORE z a b c d e f g",
            "['0.10000000000000001' '1000000000000000' '1e+17' 'inf' '-inf' '0' "
            "'10000000000000000']"}});
  t.resp.session.protocol = 3;
  t.redis({{"ZSCORE z a", "0.10000000000000001"}, {"ZSCORE z e", "-inf"}});
}

TEST_CASE("commands/zadd: a member keeps the kind it came as") {
  Talk t;
  t.pico({{"ZADD z N:1 N:7 2 x", "2"},
          {"ZRANGE z 0 -1", "[#7 'x']"},
          {"ZADD z 3 7", "0"},
          {"ZRANGE z 0 -1 WITHSCORES", "['x' '2' #7 '3']"},
          {"GET z", "{'x' '2' #7 '3'}"}});
}

TEST_CASE("commands/zincrby: adds to a score, and refuses what is no number") {
  Talk t;
  t.redis({{"ZINCRBY z 1.5 a", "'1.5'"},
           {"ZINCRBY z -3 a", "'-1.5'"},
           {"ZINCRBY z inf a", "'inf'"},
           {"ZINCRBY z -inf a", "(ERR resulting score is not a number (NaN))"},
           {"ZINCRBY z x a", "(ERR value is not a valid float)"},
           {"ZSCORE z a", "'inf'"}});
}

TEST_CASE("commands/zrem: members, and the sorted set with the last one") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b", "2"}, {"ZREM z x", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"ZREM z a x a", "1"}, {"ZREM z b", "1"}, {"EXISTS z", "0"}, {"ZREM z b", "0"}});
}

TEST_CASE("commands/zscore, zmscore, zcard: what is there, and nil for what is not") {
  Talk t;
  t.redis({{"ZADD z 1 a 2.5 b", "2"},
           {"ZSCORE z b", "'2.5'"},
           {"ZSCORE z x", "nil"},
           {"ZSCORE none x", "nil"},
           {"ZMSCORE z b x a", "['2.5' nil '1']"},
           {"ZMSCORE none a", "[nil]"},
           {"ZCARD z", "2"},
           {"ZCARD none", "0"},
           {"SET k v", "OK"},
           {"ZSCORE k a", wrong_type},
           {"ZMSCORE k a", wrong_type},
           {"ZCARD k", wrong_type}});
}

TEST_CASE("commands/zrank, zrevrank: places from both ends") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b 2 c", "3"},
           {"ZRANK z a", "0"},
           {"ZRANK z c", "2"},
           {"ZREVRANK z c", "0"},
           {"ZREVRANK z a", "2"},
           {"ZRANK z x", "nil"},
           {"ZREVRANK none x", "nil"}});
}

TEST_CASE("commands/zrandmember: members that are there, as many as asked") {
  Talk t;
  t.redis({{"ZRANDMEMBER z", "nil"},
           {"ZRANDMEMBER z 2", "[]"},
           {"ZADD z 1 a", "1"},
           {"ZRANDMEMBER z", "'a'"},
           {"ZRANDMEMBER z -3", "['a' 'a' 'a']"},
           {"ZRANDMEMBER z 5 WITHSCORES", "['a' '1']"},
           {"ZRANDMEMBER z 0", "[]"},
           {"ZRANDMEMBER z 1 bogus", syntax},
           {"ZRANDMEMBER z 9223372036854775807", "['a']"},
           {"ZRANDMEMBER z -9223372036854775807", "(ERR value is out of range)"}});
  t.resp.session.protocol = 3;
  t.redis({{"ZRANDMEMBER z 5 WITHSCORES", "[['a' 1]]"}});
}

TEST_CASE("commands/zrandmember: every member has its chance, none comes twice") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b 3 c", "3"}});
  std::map<std::string, int> seen;
  for (int i = 0; i < 300; ++i) ++seen[t.r("ZRANDMEMBER z 2")];
  for (const char* twice : {"['a' 'a']", "['b' 'b']", "['c' 'c']"}) CHECK(seen.count(twice) == 0);
  CHECK(seen.size() >= 3);
  for (int i = 0; i < 3000; ++i) t.resp("ZADD big " + std::to_string(i) + " m" + std::to_string(i));
  const kv::test::Allocations made;
  CHECK(t.r("ZRANDMEMBER big -3").starts_with("['m"));
  CHECK(made.bytes() < 8 * 1024);
}

TEST_CASE("commands/zscan: a small sorted set in one step, a large one completely") {
  Talk t;
  t.redis({{"ZSCAN z 0", "['0' []]"},
           {"ZADD z 1 a 2 b 3 bb", "3"},
           {"ZSCAN z 0 MATCH b*", "['0' ['b' '2' 'bb' '3']]"},
           {"ZSCAN z x", "(ERR invalid cursor)"}});
  for (int i = 0; i < 1000; ++i) t.resp("ZADD big " + std::to_string(i) + " m" + std::to_string(i));
  std::set<std::string> seen;
  std::string cursor = "0";
  do {
    const std::string reply = t.r("ZSCAN big " + cursor + " COUNT 50");
    cursor = reply.substr(2, reply.find('\'', 2) - 2);
    for (std::size_t at = 0; (at = reply.find("'m", at)) != reply.npos; ++at) {
      seen.insert(reply.substr(at, reply.find('\'', at + 1) - at));
    }
  } while (cursor != "0");
  CHECK(seen.size() == 1000);
}

TEST_CASE("commands/zrange: by rank, score and member, in both directions") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b 3 c 4 d", "4"},
           {"ZRANGE z 0 -1", "['a' 'b' 'c' 'd']"},
           {"ZRANGE z 1 2 REV WITHSCORES", "['c' '3' 'b' '2']"},
           {"ZRANGE z (1 3 BYSCORE", "['b' 'c']"},
           {"ZRANGE z 3 (1 BYSCORE REV LIMIT 1 5", "['b']"},
           {"ZRANGE z -inf inf BYSCORE LIMIT -1 5", "[]"},
           {"ZRANGE z [b (d BYLEX", "['b' 'c']"},
           {"ZRANGE z - + BYLEX WITHSCORES",
            "(ERR syntax error, WITHSCORES not supported in combination with BYLEX)"},
           {"ZRANGE z 0 1 LIMIT 0 1",
            "(ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
            "BYLEX)"},
           {"ZRANGE none 0 -1", "[]"}});
  t.resp.session.protocol = 3;
  t.redis({{"ZRANGE z 0 1 WITHSCORES", "[['a' 1] ['b' 2]]"}});
}

TEST_CASE("commands/zrevrange, zrangebyscore, zrevrangebyscore, zrangebylex, zrevrangebylex") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b 3 c", "3"},
           {"ZREVRANGE z 0 1 WITHSCORES", "['c' '3' 'b' '2']"},
           {"ZREVRANGE z 0 1 REV", syntax},
           {"ZRANGEBYSCORE z 2 +inf", "['b' 'c']"},
           {"ZRANGEBYSCORE z x 1", "(ERR min or max is not a float)"},
           {"ZREVRANGEBYSCORE z +inf 2 LIMIT 0 1", "['c']"},
           {"ZRANGEBYLEX z (a +", "['b' 'c']"},
           {"ZRANGEBYLEX z a +", "(ERR min or max not valid string range item)"},
           {"ZREVRANGEBYLEX z + (a", "['c' 'b']"}});
}

TEST_CASE("commands/zrangebyscore: large ones are as small ones") {
  Talk t;
  for (int i = 0; i < 2000; ++i) {
    t.resp("ZADD z " + std::to_string(i % 100) + " m" + std::to_string(i));
  }
  t.redis({{"ZCOUNT z 5 7", "60"},
           {"ZCOUNT z (5 (7", "20"},
           {"ZRANGEBYSCORE z 99 +inf LIMIT 18 5", "['m99' 'm999']"},
           {"ZREVRANGE z 0 0", "['m999']"},
           {"ZRANK z m1900", "11"},
           {"ZREMRANGEBYSCORE z 10 +inf", "1800"},
           {"ZCARD z", "200"},
           {"OBJECT ENCODING z", "'skiplist'"}});
}

TEST_CASE("commands/zcount, zlexcount: how many are within") {
  Talk t;
  t.redis({{"ZADD z 0 a 0 b 0 c 1 d", "4"},
           {"ZCOUNT z 0 0", "3"},
           {"ZCOUNT z (0 1", "1"},
           {"ZCOUNT z 1 0", "0"},
           {"ZCOUNT z nan 0", "(ERR min or max is not a float)"},
           {"ZLEXCOUNT z - (c", "2"},
           {"ZLEXCOUNT z [b +", "3"},
           {"ZLEXCOUNT z + -", "0"},
           {"ZLEXCOUNT none - +", "0"}});
}

TEST_CASE("commands/zremrangebyrank, zremrangebyscore, zremrangebylex: what is within goes") {
  Talk t;
  t.redis({{"ZADD z 0 a 0 b 0 c 1 d 2 e 3 f", "6"},
           {"ZREMRANGEBYRANK z 9 10", "0"},
           {"ZREMRANGEBYSCORE z 7 8", "0"},
           {"ZREMRANGEBYLEX z [x [y", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"ZREMRANGEBYRANK z -1 -1", "1"},
           {"ZREMRANGEBYSCORE z (1 2", "1"},
           {"ZREMRANGEBYLEX z (a [b", "1"},
           {"ZRANGE z 0 -1", "['a' 'c' 'd']"},
           {"ZREMRANGEBYRANK z 0 -1", "3"},
           {"EXISTS z", "0"}});
}

TEST_CASE("commands/zpopmin, zpopmax: the ends, and the sorted set with the last one") {
  Talk t;
  t.redis({{"ZPOPMIN z", "[]"},
           {"ZADD z 1 a 2 b 3 c 4 d", "4"},
           {"ZPOPMIN z 0", "[]"},
           {"ZPOPMIN z", "['a' '1']"},
           {"ZPOPMAX z 2", "['d' '4' 'c' '3']"},
           {"ZPOPMIN z -1", "(ERR value is out of range, must be positive)"},
           {"ZPOPMIN z 1 2", syntax}});
  t.resp.session.protocol = 3;
  t.redis({{"ZPOPMAX z", "['b' 2]"},
           {"EXISTS z", "0"},
           {"ZADD z 1 a", "1"},
           {"ZPOPMIN z 9", "[['a' 1]]"}});
}

TEST_CASE("commands/zmpop: of the first sorted set that is there") {
  Talk t;
  t.redis({{"ZMPOP 2 x y MIN", "nil[]"},
           {"ZADD y 1 a 2 b 3 c", "3"},
           {"ZMPOP 2 x y MIN", "['y' [['a' '1']]]"},
           {"ZMPOP 2 x y MAX COUNT 9", "['y' [['c' '3'] ['b' '2']]]"},
           {"ZMPOP 0 x MIN", "(ERR numkeys should be greater than 0)"},
           {"ZMPOP 1 x MIN COUNT 0", "(ERR count should be greater than 0)"},
           {"ZMPOP 1 x LEFT", syntax}});
}

TEST_CASE("commands/bzpopmin, bzpopmax, bzmpop: with something at hand they do not wait") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b 3 c 4 d", "4"},
           {"BZPOPMIN none z 0", "['z' 'a' '1']"},
           {"BZPOPMAX z 0", "['z' 'd' '4']"},
           {"BZMPOP 0 2 none z MIN", "['z' [['b' '2']]]"},
           {"BZPOPMIN z x", "(ERR timeout is not a float or out of range)"},
           {"BZPOPMAX z -1", "(ERR timeout is negative)"},
           {"BZMPOP 0 0 z MIN", "(ERR numkeys should be greater than 0)"},
           {"SET k v", "OK"},
           {"BZPOPMIN none k 0", wrong_type}});
}

TEST_CASE("commands/zunion, zinter, zdiff, zintercard: several together") {
  Talk t;
  t.redis({{"ZADD a 1 x 2 y 3 z", "3"},
           {"ZADD b 10 y 20 z 30 w", "3"},
           {"ZUNION 2 a b WITHSCORES", "['x' '1' 'y' '12' 'z' '23' 'w' '30']"},
           {"ZUNION 2 a b WEIGHTS 2 1 AGGREGATE MAX", "['x' 'y' 'z' 'w']"},
           {"ZINTER 2 a b WITHSCORES AGGREGATE MIN", "['y' '2' 'z' '3']"},
           {"ZINTER 2 a none", "[]"},
           {"ZDIFF 2 a b WITHSCORES", "['x' '1']"},
           {"ZDIFF 2 none a", "[]"},
           {"ZINTERCARD 2 a b", "2"},
           {"ZINTERCARD 2 a b LIMIT 1", "1"},
           {"ZUNION 1 a WEIGHTS -1 WITHSCORES", "['z' '-3' 'y' '-2' 'x' '-1']"},
           {"ZUNION 0 a", "(ERR at least 1 input key is needed for 'zunion' command)"},
           {"ZUNION 2 a b WEIGHTS 1 x", "(ERR weight value is not a float)"},
           {"ZDIFF 2 a b WEIGHTS 1 1", syntax},
           {"SET k v", "OK"},
           {"ZUNION 2 a k", wrong_type}});
}

TEST_CASE("commands/zdiff: the two ways to find it agree") {
  Talk t;
  std::string many = "ZADD many";
  for (int i = 0; i < 300; ++i) many += " " + std::to_string(i) + " m" + std::to_string(i);
  CHECK(t.r(many) == "300");
  t.redis({{"ZADD few 1 m1 2 m299", "2"}, {"ZADD one 0 m7", "1"}});
  t.redis({{"ZDIFFSTORE d 3 many few one", "297"},  // few are read once
           {"ZDIFF 2 few many", "[]"},              // each is looked for
           {"ZDIFF 2 few one", "['m1' 'm299']"},
           {"ZINTERCARD 2 d few", "0"},
           {"ZCARD d", "297"}});
}

TEST_CASE("commands/zrangestore, zunionstore, zinterstore, zdiffstore: replace what was there") {
  Talk t;
  t.redis({{"ZADD a 1 x 2 y 3 z", "3"},
           {"ZADD b 10 y 20 z 30 w", "3"},
           {"SET d v EX 100", "OK"},
           {"ZRANGESTORE d a 1 9 REV", "2"},
           {"TTL d", "-1"},
           {"ZRANGE d 0 -1 WITHSCORES", "['x' '1' 'y' '2']"},
           {"ZUNIONSTORE a 2 a b", "4"},  // a source may be the destination
           {"ZRANGE a 0 -1 WITHSCORES", "['x' '1' 'y' '12' 'z' '23' 'w' '30']"},
           {"ZINTERSTORE d 2 a b WEIGHTS 0 1", "3"},
           {"ZDIFFSTORE d 2 a b", "1"},
           {"ZRANGE d 0 -1", "['x']"},
           {"ZDIFFSTORE d 2 a a", "0"},
           {"EXISTS d", "0"},
           {"ZDIFFSTORE d 2 a a", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"ZRANGESTORE d a 9 10", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"ZUNIONSTORE d 2 none nope", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis(
      {{"SET k v", "OK"}, {"ZRANGESTORE d k 0 1", wrong_type}, {"ZUNIONSTORE d 1 k", wrong_type}});
}

TEST_CASE("commands/copy: a sorted set, to another key; and what OBJECT and TYPE say of it") {
  Talk t;
  t.redis({{"ZADD z 1 a 2 b", "2"},
           {"COPY z y", "1"},
           {"ZREM z a", "1"},
           {"ZRANGE y 0 -1 WITHSCORES", "['a' '1' 'b' '2']"},
           {"TYPE y", "zset"},
           {"OBJECT ENCODING y", "'listpack'"},
           {"RENAME y z", "OK"},
           {"ZCARD z", "2"}});
}

}  // namespace
