// DUMP and RESTORE: a value as one string, in Redis's own form, so that it can go from one server
// to another, of either kind.
#include <optional>
#include <string>

#include "libkv/base/limits.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/support.hpp"
#include "libkv/rdb/value_reader.hpp"
#include "libkv/rdb/value_writer.hpp"

namespace kv {
namespace {

void dump(Call& call) {
  Place place = find(call, 1);
  if (!place.found()) return call.reply.nil();
  std::string bytes;
  if (!serialise(call.keys(), place, limits::value_bytes_max, bytes)) {
    return call.fail("ERR the value is too large to be dumped; --dump of the server takes any");
  }
  call.reply.bulk(bytes);
}

struct RestoreOptions {
  bool replace = false;
  bool absolute = false;  // the time to live is one since 1970
  bool idle_time = false, frequency = false;
};

/// IDLETIME and FREQ are what Redis chooses by what to drop when memory is short. kv drops nothing.
bool read_rest(Call& call, std::size_t i, RestoreOptions& options) {
  std::int64_t n = 0;
  const bool more = i + 1 < call.argc();
  if (call.is(i, "IDLETIME") && more && !options.frequency) {
    options.idle_time = true;
    if (!call.integer(i + 1, n)) return false;
    if (n >= 0) return true;
    return call.fail("ERR Invalid IDLETIME value, must be >= 0"), false;
  }
  if (call.is(i, "FREQ") && more && !options.idle_time) {
    options.frequency = true;
    if (!call.integer(i + 1, n)) return false;
    if (n >= 0 && n <= 255) return true;
    return call.fail("ERR Invalid FREQ value, must be >= 0 and <= 255"), false;
  }
  return call.syntax_error(), false;
}

bool read_options(Call& call, RestoreOptions& options) {
  for (std::size_t i = 4; i < call.argc(); ++i) {
    if (call.is(i, "REPLACE")) options.replace = true;
    else if (call.is(i, "ABSTTL")) options.absolute = true;
    else if (!read_rest(call, i, options)) return false;
    else ++i;
  }
  return true;
}

/// When the key is to go; none for 0.
bool read_expiry(Call& call, const RestoreOptions& options, std::optional<std::int64_t>& at_ms) {
  std::int64_t n = 0;
  if (!call.integer(2, n)) return false;
  if (n < 0) return call.fail("ERR Invalid TTL value, must be >= 0"), false;
  if (n == 0) return true;
  if (!options.absolute && __builtin_add_overflow(n, call.now_ms(), &n)) {
    return invalid_expire_time(call), false;
  }
  at_ms = n;
  return true;
}

/// Reads the value into an absent place of a keyspace of its own.
bool read_value(Call& call, Keyspace& keys, Place& place) {
  const std::string_view value = serialised_value(call.arg(3));
  if (value.empty()) return call.fail("ERR DUMP payload version or checksum are wrong"), false;
  RdbValueReader reader(value.substr(1));
  const bool read = reader.value(static_cast<std::uint8_t>(value[0]), keys, place);
  const std::string_view what = reader.left_out();
  if (!what.empty() && what != RdbValueReader::without_elements) {
    call.fail("ERR the value is " + std::string(what) + ", which kv does not have");
    return false;
  }
  if (read && place.found() && reader.bytes().at_end()) return true;
  call.fail("ERR Bad data format");
  return false;
}

void restore(Call& call) {
  RestoreOptions options;
  std::optional<std::int64_t> at_ms;
  if (!writable(call, 1) || !read_options(call, options)) return;
  Place place = call.locate(1);
  if (place.found() && !options.replace) {
    return call.fail("BUSYKEY Target key name already exists.");
  }
  Keyspace elsewhere;
  Place made = elsewhere.peek(call.arg(1), call.now_ms());
  if (!read_expiry(call, options, at_ms) || !read_value(call, elsewhere, made)) return;
  const bool over = at_ms && *at_ms <= call.now_ms();
  if (over && !place.found()) return call.reply.ok();
  if (!call.commit()) return;
  if (over) {
    call.keys().erase(place);
  } else {
    if (at_ms) elsewhere.set_expiry(made, at_ms);
    elsewhere.move(made, call.keys(), place);
  }
  call.reply.ok();
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"dump", 2, kReadonly, {1, 1, 1}, {}, Group::generic, dump,
     "key",
     "A value in Redis's serialised form",
     "O(N) where N is the length of the value", "1.0"},
    {"restore", -4, kWrite | kDenyOom, {1, 1, 1}, {}, Group::generic, restore,
     "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
     "Stores what DUMP has answered, here or at a Redis server",
     "O(N) where N is the length of the value", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> serialised_commands() noexcept { return rows; }

}  // namespace kv
