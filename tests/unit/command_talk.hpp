// What the command tests share: two clients of one server, one per dialect, and replies as text.
// Not a test.
//
// A reply reads: 'bulk' 12 OK nil nil[] [array of] {map of} ~[set of] (ERR an error); of what only
// PLIO gets: #12 a number, `symbol`, and a list as PicoLisp prints it.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"
#include "tests/unit/fake_services.hpp"

namespace kv::test {

/// Takes one reply from the front of bytes.
inline std::string readable(std::string_view& bytes) {
  const std::size_t end = bytes.find("\r\n");
  const char kind = bytes.at(0);
  const std::string_view line = bytes.substr(1, end - 1);
  bytes.remove_prefix(end + 2);
  const long count = std::strtol(std::string(line).c_str(), nullptr, 10);
  const auto size = static_cast<std::size_t>(std::max(0L, count));
  switch (kind) {
    case '_': return "nil";
    case '-': return "(" + std::string(line) + ")";
    case '(': return "#" + std::string(line);
    case '$': {
      const std::string text = "'" + shown(bytes.substr(0, size)) + "'";
      bytes.remove_prefix(size + 2);
      return text;
    }
    case '=': {
      const std::string_view form = bytes.substr(0, 4), body = bytes.substr(4, size - 4);
      bytes.remove_prefix(size + 2);
      return form == "pli:" ? lisp_text(body) : "`" + std::string(body) + "`";
    }
    case '*':
    case '~':
    case '%': {
      if (count < 0) return "nil[]";
      std::string text;
      for (std::size_t i = 0; i < size * (kind == '%' ? 2 : 1); ++i) {
        text += (i > 0 ? " " : "") + readable(bytes);
      }
      if (kind == '~') return "~[" + text + "]";
      return kind == '%' ? "{" + text + "}" : "[" + text + "]";
    }
    default: return std::string(line);
  }
}

/// The PLIO bytes of a list given as Lisp text: list("(1 (\"a\" . \"b\"))").
inline std::string list(std::string_view text) {
  LispReader reader(text);
  Scalar value;
  REQUIRE(reader.value(value));
  REQUIRE(value.kind == Kind::list);
  return std::string(value.bytes);
}

struct Talk {
  FakeServices server;
  FakeClient resp{server};
  FakeClient plio{server, Dialect::plio};

  static std::string ask(FakeClient& client, std::string_view line) {
    const std::string reply = client(line);
    std::string_view bytes = reply;
    const std::string text = readable(bytes);
    CHECK(bytes.empty());  // one request, one reply
    return text;
  }
  std::string r(std::string_view line) { return ask(resp, line); }
  std::string p(std::string_view line) { return ask(plio, line); }

  using Exchange = std::pair<std::string_view, std::string_view>;
  /// Each request over RESP must get that reply.
  void redis(std::initializer_list<Exchange> exchanges) { all(resp, exchanges); }
  /// The same over PLIO.
  void pico(std::initializer_list<Exchange> exchanges) { all(plio, exchanges); }
  /// SET over PLIO with a list as the value.
  void set_list(std::string_view key, std::string_view lisp) {
    const std::string bytes = list(lisp);
    CHECK(plio.run({"SET", key, {bytes, Kind::list}}) == "+OK\r\n");
  }
  /// Turns the clock.
  void pass_ms(std::int64_t ms) { resp.now_ns = plio.now_ns = resp.now_ns + ms * 1'000'000; }

 private:
  static void all(FakeClient& client, std::initializer_list<Exchange> exchanges) {
    for (const auto& [line, wanted] : exchanges) {
      INFO(line);
      CHECK(ask(client, line) == wanted);
    }
  }
};

}  // namespace kv::test
