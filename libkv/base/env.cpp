// See env.hpp. The POSIX disk, and the jobs built from single calls.
#include "libkv/base/env.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "libkv/base/clock.hpp"

namespace kv {
namespace {

constexpr mode_t file_mode = 0600;
constexpr mode_t directory_mode = 0700;
constexpr std::int64_t lock_patience_ms = 2'000;
constexpr unsigned lock_interval_us = 20'000;

FileInfo info_of(const struct stat& s) noexcept {
  FileInfo info;
  info.size = static_cast<std::uint64_t>(s.st_size);
  info.device = s.st_dev;
  info.inode = s.st_ino;
  info.links = s.st_nlink;
  info.modified_ns = s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec;
  info.mode = s.st_mode & 07777;
  info.owner = s.st_uid;
  info.regular = S_ISREG(s.st_mode);
  info.directory = S_ISDIR(s.st_mode);
  return info;
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int fd) : File(std::move(path)), fd_(fd) {}
  ~PosixFile() override { ::close(fd_); }

  std::int64_t write_some(const char* bytes, std::size_t size) noexcept override {
    const ssize_t n = ::write(fd_, bytes, size);
    return n < 0 ? -static_cast<std::int64_t>(errno) : n;
  }
  std::int64_t read_some(char* bytes, std::size_t size) noexcept override {
    const ssize_t n = ::read(fd_, bytes, size);
    return n < 0 ? -static_cast<std::int64_t>(errno) : n;
  }
  int sync_data() noexcept override { return ::fdatasync(fd_) == 0 ? 0 : errno; }
  int truncate(std::uint64_t size) noexcept override {
    return ::ftruncate(fd_, static_cast<off_t>(size)) == 0 ? 0 : errno;
  }
  int allocate(std::uint64_t offset, std::uint64_t size) noexcept override {
    return ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(size)) == 0
               ? 0
               : errno;
  }
  int info(FileInfo& out) const noexcept override {
    struct stat s {};
    if (::fstat(fd_, &s) != 0) return errno;
    out = info_of(s);
    return 0;
  }

 private:
  int fd_;
};

class PosixMapping final : public Mapping {
 public:
  PosixMapping() = default;
  explicit PosixMapping(boost::interprocess::mapped_region region) : region_(std::move(region)) {
    bytes_ = {static_cast<const char*>(region_.get_address()), region_.get_size()};
    region_.advise(boost::interprocess::mapped_region::advice_sequential);
  }

 private:
  boost::interprocess::mapped_region region_;
};

/// The folder itself is locked, since its lock file can be removed by mistake; and the file, which
/// says who has it.
class PosixLock final : public DirectoryLock {
 public:
  ~PosixLock() override {
    for (const int fd : fds_) std::erase(held, fd), ::close(fd);
  }
  void take(int fd) {
    fds_.push_back(fd);
    held.push_back(fd);
  }
  /// An inherited descriptor would keep the lock alive after its owner's death.
  static void close_inherited() noexcept {
    for (const int fd : held) ::close(fd);
    held.clear();
  }

 private:
  static inline std::vector<int> held;
  std::vector<int> fds_;
};

Status error_at(std::string_view what, const std::string& path) {
  const int error = errno;
  return Status::from_errno(error, std::string(what) + " " + path);
}

/// A data file must be a regular file, and one that is written a file of ours, or somebody planted
/// it. links: how many names it has.
Status check_ours(int fd, const std::string& path, Open how, std::uint64_t& links) {
  struct stat s {};
  if (::fstat(fd, &s) != 0) return error_at("cannot look at", path);
  links = s.st_nlink;
  if (!S_ISREG(s.st_mode)) return {Code::denied, path + " is not a regular file"};
  if (how == Open::read || s.st_uid == ::geteuid()) return {};
  return {Code::denied, path + " belongs to another user"};
}

/// What is appended would be in the other file too: a backup's, or one that somebody planted.
Status two_names(const std::string& path) {
  const std::string copy = path + ".tmp";
  return {Code::denied, path +
                            " has a second name (hard link), which would be written to as well; " +
                            "give it a file of its own: cp -p " + path + " " + copy + " && mv " +
                            copy + " " + path};
}

class PosixEnv final : public Env {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, Open how) override {
    int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    if (how == Open::append) flags |= O_RDWR | O_APPEND;
    if (how == Open::create_new) flags |= O_RDWR | O_APPEND | O_CREAT | O_EXCL;
    const int fd = ::open(path.c_str(), flags, file_mode);
    if (fd < 0) return error_at("cannot open", path);
    auto file = std::make_unique<PosixFile>(path, fd);
    std::uint64_t links = 0;
    if (Status s = check_ours(fd, path, how, links); !s) return s;
    if (how != Open::read && links > 1) return two_names(path);
    return std::unique_ptr<File>(std::move(file));
  }

  Result<std::unique_ptr<Mapping>> map(const std::string& path) override {
    Result<FileInfo> found = stat(path);
    if (!found) return found.status();
    if (!found->regular) return Status{Code::denied, path + " is not a regular file"};
    if (found->size == 0) return std::unique_ptr<Mapping>(std::make_unique<PosixMapping>());
    namespace ipc = boost::interprocess;
    try {
      ipc::file_mapping file(path.c_str(), ipc::read_only);
      return std::unique_ptr<Mapping>(
          std::make_unique<PosixMapping>(ipc::mapped_region(file, ipc::read_only)));
    } catch (const ipc::interprocess_exception& e) {
      const int error = static_cast<int>(e.get_native_error());
      const char* const advice = error == ENOMEM ? " (allow more of it: ulimit -v)" : "";
      const Status status = Status::from_errno(error, "cannot map " + path);
      return Status{status.code(), status.message() + advice};
    }
  }

  Result<FileInfo> stat(const std::string& path) override {
    struct stat s {};
    if (::lstat(path.c_str(), &s) != 0) return error_at("cannot look at", path);
    return info_of(s);
  }

  Result<std::vector<std::string>> list(const std::string& folder) override {
    DIR* directory = ::opendir(folder.c_str());
    if (directory == nullptr) return error_at("cannot read folder", folder);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status rename(const std::string& from, const std::string& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? Status{}
                                                   : error_at("cannot rename " + from + " to", to);
  }
  Status link(const std::string& from, const std::string& to) override {
    return ::link(from.c_str(), to.c_str()) == 0 ? Status{}
                                                 : error_at("cannot link " + from + " to", to);
  }
  Status remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? Status{} : error_at("cannot remove", path);
  }
  Status make_directory(const std::string& path) override {
    return ::mkdir(path.c_str(), directory_mode) == 0 ? Status{}
                                                      : error_at("cannot make folder", path);
  }

  Status sync_directory(const std::string& folder) override {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return error_at("cannot open folder", folder);
    const int failed = ::fsync(fd);
    const Status status = failed != 0 ? error_at("cannot sync folder", folder) : Status{};
    ::close(fd);
    return status;
  }

  Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& folder) override;
  void leave_locks_to_parent() override { PosixLock::close_inherited(); }
};

Status check_folder(const std::string& folder) {
  struct stat s {};
  if (::stat(folder.c_str(), &s) != 0) return error_at("cannot use data folder", folder);
  if (!S_ISDIR(s.st_mode)) return {Code::usage, folder + " is not a folder"};
  const uid_t me = ::geteuid();
  if (s.st_uid != me && me != 0) {
    return {Code::denied, "data folder " + folder + " belongs to another user"};
  }
  if ((s.st_mode & S_IWOTH) != 0) {
    return {Code::denied,
            "everybody may write to data folder " + folder + "; run: chmod o-w " + folder};
  }
  return {};
}

/// Who holds the lock, as far as its file tells; for the message only.
std::string holder_of(int fd) {
  char text[32];
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  std::string pid(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  pid.erase(std::find_if(pid.begin(), pid.end(), [](char c) { return c < '0' || c > '9'; }),
            pid.end());
  return pid.empty() ? "another process" : "pid " + pid;
}

/// A server that was just killed lets go of its lock when the last of its processes is gone, so it
/// is waited for a little. 0 or errno.
int lock_soon(int fd) noexcept {
  const std::int64_t end = monotonic_ms() + lock_patience_ms;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK || monotonic_ms() >= end) return errno;
    ::usleep(lock_interval_us);
  }
  return 0;
}

Result<std::unique_ptr<DirectoryLock>> PosixEnv::lock_directory(const std::string& folder) {
  if (Status s = check_folder(folder); !s) return s;
  auto lock = std::make_unique<PosixLock>();
  const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return error_at("cannot open folder", folder);
  lock->take(folder_fd);
  // Some file systems over the network cannot lock a folder; there the file has to do.
  const bool taken = lock_soon(folder_fd) == EWOULDBLOCK;
  const std::string path = join_path(folder, "kv.lock");
  const int how = taken ? O_RDONLY : O_RDWR | O_CREAT;  // who has it may have lost its file
  const int fd = ::open(path.c_str(), how | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, file_mode);
  const auto busy = [&] {
    return Status{Code::busy, "data folder " + folder + " is already in use by " + holder_of(fd)};
  };
  if (fd < 0) return taken ? busy() : error_at("cannot open", path);
  lock->take(fd);
  if (taken) return busy();
  std::uint64_t links = 0;
  if (Status s = check_ours(fd, path, Open::append, links); !s) return s;
  if (const int error = lock_soon(fd); error != 0) {
    return error == EWOULDBLOCK ? busy() : Status::from_errno(error, "cannot lock " + path);
  }
  // A second name does not matter to the lock; but what is behind it is not written to.
  if (links > 1) return std::unique_ptr<DirectoryLock>(std::move(lock));
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    // The lock is what counts; its text only informs, so a full disk must not stop us here.
    static_cast<void>(::ftruncate(fd, 0));
  }
  return std::unique_ptr<DirectoryLock>(std::move(lock));
}

}  // namespace

// --- whole jobs ---

Status File::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::int64_t n = write_some(bytes.data(), bytes.size());
    if (n == -EINTR) continue;
    if (n < 0) return Status::from_errno(static_cast<int>(-n), "cannot write " + path_);
    if (n == 0) return Status::from_errno(ENOSPC, "cannot write " + path_);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status File::sync() {
  int error = 0;
  do error = sync_data();
  while (error == EINTR);
  return error == 0 ? Status{} : Status::from_errno(error, "cannot sync " + path_);
}

Result<FileInfo> File::info() const {
  FileInfo out;
  if (const int error = info(out); error != 0) {
    return Status::from_errno(error, "cannot look at " + path_);
  }
  return out;
}

Result<std::string> Env::read_file(const std::string& path, std::uint64_t bytes_max) {
  Result<std::unique_ptr<File>> file = open(path, Open::read);
  if (!file) return file.status();
  std::string all;
  char part[64 * 1024];
  while (true) {
    const std::int64_t n = (*file)->read_some(part, sizeof part);
    if (n == -EINTR) continue;
    if (n < 0) return Status::from_errno(static_cast<int>(-n), "cannot read " + path);
    if (n == 0) return all;
    if (all.size() + static_cast<std::size_t>(n) > bytes_max) {
      return Status{Code::limit, path + " is larger than " + std::to_string(bytes_max) + " bytes"};
    }
    all.append(part, static_cast<std::size_t>(n));
  }
}

Result<std::unique_ptr<File>> Env::create_temporary(const std::string& path) {
  if (Status s = remove(path); !s && s.code() != Code::not_found) return s;
  return open(path, Open::create_new);
}

Status Env::make_folder(const std::string& path) {
  if (Status s = make_directory(path); !s) return s;
  Status s = sync_name_of(path);
  return s.code() == Code::denied ? Status{} : s;  // one may make names where none can be read
}

Status Env::replace_file(File& file, const std::string& path) {
  if (Status s = file.sync(); !s) return s;
  if (Status s = rename(file.path(), path); !s) return s;
  return sync_directory(folder_of(path));
}

Status Env::write_file(const std::string& path, std::string_view bytes) {
  Result<std::unique_ptr<File>> file = create_temporary(path + ".tmp");
  if (!file) return file.status();
  Status status = (*file)->write(bytes);
  if (status) status = replace_file(**file, path);
  if (!status) static_cast<void>(remove(path + ".tmp").ok());
  return status;
}

Status Env::keep_as(const std::string& path, const std::string& second_name) {
  const std::string temporary = second_name + ".tmp";
  if (Status s = remove(temporary); !s && s.code() != Code::not_found) return s;
  if (Status s = link(path, temporary); !s) return s;
  if (Status s = rename(temporary, second_name); !s) {
    static_cast<void>(remove(temporary).ok());
    return s;
  }
  // Renaming onto another name of the same file does nothing and leaves both names.
  const Status left = remove(temporary);
  return left || left.code() == Code::not_found ? Status{} : left;
}

Env& posix_env() {
  static PosixEnv env;
  return env;
}

std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty() || folder == ".") return std::string(name);
  std::string path(folder);
  if (path.back() != '/') path += '/';
  return path.append(name);
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

}  // namespace kv
