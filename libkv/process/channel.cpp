// See channel.hpp.
#include "libkv/process/channel.hpp"

#include "libkv/base/limits.hpp"

namespace kv {
namespace {

// Replies are joined up to this size; a child gets through a frame before the next is written.
constexpr std::size_t joined_bytes_max = limits::frame_bytes_max / 2;
constexpr std::uint16_t joined_replies_max = 60'000;

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

std::size_t Channel::end_reply(const Session& session, bool translate) {
  const std::size_t bytes = out_.size() - reply_start_;
  const std::uint8_t flags = flags_for(session, translate);
  if (joined_ && flags != last_flags_) {
    // It cannot travel with the ones before: a frame of its own.
    out_.insert(reply_start_, sizeof(FrameHeader), '\0');
    header_at_ = reply_start_;
    last_count_ = 0;
  }
  last_flags_ = flags;
  ++last_count_;
  const std::size_t payload = out_.size() - header_at_ - sizeof(FrameHeader);
  if (payload > limits::frame_bytes_max) {
    split_last_frame();
  } else {
    const FrameHeader header{static_cast<std::uint32_t>(payload), session.number, FrameKind::reply,
                             flags, last_count_};
    std::memcpy(out_.data() + header_at_, &header, sizeof header);
  }
  dirty = true;
  return bytes;
}

void Channel::split_last_frame() {
  // Most of it goes to the segment as it lies here; only what does not is copied behind its
  // headers.
  std::string_view rest = out_;
  rest.remove_prefix(header_at_ + sizeof(FrameHeader));
  std::string frames;
  rest.remove_prefix(append_bulk_pieces(frames, rest));
  const auto more = static_cast<std::uint8_t>((last_flags_ & ~kClose) | kMore);
  while (rest.size() > limits::frame_bytes_max) {
    append_header(frames, {limits::frame_bytes_max, last_connection_, FrameKind::reply, more, 0});
    frames.append(rest.substr(0, limits::frame_bytes_max));
    rest.remove_prefix(limits::frame_bytes_max);
  }
  append_header(frames, {static_cast<std::uint32_t>(rest.size()), last_connection_,
                         FrameKind::reply, last_flags_, last_count_});
  frames.append(rest);
  out_.resize(header_at_);
  out_.append(frames);
  frame_open_ = false;
}

std::size_t Channel::append_bulk_pieces(std::string& frames, std::string_view rest) {
  std::size_t taken = 0;
  while (bulk != nullptr && rest.size() - taken >= bulk_worth_bytes) {
    const auto slot = bulk->take();
    if (!slot) break;
    const std::string_view piece = rest.substr(taken, bulk_slot_bytes);
    std::memcpy(bulk->at(*slot), piece.data(), piece.size());
    append_header(frames,
                  {bulk_reference_bytes, last_connection_, FrameKind::bulk_reply, last_flags_, 0});
    append_bulk_reference(frames, *slot, piece.size());
    taken += piece.size();
  }
  return taken;
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

namespace {

/// Moves all of from behind what is in to; mostly that is nothing.
void move_behind(std::string& from, std::string& to) {
  if (to.empty()) {
    from.swap(to);
  } else {
    to.append(from);
    from.clear();
  }
}

}  // namespace

void Channel::stage() {
  dirty = false;
  frame_open_ = false;  // what is staged cannot grow any more
  move_behind(out_, staged_);
}

void Channel::release() { move_behind(staged_, released_); }

bool Channel::flush() {
  to_send = false;
  while (sent_ < released_.size()) {
    std::size_t put = 0;
    const Io io = write_some(reply_fd(), std::string_view(released_).substr(sent_), put);
    if (io == Io::closed) return false;
    if (io == Io::again) {
      wants_write = true;
      // What is sent goes, now and then: one that always lags a little would grow for ever.
      if (sent_ > released_.size() / 2) released_.erase(0, std::exchange(sent_, 0));
      return true;
    }
    sent_ += put;
  }
  wants_write = false;
  released_.clear();
  sent_ = 0;
  // A burst of large replies must not be held in memory for ever.
  if (released_.capacity() > 4 * limits::frame_bytes_max) released_.shrink_to_fit();
  return true;
}

}  // namespace kv
