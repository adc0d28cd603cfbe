// Connections that change hands: lent by a pool, moved from one object to another, or opened again
// as what they were.
#include <catch2/catch.hpp>

#include "client_fake_server.hpp"

using kv::client::Connection;
using kv_test::FakeServer;
using kv_test::Peer;

TEST_CASE("client/pool: a connection may be moved out of its lease, which gives nothing back") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    while (!peer.request().empty()) peer.say("+PONG\r\n");
  });
  kv::client::Pool pool(server.options(), 1);
  {
    auto lease = pool.lease();
    REQUIRE(lease.ok());
    Connection mine = std::move(**lease);
    CHECK(mine.ping().ok());
    // What is left is not connected, and calls say why.
    Connection& left = **lease;
    CHECK_FALSE(left.connected());
    CHECK(left.descriptor() == -1);
    left.set_timeout(std::chrono::seconds(1));
    left.cancel();
    left.close();
    CHECK(left.ping().error().code == kv::client::ErrorCode::usage);
    CHECK(left.run({}).error().message == "this connection was moved to another object");
    CHECK_FALSE(left.next_push(std::chrono::milliseconds(1)).ok());
  }
  CHECK(pool.open_connections() == 0);
  CHECK(pool.call({"PING"}).ok());
}

TEST_CASE("client/pool: a SELECT that EXEC has carried out holds for the next connection") {
  std::vector<std::string> second;
  FakeServer server([&](Peer& peer, int n) {
    peer.greet();
    for (std::string request = peer.request(); !request.empty(); request = peer.request()) {
      if (n > 0) second.push_back(request);
      if (request == "MULTI" || request == "DISCARD") peer.say("+OK\r\n");
      else if (request == "EXEC") return peer.say("*3\r\n+PONG\r\n+OK\r\n-ERR out of range\r\n");
      else peer.say(n == 0 ? "+QUEUED\r\n" : "+OK\r\n");
    }
  });
  auto opened = Connection::open(server.options());
  REQUIRE(opened.ok());
  Connection& connection = *opened;
  for (const std::string_view end : {"DISCARD", "EXEC"}) {
    REQUIRE(connection.call({"MULTI"}).ok());
    REQUIRE(connection.call({"PING"}).ok());
    REQUIRE(connection.call({"SELECT", "3"}).ok());
    REQUIRE(connection.call({"SELECT", "99"}).ok());
    REQUIRE(connection.call({end}).ok());
  }
  pollfd item{connection.descriptor(), POLLIN, 0};
  REQUIRE(poll(&item, 1, 5000) == 1);
  REQUIRE(connection.call({"SET", "k", "v"}).ok());
  CHECK(second == std::vector<std::string>{"SELECT 3", "SET k v"});
}

TEST_CASE("client/pool: a pool's connection that selected in a transaction is not lent on") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    for (std::string request = peer.request(); !request.empty(); request = peer.request()) {
      peer.say(request == "SELECT 3" ? "+QUEUED\r\n"
               : request == "EXEC"   ? "*1\r\n+OK\r\n"
                                     : "+OK\r\n");
    }
  });
  kv::client::Pool pool(server.options(), 1);
  {
    auto lease = pool.lease();
    REQUIRE((*lease)->call({"MULTI"}).ok());
    REQUIRE((*lease)->call({"SELECT", "3"}).ok());
    REQUIRE((*lease)->call({"EXEC"}).ok());
  }
  CHECK(pool.call({"PING"}).ok());
  CHECK(server.connections() == 2);
}
