// Commands that count: INCR, DECR and their kin.
//
// The result must be the same at every replay, so decimals are added and printed with the widest
// type the platform has, as Redis does, and printed without an exponent.
#include <limits>
#include <string>

#include "libkv/base/digits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/decimal.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

void add(Call& call, std::int64_t delta) {
  Place place;
  if (!writable(call, 1) || !call.locate(1, Type::string, place)) return;
  Keyspace& keys = call.keys();
  const Scalar old = place.found() ? keys.string(place) : Scalar("0");
  std::int64_t n = 0;
  if (!parse_integer(old.bytes, n)) {
    return call.fail("ERR value is not an integer or out of range");
  }
  if (__builtin_add_overflow(n, delta, &n)) {
    return call.fail("ERR increment or decrement would overflow");
  }
  if (place.found() && delta == 0) return call.reply.integer(n);
  if (!call.commit()) return;
  char digits[decimal_bytes_max];
  const std::string_view text(digits, static_cast<std::size_t>(put_decimal(digits, n) - digits));
  if (place.found()) keys.replace_string(place, {text, old.kind});
  else keys.set_string(place, {text, call.plio() ? Kind::number : Kind::string});
  call.reply.integer(n);
}

void increment(Call& call) { add(call, 1); }
void decrement(Call& call) { add(call, -1); }

void increment_by(Call& call) {
  std::int64_t delta = 0;
  if (call.integer(2, delta)) add(call, delta);
}

void decrement_by(Call& call) {
  std::int64_t delta = 0;
  if (!call.integer(2, delta)) return;
  if (delta == std::numeric_limits<std::int64_t>::min()) {
    return call.fail("ERR decrement would overflow");
  }
  add(call, -delta);
}

void increment_by_decimal(Call& call) {
  Place place;
  if (!writable(call, 1) || !call.locate(1, Type::string, place)) return;
  Keyspace& keys = call.keys();
  long double value = 0, delta = 0;
  const bool fine = (!place.found() || parse_long_decimal(keys.string(place).bytes, value)) &&
                    parse_long_decimal(call.arg(2), delta);
  if (!fine) return call.fail("ERR value is not a valid float");
  std::string text;
  if (!format_long_decimal(value + delta, text)) {
    return call.fail("ERR increment would produce NaN or Infinity");
  }
  if (place.found() && keys.string(place) == Scalar(text)) return call.reply.bulk(text);
  if (!call.commit()) return;
  if (place.found()) keys.replace_string(place, Scalar(text));
  else keys.set_string(place, Scalar(text));
  call.reply.bulk(text);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"incr", 2, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::string, increment,
     "key",
     "Adds one to an integer; an absent key counts as 0",
     "O(1)", "1.0"},
    {"incrby", 3, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::string, increment_by,
     "key increment",
     "Adds to an integer; an absent key counts as 0",
     "O(1)", "1.0"},
    {"decr", 2, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::string, decrement,
     "key",
     "Subtracts one from an integer; an absent key counts as 0",
     "O(1)", "1.0"},
    {"decrby", 3, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::string, decrement_by,
     "key decrement",
     "Subtracts from an integer; an absent key counts as 0",
     "O(1)", "1.0"},
    {"incrbyfloat", 3, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::string,
     increment_by_decimal,
     "key increment",
     "Adds to a decimal number; an absent key counts as 0",
     "O(1)", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> number_commands() noexcept { return rows; }

}  // namespace kv
