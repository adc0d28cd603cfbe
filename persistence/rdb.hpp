// Redis's own snapshots, RDB files, to be read by --load: versions 1 to 11 (Redis 2 to 7.2), and
// what of later ones has not changed. The format is Redis's: its rdb.h and rdb.c describe it.
//
// A file is foreign bytes: no length in it is believed before it was compared with what is left.
// Values of a type that kv does not have are left out and named.
#pragma once

#include <string_view>

#include "libkv/base/status.hpp"
#include "persistence/dump.hpp"

namespace kv {

/// Does it begin as an RDB file does?
bool is_rdb(std::string_view bytes) noexcept;

/// Puts the keys of an RDB file on top of what the databases hold. rest: what follows its end, as
/// the commands in a log of Redis that begins with an RDB file. The message of a failure names the
/// byte.
Status load_rdb(std::string_view bytes, const Replay& replay, LoadReport& report,
                std::string_view& rest);

}  // namespace kv
