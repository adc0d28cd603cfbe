// What a child gives up before its first client byte: new rights, most system calls, resources.
//
// After OpenSSH's privilege separation: whoever takes a child over can do what its client could do.
#pragma once

#include "libkv/base/status.hpp"

namespace kv {

/// Compiles the filter once, in the parent, so that a fork costs one system call for it.
Status prepare_sandbox();
/// no_new_privs, resource limits, the seccomp filter. Not to be undone.
Status enter_sandbox();
/// The same for the child that serves --pipe: it may also open files for writing (the reply pipes).
Status enter_pipe_sandbox();

}  // namespace kv
