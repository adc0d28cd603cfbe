// The other direction: replies written, measured, translated and read back by the client.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>

#include "libkv/wire/plio.hpp"
#include "libkv/wire/reply.hpp"
#include "libkv/wire/resp.hpp"
#include "tests/unit/wire_help.hpp"

namespace kv {
namespace {

using State = RespReplyParser::State;
using Type = Value::Type;

struct Read {
  std::vector<Value> replies;
  std::string error;
  std::size_t left = 0;
};

Read read(std::string_view data, std::size_t piece = std::string_view::npos,
          const RespReplyParser::Limits& limits = {}) {
  Read result;
  RespReplyParser parser(limits);
  std::string buffer;
  while (!data.empty()) {
    const std::string_view part = data.substr(0, piece);
    buffer.append(part);
    data.remove_prefix(part.size());
    for (State state = State::reply; state == State::reply && !buffer.empty();) {
      buffer = std::string(buffer);
      state = parser.next(buffer);
      if (state == State::reply) result.replies.push_back(std::move(parser.value()));
      if (state == State::error) return result.error = parser.error(), result;
      buffer.erase(0, parser.consumed());
    }
  }
  result.left = buffer.size();
  return result;
}

Value one(std::string_view data) {
  Read result = read(data);
  INFO(data);
  INFO(result.error);
  REQUIRE(result.replies.size() == 1);
  REQUIRE(result.left == 0);
  return result.replies[0];
}

}  // namespace

TEST_CASE("wire/reply: what Reply writes is what the client reads") {
  std::string out;
  Reply reply(out, Dialect::resp);
  reply.map(2);
  reply.bulk("any\r\nbytes"), reply.integer(std::numeric_limits<std::int64_t>::min());
  reply.simple("OK"), reply.array(3);
  reply.decimal(1.5), reply.boolean(true), reply.nil();
  CHECK(reply.needs_translation());
  const Value value = one(out);
  REQUIRE(value.type == Type::map);
  REQUIRE(value.items.size() == 4);
  CHECK(value.items[0] == Value::of(Type::bulk, "any\r\nbytes"));
  CHECK(value.items[1] == Value::of(std::numeric_limits<std::int64_t>::min()));
  CHECK(value.items[2] == Value::of(Type::simple, "OK"));
  CHECK(value.items[3] == Value::list(Type::array, {Value::of(1.5), Value::of(true), Value{}}));
}

TEST_CASE("wire/reply: bulk strings of every size come as they are") {
  std::string out, expected;
  Reply reply(out, Dialect::resp);
  for (std::size_t size = 0; size < 1100; size = size < 300 ? size + 1 : size + 199) {
    const std::string bytes(size, static_cast<char>('a' + size % 26));
    reply.bulk(bytes);
    expected += "$" + std::to_string(size) + "\r\n" + bytes + "\r\n";
  }
  CHECK(out == expected);
  CHECK_FALSE(reply.too_large());
}

TEST_CASE("wire/reply: only replies that differ between RESP2 and RESP3 ask for translation") {
  std::string out;
  Reply plain(out, Dialect::resp);
  plain.ok(), plain.integer(1), plain.bulk("x"), plain.array(0), plain.error("ERR no");
  plain.scalar({"12", Kind::number}), plain.scalar("text");
  CHECK_FALSE(plain.needs_translation());
  CHECK(plain.failed());
  std::string same;
  CHECK(to_resp2(out, same));
  CHECK(same == out);
}

TEST_CASE("wire/reply: a stored element shows its kind over PLIO and its bytes over RESP") {
  const std::string list = test::from_hex("010402040403");
  const struct {
    Scalar scalar;
    const char *resp, *plio;
  } cases[] = {{{"7", Kind::number}, "$1\r\n7\r\n", "(7\r\n"},
               {{"foo", Kind::symbol}, "$3\r\nfoo\r\n", "=7\r\nsym:foo\r\n"},
               {{"", Kind::nil}, "$0\r\n\r\n", "_\r\n"},
               {{list, Kind::list}, "$5\r\n(1 2)\r\n", nullptr}};
  for (const auto& c : cases) {
    std::string resp, plio;
    Reply(resp, Dialect::resp).scalar(c.scalar);
    CHECK(resp == c.resp);
    Reply(plio, Dialect::plio).scalar(c.scalar);
    if (c.plio != nullptr) CHECK(plio == c.plio);
    else CHECK(plio == "=10\r\npli:" + list + "\r\n");
  }
}

TEST_CASE("wire/reply: an error never breaks its line") {
  std::string out;
  Reply(out, Dialect::resp).error("ERR unknown command 'a\r\n+OK'");
  CHECK(out == "-ERR unknown command 'a  +OK'\r\n");
}

TEST_CASE("wire/reply: every RESP2 and RESP3 type is read") {
  CHECK(one("+OK\r\n") == Value::of(Type::simple, "OK"));
  CHECK(one("-ERR x\r\n") == Value::of(Type::error, "ERR x"));
  CHECK(one("!5\r\nERR x\r\n") == Value::of(Type::error, "ERR x"));
  CHECK(one("$-1\r\n").is_nil());
  CHECK(one("*-1\r\n").is_nil());
  CHECK(one("_\r\n").is_nil());
  CHECK(one("(123456789012345678901\r\n") == Value::of(Type::big_number, "123456789012345678901"));
  CHECK(one(",inf\r\n") == Value::of(std::numeric_limits<double>::infinity()));
  CHECK(std::isnan(one(",nan\r\n").decimal));
  CHECK(one("#f\r\n") == Value::of(false));
  CHECK(one("=7\r\ntxt:abc\r\n") == Value::of(Type::verbatim, "abc"));
  CHECK(one("~1\r\n:1\r\n") == Value::list(Type::set, {Value::of(1)}));
  CHECK(one(">1\r\n:1\r\n") == Value::list(Type::push, {Value::of(1)}));
  CHECK(one("|1\r\n+ttl\r\n:9\r\n$1\r\nx\r\n") == Value::of(Type::bulk, "x"));
  CHECK(one("*2\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n:2\r\n") ==
        Value::list(Type::array, {Value::of(1), Value::of(2)}));
  CHECK(one(":12\r\n").str() == "12");
  CHECK(one(",0.1\r\n").str() == "0.1");
}

TEST_CASE("wire/reply: N5 the same replies come out however the bytes are cut") {
  const std::string data =
      "*2\r\n%1\r\n$4\r\na\r\nb\r\n*2\r\n:1\r\n*0\r\n"
      "=7\r\ntxt:abc\r\n|1\r\n+k\r\n+v\r\n+OK\r\n";
  const Read whole = read(data);
  REQUIRE(whole.error.empty());
  REQUIRE(whole.replies.size() == 2);
  for (std::size_t piece = 1; piece < 20; ++piece) {
    const Read cut = read(data, piece);
    CHECK(cut.error.empty());
    CHECK(cut.replies == whole.replies);
  }
}

TEST_CASE("wire/reply: N4 a server's huge sizes are refused before memory is asked for") {
  CHECK_FALSE(read("$99999999999999999\r\n").error.empty());
  CHECK_FALSE(read("$1073741825\r\n").error.empty());
  CHECK_FALSE(read("*99999999999\r\n").error.empty());
  CHECK_FALSE(read("%9223372036854775807\r\n").error.empty());
  CHECK_FALSE(read("*-2\r\n").error.empty());
  CHECK_FALSE(read("+" + std::string(2'200'000, 'x')).error.empty());
  RespReplyParser::Limits small;
  small.bytes_max = 100, small.blob_bytes_max = 50, small.values_max = 5, small.depth_max = 3;
  const auto refused = [&](const std::string& data) {
    return !read(data, std::string_view::npos, small).error.empty();
  };
  CHECK(refused("$51\r\n"));
  CHECK(refused("*6\r\n"));
  CHECK(refused("*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:1\r\n:2\r\n"));
  CHECK(refused("*1\r\n*1\r\n*1\r\n*1\r\n"));
  CHECK(refused("*3\r\n$50\r\n" + std::string(50, 'x') + "\r\n$50\r\n"));
  CHECK_FALSE(refused("*1\r\n*1\r\n*1\r\n:1\r\n"));
  CHECK_FALSE(refused("*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n"));
}

TEST_CASE("wire/reply: what is over a limit is not called no RESP, and its size is told") {
  RespReplyParser::Limits small;
  small.bytes_max = 100, small.blob_bytes_max = 50, small.values_max = 5, small.depth_max = 3;
  const auto error = [&](const std::string& data) {
    return read(data, std::string_view::npos, small).error;
  };
  const std::string over = "the server's reply is larger than the limit: ";
  CHECK(error("$51\r\n") == over + "a string of 51 bytes, at most 50 bytes are taken");
  CHECK(error("*3\r\n$50\r\n" + std::string(50, 'x') + "\r\n$50\r\n") ==
        over + "116 bytes or more, at most 100 bytes are taken");
  CHECK(error("*5\r\n+" + std::string(99, 'x') + "\r\n") ==
        over + "106 bytes or more, at most 100 bytes are taken");
  CHECK(error("*6\r\n") == over + "a list of 6 elements, at most 5 elements are taken");
  CHECK(error("%3\r\n") == over + "a map of 3 pairs, at most 5 elements are taken");
  CHECK(error("*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:1\r\n:2\r\n") ==
        over + "6 elements or more, at most 5 elements are taken");
  CHECK(error("*1\r\n*1\r\n*1\r\n*1\r\n") == "the server's reply is nested deeper than 3 levels");
  // The longest of MONITOR: 128 words of 4096 bytes, each written as four, in quotes.
  const std::string longest(128 * (4 * 4096 + 3) + 100, 'x');
  CHECK(read("+" + longest + "\r\n").error.empty());
  CHECK(read("+" + std::string(2'200'000, 'x')).error ==
        "the server's reply has a line of more than 2163200 bytes");
  CHECK(read("?\r\n").error == "the server's reply is not RESP: unknown type \"?\"");
}

TEST_CASE("wire/reply: N3 nested attributes and arrays end at the depth limit") {
  for (const char* piece : {"*1\r\n", "|1\r\n", "%1\r\n", ">1\r\n"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += piece;
    CHECK_FALSE(read(deep).error.empty());
  }
}

TEST_CASE("wire/reply: N1 what is not a reply is refused") {
  for (const char* data :
       {"x\r\n", "HTTP/1.1 200 OK\r\n", ":1x\r\n", ":\r\n", "#x\r\n", ",1,5\r\n", "$1\r\nxy\r\n",
        "+a\rb", "=3\r\nabc\r\n", "_1\r\n", "(1x\r\n", "%-1\r\n", "!-1\r\n", "*01\r\n"}) {
    INFO(data);
    CHECK_FALSE(read(data).error.empty());
  }
}

TEST_CASE("wire/reply: reply_length finds the end of the first reply only") {
  const std::string reply = "*2\r\n%1\r\n+a\r\n|1\r\n+x\r\n+y\r\n:1\r\n$3\r\n\r\n\r\r\n";
  CHECK(reply_length(reply + "+next\r\n") == reply.size());
  for (std::size_t n = 0; n < reply.size(); ++n)
    CHECK(reply_length(std::string_view(reply).substr(0, n)) == 0);
  CHECK(reply_length("x") == std::string_view::npos);
  CHECK(reply_length("*-1\r\n:1\r\n") == 5);
}

TEST_CASE("wire/reply: translators refuse what is not whole") {
  std::string out;
  for (const char* data :
       {"*2\r\n:1\r\n", "$5\r\nab\r\n", "x\r\n", "%1\r\n+a\r\n", "|1\r\n+a\r\n+b\r\n"}) {
    INFO(data);
    CHECK_FALSE(to_resp2(data, out));
    CHECK_FALSE(to_resp3(data, out));
    CHECK_FALSE(to_plio(data, out));
  }
}

TEST_CASE("wire/reply: append_request is what the request parser reads") {
  const std::string_view args[] = {"SET", "k", std::string_view("\0\r\n", 3)};
  std::string out;
  append_request(out, args);
  RespRequestParser parser;
  REQUIRE(parser.next(out) == ParseState::request);
  REQUIRE(parser.args().size() == 3);
  CHECK(parser.args()[2].bytes == args[2]);
}

}  // namespace kv
