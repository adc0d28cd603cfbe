// Every example of libkv/wire/FORMAT.md is run here, so that the document cannot drift from the
// code. A block it does not know, or a block without examples, fails.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "libkv/wire/inline.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_request.hpp"
#include "libkv/wire/resp.hpp"
#include "tests/unit/wire_help.hpp"

namespace kv {
namespace {

using test::from_hex;
using test::to_hex;

struct Example {
  std::string block, given, expected;
};

std::vector<Example> examples() {
  const char* top = std::getenv("KV_TOP");
  std::ifstream file(std::string(top != nullptr ? top : ".") + "/libkv/wire/FORMAT.md");
  REQUIRE(file.good());
  std::vector<Example> found;
  std::string block;
  constexpr std::string_view fence = "```vectors ", arrow = " => ";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(fence)) {
      block = line.substr(fence.size());
    } else if (line == "```") {
      block.clear();
    } else if (!block.empty()) {
      const std::size_t at = line.find(arrow);
      INFO(line);
      REQUIRE(at != line.npos);
      found.push_back({block, line.substr(0, at), line.substr(at + arrow.size())});
    }
  }
  return found;
}

std::string unquoted(const std::string& text) {
  std::vector<std::string> words;
  REQUIRE(split_quoted(text, words));
  REQUIRE(words.size() == 1);
  return words[0];
}

/// What a parser makes of one request, in the document's notation, as words.
template <class Parser>
std::vector<std::string> outcome(std::string_view data) {
  Parser parser;
  const test::Parsed parsed = test::parse(parser, data);
  if (parsed.closed) return {"closed"};
  if (!parsed.error.empty()) {
    std::vector<std::string> words;
    const std::string text = parsed.error.substr(std::string("ERR Protocol error: ").size());
    return {"error: " + text};
  }
  if (parsed.requests.empty()) return {parsed.left == 0 ? "skipped" : "incomplete"};
  return parsed.requests[0];
}

std::vector<std::string> expected_words(const std::string& text) {
  if (text.starts_with("error: ")) return {text};
  std::vector<std::string> words;
  REQUIRE(split_quoted(text, words));
  return words;
}

std::string translated(bool (*translate)(std::string_view, std::string&), const std::string& resp) {
  std::string out;
  return translate(resp, out) ? out : "refused";
}

std::string plio_as_text(std::string_view plio) {
  PlioReader reader(plio);
  Scalar value;
  if (!reader.value(value)) return "refused";
  std::string out;
  print_lisp(value, out);
  std::string again;
  append_plio(again, value);
  CHECK(to_hex(again) == to_hex(plio));
  return out;
}

std::string lisp_as_plio(std::string_view text) {
  std::string plio;
  const Status status = read_lisp(text, plio);
  if (status.ok()) return to_hex(plio);
  return status.code() == Code::not_found ? "nothing" : "refused";
}

std::string printed(const std::string& bytes) {
  std::string out;
  print_lisp(Scalar(bytes), out);
  LispReader reader(out);
  CHECK(reader.next() == LispReader::Token::atom);
  CHECK(reader.atom() == Scalar(bytes));
  return out;
}

std::string hash_of(std::string_view text) {
  std::string plio;
  REQUIRE(read_lisp(text, plio).ok());
  PlioReader reader(plio);
  Scalar value;
  REQUIRE(reader.value(value));
  return std::to_string(plio_hash(value));
}

void run(const Example& e) {
  INFO(e.block << ": " << e.given << " => " << e.expected);
  if (e.block == "resp-request")
    CHECK(outcome<RespRequestParser>(unquoted(e.given)) == expected_words(e.expected));
  else if (e.block == "plio-request")
    CHECK(outcome<PlioRequestParser>(from_hex(e.given)) == expected_words(e.expected));
  else if (e.block == "plio-value") CHECK(plio_as_text(from_hex(e.given)) == e.expected);
  else if (e.block == "plio-reply")
    CHECK(to_hex(translated(to_plio, unquoted(e.given))) == e.expected);
  else if (e.block == "to-resp2")
    CHECK(translated(to_resp2, unquoted(e.given)) == unquoted(e.expected));
  else if (e.block == "to-resp3")
    CHECK(translated(to_resp3, unquoted(e.given)) == unquoted(e.expected));
  else if (e.block == "lisp-print") CHECK(printed(unquoted(e.given)) == e.expected);
  else if (e.block == "lisp-read") CHECK(lisp_as_plio(e.given) == e.expected);
  else if (e.block == "hash") CHECK(hash_of(e.given) == e.expected);
  else FAIL("a block this test does not know");
}

}  // namespace

TEST_CASE("wire: every example of FORMAT.md is true") {
  std::map<std::string, int> count;
  for (const Example& example : examples()) {
    run(example);
    ++count[example.block];
  }
  CHECK(count.size() == 9);
  for (const auto& [block, n] : count) {
    INFO(block);
    CHECK(n >= 4);
  }
}

}  // namespace kv
