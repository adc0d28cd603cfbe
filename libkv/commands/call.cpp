// The helpers every command function leans on.
#include "libkv/commands/call.hpp"

#include "libkv/base/text.hpp"

namespace kv {

bool Call::is(std::size_t i, std::string_view word) const noexcept {
  return equals_ignoring_case(args_[i].bytes, word);
}

bool Call::integer(std::size_t i, std::int64_t& n) {
  if (parse_integer(args_[i].bytes, n)) return true;
  fail("ERR value is not an integer or out of range");
  return false;
}

Place Call::locate(std::size_t i) {
  Keyspace& space = keys();
  const std::uint64_t hash = i == 1 ? hashes_.key : 0;
  if (trial_ || session.no_touch) return space.peek(arg(i), now_ms(), hash);
  return space.locate(arg(i), now_ms(), hash);
}

bool Call::locate(std::size_t i, Type type, Place& place) {
  place = locate(i);
  if (!place.found() || keys().type(place) == type) return true;
  wrong_type();
  return false;
}

void Call::wrong_type() {
  fail("WRONGTYPE Operation against a key holding the wrong kind of value");
}

void Call::fail(std::string_view text) {
  if (!plio()) return reply.error(text);
  if ((command.flags & kPlioZero) != 0) return reply.integer(0);
  if ((command.flags & kPlioNil) != 0) return reply.nil();
  const std::size_t blank = text.find(' ');
  reply.bulk("Error: " + std::string(blank == text.npos ? text : text.substr(blank + 1)));
}

}  // namespace kv
