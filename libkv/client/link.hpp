// One socket with RESP on it: requests queued out, replies read in, each wait with a deadline.
//
// Internal to the client. Knows nothing of passwords, reconnecting or the meaning of a reply. Never
// blocks outside poll(2), and reads while it writes, so that any number of requests may be under
// way without both sides waiting for each other.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/base/status.hpp"
#include "libkv/client/address.hpp"
#include "libkv/client/kv/client.hpp"
#include "libkv/wire/resp.hpp"

namespace kv::client {

class Link {
 public:
  Link() = default;
  ~Link() { close(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Connects. reply_bytes_max bounds what one reply may take.
  Status open(const Options& options, Deadline deadline);
  void close() noexcept;
  bool is_open() const noexcept { return fd_ >= 0; }
  int fd() const noexcept { return fd_; }
  /// True if the other side has hung up, as far as can be told without waiting.
  bool gone() noexcept;

  /// Queues a request. Sent by send(), read() and step().
  void add(Arguments arguments) { append_request(out_, arguments); }
  /// Bytes appended since open(), and those of them the kernel has taken.
  std::uint64_t queued() const noexcept { return taken_ + out_.size() - sent_; }
  std::uint64_t taken() const noexcept { return taken_; }

  /// Sends all that is queued; fails with lost or timeout.
  Status send(Deadline deadline);
  /// The next reply, sending what is queued while it waits. Fails with lost, timeout, protocol or
  /// limit, and is of no more use then.
  Status read(Value& reply, Deadline deadline);
  /// The next reply if all its bytes are here already; have says so.
  Status read_buffered(Value& reply, bool& have);
  /// Sends what can be sent, waits once until the server or input_fd (-1: none) has something, and
  /// takes in what the server sent. Fails as read() does.
  Status step(Deadline deadline, int input_fd);

  /// Makes what is under way, connecting included, and all that follows fail. Async-signal-safe.
  void cancel() noexcept;
  /// A new call begins, which nobody has cancelled yet.
  void begin() noexcept { cancelled_ = false; }
  bool cancelled() const noexcept { return cancelled_; }

 private:
  Status wait(Deadline deadline, int input_fd, bool& readable);
  Status push_out();
  Status pull_in();

  std::atomic<int> fd_{-1};  // atomic for cancel() alone
  std::string out_;
  std::size_t sent_ = 0;  // of out_
  std::uint64_t taken_ = 0;
  bool ended_ = false;  // the other side sent its end of file
  std::string in_;      // received; what lies before in_start_ has been parsed
  std::size_t in_start_ = 0;
  RespReplyParser parser_;
  std::atomic<bool> cancelled_{false};
};

/// Code::timeout.
Status no_answer_in_time();

}  // namespace kv::client
