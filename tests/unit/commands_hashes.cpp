// The hash commands in both dialects; see commands_strings.cpp.
#include <map>
#include <set>

#include "tests/unit/allocations.hpp"
#include "tests/unit/command_talk.hpp"

namespace {

using kv::Scalar;
using kv::test::Talk;

constexpr const char* wrong_type =
    "(WRONGTYPE Operation against a key holding the wrong kind of value)";

TEST_CASE("commands/hset: RESP is told the new fields, PLIO the stored pairs") {
  Talk t;
  t.redis({{"HSET h f v g w", "2"},
           {"HSET h f x h y", "1"},
           {"HGETALL h", "{'f' 'x' 'g' 'w' 'h' 'y'}"},
           {"HSET h f", "(ERR wrong number of arguments for 'hset' command)"},
           {"HSET h f v g", "(ERR wrong number of arguments for 'hset' command)"},
           {"SET k v", "OK"},
           {"HSET k f v", wrong_type}});
  t.pico({{"HSET p f v f w", "2"},
          {"HSET p f NIL g x", "1"},
          {"HGETALL p", "{'f' 'w' 'g' 'x'}"},
          {"HSET p f", "0"},
          {"HSET p", "nil"},
          {"HSET p NIL v", "nil"},
          {"HSET k f v", "nil"},
          {"HSET p f v g", "1"}});
}

TEST_CASE("commands/hmset: HSET with the answer OK") {
  Talk t;
  t.redis({{"HMSET h f v", "OK"},
           {"HGET h f", "'v'"},
           {"HMSET h f v g", "(ERR wrong number of arguments for 'hmset' command)"}});
}

TEST_CASE("commands/hsetnx: only a new field") {
  Talk t;
  t.redis({{"HSETNX h f v", "1"}, {"HSETNX h f w", "0"}, {"HGET h f", "'v'"}});
  CHECK_FALSE(t.resp.committed);
}

TEST_CASE("commands/hget: a value; over PLIO also out of a list of pairs") {
  Talk t;
  t.redis({{"HSET h f v", "1"},
           {"HGET h f", "'v'"},
           {"HGET h g", "nil"},
           {"HGET nokey f", "nil"},
           {"SET k v", "OK"},
           {"HGET k f", wrong_type}});
  t.set_list("l", "(\"plain\" (\"f\" . \"v\") (\"g\" 1 2) (\"n\"))");
  t.pico({{"HGET l f", "'v'"},
          {"HGET l g", "(1 2)"},
          {"HGET l n", "nil"},
          {"HGET l plain", "nil"},
          {"HGET k f", "nil"},
          {"HGET h", "nil"}});
  t.redis({{"HGET l f", wrong_type}});
}

TEST_CASE("commands/hmget: one answer for each field") {
  Talk t;
  t.redis({{"HSET h f v", "1"},
           {"HMGET h f g f", "['v' nil 'v']"},
           {"HMGET nokey f", "[nil]"},
           {"SET k v", "OK"},
           {"HMGET k f", wrong_type}});
  t.pico({{"HMGET h f g", "['v' nil]"}, {"HMGET h", "nil"}, {"HMGET k f", "nil"}});
}

TEST_CASE("commands/hmget: many fields of a long list cost one walk, found ones the way to them") {
  Talk t;
  const std::string name = "a name of more than fifteen bytes, which is allocated ";
  constexpr std::size_t pairs = 500, absent = 100;
  std::string lisp, fields;
  for (std::size_t i = 0; i < pairs; ++i) {
    lisp += "(\"" + name + std::to_string(i) + "\" . " + std::to_string(i) + ")";
  }
  t.set_list("l", "(\"plain\" " + lisp + "(\"f\" . 1) (\"f\" . 2))");
  std::vector<Scalar> request{"HMGET", "l", "f"};
  std::vector<std::string> names(absent, "no ");
  for (std::size_t i = 0; i < absent; ++i) request.emplace_back(names[i] += std::to_string(i));
  request.emplace_back("f");
  const kv::test::Allocations of_all;
  CHECK(t.plio.run(request).starts_with("*102\r\n(1\r\n_\r\n"));
  CHECK(of_all.count() < 4 * (pairs + absent));  // not their product
  const kv::test::Allocations of_first;
  CHECK(t.plio.run({"HGET", "l", Scalar(name + "0")}) == "(0\r\n");
  CHECK(of_first.count() < pairs / 10);
}

TEST_CASE("commands/hdel: fields, and the hash with the last one") {
  Talk t;
  t.redis({{"HSET h a 1 b 2", "2"}, {"HDEL h x", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"HDEL h a x a", "1"}, {"HDEL h b", "1"}, {"EXISTS h", "0"}, {"HDEL h b", "0"}});
  t.pico({{"SET k v", "OK"}, {"HDEL k f", "nil"}, {"HDEL nokey", "nil"}, {"HDEL nokey f", "0"}});
}

TEST_CASE("commands/hlen: fields; over PLIO the elements of a list as well") {
  Talk t;
  t.redis({{"HSET h a 1 b 2", "2"}, {"HLEN h", "2"}, {"HLEN nokey", "0"}});
  t.set_list("l", "(\"plain\" (\"f\" . \"v\"))");
  t.pico({{"HLEN l", "2"},
          {"HLEN nokey", "0"},
          {"HLEN", "nil"},
          {"HLEN NIL", "nil"},
          {"SET k v", "OK"},
          {"HLEN k", "nil"}});
}

TEST_CASE("commands/hexists: 1 or 0") {
  Talk t;
  t.redis({{"HSET h f v", "1"}, {"HEXISTS h f", "1"}, {"HEXISTS h g", "0"}});
  t.pico({{"HEXISTS h f", "1"}, {"HEXISTS h", "0"}, {"SET k v", "OK"}, {"HEXISTS k f", "0"}});
}

TEST_CASE("commands/hstrlen: the length of a value as STRLEN counts") {
  Talk t;
  t.redis({{"HSET h f é", "1"}, {"HSTRLEN h f", "2"}, {"HSTRLEN h g", "0"}});
  t.pico({{"HSTRLEN h f", "1"},
          {"HSET h n N:-12", "1"},
          {"HSTRLEN h n", "3"},
          {"HSTRLEN h g", "0"},
          {"SET k v", "OK"},
          {"HSTRLEN k f", "nil"}});
  t.set_list("l", "((\"f\" 1 2 3))");
  t.pico({{"HSTRLEN l f", "3"}});
}

TEST_CASE("commands/hgetall: a map; over PLIO plain elements are left out") {
  Talk t;
  t.redis({{"HSET h f v g w", "2"},
           {"HGETALL h", "{'f' 'v' 'g' 'w'}"},
           {"HGETALL nokey", "{}"},
           {"SET k v", "OK"},
           {"HGETALL k", wrong_type}});
  t.set_list("l", "(\"plain\" (\"f\" . \"v\"))");
  t.pico({{"HGETALL l", "{'f' 'v'}"}, {"HGETALL k", "nil"}, {"HGETALL", "nil"}});
}

TEST_CASE("commands/hkeys: all fields, with their kinds") {
  Talk t;
  t.redis({{"HSET h f v g w", "2"}, {"HKEYS h", "['f' 'g']"}, {"HKEYS nokey", "[]"}});
  t.pico({{"HSET p N:7 v", "1"}, {"HKEYS p", "[#7]"}, {"SET k v", "OK"}, {"HKEYS k", "nil"}});
}

TEST_CASE("commands/hvals: all values, with their kinds") {
  Talk t;
  t.redis({{"HSET h f v g w", "2"}, {"HVALS h", "['v' 'w']"}});
  t.pico({{"HSET p f N:7", "1"}, {"HVALS p", "[#7]"}, {"HVALS nokey", "[]"}});
}

TEST_CASE("commands/hfind: fields that contain a text") {
  Talk t;
  t.redis({{"HSET h apple 1 pear 2 plum 3", "3"},
           {"HFIND h p", "['apple' 'pear' 'plum']"},
           {"HFIND h ea", "['pear']"},
           {"HFIND h x", "[]"},
           {"HFIND nokey x", "[]"},
           {"SET k v", "OK"},
           {"HFIND k x", wrong_type}});
  t.set_list("l", "(\"apple\" 12 (\"grape\" . 1) \"x\")");
  t.pico({{"HFIND l ap", "['apple' 'grape']"}, {"HFIND l 1", "[#12]"}, {"HFIND h", "nil"}});
}

TEST_CASE("commands/hincrby: counts in a field and stops at the end (N12)") {
  Talk t;
  t.redis({{"HINCRBY h n 5", "5"}, {"HINCRBY h n -7", "-2"}, {"HINCRBY h n 0", "-2"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"HSET h s x m 9223372036854775807", "2"},
           {"HINCRBY h s 1", "(ERR hash value is not an integer)"},
           {"HINCRBY h m 1", "(ERR increment or decrement would overflow)"},
           {"HINCRBY h n x", "(ERR value is not an integer or out of range)"}});
  t.pico(
      {{"HINCRBY p n 5", "5"}, {"HGET p n", "#5"}, {"HINCRBY h n 1", "-1"}, {"HGET h n", "'-1'"}});
}

TEST_CASE("commands/hincrbyfloat: adds decimals in a field") {
  Talk t;
  t.redis({{"HINCRBYFLOAT h n 1.5", "'1.5'"},
           {"HINCRBYFLOAT h n -0.25", "'1.25'"},
           {"HSET h s x", "1"},
           {"HINCRBYFLOAT h s 1", "(ERR hash value is not a float)"},
           {"HINCRBYFLOAT h n inf", "(ERR value is NaN or Infinity)"},
           {"HINCRBYFLOAT h n x", "(ERR value is not a valid float)"},
           {"HGET h n", "'1.25'"}});
}

TEST_CASE("commands/hrandfield: fields that are there, as many as asked") {
  Talk t;
  t.redis({{"HRANDFIELD h", "nil"},
           {"HRANDFIELD h 2", "[]"},
           {"HSET h a 1", "1"},
           {"HRANDFIELD h", "'a'"},
           {"HRANDFIELD h -3", "['a' 'a' 'a']"},
           {"HRANDFIELD h 5 WITHVALUES", "['a' '1']"},
           {"HRANDFIELD h 0", "[]"},
           {"HRANDFIELD h 1 bogus", "(ERR syntax error)"}});
  t.resp.session.protocol = 3;
  t.redis({{"HRANDFIELD h 5 WITHVALUES", "[['a' '1']]"}});
}

TEST_CASE("commands/hrandfield: a huge count asks for no memory (N12)") {
  Talk t;
  t.redis({{"HSET h a 1 b 2", "2"},
           {"HRANDFIELD h 9223372036854775807", "['a' 'b']"},
           {"HRANDFIELD h -9223372036854775807", "(ERR value is out of range)"},
           {"HRANDFIELD h 9223372036854775807 WITHVALUES", "(ERR value is out of range)"}});
}

TEST_CASE("commands/hrandfield: every field has its chance, none comes twice") {
  Talk t;
  t.redis({{"HSET h a 1 b 2 c 3", "3"}});
  std::map<std::string, int> seen;
  for (int i = 0; i < 300; ++i) ++seen[t.r("HRANDFIELD h 2")];
  CHECK(seen.size() == 6);  // every ordered pair of different fields
  CHECK(seen.count("['a' 'a']") == 0);
}

TEST_CASE("commands/hrandfield: few fields of a large hash are drawn, evenly and without a copy") {
  Talk t;
  constexpr int fields = 3000, draws = 20;
  for (int i = 0; i < fields; ++i) t.resp("HSET h f" + std::to_string(i) + " v");
  const kv::test::Allocations made;
  CHECK(t.r("HRANDFIELD h").starts_with("'f"));
  CHECK(t.r("HRANDFIELD h -2 WITHVALUES").ends_with(" 'v']"));
  CHECK(made.bytes() < 8 * 1024);
  std::map<std::string, int> seen;
  for (int i = 0; i < draws; ++i) {
    std::set<std::string> once;
    const std::string reply = t.r("HRANDFIELD h 1000");
    for (std::size_t at = 0; (at = reply.find("'f", at)) != reply.npos; ++at) {
      once.insert(reply.substr(at, reply.find('\'', at + 1) - at));
    }
    REQUIRE(once.size() == 1000);
    for (const std::string& field : once) ++seen[field];
  }
  // Each has a chance of a third each time: one of them may never be drawn, none always.
  CHECK(seen.size() > fields - 10);
  int most = 0;
  for (const auto& [field, times] : seen) most = std::max(most, times);
  CHECK(most < draws);
}

TEST_CASE("commands/hscan: a small hash in one step, a large one completely") {
  Talk t;
  t.redis({{"HSCAN h 0", "['0' []]"},
           {"HSET h a 1 b 2 bb 3", "3"},
           {"HSCAN h 0 MATCH b*", "['0' ['b' '2' 'bb' '3']]"},
           {"HSCAN h x", "(ERR invalid cursor)"},
           {"HSCAN h 0 COUNT 0", "(ERR syntax error)"}});
  for (int i = 0; i < 2000; ++i) t.resp("HSET big f" + std::to_string(i) + " v");
  std::set<std::string> seen;
  std::string cursor = "0";
  int steps = 0;
  do {
    std::string reply = t.resp("HSCAN big " + cursor + " COUNT 50");
    std::string_view rest = reply;
    std::string text = kv::test::readable(rest);
    cursor = text.substr(2, text.find('\'', 2) - 2);
    for (std::size_t at = text.find("'f"); at != text.npos; at = text.find("'f", at + 1)) {
      seen.insert(text.substr(at, text.find('\'', at + 1) - at));
    }
    REQUIRE(++steps < 2000);
  } while (cursor != "0");
  CHECK(seen.size() == 2000);
  CHECK(steps > 5);
}

}  // namespace
