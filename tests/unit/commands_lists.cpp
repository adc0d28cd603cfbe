// The list commands in both dialects; see commands_strings.cpp.
#include "tests/unit/command_talk.hpp"

namespace {

using kv::test::Talk;

constexpr const char* wrong_type =
    "(WRONGTYPE Operation against a key holding the wrong kind of value)";
constexpr const char* not_an_integer = "(ERR value is not an integer or out of range)";

TEST_CASE("commands/lpush: to the head, one by one") {
  Talk t;
  t.redis({{"LPUSH l z y", "2"},
           {"LRANGE l 0 -1", "['y' 'z']"},
           {"SET k v", "OK"},
           {"LPUSH k a", wrong_type}});
  t.pico({{"LPUSH l x", "3"},
          {"LPUSH l", "nil"},
          {"LPUSH k a", "nil"},
          {"LPUSH NIL a", "nil"},
          {"LPUSH %stats%/x a", "nil"},
          {"LPUSH l NIL", "4"},
          {"LINDEX l 0", "nil"},
          {"LLEN l", "4"}});
}

TEST_CASE("commands/rpush: to the tail; PLIO's NIL, numbers and lists come back as such") {
  Talk t;
  t.redis({{"RPUSH l a b", "2"}, {"LRANGE l 0 -1", "['a' 'b']"}});
  t.pico({{"RPUSH m a N:1 NIL", "3"}, {"GET m", "['a' #1 nil]"}});
  const std::string inner = kv::test::list("(\"x\" 2)");
  CHECK(t.plio.run({"RPUSH", "m", {inner, kv::Kind::list}}) == ":4\r\n");
  t.pico({{"LINDEX m 3", "(\"x\" 2)"}});
}

TEST_CASE("commands/lpushx: only to a list that is there") {
  Talk t;
  t.redis({{"LPUSHX l a", "0"},
           {"EXISTS l", "0"},
           {"RPUSH l a", "1"},
           {"LPUSHX l b c", "3"},
           {"LRANGE l 0 -1", "['c' 'b' 'a']"}});
}

TEST_CASE("commands/rpushx: only to a list that is there") {
  Talk t;
  t.redis({{"RPUSHX l a", "0"},
           {"RPUSH l a", "1"},
           {"RPUSHX l b", "2"},
           {"SET k v", "OK"},
           {"RPUSHX k a", wrong_type}});
}

TEST_CASE("commands/lpop: elements from the head; the last one takes the key with it") {
  Talk t;
  t.redis({{"LPOP l", "nil"},
           {"LPOP l 1", "nil[]"},
           {"RPUSH l a b c", "3"},
           {"LPOP l", "'a'"},
           {"LPOP l 0", "[]"},
           {"LPOP l 9", "['b' 'c']"},
           {"EXISTS l", "0"},
           {"RPUSH l a", "1"},
           {"LPOP l -1", "(ERR value is out of range, must be positive)"},
           {"LPOP l 1 1", "(ERR wrong number of arguments for 'lpop' command)"}});
  t.pico({{"LPOP l 5", "'a'"},
          {"LPOP l", "nil"},
          {"SET k v", "OK"},
          {"LPOP k", "nil"},
          {"LPOP", "nil"}});
}

TEST_CASE("commands/rpop: elements from the tail, the last one first") {
  Talk t;
  t.redis(
      {{"RPUSH l a b c", "3"}, {"RPOP l", "'c'"}, {"RPOP l 2", "['b' 'a']"}, {"RPOP l", "nil"}});
  t.pico({{"RPUSH l a N:2", "2"}, {"RPOP l", "#2"}});
}

TEST_CASE("commands/llen: elements; over PLIO also characters") {
  Talk t;
  t.redis({{"LLEN l", "0"},
           {"RPUSH l a b", "2"},
           {"LLEN l", "2"},
           {"SET k é", "OK"},
           {"LLEN k", wrong_type}});
  t.pico({{"LLEN l", "2"}, {"LLEN k", "1"}, {"LLEN nokey", "0"}, {"LLEN", "nil"}});
}

TEST_CASE("commands/lrange: from start to stop") {
  Talk t;
  t.redis({{"RPUSH l a b c d e", "5"},
           {"LRANGE l 1 2", "['b' 'c']"},
           {"LRANGE l -2 -1", "['d' 'e']"},
           {"LRANGE l 3 99", "['d' 'e']"},
           {"LRANGE l 3 1", "[]"},
           {"LRANGE nokey 0 -1", "[]"},
           {"LRANGE l x 1", not_an_integer},
           {"LRANGE l -9223372036854775808 9223372036854775807", "['a' 'b' 'c' 'd' 'e']"}});
}

TEST_CASE("commands/lrange: picolisp-kv's own rules for its ends") {
  Talk t;
  t.pico({{"RPUSH l a b c d e", "5"},
          {"LRANGE l 0 1", "['a' 'b']"},
          {"LRANGE l 3 99", "['d' 'e']"},
          {"LRANGE l 2 1", "[]"},
          {"LRANGE l 2 0", "['c' 'd']"},
          {"LRANGE l 0 -1", "nil"},
          {"LRANGE l x 1", "nil"},
          {"LRANGE l N:0 N:1", "nil"},
          {"LRANGE l +1 01", "['b']"},
          {"LRANGE l 1.4 1.5", "['b' 'c']"},
          {"LRANGE l 0 99999999999999999999", "['a' 'b' 'c' 'd' 'e']"},
          {"LRANGE l 9 10", "[]"},
          {"LRANGE l 0", "nil"},
          {"LRANGE nokey 0 1", "[]"}});
}

TEST_CASE("commands/lindex: from the head, or negative from the tail") {
  Talk t;
  t.redis({{"RPUSH l a b c", "3"},
           {"LINDEX l 0", "'a'"},
           {"LINDEX l -1", "'c'"},
           {"LINDEX l 3", "nil"},
           {"LINDEX l -4", "nil"},
           {"LINDEX l x", not_an_integer},
           {"LINDEX nokey 0", "nil"}});
  t.pico({{"LINDEX l 1", "'b'"},
          {"LINDEX l -2", "'b'"},
          {"LINDEX l N:1", "nil"},
          {"LINDEX l -99999999999999999999", "nil"},
          {"LINDEX l 99999999999999999999", "nil"},
          {"LINDEX l", "nil"}});
}

TEST_CASE("commands/lset: replaces one element") {
  Talk t;
  t.redis({{"LSET l 0 a", "(ERR no such key)"},
           {"RPUSH l a b", "2"},
           {"LSET l -1 c", "OK"},
           {"LSET l 2 x", "(ERR index out of range)"},
           {"LRANGE l 0 -1", "['a' 'c']"}});
  t.pico({{"LSET l 0 z", "OK"},
          {"LSET l -1 y", "nil"},
          {"LSET l 2 y", "nil"},
          {"LSET l 0 NIL", "nil"},
          {"LSET l N:0 y", "nil"},
          {"LSET l 0", "nil"},
          {"GET l", "['z' 'c']"}});
}

TEST_CASE("commands/lrem: so many equal elements from either end") {
  Talk t;
  t.redis({{"RPUSH l a b a c a", "5"},
           {"LREM l 1 a", "1"},
           {"LREM l -1 a", "1"},
           {"LRANGE l 0 -1", "['b' 'a' 'c']"},
           {"LREM l 0 x", "0"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"LREM l 0 a", "1"}, {"LREM l 0 b", "1"}, {"LREM l 0 c", "1"}, {"EXISTS l", "0"}});
}

TEST_CASE("commands/lrem: PLIO tells 1 from \"1\" and answers 0 to misuse") {
  Talk t;
  t.pico({{"RPUSH l 1 N:1 1", "3"},
          {"LREM l 0 N:1", "1"},
          {"GET l", "['1' '1']"},
          {"LREM l -1 1", "0"},
          {"LREM l N:1 1", "0"},
          {"LREM l x 1", "0"},
          {"LREM l 0", "0"},
          {"LREM l 99999999999999999999 1", "2"},
          {"EXISTS l", "0"}});
}

TEST_CASE("commands/ltrim: keeps a range; nothing to cut is nothing to log") {
  Talk t;
  t.redis({{"RPUSH l a b c d", "4"}, {"LTRIM l 0 -1", "OK"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"LTRIM l 1 -2", "OK"},
           {"LRANGE l 0 -1", "['b' 'c']"},
           {"LTRIM l 5 9", "OK"},
           {"EXISTS l", "0"}});
  t.pico({{"RPUSH l a b c d", "4"},
          {"LTRIM l 1 2", "OK"},
          {"GET l", "['b' 'c']"},
          {"LTRIM l 5 9", "nil"},
          {"LTRIM l 0 -1", "nil"},
          {"GET l", "['b' 'c']"},
          {"LTRIM nokey 0 1", "nil"}});
}

TEST_CASE("commands/linsert: before or after a pivot") {
  Talk t;
  t.redis({{"LINSERT l BEFORE a b", "0"},
           {"RPUSH l a c", "2"},
           {"LINSERT l BEFORE c b", "3"},
           {"LINSERT l after c d", "4"},
           {"LINSERT l AFTER nope x", "-1"},
           {"LRANGE l 0 -1", "['a' 'b' 'c' 'd']"},
           {"LINSERT l beside a b", "(ERR syntax error)"}});
}

TEST_CASE("commands/lpos: where equal elements are") {
  Talk t;
  t.redis({{"RPUSH l a b c b b", "5"},
           {"LPOS l b", "1"},
           {"LPOS l x", "nil"},
           {"LPOS l b RANK 2", "3"},
           {"LPOS l b RANK -1", "4"},
           {"LPOS l b COUNT 0", "[1 3 4]"},
           {"LPOS l b RANK -2 COUNT 2", "[3 1]"},
           {"LPOS l b COUNT 0 MAXLEN 2", "[1]"},
           {"LPOS nokey b COUNT 0", "[]"},
           {"LPOS l b COUNT -1", "(ERR COUNT can't be negative)"},
           {"LPOS l b RANK", "(ERR syntax error)"}});
}

TEST_CASE("commands/lmove: from one end to another") {
  Talk t;
  t.redis({{"LMOVE a b LEFT RIGHT", "nil"},
           {"RPUSH a 1 2", "2"},
           {"LMOVE a b LEFT RIGHT", "'1'"},
           {"LMOVE a b RIGHT LEFT", "'2'"},
           {"EXISTS a", "0"},
           {"LRANGE b 0 -1", "['2' '1']"},
           {"LMOVE b b LEFT RIGHT", "'2'"},
           {"LRANGE b 0 -1", "['1' '2']"},
           {"LMOVE b b LEFT LEFT", "'1'"}});
  CHECK_FALSE(t.resp.committed);
  t.redis({{"SET k v", "OK"},
           {"LMOVE b k LEFT LEFT", wrong_type},
           {"LLEN b", "2"},
           {"LMOVE b b UP LEFT", "(ERR syntax error)"}});
}

TEST_CASE("commands/lmove: large elements keep their bytes and kinds on the way") {
  Talk t;
  const std::string big(100'000, 'x');
  CHECK(t.plio.run({"RPUSH", "a", kv::Scalar(big), {"7", kv::Kind::number}}) == ":2\r\n");
  CHECK(t.plio.run({"LMOVE", "a", "b", "LEFT", "LEFT"}).size() > big.size());
  t.pico({{"LMOVE a b LEFT RIGHT", "#7"}, {"LINDEX b 1", "#7"}, {"EXISTS a", "0"}});
  CHECK(t.resp.run({"LINDEX", "b", "0"}) == "$100000\r\n" + big + "\r\n");
}

TEST_CASE("commands/rpoplpush: from the tail to the head") {
  Talk t;
  t.redis({{"RPUSH a 1 2 3", "3"},
           {"RPOPLPUSH a b", "'3'"},
           {"RPOPLPUSH a a", "'2'"},
           {"LRANGE a 0 -1", "['2' '1']"}});
  t.pico({{"RPOPLPUSH a b", "'1'"},
          {"RPOPLPUSH a", "nil"},
          {"RPOPLPUSH nokey b", "nil"},
          {"SET k v", "OK"},
          {"RPOPLPUSH a k", "nil"},
          {"LLEN a", "1"},  // not lost
          {"RPOPLPUSH a %stats%/x", "nil"},
          {"LLEN a", "1"}});
}

TEST_CASE("commands/rpolrpush: RPOPLPUSH, as picolisp-kv's help spells it, unlisted") {
  Talk t;
  t.redis({{"RPUSH a 1 2", "2"}, {"RPOLRPUSH a b", "'2'"}});
  CHECK((kv::find_command("rpolrpush")->flags & kv::kHidden) != 0);
}

TEST_CASE("commands/lpoprpush: from the head to the tail") {
  Talk t;
  t.redis({{"RPUSH a 1 2", "2"},
           {"LPOPRPUSH a b", "'1'"},
           {"LPOPRPUSH a b", "'2'"},
           {"LRANGE b 0 -1", "['1' '2']"},
           {"LPOPRPUSH b b", "'1'"},
           {"LRANGE b 0 -1", "['2' '1']"}});
  t.pico({{"RPUSH c NIL a", "2"}, {"LPOPRPUSH c d", "nil"}, {"LLEN d", "1"}});  // moved, not lost
}

TEST_CASE("commands/lmpop: from the first list that is there") {
  Talk t;
  t.redis({{"LMPOP 2 a b LEFT", "nil[]"},
           {"RPUSH b 1 2 3", "3"},
           {"LMPOP 2 a b LEFT", "['b' ['1']]"},
           {"LMPOP 2 a b RIGHT COUNT 5", "['b' ['3' '2']]"},
           {"EXISTS b", "0"},
           {"LMPOP 0 a LEFT", "(ERR numkeys should be greater than 0)"},
           {"LMPOP 1 a LEFT COUNT 0", "(ERR count should be greater than 0)"},
           {"LMPOP 9223372036854775807 a LEFT", "(ERR syntax error)"}});
}

// Waiting itself is the engine's (engine_waiting.cpp); here is what they do when they need not, and
// what they answer where nobody can wait.

TEST_CASE("commands/blpop: the first element of the first list that is there") {
  Talk t;
  t.redis({{"BLPOP a b 0", "nil[]"},
           {"RPUSH b 1 2 3", "3"},
           {"BLPOP a b 0", "['b' '1']"},
           {"SET s v", "OK"},
           {"BLPOP b s 0", "['b' '2']"},
           {"BLPOP s b 0", "(WRONGTYPE Operation against a key holding the wrong kind of value)"},
           {"BLPOP b -1", "(ERR timeout is negative)"},
           {"BLPOP b", "(ERR wrong number of arguments for 'blpop' command)"}});
}

TEST_CASE("commands/brpop: the last element of the first list that is there") {
  Talk t;
  t.redis({{"RPUSH b 1 2", "2"},
           {"BRPOP a b 0", "['b' '2']"},
           {"BRPOP a b 0.5", "['b' '1']"},
           {"EXISTS b", "0"},
           {"BRPOP b soon", "(ERR timeout is not a float or out of range)"}});
}

TEST_CASE("commands/blmove: from one end to one end, as the words say") {
  Talk t;
  t.redis({{"RPUSH a 1 2 3", "3"},
           {"BLMOVE a b LEFT RIGHT 0", "'1'"},
           {"BLMOVE a b RIGHT LEFT 0", "'3'"},
           {"LRANGE b 0 -1", "['3' '1']"},
           {"BLMOVE none b LEFT LEFT 0", "nil"},
           {"BLMOVE a b LEFT DOWN 0", "(ERR syntax error)"},
           {"BLMOVE a b LEFT LEFT 1e300", "(ERR timeout is out of range)"}});
}

TEST_CASE("commands/brpoplpush: from the tail to the head of another") {
  Talk t;
  t.redis({{"RPUSH a 1 2", "2"},
           {"BRPOPLPUSH a b 0", "'2'"},
           {"BRPOPLPUSH a a 0", "'1'"},
           {"BRPOPLPUSH none a 0", "nil"},
           {"BRPOPLPUSH a b -1", "(ERR timeout is negative)"}});
}

TEST_CASE("commands/blmpop: several elements of the first list that is there") {
  Talk t;
  t.redis({{"BLMPOP 0 2 a b LEFT", "nil[]"},
           {"RPUSH b 1 2 3", "3"},
           {"BLMPOP 0 2 a b RIGHT COUNT 2", "['b' ['3' '2']]"},
           {"BLMPOP 0 2 a b RIGHT COUNT 2", "['b' ['1']]"},
           {"BLMPOP 0 0 a LEFT", "(ERR numkeys should be greater than 0)"},
           {"BLMPOP x 1 a LEFT", "(ERR timeout is not a float or out of range)"},
           {"BLMPOP 0 2 a LEFT", "(ERR syntax error)"}});
}

}  // namespace
