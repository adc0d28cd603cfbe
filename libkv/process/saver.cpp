// See saver.hpp.
#include "libkv/process/saver.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <cstdio>
#include <cstring>

#include "libkv/base/clock.hpp"
#include "libkv/base/fd.hpp"
#include "libkv/base/log.hpp"
#include "libkv/base/text.hpp"
#include "libkv/process/title.hpp"

namespace kv {
namespace {

constexpr std::int64_t backoff_first_ms = 1'000, backoff_most_ms = 60'000;
constexpr std::size_t sentence_bytes_max = 500;
constexpr int writer_niceness = 10;  // beside the sibling's: about a tenth of its share

std::vector<Keyspace*> pointers(const std::vector<std::unique_ptr<Keyspace>>& databases) {
  std::vector<Keyspace*> all;
  for (const auto& database : databases) all.push_back(database.get());
  return all;
}

/// Bytes of memory this process has of its own since the fork: what copy-on-write cost.
std::uint64_t private_dirty_bytes() {
  std::FILE* file = std::fopen("/proc/self/smaps_rollup", "re");
  if (file == nullptr) return 0;
  char line[256];
  unsigned long long kib = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::sscanf(line, "Private_Dirty: %llu kB", &kib) == 1) break;
  }
  std::fclose(file);
  return kib * 1024;
}

struct WriterResult {
  std::uint64_t cow_bytes = 0;
  Code code = Code::ok;
  char sentence[sentence_bytes_max] = {};
};

std::uint64_t count_keys(const std::vector<std::unique_ptr<Keyspace>>& databases) {
  std::uint64_t keys = 0;
  for (const auto& database : databases) keys += database->size();
  return keys;
}

}  // namespace

Saver::Saver(Env& env, Persistence& store, Counters& counters, std::function<void()> after_fork,
             MonotonicClock clock)
    : env_(env),
      store_(store),
      counters_(counters),
      after_fork_(std::move(after_fork)),
      clock_(clock),
      shared_(boost::interprocess::anonymous_shared_memory(sizeof(std::atomic<std::uint64_t>))),
      last_end_ms_(now_ms()) {
  new (shared_.get_address()) std::atomic<std::uint64_t>(0);
}

std::atomic<std::uint64_t>& Saver::keys_saved() const {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
  return *static_cast<std::atomic<std::uint64_t>*>(shared_.get_address());
}

/// For INFO, for the terminal, and for the log of --verbose: a line a second at most.
ProgressFunction Saver::progress(SavingBar& bar) {
  return [this, &bar, last = std::int64_t{0}](const Progress& progress) mutable {
    keys_saved().store(progress.items);
    bar.step(progress);
    const std::int64_t now = now_ms() / 1000;
    if (now == last) return;
    if (last != 0) {
      log::note("saving " + std::string(progress.what) + ": " + std::to_string(progress.items) +
                " keys" +
                (progress.done_bytes == 0 ? "" : ", " + human_bytes(progress.done_bytes)));
    }
    last = now;
  };
}

/// noexcept: nothing of this process may go on as a second sibling.
void Saver::be_writer(const SaveJob& job, const std::vector<Keyspace*>& databases,
                      int result_fd) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The sibling has died before we could ask to be told. The next one may be writing kv.db.tmp now.
  if (::getppid() != job.owner_pid) ::_exit(1);
  // Clients wait for the sibling and for their child, nobody for this. Beside 50,000 writes a
  // second on two cores, together with Parent::set_turns(): p99 2.5 ms to 1.0 ms.
  static_cast<void>(::nice(writer_niceness));
  set_title("kv snapshot writer");
  after_fork_();
  SavingBar bar(keys_to_save_);
  const Status status = job.run(env_, databases, progress(bar));
  bar.done();
  WriterResult result;
  result.cow_bytes = private_dirty_bytes();
  result.code = status.code();
  const std::size_t shown = std::min(status.message().size(), sizeof result.sentence - 1);
  std::memcpy(result.sentence, status.message().data(), shown);
  std::size_t put = 0;
  (void)write_some(result_fd, {reinterpret_cast<const char*>(&result), sizeof result}, put);
  ::_exit(status.ok() && put == sizeof result ? 0 : 1);
}

Status Saver::start(const std::vector<std::unique_ptr<Keyspace>>& databases) {
  if (running()) return {Code::busy, "a background save is already in progress"};
  note_start();
  Result<SaveJob> job = store_.begin_save();
  if (!job.ok()) {
    note_result(job.status());
    return job.status();
  }
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    const Status status = Status::from_errno(errno, "cannot save: no pipe");
    store_.save_finished(status);
    return note_result(status), status;
  }
  for (const auto& database : databases) database->set_access_tracking(false);
  keys_to_save_ = count_keys(databases);
  keys_saved().store(0);
  const pid_t pid = ::fork();
  if (pid == 0) be_writer(*job, pointers(databases), ends[1]);
  const int error = errno;
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    for (const auto& database : databases) database->set_access_tracking(true);
    const Status status = Status::from_errno(error, "cannot save: no process");
    store_.save_finished(status);
    return note_result(status), status;
  }
  writer_ = pid;
  result_fd_ = ends[0];
  changes_at_start_ = counters_.changes_since_save;
  log::note("[dbwriter]=" + std::to_string(pid) + " Saving the DB to " + job->file_name());
  return {};
}

Status Saver::save_here(const std::vector<std::unique_ptr<Keyspace>>& databases) {
  if (running()) return {Code::busy, "a background save is in progress"};
  note_start();
  changes_at_start_ = counters_.changes_since_save;
  Result<SaveJob> job = store_.begin_save();
  if (!job.ok()) return note_result(job.status()), job.status();
  SavingBar bar(count_keys(databases));
  const Status status = job->run(env_, pointers(databases), progress(bar));
  bar.done();
  store_.save_finished(status);
  note_result(status);
  return status;
}

bool Saver::reaped(pid_t pid, int wait_status) {
  if (pid != writer_) return false;
  WriterResult result;
  std::size_t got = 0;
  const Io io = read_some(result_fd_, reinterpret_cast<char*>(&result), sizeof result, got);
  ::close(result_fd_);
  writer_ = -1, result_fd_ = -1;
  Status status;
  if (io != Io::done || got != sizeof result) {
    SavingBar::wipe_after_another();
    status = {Code::io,
              "the snapshot writer was ended" +
                  (WIFSIGNALED(wait_status) ? " by signal " + std::to_string(WTERMSIG(wait_status))
                                            : std::string(" without a word"))};
  } else if (result.code != Code::ok) {
    result.sentence[sizeof result.sentence - 1] = '\0';
    status = {result.code, result.sentence};
  } else {
    cow_bytes_ = result.cow_bytes;
  }
  store_.save_finished(status);
  note_result(status);
  return true;
}

void Saver::note_start() {
  started_ms_ = now_ms();
  started_s_ = wall_ms() / 1000;
}

void Saver::note_result(const Status& status) {
  const std::int64_t now = last_end_ms_ = now_ms();
  last_duration_s_ = (now - started_ms_) / 1000;
  if (status.ok()) {
    failures_ = 0;
    last_error_.clear();
    last_save_s_ = started_s_;
    ++saves_;
    counters_.changes_since_save -= std::min(counters_.changes_since_save, changes_at_start_);
    log::note("====== DB saved ====== in " + std::to_string(now - started_ms_) + " ms");
  } else {
    ++failures_;
    last_error_ = status.message();
    if (!abandoned_) log::warn("saving failed, everything is as it was: " + last_error_);
  }
}

bool Saver::due(std::uint32_t interval_s) const {
  if (interval_s == 0 || running() || counters_.changes_since_save == 0) return false;
  const std::int64_t now = now_ms();
  if (failures_ > 0) {
    const std::int64_t wait =
        std::min(backoff_most_ms, backoff_first_ms << std::min(failures_, 10U));
    return now - last_end_ms_ >= wait;
  }
  return now - std::max(started_ms_, last_end_ms_) >= std::int64_t{interval_s} * 1000;
}

void Saver::abandon() {
  if (!running()) return;
  abandoned_ = true;
  ::kill(writer_, SIGKILL);
  int wait_status = 0;
  const pid_t pid = writer_;
  if (::waitpid(pid, &wait_status, 0) == pid) reaped(pid, wait_status);
  abandoned_ = false;
}

void Saver::fill(PersistenceState& state) const {
  state.saving = running();
  state.last_save_s = last_save_s_;
  state.last_save_status = last_error_.empty() ? "ok" : "err";
  state.last_save_duration_s = last_duration_s_;
  state.current_save_s = running() ? (now_ms() - started_ms_) / 1000 : -1;
  state.saves = saves_;
  state.save_keys = running() ? keys_saved().load() : 0;
  state.save_keys_total = running() ? keys_to_save_ : 0;
  state.last_cow_bytes = cow_bytes_;
}

}  // namespace kv
