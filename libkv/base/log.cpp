// See log.hpp.
#include "libkv/base/log.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <new>
#include <string>

namespace kv::log {
namespace {

// A longer line could be written in part by a pipe with little room, and mix with another's.
constexpr std::size_t line_bytes_max = PIPE_BUF;

struct Stream {
  int fd;
  bool socket = false;        // never_wait() has found one, which is told with each write
  std::uint64_t dropped = 0;  // lines since the last one that was written
};

Stream out{STDOUT_FILENO}, err{STDERR_FILENO};

bool put_bytes(const Stream& stream, std::string_view bytes) noexcept {
  const ssize_t n = stream.socket
                        ? ::send(stream.fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                        : ::write(stream.fd, bytes.data(), bytes.size());
  return n > 0 || errno != EAGAIN;  // a closed one is nothing to tell of
}

void put_line(Stream& stream, std::string_view prefix, std::string_view text) noexcept {
  try {
    std::string line;
    if (stream.dropped > 0) {
      line = "kv: " + std::to_string(stream.dropped) + " lines before this one had no room\n";
    }
    line.append(prefix).append(text);
    if (line.size() >= line_bytes_max) line.replace(line_bytes_max - 5, line.npos, " ...");
    line.push_back('\n');
    if (put_bytes(stream, line)) stream.dropped = 0;
    else ++stream.dropped;
  } catch (const std::bad_alloc&) {
    ++stream.dropped;
  }
}

/// A file description of our own, so that not waiting is not forced on who shares the old one: the
/// terminal's shell, the other end of a pipe.
void reopen(Stream& stream) noexcept {
  struct stat facts {};
  if (::fstat(stream.fd, &facts) != 0) return;
  stream.socket = S_ISSOCK(facts.st_mode);
  if (!S_ISFIFO(facts.st_mode) && ::isatty(stream.fd) != 1) return;
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", stream.fd);
  const int own = ::open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) {
    // Somebody else's pipe, or no /proc: then the one we have, for all who share it.
    ::fcntl(stream.fd, F_SETFL, ::fcntl(stream.fd, F_GETFL) | O_NONBLOCK);
    return;
  }
  ::dup2(own, stream.fd);
  ::close(own);
}

std::string stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  const std::size_t n = std::strftime(text, sizeof text, "[%Y-%m-%dT%H:%M:%S] ", &parts);
  return {text, n};
}

}  // namespace

void never_wait() noexcept {
  ::tzset();  // a child that may open no file can still tell the time
  reopen(out);
  reopen(err);
}
void set_verbose(bool on) noexcept { detail::verbose_on = on; }
void note(std::string_view text) noexcept {
  if (verbose()) put_line(out, stamp(), text);
}
void warn(std::string_view text) noexcept { put_line(err, stamp(), text); }
void say(std::string_view text) noexcept { put_line(out, "", text); }
void refuse(std::string_view text) noexcept { put_line(err, "kv: ", text); }

}  // namespace kv::log
