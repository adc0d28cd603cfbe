// See link.hpp.
#include "libkv/client/link.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "libkv/base/limits.hpp"
#include "libkv/client/convert.hpp"

namespace kv::client {
namespace {

// What is queued is moved to the front only when that much of it has been sent.
constexpr std::size_t compact_bytes = 256 * 1024;
// Asked of the kernel at a time while a long value arrives.
constexpr std::size_t long_read_bytes = 4 * 1024 * 1024;

constexpr const char* what_helps =
    "; ask for less at a time or, in a program, raise reply-bytes-max";

RespReplyParser make_parser(std::size_t reply_bytes_max) {
  RespReplyParser::Limits limits;
  limits.bytes_max = std::min(limits.bytes_max, reply_bytes_max);
  limits.blob_bytes_max = std::min(limits.blob_bytes_max, reply_bytes_max);
  limits.values_max = reply_bytes_max / 64;
  return RespReplyParser(limits);
}

}  // namespace

Status no_answer_in_time() { return {Code::timeout, "no answer in time"}; }

Status Link::open(const Options& options, Deadline deadline) {
  close();
  auto fd = open_socket(options, deadline, cancelled_);
  if (!fd) return fd.status();
  fd_ = *fd;
  parser_ = make_parser(options.reply_bytes_max);
  return {};
}

void Link::close() noexcept {
  const int fd = fd_;
  fd_ = -1;
  if (fd >= 0) ::close(fd);
  // A request may hold a secret; it must not stay behind in freed memory.
  explicit_bzero(out_.data(), out_.size());
  out_.clear();
  in_.clear();
  sent_ = in_start_ = 0;
  taken_ = 0;
  ended_ = false;
}

bool Link::gone() noexcept {
  if (fd_ < 0 || ended_) return true;
  char byte;
  const ssize_t n = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

Status Link::push_out() {
  while (sent_ < out_.size()) {
    const ssize_t n = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      // The reason may already lie in the receive queue: a server that refuses says why and hangs
      // up. So a failed write is only final once there is nothing left to read.
      if (errno == EPIPE || errno == ECONNRESET) {
        ended_ = true;
        return {};
      }
      return Status::from_errno(errno, "cannot send");
    }
    sent_ += static_cast<std::size_t>(n);
    taken_ += static_cast<std::size_t>(n);
  }
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  } else if (sent_ >= compact_bytes) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  return {};
}

Status Link::pull_in() {
  if (in_start_ > 0) {
    in_.erase(0, in_start_);
    in_start_ = 0;
  }
  // For a long value that is on its way, more at a time; but only as bytes really come in.
  const std::size_t had = in_.size();
  const std::size_t room = std::clamp(parser_.needed(), limits::read_bytes, long_read_bytes);
  if (in_.capacity() - had < room) in_.reserve(std::max(had + room, had * 2));
  in_.resize(had + room);
  const ssize_t n = recv(fd_, in_.data() + had, room, 0);
  const int error = errno;
  in_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n > 0 || (n < 0 && (error == EAGAIN || error == EINTR))) return {};
  if (cancelled_) return {Code::timeout, "cancelled"};
  if (n == 0 || error == ECONNRESET) return {Code::lost, "the server closed the connection"};
  return Status::from_errno(error, "cannot receive");
}

Status Link::wait(Deadline deadline, int input_fd, bool& readable) {
  if (cancelled_) return {Code::timeout, "cancelled"};
  const bool writing = sent_ < out_.size() && !ended_;
  const auto wanted = static_cast<short>(POLLIN | (writing ? POLLOUT : 0));
  std::array<pollfd, 2> items{{{fd_, wanted, 0}, {input_fd, POLLIN, 0}}};
  const int n = poll(items.data(), input_fd < 0 ? 1 : 2, poll_time(deadline));
  if (cancelled_) return {Code::timeout, "cancelled"};
  if (n == 0) return no_answer_in_time();
  if (n < 0 && errno != EINTR) return Status::from_errno(errno, "cannot wait for the server");
  readable = n > 0 && (items[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
  return {};
}

Status Link::read_buffered(Value& reply, bool& have) {
  using State = RespReplyParser::State;
  have = false;
  if (in_start_ == in_.size()) return {};
  const State state = parser_.next(std::string_view(in_).substr(in_start_));
  in_start_ += parser_.consumed();
  if (state == State::error) {
    return {Code::protocol, parser_.error() + (parser_.over_limits() ? what_helps : "")};
  }
  if (state == State::need_more) return {};
  reply = converted(std::move(parser_.value()));
  have = true;
  return {};
}

Status Link::step(Deadline deadline, int input_fd) {
  if (fd_ < 0) return {Code::lost, "not connected"};
  if (auto status = push_out(); !status) return status;
  bool readable = false;
  if (auto status = wait(deadline, input_fd, readable); !status) return status;
  return readable ? pull_in() : Status{};
}

Status Link::send(Deadline deadline) {
  for (;;) {
    if (auto status = push_out(); !status) return status;
    if (ended_) return {Code::lost, "the server closed the connection"};
    if (sent_ == out_.size()) return {};
    // Replies that arrive meanwhile are taken in, or the server would stop reading.
    if (auto status = step(deadline, -1); !status) return status;
  }
}

Status Link::read(Value& reply, Deadline deadline) {
  for (;;) {
    bool have = false;
    if (auto status = read_buffered(reply, have); !status || have) return status;
    if (auto status = step(deadline, -1); !status) return status;
  }
}

void Link::cancel() noexcept {
  cancelled_ = true;
  const int fd = fd_;
  if (fd >= 0) shutdown(fd, SHUT_RDWR);
}

}  // namespace kv::client
