// A disk in memory that can fail, for the tests of persistence. It keeps apart what was written and
// what was synced, of files and of directory entries, so that a power failure can be played.
//
// Every changing call is counted. A test runs a script with a fault at call 1, 2, 3 ... until none
// fires. It never touches the real disk.
#pragma once

#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "libkv/base/env.hpp"

namespace kv::test {

/// What happens at the counted call.
enum class Fault : std::uint8_t {
  none,
  error,       // it fails with error_number and changes nothing
  die,         // the process is killed just before it: nothing has any effect from there on
  die_halfway  // a write is done by half first
};

class FaultEnv final : public Env {
 public:
  struct Node {
    std::string data;     // as the running system sees it
    std::string on_disk;  // as it was at the last sync
    std::uint64_t links = 1, inode = 0;
    std::int64_t modified_ns = 0;
  };
  using Entries = std::map<std::string, std::shared_ptr<Node>>;

  FaultEnv() { make_root("data"); }

  // --- the plan ---
  Fault fault = Fault::none;
  std::uint64_t fault_at = 0;  // number of the call, from 1
  bool fault_stays = false;    // error: also every later call of the same kind
  int error_number = EIO;
  std::string only;  // if not empty: only calls of this name count ("write", "sync" ...)
  std::size_t write_max = SIZE_MAX;     // bytes the disk takes at a time
  bool interrupts = false;              // every other write is interrupted first
  bool sync_lies = false;               // says yes, keeps nothing
  std::atomic<bool> sync_hangs{false};  // a sync does not return until this is false again
  std::uint64_t room = UINT64_MAX;      // bytes of all files together; more is ENOSPC
  std::uint64_t calls = 0;              // counted so far
  bool dead = false;
  std::vector<std::string> trace;  // "write kv.aof", "sync kv.db.tmp" ... of counted calls
  /// Files that map() cannot read, and the errno it says.
  std::map<std::string, int> unreadable;

  /// The process was killed, the machine was not: all that was written is there.
  void restart();
  /// The same, and what was not synced is still only in memory: the power may fail later.
  void kill() { forget_processes(); }
  /// The power failed: only what was synced is there.
  void power_failure();
  /// The power failed, and the disk had written some of the blocks that were not synced.
  void power_failure_with_some_blocks(std::mt19937_64& random);

  // --- looking and damaging from outside ---
  std::string& contents(const std::string& path);  ///< of data/path; changes count as synced
  std::string on_disk(const std::string& path);    ///< what a power failure would leave of it
  bool has(const std::string& path) const { return entries_.contains(path); }
  Entries& entries() { return entries_; }
  void put(const std::string& path, std::string bytes);
  void settle();  ///< everything is on the disk now
  /// An independent copy of the disk as it is, without any fault.
  std::unique_ptr<FaultEnv> copy() const;
  std::uint64_t used() const;

  // --- Env ---
  Result<std::unique_ptr<File>> open(const std::string& path, Open how) override;
  Result<std::unique_ptr<Mapping>> map(const std::string& path) override;
  Result<FileInfo> stat(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& folder) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Status sync_directory(const std::string& folder) override;
  Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& folder) override;

  /// Counts a call. 0: go on; otherwise the errno it fails with. half: do half of it, then die.
  int count(const char* what, const std::string& path, bool& half);

 private:
  friend class FaultFile;
  void make_root(const std::string& path);
  void forget_processes();
  std::shared_ptr<Node> find(const std::string& path) const;

  Entries entries_, entries_on_disk_;
  std::uint64_t next_inode_ = 1;
  std::recursive_mutex mutex_;  // a sync may come from another thread
  unsigned interrupt_turn_ = 0;
};

}  // namespace kv::test
