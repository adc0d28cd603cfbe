// The RESP request parser: what it takes, in whatever pieces, and what it refuses with which words.
// The error texts and the skipped forms were compared with redis-server 7.0.15
// (tests/python/wire_protocol.py does it again).
#include <catch2/catch.hpp>
#include <string>

#include "libkv/base/limits.hpp"
#include "libkv/wire/resp.hpp"
#include "tests/unit/wire_help.hpp"

namespace kv {
namespace {

using Requests = std::vector<std::vector<std::string>>;

test::Parsed parse(std::string_view data, std::size_t piece = std::string_view::npos,
                   bool guest = false) {
  RespRequestParser parser;
  parser.set_guest(guest);
  return test::parse(parser, data, piece);
}

std::string error_of(std::string_view data, bool guest = false) {
  const test::Parsed parsed = parse(data, std::string_view::npos, guest);
  constexpr std::string_view front = "ERR Protocol error: ";
  if (parsed.error.empty()) return "none";
  REQUIRE(parsed.error.starts_with(front));
  return parsed.error.substr(front.size());
}

}  // namespace

TEST_CASE("wire/resp: a request of bulk strings") {
  const auto parsed = parse("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n");
  CHECK(parsed.requests == Requests{{"s:SET", "s:key", "s:value"}});
  CHECK(parsed.left == 0);
}

TEST_CASE("wire/resp: N10 bulk strings hold any bytes") {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  const auto parsed = parse("*2\r\n$4\r\nECHO\r\n$256\r\n" + all + "\r\n");
  CHECK(parsed.requests == Requests{{"s:ECHO", "s:" + all}});
}

TEST_CASE("wire/resp: N5 the same requests come out however the bytes are cut") {
  const std::string data =
      "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\nvalue\r\nvalue\r\n\r\nPING  \"a b\"\r\n*0\r\n*-1\r\n"
      "*1\r\n$4\r\nPING\r\n*9\r\n:+012\r\n,1.50\r\n#t\r\n_\r\n(-00123456789012345678901\r\n=9\r\n"
      "txt:hello\r\n+simple\r\n*3\r\n:1\r\n$1\r\na\r\n%1\r\n+k\r\n*2\r\n:1\r\n:2\r\n$0\r\n\r\n\n";
  const auto whole = parse(data);
  CHECK(whole.error.empty());
  CHECK(whole.requests ==
        Requests{{"s:SET", "s:key", "s:value\r\nvalue"},
                 {"s:PING", "s:a b"},
                 {"s:PING"},
                 {"n:12", "s:1.50", "n:1", "-", "n:-123456789012345678901", "s:hello", "s:simple",
                  "l:010402066101"
                  "01066b0402040403"
                  "03"
                  "03",
                  "s:"}});
  for (std::size_t piece = 1; piece < 40; ++piece) CHECK(parse(data, piece) == whole);
}

TEST_CASE("wire/resp: inline requests are split by Redis's quoting rules") {
  CHECK(parse("SET k \"a\\x41\\n\\q\\\"\" 'it\\'s\\n' a\"b\"\r\n").requests ==
        Requests{{"s:SET", "s:k", "s:aA\nq\"", "s:it's\\n", "s:ab"}});
  CHECK(parse("ECHO \"\"\n").requests == Requests{{"s:ECHO", "s:"}});
  CHECK(parse("  PING \r\n").requests == Requests{{"s:PING"}});
  for (const char* bad : {"SET \"a b\r\n", "SET 'a\r\n", "SET \"a\"b\r\n", "SET 'a'b\r\n"})
    CHECK(error_of(bad) == "unbalanced quotes in request");
}

TEST_CASE("wire/resp: empty requests are skipped and their bytes given back") {
  RespRequestParser parser;
  CHECK(parser.next("\r\n\r\n*0\r\n*-5\r\n") == ParseState::need_more);
  CHECK(parser.consumed() == 13);
  CHECK(parser.next("PING\r\n") == ParseState::request);
  CHECK(parser.args().size() == 1);
}

TEST_CASE("wire/resp: N5 a request that begins behind empty ones may come in pieces") {
  const std::string data = "\r\n\n*0\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
  for (std::size_t piece = 1; piece < data.size(); ++piece)
    CHECK(parse(data, piece).requests == Requests{{"s:SET", "s:key", "s:value"}});
}

TEST_CASE("wire/resp: N1 malformed requests get Redis's words") {
  CHECK(error_of("*x\r\n") == "invalid multibulk length");
  CHECK(error_of("*+0\r\n") == "invalid multibulk length");
  CHECK(error_of("*01\r\n") == "invalid multibulk length");
  CHECK(error_of("*\r\n") == "invalid multibulk length");
  CHECK(error_of("*1\r\nX12\r\n") == "expected '$', got 'X'");
  CHECK(error_of("*1\r\n\r\n") == "expected '$', got ' '");
  CHECK(error_of("*1\r\n$-1\r\n") == "invalid bulk length");
  CHECK(error_of("*1\r\n$+4\r\n") == "invalid bulk length");
  CHECK(error_of("*1\r\n$\r\n") == "invalid bulk length");
  CHECK(error_of("*1\r\n$04\r\nPING\r\n") == "invalid bulk length");
  CHECK(error_of("*" + std::string(70'000, '1')) == "too big mbulk count string");
  CHECK(error_of("*1\r\n$" + std::string(70'000, '1')) == "too big bulk count string");
  CHECK(error_of(std::string(70'000, 'A')) == "too big inline request");
  CHECK(error_of("*1\r\n$4\r\nPINGxx").starts_with("expected a line end"));
  CHECK(error_of("*1\rx").starts_with("expected a line feed"));
  CHECK(error_of("\x16\x03\x01\x02") == "neither RESP nor an inline request");
  CHECK(error_of("POST / HTTP/1.1\r\n") == "this is not a web server");
  CHECK(error_of("GET / HTTP/1.1\r\nHost: x\r\n") == "this is not a web server");
}

TEST_CASE("wire/resp: N1 malformed typed values are refused") {
  for (const char* value : {":\r\n", ":1x\r\n", ":9223372036854775808\r\n", ",x\r\n", ",\r\n",
                            "#x\r\n", "_x\r\n", "(1.5\r\n", "=3\r\nabc\r\n", "=4\r\nabcd\r\n",
                            "-ERR x\r\n", ">0\r\n", "|0\r\n", "!3\r\nabc\r\n"}) {
    INFO(value);
    CHECK(error_of("*1\r\n" + std::string(value)) != "none");
  }
}

TEST_CASE("wire/resp: N2 declared sizes over the limits are refused before memory is asked for") {
  CHECK(error_of("*2147483648\r\n") == "invalid multibulk length");
  CHECK(error_of("*1048577\r\n") == "invalid multibulk length");
  CHECK(error_of("*1\r\n$536870913\r\n") == "invalid bulk length");
  CHECK(error_of("*1\r\n$9223372036854775807\r\n") == "invalid bulk length");
  CHECK(error_of("*1\r\n$99999999999999999999\r\n") == "invalid bulk length");
  RespRequestParser parser;  // within the limits: waits, and says for how much
  CHECK(parser.next("*1048576\r\n$536870912\r\nabc") == ParseState::need_more);
  CHECK(parser.needed() == 536870912 + 2 - 3);
}

TEST_CASE("wire/resp: N2 A3 a guest gets ten arguments of 16 KiB") {
  CHECK(error_of("*11\r\n", true) == "unauthenticated multibulk length");
  CHECK(error_of("*1\r\n$16385\r\n", true) == "unauthenticated bulk length");
  CHECK(error_of("*10\r\n$16384\r\n", true) == "none");
  CHECK(error_of("*1\r\n+" + std::string(16'385, 'x') + "\r\n", true) ==
        "unauthenticated bulk length");
  CHECK(error_of(
            "*1\r\n*9000\r\n" +
                [] {
                  std::string many;
                  for (int i = 0; i < 9000; ++i) many += ":1\r\n";
                  return many;
                }(),
            true) == "unauthenticated bulk length");
}

TEST_CASE("wire/resp: N3 nesting beyond the limit is refused without recursion") {
  std::string deep = "*1\r\n";
  for (int i = 0; i < 100'000; ++i) deep += "*1\r\n";
  CHECK(error_of(deep) == "nested too deep");
  std::string within = "*1\r\n";
  for (std::size_t i = 0; i < limits::nesting_max; ++i) within += i % 2 == 0 ? "*1\r\n" : "~1\r\n";
  CHECK(parse(within + ":1\r\n").requests.size() == 1);
}

}  // namespace kv
