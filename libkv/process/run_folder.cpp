// See run_folder.hpp. A pipe whose reader is gone answers ENXIO to a writer (fifo(7)): that is how
// a dead server's folder is told from a living one's without asking anybody.
#include "libkv/process/run_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "libkv/base/limits.hpp"

namespace kv {
namespace {

constexpr std::string_view folder_prefix = "kv-run.";

std::string temporary_folder() {
  const char* given = std::getenv("TMPDIR");
  return given != nullptr && given[0] == '/' ? given : "/tmp";
}

/// Shared memory that a server with this folder left behind: it is named after the folder.
void remove_segments(const std::string& path) noexcept {
  const std::string prefix = path.substr(path.rfind('/') + 1) + ".";
  DIR* folder = ::opendir("/dev/shm");
  if (folder == nullptr) return;
  while (const dirent* entry = ::readdir(folder)) {
    if (std::string_view(entry->d_name).starts_with(prefix)) {
      ::unlinkat(::dirfd(folder), entry->d_name, 0);
    }
  }
  ::closedir(folder);
}

void remove_folder(const std::string& path) noexcept {
  remove_segments(path);
  if (DIR* folder = ::opendir(path.c_str()); folder != nullptr) {
    while (const dirent* entry = ::readdir(folder)) {
      ::unlinkat(::dirfd(folder), entry->d_name, 0);
    }
    ::closedir(folder);
  }
  ::rmdir(path.c_str());
}

Fd open_folder(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

bool is_ours_and_dead(const std::string& path) {
  const Fd folder = open_folder(path);
  struct stat facts {};
  if (!folder || ::fstat(folder.get(), &facts) != 0 || facts.st_uid != ::geteuid()) return false;
  // A living parent holds the lock, whatever its sibling is doing at the moment.
  if (::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) return false;
  // One without a pipe may belong to a server that is starting and has not locked it yet.
  const bool begun = ::access((path + "/pipe_sibling").c_str(), F_OK) == 0;
  return begun || ::time(nullptr) - facts.st_mtime > 60;
}

void sweep(const std::string& parent) {
  DIR* folder = ::opendir(parent.c_str());
  if (folder == nullptr) return;
  std::vector<std::string> dead;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(folder_prefix)) continue;
    std::string path = parent + "/" + std::string(name);
    if (is_ours_and_dead(path)) dead.push_back(std::move(path));
  }
  ::closedir(folder);
  for (const std::string& path : dead) remove_folder(path);
}

}  // namespace

Result<RunFolder> RunFolder::create() {
  const std::string parent = temporary_folder();
  sweep(parent);
  std::string path = parent + "/" + std::string(folder_prefix) + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return Status::from_errno(errno, "cannot make a folder for pipes in " + parent);
  }
  Fd lock = open_folder(path);
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Status::from_errno(errno, "cannot lock " + path);
  }
  return RunFolder(std::move(path), std::move(lock));
}

std::string RunFolder::request_pipe(int pid) const {
  return path_ + "/pipe_child_" + std::to_string(pid) + "_request";
}

std::string RunFolder::reply_pipe(int pid) const {
  return path_ + "/pipe_child_" + std::to_string(pid) + "_reply";
}

std::string RunFolder::segment_name(int pid) const {
  return path_.substr(path_.rfind('/') + 1) + "." + std::to_string(pid);
}

void RunFolder::remove() noexcept {
  if (!path_.empty()) remove_folder(path_);
}

Status make_pipe(const std::string& path) {
  if (::mkfifo(path.c_str(), 0600) != 0) return Status::from_errno(errno, "cannot make " + path);
  return {};
}

Result<Fd> open_pipe(const std::string& path, int access) {
  Fd fd(::open(path.c_str(), access | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return Status::from_errno(errno, "cannot open " + path);
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0 || !S_ISFIFO(facts.st_mode)) {
    return Status(Code::denied, path + " is not a named pipe");
  }
  if (facts.st_uid != ::geteuid()) {
    return Status(Code::denied, path + " belongs to another user");
  }
  // Nobody asks when a pipe was last read, and to note it costs a journalling filesystem more than
  // the read. Where it is refused it is only slower.
  (void)::fcntl(fd.get(), F_SETFL, O_NONBLOCK | O_NOATIME);
  return fd;
}

void enlarge_pipe(int fd) noexcept {
  (void)::fcntl(fd, F_SETPIPE_SZ, static_cast<int>(limits::pipe_bytes));
}

}  // namespace kv
