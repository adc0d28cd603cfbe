// libkvclient and messages: who subscribes waits for them, asks on meanwhile, and is told of a
// loss.
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "client_fake_server.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/kv/client.h"

namespace {

using kv::client::Connection;
using kv::client::ErrorCode;
using kv::client::Options;
using kv::client::Pool;
using kv_test::FakeServer;
using kv_test::opened;
using kv_test::Peer;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

std::string pushed(std::string_view what, std::string_view channel, std::string_view rest) {
  return ">3\r\n" + bulk(what) + bulk(channel) + std::string(rest);
}

/// Says yes to one SUBSCRIBE of two channels, and three messages: at once, later, and behind a GET.
void news_server(Peer& peer, int) {
  peer.greet();
  if (peer.request() != "SUBSCRIBE a b") return;
  peer.say(pushed("subscribe", "a", ":1\r\n") + pushed("subscribe", "b", ":2\r\n") +
           pushed("message", "a", bulk("1")));
  std::this_thread::sleep_for(milliseconds(50));
  peer.say(pushed("message", "b", bulk("2")));
  if (peer.request() != "GET k") return;
  peer.say(pushed("message", "a", bulk("3")) + bulk("v"));
}

TEST_CASE("client/pubsub: messages are waited for, and anything may be asked meanwhile") {
  FakeServer server(news_server);
  Connection connection = opened(server.options());
  const auto first = connection.call({"SUBSCRIBE", "a", "b"});
  REQUIRE(first.ok());
  CHECK(first->list()[0].text() == "subscribe");
  const auto next = [&] {
    const auto message = connection.next_push(seconds(5));
    REQUIRE((message.ok() && message->has_value()));
    const auto& list = (*message)->list();
    return list[0].text() + " " + list[1].text() + " " + list[2].to_text();
  };
  CHECK(next() == "subscribe b 2");
  CHECK(next() == "message a 1");
  CHECK(next() == "message b 2");
  const auto none = connection.next_push(milliseconds(20));
  CHECK((none.ok() && !none->has_value()));
  const auto value = connection.get("k");
  REQUIRE(value.ok());
  CHECK(*value == "v");
  CHECK(next() == "message a 3");
  const auto lost = connection.next_push(seconds(5));
  REQUIRE_FALSE(lost.ok());
  CHECK(lost.error().code == ErrorCode::connect);
}

TEST_CASE("client/pubsub: what is lost with a connection is told, not opened again in silence") {
  FakeServer server([](Peer& peer, int n) {
    peer.greet();
    peer.request();
    if (n == 0) return peer.say(pushed("subscribe", "a", ":1\r\n"));
    peer.say(bulk("v"));
  });
  Connection connection = opened(server.options());
  REQUIRE(connection.call({"SUBSCRIBE", "a"}).ok());
  std::this_thread::sleep_for(milliseconds(100));
  const auto asked = connection.get("k");
  REQUIRE_FALSE(asked.ok());
  CHECK(asked.error().code == ErrorCode::connect);
  CHECK(asked.error().message == "the connection was lost, and its subscriptions with it");
  CHECK(server.connections() == 1);
  CHECK(connection.get("k").ok());
  CHECK(connection.reconnects() == 1);
}

TEST_CASE("client/pubsub: each call gets its own answer, however many names were subscribed to") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
    peer.say(pushed("subscribe", "a", ":1\r\n") + pushed("subscribe", "b", ":2\r\n"));
    peer.request();
    peer.say("-ERR too many subscriptions\r\n");
    peer.request();
    peer.say(bulk("v"));
  });
  Connection connection = opened(server.options());
  REQUIRE(connection.call({"SUBSCRIBE", "a", "b"}).ok());
  CHECK_FALSE(connection.call({"SUBSCRIBE", "c"}).ok());
  const auto value = connection.get("k");
  REQUIRE(value.ok());
  CHECK(*value == "v");
  const auto message = connection.next_push(seconds(5));
  REQUIRE((message.ok() && message->has_value()));
  CHECK((*message)->list()[1].text() == "b");
}

TEST_CASE("client/pubsub: who listens to nothing any more is reconnected as others are") {
  const bool unsubscribes = GENERATE(true, false);
  FakeServer server([=](Peer& peer, int n) {
    peer.greet();
    if (peer.request() == "GET k") return peer.say(bulk("v"));
    if (n > 0) return;
    if (!unsubscribes) return peer.say("+QUEUED\r\n");
    peer.say(pushed("ssubscribe", "a", ":1\r\n") + pushed("ssubscribe", "b", ":2\r\n"));
    peer.request();
    peer.say(pushed("sunsubscribe", "a", ":1\r\n") + pushed("sunsubscribe", "b", ":0\r\n"));
  });
  Connection connection = opened(server.options());
  REQUIRE(connection.call({"SSUBSCRIBE", "a", "b"}).ok());
  if (unsubscribes) REQUIRE(connection.call({"SUNSUBSCRIBE", "a", "b"}).ok());
  std::this_thread::sleep_for(milliseconds(100));
  CHECK(connection.get("k").ok());
  CHECK(connection.reconnects() == 1);
}

TEST_CASE("client/pubsub: a pool keeps no connection that has subscribed") {
  FakeServer server(news_server);
  Pool pool(server.options(), 1);
  {
    auto lease = pool.lease();
    REQUIRE(lease.ok());
    REQUIRE((*lease)->call({"SUBSCRIBE", "a", "b"}).ok());
  }
  CHECK(pool.open_connections() == 0);
}

TEST_CASE("client/pubsub: the same in C") {
  FakeServer server(news_server);
  kv_options* const options = kv_options_new();
  kv_options_set(options, "host", "127.0.0.1");
  kv_options_set(options, "port", std::to_string(server.options().port).c_str());
  kv_connection* const connection = kv_connect(options);
  kv_options_free(options);
  kv_reply* reply = kv_command(connection, "SUBSCRIBE", "a", "b", static_cast<char*>(nullptr));
  REQUIRE(reply != nullptr);
  kv_reply_free(reply);
  for (const char* const text : {"2", "1", "2"}) {
    reply = kv_next_push(connection, 5000);
    REQUIRE(kv_reply_count(reply) == 3);
    const kv_reply* const last = kv_reply_item(reply, 2);
    if (kv_reply_kind(last) == KV_TEXT) CHECK(kv_reply_text(last, nullptr) == std::string(text));
    kv_reply_free(reply);
  }
  CHECK(kv_next_push(connection, 20) == nullptr);
  CHECK(kv_error_code(connection) == KV_TIMEOUT);
  kv_close(connection);
}

}  // namespace
