// The one door to the disk. Everything persistent goes through an Env, so that tests can put one in
// its place that fails the Nth call, writes short, or forgets what was not synced.
//
// Nothing else in kv may call open, write, fsync, rename on data files. Paths come from the
// operator, never from a client. Files are made with mode 0600, opened O_CLOEXEC and O_NOFOLLOW,
// and must be regular files of ours with one name: a planted link is refused, not written through.
// (kv.lock may have a second one, as in a backup made of hard links; then it is locked only.)
//
// Two layers: the virtual functions mirror one system call each and tell errno (0: success); the
// plain functions below them do whole jobs and return a Status with the path in its sentence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/status.hpp"

namespace kv {

/// What stat tells of a file. Sizes in bytes.
struct FileInfo {
  std::uint64_t size = 0;
  std::uint64_t device = 0, inode = 0;
  std::uint64_t links = 0;       // names it has; 0: deleted while open
  std::int64_t modified_ns = 0;  // nanoseconds since 1970
  std::uint32_t mode = 0;        // permission bits
  std::uint32_t owner = 0;
  bool regular = false, directory = false;
};

/// One open file. Closed when destroyed. Not for use from two threads, except sync_data().
class File {
 public:
  explicit File(std::string path) : path_(std::move(path)) {}
  virtual ~File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  const std::string& path() const noexcept { return path_; }

  // One system call each; negative or non-zero results are errno.
  virtual std::int64_t write_some(const char* bytes, std::size_t size) noexcept = 0;
  virtual std::int64_t read_some(char* bytes, std::size_t size) noexcept = 0;
  virtual int sync_data() noexcept = 0;  ///< fdatasync; may run in another thread
  virtual int truncate(std::uint64_t size) noexcept = 0;
  /// Reserves room for size bytes from offset on without changing the file's length.
  virtual int allocate(std::uint64_t offset, std::uint64_t size) noexcept = 0;
  virtual int info(FileInfo& out) const noexcept = 0;

  /// All of it, whatever the kernel takes at a time. On failure part of it may have been written.
  Status write(std::string_view bytes);
  Status sync();
  Result<FileInfo> info() const;

 private:
  std::string path_;
};

/// A whole file in memory, read only: mapped if the system can. Lives as long as this object.
class Mapping {
 public:
  virtual ~Mapping() = default;
  std::string_view bytes() const noexcept { return bytes_; }

 protected:
  std::string_view bytes_;
};

/// Held while it lives; given up by the kernel when the process dies.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class Open : std::uint8_t {
  append,      // must exist; every write goes to the end
  create_new,  // must not exist
  read,
};

/// "a/b" and "c" -> "a/b/c"; "." and "c" -> "c".
std::string join_path(std::string_view folder, std::string_view name);

class Env {
 public:
  virtual ~Env() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, Open how) = 0;
  /// code not_found if there is no such file. Refuses what is not a regular file.
  virtual Result<std::unique_ptr<Mapping>> map(const std::string& path) = 0;
  /// Does not follow a link at the end of the path. code not_found if there is nothing.
  virtual Result<FileInfo> stat(const std::string& path) = 0;
  /// Names of the entries (without "." and ".."), sorted.
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;
  virtual Status make_directory(const std::string& path) = 0;  ///< mode 0700; parent must exist
  virtual Status sync_directory(const std::string& folder) = 0;
  /// Locks a data directory for this process, and its lock file, which gets the pid. code busy and
  /// "already in use by pid N" if another process has it and keeps it for two seconds. Refuses a
  /// folder that belongs to somebody else or that everybody may write to.
  virtual Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& folder) = 0;

  /// In a fork: lets go of locks that were inherited, so that they end with their real owner.
  virtual void leave_locks_to_parent() {}

  bool exists(const std::string& path) { return stat(path).ok(); }
  /// The whole file, at most bytes_max of it; code limit if it is longer.
  Result<std::string> read_file(const std::string& path, std::uint64_t bytes_max);
  /// A temporary of ours is made afresh: what a crash left under that name is removed first.
  Result<std::unique_ptr<File>> create_temporary(const std::string& path);
  /// Makes a folder that is there even if the power fails.
  Status make_folder(const std::string& path);
  /// Syncs the folder's name, which is in its parent.
  Status sync_name_of(const std::string& folder) { return sync_directory(join_path(folder, "..")); }
  /// Syncs file, renames it to path over whatever is there, syncs the directory. Afterwards the new
  /// content is there even if the power fails; on failure the old content is, untouched.
  Status replace_file(File& file, const std::string& path);
  /// Writes a file whole: create_temporary(path.tmp), write, replace_file.
  Status write_file(const std::string& path, std::string_view bytes);
  /// Gives path a second name, replacing what had it; path itself is never missing meanwhile.
  Status keep_as(const std::string& path, const std::string& second_name);
};

/// The real disk. Lives for ever.
Env& posix_env();

/// The folder of a path: "a/b" -> "a", "b" -> ".".
std::string folder_of(std::string_view path);

}  // namespace kv
