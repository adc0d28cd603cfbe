// The parent's loop, signals and end. See parent.hpp.
#include "libkv/process/parent.hpp"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "libkv/base/log.hpp"
#include "libkv/process/bulk.hpp"
#include "libkv/process/sandbox.hpp"
#include "libkv/process/title.hpp"

namespace kv {
namespace {

constexpr int events_max = 64;
// Until it is looked again whether a connection can be handed over.
constexpr int room_wait_ms = 10;

// What a process has open beside its clients: files, pipes, the loop, the listeners.
constexpr rlim_t descriptors_beside = 64;

/// As many clients as processes with so many descriptors each can serve.
rlim_t clients_of(rlim_t descriptors, rlim_t children) noexcept {
  const rlim_t free = descriptors - std::min(descriptors, descriptors_beside);
  return children == 0 ? free / 2 : free * children;
}

/// As many as all clients may need, as far as this process may go; its forks inherit it. That is
/// one each in whoever serves them, and with a process each both of its pipes in the sibling.
void allow_descriptors(rlim_t max_clients, rlim_t children) {
  const rlim_t wanted = 2 * max_clients + descriptors_beside;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t served = clients_of(limit.rlim_cur, children);
  if (served >= max_clients) return;
  log::warn("--max-clients " + std::to_string(max_clients) + " does not fit into " +
            std::to_string(limit.rlim_cur) + " descriptors a process (ulimit -Hn): it serves " +
            (served > 0 ? "about " + std::to_string(served) : "hardly any"));
}

Fd signal_descriptor() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // RLIMIT_FSIZE: an error like a full disk, here and in the sibling
  return Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0'), text;
  if (::getrandom(raw.data(), bytes, 0) != static_cast<ssize_t>(bytes)) raw.assign(bytes, 'k');
  for (const char c : raw) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    text += two;
  }
  return text;
}

std::string own_path() {
  std::string path(4096, '\0');
  const ssize_t n = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return path;
}

}  // namespace

Parent::Parent(const Options& options, Gatekeeper gatekeeper, RunFolder folder,
               std::vector<Listener> listeners, int port)
    : options_(options),
      gatekeeper_(std::move(gatekeeper)),
      folder_(std::move(folder)),
      listeners_(std::move(listeners)),
      port_(port),
      run_id_(random_hex(20)),
      executable_(own_path()),
      binary_(options.binary) {
  (void)parse_fsync(options.fsync, fsync_);
}

Parent::~Parent() = default;

Status Parent::start() {
  set_title("kv parent :" + std::to_string(port_));
  // No core file and no debugger shall show what passes through.
  ::prctl(PR_SET_DUMPABLE, 0);
  allow_descriptors(options_.max_clients, options_.children);
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  signals_ = signal_descriptor();
  if (!epoll_ || !signals_) return Status::from_errno(errno, "cannot make the parent's loop");
  if (Status status = prepare_sandbox(); !status.ok()) return status;
  watch(epoll_.get(), signals_.get(), EPOLLIN);
  log::note("Parent PID: " + std::to_string(::getpid()));
  if (Status status = start_sibling(); !status.ok()) return status;
  watch(epoll_.get(), sibling_status_.get(), EPOLLIN);
  return {};
}

int Parent::run() {
  if (const Status status = start(); !status.ok()) {
    log::refuse(status.message());
    folder_.remove();
    return 1;
  }
  while (exit_status_ < 0) round();
  return clean_up();
}

void Parent::round() {
  epoll_event events[events_max];
  const int timeout_ms = waiting_ ? room_wait_ms : 1000;
  const int count = ::epoll_wait(epoll_.get(), events, events_max, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const int fd = events[i].data.fd;
    if (fd == signals_.get()) {
      handle_signals();
    } else if (fd == sibling_status_.get()) {
      hear_sibling();
    } else if (const auto child = by_control_.find(fd); child != by_control_.end()) {
      hear_child(*child->second);
    } else {
      for (const Listener& listener : listeners_) {
        if (listener.fd.get() == fd) accept_from(listener);
      }
    }
  }
  open_announcements();
  admit_waiting();
  retire_idle();
  keep_command_pipe();
  (void)tell_untold();
  if (sibling_ < 0 && !stopping_ && exit_status_ < 0 && Clock::now() >= fork_pause_) {
    if (const Status status = start_sibling(); !status.ok()) log::warn(status.message());
    else watch(epoll_.get(), sibling_status_.get(), EPOLLIN);
  }
}

void Parent::handle_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo != SIGCHLD) stop(static_cast<int>(info.ssi_signo));
  }
  reap();
}

void Parent::stop(int) {
  if (sibling_ < 0) {
    exit_status_ = 0;
    return;
  }
  // Asked once: the sibling saves and ends. Asked again: it ends without the snapshot.
  ::kill(sibling_, stopping_ ? SIGUSR1 : SIGTERM);
  if (stopping_) return;
  stopping_ = true;
  for (Listener& listener : listeners_) listener.fd.reset();
}

void Parent::reap() {
  int wait_status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    if (pid == sibling_) {
      sibling_ended(wait_status);
    } else if (pid == command_pipe_) {
      command_pipe_ = -1;
    } else {
      child_ended(pid, wait_status);
    }
  }
}

void Parent::child_ended(pid_t pid, int wait_status) {
  // Names that nobody has opened would be in the way of the next child with this pid.
  ::unlink(folder_.request_pipe(pid).c_str());
  ::unlink(folder_.reply_pipe(pid).c_str());
  BulkSegment::remove(folder_.segment_name(pid));
  Announcement gone;
  gone.kind = AnnouncementKind::gone;
  gone.pid = pid;
  announce_surely(gone);
  const auto found = children_.find(pid);
  if (found == children_.end()) return;
  if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) != SIGKILL) {
    log::warn("child " + std::to_string(pid) + " was ended by signal " +
              std::to_string(WTERMSIG(wait_status)));
    // One that dies young may be followed by many: wait a little longer each time.
    ++young_deaths_;
    const unsigned shift = young_deaths_ < 6 ? young_deaths_ : 6;
    fork_pause_ = Clock::now() + std::chrono::milliseconds(50U << shift);
  }
  connections_ -= found->second->connections;
  by_control_.erase(found->second->control.get());
  children_.erase(found);
}

int Parent::clean_up() {
  if (command_pipe_ > 0) ::kill(command_pipe_, SIGKILL);
  for (const auto& [pid, child] : children_) ::kill(pid, SIGKILL);
  while (::waitpid(-1, nullptr, 0) > 0) continue;
  folder_.remove();
  if (!options_.unix_socket.empty()) ::unlink(options_.unix_socket.c_str());
  log::note("[parent]=" + std::to_string(::getpid()) + " exiting");
  return exit_status_;
}

}  // namespace kv
