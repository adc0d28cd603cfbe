// The PLIO request parser: flattening, any pieces, limits and refusals.
#include <catch2/catch.hpp>
#include <string>

#include "libkv/base/limits.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio_request.hpp"
#include "tests/unit/wire_help.hpp"

namespace kv {
namespace {

using Requests = std::vector<std::vector<std::string>>;

std::string plio(std::string_view lisp) {
  std::string out;
  REQUIRE(read_lisp(lisp, out).ok());
  return out;
}

test::Parsed parse(std::string_view data, std::size_t piece = std::string_view::npos,
                   bool guest = false) {
  PlioRequestParser parser;
  parser.set_guest(guest);
  return test::parse(parser, data, piece);
}

}  // namespace

TEST_CASE("wire/plio request: the shapes clients send all become flat arguments") {
  const struct {
    const char* lisp;
    Requests requests;
  } cases[] = {
      {"(\"SET\" (\"mykey\" \"hello\"))", {{"s:SET", "s:mykey", "s:hello"}}},
      {"(\"RPUSH\" \"l\" (\"a\" \"b\"))", {{"s:RPUSH", "s:l", "s:a", "s:b"}}},
      {"(\"SET\" \"a\" \"b\")", {{"s:SET", "s:a", "s:b"}}},
      {"(\"GET\" . \"k\")", {{"s:GET", "s:k"}}},
      {"(\"GET\" (\"a\" . \"b\"))", {{"s:GET", "s:a", "s:b"}}},
      {"(\"PING\" NIL)", {{"s:PING"}}},
      {"(\"PING\")", {{"s:PING"}}},
      {"(PING)", {{"y:PING"}}},
      {"(NIL NIL)", {{"-"}}},
      {"(\"AUTH\" \"cli1\" 17424)", {{"s:AUTH", "s:cli1", "n:17424"}}},
      {"(\"AUTH\" NIL 17424)", {{"s:AUTH", "-", "n:17424"}}},
      {"(\"SET\" (\"e\" NIL))", {{"s:SET", "s:e", "-"}}},
      {"(\"SET\" (\"n\" -42))", {{"s:SET", "s:n", "n:-42"}}},
      {"(\"SET\" (\"t\" T))", {{"s:SET", "s:t", "y:T"}}},
      {"(\"RPUSH\" (\"l\" (\"x\" 2)))",
       {{"s:RPUSH", "s:l",
         "l:01067804"
         "0403"}}},
      {"(\"RPUSH\" (\"l\" ((1 . 2)) 3))", {{"s:RPUSH", "s:l", "l:0101040202040403", "n:3"}}},
  };
  for (const auto& c : cases) {
    INFO(c.lisp);
    const auto parsed = parse(plio(c.lisp));
    CHECK(parsed.requests == c.requests);
    CHECK(parsed.error.empty());
    CHECK(parsed.left == 0);
  }
}

TEST_CASE("wire/plio request: N5 the same requests come out however the bytes are cut") {
  const std::string big(2000, 'b'), digits = "1" + std::string(400, '0');
  const std::string data = plio("(\"SET\" (\"k\" \"" + big + "\"))") +
                           plio("(\"RPUSH\" (\"l\" " + digits + " (1 . \"" + big + "\") (\"" + big +
                                "\" -" + digits + ") NIL))") +
                           plio("(\"PING\" NIL)") + std::string(1, '\0');
  const auto whole = parse(data);
  REQUIRE(whole.requests.size() == 3);
  CHECK(whole.closed);
  CHECK(whole.requests[0] == std::vector<std::string>{"s:SET", "s:k", "s:" + big});
  const std::string pair = plio("(1 . \"" + big + "\")");
  const std::string list = plio("(\"" + big + "\" -" + digits + ")");
  CHECK(whole.requests[1] == std::vector<std::string>{"s:RPUSH", "s:l", "n:" + digits,
                                                      "l:" + test::to_hex(pair),
                                                      "l:" + test::to_hex(list), "-"});
  for (const std::size_t piece : {1, 2, 3, 7, 62, 63, 64, 65, 255, 256, 257, 1000})
    CHECK(parse(data, piece) == whole);
}

TEST_CASE("wire/plio request: lists come out in PicoLisp's own form") {
  const auto tail_list =
      parse(test::from_hex("01064101066b"
                           "010661020106620303"
                           "03"));
  REQUIRE(tail_list.requests.size() == 1);
  CHECK(tail_list.requests[0].back() == "l:010661066203");
  const auto tail_nil =
      parse(test::from_hex("010641"
                           "01066b"
                           "01066102"
                           "00"
                           "03"
                           "03"));
  REQUIRE(tail_nil.requests.size() == 1);
  CHECK(tail_nil.requests[0].back() == "l:01066103");
}

TEST_CASE("wire/plio request: symbols that text cannot hold become strings") {
  CHECK(parse(test::from_hex("0106530106"
                             "6b0d31323303"
                             "03"))
            .requests == Requests{{"s:S", "s:k", "s:123"}});
  CHECK(parse(test::from_hex("01065301066b09610a0303")).error.empty());
  CHECK(parse(test::from_hex("01065301066b09610a03"
                             "03"))
            .requests == Requests{{"s:S", "s:k", "s:a\n"}});
  CHECK(parse(test::from_hex("01065301066b0d4e494c03"
                             "03"))
            .requests == Requests{{"s:S", "s:k", "-"}});
}

TEST_CASE("wire/plio request: N1 what is not a request is refused") {
  for (const char* hex : {"0661", "02", "03", "0b61", "0554", "0103", "0102", "010203",
                          "01066102"
                          "03",
                          "010761", "474554"}) {
    INFO(hex);
    CHECK_FALSE(parse(test::from_hex(hex)).error.empty());
  }
  // A tail ends the list, so what comes after it must be the next request.
  const auto parsed = parse(test::from_hex("01066102066203"));
  CHECK(parsed.requests.size() == 1);
  CHECK_FALSE(parsed.error.empty());
}

TEST_CASE("wire/plio request: N2 A3 a guest's sizes are limited as they arrive") {
  const std::string big(20'000, 'x');
  CHECK(parse(plio("(\"SET\" (\"k\" \"" + big + "\"))"), 100, true).error ==
        "ERR Protocol error: unauthenticated bulk length");
  CHECK(parse(plio("(\"SET\" (1 2 3 4 5 6 7 8 9 10))"), 100, true).error ==
        "ERR Protocol error: unauthenticated multibulk length");
  CHECK(parse(plio("(\"SET\" (1 2 3 4 5 6 7 8 9))"), 100, true).requests.size() == 1);
  CHECK(parse(plio("(\"SET\" (\"k\" (\"" + big + "\")))"), 100, true).error ==
        "ERR Protocol error: unauthenticated bulk length");
}

TEST_CASE("wire/plio request: N2 a number of more than 4096 digits is refused") {
  std::string number(1 + 63, '\x01');
  number[0] = '\xFC';
  for (int i = 0; i < 20; ++i) number += '\xFF' + std::string(255, '\x01');
  CHECK(parse("\x01\x06S" + number + std::string(1, '\0') + "\x03").error ==
        "ERR Protocol error: number too long");
}

TEST_CASE("wire/plio request: N3 deep nesting is refused, without recursion") {
  CHECK(parse(std::string(100'000, '\x01')).error == "ERR Protocol error: nested too deep");
}

}  // namespace kv
