// libkvclient and commands that wait: how long it waits for a server that was told to.
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client_fake_server.hpp"
#include "libkv/client/connection_impl.hpp"

namespace {

using kv::client::Connection;
using kv::client::ErrorCode;
using kv::client::Options;
using kv_test::FakeServer;
using kv_test::opened;
using kv_test::Peer;
using std::chrono::milliseconds;

}  // namespace

TEST_CASE("client/waiting: a server that is told to wait may take that much longer") {
  FakeServer server([](Peer& peer, int n) {
    peer.greet();
    peer.request();
    if (n == 1) peer.request();
    if (n == 2) std::this_thread::sleep_for(milliseconds(1500));
    std::this_thread::sleep_for(milliseconds(400));
    peer.say("*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
    if (n == 1) peer.say("+OK\r\n");
  });
  Options options = server.options();
  options.timeout = milliseconds(100);
  Connection first = opened(options);
  CHECK(first.call({"BLPOP", "k", "0.9"}).ok());
  Connection second = opened(options);
  const std::vector<std::vector<std::string>> requests{{"BLMPOP", "0", "1", "k", "LEFT"},
                                                       {"SET", "a", "1"}};
  const auto replies = second.run(requests);
  REQUIRE(replies.ok());
  CHECK(replies->size() == 2);
  Connection third = opened(options);
  const auto late = third.call({"BRPOP", "k", "0.2"});
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().code == ErrorCode::timeout);
}

TEST_CASE("client/waiting: how long the server shall wait is read from the request") {
  const auto waits = [](std::vector<std::string_view> words) {
    return kv::client::time_to_wait(words);
  };
  CHECK(waits({"BLPOP", "a", "b", "1.5"}) == milliseconds(1501));
  CHECK(waits({"blmpop", "2", "1", "k", "LEFT"}) == milliseconds(2001));
  CHECK(waits({"BRPOP", "a", "0"}) == milliseconds::max());
  CHECK(waits({"BLMOVE", "a", "b", "LEFT", "LEFT", "1e300"}) == milliseconds::max());
  CHECK(waits({"BLPOP", "a", "soon"}) == milliseconds(0));
  CHECK(waits({"BLPOP", "a", "-1"}) == milliseconds(0));
  CHECK(waits({"LPOP", "a", "5"}) == milliseconds(0));
  CHECK(waits({"BGSAVE"}) == milliseconds(0));
}

TEST_CASE("client/waiting: blpop and brpop give the element, in the server's seconds") {
  std::vector<std::string> asked;
  FakeServer server([&](Peer& peer, int) {
    peer.greet();
    for (const char* answer : {"*2\r\n$1\r\nk\r\n$1\r\nv\r\n", "_\r\n", "*1\r\n$1\r\nk\r\n",
                               "-ERR timeout is negative\r\n"}) {
      asked.push_back(peer.request());
      peer.say(answer);
    }
  });
  Connection connection = opened(server.options());
  const auto got = connection.blpop("k", milliseconds(0));
  REQUIRE(got.ok());
  CHECK(*got == "v");
  const auto none = connection.brpop("k", milliseconds(1050));
  REQUIRE(none.ok());
  CHECK_FALSE(none->has_value());
  CHECK(connection.blpop("k", milliseconds(61'007)).error().code == ErrorCode::protocol);
  CHECK(connection.blpop("k", milliseconds(-1005)).error().code == ErrorCode::reply);
  CHECK(asked == std::vector<std::string>{"BLPOP k 0.000", "BRPOP k 1.050", "BLPOP k 61.007",
                                          "BLPOP k -1.005"});
}
