// A seeded mutation loop over the parsers and translators of libkv/wire. Crashes are for the
// sanitizers to find; what it checks itself is that pieces and whole give the same outcome, that
// translators only write what readers read, and that no output is out of proportion to its input.
// The same seed always makes the same inputs. Never opens a file or a socket.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/wire/inline.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_request.hpp"
#include "libkv/wire/resp.hpp"
#include "tests/unit/wire_help.hpp"

namespace kv::fuzz {

using namespace std::string_literals;

/// RESP requests, good ones and each violation of the grammar we know.
inline std::vector<std::string> request_seeds() {
  return {
      "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"s,
      "*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"s,
      "*7\r\n:12\r\n,1.5\r\n#t\r\n_\r\n(-123456789012345678901\r\n=7\r\ntxt:abc\r\n+simple\r\n"s,
      "*2\r\n*2\r\n:1\r\n~1\r\n$1\r\na\r\n%2\r\n+k\r\n*1\r\n:1\r\n+l\r\n_\r\n"s,
      "*0\r\n*-1\r\n\r\nPING\r\n"s,
      "*x\r\n"s,
      "*2147483647\r\n"s,
      "*-2147483649\r\n"s,
      "*1\r\n$9223372036854775807\r\n"s,
      "*1\r\n$-1\r\n"s,
      "*+0\r\n"s,
      "*01\r\n"s,
      "*1\r\n$04\r\nPING\r\n"s,
      "*1\r\n$4\r\nPINGxx"s,
      "*1\rx"s,
      "*1\r\n|1\r\n+a\r\n+b\r\n"s,
      "*1\r\n*1048576\r\n%1048576\r\n"s,
      "SET key \"a\\x41\\n\" 'b\\'c'\r\n"s,
      "SET \"unbalanced\r\n"s,
      "SET 'a'b\r\n"s,
      "\0\r\n"s,
  };
}

/// Other protocols.
inline std::vector<std::string> stranger_seeds() {
  return {
      "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\n\r\n"s,
      "POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"s,
      "PUT / HTTP/1.1\r\n\r\n"s,
      "HEAD / HTTP/1.1\r\n\r\n"s,
      "OPTIONS * HTTP/1.1\r\n\r\n"s,
      "DELETE / HTTP/1.1\r\n\r\n"s,
      "CONNECT a:1 HTTP/1.1\r\n\r\n"s,
      "TRACE / HTTP/1.1\r\n\r\n"s,
      "PATCH / HTTP/1.1\r\n\r\n"s,
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"s,
      "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"s + std::string(40, '\x42'),
      "SSH-2.0-OpenSSH_9.2\r\n"s,
      "EHLO x\r\n"s,
      "set k 0 0 1\r\na\r\n"s,
      "\x80\x01\x00\x01\x00\x00\x00\x00"s,
  };
}

/// PLIO, good and bad.
inline std::vector<std::string> plio_seeds() {
  return {
      test::from_hex("01124155544812636c693108208803"),
      test::from_hex("010e53455401066b06760303"),
      test::from_hex("01165250555348"
                     "01066c066106620106780404030303"),
      test::from_hex("01000003"),
      test::from_hex("011250494e470003"
                     "00"),
      test::from_hex("010402020406"),
      test::from_hex("0104020203"),
      test::from_hex("010661020106620303"),
      test::from_hex("0b41"),
      test::from_hex("0103"),
      test::from_hex("03"),
      test::from_hex("02"),
      "\x01\x06S\x01\x06k\xfe"s + std::string(63, 'x') + "\x03yyy\x03\x03"s,
      "\x01\x06S\x01\x06k\xfe"s + std::string(63, 'x') + "\xff"s + std::string(255, 'y') +
          "\0\x03\x03"s,
      "\x01\x06S\xfc"s + std::string(63, '\x7f') + "\xff"s + std::string(255, '\x7f') + "\0\x03"s,
  };
}

/// RESP replies, good and bad.
inline std::vector<std::string> reply_seeds() {
  return {
      "%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n,1.5\r\n#f\r\n"s,
      "$-1\r\n*-1\r\n_\r\n"s,
      "|1\r\n+a\r\n:1\r\n+OK\r\n"s,
      ">2\r\n+auth\r\n:3019\r\n"s,
      "=7\r\nsym:foo\r\n"s,
      "!5\r\nERR x\r\n"s,
      "-ERR x\r\n"s,
      "(12\r\n"s,
      "=8\r\npli:\x01\x04\x02\x03\r\n"s,
      "*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"s,
      ",nan\r\n,inf\r\n,-inf\r\n"s,
  };
}

/// Lisp text.
inline std::vector<std::string> text_seeds() {
  return {
      "(\"1596099036.28\" 2768625435 (\"SET\" (\"k\" \"a^Jb\" 12 foo NIL (1 . 2) '(a b))))"s,
      "(\"q\" \"a\\\"b\\56448\\\\233\\^?^[\")"s,
      "`(exit)"s,
      "#{ a #{ b }# c }# 1"s,
      "(a . 'b)"s,
      "1.5 -0.5"s,
      "(quote . (quote . (quote a)))"s,
      "\\. \\#a a\\ b\\~c"s,
  };
}

/// Everything mutation starts from.
inline const std::vector<std::string>& corpus() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> joined;
    for (const auto& seeds :
         {request_seeds(), stranger_seeds(), plio_seeds(), reply_seeds(), text_seeds()})
      joined.insert(joined.end(), seeds.begin(), seeds.end());
    return joined;
  }();
  return all;
}

class Fuzzer {
 public:
  explicit Fuzzer(std::uint64_t seed) : random_(seed) {}

  /// Runs that many inputs. Empty: all was well; else what was not, with the input in hex.
  std::string run(std::uint64_t rounds) {
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const std::string input = make();
      wrong_.clear();
      check(input);
      if (!wrong_.empty())
        return wrong_ + " (round " + std::to_string(i) + ") on " + test::to_hex(input);
    }
    return {};
  }

 private:
  static constexpr std::size_t input_max = 700;

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  const std::string& pick() { return corpus()[below(corpus().size())]; }

  std::string make() {
    std::string input = pick();
    for (std::size_t n = below(6); n > 0; --n) mutate(input);
    if (input.size() > input_max) input.resize(input_max);
    return input;
  }

  void mutate(std::string& s) {
    static constexpr std::string_view bytes =
        "*$:%~>|=+-,#_(!\r\n0129 \"'\\^.\x01\x02\x03\x04\xfc\xfe\xff";
    static const std::vector<std::string> pieces = {"\r\n",
                                                    "2147483648",
                                                    "9223372036854775807",
                                                    "-1",
                                                    "1048577",
                                                    "536870913",
                                                    "*1\r\n",
                                                    "$1\r\nx\r\n",
                                                    "%1\r\n",
                                                    "\x01",
                                                    "\x02",
                                                    "\x03",
                                                    std::string(1, '\0'),
                                                    "99999999999999999999",
                                                    "(",
                                                    ")",
                                                    "\"",
                                                    "\\56320\\"};
    const std::size_t at = s.empty() ? 0 : below(s.size());
    switch (below(8)) {
      case 0:
        if (!s.empty())
          s[at] = static_cast<char>(static_cast<unsigned char>(s[at]) ^ (1u << below(8)));
        break;
      case 1:
        if (!s.empty()) s[at] = bytes[below(bytes.size())];
        break;
      case 2: s.insert(at, pieces[below(pieces.size())]); break;
      case 3: s.erase(at, 1 + below(8)); break;
      case 4: s.insert(at, s.substr(at, 1 + below(16))); break;
      case 5: s.resize(at); break;
      case 6: s += pick(); break;
      default: {
        const std::string other = pick();
        s = s.substr(0, at) + other.substr(below(other.size() + 1));
      }
    }
  }

  void expect(bool good, const char* what) {
    if (!good && wrong_.empty()) wrong_ = what;
  }

  void check(const std::string& input) {
    check_parser<RespRequestParser>(input, "RESP requests");
    check_parser<PlioRequestParser>(input, "PLIO requests");
    check_replies(input);
    check_translators(input);
    check_plio(input);
    check_lisp(input);
  }

  template <class Parser>
  void check_parser(const std::string& input, const char* what) {
    const bool guest = below(4) == 0;
    Parser whole, cut;
    whole.set_guest(guest), cut.set_guest(guest);
    const test::Parsed expected = test::parse(whole, input);
    expect(test::parse(cut, input, 1 + below(40)) == expected, what);
    std::size_t bytes = 0;
    for (const auto& request : expected.requests) {
      expect(!request.empty(), "a request without arguments");
      for (const auto& arg : request) bytes += arg.size();
    }
    // Lists are shown in hex and gain a few bytes a map; nothing may grow beyond that.
    expect(bytes <= 8 * input.size() + 16, "arguments out of proportion");
  }

  void check_replies(const std::string& input) {
    RespReplyParser whole, cut;
    const auto state = whole.next(input);
    const std::size_t piece = 1 + below(40);
    auto cut_state = RespReplyParser::State::need_more;
    for (std::size_t n = piece; cut_state == RespReplyParser::State::need_more; n += piece) {
      const std::string part = input.substr(0, n);
      cut_state = cut.next(part);
      if (n >= input.size()) break;
    }
    expect(state == cut_state, "replies in pieces");
    if (state != RespReplyParser::State::reply) return;
    expect(whole.consumed() == cut.consumed(), "replies in pieces: length");
    expect(reply_length(input) == whole.consumed(), "reply_length");
  }

  void check_translators(const std::string& input) {
    const std::size_t length = reply_length(input);
    if (length == 0 || length == std::string::npos) return;
    const std::string_view reply = std::string_view(input).substr(0, length);
    std::string two, again, three, plio;
    if (to_resp2(reply, two)) {
      expect(reply_length(two) == two.size(), "to_resp2 writes one reply");
      expect(to_resp2(two, again) && again == two, "to_resp2 leaves RESP2 as it is");
      expect(two.size() <= 8 * reply.size() + 16, "to_resp2 out of proportion");
    }
    if (to_resp3(reply, three))
      expect(reply_length(three) == three.size(), "to_resp3 writes one reply");
    const bool trusted = reply.find("pli:") == std::string_view::npos;
    if (!to_plio(reply, plio) || !trusted) return;
    PlioReader reader(plio);
    Scalar message;
    expect(reader.value(message) && reader.next() == PlioReader::Token::end,
           "to_plio writes one value");
  }

  void check_plio(const std::string& input) {
    PlioReader reader(input);
    for (Scalar value; reader.value(value);) {
      std::string plio, text, back;
      append_plio(plio, value);
      print_lisp(value, text);
      (void)plio_hash(value);
      std::string_view rest = text;
      expect(read_lisp(rest, back).ok() && rest.empty(), "printed text is read");
      expect(back == plio, "printed text gives the same PLIO");
      expect(text.find('\n') == std::string::npos, "printed text is one line");
    }
  }

  void check_lisp(const std::string& input) {
    LispReader reader(input);
    for (Scalar value; reader.value(value);) {
      std::string text, again;
      print_lisp(value, text);
      LispReader second(text);
      Scalar same;
      expect(second.value(same) && same == value, "text is read back as it was");
      print_lisp(same, again);
      expect(again == text, "text is printed the same again");
    }
  }

  std::mt19937_64 random_;
  std::string wrong_;
};

}  // namespace kv::fuzz
