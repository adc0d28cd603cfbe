// The server program's verbs on a folder nobody serves: --check, --repair, --reseal, --dump,
// --load.
#pragma once

#include "libkv/process/options.hpp"

namespace kv {

bool wants_tool(const Options& options) noexcept;
/// Does what the options ask; the process's exit status.
int run_tool(const Options& options);

}  // namespace kv
