// libkv/base/text: strict numbers, safe display, globs.
#include <catch2/catch.hpp>
#include <chrono>
#include <limits>
#include <string>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/wire/inline.hpp"

namespace kv {

TEST_CASE("base/text: N12 integers are read by Redis's rules, to the last digit") {
  const struct {
    const char* text;
    bool good;
    std::int64_t n;
  } cases[] = {{"0", true, 0},
               {"-1", true, -1},
               {"9223372036854775807", true, std::numeric_limits<std::int64_t>::max()},
               {"-9223372036854775808", true, std::numeric_limits<std::int64_t>::min()},
               {"9223372036854775808", false, 0},
               {"-9223372036854775809", false, 0},
               {"", false, 0},
               {"-", false, 0},
               {"-0", false, 0},
               {"01", false, 0},
               {"+1", false, 0},
               {" 1", false, 0},
               {"1 ", false, 0},
               {"1.0", false, 0},
               {"0x1", false, 0},
               {"99999999999999999999999", false, 0}};
  for (const auto& c : cases) {
    INFO(c.text);
    std::int64_t n = 0;
    CHECK(parse_integer(c.text, n) == c.good);
    if (c.good) CHECK(n == c.n);
  }
  std::uint64_t u = 0;
  CHECK(parse_unsigned("18446744073709551615", u));
  CHECK(u == std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(parse_unsigned("18446744073709551616", u));
  CHECK_FALSE(parse_unsigned("-1", u));
  CHECK_FALSE(parse_unsigned("00", u));
}

TEST_CASE("base/text: decimals are read whole and written as short as they can be read back") {
  double d = 0;
  for (const char* good : {"1", "-1.5", "+2", "1e3", "inf", "-inf", ".5"}) {
    INFO(good);
    CHECK(parse_decimal(good, d));
  }
  for (const char* bad : {"", "+", "-", "+-1", "nan", "1 ", " 1", "1,5", "1e", "x"}) {
    INFO(bad);
    CHECK_FALSE(parse_decimal(bad, d));
  }
  CHECK(format_decimal(0.1) == "0.1");
  CHECK(format_decimal(3.0) == "3");
  CHECK(format_decimal(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(format_decimal(std::numeric_limits<double>::quiet_NaN()) == "nan");
  for (const double x : {1.0 / 3, 1e300, 5e-324, 123456789.123}) {
    REQUIRE(parse_decimal(format_decimal(x), d));
    CHECK(d == x);
  }
}

TEST_CASE("base/text: N10 A6 shown leaves nothing a terminal would obey") {
  CHECK(shown("plain é€😀") == "plain é€😀");
  CHECK(shown("\x1b[31m\x7f\x01\n\r\t\a\b\"\\") == "\\x1b[31m\\x7f\\x01\\n\\r\\t\\a\\b\\\"\\\\");
  CHECK(shown("\xc2\x9b\x35n") == "\\xc2\\x9b5n");  // a control character of 8-bit terminals
  CHECK(shown("\xff\x80\xc3") == "\\xff\\x80\\xc3");
  CHECK(shown("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // a surrogate is no character
  CHECK(shown("abcdef", 3) == "abc...");
}

TEST_CASE("base/text: N10 what quoted writes, split_quoted reads back") {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  std::vector<std::string> words;
  REQUIRE(split_quoted(quoted(all) + " " + quoted("") + " " + quoted("é"), words));
  CHECK(words == std::vector<std::string>{all, "", "é"});
}

TEST_CASE("base/text: UTF-8 is judged strictly") {
  CHECK(utf8_length("a") == 1);
  CHECK(utf8_length("é") == 2);
  CHECK(utf8_length("€") == 3);
  CHECK(utf8_length("😀") == 4);
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82("}) {
    INFO(shown(bad));
    CHECK(utf8_length(bad) == 0);
  }
}

TEST_CASE("base/text: globs match as Redis's do") {
  const struct {
    const char *pattern, *text;
    bool match;
  } cases[] = {{"", "", true},
               {"*", "", false},  // who asks for everything says so before
               {"**", "", false},
               {"**", "a", true},
               {"a**", "a", true},
               {"[*-]", "]", true},  // a range ends with whatever is there
               {"[*-]", "?", true},
               {"[*-]", "a", false},
               {"[\\a-c]", "b", false},  // and does not begin with what a backslash protects
               {"[\\a-c]", "-", true},
               {"h?llo", "hallo", true},
               {"h?llo", "hllo", false},
               {"h*llo", "heeello", true},
               {"h[ae]llo", "hello", true},
               {"h[ae]llo", "hillo", false},
               {"h[^e]llo", "hallo", true},
               {"h[^e]llo", "hello", false},
               {"h[a-b]llo", "hbllo", true},
               {"h[b-a]llo", "hallo", true},
               {"\\*", "*", true},
               {"\\*", "a", false},
               {"a*b*c", "aXbYc", true},
               {"a*b*c", "aXbY", false},
               {"[", "[", false},
               {"a", "A", false},
               {"", "a", false},
               {"[\\]]", "]", true}};
  for (const auto& c : cases) {
    INFO(c.pattern << " against " << c.text);
    CHECK(glob_match(c.pattern, c.text) == c.match);
  }
  CHECK(glob_match("A[B-D]*", "acX", true));
}

TEST_CASE("base/text: N11 a pattern of many stars takes no more than pattern times text") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  const std::string text(100'000, 'a');
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(glob_match(pattern + "b", text));
  // 40 million steps at worst; exponential time would not end at all.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("base/text: the same bytes, at every length, and one that differs at every place") {
  CHECK_FALSE(same_bytes("", "a"));
  CHECK_FALSE(same_bytes("aaaa", "aaa"));
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string text(size, 'x');
    std::string other = text;  // its own memory, so that sanitizers see its end
    CHECK(same_bytes(text, other));
    for (std::size_t i = 0; i < size; ++i) {
      other[i] = 'y';
      CHECK_FALSE(same_bytes(text, other));
      other[i] = 'x';
    }
  }
}

TEST_CASE("base/text: words and sizes") {
  CHECK(equals_ignoring_case("GeT", "gEt"));
  CHECK_FALSE(equals_ignoring_case("get", "gets"));
  CHECK(to_upper("abcÄz1") == "ABCÄZ1");
  CHECK(to_lower("ABCäZ1") == "abcäz1");
  CHECK(human_bytes(0) == "0B");
  CHECK(human_bytes(1023) == "1023B");
  CHECK(human_bytes(1572864) == "1.50M");
}

}  // namespace kv
