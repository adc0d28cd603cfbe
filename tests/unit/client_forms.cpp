// The client's options, forms of output, hints and addresses: what the program does without a
// server.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>

#include "libkv/client/address.hpp"
#include "libkv/client/hints.hpp"
#include "libkv/client/options.hpp"
#include "libkv/client/output.hpp"

namespace {

using kv::client::Options;
using kv::client::Value;

/// argv as main gets it: writable, and kept for a look at it afterwards.
class CommandLine {
 public:
  CommandLine(std::initializer_list<std::string> words) : words_(words) {
    words_.insert(words_.begin(), "client");
    for (std::string& word : words_) pointers_.push_back(word.data());
  }
  kv::Result<kv::ClientArguments> parse() {
    return kv::parse_client_arguments(static_cast<int>(pointers_.size()), pointers_.data());
  }
  std::string word(std::size_t i) const { return words_[i].c_str(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

std::string written(const Value& value, kv::OutputForm form) {
  std::string out;
  kv::append_reply(out, value, form);
  return out;
}

std::string in_console(const Value& value) {
  std::string out;
  kv::append_console_reply(out, value);
  return out;
}

}  // namespace

TEST_CASE("client/options: what follows the command word is data, whatever it looks like") {
  CommandLine line{"--port", "7000", "SET", "k", "--port", "-h", "", "--help"};
  const auto arguments = line.parse();
  REQUIRE(arguments.ok());
  CHECK(arguments->connection.port == 7000);
  CHECK(arguments->task == kv::ClientTask::command);
  CHECK(arguments->command == std::vector<std::string>{"SET", "k", "--port", "-h", "", "--help"});
}

TEST_CASE("client/options: --name=value and --name value are the same") {
  CommandLine line{
      "--host=example.org", "--timeout=1.5", "--recipient=a", "--recipient", "b", "--keys"};
  const auto arguments = line.parse();
  REQUIRE(arguments.ok());
  CHECK(arguments->connection.host == "example.org");
  CHECK(arguments->connection.timeout == std::chrono::milliseconds(1500));
  CHECK(arguments->seal.recipients == std::vector<std::string>{"a", "b"});
}

TEST_CASE("client/options: --timeout is for connecting, too, and 0 is for ever") {
  const auto connecting = [](CommandLine line) { return line.parse()->connection.connect_timeout; };
  CHECK(connecting({"GET", "k"}) == std::chrono::seconds(10));
  CHECK(connecting({"--timeout", "2", "GET", "k"}) == std::chrono::seconds(2));
  CHECK(connecting({"--timeout", "0", "GET", "k"}) == std::chrono::seconds(0));
}

TEST_CASE("client/options: a wrong environment keeps nobody from --help") {
  setenv("KV_PORT", "abc", 1);
  CHECK(CommandLine{"--help"}.parse().ok());
  CHECK(CommandLine{"--version"}.parse().ok());
  const auto refused = CommandLine{"GET", "k"}.parse();
  unsetenv("KV_PORT");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message() == "KV_PORT is not a port");
}

TEST_CASE("client/options: mistakes are named, and never run as something else") {
  const auto refused = [](CommandLine line, std::string_view sentence) {
    const auto arguments = line.parse();
    REQUIRE_FALSE(arguments.ok());
    CHECK(arguments.status().code() == kv::Code::usage);
    INFO(arguments.status().message());
    CHECK(arguments.status().message().find(sentence) != std::string::npos);
  };
  refused({"--bogus", "GET", "k"}, "unknown option --bogus");
  refused({"--port"}, "--port wants PORT");
  refused({"--port", "70000"}, "1 to 65535");
  refused({"--port", "-1"}, "1 to 65535");
  refused({"--socket", "", "GET"}, "--socket wants a path, not ''");
  refused({"--json=yes", "GET"}, "takes no value");
  refused({"--poll", "abc", "GET"}, "a number of seconds");
  refused({"--poll", "-1", "GET"}, "a number of seconds");
  refused({"--poll", "1"}, "want a command");
  refused({"--poll", "1", "--watch", "1", "GET"}, "cannot go together");
  refused({"--keys", "GET", "k"}, "cannot go together");
  refused({"--database", "16384", "GET"}, "--database wants 0 to 16383, not '16384'");
  refused({"--name", "two words", "GET"}, "without blanks");
  refused({"", "k"}, "the command is empty");
  // Forgotten --encrypt would store what everybody can read.
  refused({"--recipient", "a", "SET", "k", "v"}, "--recipient does nothing without --encrypt");
  refused({"--sign", "SET", "k", "v"}, "--sign does nothing without --encrypt");
  refused({"--require-sealed", "GET", "k"}, "without --decrypt");
  refused({"--require-signed", "GET", "k"}, "without --decrypt");
  refused({"--allow-moved", "--encrypt", "SET", "k", "v"}, "without --decrypt");
  refused({"--encrypt", "--recipient", "", "SET", "k", "v"}, "--recipient wants a key");
  refused({"SET", "k", "--", "/nonexistent/file"}, "/nonexistent/file");
}

TEST_CASE("client/options: A4: secrets in argv are overwritten") {
  CommandLine line{"--pass", "secret", "AUTH", "hidden"};
  const auto arguments = line.parse();
  REQUIRE(arguments.ok());
  CHECK(arguments->connection.password == "secret");
  CHECK(arguments->command[1] == "hidden");
  CHECK(line.word(2).empty());
  CHECK(line.word(4).empty());
  CommandLine sealed{"--encrypt", "SET", "k", "plain"};
  REQUIRE(sealed.parse().ok());
  CHECK(sealed.word(4).empty());
  CommandLine open{"SET", "k", "v"};
  REQUIRE(open.parse().ok());
  CHECK(open.word(3) == "v");
}

TEST_CASE("client/options: every row has a help line, and --help shows each") {
  const std::string help = kv::client_help();
  for (const kv::OptionRow& row : kv::client_options()) {
    INFO(row.name);
    CHECK_FALSE(row.help.empty());
    CHECK(row.help.back() != '.');
    CHECK(help.find("  " + std::string(row.name)) != std::string::npos);
  }
}

TEST_CASE("client/address: URLs") {
  const auto url = Options::from_url("kv://me:p%40ss@example.org:7000/3");
  REQUIRE(url.ok());
  CHECK(url->user == "me");
  CHECK(url->password == "p@ss");
  CHECK(url->host == "example.org");
  CHECK(url->port == 7000);
  CHECK(url->database == 3);
  const auto six = Options::from_url("redis://[::1]:6380");
  REQUIRE(six.ok());
  CHECK(six->host == "::1");
  CHECK(six->port == 6380);
  CHECK(kv::client::endpoint_text(*six) == "[::1]:6380");
  CHECK(Options::from_url("redis://h")->port == 6379);
  CHECK(Options::from_url("kv://h")->port == 6378);
  const auto path = Options::from_url("unix:///run/kv.sock");
  REQUIRE(path.ok());
  CHECK(path->socket == "/run/kv.sock");
  for (const char* bad :
       {"example.org", "http://x", "kv://h:0", "kv://h:99999", "kv://[::1", "kv://h/abc", "unix://",
        "kv://:p%zz@h", "kv://:p%4@h", "kv://h%", "unix:///a%g0"}) {
    INFO(bad);
    CHECK_FALSE(Options::from_url(bad).ok());
  }
  // A password with a slash in it must not end up in a message.
  for (const char* bad : {"kv://:secret/rest@h", "kv://me:secret", "kv://:x/secret@h"}) {
    INFO(bad);
    CHECK(Options::from_url(bad).error().message.find("secret") == std::string::npos);
  }
}

TEST_CASE("client/address: an IPv6 address may stand in brackets") {
  Options options;
  options.host = "[::1]";
  options.port = 1;
  CHECK(kv::client::endpoint_text(options) == "[::1]:1");
  const auto deadline = kv::client::deadline_after(std::chrono::seconds(5));
  const auto refused = kv::client::open_socket(options, deadline, false);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message().find("cannot connect to [::1]:1") == 0);
}

TEST_CASE("client/value: an element may take the place of what holds it") {
  const std::string text(100, 'x');
  Value value(Value::List{Value(Value::Map{{Value("k"), Value(text)}})});
  value = std::move(value.mutable_list()[0]);
  REQUIRE(value.kind() == kv::client::Kind::map);
  value = std::move(value.mutable_map()[0].value);
  CHECK(value.text() == text);
}

TEST_CASE("client/output: the plain form has commas between all elements") {
  CHECK(written(Value("text"), kv::OutputForm::plain) == "text\n");
  CHECK(written(Value(), kv::OutputForm::plain) == "\n");
  CHECK(written(Value(std::int64_t{-3}), kv::OutputForm::plain) == "-3\n");
  CHECK(written(Value::List{"a", Value(), "b"}, kv::OutputForm::plain) == "a,,b\n");
  CHECK(written(Value::List{Value::List{"one", "11"}, Value::List{"two", "2"}},
                kv::OutputForm::plain) == "one,11,two,2\n");
  CHECK(written(Value::Map{{"one", "11"}, {"two", "2"}}, kv::OutputForm::plain) ==
        "one,11,two,2\n");
  // SCAN: the cursor, then the keys; and an inner list without elements.
  CHECK(written(Value::List{"0", Value::List{"a", "b"}}, kv::OutputForm::plain) == "0,a,b\n");
  CHECK(written(Value::List{"0", Value::List{}}, kv::OutputForm::plain) == "0\n");
  CHECK(written(Value::List{}, kv::OutputForm::plain) == "\n");
}

TEST_CASE("client/output: the other forms") {
  const Value nested(Value::List{"a", Value::List{std::int64_t{1}, Value()}});
  CHECK(written(nested, kv::OutputForm::lines) == "a\n1\n\n");
  CHECK(written(nested, kv::OutputForm::nul) == std::string("a\0001\0\0", 5));
  CHECK(written(nested, kv::OutputForm::raw) == "a\n1\n");
  CHECK(written(nested, kv::OutputForm::json) == "[\"a\",[1,null]]\n");
  CHECK(written(Value(1.5), kv::OutputForm::json) == "1.5\n");
  CHECK(written(Value(1.0 / 0.0), kv::OutputForm::json) == "\"inf\"\n");
  CHECK(written(Value::boolean_of(true), kv::OutputForm::json) == "true\n");
  CHECK(written(Value::Map{{std::int64_t{1}, "x"}}, kv::OutputForm::json) == "{\"1\":\"x\"}\n");
  CHECK(written(Value("\"\\\n\x01\xff\xc3\xa9"), kv::OutputForm::json) ==
        "\"\\\"\\\\\\n\\u0001\\udcff\xc3\xa9\"\n");
}

TEST_CASE("client/output: N10: nothing that steers a terminal gets through") {
  CHECK(kv::for_terminal("a\x1b[2Jb\r\nc\td\x7f\xc2\x9b\xff\xc3\xa9") ==
        "a\\x1b[2Jb\nc\td\\x7f\\xc2\\x9b\\xff\xc3\xa9");
  CHECK(in_console(Value("\x1b]0;x\x07")) == "\"\\x1b]0;x\\a\"\n");
  CHECK(in_console(Value::error_of("ERR \x1b[31m")) == "(error) ERR \\x1b[31m\n");
}

TEST_CASE("client/output: the console shows replies as redis-cli does") {
  CHECK(in_console(Value("OK", kv::client::Form::status)) == "OK\n");
  CHECK(in_console(Value("a b")) == "\"a b\"\n");
  CHECK(in_console(Value(std::int64_t{3})) == "(integer) 3\n");
  CHECK(in_console(Value()) == "(nil)\n");
  CHECK(in_console(Value::boolean_of(false)) == "(false)\n");
  CHECK(in_console(Value(Value::List{})) == "(empty array)\n");
  CHECK(in_console(Value(Value::Map{})) == "(empty hash)\n");
  // As redis-cli: in a map, a value of several lines begins on a line of its own.
  const Value two(Value::List{Value("a"), Value("b")});
  CHECK(in_console(Value(Value::Map{{Value("k"), Value(Value::List{Value("a")})}, {"m", two}})) ==
        "1# \"k\" => 1) \"a\"\n2# \"m\" => \n   1) \"a\"\n   2) \"b\"\n");
  CHECK(in_console(Value(Value::Map{{"k", Value(Value::Map{{"l", two}})}})) ==
        "1# \"k\" => \n   1# \"l\" => \n      1) \"a\"\n      2) \"b\"\n");
  CHECK(in_console(Value::List{"a", Value::List{"b", "c"}, "d"}) ==
        "1) \"a\"\n2) 1) \"b\"\n   2) \"c\"\n3) \"d\"\n");
  CHECK(in_console(Value::Map{{"k", std::int64_t{1}}}) == "1# \"k\" => (integer) 1\n");
  const std::string ten = in_console(Value(Value::List(10, Value("x"))));
  CHECK(ten.starts_with(" 1) \"x\"\n"));
  CHECK(ten.ends_with("10) \"x\"\n"));
}

TEST_CASE("client/hints: completion follows what is typed") {
  CHECK(kv::completions("hgeta").words == std::vector<std::string>{"hgetall"});
  CHECK(kv::completions("HGETA").words == std::vector<std::string>{"HGETALL"});
  CHECK(kv::completions("help hgeta").words == std::vector<std::string>{"hgetall"});
  CHECK(kv::completions("nosuch x").words.empty());
  CHECK(kv::completions("client kil").words == std::vector<std::string>{"kill"});
  const auto key = kv::completions("GET some");
  CHECK(key.key_wanted);
  CHECK(key.typed == "some");
  CHECK_FALSE(kv::completions("SET k v").key_wanted);
  CHECK(kv::completions("MSET a 1 b").key_wanted);
  CHECK_FALSE(kv::completions("MSET a 1").key_wanted);
  CHECK(kv::common_start({"hget", "hgetall"}) == "hget");
  CHECK(kv::common_start({"\xc3\xa9", "\xc3\xa8"}).empty());
}

TEST_CASE("client/hints: the hint is what is still to come") {
  CHECK(kv::argument_hint("HGET ") == "key field");
  CHECK(kv::argument_hint("HGET h ") == "field");
  CHECK(kv::argument_hint("HGET h f ").empty());
  CHECK(kv::argument_hint("HGET").empty());
  CHECK(kv::argument_hint("NOSUCH ").empty());
  CHECK(kv::argument_hint("DEL a ").find("...") != std::string::npos);
}

TEST_CASE("client/hints: A4: what logs in is not kept") {
  for (const char* line : {"AUTH secret", "auth u secret", "HELLO 3 AUTH default secret",
                           "CONFIG SET requirepass secret", "ACL SETUSER x >secret", " SET k v",
                           "AUTH \"secret", "", "authx secret"}) {
    INFO(line);
    CHECK_FALSE(kv::may_be_kept(line));
  }
  for (const char* line : {"SET auth x", "HELLO 3", "CONFIG GET maxmemory", "GET k"}) {
    INFO(line);
    CHECK(kv::may_be_kept(line));
  }
}
