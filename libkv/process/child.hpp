// A child: an event loop over its connections, normally one.
//
// It turns hostile bytes into requests for the sibling and replies into bytes, and nothing else: no
// password, no key, no file. Before its first client byte it gives up all it does not need
// (sandbox.hpp). It ends when the parent closes its control socket, when the sibling is gone, or
// when either dies.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "libkv/base/fd.hpp"
#include "libkv/base/status.hpp"
#include "libkv/process/bulk.hpp"
#include "libkv/process/connection.hpp"
#include "libkv/process/patience.hpp"
#include "libkv/process/run_folder.hpp"

namespace kv {

/// What the parent sends over the control socket with the descriptor of each connection.
struct HandOver {
  std::uint32_t number = 0;
  std::uint8_t trusted = 0;     // already authenticated: the command pipe
  std::uint8_t is_segment = 0;  // the descriptor is the child's bulk segment, not a connection
  char address[110] = {};
};

/// What a child tells the parent, one byte each.
inline constexpr char control_closed = 'c';   // a connection has ended
inline constexpr char control_segment = 's';  // a large value has been seen: a segment, please

class Child {
 public:
  /// control is the child's end of the parent's socket pair.
  /// few: so few children that each may have a segment for values of some KiB.
  Child(Fd control, const RunFolder& folder, bool few)
      : control_(std::move(control)), folder_(folder) {
    out_.segment_worth_bytes = few ? bulk_worth_bytes : bulk_worth_always_bytes;
  }

  /// Makes and announces the pipes, drops privileges, serves. Never returns.
  [[noreturn]] void run();

 private:
  using Clock = std::chrono::steady_clock;

  Status open_pipes();
  void round();
  void take_events(int timeout_ms);
  bool look_past_epoll();
  void note_events(Connection& connection, std::uint32_t events);
  void queue_to_read(Connection& connection);
  bool may_read() const noexcept;
  void read_clients();
  template <class Work>
  void or_lose(std::uint32_t number, Work work);
  bool read_client(Connection& connection);
  void read_control();
  void take_over(const HandOver& hand_over, Fd descriptor);
  bool read_replies();
  void handle_reply(const FrameHeader& header, std::string_view payload);
  void write_requests();
  bool flush(Connection& connection);
  void flush_dirty();
  void close_connection(std::uint32_t number);
  void tell_closed(std::uint32_t number);
  void tell_closes();
  void update_title();
  void serve_queue();
  void ask_for_segment();
  bool take_bulk_reply(const FrameHeader& header, std::string_view payload);
  void take_message(const FrameHeader& header, std::string_view payload);
  void begin_message(std::string_view& payload);
  void hand_out_message(std::string_view body);
  void give_slot_back(std::string_view reference);
  void give_up(const char* why);
  void mark_dirty(Connection& connection);

  Fd control_;
  const RunFolder& folder_;
  Patience patience_;
  Fd epoll_, requests_, replies_;
  Fd placeholder_;                // held until the sibling has opened both pipes
  Clock::time_point give_up_at_;  // if it has not by then
  std::unique_ptr<BulkSegment> bulk_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Connection>> connections_;
  std::unordered_map<int, Connection*> by_fd_;
  std::vector<std::uint32_t> dirty_, readable_, reading_;  // numbers of connections
  std::string first_address_;
  std::size_t closes_untold_ = 0;  // to the parent
  FrameWriter out_;
  bool asked_for_segment_ = false;
  std::size_t sent_ = 0;       // of out_.bytes
  std::uint64_t written_ = 0;  // bytes that were in out_ and have left it
  bool watching_requests_ = false;
  std::vector<char> client_buffer_, reply_buffer_;
  std::vector<std::uint32_t> receivers_;  // of the message that comes; else empty
  std::string message_;                   // what has come of one in several frames
  bool message_lost_ = false;             // for want of memory
  std::size_t reply_kept_ = 0;  // bytes of an unfinished frame at the start of reply_buffer_
};

}  // namespace kv
