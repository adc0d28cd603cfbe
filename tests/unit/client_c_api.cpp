// The C library's own duties: wrong arguments are refused with a sentence, where they are given.
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "client_fake_server.hpp"
#include "libkv/client/kv/client.h"
#include "tests/unit/allocations.hpp"

namespace {

using kv::client::Options;
using kv_test::FakeServer;
using kv_test::Peer;

struct Handle {
  explicit Handle(const Options& where) {
    kv_options* options = kv_options_new();
    kv_options_set(options, "host", where.host.c_str());
    kv_options_set(options, "port", std::to_string(where.port).c_str());
    connection = kv_connect(options);
    kv_options_free(options);
  }
  ~Handle() { kv_close(connection); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  std::string message() const { return kv_error_message(connection); }

  kv_connection* connection;
};

/// A server that serves one client and then takes nobody, so that connecting to it does not end.
class Silent {
 public:
  Silent() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* where = reinterpret_cast<sockaddr*>(&address);
    bind(listener_, where, size);
    listen(listener_, 0);
    getsockname(listener_, where, &size);
    options_.host = "127.0.0.1";
    options_.port = ntohs(address.sin_port);
    first_ = std::thread([this, address] {
      Peer(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)).greet();
      for (const int fd : callers_) {
        connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
      }
    });
  }
  ~Silent() {
    for (const int fd : callers_) close(fd);
    close(listener_);
  }
  void wait() { first_.join(); }
  const Options& options() const { return options_; }

 private:
  static int new_socket(int flags) {
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  }

  Options options_;
  const int listener_ = new_socket(0);
  const std::array<int, 3> callers_{new_socket(SOCK_NONBLOCK), new_socket(SOCK_NONBLOCK),
                                    new_socket(SOCK_NONBLOCK)};  // more than may wait there
  std::thread first_;
};

}  // namespace

TEST_CASE("client/c: kv_queue refuses what cannot be sent, and keeps the rest") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    while (!peer.request().empty()) peer.say("+OK\r\n");
  });
  const Handle handle(server.options());
  const char* words[] = {"PING"};
  CHECK(kv_queue(handle.connection, 1, words, nullptr) == KV_OK);
  CHECK(kv_queue(handle.connection, 0, words, nullptr) == KV_USAGE);
  CHECK(handle.message() == "no command given");
  for (const char* word : {"MONITOR", "SUBSCRIBE"}) {
    CHECK(kv_queue(handle.connection, 1, &word, nullptr) == KV_USAGE);
  }
  CHECK(kv_queue(handle.connection, 1, words, nullptr) == KV_OK);
  kv_reply* replies = kv_run(handle.connection);
  CHECK(kv_reply_count(replies) == 2);
  kv_reply_free(replies);
}

TEST_CASE("client/c: a word that is NULL is an error and no crash") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    CHECK(peer.request() == "ECHO ");
    peer.say("$0\r\n\r\n");
  });
  const Handle handle(server.options());
  const char* words[] = {"ECHO", nullptr};
  CHECK(kv_call(handle.connection, 2, words, nullptr) == nullptr);
  CHECK(kv_error_code(handle.connection) == KV_USAGE);
  CHECK(handle.message() == "argument 1 is NULL");
  CHECK(kv_call(handle.connection, 1, nullptr, nullptr) == nullptr);
  CHECK(kv_error_code(handle.connection) == KV_USAGE);
  CHECK(kv_queue(handle.connection, 2, words, nullptr) == KV_USAGE);
  const size_t some[] = {4, 1};
  CHECK(kv_call(handle.connection, 2, words, some) == nullptr);
  CHECK(handle.message() == "argument 1 is NULL");
  const size_t none[] = {4, 0};  // no bytes at no place: an empty text
  kv_reply* reply = kv_call(handle.connection, 2, words, none);
  CHECK(kv_reply_kind(reply) == KV_TEXT);
  kv_reply_free(reply);
}

TEST_CASE("client/c: kv_options_error says what is wrong with a value") {
  kv_options* options = kv_options_new();
  const auto refused = [options](const char* name, const char* value, std::string_view sentence) {
    CHECK(kv_options_set(options, name, value) == KV_USAGE);
    INFO(kv_options_error(options));
    CHECK(std::string(kv_options_error(options)).find(sentence) != std::string::npos);
  };
  refused("url", "http://x", "begins with kv://, redis:// or unix://");
  refused("url", "kv://u:p%zz@h", "two hex digits follow a %");
  refused("host", nullptr, "the value of host is NULL");
  refused(nullptr, "x", "no such option");
  CHECK(kv_options_set(options, "port", "7000") == KV_OK);
  refused("port", "0", "does not fit: port");
  refused("database", "16384", "does not fit: database");
  CHECK(kv_options_set(options, "database", "16383") == KV_OK);
  kv_connection* refusing = kv_connect(options);
  INFO(kv_error_message(refusing));
  CHECK(std::string(kv_error_message(refusing)).find("7000") != std::string::npos);  // it still is
  kv_close(refusing);
  CHECK(kv_options_set(options, "port", "7001") == KV_OK);
  CHECK(std::string(kv_options_error(options)).empty());
  kv_options_free(options);
}

TEST_CASE("client/c: a function given a NULL handle does nothing") {
  CHECK(kv_descriptor(nullptr) == -1);
  kv_cancel(nullptr);
  kv_set_timeout(nullptr, 1);
  kv_close(nullptr);
  CHECK(kv_run(nullptr) == nullptr);
  CHECK(kv_next_push(nullptr, 1) == nullptr);
  CHECK(kv_command(nullptr, "PING", static_cast<char*>(nullptr)) == nullptr);
  CHECK(kv_reply_item(nullptr, 0) == nullptr);
  CHECK(kv_options_set(nullptr, "host", "h") == KV_USAGE);
  CHECK(kv_pool_take(nullptr) == nullptr);
  kv_pool_return(nullptr, nullptr);
  kv_pool_free(nullptr);
}

TEST_CASE("client/c: more words than a request may have are told of") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    peer.request();
  });
  const Handle handle(server.options());
  const char* words[] = {"PING"};
  CHECK(kv_call(handle.connection, SIZE_MAX, words, nullptr) == nullptr);
  CHECK(kv_error_code(handle.connection) == KV_LIMIT);
  CHECK(handle.message() == "too many arguments");
}

TEST_CASE("client/c: nobody connects with half of a wrong environment") {
  setenv("KV_PORT", "abc", 1);
  kv_options* options = kv_options_new();
  unsetenv("KV_PORT");
  CHECK(std::string(kv_options_error(options)) == "KV_PORT is not a port");
  CHECK(kv_options_set(options, "name", "me") == KV_OK);
  CHECK(std::string(kv_options_error(options)).empty());
  kv_connection* connection = kv_connect(options);
  CHECK(kv_error_code(connection) == KV_USAGE);
  CHECK(std::string(kv_error_message(connection)) == "KV_PORT is not a port");
  kv_close(connection);
  kv_pool* pool = kv_pool_new(options, 1);
  connection = kv_pool_take(pool);
  CHECK(kv_error_code(connection) == KV_USAGE);
  kv_pool_return(pool, connection);
  kv_pool_free(pool);
  kv_options_free(options);
}

TEST_CASE("client/c: a call that finds no memory takes its reply with it") {
  FakeServer server([](Peer& peer, int) {
    peer.greet();
    for (std::string key = peer.request(); !key.empty(); key = peer.request()) {
      const std::string value(key == "GET big" ? 8 << 20 : 1, 'x');
      peer.say("$" + std::to_string(value.size()) + "\r\n" + value + "\r\n");
    }
  });
  const Handle handle(server.options());
  const auto get = [&handle](const char* key) {
    kv_reply* reply = kv_command(handle.connection, "GET", key, static_cast<char*>(nullptr));
    std::size_t bytes = 0;
    kv_reply_text(reply, &bytes);
    kv_reply_free(reply);
    return bytes;
  };
  const auto with_little = [](auto call) {
    const kv::test::AllocationLimit little(1 << 20);
    return call();
  };
  CHECK(with_little([&] { return get("big"); }) == 0);
  CHECK(kv_error_code(handle.connection) == KV_MEMORY);
  CHECK(get("small") == 1);
  kv_queue(handle.connection, 2, std::array{"GET", "big"}.data(), nullptr);
  CHECK(with_little([&] { return kv_run(handle.connection); }) == nullptr);
  CHECK(get("small") == 1);
  CHECK(kv_error_code(handle.connection) == KV_OK);
}

TEST_CASE("client/c: kv_cancel ends a call that is connecting") {
  Silent server;
  const Handle handle(server.options());
  server.wait();
  pollfd item{kv_descriptor(handle.connection), POLLIN, 0};
  REQUIRE(poll(&item, 1, 5000) == 1);  // the server has hung up
  const auto start = std::chrono::steady_clock::now();
  std::thread other([&handle] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    kv_cancel(handle.connection);
  });
  CHECK(kv_command(handle.connection, "PING", static_cast<char*>(nullptr)) == nullptr);
  other.join();
  CHECK(kv_error_code(handle.connection) == KV_TIMEOUT);
  CHECK(handle.message() == "cancelled");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}
