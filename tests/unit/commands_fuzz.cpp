// Any arguments of any kind and number, for every data command in both dialects: exactly one
// well-formed reply, never an error after commit(), nothing changed without it. (N1, N10, N12)
#include <random>

#include "tests/unit/command_talk.hpp"

namespace {

using kv::Command;
using kv::Dialect;
using kv::Kind;
using kv::Scalar;
using kv::test::FakeClient;
using kv::test::FakeServices;

/// Words that commands look for, numbers at the edges, bytes that break texts. No number between a
/// million and the longest string, which would only ask for memory.
const std::vector<std::string>& pool() {
  static const std::vector<std::string> words = [] {
    // clang-format off
    std::vector<std::string> all = {
        "a", "b", "c", "k1", "k2", "f", "", "0", "1", "2", "-1", "-2", "7", "100", "999", "-0",
        "01", "1.5", "-2.5", "1e3", "inf", "nan", " 1", "x", "*", "[a-", "%stats%/keys",
        "%stats%/", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        "99999999999999999999", "-99999999999999999999", "18446744073709551615", "1099511627776",
        "NX", "XX", "GET", "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "PERSIST", "LEFT", "RIGHT",
        "BEFORE", "AFTER", "COUNT", "MATCH", "TYPE", "RANK", "MAXLEN", "WITHVALUES", "REPLACE",
        "DB", "GT", "LT", "IDX", "LEN", "MINMATCHLEN", "ASYNC", "string", "list",
    };
    // clang-format on
    all.push_back(std::string("\0\r\n\xff\"\\", 6));
    all.push_back(std::string(300, 'z'));
    all.push_back(kv::test::list("(\"a\" 2 (\"f\" . \"v\"))"));
    all.push_back(kv::test::list("((\"f\" . \"v\") (\"g\" 1))"));
    all.push_back(all.back().substr(0, 5));  // a list cut short
    all.push_back("\x01");
    return all;
  }();
  return words;
}

class Fuzzer {
 public:
  explicit Fuzzer(unsigned seed) : dice_(seed) {}
  std::size_t roll(std::size_t sides) { return dice_() % sides; }

  std::vector<Scalar> arguments(const Command& command) {
    const int least = std::abs(command.arity);
    std::size_t argc = static_cast<std::size_t>(least);
    if (roll(3) == 0) argc = 1 + roll(7);
    else if (command.arity < 0) argc += roll(4);
    std::vector<Scalar> args = {command.name};
    while (args.size() < argc) {
      const std::string& word = pool()[roll(pool().size())];
      const bool list = word.starts_with('\x01');
      Kind kind = list ? Kind::list : Kind::string;
      if (!list && roll(8) == 0) kind = word.empty() ? Kind::nil : Kind::symbol;
      std::int64_t number = 0;
      if (roll(4) == 0 && kv::parse_integer(word, number)) kind = Kind::number;
      args.emplace_back(word, kind);
    }
    if (args.size() > 1 && roll(4) != 0) args[1] = Scalar(pool()[roll(5)]);  // mostly a plain key
    return args;
  }

 private:
  std::mt19937 dice_;
};

std::vector<const Command*> data_commands() {
  std::vector<const Command*> rows;
  for (const Command* row : kv::all_commands()) {
    if (row->group <= kv::Group::generic) rows.push_back(row);
  }
  return rows;
}

TEST_CASE("commands/fuzz: any arguments get one whole reply, and errors change nothing (N1, N12)") {
  const unsigned seed = GENERATE(1u, 2u);
  FakeServices server(3);
  FakeClient resp(server), plio(server, Dialect::plio);
  Fuzzer fuzzer(seed);
  const auto rows = data_commands();
  int changes = 0;
  for (int i = 0; i < 40'000; ++i) {
    FakeClient& client = fuzzer.roll(2) == 0 ? resp : plio;
    const auto args = fuzzer.arguments(*rows[fuzzer.roll(rows.size())]);
    const std::string reply = client.run(args);
    REQUIRE_FALSE(reply.empty());
    std::string_view rest = reply;
    const std::string text = kv::test::readable(rest);
    changes += client.committed ? 1 : 0;
    const bool failed = text.starts_with("(ERR") || text.starts_with("(WRONGTYPE");
    if (rest.empty() && !(failed && client.committed)) continue;
    std::string line;
    for (const Scalar& arg : args) line += kv::quoted(arg.bytes) + " ";
    FAIL("seed " << seed << ": " << line << "got " << text);
  }
  CHECK(changes > 2'000);  // it gets past the checks often enough to mean something
}

}  // namespace
