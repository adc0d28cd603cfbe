// See address.hpp.
#include "libkv/client/address.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "libkv/base/text.hpp"

namespace kv::client {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress address_of(const sockaddr* address, socklen_t size) {
  SocketAddress out;
  std::memcpy(&out.storage, address, size);
  out.size = size;
  return out;
}

bool add_numeric(const char* host, std::uint16_t port, std::vector<SocketAddress>& out) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
    out.push_back(address_of(reinterpret_cast<const sockaddr*>(&v4), sizeof v4));
    return true;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
    out.push_back(address_of(reinterpret_cast<const sockaddr*>(&v6), sizeof v6));
    return true;
  }
  return false;
}

// "localhost" and numbers are answered here: asking the resolver reads half of /etc at each start.
kv::Result<std::vector<SocketAddress>> resolve(const std::string& host, std::uint16_t port) {
  std::vector<SocketAddress> out;
  if (host == "localhost") {
    add_numeric("127.0.0.1", port, out);
    add_numeric("::1", port, out);
    return out;
  }
  if (add_numeric(host.c_str(), port, out)) return out;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return kv::Status(Code::lost, "cannot find host " + host + ": " + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    out.push_back(address_of(a->ai_addr, a->ai_addrlen));
  }
  return out;
}

kv::Result<std::vector<SocketAddress>> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return kv::Status(Code::usage, "socket path is too long: " + shown(path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return std::vector{address_of(reinterpret_cast<const sockaddr*>(&address), sizeof address)};
}

/// Waits until the connect under way has ended; its errno, 0 if it succeeded.
int finish_connect(int fd, Deadline deadline, const std::atomic<bool>& cancelled) {
  // No descriptor says that another thread has cancelled: asked for that often.
  constexpr auto patience = std::chrono::milliseconds(100);
  for (;;) {
    if (cancelled) return ECANCELED;
    pollfd item{fd, POLLOUT, 0};
    const int n = poll(&item, 1, poll_time(std::min(deadline, Clock::now() + patience)));
    if (n > 0) break;
    if (n == 0 && Clock::now() >= deadline) return ETIMEDOUT;
    if (n < 0 && errno != EINTR) return errno;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

/// A connected descriptor, or -1 with errno in error.
int connect_one(const SocketAddress& address, Deadline deadline, const std::atomic<bool>& cancelled,
                int& error) {
  const int family = address.storage.ss_family;
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    error = errno;
    return -1;
  }
  if (family != AF_UNIX) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  const int rc = connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
  error = rc == 0 ? 0 : errno;
  if (error == EINPROGRESS || error == EINTR) error = finish_connect(fd, deadline, cancelled);
  if (error == 0) return fd;
  ::close(fd);
  return -1;
}

/// The time for the next of so many addresses: one that does not answer must leave some to the
/// others.
Deadline share_of(Deadline deadline, std::size_t addresses) {
  if (deadline == Deadline::max() || addresses < 2) return deadline;
  const auto now = Clock::now();
  return now + (deadline - now) / static_cast<Clock::rep>(addresses);
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Undoes percent escapes. Whoever wrote a broken one meant something else than it says.
kv::Status decode_percents(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) {
      return {Code::usage, "in a URL two hex digits follow a %, and %25 stands for itself"};
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return {};
}

/// Removes and returns what stands before the first separator; all of it if there is none.
std::string_view cut_before(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text = at == text.npos ? std::string_view{} : text.substr(at + 1);
  return head;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  std::uint64_t n = 0;
  if (!parse_unsigned(text, n) || n == 0 || n > 65535) return false;
  port = static_cast<std::uint16_t>(n);
  return true;
}

kv::Status apply_host_and_port(std::string_view place, Options& options) {
  std::string_view host = place, port;
  if (!place.empty() && place[0] == '[') {  // [::1]:6378
    const std::size_t end = place.find(']');
    if (end == place.npos) return {Code::usage, "the address lacks a ]"};
    host = place.substr(1, end - 1);
    port = place.substr(end + 1);
    if (!port.empty() && port[0] == ':') port.remove_prefix(1);
  } else {
    host = cut_before(port = place, ':');
  }
  if (!host.empty()) {
    if (auto status = decode_percents(host, options.host); !status) return status;
  }
  if (!port.empty() && !parse_port(port, options.port)) {
    return {Code::usage, "the URL's port is no number from 1 to 65535"};  // may be of a password
  }
  options.socket.clear();
  return {};
}

std::string_view environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::string_view{} : std::string_view{text};
}

}  // namespace

Deadline deadline_after(std::chrono::milliseconds time) noexcept {
  const auto now = Clock::now();
  // Compared in milliseconds: the longest time of them does not fit into the clock's nanoseconds.
  const auto left = std::chrono::floor<std::chrono::milliseconds>(Deadline::max() - now);
  return time.count() <= 0 || time >= left ? Deadline::max() : now + time;
}

int poll_time(Deadline deadline) noexcept {
  if (deadline == Deadline::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, INT_MAX));
}

std::string endpoint_text(const Options& options) {
  if (!options.socket.empty()) return shown(options.socket);
  const bool v6 = options.host.find(':') != std::string::npos;
  const std::string host = shown(without_brackets(options.host), 256);
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(options.port);
}

kv::Result<int> open_socket(const Options& options, Deadline deadline,
                            const std::atomic<bool>& cancelled) {
  auto addresses = options.socket.empty()
                       ? resolve(std::string(without_brackets(options.host)), options.port)
                       : unix_address(options.socket);
  if (!addresses) return addresses.status();
  int error = ECONNREFUSED, first_error = 0;
  std::size_t left = addresses->size();
  for (const SocketAddress& address : *addresses) {
    const int fd = connect_one(address, share_of(deadline, left--), cancelled, error);
    if (fd >= 0) return fd;
    if (error == ECANCELED) return kv::Status(Code::timeout, "cancelled");
    if (first_error == 0) first_error = error;
  }
  if (first_error == 0) first_error = error;
  const Code code = first_error == ETIMEDOUT ? Code::timeout : Code::lost;
  return kv::Status(
      code, "cannot connect to " + endpoint_text(options) + ": " + std::strerror(first_error));
}

kv::Status apply_url(std::string_view url, Options& options) {
  const std::size_t colon = url.find("://");
  const std::string_view scheme = colon == url.npos ? std::string_view{} : url.substr(0, colon);
  if (scheme != "kv" && scheme != "redis" && scheme != "unix") {
    return {Code::usage, "a server's URL begins with kv://, redis:// or unix://"};
  }
  std::string_view rest = url.substr(colon + 3);
  if (scheme == "unix") {
    if (rest.empty()) return {Code::usage, "a unix:// URL needs the path of a socket"};
    return decode_percents(rest, options.socket);
  }
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  const std::string_view path = slash == rest.npos ? std::string_view{} : rest.substr(slash + 1);
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) {
    std::string_view secret = authority.substr(0, at);
    const std::string_view user = cut_before(secret, ':');
    if (auto status = decode_percents(user, options.user); !status) return status;
    if (auto status = decode_percents(secret, options.password); !status) return status;
    authority.remove_prefix(at + 1);
  }
  std::uint64_t database = 0;
  if (!path.empty() && (!parse_unsigned(path, database) || database > UINT_MAX)) {
    return {Code::usage, "the URL's database is not a number"};  // may be of a password
  }
  if (!path.empty()) options.database = static_cast<unsigned>(database);
  constexpr std::uint16_t redis_port = 6379;  // what every other reader of such a URL takes
  if (scheme == "redis") options.port = redis_port;
  return apply_host_and_port(authority, options);
}

kv::Status apply_environment(Options& options) {
  if (const auto url = environment("KV_URL"); !url.empty()) {
    if (auto status = apply_url(url, options); !status) {
      return {status.code(), "KV_URL: " + status.message()};
    }
  }
  if (const auto host = environment("KV_HOST"); !host.empty()) {
    options.host = host;
    options.socket.clear();
  }
  if (const auto port = environment("KV_PORT"); !port.empty()) {
    if (!parse_port(port, options.port)) return {Code::usage, "KV_PORT is not a port"};
  }
  if (const auto path = environment("KV_SOCKET"); !path.empty()) options.socket = path;
  if (const auto secret = environment("KV_PASS"); !secret.empty()) options.password = secret;
  return {};
}

}  // namespace kv::client
