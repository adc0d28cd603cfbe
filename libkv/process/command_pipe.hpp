// --pipe PATH: requests from any shell, one a line, without a client program.
//
//   echo 'RPUSH jobs a' > PATH
//   mkfifo answer; echo '@answer LLEN jobs' > PATH; cat answer     (answer lies beside PATH)
//
// A process of its own that is a client like any other, on a socket pair the parent made. Whoever
// may write to PATH (0600: this user) is authenticated. A line is at most PIPE_BUF bytes if several
// write at a time (pipe(7)). Replies are plain text: an element a line, an error with its word.
// AUTH, HELLO, QUIT, RESET, SUBSCRIBE and CLIENT REPLY are refused: all lines share one connection,
// where each gets one reply. An error that no @NAME asks for goes to the server's stderr, at most
// one line a second.
#pragma once

#include <string>

#include "libkv/base/fd.hpp"
#include "libkv/base/status.hpp"

namespace kv {

/// Makes PATH, or takes the named pipe that is there if it is ours; refuses anything else. Kept
/// open, it is locked: two servers would each get some of the lines.
Result<Fd> prepare_command_pipe(const std::string& path);

/// Serves until the connection ends. Never returns.
[[noreturn]] void serve_command_pipe(const std::string& path, Fd connection);

}  // namespace kv
