// See child.hpp.
#include "libkv/process/child.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "libkv/base/limits.hpp"
#include "libkv/base/log.hpp"
#include "libkv/process/announcement.hpp"
#include "libkv/process/sandbox.hpp"
#include "libkv/process/title.hpp"

namespace kv {
namespace {

constexpr int events_max = 128;
// So much memory of large values is used again instead of being given back after each.
constexpr int memory_kept_bytes = 8 << 20;
// With this much waiting for the sibling, clients are not read from.
constexpr std::size_t unsent_pause_bytes = std::size_t{1} << 20;
// Of the queue to it, when it is empty.
constexpr std::size_t kept_capacity_max = 2 * unsent_pause_bytes;

}  // namespace

Status Child::open_pipes() {
  const int pid = ::getpid();
  const std::string request_path = folder_.request_pipe(pid);
  const std::string reply_path = folder_.reply_pipe(pid);
  for (const std::string& path : {request_path, reply_path}) {
    if (Status made = make_pipe(path); !made.ok()) return made;
  }
  Result<Fd> replies = open_pipe(reply_path, O_RDONLY);
  // A reader of our own, until the sibling has opened its end: a writer needs one to open at all.
  Result<Fd> placeholder = open_pipe(request_path, O_RDONLY);
  Result<Fd> requests = open_pipe(request_path, O_WRONLY);
  Result<Fd> announce = open_pipe(folder_.sibling_pipe(), O_WRONLY);
  for (const auto* opened : {&replies, &placeholder, &requests, &announce}) {
    if (!opened->ok()) return opened->status();
  }
  Announcement hello;
  hello.kind = AnnouncementKind::child;
  hello.pid = pid;
  // The pipe may be full of announcements for a moment; each is taken off within a round.
  ::fcntl(announce->get(), F_SETFL, 0);
  std::size_t put = 0;
  const Io io =
      write_some(announce->get(), {reinterpret_cast<const char*>(&hello), sizeof hello}, put);
  if (io != Io::done) return {Code::lost, "the sibling is gone"};
  replies_ = *std::move(replies);
  requests_ = *std::move(requests);
  placeholder_ = *std::move(placeholder);
  return {};
}

void Child::run() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  ::mallopt(M_MMAP_THRESHOLD, memory_kept_bytes);
  ::mallopt(M_TRIM_THRESHOLD, memory_kept_bytes);
  // When memory ends malloc would try another arena, and ask the kernel how many processors there
  // are, which a child may not.
  ::mallopt(M_ARENA_MAX, 1);
  set_title("kv child");
  if (const Status status = open_pipes(); !status.ok()) {
    log::warn("child: " + status.message());
    ::_exit(1);
  }
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  watch(epoll_.get(), control_.get(), EPOLLIN);
  watch(epoll_.get(), replies_.get(), EPOLLIN);
  client_buffer_.resize(limits::read_bytes);
  receivers_.reserve(limits::message_receivers_max);
  reply_buffer_.resize(limits::frame_bytes_max + sizeof(FrameHeader) + limits::read_bytes);
  if (const Status status = enter_sandbox(); !status.ok()) {
    log::warn("child: " + status.message());
    ::_exit(1);
  }
  give_up_at_ = Clock::now() + limits::attach_wait;
  for (;;) round();
}

void Child::give_up(const char*) { ::_exit(0); }

void Child::round() {
  int timeout_ms = may_read() && !readable_.empty() ? 0 : -1;
  // A sibling that is out of descriptors cannot open our pipes: better hang up than never answer.
  // And what the parent's socket did not take is told again, though nothing else may happen.
  if ((placeholder_ || closes_untold_ > 0) && timeout_ms < 0) timeout_ms = 1000;
  if (placeholder_ && Clock::now() > give_up_at_) give_up("the sibling does not open our pipes");
  const bool alone = connections_.size() == 1 && timeout_ms < 0;
  if (!alone || !look_past_epoll()) take_events(timeout_ms);
  write_requests();
  flush_dirty();
  tell_closes();
}

void Child::take_events(int timeout_ms) {
  epoll_event events[events_max];
  const int count = patience_.wait(epoll_.get(), events, events_max, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const int fd = events[i].data.fd;
    if (fd == replies_.get()) {
      read_replies();
    } else if (fd == control_.get()) {
      read_control();
    } else if (fd != requests_.get()) {
      const auto found = by_fd_.find(fd);
      if (found != by_fd_.end()) note_events(*found->second, events[i].events);
    }
  }
  read_clients();
}

/// A child of one connection knows where its next work comes from: from the sibling while it owes
/// an answer, else from the client. To read there at once takes half the system calls. False: there
/// was nothing, or it is time to ask epoll.
bool Child::look_past_epoll() {
  Connection& connection = *connections_.begin()->second;
  const auto read_this_client = [&] {
    if (!may_read()) return false;
    bool found = false;
    or_lose(connection.number(), [&] {
      found = read_client(connection);
      queue_to_read(connection);
    });
    return found || connections_.empty();  // lost: this was the last look at it
  };
  return patience_.look_for([&] {
    if (connection.owes_answer()) return read_replies() || read_this_client();
    return read_this_client() || read_replies();
  });
}

/// Does what one connection needs. If memory ends, that connection is lost and no other: what it
/// has put in the queue half is taken out again, and the slots are given back.
template <class Work>
void Child::or_lose(std::uint32_t number, Work work) {
  const std::uint64_t before = written_ + out_.bytes.size();
  try {
    work();
    return;
  } catch (const std::bad_alloc&) {
  }
  const std::size_t begun = static_cast<std::size_t>(std::max(before, written_) - written_);
  if (begun < sent_) give_up("there is no memory to go on");  // half a frame may be on its way
  std::string_view undone = std::string_view(out_.bytes).substr(begun);
  FrameHeader header;
  std::string_view payload;
  bool bad = false;
  while (take_frame(undone, header, payload, bad)) {
    std::uint64_t offset = 0;
    std::uint32_t bytes = 0;
    if (header.kind == FrameKind::bulk && (header.flags & kMore) == 0 &&
        read_bulk_reference(payload, offset, bytes))
      bulk_->give_back(offset);
  }
  out_.bytes.resize(begun);
  if (connections_.contains(number)) close_connection(number);
  log::warn("a connection is closed: there is no memory for its request or reply");
}

// Sockets are watched for edges: the kernel asks each of them half as often, and nothing has to be
// told when a client is paused. So it is on us to remember what may still lie in a socket.

void Child::note_events(Connection& connection, std::uint32_t events) {
  const bool broken = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (broken || ((events & EPOLLOUT) != 0 && connection.wants_output())) mark_dirty(connection);
  if ((events & ~std::uint32_t{EPOLLOUT}) == 0) return;
  connection.readable = true;
  connection.hung_up |= broken || (events & EPOLLRDHUP) != 0;
  queue_to_read(connection);
}

void Child::queue_to_read(Connection& connection) {
  if (!connection.readable || connection.queued || !connection.wants_input()) return;
  connection.queued = true;
  readable_.push_back(connection.number());
}

bool Child::may_read() const noexcept { return out_.bytes.size() - sent_ <= unsent_pause_bytes; }

void Child::read_clients() {
  reading_.swap(readable_);
  for (const std::uint32_t number : reading_) {
    const auto found = connections_.find(number);
    if (found == connections_.end()) continue;
    Connection& connection = *found->second;
    connection.queued = false;
    or_lose(number, [&] {
      if (may_read()) read_client(connection);
      queue_to_read(connection);
    });
  }
  reading_.clear();
}

/// False: there was nothing.
bool Child::read_client(Connection& connection) {
  if (!connection.wants_input()) return false;
  std::size_t room = client_buffer_.size(), got = 0;
  char* const in_place = connection.read_room(room, out_.segment);
  const Io io =
      read_some(connection.fd(), in_place != nullptr ? in_place : client_buffer_.data(), room, got);
  if (in_place != nullptr) connection.took_in_place(room, got, out_);
  else if (io == Io::done) connection.take({client_buffer_.data(), got}, out_);
  // Less than there was room for was all there was, unless its end has been announced.
  connection.readable = io == Io::done && (got == room || connection.hung_up);
  if (io == Io::closed) connection.end_of_input(out_);
  if (!connection.wants_input() || connection.finished()) mark_dirty(connection);
  return io != Io::again;
}

// --- the parent ---

void Child::read_control() {
  HandOver hand_over;
  iovec vector{&hand_over, sizeof hand_over};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  const ssize_t n = ::recvmsg(control_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n != static_cast<ssize_t>(sizeof hand_over))
    give_up("the parent has closed the control socket");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    // We had no number left for the descriptor and the kernel has closed it: both others count it.
    if (hand_over.is_segment == 0) tell_closed(hand_over.number);
    return;
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  take_over(hand_over, Fd(fd));
}

void Child::take_over(const HandOver& hand_over, Fd descriptor) {
  if (hand_over.is_segment != 0) {
    auto segment = BulkSegment::map(std::move(descriptor), true);
    if (!segment.ok()) return log::warn(segment.status().message());
    bulk_ = *std::move(segment);
    append_header(out_.bytes, {0, 0, FrameKind::mapped, 0, 0});
    return;
  }
  auto connection =
      std::make_unique<Connection>(std::move(descriptor), hand_over.number, hand_over.trusted != 0);
  watch(epoll_.get(), connection->fd(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  by_fd_[connection->fd()] = connection.get();
  if (connections_.empty()) first_address_ = hand_over.address;
  connections_[hand_over.number] = std::move(connection);
  update_title();
}

void Child::update_title() {
  if (connections_.empty()) return set_title("kv child idle");
  std::string title = "kv child " + first_address_;
  if (connections_.size() > 1) title += " and " + std::to_string(connections_.size() - 1) + " more";
  set_title(title);
}

// --- the sibling ---

/// False: there were none.
bool Child::read_replies() {
  std::size_t got = 0;
  const Io io = read_some(replies_.get(), reply_buffer_.data() + reply_kept_,
                          reply_buffer_.size() - reply_kept_, got);
  if (io == Io::again) return false;
  // Before the sibling has opened its end the pipe reads as closed; after that it is the end.
  if (io == Io::closed) {
    if (!placeholder_) give_up("the sibling is gone");
    return false;
  }
  std::string_view bytes(reply_buffer_.data(), reply_kept_ + got);
  FrameHeader header;
  std::string_view payload;
  bool bad = false;
  while (take_frame(bytes, header, payload, bad)) {
    or_lose(header.connection, [&] { handle_reply(header, payload); });
    if (header.kind == FrameKind::bulk_reply) give_slot_back(payload);
  }
  if (bad) give_up("a frame over the limit");
  std::memmove(reply_buffer_.data(), bytes.data(), bytes.size());
  reply_kept_ = bytes.size();
  return true;
}

void Child::handle_reply(const FrameHeader& header, std::string_view payload) {
  switch (header.kind) {
    case FrameKind::attached: placeholder_.reset(); return;
    case FrameKind::usable: out_.segment = bulk_.get(); return;
    case FrameKind::reply: {
      const auto found = connections_.find(header.connection);
      if (found == connections_.end()) return;  // its client has gone meanwhile
      found->second->reply(header, payload);
      found->second->resume(out_);
      if ((header.flags & kMore) != 0 ||
          (header.count == 1 && payload.size() >= out_.segment_worth_bytes))
        out_.wants_segment = true;
      mark_dirty(*found->second);
      return;
    }
    case FrameKind::later: {
      const auto found = connections_.find(header.connection);
      if (found == connections_.end()) return;
      found->second->wait_for_reply();
      mark_dirty(*found->second);  // its client may have gone already
      return;
    }
    case FrameKind::bulk_reply:
      if (!take_bulk_reply(header, payload)) give_up("a reference outside the segment");
      return;
    case FrameKind::message: return take_message(header, payload);
    case FrameKind::bulk_done: {
      std::uint64_t offset = 0;
      if (payload.size() == sizeof offset) std::memcpy(&offset, payload.data(), sizeof offset);
      if (bulk_ != nullptr && bulk_->give_back(offset)) serve_queue();
      return;
    }
    default: return;
  }
}

/// The receivers of a message that finds no memory are hung up on: they would never know that they
/// have missed something.
void Child::take_message(const FrameHeader& header, std::string_view payload) {
  const bool more = (header.flags & kMore) != 0;
  if (receivers_.empty()) {
    begin_message(payload);
    if (!more) return hand_out_message(payload);
  }
  try {
    if (!message_lost_) message_.append(payload);
  } catch (const std::bad_alloc&) {
    message_lost_ = true;
    std::string().swap(message_);
  }
  if (more) return;
  hand_out_message(message_);
  std::string().swap(message_);
  message_lost_ = false;
}

/// Leaves of the payload what they get.
void Child::begin_message(std::string_view& payload) {
  std::uint32_t count = 0;
  if (payload.size() < sizeof count) return;
  std::memcpy(&count, payload.data(), sizeof count);
  payload.remove_prefix(sizeof count);
  count = static_cast<std::uint32_t>(
      std::min({std::size_t{count}, payload.size() / sizeof count, receivers_.capacity()}));
  receivers_.resize(count);
  std::memcpy(receivers_.data(), payload.data(), count * sizeof count);
  payload.remove_prefix(count * sizeof count);
}

void Child::hand_out_message(std::string_view body) {
  for (const std::uint32_t number : receivers_) {
    const auto found = connections_.find(number);
    if (found == connections_.end()) continue;  // its client has gone meanwhile
    Connection& connection = *found->second;
    or_lose(number, [&] {
      if (message_lost_) throw std::bad_alloc();
      connection.push(body);
      if (!connection.dirty) mark_dirty(connection);
    });
  }
  receivers_.clear();
}

bool Child::take_bulk_reply(const FrameHeader& header, std::string_view payload) {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  if (bulk_ == nullptr || !read_bulk_reference(payload, offset, bytes)) return false;
  const auto view = bulk_->view(offset, bytes);
  if (!view) return false;
  const auto found = connections_.find(header.connection);
  if (found != connections_.end()) found->second->reply_piece(header.flags, *view);
  return true;
}

/// Also of a connection that is gone, or was lost just now for want of memory: the sibling has only
/// a few slots for all of this child's.
void Child::give_slot_back(std::string_view reference) {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  if (!read_bulk_reference(reference, offset, bytes)) return;
  append_header(out_.bytes, {sizeof offset, 0, FrameKind::bulk_done, 0, 0});
  out_.bytes.append(reinterpret_cast<const char*>(&offset), sizeof offset);
}

/// Slots are free again for those that wait for them, in their order.
void Child::serve_queue() {
  for (std::size_t left = out_.queue.size(); left > 0; --left) {
    const std::uint32_t number = out_.queue.front();
    out_.queue.pop_front();
    const auto found = connections_.find(number);
    if (found == connections_.end()) continue;
    Connection& connection = *found->second;
    connection.leave_queue();
    const std::uint64_t before = written_ + out_.bytes.size();
    or_lose(number, [&] {
      connection.resume(out_);
      mark_dirty(connection);
    });
    const bool waits_again = !out_.queue.empty() && out_.queue.back() == number;
    if (!waits_again || written_ + out_.bytes.size() > before) continue;
    // Too little room for it. Those behind it must not take that, or it would wait for ever.
    out_.queue.pop_back();
    out_.queue.push_front(number);
    return;
  }
}

void Child::ask_for_segment() {
  asked_for_segment_ = true;
  std::size_t put = 0;
  (void)write_some(control_.get(), {&control_segment, 1}, put);
}

void Child::write_requests() {
  if (out_.wants_segment && !asked_for_segment_) ask_for_segment();
  const std::size_t before = out_.bytes.size();
  const Io io = write_queue(requests_.get(), out_.bytes, sent_, kept_capacity_max);
  written_ += before - out_.bytes.size();
  if (io == Io::closed) give_up("the sibling is gone");
  const bool full = io == Io::again;
  if (full && !watching_requests_) watch(epoll_.get(), requests_.get(), EPOLLOUT);
  if (!full && watching_requests_) unwatch(epoll_.get(), requests_.get());
  watching_requests_ = full;
}

// --- the clients ---

void Child::mark_dirty(Connection& connection) {
  if (connection.dirty && !dirty_.empty() && dirty_.back() == connection.number()) return;
  connection.dirty = true;
  dirty_.push_back(connection.number());
}

/// And goes on with what waited for the client to take its replies. False: the client is gone.
bool Child::flush(Connection& connection) {
  if (!connection.flush()) return false;
  if (!connection.may_resume()) return true;
  connection.resume(out_);
  return connection.flush();  // there may be an error to tell
}

void Child::flush_dirty() {
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    const auto found = connections_.find(dirty_[i]);
    if (found == connections_.end() || !found->second->dirty) continue;
    Connection& connection = *found->second;
    bool there = false, lost = true;
    or_lose(dirty_[i], [&] { there = flush(connection), lost = false; });
    if (lost) continue;
    if (!there || connection.finished()) {
      close_connection(connection.number());
    } else {
      connection.report_taken(out_);
      queue_to_read(connection);  // it may have been paused
    }
  }
  dirty_.clear();
  if (sent_ < out_.bytes.size()) write_requests();
}

/// The sibling is told first: whoever sees that we have hung up on its wait knows that nothing more
/// is taken for it.
void Child::close_connection(std::uint32_t number) {
  const auto found = connections_.find(number);
  by_fd_.erase(found->second->fd());
  const Fd open_until_then = found->second->give_away_socket();
  connections_.erase(found);
  tell_closed(number);
  update_title();
}

void Child::tell_closed(std::uint32_t number) {
  append_header(out_.bytes, {0, number, FrameKind::closed, 0, 0});
  write_requests();
  ++closes_untold_;
  tell_closes();
}

/// The parent counts connections: what its socket does not take now is told later.
void Child::tell_closes() {
  std::size_t put = 0;
  while (closes_untold_ > 0 && write_some(control_.get(), {&control_closed, 1}, put) == Io::done) {
    --closes_untold_;
  }
}

}  // namespace kv
