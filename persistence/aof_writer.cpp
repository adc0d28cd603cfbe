// See aof_writer.hpp.
#include "persistence/aof_writer.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "libkv/base/clock.hpp"

namespace kv {
namespace {

constexpr std::int64_t sync_interval_ns = ns_per_second / 2;
/// Under everysec a line may be acknowledged so long before it is on the disk.
constexpr std::int64_t unsynced_most_ns = ns_per_second;
/// A larger batch's memory is given back after the write.
constexpr std::size_t batch_kept_bytes = std::size_t{1} << 20;

}  // namespace

// --- BackgroundSync ---

bool BackgroundSync::request(std::shared_ptr<File> file, std::int64_t time_ns) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (file_ != nullptr) return false;
  if (!thread_.joinable()) {
    // The loop's thread is the one that handles signals.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  file_ = std::move(file);
  time_ns_ = time_ns;
  busy_.store(true, std::memory_order_release);
  wake_.notify_one();
  return true;
}

void BackgroundSync::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return file_ != nullptr || stopping_; });
    if (file_ == nullptr) return;
    const std::shared_ptr<File> file = file_;
    const std::int64_t time_ns = time_ns_;
    lock.unlock();
    int error = 0;
    do error = file->sync_data();
    while (error == EINTR);
    lock.lock();
    int none = 0;
    if (error != 0) error_.compare_exchange_strong(none, error);
    else if (error_.load() == 0) synced_ns_.store(time_ns, std::memory_order_release);
    file_.reset();
    busy_.store(false, std::memory_order_release);
    idle_.notify_all();
  }
}

void BackgroundSync::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  idle_.wait(lock, [this] { return file_ == nullptr; });
}

void BackgroundSync::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

// --- AofWriter ---

AofWriter::AofWriter(std::unique_ptr<File> file, std::uint64_t size, const LogPosition& position,
                     std::uint64_t lines, bool sealed, Fsync policy, MonotonicClock clock)
    : file_(std::move(file)),
      size_(size),
      position_(position),
      lines_(lines),
      sealed_(sealed),
      policy_(policy),
      batch_position_(position),
      synced_ns_(position.time_ns),
      clock_(clock) {}

std::int64_t AofWriter::next_time(std::int64_t wall_ns) {
  return std::max(wall_ns, batch_position_.time_ns + 1);
}

void AofWriter::add(std::int64_t time_ns, unsigned database, Dialect dialect,
                    std::span<const Scalar> args) {
  if (batch_lines_ == 0) marks_.clear();
  const std::size_t before = batch_.size();
  try {
    marks_.push_back({before, batch_position_});
    batch_position_.chain =
        append_record(batch_, batch_position_.chain, time_ns, database, dialect, args);
  } catch (const std::bad_alloc&) {
    batch_.resize(before);
    marks_.resize(batch_lines_);
    throw;
  }
  batch_position_.time_ns = time_ns;
  ++batch_lines_;
}

void AofWriter::forget() noexcept {
  if (batch_.capacity() > batch_kept_bytes) std::string().swap(batch_);  // = {} keeps it
  batch_.clear();
  batch_lines_ = 0;
  batch_position_ = position_;
}

Status AofWriter::fail(Status why) {
  failure_ = std::move(why);
  forget();
  return failure_;
}

/// Cuts the file back to what counts, after a write that did not succeed.
Status AofWriter::undo(const Status& why) {
  if (const int error = file_->truncate(size_); error != 0) {
    return fail(Status::from_errno(
        error, "the log is closed after " + why.message() + "; it could not be cut back"));
  }
  cut_back_ = true;
  forget();
  last_write_ = why;
  return last_write_;
}

Status AofWriter::write() {
  if (batch_.empty()) return {};
  if (Status refused = failure_.ok() && sync_.error() == 0 ? refused_ : status(); !refused) {
    forget();
    return refused;
  }
  if (Status s = wait_for_disk(); !s) {
    forget();
    return s;
  }
  if (const Status written = file_->write(batch_); !written) return undo(written);
  if (policy_ == Fsync::always && !deferred_) {
    if (const Status synced = file_->sync(); !synced) {
      // Best effort: the clients are told it was not done, so better it is not found later.
      static_cast<void>(file_->truncate(size_));
      return fail({Code::io, "the log is closed: " + synced.message()});
    }
    synced_ns_ = batch_position_.time_ns;
    cut_back_ = false;
    waiting_since_ = 0;
  } else if (policy_ != Fsync::always && waiting_since_ == 0) {
    waiting_since_ = clock_();
  }
  written_bytes_ = batch_.size();
  size_ += batch_.size();
  lines_ += batch_lines_;
  position_ = batch_position_;
  sealed_ = false;
  last_write_ = {};
  forget();
  return {};
}

/// Before a write. Under everysec it waits for the disk if lines are not there that are too old;
/// under always for a sync that everysec began: that one may be told of a failure, and not the
/// next.
Status AofWriter::wait_for_disk() {
  if (policy_ == Fsync::always && deferred_) return {};  // the caller waits, with the answers
  if (policy_ == Fsync::no || (!sync_.busy() && waiting_since_ == 0)) return {};
  const std::int64_t limit = clock_() - (policy_ == Fsync::always ? 0 : unsynced_most_ns);
  const bool asked = sync_.busy() && asked_since_ != 0 && asked_since_ <= limit;
  const bool waiting = waiting_since_ != 0 && waiting_since_ <= limit;
  if (!asked && !waiting) return {};
  ++delayed_;
  if (waiting) return sync_now();
  sync_.wait();
  return failed() ? status() : Status{};
}

Status AofWriter::take_back(std::size_t lines) {
  if (lines == 0 || lines > marks_.size()) return {Code::usage, "no such lines to take back"};
  const Mark mark = marks_[marks_.size() - lines];
  size_ -= written_bytes_ - mark.bytes;
  written_bytes_ = mark.bytes;
  lines_ -= lines;
  marks_.resize(marks_.size() - lines);
  position_ = batch_position_ = mark.position;
  if (const int error = file_->truncate(size_); error != 0) {
    return fail(Status::from_errno(error, "the log is closed: a line could not be taken back"));
  }
  cut_back_ = true;
  return policy_ == Fsync::always && !deferred_ ? sync_now() : Status{};
}

void AofWriter::switch_to(std::unique_ptr<File> file, std::uint64_t size, const LogPosition& end) {
  file_ = std::move(file);
  size_ = size;
  lines_ = 0;
  sealed_ = false;
  position_ = batch_position_ = end;
}

Status AofWriter::sync_now() {
  sync_.wait();
  if (failed()) return status();
  waiting_since_ = 0;
  if (all_synced()) return {};
  if (const Status synced = file_->sync(); !synced) {
    return fail({Code::io, "the log is closed: " + synced.message()});
  }
  synced_ns_ = position_.time_ns;
  cut_back_ = false;
  return {};
}

void AofWriter::give_up(const Status& why) {
  static_cast<void>(fail({Code::io, "the log is closed: " + why.message()}).ok());
}

Status AofWriter::close() {
  if (Status s = write(); !s) return s;
  // Before the trailer, so that it shows that all before it was on the disk
  // (Scanner::is_unwritten).
  if (Status s = sync_now(); !s) return s;
  if (lines_ > 0 && !sealed_) {
    std::string trailer;
    const std::uint32_t chain =
        append_sealed(trailer, position_.chain, log_trailer_text(position_.time_ns, lines_));
    if (const Status written = file_->write(trailer); !written) return undo(written);
    size_ += trailer.size();
    position_.chain = chain;
    batch_position_ = position_;
    sealed_ = true;
    synced_ns_ = 0;  // the trailer is not on the disk yet
    sync_.wait();
    if (failed()) return status();
    if (const Status synced = file_->sync(); !synced) {
      return fail({Code::io, "the log is closed: " + synced.message()});
    }
    synced_ns_ = position_.time_ns;
  }
  return sync_now();
}

void AofWriter::tick(std::int64_t monotonic_ns) {
  if (policy_ != Fsync::everysec || failed() || all_synced()) return;
  if (monotonic_ns - last_request_ < sync_interval_ns) return;
  if (!sync_.request(file_, position_.time_ns)) return;
  last_request_ = monotonic_ns;
  cut_back_ = false;
  asked_since_ = waiting_since_;
  waiting_since_ = 0;
}

std::int64_t AofWriter::synced_ns() const { return std::max(synced_ns_, sync_.synced_ns()); }

Status AofWriter::status() const {
  if (!failure_.ok()) return failure_;
  if (const int error = sync_.error(); error != 0) {
    return Status::from_errno(error, "the log is closed: cannot sync " + file_->path());
  }
  if (!refused_.ok()) return refused_;
  return last_write_;
}

}  // namespace kv
