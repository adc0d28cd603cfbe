// Lisp text beyond the examples of FORMAT.md: any bytes survive, on one line, as valid UTF-8.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_string.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"
#include "persistence/record.hpp"
#include "tests/unit/wire_help.hpp"

namespace kv {
namespace {

std::string print(const Scalar& value) {
  std::string out;
  print_lisp(value, out);
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

/// text -> value -> text.
std::string again(std::string_view text) {
  LispReader reader(text);
  Scalar value;
  if (!reader.value(value)) return "refused: " + reader.status().message();
  return print(value);
}

}  // namespace

TEST_CASE("wire/lisp text: N10 a string of any bytes is one line of UTF-8 and comes back") {
  std::mt19937 random(20261120);
  constexpr int rounds = 5000;
  int survived = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string bytes;
    const std::size_t n = random() % 40;
    for (std::size_t i = 0; i < n; ++i) {
      const auto pick = random() % 4;
      if (pick == 0) bytes += "é€😀\\^\"\n"[random() % 13];
      else if (pick == 1) bytes += "\\56320\\";
      else bytes.push_back(static_cast<char>(random() % 256));
    }
    const std::string text = print(Scalar(bytes));
    LispReader reader(text);
    const bool good = reader.next() == LispReader::Token::atom && reader.atom() == Scalar(bytes) &&
                      reader.next() == LispReader::Token::end && is_utf8(text) &&
                      text.find('\n') == text.npos;
    if (!good) FAIL("bytes " << test::to_hex(bytes) << " as " << shown(text));
    ++survived;
  }
  CHECK(survived == rounds);
}

TEST_CASE("wire/lisp text: what is not plain is found wherever it stands in a long string") {
  const std::pair<std::string_view, std::string_view> forms[] = {
      {"\"", "\\\""},
      {"\\", "\\\\"},
      {"^", "\\^"},
      {"\n", "^J"},
      {"\x1F", "^_"},
      {"\x7F", "^?"},
      {std::string_view("\0", 1), "\\56320\\"},
      {"\x80", "\\56448\\"},
      {"\xFF", "\\56575\\"},
      {"\xC3", "\\56515\\"},
      {"é", "é"},
      {"€", "€"},
      {"😀", "😀"},
      {"\xED\xA0\x80", "\\56557\\\\56480\\\\56448\\"},
      {" ", " "},
      {"~", "~"},
      {"]", "]"}};
  for (const auto& [bytes, form] : forms) {
    for (const std::size_t before :
         {0, 1, 7, 15, 16, 17, 31, 47, 63, 64, 65, 127, 128, 4090, 5000}) {
      for (const std::size_t after : {0, 1, 14, 15, 16, 70}) {
        for (const std::size_t times : {1, 2, 9, 20, 700}) {
          std::string value(before, 'x'), text = '"' + value;
          for (std::size_t i = 0; i < times; ++i) value += bytes, text += form;
          value.append(after, '/');
          text.append(after, '/') += '"';
          if (print(Scalar(value)) != text) FAIL(form << " after " << before << ", " << times);
          ElementReader in;
          in.clear(text);
          std::string_view back;
          if (!in.string(back) || back != value || !in.done())
            FAIL(form << " is not read after " << before << ", " << times << ": " << in.error());
        }
      }
    }
  }
  CHECK(print(Scalar("a\nb")) == "\"a^Jb\"");
}

TEST_CASE("wire/lisp text: a short plain text is written at once, any other one refused") {
  const auto stands_for_itself = [](int c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '^';
  };
  std::size_t accepted = 0;
  for (std::size_t size = 0; size <= short_lisp_text_bytes_max + 1; ++size) {
    for (std::size_t at = 0; at == 0 || at < size; ++at) {
      for (int c = 0; c < 256; ++c) {
        INFO("byte " << c << " at " << at << " of " << size);
        std::string text(size, 'x');
        if (size > 0) text[at] = static_cast<char>(c);
        std::string room(short_lisp_string_bytes + 4, '#');
        const char* const end = put_short_lisp_string(room.data(), text);
        const bool plain = size == 0 || stands_for_itself(c);
        if ((end != nullptr) != (plain && size <= short_lisp_text_bytes_max)) FAIL("taken or not");
        if (room.substr(short_lisp_string_bytes) != "####") FAIL("written beyond the room");
        if (end == nullptr) continue;
        ++accepted;
        const auto written = static_cast<std::size_t>(end - room.data());
        if (room.substr(0, written) != '"' + text + '"') FAIL(shown(room));
      }
    }
  }
  CHECK(accepted == 256 + (95 - 3) * (64 * 65 / 2));  // 95 bytes print, three of them mean more
}

TEST_CASE("wire/lisp text: each kind comes back as it was") {
  for (const Scalar& value :
       {Scalar("12"), Scalar("12", Kind::number), Scalar("foo", Kind::symbol),
        Scalar("", Kind::nil), Scalar(""), Scalar("NIL"), Scalar(".", Kind::symbol),
        Scalar("#x", Kind::symbol), Scalar("a b(c~`\\", Kind::symbol),
        Scalar("-99999999999999999999", Kind::number), Scalar("'", Kind::symbol)}) {
    const std::string text = print(value);
    INFO(text);
    LispReader reader(text);
    const auto token = reader.next();
    // A symbol that is a lone point is written \. and so is not the mark of a tail.
    CHECK(token == LispReader::Token::atom);
    CHECK(reader.atom() == value);
  }
}

TEST_CASE("wire/lisp text: lists, pairs and quotes are written as PicoLisp writes them") {
  for (const char* text :
       {"(1 (2 (3)))", "((\"f\" . \"v\") (\"g\" . 7) (\"lst\" 1 2))", "'(1 2)", "'a", "''a",
        "('(1) '2)", "(a quote . b)", "'(a . b)", "'NIL", "(1 NIL (\"x\" 2) \"b c\")",
        "((a . b) . c)", "('a . b)", "(\\. a)", "((quote . a) 1)"}) {
    INFO(text);
    const std::string expected = std::string(text) == "((quote . a) 1)" ? "('a 1)" : text;
    CHECK(again(text) == expected);
  }
  CHECK(again("()") == "NIL");
  CHECK(again("(())") == "(NIL)");
}

TEST_CASE("wire/lisp text: N1 refusals name the byte") {
  CHECK(again("(1 `(exit))") == "refused: read-macro ` would run code: refused at byte 3");
  CHECK(again("(a . b c)") == "refused: misplaced piece of a list at byte 7");
  CHECK(again("(. b)").starts_with("refused"));
  CHECK(again("(a .)").starts_with("refused"));
  CHECK(again("(a . )").starts_with("refused"));
  CHECK(again("('a").starts_with("refused: list without an end"));
  CHECK(again("(')").starts_with("refused"));
  CHECK(again("\"abc").starts_with("refused: string without an end"));
  CHECK(again("\"abc\\").starts_with("refused: string without an end"));
  CHECK(again("\"abc^").starts_with("refused: string without an end"));
  CHECK(again("\"\\12").starts_with("refused: not a character number"));
  CHECK(again("\"\\1114112\\\"").starts_with("refused: not a character number"));
  CHECK(again("\"\\99999999999999999999\\\"").starts_with("refused: not a character number"));
  CHECK(again(std::string_view("\"a\0\"", 4)).starts_with("refused: NUL"));
  CHECK(again(std::string_view("a\0", 2)).starts_with("refused: NUL"));
  CHECK(again("a\\").starts_with("refused: token cut short"));
  CHECK(again("#{ x").starts_with("refused: comment without an end"));
  CHECK(again(std::string(5000, '1')).starts_with("refused: number too long"));
}

TEST_CASE("wire/lisp text: N3 deep lists and quotes are refused without recursion") {
  CHECK(again(std::string(100'000, '(')).starts_with("refused"));
  CHECK(again(std::string(100'000, '\'')).starts_with("refused"));
  std::string comments;
  for (int i = 0; i < 100'000; ++i) comments += "#{";
  CHECK(again(comments).starts_with("refused"));
}

TEST_CASE("wire/lisp text: pieces of a log line, as persistence reads them") {
  const std::string line =
      "(\"1596099036.281142829\" 2768625435 (\"SET\" (\"k^J\" (1 2))))  # note";
  LispReader reader(line);
  using Token = LispReader::Token;
  CHECK(reader.next() == Token::open);
  CHECK(reader.next() == Token::atom);
  CHECK(reader.next() == Token::atom);
  CHECK(reader.atom() == Scalar("2768625435", Kind::number));
  CHECK(reader.next() == Token::open);
  CHECK(reader.next() == Token::atom);
  const Scalar command = reader.atom();
  CHECK(reader.next() == Token::open);
  Scalar key, value, none;
  REQUIRE(reader.value(key));
  REQUIRE(reader.value(value));
  CHECK_FALSE(reader.value(none));  // the list's end
  CHECK(reader.status().ok());
  CHECK(command == Scalar("SET"));
  CHECK(key == Scalar("k\n"));
  CHECK(test::to_hex(value.bytes) == "010402040403");
}

}  // namespace kv
