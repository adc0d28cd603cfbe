// Which of a request's arguments are keys, by their hashes, as its command's row says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "libkv/base/text.hpp"
#include "libkv/commands/command.hpp"
#include "libkv/keyspace/siphash.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

/// A command whose row does not say which keys a request touches.
constexpr bool may_touch_anything(const Command& command) noexcept {
  return command.keys.first <= 0 && (command.flags & kMovableKeys) == 0;
}

/// Where the keys are among args. A count that is none leaves no keys: the command refuses it.
inline ArgSpan keys_of(const Command& command, std::span<const Scalar> args) noexcept {
  const auto argc = static_cast<int>(args.size());
  ArgSpan keys = command.keys;
  if ((command.flags & kMovableKeys) != 0) {
    const int at = key_count_at(command.flags);
    std::int64_t count = 0;
    if (at >= argc || !parse_integer(args[static_cast<std::size_t>(at)].bytes, count)) return {};
    if (count < 1 || count >= argc - at) return {};
    return {at + 1, at + static_cast<int>(count), 1};
  }
  keys.last = std::min(keys.last < 0 ? argc + keys.last : keys.last, argc - 1);
  keys.step = std::max(1, keys.step);
  return keys;
}

/// Calls visit with the hash of each key the row says this request holds: a command, args, and the
/// key_hash of args[1], if that is the first of them.
template <class Request, class Visit>
void for_each_key(const Request& request, Visit visit) {
  const ArgSpan keys = keys_of(request.command, request.args);
  if (keys.first <= 0) return;
  for (int i = keys.first; i <= keys.last; i += keys.step) {
    visit(i == 1 ? request.key_hash : hash_of(request.args[static_cast<std::size_t>(i)].bytes));
  }
}

}  // namespace kv
