// The sibling's side of its children: announcements, frames, connections. See sibling.hpp; what
// goes back to them is in sibling_replies.cpp.
#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "libkv/base/clock.hpp"
#include "libkv/base/log.hpp"
#include "libkv/base/memory.hpp"
#include "libkv/base/text.hpp"
#include "libkv/process/sibling.hpp"

namespace kv {
namespace {

constexpr std::size_t unsent_pause_bytes = Channel::unsent_pause_bytes;
constexpr std::size_t deferred_bytes_max = 64 * 1024;

bool out_of_descriptors(const Result<Fd>& opened) noexcept {
  return !opened.ok() && opened.status().code() == Code::limit;
}

bool asks_to_log_in(std::string_view command) noexcept {
  return equals_ignoring_case(command, "auth") || equals_ignoring_case(command, "hello");
}

}  // namespace

// --- announcements ---

void Sibling::read_announcements() {
  const memory::MayUseReserve whole;  // what is read of them here is nowhere else
  Announcement batch[16];
  for (;;) {
    std::size_t got = 0;
    const Io io =
        read_some(announcements_.get(), reinterpret_cast<char*>(batch), sizeof batch, got);
    if (io != Io::done) return;
    for (std::size_t i = 0; i < got / sizeof(Announcement); ++i) {
      batch[i].address[sizeof batch[i].address - 1] = '\0';
      batch[i].local_address[sizeof batch[i].local_address - 1] = '\0';
      switch (batch[i].kind) {
        case AnnouncementKind::child: announced_child(batch[i]); break;
        case AnnouncementKind::connection: announced_connection(batch[i]); break;
        case AnnouncementKind::withdrawn: announced_withdrawn(batch[i]); break;
        case AnnouncementKind::gone: announced_gone(batch[i].pid); break;
        case AnnouncementKind::rejected: ++counters_.connections_rejected; break;
        case AnnouncementKind::segment: {
          const auto channel = channels_.find(batch[i].pid);
          auto segment = BulkSegment::open(setup_.folder.segment_name(batch[i].pid));
          if (!segment.ok()) log::warn(segment.status().message());
          else if (channel != channels_.end()) channel->second->bulk_to_be = *std::move(segment);
          break;
        }
      }
    }
  }
}

void Sibling::announced_child(const Announcement& announcement) {
  const std::int32_t pid = announcement.pid;
  const std::string request_path = setup_.folder.request_pipe(pid);
  const std::string reply_path = setup_.folder.reply_pipe(pid);
  Result<Fd> requests = open_pipe(request_path, O_RDONLY);
  Result<Fd> replies = open_pipe(reply_path, O_WRONLY);
  if (out_of_descriptors(requests) || out_of_descriptors(replies)) {
    unopened_.push_back(announcement);  // timers() tries again
    return;
  }
  // Both ends are open: from here on no name leads to these pipes.
  ::unlink(request_path.c_str());
  ::unlink(reply_path.c_str());
  if (!requests.ok() || !replies.ok()) return;  // it has died already
  // Values of some KiB need fewer turns then: 8 to 40 KiB, 50 clients, SET +11 to +28 %, GET +9 %.
  if (setup_.options.few_children()) {
    enlarge_pipe(requests->get());
    enlarge_pipe(replies->get());
  }
  retire(pid);  // one that had the same pid and whose last frames are not read yet
  auto channel = std::make_unique<Channel>(pid, *std::move(requests), *std::move(replies));
  watch(epoll_.get(), channel->request_fd(), EPOLLIN);
  by_request_fd_[channel->request_fd()] = channel.get();
  by_reply_fd_[channel->reply_fd()] = channel.get();
  mark_dirty(*channel);
  channel->append_plain(FrameKind::attached, {});
  if (auto early = early_.extract(pid); !early.empty()) {
    for (auto& session : early.mapped()) {
      if (session->dead) closing_.push_back(session.get());  // who ended it had nobody to tell
      channel->add(std::move(session));
    }
  }
  channels_[pid] = std::move(channel);
}

void Sibling::open_unopened() {
  std::vector<Announcement> again;
  again.swap(unopened_);
  for (const Announcement& announcement : again) announced_child(announcement);
}

void Sibling::announced_connection(const Announcement& announcement) {
  auto session = std::make_unique<Session>();
  session->id = next_session_id_++;
  session->number = announcement.connection;
  session->child_pid = announcement.pid;
  session->address = announcement.address;
  session->local_address = announcement.local_address;
  session->local = announcement.local != 0;
  session->authenticated = session->was_authenticated = announcement.trusted != 0;
  session->created_ms = session->last_ms = wall_ms();
  session->guest_since_ms = monotonic_ms();
  sessions_[session->id] = session.get();
  if (const auto channel = channels_.find(announcement.pid); channel != channels_.end()) {
    close_connection(*channel->second, session->number);  // never there; never freed under a name
    channel->second->add(std::move(session));
  } else {
    early_[announcement.pid].push_back(std::move(session));
  }
}

void Sibling::announced_withdrawn(const Announcement& announcement) {
  const auto channel = channels_.find(announcement.pid);
  if (channel != channels_.end()) {
    return close_connection(*channel->second, announcement.connection);
  }
  const auto early = early_.find(announcement.pid);
  if (early == early_.end()) return;
  std::vector<std::unique_ptr<Session>>& waiting = early->second;
  const auto found = std::find_if(waiting.begin(), waiting.end(), [&](const auto& session) {
    return session->number == announcement.connection;
  });
  if (found == waiting.end()) return;
  forget(std::move(*found));
  waiting.erase(found);
}

void Sibling::announced_gone(std::int32_t pid) {
  if (auto early = early_.extract(pid); !early.empty()) {
    for (auto& session : early.mapped()) forget(std::move(session));
  }
  retire(pid);
}

/// The child has ended and its pid may be another's soon. What it sent before is still in its pipe;
/// the end of that closes the channel.
void Sibling::retire(std::int32_t pid) {
  if (auto channel = channels_.extract(pid); !channel.empty()) {
    retired_.push_back(std::move(channel.mapped()));
  }
}

// --- frames ---

/// Until the child has read what waits for it nothing is read from it, nor even looked at: a pipe
/// that is left in the loop would wake it for ever.
void Sibling::pause(Channel& channel) {
  if (channel.paused) return;
  channel.paused = true;
  unwatch(epoll_.get(), channel.request_fd());
}

void Sibling::resume(Channel& channel) {
  channel.paused = false;
  watch(epoll_.get(), channel.request_fd(), EPOLLIN);
  resumed_.push_back(channel.request_fd());
}

/// One child's slow commands must not keep the others waiting: with the rest of what it has sent it
/// goes on in the next round, before more is read of it. The engine has looked at a clock anyway.
bool Sibling::turn_is_over(Channel& channel) {
  if (engine_.busy_us() - turn_began_us_ < limits::channel_turn.count()) return false;
  go_on_next_round(channel);
  return true;
}

void Sibling::go_on_next_round(Channel& channel) {
  if (!std::exchange(channel.behind, true)) resumed_.push_back(channel.request_fd());
}

void Sibling::read_channel(Channel& channel, bool from_pipe) {
  channel.behind = false;
  turn_began_us_ = engine_.busy_us();
  if (channel.held) return;
  if (channel.unsent() > unsent_pause_bytes) return pause(channel);
  for (const std::uint32_t number : std::exchange(channel.backlogs, {})) {
    if (turn_is_over(channel)) channel.backlogs.push_back(number);
    else if (Session* const session = channel.find(number)) run_backlog(*session);
  }
  if (turn_is_over(channel)) return;
  const std::size_t keep = channel.leftover.size();
  // More than that has a whole frame in it, from before a pause: first things first.
  from_pipe = from_pipe && keep <= limits::frame_bytes_max + frame_header_bytes;
  if (arena_used_ + keep + limits::read_bytes > arena_.size()) {
    engine_.finish();
    arena_used_ = 0;
  }
  char* const start = arena_.data() + arena_used_;
  std::copy(channel.leftover.begin(), channel.leftover.end(), start);
  std::size_t got = 0;
  const Io io =
      from_pipe ? read_some(channel.request_fd(), start + keep, limits::read_bytes, got) : Io::done;
  if (io == Io::again) return;
  if (io == Io::closed) return drop_channel(channel, {});
  arena_used_ += keep + got;
  channel.leftover.clear();
  const std::string_view bytes(start, keep + got);
  const std::size_t taken = take_frames(channel, bytes);
  if (taken < bytes.size()) channel.leftover.assign(bytes.substr(taken));
}

/// Where memory ends and no request can be told, its child pays, not everybody.
void Sibling::read_or_drop(Channel& channel, bool from_pipe) {
  try {
    const memory::MayUseReserve may(false);
    read_channel(channel, from_pipe);
  } catch (const std::bad_alloc&) {
    drop_channel(channel, no_memory_for_it);
  }
}

std::size_t Sibling::take_frames(Channel& channel, std::string_view bytes) {
  FramesAhead frames(*databases_.front(), bytes);
  while (const FramesAhead::Frame* frame = frames.next()) {
    if (!handle_frame(channel, *frame)) {
      drop_channel(channel, "sent a frame that no honest child sends");
      return bytes.size();
    }
    if (channel.unsent() > unsent_pause_bytes) pause(channel);
    else if (!turn_is_over(channel)) continue;
    return frames.taken();
  }
  if (frames.bad()) {
    drop_channel(channel, "sent a frame over the limit");
    return bytes.size();
  }
  return frames.taken();
}

Session* Sibling::session_of(Channel& channel, std::uint32_t number) {
  if (Session* session = channel.find(number); session != nullptr) return session;
  read_announcements();  // it may be waiting there
  return channel.find(number);
}

bool Sibling::handle_frame(Channel& channel, const FramesAhead::Frame& frame) {
  const FrameHeader& header = frame.header;
  if (header.kind != FrameKind::request) return handle_other(channel, header, frame.payload);
  Session* session = session_of(channel, header.connection);
  if (session == nullptr) return false;
  if (channel.has_assembly(header.connection)) {
    return take_assembled(channel, *session, frame.payload);
  }
  if (frame.argc != 0) {
    carry_out(*session, frame.args(), frame.payload.size(), frame.hashes);
    return true;
  }
  if (!read_arguments(frame.payload, args_) || args_.empty()) return false;
  carry_out(*session, args_, frame.payload.size(), {});
  return true;
}

bool Sibling::handle_other(Channel& channel, const FrameHeader& header, std::string_view payload) {
  if (header.kind == FrameKind::bulk_done) {
    std::uint64_t offset = 0;
    if (payload.size() != sizeof offset || channel.bulk == nullptr) return false;
    std::memcpy(&offset, payload.data(), sizeof offset);
    if (channel.waits_for_slot) slots_back_.push_back(&channel);
    return channel.bulk->give_back(offset);
  }
  if (header.kind == FrameKind::mapped) return use_segment(channel);
  Session* session = session_of(channel, header.connection);
  if (session == nullptr) return false;
  switch (header.kind) {
    case FrameKind::open: return open_connection(*session, payload);
    case FrameKind::part: return take_piece(channel, *session, payload, false);
    case FrameKind::bulk: return take_bulk(channel, *session, header.flags, payload);
    case FrameKind::taken: return note_taken(*session, payload);
    case FrameKind::ended: gatekeeper_.step_back(session->address, session->id); return true;
    case FrameKind::closed: close_connection(channel, header.connection); return true;
    default: return false;
  }
}

bool Sibling::use_segment(Channel& channel) {
  if (channel.bulk != nullptr) return false;
  read_announcements();  // it may be announced there
  channel.bulk = std::move(channel.bulk_to_be);
  if (channel.bulk == nullptr) return true;  // we could not map it: the pipe goes on
  mark_dirty(channel);
  channel.append_plain(FrameKind::usable, {});
  return true;
}

bool Sibling::open_connection(Session& session, std::string_view payload) {
  if (payload.size() != 5 || static_cast<std::uint8_t>(payload[0]) > 1) return false;
  // Once, and first: in the middle of a batch another dialect would do what no line of the log
  // says.
  if (std::exchange(session.opened, true) || session.commands > 0) return false;
  session.dialect = static_cast<Dialect>(payload[0]);
  std::memcpy(&session.fd, payload.data() + 1, sizeof session.fd);
  return true;
}

/// of_argument: see kArgument.
bool Sibling::take_piece(Channel& channel, Session& session, std::string_view payload,
                         bool of_argument) {
  const std::size_t most = session.was_authenticated
                               ? limits::request_bytes_max
                               : limits::guest_bulk_bytes_max * (limits::guest_args_max + 1);
  Assembly& assembly = channel.assembly(session.number);
  if (assembly.size() + payload.size() > most) return false;
  if (session.no_room) return true;
  try {
    if (of_argument) assembly.add_to_argument(payload);
    else assembly.add(payload);
  } catch (const std::bad_alloc&) {
    session.no_room = true;  // the rest is read and forgotten; then it is told
    assembly.clear();
  }
  return true;
}

bool Sibling::take_bulk(Channel& channel, Session& session, std::uint8_t flags,
                        std::string_view payload) {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  if (channel.bulk == nullptr || !read_bulk_reference(payload, offset, bytes)) return false;
  const auto view = channel.bulk->view(offset, bytes);
  if (!view || !take_piece(channel, session, *view, (flags & kArgument) != 0)) return false;
  if ((flags & kMore) != 0) return true;
  mark_dirty(channel);
  channel.append_plain(FrameKind::bulk_done,
                       {reinterpret_cast<const char*>(&offset), sizeof offset});
  return true;
}

/// payload: the last piece of it.
bool Sibling::take_assembled(Channel& channel, Session& session, std::string_view payload) {
  if (!take_piece(channel, session, payload, false)) return false;
  Assembly& assembly = channel.assembly(session.number);
  try {
    if (!session.no_room && (!assembly.read(args_) || args_.empty())) return false;
  } catch (const std::bad_alloc&) {
    session.no_room = true;
  }
  if (std::exchange(session.no_room, false)) {
    channel.drop_assembly(session.number);
    engine_.finish();
    engine_.refuse_for_memory(session);
    return true;
  }
  {
    const Offer keep_what_you_like(assembly.blocks());
    carry_out(session, args_, assembly.size(), {});
    engine_.finish();  // the pieces live no longer than this request
  }
  channel.drop_assembly(session.number);
  return true;
}

/// So many bytes came for it.
void Sibling::carry_out(Session& session, std::span<const Scalar> args, std::size_t bytes,
                        const KnownHashes& hashes) {
  counters_.net_input_bytes += bytes;
  session.bytes_in += bytes;
  session.last_ms = counters_.clock_ms;
  if (log::verbose()) note_request(session, args);
  if (session.dead || session.close_after_reply) return;  // QUIT, or killed
  if (!monitors_.empty()) [[unlikely]]
    show_to_monitors(session, args);
  if (nothing_waits(session) || !must_wait(session, args)) submit(session, args, hashes);
}

void Sibling::submit(Session& session, std::span<const Scalar> args, const KnownHashes& hashes) {
  engine_.submit(session, args, hashes);
  // After large replies each request ends its batch, so that what is unread is known in time.
  if (session.last_reply > limits::large_reply_bytes) engine_.finish();
}

bool Sibling::note_taken(Session& session, std::string_view payload) {
  std::uint64_t bytes = 0;
  if (payload.size() != sizeof bytes) return false;
  std::memcpy(&bytes, payload.data(), sizeof bytes);
  if (bytes > session.unread) return false;
  session.unread -= bytes;
  forget_messages(session, session.unread);
  run_backlog(session);
  return true;
}

void Sibling::run_backlog(Session& session) {
  const auto found = deferred_.find(session.id);
  if (found == deferred_.end() || found->second.for_turn) return;
  engine_.finish();
  std::deque<std::string>& requests = found->second.requests;
  while (!requests.empty() && !is_held(session) && !session.dead && !session.close_after_reply) {
    const std::string request = std::move(requests.front());
    requests.pop_front();
    found->second.bytes -= request.size();
    if (!read_arguments(request, args_)) break;
    engine_.submit(session, args_);
    engine_.finish();
    if (turn_is_over(*session.channel)) {
      session.channel->backlogs.push_back(session.number);
      break;
    }
  }
  if (requests.empty()) deferred_.erase(session.id);
}

// --- requests that wait: for a login's turn, or behind one of the same session that waits ---

bool Sibling::must_wait(Session& session, std::span<const Scalar> args) {
  if (deferred_.empty() || !deferred_.contains(session.id)) {
    const bool held = is_held(session);
    if (!held && (session.authenticated || !asks_to_log_in(args[0].bytes))) return false;
    if (!held && !gatekeeper_.must_queue(session.address, session.id, monotonic_ms())) return false;
    deferred_[session.id].for_turn = !held;
  }
  Deferred& deferred = deferred_[session.id];
  std::string request;
  append_arguments(request, args);
  deferred.bytes += request.size();
  deferred.requests.push_back(std::move(request));
  // An honest child keeps most of it back.
  const std::size_t most = session.authenticated ? limits::request_bytes_max : deferred_bytes_max;
  if (deferred.bytes > most) close_session(session);
  return true;
}

void Sibling::run_deferred() {
  const std::vector<std::uint64_t> due = gatekeeper_.turns(monotonic_ms());
  for (const std::uint64_t id : due) {
    auto node = deferred_.extract(id);
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || node.empty()) continue;
    Session& session = *found->second;
    bool turn_used = false;
    for (const std::string& request : node.mapped().requests) {
      if (session.dead || session.close_after_reply || !read_arguments(request, args_)) break;
      // One login a turn; what follows it waits again if it logs in again.
      if (turn_used && must_wait(session, args_)) continue;
      turn_used = true;
      submit(session, args_);
      engine_.finish();
    }
  }
  if (!due.empty()) flush_channels();
}

// --- ends ---

void Sibling::close_connection(Channel& channel, std::uint32_t number) {
  if (auto session = channel.remove(number); session != nullptr) forget(std::move(session));
}

void Sibling::forget(std::unique_ptr<Session> session) {
  sessions_.erase(session->id);
  (void)engine_.withdraw_wait(*session);
  engine_.unwatch(*session);
  subscriptions_.forget(*session);
  monitor(*session, false);
  forget_messages(*session, 0);
  const auto waiting = deferred_.find(session->id);
  if (waiting != deferred_.end()) {
    if (waiting->second.for_turn) gatekeeper_.leave(session->address, session->id);
    deferred_.erase(waiting);
  }
  session->dead = true;
  session->channel = nullptr;
  graveyard_.push_back(std::move(session));  // the batch may still name it
}

void Sibling::drop_channel(Channel& channel, std::string_view why) {
  if (!why.empty()) {
    ++counters_.child_crashes;
    log::warn("child " + std::to_string(channel.pid()) + " " + std::string(why) +
              ": its connections are closed");
  }
  by_request_fd_.erase(channel.request_fd());
  by_reply_fd_.erase(channel.reply_fd());
  unwatch(epoll_.get(), channel.request_fd());
  if (channel.watched) unwatch(epoll_.get(), channel.reply_fd());
  std::vector<std::uint32_t> numbers;
  for (const auto& [number, session] : channel.sessions()) numbers.push_back(number);
  for (const std::uint32_t number : numbers) close_connection(channel, number);
  std::erase(dirty_, &channel);
  std::erase(slots_back_, &channel);
  forget_held(channel);
  if (const auto found = channels_.find(channel.pid());
      found != channels_.end() && found->second.get() == &channel) {
    dropped_.push_back(std::move(found->second));
    channels_.erase(found);
    return;
  }
  const auto old = std::find_if(retired_.begin(), retired_.end(),
                                [&channel](const auto& one) { return one.get() == &channel; });
  if (old == retired_.end()) return;
  dropped_.push_back(std::move(*old));
  retired_.erase(old);
}

void Sibling::note_request(const Session& session, std::span<const Scalar> args) {
  std::string text = "[msg] from client: (pid: " + std::to_string(session.child_pid) + ") " +
                     session.address + " (" + quoted(args[0].bytes.substr(0, 40));
  if (asks_to_log_in(args[0].bytes)) {
    text += " ...";
  } else {
    for (std::size_t i = 1; i < std::min<std::size_t>(args.size(), 8); ++i) {
      text.append(" \"").append(shown(args[i].bytes, 40)).append("\"");
    }
    if (args.size() > 8) text += " ...";
  }
  log::note(text + ")");
}

}  // namespace kv
