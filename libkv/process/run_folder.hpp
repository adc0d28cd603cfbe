// The folder of the named pipes: private (0700), one a server, swept when its server is gone.
#pragma once

#include <string>

#include "libkv/base/fd.hpp"
#include "libkv/base/status.hpp"

namespace kv {

class RunFolder {
 public:
  /// Makes TMPDIR/kv-XXXXXX and removes those of servers that died without doing it themselves.
  static Result<RunFolder> create();
  RunFolder(RunFolder&&) noexcept = default;
  RunFolder& operator=(RunFolder&&) noexcept = default;

  const std::string& path() const noexcept { return path_; }
  std::string sibling_pipe() const { return path_ + "/pipe_sibling"; }
  std::string request_pipe(int pid) const;
  std::string reply_pipe(int pid) const;
  /// Name of a child's segment of shared memory: nobody else's, as the folder's name is ours alone.
  std::string segment_name(int pid) const;
  /// Takes the folder and what is in it away.
  void remove() noexcept;

 private:
  RunFolder(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  Fd lock_;  // held by the parent alone, as long as it lives: the folder is not swept meanwhile
};

/// Makes a named pipe for this user only; nothing may be there yet.
Status make_pipe(const std::string& path);
/// Opens a named pipe, non-blocking, close-on-exec; refuses anything that is not one or not ours.
Result<Fd> open_pipe(const std::string& path, int access);
/// Gives a pipe limits::pipe_bytes of room, if the kernel lets us. It lets a user who is not root
/// have 64 MiB in all pipes together, full or empty (pipe(7)), so this is for a few.
void enlarge_pipe(int fd) noexcept;

}  // namespace kv
