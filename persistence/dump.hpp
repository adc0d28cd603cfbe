// --dump and --load: the data as text, JSON lines or RESP, and back from any of them.
//
//   text   kv.db's own form
//   json   a line a key: {"key":"k","type":"hash","value":{"f":"v"},"db":3,"expires":1795167368731}
//          strings as they are when UTF-8, else {"base64":"..."}; PicoLisp numbers as numbers, NIL
//          as null, symbols {"symbol":"T"}, lists {"lisp":"(1 2)"}; a hash with other fields than
//          plain strings as a list of [field, value]
//   resp   commands, for redis-cli --pipe; DEL before RPUSH and HSET, so it can be run twice
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "persistence/persistence.hpp"

namespace kv {

/// Writes every key to out. form: "text", "json" or "resp". as_of: for the text form's header.
Status dump(std::span<Keyspace* const> databases, std::string_view form, const SaveJob& as_of,
            std::FILE* out);

struct LoadReport {
  std::uint64_t loaded = 0;          // lines, commands or keys
  std::vector<std::string> refused;  // of what was left out: where it is, and why
};
/// Reads a dump, a snapshot of ours or of picolisp-kv, or Redis's RDB file or log, told apart by
/// its beginning, on top of what the databases hold. time_ns: when it counts as done (for
/// commands). The message of a failure names the line or byte.
Status load_dump(std::string_view bytes, std::int64_t time_ns, const Replay& replay,
                 LoadReport& report);

}  // namespace kv
