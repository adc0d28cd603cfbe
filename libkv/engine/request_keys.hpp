// Which of a request's arguments are keys, by their hashes, as its command's row says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "libkv/commands/command.hpp"
#include "libkv/keyspace/siphash.hpp"

namespace kv {

/// Calls visit with the hash of each key the row says this request holds: a command, args, and the
/// key_hash of args[1].
template <class Request, class Visit>
void for_each_key(const Request& request, Visit visit) {
  const ArgSpan& keys = request.command.keys;
  if (keys.first <= 0) return;
  const auto argc = static_cast<int>(request.args.size());
  const int last = keys.last < 0 ? argc + keys.last : keys.last;
  const int step = std::max(1, keys.step);
  for (int i = keys.first; i <= last && i < argc; i += step) {
    visit(i == 1 ? request.key_hash : hash_of(request.args[static_cast<std::size_t>(i)].bytes));
  }
}

}  // namespace kv
