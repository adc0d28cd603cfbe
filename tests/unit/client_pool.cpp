// Connections that change hands: lent by a pool, or moved from one object to another.
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
