// The parent and its children: accept, choose, fork, hand over, dismiss. See parent.hpp.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libkv/base/limits.hpp"
#include "libkv/base/log.hpp"
#include "libkv/process/child.hpp"
#include "libkv/process/parent.hpp"

namespace kv {
namespace {

constexpr int accepts_a_round = 64;
constexpr int words_a_round = 64;  // of one child
// A few idle children wait for the next connection, so that a shell loop of one-shot clients does
// not pay for a fork each time; none is kept long or used for ever.
constexpr std::size_t idle_children_max = 2;
constexpr std::chrono::seconds idle_time_max{10};
constexpr std::uint32_t connections_served_max = 1000;

bool send_descriptor(int control, const HandOver& hand_over, int fd) {
  iovec vector{const_cast<HandOver*>(&hand_over), sizeof hand_over};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(control, &message, MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(sizeof hand_over);
}

/// Can the next message be written at once, and is somebody there to read it?
bool has_room(int fd) {
  pollfd room{fd, POLLOUT, 0};
  return ::poll(&room, 1, 0) == 1 && room.revents == POLLOUT;
}

template <std::size_t N>
void copy_text(char (&to)[N], std::string_view text) {
  const std::size_t size = std::min(text.size(), N - 1);
  std::memcpy(to, text.data(), size);
  to[size] = '\0';
}

}  // namespace

/// A child of several connections does not interrupt whoever is at work when something comes for
/// it: by its turn more has come, which it takes with the same few system calls (measured in
/// tests/bench). A child of one connection has nothing to gather and answers at once. While a
/// snapshot is written all do: its writer would keep the processor for its whole turn.
void Parent::set_turns(const ChildProcess& child) const noexcept {
  const sched_param none{};
  const bool gathers = child.connections > 1 && !saving_;
  ::sched_setscheduler(child.pid, gathers ? SCHED_BATCH : SCHED_OTHER, &none);
}

void Parent::note_saving(bool saving) {
  saving_ = saving;
  for (const auto& [pid, child] : children_) set_turns(*child);
}

void Parent::accept_from(const Listener& listener) {
  if (!sibling_open_) return;
  for (int i = 0; i < accepts_a_round && !waiting_; ++i) {
    Fd socket(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      // Out of descriptors: let some go before looking again, instead of spinning.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) ::usleep(20'000);
      return;
    }
    bool local = true;
    const std::string address = peer_address(socket.get(), listener.is_unix, local);
    if (connections_ >= options_.max_clients) {
      turn_away(socket.get(), "-ERR max number of clients reached\r\n");
      continue;
    }
    const std::string own = own_address(socket.get(), listener);
    admit({std::move(socket), address, own, local, false});
  }
}

/// A burst fills the child's socket or the sibling's pipe for some milliseconds. Who comes then is
/// not refused: one waits here, the others in the kernel's queue.
void Parent::admit(Newcomer newcomer) {
  if (hand_over(newcomer)) return;
  waiting_ = std::move(newcomer);
  listen_if(false);
}

void Parent::admit_waiting() {
  if (!waiting_ || !sibling_open_ || !hand_over(*waiting_)) return;
  waiting_.reset();
  listen_if(true);
}

void Parent::turn_away(int fd, std::string_view why) {
  std::size_t put = 0;
  (void)write_some(fd, why, put);
  Announcement rejected;
  rejected.kind = AnnouncementKind::rejected;
  announce(rejected);
}

/// False: there is no room for it now, and the sibling knows nothing of it.
bool Parent::hand_over(const Newcomer& newcomer) {
  if (!has_room(announcements_.get())) return false;  // before a child is made for it
  ChildProcess* child = choose_child();
  if (child == nullptr && options_.children > 0 && !children_.empty()) return false;
  if (child == nullptr) {
    turn_away(newcomer.socket.get(), "-ERR no process for this connection\r\n");
    return true;
  }
  Announcement announcement;
  announcement.kind = AnnouncementKind::connection;
  announcement.pid = child->pid;
  announcement.connection = child->next_number++;
  announcement.local = newcomer.local;
  announcement.trusted = newcomer.trusted;
  copy_text(announcement.address, newcomer.address);
  copy_text(announcement.local_address, newcomer.own_address);
  // First the sibling learns of it, then the child gets it: its first frame is never a surprise.
  if (!announce(announcement)) return false;
  HandOver note;
  note.number = announcement.connection;
  note.trusted = newcomer.trusted;
  copy_text(note.address, newcomer.address);
  if (!send_descriptor(child->control.get(), note, newcomer.socket.get())) {
    announcement.kind = AnnouncementKind::withdrawn;
    announce_surely(announcement);
    return false;
  }
  ++child->connections, ++child->served, ++connections_;
  if (child->connections == 2) set_turns(*child);
  return true;
}

/// Null: there is none that takes a connection now.
Parent::ChildProcess* Parent::choose_child() {
  const bool shared = options_.children > 0;
  ChildProcess* least = nullptr;
  // With a process a connection only a child that serves nobody would do, and none is kept.
  for (const auto& [pid, child] : children_) {
    if (!shared) break;
    if (child->served >= connections_served_max && child->connections == 0) continue;
    if (least != nullptr && child->connections >= least->connections) continue;
    if (has_room(child->control.get())) least = child.get();
  }
  const bool enough = shared && children_.size() >= options_.children;
  if ((least != nullptr && least->connections == 0) || enough) return least;
  if (Clock::now() < fork_pause_) return least;
  ChildProcess* child = fork_child();
  return child != nullptr ? child : least;
}

Parent::ChildProcess* Parent::fork_child() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return nullptr;
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    Fd control(::dup2(theirs.release(), 3));
    ::close_range(4, ~0U, 0);
    Child child(std::move(control), folder_, options_.few_children());
    child.run();
  }
  if (pid < 0) return nullptr;
  auto child = std::make_unique<ChildProcess>();
  child->pid = pid;
  child->control = std::move(ours);
  watch(epoll_.get(), child->control.get(), EPOLLIN);
  by_control_[child->control.get()] = child.get();
  log::note("[child]=" + std::to_string(pid) + " [parent]=" + std::to_string(::getpid()));
  return (children_[pid] = std::move(child)).get();
}

void Parent::hear_child(ChildProcess& child) {
  const pid_t pid = child.pid;
  // No further: one that somebody has taken over could speak as fast as it is heard.
  for (int i = 0; i < words_a_round; ++i) {
    char word = 0;
    const ssize_t n = ::recv(child.control.get(), &word, 1, MSG_DONTWAIT);
    if (n == 0) {
      // It is ending; SIGCHLD tells the rest.
      unwatch(epoll_.get(), child.control.get());
      return;
    }
    if (n < 0) return;
    if (word == control_segment) give_segment(child);
    if (word == control_closed) {
      connection_closed(child);
      if (children_.find(pid) == children_.end()) return;
    }
  }
}

void Parent::connection_closed(ChildProcess& child) {
  if (child.connections == 0) return;  // a child that lies only lies about itself
  --child.connections, --connections_;
  young_deaths_ = 0;
  if (child.connections == 1) set_turns(child);
  if (child.connections > 0) return;
  child.idle_since = Clock::now();
  std::size_t idle = 0;
  for (const auto& [pid, other] : children_) idle += other->connections == 0 ? 1 : 0;
  if (options_.children == 0 || idle > idle_children_max ||
      child.served >= connections_served_max) {
    dismiss(child.pid);
  }
}

void Parent::give_segment(ChildProcess& child) {
  if (child.has_segment) return;
  const auto made = std::count_if(children_.begin(), children_.end(),
                                  [](const auto& one) { return one.second->has_segment; });
  if (made >= limits::segments_max) return;  // large values take the pipe
  child.has_segment = true;
  const std::string name = folder_.segment_name(child.pid);
  Result<Fd> segment = BulkSegment::create(name);
  if (!segment.ok()) return log::warn(segment.status().message());
  Announcement announcement;
  announcement.kind = AnnouncementKind::segment;
  announcement.pid = child.pid;
  HandOver note;
  note.is_segment = 1;
  if (!announce(announcement)) return BulkSegment::remove(name);
  (void)send_descriptor(child.control.get(), note, segment->get());
}

void Parent::retire_idle() {
  const auto now = Clock::now();
  std::vector<pid_t> retired;
  for (const auto& [pid, child] : children_) {
    if (child->connections == 0 && now - child->idle_since > idle_time_max) retired.push_back(pid);
  }
  for (const pid_t pid : retired) dismiss(pid);
}

void Parent::dismiss(pid_t pid) {
  const auto found = children_.find(pid);
  if (found == children_.end()) return;
  // It serves nobody. To be asked is not enough: one that is stopped, or that somebody has taken
  // over, would stay, uncounted, and the server's end would wait for it.
  ::kill(pid, SIGKILL);
  by_control_.erase(found->second->control.get());
  children_.erase(found);
}

}  // namespace kv
