// See channel.hpp.
#include "libkv/process/channel.hpp"

#include <cstring>
#include <utility>

#include "libkv/base/limits.hpp"

namespace kv {
namespace {

// Replies are joined up to this size; a child gets through a frame before the next is written.
constexpr std::size_t joined_bytes_max = limits::frame_bytes_max / 2;
constexpr std::uint16_t joined_replies_max = 60'000;
constexpr std::string_view line_break = "\r\n";

}  // namespace

Session* Channel::find(std::uint32_t number) const {
  const auto found = sessions_.find(number);
  return found == sessions_.end() ? nullptr : found->second.get();
}

void Channel::add(std::unique_ptr<Session> session) {
  session->channel = this;
  const std::uint32_t number = session->number;
  sessions_[number] = std::move(session);
}

std::unique_ptr<Session> Channel::remove(std::uint32_t number) {
  const auto found = sessions_.find(number);
  if (found == sessions_.end()) return nullptr;
  std::unique_ptr<Session> session = std::move(found->second);
  sessions_.erase(found);
  assemblies_.erase(number);
  return session;
}

std::uint8_t Channel::flags_for(const Session& session, bool translate) const noexcept {
  unsigned flags = 0;
  if (translate) flags |= kTranslate;
  if (session.protocol == 3) flags |= kResp3;
  if (session.authenticated) flags |= kAuthenticated;
  if (session.close_after_reply) flags |= kClose;
  return static_cast<std::uint8_t>(flags);
}

std::string& Channel::begin_reply(const Session& session) {
  joined_ = frame_open_ && last_connection_ == session.number && last_count_ < joined_replies_max &&
            out_.size() - header_at_ < joined_bytes_max;
  if (!joined_) {
    header_at_ = out_.size();
    out_.append(sizeof(FrameHeader), '\0');
    last_count_ = 0;
  }
  reply_start_ = out_.size();
  last_connection_ = session.number;
  frame_open_ = true;
  return out_;
}

std::size_t Channel::end_reply(const Session& session, bool translate, std::string_view rest) {
  const std::size_t bytes =
      out_.size() - reply_start_ + (rest.empty() ? 0 : rest.size() + line_break.size());
  const std::uint8_t flags = flags_for(session, translate);
  if (joined_ && (flags != last_flags_ || !rest.empty())) {
    // It cannot travel with the ones before: a frame of its own.
    out_.insert(reply_start_, sizeof(FrameHeader), '\0');
    header_at_ = reply_start_;
    last_count_ = 0;
  }
  last_flags_ = flags;
  ++last_count_;
  const std::size_t payload = out_.size() - header_at_ - sizeof(FrameHeader);
  if (payload > limits::frame_bytes_max || !rest.empty()) {
    end_large_reply(rest);
  } else {
    const FrameHeader header{static_cast<std::uint32_t>(payload), session.number, FrameKind::reply,
                             flags, last_count_};
    std::memcpy(out_.data() + header_at_, &header, sizeof header);
  }
  dirty = true;
  return bytes;
}

/// Into the slots that are free, as long as it is warm; what finds none waits as it lies. Behind
/// one that waits no slot is taken: it would not be given back before that one has got its own.
void Channel::end_large_reply(std::string_view rest) {
  const std::size_t start = header_at_ + sizeof(FrameHeader);
  Scattered bytes(std::string_view(out_).substr(start), rest, rest.empty() ? rest : line_break);
  FrameHeader header{0, last_connection_, FrameKind::reply, last_flags_, last_count_};
  std::string frames;
  const bool first = large_out_ + large_released_ == 0;
  while (first && put_in_slot(frames, header, bytes)) {
  }
  header.size = static_cast<std::uint32_t>(bytes.size());
  if (bytes.size() > limits::frame_bytes_max) {
    header.kind = FrameKind::large;
    ++large_out_;
  }
  append_header(frames, header);
  out_.replace(header_at_, out_.size() - bytes.part(0).size() - header_at_, frames);
  out_.append(bytes.part(1)).append(bytes.part(2));
  frame_open_ = false;
}

std::size_t Scattered::take(char* to, std::size_t room) noexcept {
  std::size_t taken = 0;
  for (std::string_view& part : parts_) {
    const std::string_view piece = part.substr(0, room - taken);
    if (piece.empty()) continue;  // perhaps of no memory at all
    std::memcpy(to + taken, piece.data(), piece.size());
    part.remove_prefix(piece.size());
    taken += piece.size();
  }
  return taken;
}

/// The beginning of what is left of a reply. False: it is too little, or no slot is free.
bool Channel::put_in_slot(std::string& frames, const FrameHeader& reply, Scattered& bytes) {
  if (bulk == nullptr || bytes.size() < bulk_worth_bytes) return false;
  const auto slot = bulk->take();
  if (!slot) return false;
  const std::size_t filled = bytes.take(bulk->at(*slot), bulk_slot_bytes);
  append_bulk_frame(frames, FrameKind::bulk_reply, reply.connection, reply.flags, *slot, filled);
  return true;
}

void Channel::append_close(const Session& session) {
  append_header(out_, {0, session.number, FrameKind::reply,
                       static_cast<std::uint8_t>(flags_for(session, false) | kClose), 0});
  frame_open_ = false;
  dirty = true;
}

void Channel::append_plain(FrameKind kind, std::string_view payload) {
  append_header(out_, {static_cast<std::uint32_t>(payload.size()), 0, kind, 0, 0});
  out_.append(payload);
  frame_open_ = false;
  dirty = true;
}

void Channel::release() {
  dirty = false;
  frame_open_ = false;  // what is released cannot grow any more
  if (released_.empty()) {
    out_.swap(released_);
  } else {
    released_.append(out_);
    out_.clear();
  }
  large_released_ += std::exchange(large_out_, 0);
}

// What is released is sent as it lies, stretch by stretch; a large reply between two of them goes
// in pieces, made one at a time.

bool Channel::flush() {
  wants_write = waits_for_slot = false;
  for (;;) {
    Io io = send(piece_, piece_sent_);
    if (io == Io::done) io = send(std::string_view(released_).substr(0, stretch_end_), sent_);
    if (io == Io::closed) return false;
    if (io == Io::again) {
      wants_write = true;
      break;
    }
    piece_.clear();
    piece_sent_ = 0;
    if (sent_ == released_.size()) break;
    if (large_released_ == 0) {
      stretch_end_ = released_.size();
    } else if (!next_stretch()) {
      waits_for_slot = true;
      break;
    }
  }
  drop_sent();
  return true;
}

/// Io::done: all of it is sent.
Io Channel::send(std::string_view bytes, std::size_t& sent) {
  while (sent < bytes.size()) {
    std::size_t put = 0;
    const Io io = write_some(reply_fd(), bytes.substr(sent), put);
    if (io != Io::done) return io;
    sent += put;
  }
  return Io::done;
}

void Channel::drop_sent() {
  // What is sent goes, now and then: one that always lags a little would grow for ever.
  if (sent_ < released_.size() && sent_ <= released_.size() / 2) return;
  released_.erase(0, sent_);
  stretch_end_ -= std::exchange(sent_, 0);
  // A burst of large replies must not be held in memory for ever.
  if (released_.empty() && released_.capacity() > 4 * limits::frame_bytes_max)
    released_.shrink_to_fit();
}

FrameHeader Channel::header_at(std::size_t at) const noexcept {
  FrameHeader header;
  std::memcpy(&header, released_.data() + at, sizeof header);
  return header;
}

/// Frames up to the next large reply, or a piece of that. False: it has to wait for a slot.
bool Channel::next_stretch() {
  FrameHeader header = header_at(sent_);
  if (header.kind == FrameKind::large) return next_piece(header);
  while (stretch_end_ < released_.size() && header.kind != FrameKind::large) {
    stretch_end_ += sizeof header + header.size;
    if (stretch_end_ < released_.size()) header = header_at(stretch_end_);
  }
  return true;
}

bool Channel::next_piece(const FrameHeader& large) {
  std::string_view rest = std::string_view(released_).substr(sent_ + sizeof large, large.size);
  rest.remove_prefix(large_done_);
  if (Scattered bytes(rest); put_in_slot(piece_, large, bytes)) {
    large_done_ = large.size - bytes.size();
    return true;
  }
  const bool worth_waiting = bulk != nullptr && rest.size() >= bulk_worth_bytes;
  if (worth_waiting && !paused && unsent() <= unsent_pause_bytes) return false;
  const std::string_view piece = rest.substr(0, limits::frame_bytes_max);
  const auto bytes = static_cast<std::uint32_t>(piece.size());
  const auto more = static_cast<std::uint8_t>((large.flags & ~kClose) | kMore);
  if (piece.size() < rest.size()) {
    append_header(piece_, {bytes, large.connection, FrameKind::reply, more, 0});
    large_done_ += piece.size();
  } else {
    append_header(piece_, {bytes, large.connection, FrameKind::reply, large.flags, large.count});
    sent_ = stretch_end_ = sent_ + sizeof large + large.size;
    large_done_ = 0;
    --large_released_;
  }
  piece_.append(piece);
  return true;
}

}  // namespace kv
