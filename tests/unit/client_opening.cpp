// Opening replies: each value only where its request found it, whatever shape the answer has.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "libkv/client/sealing.hpp"
#include "tests/unit/crypto_fixture.hpp"

namespace {

using kv::client::Form;
using kv::client::Sealing;
using kv::client::SealOptions;
using kv::client::Value;
using kv::crypto::Place;
using kv::crypto::test::Keyrings;
using kv::crypto::test::sealer_for;
using Words = std::vector<std::string_view>;
using List = Value::List;
using Map = Value::Map;

/// While it lives, gpg finds our keys.
struct OurKeys {
  OurKeys() { setenv("GNUPGHOME", Keyrings::get().ours().home.c_str(), 1); }
  ~OurKeys() { unsetenv("GNUPGHOME"); }
};

std::string sealed_for(const Place& place, std::string_view plain) {
  static kv::crypto::Sealer sealer = sealer_for({"alice@kv.test"});
  auto sealed = sealer.seal(plain, place);
  REQUIRE(sealed.ok());
  return *sealed;
}

Sealing opener(bool require_sealed = false) {
  SealOptions options;
  options.open = true;
  options.require_sealed = require_sealed;
  return Sealing(options);
}

/// What is shown of the answer; "refused" if it is not opened.
std::string shown(Sealing& sealing, const Words& request, Value answer) {
  const kv::Status status = sealing.open(request, answer);
  if (!status.ok()) {
    CHECK(status.code() == kv::Code::crypto);
    CHECK(answer.is_nil());
    return "refused";
  }
  if (answer.kind() == kv::client::Kind::text) return answer.text();
  std::string out;
  for (const Value& item : answer.list()) {
    out += item.kind() == kv::client::Kind::list ? item.list().back().text() : item.text();
    out += ";";
  }
  for (const Value::Pair& pair : answer.map()) out += pair.value.text() + ";";
  return out;
}

std::string shown(const Words& request, Value answer) {
  Sealing sealing = opener();
  return shown(sealing, request, std::move(answer));
}

}  // namespace

TEST_CASE("client/opening: G3: what a command answers with is opened") {
  const OurKeys keys;
  const std::string a = sealed_for(Place::value("a"), "A"), b = sealed_for(Place::value("b"), "B");
  const std::string f = sealed_for(Place::hash_field("h", "f"), "F");
  const std::string e = sealed_for(Place::element("l"), "E");
  CHECK(shown({"GET", "a"}, a) == "A");
  CHECK(shown({"get", "a"}, Value()) == "");
  CHECK(shown({"SET", "a", "x", "GET"}, a) == "A");
  CHECK(shown({"SET", "a", "x"}, Value("OK", Form::status)) == "OK");
  CHECK(shown({"MGET", "a", "none", "b"}, List{a, Value(), b}) == "A;;B;");
  CHECK(shown({"HGET", "h", "f"}, f) == "F");
  CHECK(shown({"HMGET", "h", "f", "g"}, List{f, Value()}) == "F;;");
  CHECK(shown({"HGETALL", "h"}, Map{{"f", f}}) == "F;");
  CHECK(shown({"HGETALL", "h"}, List{"f", f}) == "f;F;");
  CHECK(shown({"HVALS", "h"}, List{f}) == "F;");
  CHECK(shown({"HRANDFIELD", "h", "1", "WITHVALUES"}, List{List{"f", f}}) == "F;");
  CHECK(shown({"HRANDFIELD", "h"}, "f") == "f");
  CHECK(shown({"HKEYS", "h"}, List{"f"}) == "f;");
  CHECK(shown({"LPOP", "l"}, e) == "E");
  CHECK(shown({"LRANGE", "l", "0", "-1"}, List{e, e}) == "E;E;");
  CHECK(shown({"BLPOP", "l", "0"}, List{"l", e}) == "l;E;");
  CHECK(shown({"LMPOP", "1", "l", "LEFT"}, List{"l", List{"x", e}}) == "l;E;");
  CHECK(shown({"BLPOP", "l", "0"}, Value()) == "");
}

TEST_CASE("client/opening: G3: an answer of another shape gets round no check") {
  const OurKeys keys;
  const std::string b = sealed_for(Place::value("b"), "B");
  const std::string g = sealed_for(Place::hash_field("h", "g"), "G");
  const Map map{{"a", "x"}, {"b", "y"}};
  CHECK(shown({"GET", "a"}, b) == "refused");
  CHECK(shown({"GET", "a"}, List{b}) == "refused");
  CHECK(shown({"GETEX", "a"}, List{b}) == "refused");
  CHECK(shown({"GETDEL", "a"}, Map{{"a", b}}) == "refused");
  CHECK(shown({"GET", "a"}, Value("evil", Form::status)) == "refused");
  CHECK(shown({"GET", "a"}, 1.5) == "refused");
  CHECK(shown({"GET", "a"}, Value::boolean_of(true)) == "refused");
  CHECK(shown({"GET", "a"}, List{Value::error_of("evil")}) == "refused");
  CHECK(shown({"GET", "a"}, Value("QUEUED", Form::status)) == "refused");
  CHECK(shown({"SET", "a", "x", "GET"}, List{b}) == "refused");
  CHECK(shown({"SET", "a", "x"}, b) == "refused");
  CHECK(shown({"MGET", "a", "c"}, List{b}) == "refused");
  CHECK(shown({"MGET", "a"}, List{List{b, b}}) == "refused");
  CHECK(shown({"MGET", "a", "b"}, map) == "refused");
  CHECK(shown({"HGET", "h", "f"}, List{g}) == "refused");
  CHECK(shown({"HGET", "h", "f"}, Value("evil", Form::status)) == "refused");
  CHECK(shown({"HGET", "h", "f"}, Value(std::int64_t{42})) == "refused");
  CHECK(shown({"HMGET", "h", "f", "i"}, List{g}) == "refused");
  CHECK(shown({"HMGET", "h", "a", "b"}, map) == "refused");
  CHECK(shown({"HGETALL", "h"}, List{"f", g, "x"}) == "refused");
  CHECK(shown({"HVALS", "h"}, List{List{"f", "x"}}) == "refused");
  CHECK(shown({"HSCAN", "h", "0"}, List{"0", map}) == "refused");
  CHECK(shown({"BLPOP", "l", "0"}, map) == "refused");
  CHECK(shown({"LMPOP", "1", "l", "LEFT"}, map) == "refused");
  CHECK(shown({"LRANGE", "l", "0", "-1"}, List{List{"x"}}) == "refused");
}

TEST_CASE("client/opening: G3: what EXEC answers is where each request found it") {
  const OurKeys keys;
  const std::string a = sealed_for(Place::value("a"), "A"), b = sealed_for(Place::value("b"), "B");
  const Value queued("QUEUED", Form::status), done("OK", Form::status);
  Sealing sealing = opener(true);
  shown(sealing, {"MULTI"}, done);
  shown(sealing, {"GET", "a"}, queued);
  shown(sealing, {"SET", "b", "secret"}, queued);
  SECTION("it is opened") { CHECK(shown(sealing, {"EXEC"}, List{a, done}) == "A;OK;"); }
  SECTION("an error beside it is told") {
    CHECK(shown(sealing, {"EXEC"}, List{a, Value::error_of("ERR")}) == "A;ERR;");
  }
  SECTION("another value is refused") {
    CHECK(shown(sealing, {"EXEC"}, List{b, done}) == "refused");
  }
  SECTION("plain text is refused") {
    CHECK(shown(sealing, {"EXEC"}, List{"plain", done}) == "refused");
  }
  SECTION("more answers than requests are refused") {
    CHECK(shown(sealing, {"EXEC"}, List{a, done, b}) == "refused");
  }
  SECTION("it was given up, and another one has other requests") {
    shown(sealing, {"DISCARD"}, done);
    shown(sealing, {"MULTI"}, done);
    shown(sealing, {"GET", "b"}, queued);
    CHECK(shown(sealing, {"EXEC"}, List{b}) == "B;");
  }
  SECTION("nothing was done, since a watched key has changed") {
    CHECK(shown(sealing, {"EXEC"}, Value()) == "");
  }
}

TEST_CASE("client/opening: G3: without the requests of a transaction nothing of it is opened") {
  const OurKeys keys;
  Sealing sealing = opener();
  CHECK(shown(sealing, {"EXEC"}, List{sealed_for(Place::value("a"), "A")}) == "refused");
  CHECK(shown(sealing, {"EXEC"}, List{Value("OK", Form::status), std::int64_t{1}}) == "OK;;");
}
