// The sibling's end of one child: its two pipes, its connections, what waits to be sent.
//
// What comes in is foreign: frames are believed only as far as frame.hpp's functions check them. A
// child that breaks the rules loses its channel. Never blocks.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libkv/base/fd.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/commands/session.hpp"
#include "libkv/process/assembly.hpp"
#include "libkv/process/bulk.hpp"
#include "libkv/process/frame.hpp"

namespace kv {

/// Bytes that lie in up to three places, one after the other.
class Scattered {
 public:
  Scattered(std::string_view a, std::string_view b = {}, std::string_view c = {})
      : parts_{a, b, c} {}
  std::size_t size() const noexcept {
    return parts_[0].size() + parts_[1].size() + parts_[2].size();
  }
  std::string_view part(std::size_t i) const noexcept { return parts_[i]; }
  /// Copies the first of them, at most room, and forgets these. Returns how many they were.
  std::size_t take(char* to, std::size_t room) noexcept;

 private:
  std::array<std::string_view, 3> parts_;
};

class Channel {
 public:
  Channel(std::int32_t pid, Fd requests, Fd replies)
      : requests_(std::move(requests)), replies_(std::move(replies)), pid_(pid) {}

  std::int32_t pid() const noexcept { return pid_; }
  int request_fd() const noexcept { return requests_.get(); }
  int reply_fd() const noexcept { return replies_.get(); }

  // --- connections ---
  Session* find(std::uint32_t number) const;
  void add(std::unique_ptr<Session> session);
  std::unique_ptr<Session> remove(std::uint32_t number);
  const std::unordered_map<std::uint32_t, std::unique_ptr<Session>>& sessions() const {
    return sessions_;
  }
  /// The pieces of a request that does not fit a frame, per connection.
  Assembly& assembly(std::uint32_t number) { return assemblies_[number]; }
  bool has_assembly(std::uint32_t number) const {
    return !assemblies_.empty() && assemblies_.contains(number);
  }
  void drop_assembly(std::uint32_t number) { assemblies_.erase(number); }

  // --- replies: one at a time, joined into frames by connection ---
  // Each may throw std::bad_alloc; then forget_reply() puts things right.
  std::string& begin_reply(const Session& session) {
    making_reply_ = true;
    begun_at_ = out_.size();
    joined_ = frame_open_ && last_connection_ == session.number &&
              last_count_ < joined_replies_max && out_.size() - header_at_ < joined_bytes_max &&
              out_.size() <= stretch_bytes_max;
    if (!joined_) begin_frame(session.number);
    reply_start_ = out_.size();
    return out_;
  }
  /// What has been written of it so far.
  std::string_view reply_so_far() const noexcept {
    return std::string_view(out_).substr(reply_start_);
  }
  /// Returns the bytes of this reply. rest: as ReplySink has it.
  std::size_t end_reply(const Session& session, bool translate, std::string_view rest = {}) {
    making_reply_ = false;
    const std::uint8_t flags = flags_for(session, translate);
    const std::size_t bytes = out_.size() - reply_start_;
    const std::size_t payload = out_.size() - header_at_ - frame_header_bytes;
    const bool plain = rest.empty() && bytes < bulk_worth_bytes &&
                       payload <= limits::frame_bytes_max && (!joined_ || flags == last_flags_);
    if (!plain) [[unlikely]]
      return end_other_reply(flags, rest);
    last_flags_ = flags;
    ++last_count_;
    write_header(payload);
    return bytes;
  }
  /// The reply begun last is not said.
  void forget_reply() noexcept;
  /// Tells the child to hang up on a connection, whether or not its client takes what is before it.
  void append_close(const Session& session);
  /// Tells it that the connection's next reply may be long in coming.
  void append_later(const Session& session);
  void append_plain(FrameKind kind, std::string_view payload);
  /// What these connections get without having asked, at most limits::message_receivers_max. Where
  /// a reply is being made, it comes behind that. All of it, or std::bad_alloc and nothing.
  void append_message(std::span<const std::uint32_t> connections, std::string_view body);
  /// When a reply is made: is there such a message, and puts all of them behind it. Where that
  /// throws std::bad_alloc the child cannot be told any more what it should be.
  bool has_messages_behind() const noexcept { return !behind_reply_.empty(); }
  void append_messages_behind();

  // --- sending: what is released goes ---
  /// All replies so far may be sent.
  void release();
  /// Sends what is released, as far as the pipe and the segment take it. False: the child is gone.
  bool flush();
  std::size_t unsent() const noexcept {
    return out_.size() + queued_bytes_ - sent_ + piece_.size() - piece_sent_;
  }
  /// With this much unsent nothing is read from the child until it has read, not even that a slot
  /// is free again: so nothing waits for slots either.
  static constexpr std::size_t unsent_pause_bytes = std::size_t{32} << 20;
  /// Bytes of an unfinished frame, kept for the next read; after a pause or a turn that ended
  /// early, whole frames before it.
  std::string leftover;
  std::vector<std::uint32_t> backlogs;  // connections whose waiting requests a turn's end cut short
  std::unique_ptr<BulkSegment> bulk;    // null until the child and we have mapped it
  std::unique_ptr<BulkSegment> bulk_to_be;
  bool wants_write = false;         // the pipe was full: waiting for room
  bool waits_for_slot = false;      // a large reply goes on when a slot is given back
  bool watched = false;             // the loop watches the pipe for room
  bool dirty = false;               // has what is not released: Sibling::mark_dirty
  bool paused = false;              // not read from until it has read
  bool held = false;                // not read from until a child that lags has read its messages
  bool lags = false;                // it has taken long for that: nobody is held for it
  std::vector<Session*> receivers;  // of the message that is being sent; else empty
  bool behind = false;              // goes on with what is kept in the next round, then reads

 private:
  /// Bytes that are sent one after the other: frames as they lie, or one large reply behind its
  /// header (FrameKind::large), which goes in pieces. Never both: large replies are not copied when
  /// others join them, and need no more memory than they have.
  struct Stretch {
    std::string bytes;
    bool large = false;
  };

  // Replies are joined up to this size; a child gets through a frame before the next is written.
  static constexpr std::size_t joined_bytes_max = limits::frame_bytes_max / 2;
  static constexpr std::uint16_t joined_replies_max = 60'000;
  // From this size on frames go into another string: to grow they would need twice their size at
  // once.
  static constexpr std::size_t stretch_bytes_max = std::size_t{1} << 20;

  static std::uint8_t flags_for(const Session& session, bool translate) noexcept {
    const auto flag = [](bool on, FrameFlag bit) { return on ? unsigned{bit} : 0u; };
    return static_cast<std::uint8_t>(
        flag(translate, kTranslate) | flag(session.protocol == 3, kResp3) |
        flag(session.authenticated, kAuthenticated) | flag(session.close_after_reply, kClose));
  }
  void begin_frame(std::uint32_t connection);
  /// Of the frame that the reply begun last is in.
  void write_header(std::size_t payload) noexcept {
    const FrameHeader header{static_cast<std::uint32_t>(payload), last_connection_,
                             FrameKind::reply, last_flags_, last_count_};
    std::memcpy(out_.data() + header_at_, &header, sizeof header);
  }
  std::size_t end_other_reply(std::uint8_t flags, std::string_view rest);
  void enqueue(std::string& bytes);
  void close_stretch();
  void part_from_frame();
  void cut(std::size_t at, std::size_t room = 0);
  bool end_in_slot(std::string_view rest, std::size_t bytes);
  Scattered last_frame(std::string_view rest) const noexcept;
  void end_large_reply(std::string_view rest);
  bool put_in_slot(std::string& frames, const FrameHeader& reply, Scattered& bytes);
  Io send(std::string_view bytes, std::size_t& sent);
  bool next_piece(const Stretch& large);
  void drop_first();

  Fd requests_, replies_;
  std::int32_t pid_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Session>> sessions_;
  mutable Session* found_ = nullptr;  // by the last find(): a pipeline's requests have one sender
  std::unordered_map<std::uint32_t, Assembly> assemblies_;

  std::string out_;            // frames that are being made
  std::string behind_reply_;   // frames that come behind the reply that is being made
  std::deque<Stretch> queue_;  // before them, oldest first
  std::size_t released_ = 0;   // so many of the queue may be sent
  std::size_t queued_bytes_ = 0;
  std::size_t large_queued_ = 0;  // large replies in it
  std::size_t sent_ = 0;          // of the first stretch; of a large reply, made to pieces
  std::string piece_;             // of a large reply, before the first stretch
  std::size_t piece_sent_ = 0;
  std::size_t header_at_ = 0;    // of the last frame in out_
  std::size_t reply_start_ = 0;  // of the reply begun last, and
  std::size_t begun_at_ = 0;     // with its header, if it has one of its own
  std::uint32_t last_connection_ = 0;
  std::uint8_t last_flags_ = 0;
  std::uint16_t last_count_ = 0;
  bool frame_open_ = false;  // the last frame may take further replies
  bool joined_ = false;
  bool making_reply_ = false;
};

}  // namespace kv
