// See fd.hpp. These are pipes and sockets; files of data go through env.hpp.
#include "libkv/base/fd.hpp"

#include <fcntl.h>
#include <sys/epoll.h>

#include <cerrno>

namespace kv {

void fill_standard_descriptors() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number, which is fd: those below it are open by now.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) ::_exit(1);
  }
}

void set_nonblocking(int fd) noexcept { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

void set_close_on_exec(int fd) noexcept { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

Io read_some(int fd, char* to, std::size_t size, std::size_t& got) noexcept {
  got = 0;
  for (;;) {
    const ssize_t n = ::read(fd, to, size);
    if (n > 0) {
      got = static_cast<std::size_t>(n);
      return Io::done;
    }
    if (n == 0) return Io::closed;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? Io::again : Io::closed;
  }
}

Io write_some(int fd, std::string_view bytes, std::size_t& put) noexcept {
  put = 0;
  for (;;) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      put = static_cast<std::size_t>(n);
      return Io::done;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? Io::again : Io::closed;
  }
}

Io write_queue(int fd, std::string& queue, std::size_t& sent, std::size_t kept_capacity) noexcept {
  while (sent < queue.size()) {
    std::size_t put = 0;
    const Io io = write_some(fd, std::string_view(queue).substr(sent), put);
    if (io == Io::again && sent > queue.size() / 2) queue.erase(0, std::exchange(sent, 0));
    if (io != Io::done) return io;
    sent += put;
  }
  queue.clear();
  sent = 0;
  if (queue.capacity() > kept_capacity) std::string().swap(queue);
  return Io::done;
}

void watch(int epoll, int fd, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void unwatch(int epoll, int fd) noexcept { ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr); }

}  // namespace kv
