// The parent and its sibling: start, restart, announcements, the ready line. See parent.hpp.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "libkv/base/log.hpp"
#include "libkv/process/command_pipe.hpp"
#include "libkv/process/parent.hpp"
#include "libkv/process/sibling.hpp"

namespace kv {
namespace {

constexpr int quick_death_s = 1;
constexpr unsigned quick_deaths_max = 10;

/// systemd's protocol: a datagram to the socket named in NOTIFY_SOCKET (sd_notify(3)).
void notify_systemd(std::string_view text) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  (void)::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), bytes);
}

}  // namespace

Status Parent::start_sibling() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return Status::from_errno(errno, "cannot make a pipe");
  announcements_.reset();
  sibling_reads_ = sibling_open_ = sibling_ready_ = false;
  ::unlink(folder_.sibling_pipe().c_str());
  const pid_t parent = ::getpid(), pid = ::fork();
  if (pid == 0) be_sibling(ends[1], parent);
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return Status::from_errno(errno, "cannot start the sibling");
  }
  sibling_ = pid;
  sibling_started_ = Clock::now();
  sibling_status_.reset(ends[0]);
  set_nonblocking(sibling_status_.get());
  return {};
}

void Parent::be_sibling(int status_fd, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1);
  if (::getppid() != parent) ::_exit(1);  // it has died before we could ask to be told
  Fd status(::dup2(status_fd, 3));
  ::close_range(4, ~0U, 0);
  // Whatever the parent's objects hold was closed above; they are never destroyed here.
  int exit_status = 1;
  {
    Sibling sibling({options_, gatekeeper_, folder_, port_, run_id_, executable_, binary_, fsync_,
                     had_data_, std::move(status)});
    exit_status = sibling.run();
  }
  ::_exit(exit_status);
}

void Parent::hear_sibling() {
  char word = 0;
  std::size_t got = 0;
  // The pipe it reads is opened in round(), again if there is no descriptor for it now.
  while (sibling_status_) {
    const Io io = read_some(sibling_status_.get(), &word, 1, got);
    if (io == Io::again) return;
    if (io == Io::closed) return sibling_status_.reset();
    if (word == 'o') sibling_reads_ = true;
    if (word == 'r') sibling_ready_ = true, announce_ready();
    if (word == 'b' || word == 't') binary_ = word == 'b';
    if (word == 'd') had_data_ = true;
    if (word == 's' || word == 'e') note_saving(word == 's');
    if (word >= '0' && word <= '2') fsync_ = static_cast<Fsync>(word - '0');
  }
}

void Parent::open_announcements() {
  if (!sibling_reads_ || sibling_open_) return;
  Result<Fd> pipe = open_pipe(folder_.sibling_pipe(), O_WRONLY);
  if (!pipe.ok()) return log::warn(pipe.status().message());
  announcements_ = *std::move(pipe);
  sibling_open_ = true;
  listen_if(!waiting_);
}

/// Without a sibling nobody can be served: whoever connects waits in the kernel's queue, and the
/// loop is not woken for it again and again.
void Parent::listen_if(bool open) {
  for (const Listener& listener : listeners_) {
    if (open) watch(epoll_.get(), listener.fd.get(), EPOLLIN);
    else unwatch(epoll_.get(), listener.fd.get());
  }
}

void Parent::announce_ready() {
  if (ready_said_) return log::warn("the sibling is back and has restored the data");
  ready_said_ = true;
  std::string where;
  for (const Listener& listener : listeners_) where += (where.empty() ? "" : ", ") + listener.shown;
  log::say("ready: kv " KV_VERSION " listens on " + where);
  notify_systemd("READY=1\nSTATUS=listening on " + where + "\n");
}

bool Parent::announce(const Announcement& announcement) {
  // A child's end is told before anything later, or its number could be mistaken for the next
  // one's.
  return announcements_ && tell_untold() && put_announcement(announcement);
}

/// An end that the sibling must hear of, later if it has to be.
void Parent::announce_surely(const Announcement& announcement) {
  if (announcements_ && !announce(announcement)) untold_.push_back(announcement);
}

bool Parent::tell_untold() {
  while (!untold_.empty()) {
    if (!put_announcement(untold_.front())) return false;
    untold_.pop_front();
  }
  return true;
}

bool Parent::put_announcement(const Announcement& announcement) {
  std::size_t put = 0;
  const std::string_view bytes(reinterpret_cast<const char*>(&announcement), sizeof announcement);
  return write_some(announcements_.get(), bytes, put) == Io::done;
}

void Parent::sibling_ended(int wait_status) {
  hear_sibling();  // what it said last
  sibling_ = -1;
  if (sibling_open_) listen_if(false);
  sibling_reads_ = sibling_open_ = saving_ = false;
  untold_.clear();  // the next one knows nothing of these children
  sibling_status_.reset();
  announcements_.reset();
  // Its children find their pipes closed; nothing they still say can be answered.
  for (const auto& [pid, child] : children_) ::kill(pid, SIGKILL);
  const bool by_itself = WIFEXITED(wait_status);
  const int sibling_status = by_itself ? WEXITSTATUS(wait_status) : 1;
  if (sibling_status == sibling_sync_failed || sibling_status == sibling_close_failed) {
    exit_status_ = 1;  // it has said why
    return;
  }
  // One that ends by itself before it is ready has said what keeps it from serving: the next one
  // would read the same files for as long and say the same.
  if (stopping_ || sibling_status == 0 || (!sibling_ready_ && by_itself)) {
    exit_status_ = sibling_status;
    return;
  }
  const std::string how = WIFSIGNALED(wait_status)
                              ? "by signal " + std::to_string(WTERMSIG(wait_status))
                              : "with status " + std::to_string(WEXITSTATUS(wait_status));
  log::warn("the sibling ended " + how + "; starting it again from the disk");
  // A restore may take long, so how soon it ended alone does not tell.
  const bool quick =
      !sibling_ready_ || Clock::now() - sibling_started_ < std::chrono::seconds(quick_death_s);
  sibling_quick_deaths_ = quick ? sibling_quick_deaths_ + 1 : 0;
  if (sibling_quick_deaths_ > quick_deaths_max) {
    log::refuse("the sibling ends as soon as it is started; giving up");
    exit_status_ = 1;
    return;
  }
  const unsigned shift = std::min(sibling_quick_deaths_, 6U);
  fork_pause_ = Clock::now() + std::chrono::milliseconds(quick ? 50U << shift : 0U);
}

void Parent::keep_command_pipe() {
  // It ends with the connection it holds, so with the sibling or its child: then there is a new
  // one, or whoever writes to the pipe would wait for ever. A second apart, should it end at once.
  // Until the data is restored lines wait in the pipe: they would only be refused.
  const bool serves = sibling_ready_ && sibling_open_;
  if (options_.command_pipe.empty() || command_pipe_ > 0 || !serves) return;
  if (stopping_ || waiting_ || Clock::now() < command_pipe_pause_) return;
  command_pipe_pause_ = Clock::now() + std::chrono::seconds(1);
  start_command_pipe();
}

void Parent::start_command_pipe() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return log::warn("cannot serve --pipe: no socket pair");
  }
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    Fd socket(::dup2(theirs.release(), 3));
    ::close_range(4, ~0U, 0);
    serve_command_pipe(options_.command_pipe, std::move(socket));
  }
  if (pid < 0) return log::warn("cannot serve --pipe: no process");
  command_pipe_ = pid;
  admit({std::move(ours), "pipe:0", options_.command_pipe, true, true});
}

}  // namespace kv
