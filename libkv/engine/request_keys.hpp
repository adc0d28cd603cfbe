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

/// ZUNIONSTORE and its kin: a key, and then a number of keys.
constexpr bool stores_in_front(const Command& command) noexcept {
  return (command.flags & kMovableKeys) != 0 && command.keys.first == 1;
}

/// Where the keys are among args, but for a destination in front of a number of them. A count that
/// is none leaves no keys: the command refuses it.
inline ArgSpan keys_of(const Command& command, std::span<const Scalar> args) noexcept {
  const auto argc = static_cast<int>(args.size());
  ArgSpan keys = command.keys;
  if ((command.flags & kMovableKeys) != 0) {
    const int at = key_count_at(command.flags, command.keys);
    std::int64_t count = 0;
    if (at >= argc || !parse_integer(args[static_cast<std::size_t>(at)].bytes, count)) return {};
    if (count < 1 || count >= argc - at) return {};
    return {at + 1, at + static_cast<int>(count), 1};
  }
  keys.last = std::min(keys.last < 0 ? argc + keys.last : keys.last, argc - 1);
  keys.step = std::max(1, keys.step);
  return keys;
}

/// Of args[1], if the row says that it is the first key; else 0. known: hash_of(args[1]) if that is
/// known, else 0.
inline std::uint64_t first_key_hash(const Command& command, std::span<const Scalar> args,
                                    std::uint64_t known = 0) {
  if (command.keys.first != 1 || args.size() < 2) return 0;
  return hash_of(args[1].bytes, known);
}

/// Calls visit with the hash of each key the row says a request with these args holds. key_hash: as
/// first_key_hash() has it, or 0.
template <class Visit>
void for_each_key(const Command& command, std::span<const Scalar> args, std::uint64_t key_hash,
                  Visit visit) {
  const bool one = command.keys.first == 1 && command.keys.last == 1 &&
                   (command.flags & kMovableKeys) == 0 && key_hash != 0;
  if (one) return visit(key_hash);  // mostly
  const ArgSpan keys = keys_of(command, args);
  if (keys.first <= 0) return;
  if (keys.first > 2 && stores_in_front(command)) {
    visit(hash_of(args[1].bytes, key_hash));
  }
  for (int i = keys.first; i <= keys.last; i += keys.step) {
    visit(hash_of(args[static_cast<std::size_t>(i)].bytes, i == 1 ? key_hash : 0));
  }
}

template <class Request, class Visit>
void for_each_key(const Request& request, Visit visit) {
  for_each_key(request.command, request.args, request.hashes.key, visit);
}

}  // namespace kv
