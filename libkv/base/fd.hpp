// A file descriptor that closes itself, and the few things done to any descriptor.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace kv {

class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int number) noexcept : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.number_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }
  int release() noexcept { return std::exchange(number_, -1); }
  void reset(int number = -1) noexcept {
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }

 private:
  int number_ = -1;
};

/// To be called first: a program may be started with 0, 1 or 2 closed, and the next descriptor it
/// opens would take that number: log lines would go to a client. Each gets one that refuses all
/// reading (0) or writing (1, 2), so that what is read or written there is an error and not lost.
void fill_standard_descriptors() noexcept;
void set_nonblocking(int fd) noexcept;
void set_close_on_exec(int fd) noexcept;

/// What one read or write did. again: would block; closed: end of file or a broken pipe.
enum class Io { done, again, closed };

/// Reads at most size bytes; got is what came (0 unless done). Repeats on EINTR.
Io read_some(int fd, char* to, std::size_t size, std::size_t& got) noexcept;
/// Writes at most all of bytes; put is what went. Repeats on EINTR. Never raises SIGPIPE on
/// sockets.
Io write_some(int fd, std::string_view bytes, std::size_t& put) noexcept;

/// Writes what waits in a queue behind the first sent bytes. done: all is written, and the queue is
/// empty, with at most kept_capacity bytes of memory. again: what is written leaves the queue too,
/// now and then, or one that is never empty would grow for ever.
Io write_queue(int fd, std::string& queue, std::size_t& sent, std::size_t kept_capacity) noexcept;

/// Has an epoll instance report these events of fd, or nothing of it any more.
void watch(int epoll, int fd, std::uint32_t events) noexcept;
void unwatch(int epoll, int fd) noexcept;

}  // namespace kv
