// See connection.hpp.
#include "libkv/process/connection.hpp"

#include <algorithm>

#include "libkv/base/limits.hpp"

namespace kv {
namespace {

constexpr std::size_t under_way_max = 4096;  // requests of one connection, then it is not read from
constexpr std::size_t under_way_most = 4 * under_way_max;  // with those that came in one read
constexpr std::size_t unsent_pause_bytes = std::size_t{1} << 20;
constexpr std::size_t kept_capacity_max = 64 * 1024;

std::string_view too_big(Dialect dialect) noexcept {
  // PLIO has no word for it.
  return dialect == Dialect::plio ? std::string_view() : "-ERR Protocol error: too big request\r\n";
}

}  // namespace

void Connection::take(std::string_view bytes, FrameWriter& out) {
  if (bytes.empty()) return;
  if (!begun_) begin(bytes[0], out);
  if (!in_.empty() || behind()) {
    in_.append(bytes);
    return parse_kept(out);
  }
  const std::size_t used = parse(bytes, out);
  if (used < bytes.size()) in_.append(bytes.substr(used));
}

char* Connection::read_room(std::size_t& room, BulkSegment* segment) {
  return in_.room_for(std::max(resp_.needed(), plio_.needed()), segment, room);
}

void Connection::took_in_place(std::size_t room, std::size_t got, FrameWriter& out) {
  in_.took(room, got);
  parse_kept(out);
}

void Connection::resume(FrameWriter& out) {
  if (large_.active()) {
    if (!large_.go_on(out)) return;
    in_.drop(large_end_);
  }
  if (!in_.empty()) parse_kept(out);
}

void Connection::parse_kept(FrameWriter& out) {
  bool again = true;
  while (again && !in_.empty() && may_parse()) {
    const bool in_slot = in_.in_slot();
    const std::size_t used = parse(in_.bytes(), out);
    in_.drop(used);
    again = in_slot && used > 0;  // there a request at a time is parsed
  }
}

void Connection::report_taken(FrameWriter& out) {
  const std::uint64_t here = unsent() + pieces_.size();
  const std::uint64_t taken = untold_ - std::min(untold_, here);
  if (taken < taken_step_) return;
  append_header(out.bytes, {sizeof taken, number_, FrameKind::taken, 0, 0});
  out.bytes.append(reinterpret_cast<const char*>(&taken), sizeof taken);
  untold_ -= taken;
}

void Connection::begin(char first, FrameWriter& out) {
  begun_ = true;
  if (first == '\x01') dialect_ = Dialect::plio;
  append_header(out.bytes, {5, number_, FrameKind::open, 0, 0});
  out.bytes.push_back(static_cast<char>(dialect_));
  const std::int32_t descriptor = fd();
  out.bytes.append(reinterpret_cast<const char*>(&descriptor), sizeof descriptor);
}

std::size_t Connection::parse(std::string_view bytes, FrameWriter& out) {
  if (closing_ || failed_) return bytes.size();
  return dialect_ == Dialect::plio ? parse_plio(bytes, out) : parse_resp(bytes, out);
}

/// A request must wait for slots: nothing is dropped, since its arguments lie in these bytes.
std::size_t Connection::stay(std::size_t used) noexcept {
  large_end_ = used;
  return 0;
}

bool Connection::send_request(std::span<const Scalar> args, FrameWriter& out) {
  const std::size_t bytes = arguments_bytes(args);
  // Some words are shorter on the wire. The sibling would take it for a dishonest child's.
  if (bytes > limits::request_bytes_max) return fail(too_big(dialect_)), true;
  if (authenticated_ && bytes >= out.segment_worth_bytes) out.wants_segment = true;
  ++under_way_;
  if (bytes < bulk_worth_bytes) return append_request(out.bytes, number_, args, bytes), true;
  if (in_.in_slot()) return send_from_slot(args, in_, out, number_), true;
  const bool room = out.has_room(bytes);
  if (!room && bytes <= limits::frame_bytes_max) {
    return append_request(out.bytes, number_, args, bytes), true;
  }
  // What is not kept cannot wait: the arguments lie where the next client is read to.
  if (!room && (out.segment == nullptr || in_.empty())) {
    std::string whole;
    whole.reserve(bytes);
    append_arguments(whole, args);
    append_pieces(out.bytes, number_, whole);
    return true;
  }
  large_.begin(args, out, number_);
  return large_.go_on(out);
}

std::size_t Connection::parse_resp(std::string_view bytes, FrameWriter& out) {
  std::size_t used = 0;
  while (used < bytes.size() && may_parse()) {
    const ParseState state = resp_.next(bytes.substr(used));
    used += resp_.consumed();
    if (state == ParseState::need_more) return used;
    if (state != ParseState::request) return fail("-" + resp_.error() + "\r\n"), bytes.size();
    if (!send_request(resp_.args(), out)) return stay(used);
    if (failed_) return bytes.size();
    if (in_.in_slot()) return used;  // which may be the sibling's now
  }
  return used;
}

std::size_t Connection::parse_plio(std::string_view bytes, FrameWriter& out) {
  std::size_t used = 0;
  while (used < bytes.size() && may_parse()) {
    const ParseState state = plio_.next(bytes.substr(used));
    used += plio_.consumed();
    if (state == ParseState::need_more) return used;
    // Garbage before a login is answered as the original does; later there is no error to send.
    if (state == ParseState::error && !authenticated_) {
      std::string words;
      append_plio_message(words, "error", Scalar("NOAUTH"));
      return fail(words), bytes.size();
    }
    if (state != ParseState::request) return fail({}), bytes.size();
    if (!send_request(plio_.args(), out)) return stay(used);
    if (failed_) return bytes.size();
  }
  return used;
}

void Connection::end_of_input(FrameWriter& out) {
  input_ended_ = true;
  if (held()) append_header(out.bytes, {0, number_, FrameKind::ended, 0, 0});
}

void Connection::fail(std::string_view error) {
  last_words_ = error;
  failed_ = input_ended_ = true;
}

void Connection::reply(const FrameHeader& header, std::string_view payload) {
  resp3_ = (header.flags & kResp3) != 0;
  if (!authenticated_ && (header.flags & kAuthenticated) != 0) {
    authenticated_ = true;
    resp_.set_guest(false);
    plio_.set_guest(false);
  }
  if ((header.flags & kMore) != 0) return reply_piece(header.flags, payload);
  untold_ += payload.size();
  if (!pieces_.empty()) {
    pieces_.append(payload);
    translate(pieces_);
    std::string().swap(pieces_);
  } else if ((header.flags & kTranslate) == 0 && dialect_ == Dialect::resp) {
    out_.append(payload);
  } else {
    translate(payload);
  }
  under_way_ -= std::min<std::size_t>(under_way_, header.count);
  if (header.count > 0) waits_ = false;
  if ((header.flags & kClose) != 0) {
    closing_ = input_ended_ = true;
    cut_off_ = header.count == 0;
  }
  dirty = true;
}

void Connection::push(std::string_view message) {
  // Whose client sends no more is hung up on when it has what it asked for: it would never end.
  if (closing_ || (input_ended_ && under_way_ == 0) || message.empty()) return;
  const std::size_t at = out_.size();
  out_.append(message);
  if (!resp3_ && message.front() == '>') out_[at] = '*';  // nothing else of it differs
  untold_ += message.size();
  taken_step_ = limits::taken_message_step_bytes;
}

void Connection::reply_piece(std::uint8_t flags, std::string_view piece) {
  untold_ += piece.size();
  const bool as_it_is = (flags & kTranslate) == 0 && dialect_ == Dialect::resp;
  const bool worth_a_call =
      under_way_ <= 1 ? piece.size() >= bulk_worth_bytes : piece.size() >= bulk_worth_always_bytes;
  if (as_it_is && unsent() == 0 && worth_a_call) {
    // Nothing before it waits: from where it lies to the socket. flush() meets an error again.
    std::size_t put = 0;
    (void)write_some(fd(), piece, put);
    piece.remove_prefix(put);
  }
  (as_it_is ? out_ : pieces_).append(piece);
}

void Connection::translate(std::string_view payload) {
  if (dialect_ == Dialect::plio) {
    (void)to_plio(payload, out_);
  } else if (resp3_) {
    (void)to_resp3(payload, out_);
  } else {
    (void)to_resp2(payload, out_);
  }
}

bool Connection::flush() {
  dirty = false;
  // After the answer to QUIT nothing follows, also not about what came behind it.
  if (under_way_ == 0 && !last_words_.empty() && !closing_) {
    out_.append(last_words_);
    last_words_.clear();
    closing_ = true;
  }
  const Io io = write_queue(fd(), out_, sent_, kept_capacity_max);
  return io != Io::closed && !cut_off_;
}

/// So much of its replies waits for the client that its requests must wait, too.
bool Connection::behind() const noexcept { return unsent() > unsent_pause_bytes; }

bool Connection::may_parse() const noexcept {
  return !held() && !behind() && !waits_ && under_way_ < under_way_most;
}

// Many a client sends all it has to say before it reads: if its requests were left in the socket
// then, it and we would wait for each other for ever. So they are kept here, unanswered: at most
// what one request may have.
bool Connection::wants_input() const noexcept {
  if (input_ended_ || closing_ || large_.active()) return false;
  if (behind() || waits_) return authenticated_ && in_.bytes().size() < limits::request_bytes_max;
  return under_way_ < under_way_max && !(held() && in_.bytes().size() >= limits::read_bytes);
}

bool Connection::finished() const noexcept {
  if (unsent() > 0) return false;
  // Who waits has to be there: it may be gone for good, and what it gets then would be lost.
  if (closing_ || (waits_ && input_ended_)) return true;
  // What was held back is still to come.
  return input_ended_ && under_way_ == 0 && last_words_.empty();
}

}  // namespace kv
