// libkvclient against a server that lies: answers of another shape than the command has, and
// messages without end.
#include <catch2/catch.hpp>
#include <chrono>

#include "client_fake_server.hpp"
#include "libkv/client/connection_impl.hpp"

namespace {

using kv::client::Connection;
using kv::client::ErrorCode;
using kv::client::Options;
using kv_test::FakeServer;
using kv_test::opened;
using kv_test::Peer;

/// Answers each request with that.
FakeServer always(std::string_view answer) {
  return FakeServer([answer](Peer& peer, int) {
    peer.greet();
    while (!peer.request().empty()) peer.say(answer);
  });
}

/// Says so until the client has gone, and never what it was asked.
FakeServer talking(std::string_view message, std::chrono::milliseconds pause) {
  return FakeServer([message, pause](Peer& peer, int) {
    peer.greet();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(8);
    char byte = 0;
    while (std::chrono::steady_clock::now() < end && recv(peer.fd(), &byte, 1, MSG_DONTWAIT) != 0) {
      peer.say(message);
      std::this_thread::sleep_for(pause);
    }
  });
}

constexpr std::string_view pushed = ">1\r\n+x\r\n";

}  // namespace

TEST_CASE("client/hostile: N4: SCAN answered by a map of two, which is no page") {
  FakeServer server = always("%2\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n");
  Connection connection = opened(server.options());
  int seen = 0;
  const auto scanned = connection.scan("*", [&seen](const std::string&) { return ++seen > 0; });
  REQUIRE_FALSE(scanned.ok());
  CHECK(scanned.error().code == ErrorCode::protocol);
  CHECK(seen == 0);
}

TEST_CASE("client/hostile: N4: messages without end do not put off the end of the wait") {
  const auto pause = std::chrono::milliseconds(GENERATE(0, 50));
  FakeServer server = talking(pushed, pause);
  Options options = server.options();
  options.timeout = std::chrono::milliseconds(300);
  const auto start = std::chrono::steady_clock::now();
  SECTION("of a call") {
    Connection connection = opened(options);
    const auto reply = connection.get("k");
    REQUIRE_FALSE(reply.ok());
    CHECK(reply.error().code == ErrorCode::timeout);
  }
  SECTION("of a pipeline") {
    Connection connection = opened(options);
    const std::vector<std::vector<std::string>> requests{{"GET", "k"}, {"GET", "l"}};
    const auto replies = connection.run(requests);
    REQUIRE_FALSE(replies.ok());
    CHECK(replies.error().code == ErrorCode::timeout);
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(6));
}
