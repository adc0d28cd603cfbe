// Commands about connections, in both dialects: logging in, HELLO, CLIENT and the rest. The error
// texts are those of Redis 7.0.15; the PLIO answers are picolisp-kv's.
#include <algorithm>
#include <catch2/catch.hpp>

#include "libkv/wire/plio.hpp"
#include "tests/unit/fake_services.hpp"

using namespace kv;
using kv::test::FakeClient;
using kv::test::FakeServices;
using kv::test::text_of;

namespace {

constexpr const char* kOk = "+OK\r\n";
constexpr const char* kWrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
constexpr const char* kSyntax = "-ERR syntax error\r\n";

struct Guest {
  FakeServices server;
  FakeClient client{server};
  Guest() { client.session.authenticated = false; }
};

}  // namespace

TEST_CASE("commands/connection: AUTH lets the right password in, and only that (A3)") {
  Guest guest;
  CHECK(guest.client("AUTH nope") == kWrong);
  CHECK_FALSE(guest.client.session.authenticated);
  CHECK(guest.client("AUTH default nope") == kWrong);
  CHECK(guest.client("AUTH a b c") == kSyntax);
  CHECK(guest.client("AUTH") == "-ERR wrong number of arguments for 'auth' command\r\n");
  CHECK_FALSE(guest.client.session.authenticated);
  CHECK(guest.client("AUTH secret") == kOk);
  CHECK(guest.client.session.authenticated);
  CHECK(guest.server.counters_.connections_received == 1);
  CHECK(guest.server.counters_.last_client == "test");
}

TEST_CASE("commands/connection: AUTH twice counts one connection (A3)") {
  Guest guest;
  CHECK(guest.client("AUTH default secret") == kOk);
  CHECK(guest.client("AUTH secret") == kOk);
  CHECK(guest.server.counters_.connections_received == 1);
}

TEST_CASE("commands/connection: an unknown user with the right password pays as a failure (A2)") {
  Guest guest;
  CHECK(guest.client("AUTH nobody secret") == kWrong);
  CHECK(guest.client.session.failed_logins == 1);
  CHECK_FALSE(guest.client.session.authenticated);
}

TEST_CASE("commands/connection: passwords of any bytes and length are compared, not kept (A3)") {
  Guest guest;
  const std::string with_nul("secret\0", 7);
  CHECK(guest.client.run({"AUTH", Scalar(with_nul)}) == kWrong);
  CHECK(guest.client.run({"AUTH", Scalar("")}) == kWrong);
  const std::string large(1 << 20, 's');
  CHECK(guest.client.run({"AUTH", Scalar(large)}) == kWrong);
  CHECK(guest.client.session.failed_logins == 3);
  CHECK(guest.client.session.last_command.find("secret") == std::string::npos);
}

TEST_CASE("commands/connection: HELLO tells about the server and chooses the protocol") {
  FakeServices server;
  FakeClient client(server);
  const std::string head =
      "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n";
  const std::string tail =
      "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
      "$7\r\nmodules\r\n*0\r\n";
  CHECK(client("HELLO") == head + ":2\r\n" + tail);
  CHECK(client("HELLO 3") == head + ":3\r\n" + tail);
  CHECK(client.session.protocol == 3);
  CHECK(client("HELLO") == head + ":3\r\n" + tail);
  CHECK(client("HELLO 2") == head + ":2\r\n" + tail);
  CHECK(client.session.protocol == 2);
}

TEST_CASE("commands/connection: HELLO refuses what Redis refuses and changes nothing then") {
  Guest guest;
  CHECK(guest.client("HELLO 4") == "-NOPROTO unsupported protocol version\r\n");
  CHECK(guest.client("HELLO 1") == "-NOPROTO unsupported protocol version\r\n");
  CHECK(guest.client("HELLO abc") == "-ERR Protocol version is not an integer or out of range\r\n");
  CHECK(guest.client("HELLO 3 FOO") == "-ERR Syntax error in HELLO option 'FOO'\r\n");
  CHECK(guest.client("HELLO 3 AUTH default") == "-ERR Syntax error in HELLO option 'AUTH'\r\n");
  CHECK(guest.client("HELLO 3 AUTH default wrong") == kWrong);
  CHECK(
      guest.client("HELLO 3").starts_with("-NOAUTH HELLO must be called with the client already"));
  CHECK(guest.client.session.protocol == 2);
  CHECK_FALSE(guest.client.session.authenticated);
}

TEST_CASE("commands/connection: HELLO logs in and names in one go") {
  Guest guest;
  CHECK(guest.client("HELLO 3 AUTH default secret SETNAME worker:1").starts_with("%7\r\n"));
  CHECK(guest.client.session.authenticated);
  CHECK(guest.client.session.name == "worker:1");
  CHECK(guest.client.session.protocol == 3);
  CHECK(guest.client.run({"HELLO", "3", "SETNAME", "a b"}) ==
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
}

TEST_CASE("commands/connection: PING and ECHO") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("PING") == "+PONG\r\n");
  CHECK(client("PING hi") == "$2\r\nhi\r\n");
  CHECK(client("PING ''") == "$0\r\n\r\n");
  CHECK(client("PING a b") == "-ERR wrong number of arguments for 'ping' command\r\n");
  CHECK(client("ECHO hi") == "$2\r\nhi\r\n");
  FakeClient lisp(server, Dialect::plio);
  CHECK(lisp("PING") == "+PONG\r\n");
  CHECK(lisp("PING NIL") == "+PONG\r\n");
  CHECK(lisp("PING hi more") == "$2\r\nhi\r\n");
  CHECK(lisp("PING N:7") == "(7\r\n");
}

TEST_CASE("commands/connection: QUIT answers, then closes") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("QUIT") == kOk);
  CHECK(client.session.close_after_reply);
}

TEST_CASE("commands/connection: RESET logs out and forgets what was chosen") {
  FakeServices server;
  FakeClient client(server);
  client("HELLO 3 SETNAME n");
  client("SELECT 3");
  client("CLIENT NO-TOUCH on");
  client("CLIENT NO-EVICT on");
  CHECK(client("RESET") == "+RESET\r\n");
  const Session& session = client.session;
  CHECK_FALSE(session.authenticated);
  CHECK(session.protocol == 2);
  CHECK(session.database == 0);
  CHECK(session.name.empty());
  CHECK_FALSE(session.no_touch);
  CHECK_FALSE(session.no_evict);
}

TEST_CASE("commands/connection: SELECT takes the databases there are (N12)") {
  FakeServices server(4);
  FakeClient client(server);
  CHECK(client("SELECT 3") == kOk);
  CHECK(client.session.database == 3);
  CHECK(client("SELECT 4") == "-ERR DB index is out of range\r\n");
  CHECK(client("SELECT -1") == "-ERR DB index is out of range\r\n");
  CHECK(client("SELECT 9223372036854775808") == "-ERR value is not an integer or out of range\r\n");
  CHECK(client("SELECT abc") == "-ERR value is not an integer or out of range\r\n");
  CHECK(client("SELECT 2147483647") == "-ERR DB index is out of range\r\n");
  CHECK(client("SELECT 2147483648") ==
        "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
  CHECK(client.session.database == 3);
}

// --- CLIENT over RESP ---

TEST_CASE("commands/client: ID, names, library names") {
  FakeServices server;
  FakeClient client(server), second(server);
  CHECK(second("CLIENT ID") == ":2\r\n");
  CHECK(client("CLIENT GETNAME") == "$4\r\ntest\r\n");
  CHECK(client("CLIENT SETNAME w:1") == kOk);
  CHECK(client("CLIENT GETNAME") == "$3\r\nw:1\r\n");
  CHECK(client("CLIENT SETNAME ''") == kOk);
  CHECK(client("CLIENT GETNAME") == "_\r\n");
  CHECK(client.run({"CLIENT", "SETNAME", "a\nb"}) ==
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  const std::string long_name(257, 'a');
  CHECK(client.run({"CLIENT", "SETNAME", Scalar(long_name)})[0] == '-');
  CHECK(client("CLIENT SETINFO LIB-NAME redis-py") == kOk);
  CHECK(client("CLIENT SETINFO lib-ver 5.0") == kOk);
  CHECK(client("CLIENT SETINFO LIB-COLOUR red") == "-ERR Unrecognized option 'LIB-COLOUR'\r\n");
  CHECK(client.run({"CLIENT", "SETINFO", "LIB-VER", "a b"}) ==
        "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
  CHECK(client.session.library_name == "redis-py");
  CHECK(client.session.library_version == "5.0");
}

TEST_CASE("commands/client: INFO and LIST show Redis's line") {
  FakeServices server;
  FakeClient client(server), second(server);
  client.session.created_ms = client.now_ns / 1'000'000 - 7'900;
  client.session.last_ms = client.now_ns / 1'000'000 - 2'100;
  client.session.local_address = "127.0.0.1:6378";
  client.session.fd = 8;
  const std::string line = text_of(client("CLIENT INFO"));
  CHECK(
      line.starts_with("id=1 addr=127.0.0.1:40312 laddr=127.0.0.1:6378 fd=8 name=test age=7 "
                       "idle=2 flags=N db=0 "));
  CHECK(line.find(" cmd=client|info user=default redir=-1 resp=2 lib-name= lib-ver=\n") !=
        std::string::npos);
  const std::string list = text_of(client("CLIENT LIST"));
  CHECK(std::count(list.begin(), list.end(), '\n') == 2);
  CHECK(list.find("id=1 ") < list.find("id=2 "));
  CHECK(text_of(client("CLIENT LIST ID 2")).starts_with("id=2 "));
  CHECK(text_of(client("CLIENT LIST ID 9")).empty());
  CHECK(text_of(client("CLIENT LIST TYPE pubsub")).empty());
  CHECK(text_of(client("CLIENT LIST TYPE NORMAL")).starts_with("id=1 "));
}

TEST_CASE("commands/client: the closed are not listed, flags say what a connection is") {
  FakeServices server;
  FakeClient client(server), gone(server);
  gone.session.dead = true;
  client.session.address = "/run/kv.sock:0";
  client.session.no_evict = true;
  const std::string list = text_of(client("CLIENT LIST"));
  CHECK(std::count(list.begin(), list.end(), '\n') == 1);
  CHECK(list.find(" flags=Ue ") != std::string::npos);
  CHECK(text_of(client("CLIENT LIST ID 2")).empty());
}

TEST_CASE("commands/client: LIST refuses what Redis refuses") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("CLIENT LIST FOO") == kSyntax);
  CHECK(client("CLIENT LIST ID") == kSyntax);
  CHECK(client("CLIENT LIST ID abc") == "-ERR Invalid client ID\r\n");
  CHECK(client("CLIENT LIST TYPE foo") == "-ERR Unknown client type 'foo'\r\n");
}

TEST_CASE("commands/client: KILL by address, the old form") {
  FakeServices server;
  FakeClient client(server), other(server);
  other.session.address = "10.0.0.9:77";
  CHECK(client("CLIENT KILL 10.0.0.9:77") == kOk);
  CHECK(server.closed == std::vector<std::uint64_t>{2});
  CHECK(client("CLIENT KILL 10.0.0.9:78") == "-ERR No such client\r\n");
  CHECK(client("CLIENT KILL ID") == "-ERR No such client\r\n");
  CHECK(client("CLIENT KILL 127.0.0.1:40312") == kOk);
  CHECK(client.session.close_after_reply);
  CHECK(server.closed.size() == 1);
}

TEST_CASE("commands/client: KILL by filters spares oneself unless told otherwise") {
  FakeServices server;
  FakeClient client(server), second(server), third(server);
  third.session.local_address = "10.0.0.1:6378";
  CHECK(client("CLIENT KILL ID 1") == ":0\r\n");
  CHECK(client("CLIENT KILL ID 2 ADDR 1.2.3.4:5") == ":0\r\n");
  CHECK(client("CLIENT KILL LADDR 10.0.0.1:6378") == ":1\r\n");
  CHECK(server.closed == std::vector<std::uint64_t>{3});
  CHECK(client("CLIENT KILL TYPE pubsub") == ":0\r\n");
  CHECK(client("CLIENT KILL USER default TYPE normal") == ":2\r\n");
  CHECK_FALSE(client.session.close_after_reply);
  CHECK(client("CLIENT KILL ID 1 SKIPME no") == ":1\r\n");
  CHECK(client.session.close_after_reply);
}

TEST_CASE("commands/client: KILL refuses what Redis refuses, closing nobody") {
  FakeServices server;
  FakeClient client(server), other(server);
  const char* bad_id = "-ERR client-id should be greater than 0\r\n";
  CHECK(client("CLIENT KILL ID abc") == bad_id);
  CHECK(client("CLIENT KILL ID 0") == bad_id);
  CHECK(client("CLIENT KILL FOO bar") == kSyntax);
  CHECK(client("CLIENT KILL ID 2 FOO") == kSyntax);
  CHECK(client("CLIENT KILL a b c") == kSyntax);
  CHECK(client("CLIENT KILL TYPE normal SKIPME foo") == kSyntax);
  CHECK(client("CLIENT KILL TYPE foo") == "-ERR Unknown client type 'foo'\r\n");
  CHECK(client("CLIENT KILL USER foo") == "-ERR No such user 'foo'\r\n");
  CHECK(server.closed.empty());
}

TEST_CASE("commands/client: REPLY sets the mode; OFF and SKIP answer nothing") {
  using Mode = Session::ReplyMode;
  FakeServices server;
  FakeClient client(server);
  CHECK(client("CLIENT REPLY SKIP").empty());
  CHECK(client.session.reply_mode == Mode::skip_next);
  CHECK(client("CLIENT REPLY OFF").empty());
  CHECK(client.session.reply_mode == Mode::off);
  CHECK(client("CLIENT REPLY SKIP").empty());
  CHECK(client.session.reply_mode == Mode::off);
  CHECK(client("CLIENT REPLY ON") == kOk);
  CHECK(client.session.reply_mode == Mode::on);
  CHECK(client("CLIENT REPLY foo") == kSyntax);
}

TEST_CASE("commands/client: NO-EVICT and NO-TOUCH") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("CLIENT NO-EVICT on") == kOk);
  CHECK(client.session.no_evict);
  CHECK(client("CLIENT NO-EVICT OFF") == kOk);
  CHECK_FALSE(client.session.no_evict);
  CHECK(client("CLIENT NO-EVICT maybe") == kSyntax);
  CHECK(client("CLIENT NO-TOUCH on") == kOk);
  CHECK(client.session.no_touch);
}

TEST_CASE("commands/client: unknown subcommands, arity, HELP") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("CLIENT") == "-ERR wrong number of arguments for 'client' command\r\n");
  CHECK(client("CLIENT FOO") == "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n");
  CHECK(client("CLIENT CACHING yes") == "-ERR unknown subcommand 'CACHING'. Try CLIENT HELP.\r\n");
  CHECK(client("CLIENT ID x") == "-ERR wrong number of arguments for 'client|id' command\r\n");
  const std::string help = client("CLIENT HELP");
  CHECK(
      help.starts_with("*33\r\n+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
  CHECK(help.find("\r\n+NO-TOUCH ON|OFF\r\n+    ") != std::string::npos);
}

// --- PLIO ---

TEST_CASE("commands/plio: a login answers the proof and OK") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  lisp.session.authenticated = false;
  const std::string proof = std::to_string(plio_proof("cli1"));
  CHECK(proof == "3019");  // as picolisp-kv's own server answered
  CHECK(lisp("AUTH cli1 N:62011") == ">2\r\n$4\r\nauth\r\n:" + proof + "\r\n$7\r\nOK cli1\r\n");
  CHECK(lisp.session.authenticated);
  CHECK(lisp.session.name == "cli1");
  CHECK_FALSE(lisp.session.close_after_reply);
  CHECK(server.counters_.last_client == "cli1");
}

TEST_CASE("commands/plio: every wrong form of login is refused alike and hung up on (A3)") {
  const std::string refusal = ">2\r\n$5\r\nerror\r\n$6\r\nNOAUTH\r\n";
  const char* line = GENERATE("AUTH n N:1", "AUTH n 62011", "AUTH n", "AUTH", "AUTH n N:-62011",
                              "AUTH n N:99999999999999999999", "AUTH n Y:62011", "AUTH n NIL");
  CAPTURE(line);
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  lisp.session.authenticated = false;
  CHECK(lisp(line) == refusal);
  CHECK_FALSE(lisp.session.authenticated);
  CHECK(lisp.session.close_after_reply);
  CHECK(server.counters_.connections_received == 0);
}

TEST_CASE("commands/plio: logins from other machines are refused without looking at the hash") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  lisp.session.authenticated = false;
  lisp.session.local = false;
  CHECK(lisp("AUTH n N:62011").starts_with(">2\r\n$5\r\nerror"));
  CHECK_FALSE(lisp.session.authenticated);
  CHECK(lisp.session.failed_logins == 0);
}

TEST_CASE("commands/plio: a name that is no word keeps CLIENT LIST's lines apart (N10)") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  CHECK(lisp.run({"AUTH", Scalar("a b\nid=9"), Scalar("62011", Kind::number)})
            .ends_with("$11\r\nOK a b\nid=9\r\n"));
  CHECK(lisp.session.name == "a_b_id=9");
  CHECK(lisp.run({"AUTH", Scalar("", Kind::nil), Scalar("62011", Kind::number)})
            .ends_with("$3\r\nOK \r\n"));
  const std::string list(
      "\x01\x06"
      "a\x06"
      "b\x03",
      6);  // ("a" "b")
  CHECK(lisp.run({"AUTH", Scalar(list, Kind::list), Scalar("62011", Kind::number)})
            .ends_with("$5\r\nOK ab\r\n"));
}

TEST_CASE("commands/plio: CLIENT has ID, LIST and KILL ID, as picolisp-kv") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio), other(server);
  lisp.session.child_pid = 71;
  lisp.session.fd = 5;
  CHECK(lisp("CLIENT ID") == ":1\r\n");
  CHECK(lisp("client id") == ":1\r\n");
  CHECK(text_of(lisp("CLIENT LIST")) ==
        "id=2 pid=0 name=test addr=127.0.0.1 port=40312 fd=0\n"
        "id=1 pid=71 name=test addr=127.0.0.1 port=40312 fd=5");
  CHECK(lisp("CLIENT KILL ID 9") == ":0\r\n");
  CHECK(lisp("CLIENT KILL ID abc") == ":0\r\n");
  CHECK(lisp("CLIENT KILL ID") == ":0\r\n");
  CHECK(lisp("CLIENT KILL ADDR 127.0.0.1:40312") == ":0\r\n");
  CHECK(server.closed.empty());
  CHECK(lisp("CLIENT KILL id 2") == ":1\r\n");
  CHECK(server.closed == std::vector<std::uint64_t>{2});
  CHECK(lisp("CLIENT KILL ID 1") == ":1\r\n");
  CHECK(lisp.session.close_after_reply);
}

TEST_CASE("commands/plio: CLIENT knows nothing else, and says so in picolisp-kv's words") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  const char* unknown = "$29\r\nError: Unknown client command\r\n";
  CHECK(text_of(lisp("CLIENT GETNAME")) == "Error: Unknown client command");
  CHECK(lisp("CLIENT GETNAME") == unknown);
  CHECK(lisp("CLIENT") == unknown);
  CHECK(lisp("CLIENT NIL") == unknown);
}

TEST_CASE("commands/plio: IDENT answers, HELLO is for RESP") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  CHECK(lisp("IDENT") == "$7\r\nOK test\r\n");
  CHECK(text_of(lisp("HELLO 3")).starts_with("Error: HELLO"));
  CHECK(lisp.session.protocol == 2);
}

TEST_CASE("commands/client: nobody is paused and nothing is tracked, and it says so") {
  FakeServices server;
  FakeClient client(server);
  CHECK(client("CLIENT PAUSE 1000") ==
        "-ERR CLIENT PAUSE is not supported: kv pauses no clients\r\n");
  CHECK(client("client pause 1000 WRITE") == client("CLIENT PAUSE"));
  CHECK(client("CLIENT UNPAUSE") == kOk);
  CHECK(client("CLIENT TRACKING ON") ==
        "-ERR CLIENT TRACKING ON is not supported: kv does not tell clients what has changed\r\n");
  CHECK(client("CLIENT TRACKING on BCAST PREFIX a") == client("CLIENT TRACKING ON"));
  CHECK(client("CLIENT TRACKING OFF REDIRECT 1") == kOk);
  CHECK(client("CLIENT TRACKINGINFO") ==
        "%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n"
        "$8\r\nprefixes\r\n*0\r\n");
}
