// libkvclient against a server that does what servers do at the worst moment: what is sent again,
// what is not, and what is said about it; what a hostile server can make the client do.
#include <catch2/catch.hpp>

#include "client_fake_server.hpp"
#include "libkv/client/connection_impl.hpp"
#include "tests/unit/allocations.hpp"

namespace {

using kv::client::Connection;
using kv::client::ErrorCode;
using kv::client::Options;
using kv::client::Value;
using kv_test::FakeServer;
using kv_test::opened;
using kv_test::Peer;

}  // namespace

TEST_CASE("client/connection: every kind of reply arrives as what it is") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
    peer.say(
        "*9\r\n$1\r\na\r\n:-7\r\n,1.5\r\n#t\r\n_\r\n*1\r\n+s\r\n%1\r\n$1\r\nk\r\n:2\r\n"
        "~1\r\n:1\r\n(123456789012345678901234567890\r\n");
  });
  Connection connection = opened(server.options());
  const auto reply = connection.call({"X"});
  REQUIRE(reply.ok());
  const Value::List& items = reply->list();
  REQUIRE(items.size() == 9);
  CHECK(items[0].text() == "a");
  CHECK(items[1].integer() == -7);
  CHECK(items[2].decimal() == 1.5);
  CHECK(items[3].boolean());
  CHECK(items[4].is_nil());
  CHECK(items[5].list()[0].form() == kv::client::Form::status);
  REQUIRE(items[6].find("k") != nullptr);
  CHECK(items[6].find("k")->integer() == 2);
  CHECK(items[6].find("no") == nullptr);
  CHECK(items[7].form() == kv::client::Form::set);
  CHECK(items[8].text() == "123456789012345678901234567890");
}

TEST_CASE("client/connection: an error reply is an Error, a refused password is denied") {
  FakeServer server([](Peer& peer, int n) {
    if (n == 1) {
      peer.request();
      peer.say("-WRONGPASS invalid\r\n");
      return;
    }
    peer.greet();
    peer.request();
    peer.say("-ERR no such thing\r\n");
  });
  {
    Connection connection = opened(server.options());
    const auto reply = connection.call({"X"});
    REQUIRE_FALSE(reply.ok());
    CHECK(reply.error().code == ErrorCode::reply);
    CHECK(reply.error().message == "ERR no such thing");
  }
  Options options = server.options();
  options.password = "wrong";
  const auto refused = Connection::open(options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::denied);
  CHECK(refused.error().message.find("wrong") == std::string::npos);
}

TEST_CASE("client/connection: a write that was sent is never sent again, and that is said") {
  std::atomic<int> sets{0};
  FakeServer server([&](Peer& peer, int) {
    peer.greet();
    if (peer.request().starts_with("SET")) ++sets;  // carried out or not: the client cannot know
  });
  Connection connection = opened(server.options());
  const auto reply = connection.call({"SET", "k", "v"});
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == ErrorCode::fate_unknown);
  CHECK(reply.error().message.find("SET was carried out is unknown") != std::string::npos);
  CHECK(reply.error().message.find("not sent again") != std::string::npos);
  CHECK(sets == 1);
  CHECK(server.connections() == 1);
}

TEST_CASE("client/connection: an unknown command counts as a write") {
  FakeServer server([&](Peer& peer, int) {
    peer.greet();
    peer.request();
  });
  Connection connection = opened(server.options());
  const auto reply = connection.call({"FROBNICATE", "k"});
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == ErrorCode::fate_unknown);
  CHECK(server.connections() == 1);
}

TEST_CASE("client/connection: what only reads is known from the command table") {
  const auto reads = [](std::initializer_list<std::string_view> words) {
    return kv::client::only_reads(kv::client::Arguments(words.begin(), words.size()));
  };
  for (const char* word : {"GET", "hgetall", "LRANGE", "TYPE", "SCAN", "ping", "INFO"}) {
    INFO(word);
    CHECK(reads({word, "x"}));
  }
  for (const char* word :
       {"SET", "LPOP", "GETSET", "SAVE", "CONFIG", "DEBUG", "FLUSHALL", "EVAL"}) {
    INFO(word);
    CHECK_FALSE(reads({word, "x"}));
  }
}

TEST_CASE("client/connection: a read is repeated once over a new connection") {
  FakeServer server([](Peer& peer, int n) {
    peer.greet();
    const std::string request = peer.request();
    if (n > 0 && request == "GET k") peer.say("$1\r\nv\r\n");
  });
  Connection connection = opened(server.options());
  const auto value = connection.get("k");
  REQUIRE(value.ok());
  CHECK(*value == "v");
  CHECK(connection.reconnects() == 1);
}

TEST_CASE("client/connection: a read that fails twice is an error, not a loop") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
  });
  Connection connection = opened(server.options());
  const auto value = connection.get("k");
  REQUIRE_FALSE(value.ok());
  CHECK(value.error().code == ErrorCode::connect);
  CHECK(server.connections() == 2);
}

TEST_CASE("client/connection: a write not wholly handed over is sent again") {
  // The server hangs up while most of the value is still on the client's side: it cannot have
  // been carried out.
  std::atomic<std::size_t> second_bytes{0};
  FakeServer server([&](Peer& peer, int n) {
    peer.greet();
    if (n == 0) {
      std::array<char, 1000> some;
      recv(peer.fd(), some.data(), some.size(), 0);
      const linger hard{1, 0};
      setsockopt(peer.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      return;
    }
    peer.request();
    second_bytes = peer.received();
    peer.say("+OK\r\n");
  });
  Connection connection = opened(server.options());
  const std::string large(64 << 20, 'x');
  const auto done = connection.set("k", large);
  REQUIRE(done.ok());
  CHECK(second_bytes > large.size());
  CHECK(connection.reconnects() == 1);
}

TEST_CASE(
    "client/connection: a connection the server closed while idle is noticed before a write") {
  std::atomic<int> sets{0};
  FakeServer server([&](Peer& peer, int n) {
    peer.greet();
    if (peer.request().starts_with("SET")) ++sets;
    peer.say("+OK\r\n");
    if (n > 0) peer.request();
  });
  Connection connection = opened(server.options());
  REQUIRE(connection.set("a", "1").ok());
  // The server has hung up by now or soon: wait for its end of file to be there.
  pollfd item{connection.descriptor(), POLLIN, 0};
  REQUIRE(poll(&item, 1, 5000) == 1);
  REQUIRE(connection.set("b", "2").ok());
  CHECK(sets == 2);
  CHECK(connection.reconnects() == 1);
}

TEST_CASE("client/connection: name, database and password are set up again") {
  std::vector<std::string> second;
  FakeServer server([&](Peer& peer, int n) {
    const auto answer = [&] {
      const std::string request = peer.request();
      if (n == 1) second.push_back(request);
      peer.say(request.starts_with("GET") ? "$1\r\nv\r\n" : "+OK\r\n");
    };
    for (int i = 0; i < (n == 0 ? 2 : 3); ++i) answer();
  });
  Options options = server.options();
  options.password = "secret";
  options.name = "me";
  Connection connection = opened(options);
  REQUIRE(connection.call({"SELECT", "3"}).ok());
  REQUIRE(connection.get("k").ok());
  connection.close();
  CHECK(second ==
        std::vector<std::string>{"HELLO 3 AUTH default secret SETNAME me", "SELECT 3", "GET k"});
}

TEST_CASE("client/connection: after RESET it logs in again, and has chosen nothing") {
  std::vector<std::string> second;
  FakeServer server([&](Peer& peer, int n) {
    for (int i = 0; i < (n == 0 ? 3 : 2); ++i) {
      const std::string request = peer.request();
      if (n == 1) second.push_back(request);
      peer.say(request.starts_with("GET") ? "$1\r\nv\r\n" : "+OK\r\n");
    }
  });
  Options options = server.options();
  options.password = "secret";
  options.name = "me";
  options.database = 3;
  Connection connection = opened(options);
  REQUIRE(connection.call({"RESET"}).ok());
  REQUIRE(connection.get("k").ok());
  CHECK(second == std::vector<std::string>{"HELLO 3 AUTH default secret", "GET k"});
}

TEST_CASE("client/connection: nothing is repeated inside a transaction") {
  FakeServer server([](Peer& peer, int n) {
    peer.greet();
    peer.request();
    peer.say("+OK\r\n");
    if (n > 0) peer.request();
  });
  Connection connection = opened(server.options());
  REQUIRE(connection.call({"MULTI"}).ok());
  pollfd item{connection.descriptor(), POLLIN, 0};
  REQUIRE(poll(&item, 1, 5000) == 1);
  const auto reply = connection.get("k");
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == ErrorCode::connect);
  CHECK(reply.error().message.find("transaction") != std::string::npos);
  CHECK(server.connections() == 1);
}

TEST_CASE("client/connection: without reconnect a lost connection stays lost") {
  FakeServer server([](Peer& peer, int) { peer.greet(); });
  Options options = server.options();
  options.reconnect = false;
  Connection connection = opened(options);
  CHECK_FALSE(connection.get("k").ok());
  const auto again = connection.get("k");
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().message == "not connected");
  CHECK(server.connections() == 1);
}

TEST_CASE("client/connection: no answer in time is a timeout, and its late reply goes to nobody") {
  FakeServer server([](Peer& peer, int n) {
    peer.greet();
    const std::string request = peer.request();
    if (n == 0) {
      peer.request();  // until the client gives up
      return;
    }
    peer.say("$3\r\n" + request.substr(4) + "\r\n");
  });
  Options options = server.options();
  options.timeout = std::chrono::milliseconds(100);
  Connection connection = opened(options);
  const auto late = connection.call({"SET", "one", "1"});
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().code == ErrorCode::timeout);
  CHECK(late.error().message.find("may still be carried out") != std::string::npos);
  connection.set_timeout(std::chrono::seconds(5));
  const auto next = connection.get("two");
  REQUIRE(next.ok());
  CHECK(*next == "two");
}

TEST_CASE("client/connection: cancel from another thread ends a call") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
    peer.request();
  });
  Options options = server.options();
  options.timeout = std::chrono::milliseconds(0);
  Connection connection = opened(options);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    connection.cancel();
  });
  const auto reply = connection.call({"BLPOP", "q", "0"});
  other.join();
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == ErrorCode::timeout);
}

TEST_CASE("client/connection: a pipeline keeps order, and errors in their places") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    for (int i = 0; i < 20000; ++i) {
      const std::string request = peer.request();
      if (request.empty()) return;
      if (i == 7) peer.say("-ERR seven\r\n");
      else peer.say(":" + request.substr(5) + "\r\n");
    }
  });
  Connection connection = opened(server.options());
  std::vector<std::vector<std::string>> requests;
  for (int i = 0; i < 20000; ++i) requests.push_back({"ECHO", std::to_string(i)});
  const auto replies = connection.run(requests);
  REQUIRE(replies.ok());
  REQUIRE(replies->size() == requests.size());
  CHECK((*replies)[7].is_error());
  bool ordered = true;
  for (int i = 8; i < 20000; ++i) {
    ordered = ordered && (*replies)[static_cast<std::size_t>(i)].integer() == i;
  }
  CHECK(ordered);
}

TEST_CASE("client/connection: a pipeline that is cut says what is known of each request") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    for (int i = 0; i < 3; ++i) peer.request();
    peer.say("+OK\r\n+OK\r\n");
    peer.request();
  });
  Connection connection = opened(server.options());
  const std::vector<std::vector<std::string>> requests(4, {"SET", "k", "v"});
  const auto replies = connection.run(requests);
  REQUIRE_FALSE(replies.ok());
  CHECK(replies.error().code == ErrorCode::fate_unknown);
  CHECK(replies.error().message.find("2 of 4 requests were answered") != std::string::npos);
  CHECK(replies.error().message.find("the next 2 may or may not") != std::string::npos);
  CHECK(server.connections() == 1);
}

TEST_CASE("client/connection: a pool lends each connection to one thread at a time") {
  FakeServer server([](Peer&, int) {});
  kv::client::Pool broken(server.options(), 1);
  CHECK_FALSE(broken.call({"PING"}).ok());
  CHECK(broken.open_connections() == 0);

  // The fake server answers one connection after the other, so one is all this pool may open.
  FakeServer counting([](Peer& peer, int) {
    peer.greet();
    for (int n = 1; !peer.request().empty(); ++n) peer.say(":" + std::to_string(n) + "\r\n");
  });
  kv::client::Pool pool(counting.options(), 1);
  std::vector<std::thread> threads;
  std::atomic<int> sum{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        auto lease = pool.lease();
        if (lease) sum += static_cast<int>((*lease)->incrby("n").ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sum == 100);
  const auto last = pool.call({"INCRBY", "n", "1"});
  REQUIRE(last.ok());
  CHECK(last->integer() == 101);
  CHECK(counting.connections() == 1);
  {
    auto lease = pool.lease();
    REQUIRE(lease.ok());
    REQUIRE((*lease)->call({"SELECT", "1"}).ok());
  }
  // Its database is not what the next borrower expects.
  CHECK(pool.open_connections() == 0);
}

TEST_CASE("client/connection: pushed messages are kept apart from replies") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
    peer.say(">2\r\n$4\r\nnews\r\n:1\r\n$1\r\nv\r\n>2\r\n$4\r\nnews\r\n:2\r\n");
    peer.request();
  });
  Connection connection = opened(server.options());
  const auto value = connection.get("k");
  REQUIRE(value.ok());
  CHECK(*value == "v");
  for (int i = 1; i <= 2; ++i) {
    const auto message = connection.next_push(std::chrono::seconds(5));
    REQUIRE(message.ok());
    REQUIRE(message->has_value());
    CHECK((*message)->list()[1].integer() == i);
  }
  const auto none = connection.next_push(std::chrono::milliseconds(10));
  REQUIRE(none.ok());
  CHECK_FALSE(none->has_value());
}

TEST_CASE("client/connection: N4: what a hostile server sends is refused, not believed") {
  const std::string bytes = GENERATE(as<std::string>{},
                                     "*2147483647\r\n",                  // elements that never come
                                     "$9223372036854775807\r\n",         // bytes that never come
                                     "$-2\r\n",                          //
                                     "?what\r\n",                        // no such type
                                     ":12a\r\n",                         //
                                     "$3\r\nabcde",                      // no end where it must be
                                     "HTTP/1.1 400 Bad Request\r\n\r\n"  //
  );
  FakeServer server([&](Peer& peer, int) {
    peer.greet();
    peer.request();
    peer.say(bytes);
    for (int i = 0; i < 100'000; ++i) peer.say("*1\r\n");  // and nesting without end
  });
  Options options = server.options();
  options.reply_bytes_max = 1 << 20;
  Connection connection = opened(options);
  const auto reply = connection.get("k");
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == ErrorCode::protocol);
  CHECK_FALSE(connection.connected());
}

TEST_CASE("client/connection: N4: a reply over the limit ends the call") {
  FakeServer server([&](Peer& peer, int) {
    peer.greet();
    peer.request();
    peer.say("*1000000\r\n");
    for (int i = 0; i < 1'000'000; ++i) peer.say("_\r\n");
  });
  Options options = server.options();
  options.reply_bytes_max = 1 << 20;
  Connection connection = opened(options);
  const auto reply = connection.call({"LRANGE", "l", "0", "-1"});
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == ErrorCode::protocol);
  CHECK(reply.error().message ==
        "the server's reply is larger than the limit: a list of 1000000 elements, at most 16384 "
        "elements are taken; ask for less at a time or, in a program, raise reply-bytes-max");
  CHECK_FALSE(connection.connected());
}

TEST_CASE("client/connection: N4: more replies than requests end a pipeline") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
    peer.say("+OK\r\n+OK\r\n+OK\r\n");
  });
  Connection connection = opened(server.options());
  const std::vector<std::vector<std::string>> requests{{"SET", "k", "v"}};
  const auto replies = connection.run(requests);
  REQUIRE_FALSE(replies.ok());
  CHECK(replies.error().code == ErrorCode::protocol);
  CHECK_FALSE(connection.connected());
}

TEST_CASE("client/connection: what cannot be sent is refused before anything is") {
  std::atomic<bool> got_something{false};
  FakeServer server([&](Peer& peer, int) {
    peer.greet();
    if (!peer.request().empty()) got_something = true;
  });
  Connection connection = opened(server.options());
  CHECK(connection.call({}).error().code == ErrorCode::usage);
  CHECK(connection.call({""}).error().code == ErrorCode::usage);
  CHECK(connection.call({"CLIENT", "REPLY", "OFF"}).error().code == ErrorCode::usage);
  CHECK(connection.call({"MONITOR"}).error().code == ErrorCode::usage);
  Options named = server.options();
  named.name = "two words";
  CHECK(Connection::open(named).error().code == ErrorCode::usage);
  connection.close();
  CHECK_FALSE(got_something);
}

TEST_CASE("client/connection: quick start sends the command along, but never past a login") {
  std::vector<std::string> seen;
  FakeServer server([&](Peer& peer, int) {
    seen.push_back(peer.request());
    seen.push_back(peer.request());  // before any answer
    peer.say("-WRONGPASS no\r\n-NOAUTH no\r\n");
  });
  Options options = server.options();
  options.quick_start = true;
  options.password = "p";
  Connection connection = opened(options);
  const auto reply = connection.call({"SET", "k", "v"});
  REQUIRE_FALSE(reply.ok());
  CHECK(reply.error().code == ErrorCode::denied);
  CHECK(reply.error().message == "WRONGPASS no");
  CHECK(seen.size() == 2);
}

TEST_CASE("client/connection: a large first command waits for the login") {
  FakeServer server([&](Peer& peer, int) {
    peer.request();
    pollfd item{peer.fd(), POLLIN, 0};
    const bool early = poll(&item, 1, 100) > 0;
    peer.say("%0\r\n");
    peer.request();
    peer.say(early ? "-ERR came early\r\n" : "+OK\r\n");
  });
  Options options = server.options();
  options.quick_start = true;
  Connection connection = opened(options);
  CHECK(connection.set("k", std::string(20'000, 'x')).ok());
}

TEST_CASE("client/connection: the longest time to wait is no time that is over at once") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    peer.say("+PONG\r\n>1\r\n+news\r\n");
    peer.request();
  });
  constexpr auto longest = std::chrono::milliseconds::max();
  Options options = server.options();
  options.timeout = options.connect_timeout = longest;
  Connection connection = opened(options);
  CHECK(connection.ping().ok());
  const auto message = connection.next_push(longest);
  REQUIRE(message.ok());
  CHECK(message->has_value());
}

TEST_CASE("client/connection: what HELLO said is said again, and is not the next borrower's") {
  std::vector<std::string> seen;
  FakeServer server([&](Peer& peer, int n) {
    for (std::string request = peer.request(); !request.empty(); request = peer.request()) {
      if (n == 1) seen.push_back(request);
      peer.say("+OK\r\n");
    }
  });
  {
    Connection connection = opened(server.options());
    REQUIRE(connection.call({"HELLO", "3", "AUTH", "ann", "pw", "SETNAME", "me"}).ok());
    connection.close();
    REQUIRE(connection.ping().ok());
  }
  kv::client::Pool pool(server.options(), 1);
  REQUIRE((*pool.lease())->call({"HELLO", "2"}).ok());
  CHECK(pool.open_connections() == 0);
  CHECK(seen == std::vector<std::string>{"HELLO 3 AUTH ann pw SETNAME me", "PING"});
}

TEST_CASE("client/connection: a transaction that EXEC refuses has ended") {
  FakeServer server([](Peer& peer, int n) {
    peer.greet();
    const std::vector<std::string> replies{"+OK\r\n", "-EXECABORT Transaction discarded\r\n"};
    for (std::size_t i = 0; n == 0 && i < replies.size(); ++i) {
      peer.request();
      peer.say(replies[i]);
    }
    while (n > 0 && !peer.request().empty()) peer.say("$1\r\nv\r\n");
  });
  Connection connection = opened(server.options());
  REQUIRE(connection.call({"MULTI"}).ok());
  REQUIRE_FALSE(connection.call({"EXEC"}).ok());
  pollfd item{connection.descriptor(), POLLIN, 0};
  REQUIRE(poll(&item, 1, 5000) == 1);
  CHECK(connection.get("k").ok());
}

TEST_CASE("client/connection: a pool's connection comes back with the pool's timeout") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    while (!peer.request().empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      peer.say("+PONG\r\n");
    }
  });
  kv::client::Pool pool(server.options(), 1);
  (*pool.lease())->set_timeout(std::chrono::milliseconds(20));
  CHECK(pool.call({"PING"}).ok());
  CHECK(server.connections() == 1);
}

TEST_CASE("client/connection: a pool that found no memory has its place back") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    while (!peer.request().empty()) peer.say("+PONG\r\n");
  });
  Options options = server.options();
  options.timeout = std::chrono::milliseconds(500);
  kv::client::Pool pool(options, 1);
  bool thrown = false;
  try {
    const kv::test::AllocationLimit none(0);
    (void)pool.lease();
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  CHECK(thrown);
  CHECK(pool.open_connections() == 0);
  CHECK(pool.call({"PING"}).ok());
}
