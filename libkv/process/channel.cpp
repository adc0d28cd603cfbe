// See channel.hpp.
#include "libkv/process/channel.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libkv/base/limits.hpp"

namespace kv {
namespace {

constexpr std::string_view line_break = "\r\n";
// Memory of a stretch that is sent is used again up to this size; a burst must not hold it for
// ever.
constexpr std::size_t kept_bytes_max = 4 * limits::frame_bytes_max;

}  // namespace

Session* Channel::find(std::uint32_t number) const {
  if (found_ != nullptr && found_->number == number) return found_;
  const auto found = sessions_.find(number);
  found_ = found == sessions_.end() ? nullptr : found->second.get();
  return found_;
}

void Channel::add(std::unique_ptr<Session> session) {
  session->channel = this;
  const std::uint32_t number = session->number;
  found_ = nullptr;
  sessions_[number] = std::move(session);
}

std::unique_ptr<Session> Channel::remove(std::uint32_t number) {
  const auto found = sessions_.find(number);
  if (found == sessions_.end()) return nullptr;
  std::unique_ptr<Session> session = std::move(found->second);
  sessions_.erase(found);
  found_ = nullptr;
  assemblies_.erase(number);
  return session;
}

void Channel::begin_frame(std::uint32_t connection) {
  if (out_.size() > stretch_bytes_max) close_stretch();
  frame_open_ = false;
  out_.append(frame_header_bytes, '\0');
  header_at_ = begun_at_;
  last_count_ = 0;
  last_connection_ = connection;
  frame_open_ = true;
}

/// One that is large, or says something else to the child than those before it.
std::size_t Channel::end_other_reply(std::uint8_t flags, std::string_view rest) {
  const std::size_t ending = rest.empty() ? 0 : rest.size() + line_break.size();
  const std::size_t bytes = out_.size() - reply_start_ + ending;
  const bool worth_a_slot = bytes >= bulk_worth_bytes && bulk != nullptr;
  if (joined_ && (flags != last_flags_ || worth_a_slot || !rest.empty())) part_from_frame();
  last_flags_ = flags;
  ++last_count_;
  if (worth_a_slot && end_in_slot(rest, bytes)) return bytes;
  const std::size_t payload = out_.size() - header_at_ - frame_header_bytes + ending;
  if (payload > limits::frame_bytes_max) return end_large_reply(rest), bytes;
  if (!rest.empty()) out_.append(rest).append(line_break);
  write_header(payload);
  return bytes;
}

/// A reply of so many bytes, whole, behind others in a slot: its frames are short and need no
/// stretch of their own. False: there is no room, or it would overtake one that waits for some.
bool Channel::end_in_slot(std::string_view rest, std::size_t bytes) {
  if (large_queued_ > 0 || bytes > bulk_slot_bytes || last_count_ > 1) return false;
  std::string frames;
  frames.reserve(2 * frame_header_bytes + bulk_reference_bytes);
  out_.reserve(header_at_ + frames.capacity());
  const FrameHeader end{0, last_connection_, FrameKind::reply, last_flags_, last_count_};
  Scattered whole = last_frame(rest);
  if (!put_in_slot(frames, end, whole)) return false;
  append_header(frames, end);
  out_.resize(header_at_);
  out_.append(frames);
  frame_open_ = false;
  return true;
}

/// What the last frame in out_ holds so far, and the rest of its last reply.
Scattered Channel::last_frame(std::string_view rest) const noexcept {
  return {std::string_view(out_).substr(header_at_ + frame_header_bytes), rest,
          rest.empty() ? rest : line_break};
}

/// The reply begun last cannot travel with the ones before: it gets a frame of its own.
void Channel::part_from_frame() {
  if (out_.size() - reply_start_ <= limits::frame_bytes_max) {
    out_.insert(reply_start_, frame_header_bytes, '\0');
    header_at_ = reply_start_;
  } else {
    // A string that is full would double: the header gets the place of what is cut off.
    cut(reply_start_, frame_header_bytes);
    header_at_ = begun_at_ = 0;
  }
  last_count_ = 0;
}

/// What lies before this byte of out_, which is not behind the reply begun last, joins the queue;
/// so many bytes of it stay, as room. All of that, or an exception and nothing.
void Channel::cut(std::size_t at, std::size_t room) {
  std::string before(out_, 0, at);
  enqueue(before);
  const std::size_t gone = at - room;
  out_.erase(0, gone);
  for (std::size_t* place : {&header_at_, &reply_start_, &begun_at_}) {
    *place -= std::min(*place, gone);
  }
}

/// Into the slots that are free, as long as it is warm; what finds none waits as it lies. Behind
/// one that waits no slot is taken: it would not be given back before that one has got its own.
void Channel::end_large_reply(std::string_view rest) {
  std::string frames;
  frames.reserve(bulk_reply_slots * (frame_header_bytes + bulk_reference_bytes));
  if (header_at_ > 0) cut(header_at_);
  queue_.resize(queue_.size() + 2);
  // From here on nothing can fail: no string grows beyond the room it has (Reply::last).
  frame_open_ = false;
  Scattered bytes = last_frame(rest);
  FrameHeader header{0, last_connection_, FrameKind::reply, last_flags_, last_count_};
  while (large_queued_ == 0 && put_in_slot(frames, header, bytes)) {
  }
  const bool large = bytes.size() > limits::frame_bytes_max;
  if (large) header.kind = FrameKind::large;
  header.size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(out_.data(), &header, frame_header_bytes);
  out_.erase(frame_header_bytes, out_.size() - frame_header_bytes - bytes.part(0).size());
  out_.append(bytes.part(1)).append(bytes.part(2));
  if (!large) {
    queue_.resize(queue_.size() - 2);
    out_.insert(0, frames);
    return;
  }
  queued_bytes_ += frames.size() + out_.size();
  ++large_queued_;
  queue_[queue_.size() - 2].bytes.swap(frames);
  queue_.back().large = true;
  queue_.back().bytes.swap(out_);
}

void Channel::forget_reply() noexcept {
  out_.resize(std::min(begun_at_, out_.size()));
  frame_open_ = making_reply_ = false;
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
  const std::size_t filled = std::min(bytes.size(), bulk_slot_bytes);
  const auto slot = bulk->take(filled);
  if (!slot) return false;
  bytes.take(bulk->at(*slot), filled);
  append_bulk_frame(frames, FrameKind::bulk_reply, reply.connection, reply.flags, *slot, filled);
  return true;
}

void Channel::append_close(const Session& session) {
  append_header(out_, {0, session.number, FrameKind::reply,
                       static_cast<std::uint8_t>(flags_for(session, false) | kClose), 0});
  frame_open_ = false;
}

void Channel::append_later(const Session& session) {
  append_header(out_, {0, session.number, FrameKind::later, 0, 0});
  frame_open_ = false;
}

void Channel::append_plain(FrameKind kind, std::string_view payload) {
  append_header(out_, {static_cast<std::uint32_t>(payload.size()), 0, kind, 0, 0});
  out_.append(payload);
  frame_open_ = false;
}

void Channel::append_message(std::span<const std::uint32_t> connections, std::string_view body) {
  const auto count = static_cast<std::uint32_t>(connections.size());
  const std::string_view how_many(reinterpret_cast<const char*>(&count), sizeof count);
  const std::string_view numbers(reinterpret_cast<const char*>(connections.data()),
                                 connections.size_bytes());
  Scattered payload(how_many, numbers, body);
  if (!making_reply_ && out_.size() > stretch_bytes_max) close_stretch();
  std::string& out = making_reply_ ? behind_reply_ : out_;
  const std::size_t frames = payload.size() / limits::frame_bytes_max + 1;
  out.reserve(out.size() + payload.size() + frames * frame_header_bytes);
  for (bool more = true; more;) {
    const std::size_t size = std::min(payload.size(), limits::frame_bytes_max);
    more = size < payload.size();
    const std::uint8_t flags = more ? kMore : 0;
    append_header(out, {static_cast<std::uint32_t>(size), 0, FrameKind::message, flags, 0});
    const std::size_t at = out.size();
    out.resize(at + size);
    payload.take(out.data() + at, size);
  }
  if (!making_reply_) frame_open_ = false;
}

void Channel::append_messages_behind() {
  out_.append(behind_reply_);
  std::string().swap(behind_reply_);
  frame_open_ = false;
}

/// Leaves bytes empty; or an exception, and nothing is done.
void Channel::enqueue(std::string& bytes) {
  queue_.emplace_back();
  queue_.back().bytes.swap(bytes);
  queued_bytes_ += queue_.back().bytes.size();
}

/// What is in out_ joins the queue.
void Channel::close_stretch() {
  enqueue(out_);
  frame_open_ = false;
  begun_at_ = 0;
}

void Channel::release() {
  dirty = false;
  frame_open_ = false;  // what is released cannot grow any more
  const bool few = !queue_.empty() && !queue_.back().large &&
                   queue_.back().bytes.size() + out_.size() <= limits::frame_bytes_max;
  if (few) {
    queue_.back().bytes.append(out_);  // a child that lags does not collect a thousand of them
    queued_bytes_ += out_.size();
    out_.clear();
  } else if (!out_.empty()) {
    close_stretch();
  }
  released_ = queue_.size();
}

bool Channel::flush() {
  wants_write = waits_for_slot = false;
  for (;;) {
    Io io = send(piece_, piece_sent_);
    if (io == Io::done) {
      piece_.clear();
      piece_sent_ = 0;
      if (released_ == 0) return true;
      const Stretch& first = queue_.front();
      if (first.large) {
        waits_for_slot = !next_piece(first);
        if (waits_for_slot) return true;
        continue;
      }
      io = send(first.bytes, sent_);
    }
    if (io == Io::closed) return false;
    wants_write = io == Io::again;
    if (wants_write) return true;
    drop_first();
  }
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

/// The first stretch is sent. Its memory, which is warm, serves the next replies.
void Channel::drop_first() {
  Stretch& first = queue_.front();
  queued_bytes_ -= first.bytes.size();
  large_queued_ -= first.large ? 1 : 0;
  sent_ = 0;
  const std::size_t room = first.bytes.capacity();
  if (out_.empty() && out_.capacity() < room && room <= kept_bytes_max) {
    first.bytes.clear();
    out_.swap(first.bytes);
  }
  queue_.pop_front();
  --released_;
}

/// Of the large reply that is the first stretch. False: it has to wait for a slot.
bool Channel::next_piece(const Stretch& large) {
  FrameHeader header;
  std::memcpy(&header, large.bytes.data(), frame_header_bytes);
  sent_ = std::max(sent_, frame_header_bytes);
  const std::string_view rest = std::string_view(large.bytes).substr(sent_);
  if (Scattered bytes(rest); put_in_slot(piece_, header, bytes)) {
    sent_ = large.bytes.size() - bytes.size();
    return true;
  }
  const bool worth_waiting = bulk != nullptr && rest.size() >= bulk_worth_bytes;
  if (worth_waiting && !paused && unsent() <= unsent_pause_bytes) return false;
  const std::string_view piece = rest.substr(0, limits::frame_bytes_max);
  header.kind = FrameKind::reply;
  header.size = static_cast<std::uint32_t>(piece.size());
  const bool last = piece.size() == rest.size();
  if (!last) {
    header.flags = static_cast<std::uint8_t>((header.flags & ~kClose) | kMore);
    header.count = 0;
  }
  append_header(piece_, header);
  piece_.append(piece);
  sent_ += piece.size();
  if (last) drop_first();
  return true;
}

}  // namespace kv
