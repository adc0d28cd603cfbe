// A server of a few lines for the client's tests: it says what the test wants, at the byte.
//
// Runs in a thread of the test; each connection is given to a function, one after the other.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "libkv/client/kv/client.hpp"
#include "libkv/wire/resp.hpp"

namespace kv_test {

/// One connection, seen from the server.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// The next request's words with blanks between; "" when the client has gone.
  std::string request() {
    for (;;) {
      const auto state = parser_.next(data_);
      std::string words;
      if (state == kv::ParseState::request) {
        for (const kv::Scalar& word : parser_.args()) {
          words += (words.empty() ? "" : " ") + std::string(word.bytes);
        }
      }
      data_.erase(0, parser_.consumed());
      if (!words.empty()) return words;
      std::array<char, 65536> buffer;
      const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
      if (n <= 0) return "";
      received_ += static_cast<std::size_t>(n);
      data_.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  /// Answers HELLO as a server does; false when the client sent something else.
  bool greet() {
    const std::string hello = request();
    say("%1\r\n$5\r\nproto\r\n:3\r\n");
    return hello.starts_with("HELLO 3");
  }
  std::size_t received() const { return received_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  std::string data_;
  std::size_t received_ = 0;
  kv::RespRequestParser parser_;
};

class FakeServer {
 public:
  /// serve gets each connection and its number, from 0.
  explicit FakeServer(std::function<void(Peer&, int)> serve) : serve_(std::move(serve)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 16);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~FakeServer() {
    ending_ = true;
    thread_.join();
    ::close(listener_);
  }

  kv::client::Options options() const {
    kv::client::Options options;
    options.host = "127.0.0.1";
    options.port = port_;
    options.timeout = std::chrono::seconds(5);
    return options;
  }
  int connections() const { return connections_; }

 private:
  void run() {
    while (!ending_) {
      pollfd item{listener_, POLLIN, 0};
      if (poll(&item, 1, 20) <= 0) continue;
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const timeval limit{10, 0};  // no test hangs
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      Peer peer(fd);
      serve_(peer, connections_++);
    }
  }

  std::function<void(Peer&, int)> serve_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

/// A connection, or the test has failed.
inline kv::client::Connection opened(const kv::client::Options& options) {
  auto connection = kv::client::Connection::open(options);
  if (!connection) FAIL(connection.error().message);
  return *std::move(connection);
}

}  // namespace kv_test
