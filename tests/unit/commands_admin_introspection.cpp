// COMMAND, OBJECT, MEMORY and DEBUG: what the server tells about commands and keys. Shapes and
// error texts are those of Redis 7.0.15. The first test holds the command table to its own rules.
#include <catch2/catch.hpp>
#include <set>

#include "libkv/commands/admin.hpp"
#include "libkv/commands/syntax.hpp"
#include "tests/unit/fake_services.hpp"

using namespace kv;
using kv::test::FakeClient;
using kv::test::FakeServices;
using kv::test::has;

namespace {

constexpr const char* kOk = "+OK\r\n";
constexpr const char* kSyntax = "-ERR syntax error\r\n";

// Reads one whole RESP3 value from the front; false if the text is none.
bool skip_value(std::string_view& text) {
  const std::size_t end = text.find("\r\n");
  if (end == text.npos || end == 0) return false;
  const char kind = text[0];
  const std::string first(text.substr(1, end - 1));
  text.remove_prefix(end + 2);
  if (std::string_view("+-:_#,(").find(kind) != std::string_view::npos) return true;
  std::size_t count = std::stoul(first);
  if (kind == '$' || kind == '=') {
    if (text.size() < count + 2) return false;
    text.remove_prefix(count + 2);
    return true;
  }
  if (kind == '%') count *= 2;
  for (; count > 0; --count)
    if (!skip_value(text)) return false;
  return true;
}

bool is_one_value(const std::string& reply) {
  std::string_view rest = reply;
  return skip_value(rest) && rest.empty();
}

}  // namespace

// --- the table ---

TEST_CASE("commands/table: every row is whole, and its subcommands are those of its table") {
  std::set<std::string_view> names;
  for (const Command* row : all_commands()) {
    CAPTURE(row->name);
    CHECK(names.insert(row->name).second);
    CHECK(row->run != nullptr);
    CHECK_FALSE(row->summary.empty());
    CHECK_FALSE(row->summary.ends_with('.'));
    CHECK_FALSE(row->complexity.empty());
    CHECK_FALSE(row->since.empty());
    CHECK(row->arity != 0);
    std::string words;
    for (const Subcommand& sub : subcommands_of(row->name))
      words.append(words.empty() ? "" : " ").append(sub.name);
    CHECK(words == row->subcommands);
  }
}

TEST_CASE("commands/table: every subcommand is whole") {
  for (const Command* row : all_commands()) {
    for (const Subcommand& sub : subcommands_of(row->name)) {
      CAPTURE(row->name, sub.name);
      CHECK(sub.run != nullptr);
      CHECK_FALSE(sub.summary.empty());
      CHECK_FALSE(sub.summary.ends_with('.'));
      CHECK((sub.arity >= 2 || sub.arity <= -2));
    }
  }
}

// --- COMMAND ---

TEST_CASE("commands/command: INFO has Redis's ten parts") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("COMMAND INFO get nonesuch") ==
        "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
        "~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n"
        "~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n"
        "$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n"
        "%1\r\n$5\r\nindex\r\n:1\r\n"
        "$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
        "%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n"
        "~0\r\n_\r\n");
}

TEST_CASE("commands/command: INFO of containers, subcommands and other cases") {
  FakeServices server;
  FakeClient client(server);
  const std::string object = client("COMMAND INFO OBJECT");
  CHECK(
      object.starts_with("*1\r\n*10\r\n$6\r\nobject\r\n:-2\r\n~0\r\n:0\r\n:0\r\n:0\r\n"
                         "~1\r\n+@slow\r\n~0\r\n~0\r\n*5\r\n*10\r\n$15\r\nobject|encoding\r\n"
                         ":3\r\n~1\r\n+readonly\r\n:2\r\n:2\r\n:1\r\n"
                         "~3\r\n+@keyspace\r\n+@read\r\n+@slow\r\n"));
  CHECK(is_one_value(object));
  CHECK(client("COMMAND INFO Config|Get").starts_with("*1\r\n*10\r\n$10\r\nconfig|get\r\n:-3\r\n"));
  CHECK(client("COMMAND INFO object|foo get|x") == "*2\r\n_\r\n_\r\n");
}

TEST_CASE("commands/command: the whole table is one well-formed reply without hidden rows") {
  FakeServices server;
  FakeClient client(server);
  const std::string all = client("COMMAND");
  const std::string count = client("COMMAND COUNT");
  CHECK(all.starts_with("*" + count.substr(1)));
  CHECK(is_one_value(all));
  CHECK(client("COMMAND INFO") == all);
  CHECK_FALSE(has(all, "\r\nident\r\n"));
  CHECK(is_one_value(client("COMMAND DOCS")));
  CHECK(client("COMMAND DOCS").starts_with("%" + count.substr(1)));
}

TEST_CASE("commands/command: DOCS tells the row's words and its syntax") {
  FakeServices server;
  FakeClient client(server);
  const std::string docs = client("COMMAND DOCS echo nonesuch");
  CHECK(docs.starts_with("%1\r\n$4\r\necho\r\n%5\r\n$7\r\nsummary\r\n"));
  CHECK(has(docs, "$5\r\ngroup\r\n$10\r\nconnection\r\n"));
  CHECK(has(docs,
            "$9\r\narguments\r\n*1\r\n%2\r\n$4\r\nname\r\n$7\r\nmessage\r\n"
            "$4\r\ntype\r\n$6\r\nstring\r\n"));
  const std::string object = client("COMMAND DOCS object");
  CHECK(has(object, "$11\r\nsubcommands\r\n%5\r\n$15\r\nobject|encoding\r\n%5\r\n"));
  CHECK(is_one_value(object));
  CHECK(client("COMMAND DOCS nonesuch") == "%0\r\n");
}

TEST_CASE("commands/command: LIST and its filters") {
  FakeServices server;
  FakeClient client(server);
  CHECK(has(client("COMMAND LIST"), "\r\nclient|list\r\n"));
  CHECK(client("COMMAND LIST FILTERBY PATTERN obj*") ==
        "*6\r\n$6\r\nobject\r\n$15\r\nobject|encoding\r\n$11\r\nobject|freq\r\n"
        "$11\r\nobject|help\r\n$15\r\nobject|idletime\r\n$15\r\nobject|refcount\r\n");
  CHECK(has(client("COMMAND LIST FILTERBY ACLCAT list"), "\r\nlpush\r\n"));
  CHECK(client("COMMAND LIST FILTERBY ACLCAT foo") == "*0\r\n");
  CHECK(client("COMMAND LIST FILTERBY MODULE m") == "*0\r\n");
  CHECK(client("COMMAND LIST FILTERBY") == kSyntax);
  CHECK(client("COMMAND LIST FOO BAR BAZ") == kSyntax);
  CHECK(client("COMMAND LIST FILTERBY FOO BAZ") == kSyntax);
}

TEST_CASE("commands/command: GETKEYS picks the keys of any row") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("COMMAND GETKEYS get a") == "*1\r\n$1\r\na\r\n");
  CHECK(client("COMMAND GETKEYS mset a b c d") == "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
  CHECK(client("COMMAND GETKEYS mset a b c") == "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
  CHECK(client("COMMAND GETKEYS object encoding k") == "*1\r\n$1\r\nk\r\n");
  CHECK(client("COMMAND GETKEYS memory usage k") == "*1\r\n$1\r\nk\r\n");
  CHECK(client("COMMAND GETKEYSANDFLAGS get a") ==
        "*1\r\n*2\r\n$1\r\na\r\n~2\r\n+RO\r\n+access\r\n");
}

TEST_CASE("commands/command: GETKEYS refuses what is no command with keys (N12)") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("COMMAND GETKEYS foo bar") == "-ERR Invalid command specified\r\n");
  CHECK(client("COMMAND GETKEYS object foo k") == "-ERR Invalid command specified\r\n");
  CHECK(client("COMMAND GETKEYS object help") == "-ERR The command has no key arguments\r\n");
  CHECK(client("COMMAND GETKEYS ping a") == "-ERR The command has no key arguments\r\n");
  CHECK(client("COMMAND GETKEYS get a b") ==
        "-ERR Invalid number of arguments specified for command\r\n");
  CHECK(client("COMMAND GETKEYS get") ==
        "-ERR wrong number of arguments for 'command|getkeys' command\r\n");
}

TEST_CASE("commands/command: GETKEYS of commands that count their keys (N12)") {
  const Command* row = find_command("lmpop");
  if (row == nullptr) return;  // the family may not have one
  FakeServices server;
  FakeClient client(server);
  CHECK(client("COMMAND GETKEYS lmpop 2 a b LEFT") == "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  CHECK(client("COMMAND GETKEYS lmpop 9223372036854775807 a LEFT")[0] == '-');
  CHECK(client("COMMAND GETKEYS lmpop -1 a LEFT")[0] == '-');
  CHECK(client("COMMAND GETKEYS lmpop x a LEFT")[0] == '-');
  CHECK(has(client("COMMAND INFO lmpop"), "+movablekeys\r\n"));
}

TEST_CASE("commands/command: unknown subcommands and arity") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("COMMAND FOO") == "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n");
  CHECK(client("COMMAND COUNT a") ==
        "-ERR wrong number of arguments for 'command|count' command\r\n");
}

// --- the syntax tree ---

TEST_CASE("commands/syntax: the notation becomes Redis's argument tree") {
  const SyntaxTree set = parse_syntax("key value [NX | XX] [EX seconds | KEEPTTL]");
  REQUIRE(set.size() == 4);
  CHECK(set[0].type == "key");
  CHECK(set[1].type == "string");
  CHECK(set[2].type == "oneof");
  CHECK(set[2].optional);
  REQUIRE(set[2].parts.size() == 2);
  CHECK(set[2].parts[1].token == "XX");
  CHECK(set[2].parts[1].type == "pure-token");
  CHECK(set[3].parts[0].name == "seconds");
  CHECK(set[3].parts[0].token == "EX");
  CHECK(set[3].parts[1].token == "KEEPTTL");
}

TEST_CASE("commands/syntax: repetition belongs to the word or to the whole bracket") {
  const SyntaxTree mset = parse_syntax("key value [key value ...]");
  REQUIRE(mset.size() == 3);
  CHECK(mset[2].type == "block");
  CHECK(mset[2].optional);
  CHECK(mset[2].multiple);
  CHECK_FALSE(mset[2].parts[1].multiple);
  const SyntaxTree del = parse_syntax("key [key ...]");
  CHECK(del[1].multiple);
  CHECK(del[1].optional);
  const SyntaxTree choice = parse_syntax("LIB-NAME|LIB-VER value");
  REQUIRE(choice.size() == 2);
  CHECK(choice[0].type == "oneof");
  CHECK(choice[1].name == "value");
  CHECK(parse_syntax("").empty());
}

// --- OBJECT ---

TEST_CASE("commands/object: tells about a key without using it") {
  FakeServices server;
  FakeClient client(server);
  client("SET k v");
  client("SET n 12");
  CHECK(client("OBJECT ENCODING n") == "$3\r\nint\r\n");
  CHECK(client("OBJECT ENCODING k") == "$6\r\nembstr\r\n");
  CHECK(client("OBJECT REFCOUNT k") == ":1\r\n");
  client.now_ns += 5'000'000'000;
  CHECK(client("OBJECT IDLETIME k") == ":5\r\n");
  client.now_ns += 2'000'000'000;
  CHECK(client("OBJECT IDLETIME k") == ":7\r\n");
  client("GET k");
  CHECK(client("OBJECT IDLETIME k") == ":0\r\n");
  CHECK(client("OBJECT FREQ k")[0] == ':');
}

TEST_CASE("commands/object: absent keys, arity, unknown subcommands") {
  FakeServices server;
  FakeClient client(server);
  const char* sub = GENERATE("ENCODING", "FREQ", "IDLETIME", "REFCOUNT");
  CAPTURE(sub);
  CHECK(client("OBJECT " + std::string(sub) + " nokey") == "_\r\n");
  CHECK(client("OBJECT " + std::string(sub))
            .starts_with("-ERR wrong number of arguments for 'object|"));
  CHECK(client("OBJECT FOO k") == "-ERR unknown subcommand 'FOO'. Try OBJECT HELP.\r\n");
  CHECK(client("OBJECT HELP").starts_with("*11\r\n"));
}

// --- MEMORY ---

TEST_CASE("commands/memory: USAGE counts at least the bytes stored") {
  FakeServices server;
  FakeClient client(server);
  const std::string large(10'000, 'v');
  client.run({"SET", "k", Scalar(large)});
  const std::string usage = client("MEMORY USAGE k");
  REQUIRE(usage[0] == ':');
  CHECK(std::stoul(usage.substr(1)) >= large.size() + 1);
  CHECK(client("MEMORY USAGE k SAMPLES 0") == usage);
  CHECK(client("MEMORY USAGE nokey") == "_\r\n");
  CHECK(client("MEMORY USAGE k SAMPLES") == kSyntax);
  CHECK(client("MEMORY USAGE k SAMPLES -1") == kSyntax);
  CHECK(client("MEMORY USAGE k FOO 3") == kSyntax);
}

TEST_CASE("commands/memory: STATS, DOCTOR, PURGE, MALLOC-STATS") {
  FakeServices server;
  FakeClient client(server);
  const std::string stats = client("MEMORY STATS");
  CHECK(stats.starts_with("%13\r\n$14\r\npeak.allocated\r\n:"));
  CHECK(has(stats, "$10\r\nkeys.count\r\n:0\r\n$18\r\nkeys.bytes-per-key\r\n:0\r\n"));
  CHECK(is_one_value(stats));
  CHECK(client("MEMORY DOCTOR")[0] == '=');
  CHECK(client("MEMORY PURGE") == kOk);
  CHECK(has(client("MEMORY MALLOC-STATS"), "libc: "));
  CHECK(client("MEMORY FOO") == "-ERR unknown subcommand 'FOO'. Try MEMORY HELP.\r\n");
}

// --- DEBUG ---

TEST_CASE("commands/monitor: begins, and RESET ends it; not over PLIO") {
  FakeServices server;
  FakeClient client(server), plio(server, kv::Dialect::plio);
  CHECK(client("MONITOR") == kOk);
  CHECK(client.session.monitor);
  CHECK(client("RESET") == "+RESET\r\n");
  CHECK_FALSE(client.session.monitor);
  CHECK(plio("MONITOR").ends_with("Error: to monitor needs a client that speaks RESP\r\n"));
  CHECK_FALSE(plio.session.monitor);
}

TEST_CASE("commands/debug: SLEEP, RELOAD, SET-ACTIVE-EXPIRE do what they say") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("DEBUG SLEEP 0.25") == kOk);
  CHECK(server.slept_ms == 250);
  CHECK(client("DEBUG SLEEP abc") == kOk);
  CHECK(client("DEBUG SLEEP -1") == kOk);
  CHECK(client("DEBUG SLEEP nan") == kOk);
  CHECK(server.slept_ms == 250);
  CHECK(client("DEBUG SLEEP inf") == kOk);
  CHECK(server.slept_ms == 250 + 86'400'000);
  CHECK(client("DEBUG SET-ACTIVE-EXPIRE 0") == kOk);
  CHECK_FALSE(server.active_expire);
  CHECK(client("DEBUG SET-ACTIVE-EXPIRE 1") == kOk);
  CHECK(server.active_expire);
  CHECK(client("DEBUG RELOAD") == kOk);
  CHECK(server.asked == std::vector<std::string>{"reload"});
  server.next_status = Status(Code::io, "cannot write kv.db");
  CHECK(client("DEBUG RELOAD") == "-ERR cannot write kv.db\r\n");
}

TEST_CASE("commands/debug: OBJECT shows Redis's line") {
  FakeServices server;
  FakeClient client(server);
  client("SET k v");
  CHECK(client("DEBUG OBJECT k")
            .starts_with("+Value at:0x0 refcount:1 encoding:embstr serializedlength:"));
  CHECK(client("DEBUG OBJECT k").ends_with(" lru_seconds_idle:0\r\n"));
  CHECK(client("DEBUG OBJECT nokey") == "-ERR no such key\r\n");
}

TEST_CASE("commands/debug: one sentence for every mistake") {
  FakeServices server;
  FakeClient client(server);
  const auto error = [](const std::string& word) {
    return "-ERR unknown subcommand or wrong number of arguments for '" + word +
           "'. Try DEBUG HELP.\r\n";
  };
  CHECK(client("DEBUG FOO") == error("FOO"));
  CHECK(client("DEBUG SLEEP") == error("SLEEP"));
  CHECK(client("DEBUG SLEEP 0 0") == error("SLEEP"));
  CHECK(client("DEBUG OBJECT") == error("OBJECT"));
  CHECK(client("DEBUG JMAP") == error("JMAP"));
}

TEST_CASE("commands/debug: digests are Redis's, so a copy can be compared with the original") {
  FakeServices server;
  FakeClient client(server);
  const std::string none = "+" + std::string(40, '0') + "\r\n";
  CHECK(client("DEBUG DIGEST") == none);
  CHECK(client("DEBUG DIGEST-VALUE nokey") == "*1\r\n" + none);
  CHECK(client("DEBUG DIGEST-VALUE") == "*0\r\n");
  client("SET k v");
  client("SET n 12");
  client("RPUSH l a b");
  client("HSET h f v");
  // Both taken from redis-server 7.0.15 holding the same four keys.
  CHECK(client("DEBUG DIGEST") == "+6fdb68fafa38127e5dc975c1e5745da776820839\r\n");
  CHECK(client("DEBUG DIGEST-VALUE k") == "*1\r\n+d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f\r\n");
}
