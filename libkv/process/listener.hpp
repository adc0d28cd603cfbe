// The sockets a server listens on: TCP addresses and a Unix socket.
#pragma once

#include <string>
#include <vector>

#include "libkv/base/fd.hpp"
#include "libkv/base/status.hpp"

namespace kv {

/// A connection that has been silent for so long is asked whether the other end is still there.
inline constexpr int keepalive_idle_s = 300;

struct Listener {
  Fd fd;
  std::string shown;  // "127.0.0.1 port 6378", "/run/kv.sock"
  bool is_unix = false;
};

/// Listens on every address (empty: 127.0.0.1 and, where there is IPv6, ::1) with one port; port 0
/// picks a free one. The port in use comes back in port. Refuses with the reason.
Result<std::vector<Listener>> listen_tcp(const std::vector<std::string>& addresses, int& port);

/// A Unix socket that only this user can connect to, from the moment it exists. A left-over of a
/// dead server is replaced; a living one's is refused.
Result<Listener> listen_unix(const std::string& path);

/// "127.0.0.1:6378" of our end of a connection; a Unix socket's path.
std::string own_address(int fd, const Listener& listener);
/// "127.0.0.1:40312" of a socket's other end, and whether it is on this machine.
std::string peer_address(int fd, bool is_unix, bool& local);

}  // namespace kv
