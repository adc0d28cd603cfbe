// Commands about the server: settings, saving, ending, the slow log, users. Error texts and shapes
// are those of Redis 7.0.15, the PLIO answers picolisp-kv's.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/unit/fake_services.hpp"

using namespace kv;
using kv::test::FakeClient;
using kv::test::FakeServices;
using kv::test::has;
using kv::test::text_of;

namespace {

constexpr const char* kOk = "+OK\r\n";
constexpr const char* kSyntax = "-ERR syntax error\r\n";

// Three settings: one fixed, two that can be changed; level takes only numbers.
struct Configured {
  FakeServices server;
  FakeClient client{server};
  std::string fsync = "everysec", level = "3";
  Configured() {
    server.settings_ = {
        {"port", [] { return "6378"; }, nullptr},
        {"appendfsync", [this] { return fsync; },
         [this](std::string_view v) { return fsync = v, Status(); }},
        {"level", [this] { return level; },
         [this](std::string_view v) -> Status {
           if (v.find_first_not_of("0123456789") != v.npos)
             return {Code::usage, "argument must be a number"};
           level = v;
           return {};
         }},
    };
  }
};

}  // namespace

// --- CONFIG ---

TEST_CASE("commands/config: GET shows each setting once, whatever patterns mean it") {
  Configured c;
  CHECK(c.client("CONFIG GET port") == "%1\r\n$4\r\nport\r\n$4\r\n6378\r\n");
  CHECK(c.client("CONFIG GET PORT p* l*") ==
        "%2\r\n$4\r\nPORT\r\n$4\r\n6378\r\n$5\r\nlevel\r\n$1\r\n3\r\n");
  CHECK(c.client("CONFIG GET *").starts_with("%3\r\n"));
  CHECK(c.client("CONFIG GET nonesuch") == "%0\r\n");
  CHECK(c.client("CONFIG GET") == "-ERR wrong number of arguments for 'config|get' command\r\n");
}

TEST_CASE("commands/config: SET changes all of the pairs or none") {
  Configured c;
  CHECK(c.client("CONFIG SET appendfsync always LEVEL 5") == kOk);
  CHECK(c.fsync == "always");
  CHECK(c.level == "5");
  CHECK(c.client("CONFIG SET appendfsync no level x") ==
        "-ERR CONFIG SET failed (possibly related to argument 'level') - "
        "argument must be a number\r\n");
  CHECK(c.fsync == "always");
  CHECK(c.level == "5");
}

TEST_CASE("commands/config: SET refuses before it changes anything") {
  Configured c;
  CHECK(c.client("CONFIG SET level 7 nonesuch 1") ==
        "-ERR Unknown option or number of arguments for CONFIG SET - 'nonesuch'\r\n");
  CHECK(c.client("CONFIG SET level 7 port 1") ==
        "-ERR CONFIG SET failed (possibly related to argument 'port') - "
        "can't set immutable config\r\n");
  CHECK(c.client("CONFIG SET level 7 level 8") ==
        "-ERR CONFIG SET failed (possibly related to argument 'level') - duplicate parameter\r\n");
  CHECK(c.client("CONFIG SET level 7 port") == kSyntax);
  CHECK(c.client("CONFIG SET level") ==
        "-ERR wrong number of arguments for 'config|set' command\r\n");
  CHECK(c.level == "3");
}

TEST_CASE("commands/config: RESETSTAT forgets the past and keeps the present") {
  Configured c;
  Counters& counters = c.server.counters_;
  counters.keyspace_hits = counters.net_input_bytes = counters.expired_keys = 5;
  counters.changes_since_save = 7;
  counters.commands["get"] = {.calls = 4, .micros = 40, .rejected = 2, .failed = 1};
  counters.errors.note("WRONGTYPE Operation");
  const auto* place = &counters.commands["get"];
  CHECK(c.client("CONFIG RESETSTAT") == kOk);
  CHECK(counters.keyspace_hits == 0);
  CHECK(counters.net_input_bytes == 0);
  CHECK(counters.expired_keys == 0);
  CHECK(counters.changes_since_save == 7);
  CHECK(place == &counters.commands["get"]);
  CHECK(place->calls + place->micros + place->rejected + place->failed == 0);
  CHECK(text_of(c.client("INFO errorstats")) == "# Errorstats\r\n");
}

TEST_CASE("commands/config: unknown subcommands and HELP") {
  Configured c;
  CHECK(c.client("CONFIG FOO") == "-ERR unknown subcommand 'FOO'. Try CONFIG HELP.\r\n");
  CHECK(c.client("CONFIG REWRITE") == "-ERR unknown subcommand 'REWRITE'. Try CONFIG HELP.\r\n");
  CHECK(c.client("CONFIG HELP").starts_with("*9\r\n+CONFIG <subcommand>"));
}

// --- saving ---

TEST_CASE(
    "commands/saving: SAVE, BGSAVE, BGREWRITEAOF, CONVERT, LASTSAVE each ask for what they mean") {
  FakeServices server;
  FakeClient client(server);
  server.counters().started_ms = 1'795'170'000'999;
  CHECK(client("LASTSAVE") == ":1795170000\r\n");
  CHECK(client("INFO persistence").find("rdb_last_save_time:1795170000\r\n") != std::string::npos);
  server.persistence_.last_save_s = 1795173523;
  CHECK(client("INFO persistence").find("rdb_last_save_time:1795173523\r\n") != std::string::npos);
  CHECK(client("BGSAVE") == "+Background saving started\r\n");
  CHECK(client("BGSAVE SCHEDULE") == "+Background saving started\r\n");
  CHECK(client("SAVE") == kOk);
  CHECK(client("BGREWRITEAOF") == "+Background append only file rewriting started\r\n");
  CHECK(client("CONVERT") == kOk);
  CHECK(client("LASTSAVE") == ":1795173523\r\n");
  CHECK(server.asked == std::vector<std::string>{"save_in_background", "save_in_background",
                                                 "save_now", "save_in_background",
                                                 "convert_format"});
  CHECK(client("BGSAVE FOO") == kSyntax);
  CHECK(client("BGSAVE SCHEDULE x") == kSyntax);
  CHECK(server.asked.size() == 5);
}

TEST_CASE("commands/saving: a save that cannot be is an error that says why (S2)") {
  FakeServices server;
  FakeClient client(server);
  server.next_status = Status(Code::busy, "one is running");
  CHECK(client("BGSAVE") == "-ERR Background save already in progress\r\n");
  CHECK(client("SAVE") == "-ERR Background save already in progress\r\n");
  server.next_status = Status(Code::no_space, "cannot write kv.db: No space left on device");
  CHECK(client("SAVE") == "-ERR cannot write kv.db: No space left on device\r\n");
  CHECK(client("BGSAVE") == "-ERR cannot write kv.db: No space left on device\r\n");
  CHECK(client("CONVERT") == "-ERR cannot write kv.db: No space left on device\r\n");
}

TEST_CASE("commands/saving: over PLIO it has always started, extra words or not") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  const char* started = "+Background saving started\r\n";
  CHECK(lisp("BGSAVE") == started);
  CHECK(lisp("SAVE") == started);
  CHECK(lisp("SAVE now please") == started);
  server.next_status = Status(Code::busy, "one is running");
  CHECK(lisp("BGSAVE") == started);
  CHECK(server.asked == std::vector<std::string>(4, "save_in_background"));
  server.next_status = {};
  CHECK(lisp("CONVERT") == kOk);
}

TEST_CASE("commands/waitaof: forces the log to the disk and says so, in both dialects") {
  FakeServices server;
  FakeClient client(server), lisp(server, Dialect::plio);
  server.persistence_.aof_enabled = true;
  CHECK(client("WAITAOF 1 0 0") == "*2\r\n:1\r\n:0\r\n");
  CHECK(lisp("WAITAOF 1 0 0") == "*2\r\n:1\r\n:0\r\n");
  CHECK(client("WAITAOF 1 3 100") == "*2\r\n:1\r\n:0\r\n");
  CHECK(server.asked == std::vector<std::string>(3, "sync_log"));
  // With numlocal 0 it only tells how it is.
  CHECK(client("WAITAOF 0 0 0") == "*2\r\n:0\r\n:0\r\n");
  server.persistence_.aof_synced = true;
  CHECK(client("WAITAOF 0 0 0") == "*2\r\n:1\r\n:0\r\n");
  CHECK(server.asked.size() == 3);
}

TEST_CASE("commands/waitaof: without a log, with wrong numbers and when the sync fails (D9)") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("WAITAOF 1 0 0") ==
        "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n");
  CHECK(client("WAITAOF 0 1 5") == "*2\r\n:0\r\n:0\r\n");
  CHECK(client("WAITAOF 2 0 0") == "-ERR value is out of range, must be between 0 and 1\r\n");
  CHECK(client("WAITAOF -1 0 0") == "-ERR value is out of range, must be between 0 and 1\r\n");
  CHECK(client("WAITAOF x 0 0") == "-ERR value is not an integer or out of range\r\n");
  CHECK(client("WAITAOF 1 -1 0") == "-ERR value is out of range, must be positive\r\n");
  CHECK(client("WAITAOF 1 0 -1") == "-ERR timeout is negative\r\n");
  CHECK(client("WAITAOF 1 0 soon") == "-ERR timeout is not an integer or out of range\r\n");
  CHECK(server.asked.empty());
  server.persistence_.aof_enabled = true;
  server.next_status = Status(Code::io, "the log is closed: cannot sync kv.aof");
  CHECK(client("WAITAOF 1 0 0") == "-MISCONF the log is closed: cannot sync kv.aof\r\n");
}

// --- ending ---

TEST_CASE("commands/shutdown: ends without an answer, saving as told") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("SHUTDOWN").empty());
  server.persistence_.aof_enabled = true;
  CHECK(client("SHUTDOWN").empty());
  CHECK(client("SHUTDOWN nosave now").empty());
  CHECK(client("SHUTDOWN SAVE FORCE").empty());
  CHECK(client("SHUTDOWN SAVE").empty());
  CHECK(server.asked == std::vector<std::string>{"shutdown", "shutdown save", "shutdown",
                                                 "shutdown save", "shutdown must save"});
}

TEST_CASE("commands/shutdown: a save that was asked for and failed is told") {
  FakeServices server;
  FakeClient client(server);
  server.next_status = {Code::io, "cannot write kv.db.tmp"};
  CHECK(client("SHUTDOWN SAVE") == "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
}

TEST_CASE("commands/shutdown: a wrong word ends nothing") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("SHUTDOWN FOO") == kSyntax);
  CHECK(client("SHUTDOWN SAVE NOSAVE") == kSyntax);
  CHECK(client("SHUTDOWN ABORT NOW") == kSyntax);
  CHECK(client("SHUTDOWN ABORT") == "-ERR No shutdown in progress.\r\n");
  CHECK(server.asked.empty());
}

// --- small facts ---

TEST_CASE("commands/server: TIME, ROLE, WAIT") {
  FakeServices server;
  FakeClient client(server);
  client.now_ns = 1'795'173'531'000'980'999;
  CHECK(client("TIME") == "*2\r\n$10\r\n1795173531\r\n$3\r\n980\r\n");
  CHECK(client("ROLE") == "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
  CHECK(client("WAIT 0 0") == ":0\r\n");
  CHECK(client("WAIT 3 1000") == ":0\r\n");
  CHECK(client("WAIT a b") == "-ERR value is not an integer or out of range\r\n");
  CHECK(client("WAIT 0 a") == "-ERR timeout is not an integer or out of range\r\n");
  CHECK(client("WAIT 0 -1") == "-ERR timeout is negative\r\n");
}

TEST_CASE("commands/acl: one user, Redis's categories") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("ACL WHOAMI") == "$7\r\ndefault\r\n");
  CHECK(client("ACL USERS") == "*1\r\n$7\r\ndefault\r\n");
  CHECK(client("ACL CAT").starts_with("*21\r\n$8\r\nkeyspace\r\n$4\r\nread\r\n"));
  CHECK(client("ACL CAT foo") == "-ERR Unknown category 'foo'\r\n");
  CHECK(has(client("ACL CAT connection"), "\r\n$11\r\nclient|list\r\n"));
  CHECK(has(client("ACL CAT HASH"), "\r\n$4\r\nhget\r\n"));
  CHECK(client("ACL CAT geo") == "*0\r\n");
  CHECK(client("ACL SETUSER x") == "-ERR unknown subcommand 'SETUSER'. Try ACL HELP.\r\n");
}

// --- the slow log ---

TEST_CASE("commands/slowlog: notes what took long, newest first, and forgets on RESET") {
  FakeServices server;
  FakeClient client(server);
  SlowLog& slow = server.counters_.slow;
  const Command& get = *find_command("get");
  const std::vector<Scalar> args = {"GET", "k"};
  slow.note(client.session, get, args, 1'795'173'531'999, 9'999);
  CHECK(client("SLOWLOG LEN") == ":0\r\n");
  slow.note(client.session, get, args, 1'795'173'531'999, 10'000);
  slow.note(client.session, get, args, 1'795'173'532'000, 10'001);
  CHECK(client("SLOWLOG LEN") == ":2\r\n");
  CHECK(client("SLOWLOG GET 1") ==
        "*1\r\n*6\r\n:1\r\n:1795173532\r\n:10001\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
        "$15\r\n127.0.0.1:40312\r\n$4\r\ntest\r\n");
  CHECK(client("SLOWLOG GET").starts_with("*2\r\n"));
  CHECK(client("SLOWLOG GET -1").starts_with("*2\r\n"));
  CHECK(client("SLOWLOG GET 0") == "*0\r\n");
  CHECK(client("SLOWLOG GET -2") == "-ERR count should be greater than or equal to -1\r\n");
  CHECK(client("SLOWLOG GET abc") == "-ERR count should be greater than or equal to -1\r\n");
  CHECK(client("SLOWLOG RESET") == kOk);
  CHECK(client("SLOWLOG GET") == "*0\r\n");
  slow.note(client.session, get, args, 0, 10'000);
  CHECK(slow.entries().front().id == 2);
}

TEST_CASE("commands/slowlog: keeps a bounded number of shortened entries") {
  FakeServices server;
  FakeClient client(server);
  SlowLog& slow = server.counters_.slow;
  slow.threshold_us = 0;
  slow.length_max = 3;
  const std::string long_key(1000, 'k');
  std::vector<Scalar> args = {"DEL"};
  for (int i = 0; i < 100; ++i) args.emplace_back(long_key);
  for (int i = 0; i < 10; ++i) slow.note(client.session, *find_command("del"), args, 0, 5);
  CHECK(slow.entries().size() == 3);
  const SlowEntry& entry = slow.entries().front();
  CHECK(entry.id == 9);
  CHECK(entry.args.size() == SlowLog::args_max);
  CHECK(entry.args[1] == std::string(128, 'k') + "... (872 more bytes)");
  CHECK(entry.args.back() == "... (70 more arguments)");
  slow.threshold_us = -1;
  slow.note(client.session, *find_command("del"), args, 0, 1'000'000);
  CHECK(slow.entries().front().id == 9);
}

TEST_CASE("commands/slowlog: values and passwords are never noted (A6)") {
  FakeServices server;
  FakeClient client(server);
  SlowLog& slow = server.counters_.slow;
  slow.threshold_us = 0;
  const std::vector<std::vector<Scalar>> requests = {
      {"SET", "k", "treasure"},
      {"MSET", "a", "treasure", "b", "treasure"},
      {"RPUSH", "l", "treasure", "treasure"},
      {"HSET", "h", "f", "treasure"},
      {"AUTH", "default", "treasure"},
      {"HELLO", "3", "AUTH", "default", "treasure"},
      {"CONFIG", "SET", "password", "treasure"},
  };
  for (const auto& args : requests) {
    CAPTURE(args[0].bytes);
    slow.note(client.session, *find_command(args[0].bytes), args, 0, 5);
    const SlowEntry& entry = slow.entries().front();
    CHECK(entry.args.size() == args.size());
    CHECK(entry.args.back() == "(redacted)");
    for (const std::string& arg : entry.args) CHECK_FALSE(has(arg, "treasure"));
  }
  CHECK(slow.entries()[5].args ==
        std::vector<std::string>{"MSET", "a", "(redacted)", "b", "(redacted)"});
}

// --- what there is none of ---

TEST_CASE("commands/latency, module: nothing is recorded, nothing is loaded") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("LATENCY LATEST") == "*0\r\n");
  CHECK(client("LATENCY HISTORY command") == "*0\r\n");
  CHECK(client("LATENCY RESET command fork") == ":0\r\n");
  CHECK(client("LATENCY HELP").starts_with("*9\r\n+LATENCY <subcommand>"));
  CHECK(client("LATENCY DOCTOR") == "-ERR unknown subcommand 'DOCTOR'. Try LATENCY HELP.\r\n");
  CHECK(client("MODULE LIST") == "*0\r\n");
  CHECK(client("MODULE LOAD x") == "-ERR unknown subcommand 'LOAD'. Try MODULE HELP.\r\n");
}

// --- LOLWUT ---

TEST_CASE("commands/lolwut: the same request draws the same picture, and names the version") {
  FakeServices server;
  FakeClient client(server);
  const std::string picture = client("LOLWUT VERSION 2 20 4");
  CHECK(picture == client("LOLWUT VERSION 2 20 4"));
  CHECK(picture != client("LOLWUT VERSION 3 20 4"));
  const std::string text = text_of(picture);
  CHECK(std::count(text.begin(), text.end(), '\n') == 4 + 2);
  CHECK(text.ends_with("\nkv ver. " KV_VERSION "\n"));
  CHECK(text_of(client("LOLWUT 5 3")).size() == 3 * (5 * 3 + 1) + 1 + 9 + std::strlen(KV_VERSION));
  CHECK(client("LOLWUT VERSION abc") == "-ERR value is not an integer or out of range\r\n");
}

TEST_CASE("commands/lolwut: no size makes it ask for more than a screen (N2)") {
  FakeServices server;
  FakeClient client(server);
  CHECK(
      client("LOLWUT VERSION -9223372036854775808 9223372036854775807 9223372036854775807").size() <
      60 * (120 * 3 + 1) + 100);
  CHECK(has(client("LOLWUT 1 1"), "\nkv ver. "));
  CHECK(has(client("LOLWUT 0 -5"), "\nkv ver. "));
}
