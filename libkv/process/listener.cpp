// See listener.hpp.
#include "libkv/process/listener.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kv {
namespace {

constexpr int backlog = 4096;
constexpr int keepalive_interval_s = 60;

int port_of(const sockaddr_storage& address) noexcept {
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

std::string text_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text,
                sizeof text);
    return text;
  }
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    ::inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof text);
    return text;
  }
  ::inet_ntop(AF_INET6, &v6, text, sizeof text);
  return text;
}

std::string host_and_port(const sockaddr_storage& address) {
  const std::string host = text_of(address);
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port_of(address));
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

void set_port(sockaddr_storage& address, int port) noexcept {
  const in_port_t number = htons(static_cast<in_port_t>(port));
  if (address.ss_family == AF_INET) reinterpret_cast<sockaddr_in&>(address).sin_port = number;
  else reinterpret_cast<sockaddr_in6&>(address).sin6_port = number;
}

/// Between programs of one machine there is nothing to be careful of, and a system whose choice is
/// BBR would measure and pace all the same. Reno does least and is in every kernel; connections
/// have it from the socket that listens. Best effort: without it they are only slower.
void no_pacing(int fd) noexcept {
  constexpr std::string_view least = "reno";
  ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, least.data(), least.size());
}

/// port: 0 picks a free one, which is that of the addresses after it, too.
Result<Listener> listen_on(const sockaddr_storage& address, socklen_t bytes,
                           const std::string& name, int& port) {
  Fd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return Status::from_errno(errno, "cannot make a socket for " + name);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ss_family == AF_INET6)
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (is_loopback(address)) no_pacing(fd.get());
  const std::string where = name + " port " + std::to_string(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), bytes) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    return Status::from_errno(errno, "cannot listen on " + where);
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  port = port_of(bound);
  return Listener{std::move(fd), text_of(bound) + " port " + std::to_string(port), false};
}

bool has(const std::vector<Listener>& listeners, const sockaddr_storage& address, int port) {
  const std::string shown = text_of(address) + " port " + std::to_string(port);
  return std::any_of(listeners.begin(), listeners.end(),
                     [&](const Listener& other) { return other.shown == shown; });
}

/// A host name may have several addresses, of which this machine may lack some (it has no IPv6, for
/// instance): one at least must do.
Status listen_on_all(const addrinfo* found, const std::string& name, int& port,
                     std::vector<Listener>& listeners) {
  Status first_failure;
  const std::size_t before = listeners.size();
  for (; found != nullptr; found = found->ai_next) {
    sockaddr_storage address{};
    std::memcpy(&address, found->ai_addr, std::min<std::size_t>(found->ai_addrlen, sizeof address));
    if (has(listeners, address, port)) continue;
    set_port(address, port);
    Result<Listener> listener = listen_on(address, found->ai_addrlen, name, port);
    if (listener.ok()) listeners.push_back(*std::move(listener));
    else if (listener.status().code() == Code::busy) return listener.status();
    else if (first_failure.ok()) first_failure = listener.status();
  }
  return listeners.size() > before ? Status{} : first_failure;
}

Status listen_on(const std::string& name, int& port, std::vector<Listener>& listeners) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string service = std::to_string(port);
  const int error = ::getaddrinfo(name.c_str(), service.c_str(), &hints, &found);
  if (error != 0) {
    return Status(Code::usage, "cannot listen on " + name + ": " + ::gai_strerror(error));
  }
  Status status = listen_on_all(found, name, port, listeners);
  ::freeaddrinfo(found);
  return status;
}

/// Does somebody answer at this Unix socket?
bool is_alive(const sockaddr_un& address) {
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

Result<std::vector<Listener>> listen_tcp(const std::vector<std::string>& addresses, int& port) {
  std::vector<Listener> listeners;
  const bool by_default = addresses.empty();
  for (const std::string& name :
       by_default ? std::vector<std::string>{"127.0.0.1", "::1"} : addresses) {
    const Status status = listen_on(name, port, listeners);
    // A machine without IPv6 has no ::1; that is no mistake of anybody.
    if (by_default && !listeners.empty() && status.code() != Code::busy) continue;
    if (!status.ok()) return status;
  }
  return listeners;
}

Result<Listener> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Status(Code::usage, "the path of --unixsocket is longer than " +
                                   std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) == 0) {
    if (!S_ISSOCK(facts.st_mode)) {
      return Status(Code::busy, "cannot listen on " + path + ": something else is there");
    }
    if (is_alive(address)) {
      return Status(Code::busy, "cannot listen on " + path + ": another server does");
    }
    ::unlink(path.c_str());
  }
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // The umask is 077: from the first instant nobody else can connect.
  if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    return Status::from_errno(errno, "cannot listen on " + path);
  }
  return Listener{std::move(fd), path, true};
}

std::string peer_address(int fd, bool is_unix, bool& local) {
  local = true;
  if (is_unix) return "unix:0";
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return "?:0";
  local = is_loopback(peer);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A client that vanished without a word is noticed within some minutes.
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_idle_s, sizeof keepalive_idle_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_interval_s, sizeof keepalive_interval_s);
  return host_and_port(peer);
}

std::string own_address(int fd, const Listener& listener) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (listener.is_unix) return listener.shown + ":0";
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return {};
  return host_and_port(own);
}

}  // namespace kv
