// The pieces the load generator's modes share: a clock, a connection, percentiles.
//
// One process, one thread, loopback only. Ends with a sentence on stderr when a server misbehaves:
// a benchmark must never go on with wrong answers.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

[[noreturn]] inline void fail(const std::string& why) {
  std::fprintf(stderr, "load: %s\n", why.c_str());
  std::exit(1);
}

/// Nanoseconds of the monotonic clock.
inline std::int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

inline void sleep_until_ns(std::int64_t when) {
  timespec t{};
  t.tv_sec = when / 1'000'000'000;
  t.tv_nsec = when % 1'000'000'000;
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) {
  }
}

/// Where and as whom: a port of 127.0.0.1; "-" as a password means none.
struct Target {
  int port = 0;
  std::string password;
  bool memcached = false;
};

inline std::string resp(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& w : words) out += "$" + std::to_string(w.size()) + "\r\n" + w + "\r\n";
  return out;
}

/// A connected socket, blocking unless told otherwise. Move-only.
class Link {
 public:
  explicit Link(const Target& target) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(target.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      fail(std::string("cannot connect: ") + std::strerror(errno));
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (target.memcached || target.password == "-") return;
    send(resp({"AUTH", target.password}));
    expect("+OK\r\n");
  }
  Link(Link&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Link& operator=(Link&&) = delete;
  ~Link() {
    if (fd_ >= 0) ::close(fd_);
  }

  int fd() const noexcept { return fd_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
      else if (errno != EINTR) fail(std::string("cannot send: ") + std::strerror(errno));
    }
  }
  /// What has come; waits for at least one byte.
  std::size_t receive(char* to, std::size_t size) {
    for (;;) {
      const ssize_t n = ::recv(fd_, to, size, 0);
      if (n > 0) return static_cast<std::size_t>(n);
      if (n == 0) fail("the server hung up");
      if (errno != EINTR) fail(std::string("cannot receive: ") + std::strerror(errno));
    }
  }
  void receive_exactly(std::size_t bytes) {
    char buffer[65536];
    while (bytes > 0) bytes -= receive(buffer, std::min(bytes, sizeof buffer));
  }
  void expect(std::string_view reply) {
    std::string got(reply.size(), '\0');
    for (std::size_t have = 0; have < got.size();)
      have += receive(got.data() + have, got.size() - have);
    if (got != reply) fail("an unexpected reply: " + got);
  }
  /// Sends one request and returns the bytes of its reply: all that comes until 50 ms of silence.
  std::string ask(std::string_view request) {
    send(request);
    std::string reply;
    char buffer[65536];
    pollfd waiting{fd_, POLLIN, 0};
    while (::poll(&waiting, 1, reply.empty() ? 5000 : 50) > 0)
      reply.append(buffer, receive(buffer, sizeof buffer));
    if (reply.empty()) fail("no reply within five seconds");
    return reply;
  }

 private:
  int fd_;
};

/// Latencies in nanoseconds. Sorted when asked.
class Latencies {
 public:
  void add(std::int64_t ns) { all_.push_back(ns); }
  std::size_t count() const noexcept { return all_.size(); }
  /// Microseconds; share 0 to 1.
  double at(double share) {
    if (all_.empty()) return 0;
    if (!sorted_) std::sort(all_.begin(), all_.end());
    sorted_ = true;
    const auto last = static_cast<double>(all_.size() - 1);
    return static_cast<double>(all_[static_cast<std::size_t>(share * last)]) / 1000;
  }

 private:
  std::vector<std::int64_t> all_;
  bool sorted_ = false;
};

inline std::string key_of(std::uint64_t i) {  // 16 bytes, as redis-benchmark writes them
  char text[40];
  std::snprintf(text, sizeof text, "key:%012llu", static_cast<unsigned long long>(i));
  return text;
}

/// A fast generator with a fixed seed: every server sees the same keys in the same order.
class Random {
 public:
  std::uint64_t below(std::uint64_t n) {
    state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
    return state_ % n;
  }

 private:
  std::uint64_t state_ = 0x9E3779B97F4A7C15u;
};

}  // namespace bench
