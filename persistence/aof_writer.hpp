// The log's writer: a batch of lines becomes one write, and under Fsync::always one sync, or one
// for all batches of a round (defer_syncs).
//
// It must never lose what it said was written, and never leave in the file what it said was not: a
// short or failed write is undone by cutting the file back. If even that fails, or a sync fails,
// the writer is failed for good: after a failed sync nobody knows what is on the disk, and asking
// again would be told a lie (the kernel forgets the error with the first answer).
//
// Under Fsync::everysec at most a second of what was acknowledged is not on the disk: when a disk
// is slower than that, writes wait for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libkv/base/env.hpp"
#include "persistence/persistence.hpp"
#include "persistence/record.hpp"
#include "persistence/write_log.hpp"

namespace kv {

/// Syncs one file at a time in a thread of its own, so that the loop waits for the disk only
/// where everysec would promise too much otherwise.
/// request() and the getters are called from the loop's thread.
class BackgroundSync {
 public:
  BackgroundSync() = default;
  ~BackgroundSync() { stop(); }
  /// Asks for a sync of file, which holds everything up to time_ns. False: one is still running.
  bool request(std::shared_ptr<File> file, std::int64_t time_ns);
  /// Waits for a sync that is running.
  void wait();
  void stop();
  bool busy() const noexcept { return busy_.load(std::memory_order_acquire); }
  std::int64_t synced_ns() const noexcept { return synced_ns_.load(std::memory_order_acquire); }
  /// errno of the first sync that failed; 0: none did.
  int error() const noexcept { return error_.load(std::memory_order_acquire); }

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::shared_ptr<File> file_;  // guarded by mutex_; null: nothing to do
  std::int64_t time_ns_ = 0;    // guarded by mutex_
  bool stopping_ = false;       // guarded by mutex_
  std::atomic<bool> busy_{false};
  std::atomic<std::int64_t> synced_ns_{0};
  std::atomic<int> error_{0};
  std::thread thread_;
};

class AofWriter final : public WriteLog {
 public:
  /// file is open for appending, size bytes long, and its last line ends at position. lines: of the
  /// file so far. sealed: its last line is a trailer.
  AofWriter(std::unique_ptr<File> file, std::uint64_t size, const LogPosition& position,
            std::uint64_t lines, bool sealed, Fsync policy, MonotonicClock clock = monotonic_ns);

  std::int64_t next_time(std::int64_t wall_ns) override;
  void add(std::int64_t time_ns, unsigned database, Dialect dialect,
           std::span<const Scalar> args) override;
  Status write() override;
  Status take_back(std::size_t lines) override;
  void forget() noexcept override;
  bool pending() const override { return !batch_.empty(); }

  /// Goes on in another file, which continues this one and has only its header, up to end. Nothing
  /// may be pending.
  void switch_to(std::unique_ptr<File> file, std::uint64_t size, const LogPosition& end);
  /// Writes the trailer, if a line was written since the last one, and syncs.
  Status close();
  /// Waits for everything written to be on the disk; a failure is for good.
  Status sync_now();
  /// Under always: write() does not sync; sync_now() is for the caller.
  void defer_syncs(bool deferred) { deferred_ = deferred; }
  /// Under everysec: asks for a sync if the last one was asked for half a second ago.
  void tick(std::int64_t monotonic_ns);
  /// Refuses writes with this sentence until resume(). For a deleted log.
  void refuse(Status why) { refused_ = std::move(why); }
  void resume() { refused_ = {}; }
  /// Refuses writes for good, as after a sync that failed.
  void give_up(const Status& why) override;

  void set_policy(Fsync policy) { policy_ = policy; }
  Fsync policy() const { return policy_; }
  const LogPosition& position() const { return position_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t lines() const { return lines_; }  ///< in this file
  std::int64_t synced_ns() const;
  /// How often a write had to wait for the disk under everysec.
  std::uint64_t delayed_syncs() const noexcept { return delayed_.load(); }
  /// ok, or why the last write was refused, or why all are.
  Status status() const;
  bool failed() const { return !failure_.ok() || sync_.error() != 0; }
  const File& file() const { return *file_; }

 private:
  Status fail(Status why);
  bool all_synced() const { return !cut_back_ && synced_ns() >= position_.time_ns; }
  Status undo(const Status& why);
  Status wait_for_disk();

  std::shared_ptr<File> file_;
  std::uint64_t size_;    // bytes of the file that count
  LogPosition position_;  // at the end of those
  std::uint64_t lines_;
  bool sealed_;
  Fsync policy_;
  bool deferred_ = false;
  std::string batch_;
  LogPosition batch_position_;  // at the end of the batch
  std::uint64_t batch_lines_ = 0;
  struct Mark {
    std::size_t bytes;  // of the batch before the line
    LogPosition position;
  };
  std::vector<Mark> marks_;        // a line each, of this batch or, once written, of the last one
  std::size_t written_bytes_ = 0;  // of the batch written last
  std::int64_t synced_ns_;         // by this thread
  bool cut_back_ = false;          // since the last sync: what is gone may still be on the disk
  std::int64_t last_request_ = 0;  // monotonic time of the last background sync asked for
  MonotonicClock clock_;
  // When the oldest line that may not be on the disk was written: of those the running background
  // sync is for, and of those after them (0: there are none).
  std::int64_t asked_since_ = 0, waiting_since_ = 0;
  std::atomic<std::uint64_t> delayed_{0};
  Status last_write_;
  Status refused_;
  Status failure_;
  BackgroundSync sync_;
};

}  // namespace kv
