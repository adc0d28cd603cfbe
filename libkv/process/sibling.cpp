// The sibling's life and loop. See sibling.hpp.
#include "libkv/process/sibling.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libkv/base/clock.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/log.hpp"
#include "libkv/base/machine.hpp"
#include "libkv/base/memory.hpp"
#include "libkv/process/loading_bar.hpp"
#include "libkv/process/title.hpp"

namespace kv {
namespace {

constexpr std::size_t arena_bytes = std::size_t{1} << 20;
// Memory of large requests and replies is used again instead of being given back and faulted in
// anew for each: half of the cost of a 1 MiB value. The keyspace's memory is its own affair.
constexpr int memory_kept_bytes = 32 << 20;
constexpr int events_max = 128;
constexpr int idle_timeout_ms = 100;

/// SIGTERM and SIGUSR1 (the parent has died) and SIGCHLD arrive as descriptors; SIGINT is for the
/// parent, which the terminal tells as well.
Fd signal_descriptor() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGUSR1, SIGCHLD}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  return Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

PersistenceSettings persistence_settings(const SiblingSetup& setup) {
  const Options& options = setup.options;
  PersistenceSettings settings;
  settings.folder = options.folder;
  settings.log = options.persist;
  settings.fsync = setup.fsync;
  settings.format = setup.binary ? SnapshotFormat::binary : SnapshotFormat::text;
  settings.keep_logs = options.keep_logs;
  settings.databases = options.databases;
  settings.had_data = setup.had_data;
  return settings;
}

}  // namespace

Sibling::Sibling(SiblingSetup setup)
    : setup_(std::move(setup)), gatekeeper_(setup_.gatekeeper), engine_(*this, *this) {
  for (unsigned i = 0; i < setup_.options.databases; ++i) {
    databases_.push_back(std::make_unique<Keyspace>());
  }
  counters_.started_ms = wall_ms();
  save_at_end_ = setup_.options.persist;
  arena_.resize(arena_bytes);
  make_settings();
}

Sibling::~Sibling() = default;

Status Sibling::open_pipes() {
  const std::string path = setup_.folder.sibling_pipe();
  if (Status made = make_pipe(path); !made.ok()) return made;
  // Both ends, so that the pipe never reads as closed when no child is announcing itself.
  Result<Fd> pipe = open_pipe(path, O_RDWR);
  if (!pipe.ok()) return pipe.status();
  announcements_ = *std::move(pipe);
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  signals_ = signal_descriptor();
  if (!epoll_ || !signals_) return Status::from_errno(errno, "cannot make the sibling's loop");
  watch(epoll_.get(), announcements_.get(), EPOLLIN);
  watch(epoll_.get(), signals_.get(), EPOLLIN);
  tell_parent('o');
  return {};
}

Status Sibling::restore() {
  Replay replay;
  replay.database = [this](unsigned number) -> Keyspace* {
    return number < databases_.size() ? databases_[number].get() : nullptr;
  };
  replay.apply = [this](std::int64_t time_ns, unsigned database, Dialect dialect,
                        std::span<const Scalar> args) {
    return engine_.replay(time_ns, database, dialect, args);
  };
  LoadingBar bar;
  replay.progress = [this, &bar, next = Clock::now()](const Progress& progress) mutable {
    bar.step(progress, state_);
    // Clients are told LOADING meanwhile.
    const auto now = Clock::now();
    if (now < next) return;
    next = now + std::chrono::milliseconds(20);
    round(0);
    if (!ending_) return;
    // Nothing was taken from anybody yet, and every step of a start may be its last.
    bar.done();
    log::note("[sibling]=" + std::to_string(::getpid()) + " exiting");
    ::_exit(0);
  };
  engine_.set_loading(true);
  auto opened = Persistence::open(posix_env(), persistence_settings(setup_), replay);
  bar.done();
  if (!opened.ok()) return opened.status();
  store_ = *std::move(opened);
  for (const std::string& note : store_->recovery().notes) log::warn(note);
  saver_ = std::make_unique<Saver>(posix_env(), *store_, counters_, [this] {
    // What the fork inherited and must not hold: every pipe, the loop, the signals.
    for (const auto& [fd, channel] : by_request_fd_) ::close(fd);
    for (const auto& [fd, channel] : by_reply_fd_) ::close(fd);
    announcements_.reset();
    epoll_.reset();
    signals_.reset();
    setup_.parent.reset();
  });
  engine_.set_loading(false);
  loading_ = false;
  if (setup_.options.persist) engine_.set_log(&store_->log());
  counters_.changes_since_save = store_->recovery().lines;
  if (store_->recovery().save_needed) (void)save_in_background();
  return {};
}

int Sibling::run() {
  const pid_t parent = ::getppid();
  set_title("kv sibling");
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1);
  ::mallopt(M_MMAP_THRESHOLD, memory_kept_bytes);
  ::mallopt(M_TRIM_THRESHOLD, memory_kept_bytes);
  log::note("[sibling]=" + std::to_string(::getpid()) + " started");
  Status status = open_pipes();
  // Until it serves, nobody misses it: it need not come to the point where it hears of the death.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (status.ok()) status = restore();
  ::prctl(PR_SET_PDEATHSIG, SIGUSR1);
  if (::getppid() != parent) return 1;  // it died between the two
  if (!status.ok()) {
    log::refuse(status.message());
    return 1;
  }
  tell_of_data();
  tell_parent('r');
  counters_.memory_at_start = process_use().allocated_bytes;
  next_expire_ = next_second_ = Clock::now();
  store_->defer_syncs(true);  // written_is_safe() does them
  while (!ending_) {
    (void)memory::hold_reserve();
    round(timeout_ms());
    timers();
  }
  return finish_up();
}

void Sibling::round(int timeout_ms) {
  const memory::MayUseReserve whole;  // for all but what clients ask for
  serve_events(timeout_ms);
  engine_.finish();
  answer_unblocked();
  arena_used_ = 0;
  flush_channels();
  graveyard_.clear();
  dropped_.clear();
  if (store_ != nullptr && store_->log_failed() && store_->fsync() == Fsync::always) {
    log::warn("the log could not be forced to the disk; ending so that nothing false is promised");
    ::_exit(sibling_sync_failed);
  }
}

void Sibling::serve_events(int timeout_ms) {
  epoll_event events[events_max];
  const int count =
      patience_.wait(epoll_.get(), events, events_max, resumed_.empty() ? timeout_ms : 0);
  counters_.clock_ms = wall_ms();
  // Announcements first: a connection's frames may already wait behind its announcement.
  for (int i = 0; i < count; ++i) {
    if (events[i].data.fd == announcements_.get()) read_announcements();
    if (events[i].data.fd == signals_.get()) handle_signals();
  }
  for (const int fd : std::exchange(resumed_, {})) {
    const auto request = by_request_fd_.find(fd);
    if (request != by_request_fd_.end()) read_or_drop(*request->second, false);
  }
  for (int i = 0; i < count; ++i) {
    const int fd = events[i].data.fd;
    if (const auto request = by_request_fd_.find(fd); request != by_request_fd_.end()) {
      const Channel& channel = *request->second;
      if (!channel.paused && !channel.behind) read_or_drop(*request->second, true);
    } else if (const auto reply = by_reply_fd_.find(fd); reply != by_reply_fd_.end()) {
      send(*reply->second, false);  // it has room again
    }
  }
}

/// Until expiry wants to go on or somebody has waited long enough, if nothing else happens.
int Sibling::timeout_ms() const {
  const Clock::time_point wait_end{std::chrono::nanoseconds(engine_.next_wait_end_ns())};
  const Clock::time_point next = std::min(next_expire_, wait_end);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, idle_timeout_ms));
}

void Sibling::timers() {
  const memory::MayUseReserve whole;
  const auto now = Clock::now();
  if (!deferred_.empty()) run_deferred();
  if (engine_.end_overdue_waits()) flush_channels();
  if (!unopened_.empty()) open_unopened();
  store_->tick(std::chrono::nanoseconds(now.time_since_epoch()).count());
  if (now >= next_expire_) {
    next_expire_ = Clock::time_point(std::chrono::nanoseconds(engine_.expire_some()));
  }
  if (now < next_second_) return;
  next_second_ = now + std::chrono::seconds(1);
  measure_rates();
  close_overdue_guests();
  if (unread_messages_ > limits::unread_messages_long_bytes) close_slow_subscribers();
  if (saver_->due(setup_.options.persist_seconds)) (void)save_in_background();
}

void Sibling::measure_rates() {
  const auto since = [](std::uint64_t now, std::uint64_t& before) {
    const std::uint64_t grown = now >= before ? now - before : now;  // CONFIG RESETSTAT starts at 0
    before = now;
    return grown;
  };
  const auto kib = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1024; };
  counters_.ops_per_second = since(counters_.commands_processed, measured_commands_);
  counters_.input_kbps = kib(since(counters_.net_input_bytes, measured_in_));
  counters_.output_kbps = kib(since(counters_.net_output_bytes, measured_out_));
}

void Sibling::close_overdue_guests() {
  std::int64_t grace_ms = std::int64_t{setup_.options.login_grace_s} * 1000;
  if (grace_ms == 0) return;
  // When room gets scarce, those who only hold a place hold it for less long.
  if (sessions_.size() > max_clients() / 10 * 9)
    grace_ms = std::min<std::int64_t>(grace_ms, 10'000);
  const std::int64_t latest = monotonic_ms() - grace_ms;
  for (const auto& [id, session] : sessions_) {
    if (!session->authenticated && session->guest_since_ms < latest) close_session(*session);
  }
}

void Sibling::handle_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGTERM) ending_ = true;
    // Nobody is left to answer; the log already has everything.
    if (info.ssi_signo == SIGUSR1) ending_ = true, save_at_end_ = false;
  }
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (saver_ != nullptr && saver_->reaped(pid, status)) background_save_ended();
  }
}

void Sibling::background_save_ended() {
  tell_parent('e');
  tell_of_data();
  for (const auto& database : databases_) database->set_access_tracking(true);
}

int Sibling::finish_up() {
  const memory::MayUseReserve whole;
  engine_.finish();
  (void)store_->sync_now();  // what it cannot sync is not answered, and close() says why
  flush_channels();
  saver_->abandon();
  int exit_status = 0;
  if (save_at_end_ && (counters_.changes_since_save > 0 || !store_->log_intact())) {
    // Failing to save must not keep the server from ending: the log has it all, and if it has not,
    // close() says so. A save that a client insists on was made before it came to this (shutdown).
    (void)saver_->save_here(databases_);
  }
  if (const Status closed = store_->close(); !closed.ok()) {
    log::warn(closed.message());
    exit_status = sibling_close_failed;
  }
  log::note("[sibling]=" + std::to_string(::getpid()) + " exiting");
  return exit_status;
}

}  // namespace kv
