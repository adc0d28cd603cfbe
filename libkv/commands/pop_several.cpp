// See pop_several.hpp.
#include "libkv/commands/pop_several.hpp"

#include <cmath>
#include <limits>

#include "libkv/commands/decimal.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

constexpr auto int_max = std::numeric_limits<std::int64_t>::max();

}  // namespace

bool wait_time(Call& call, std::size_t i, std::int64_t& ms) {
  long double seconds = 0;
  if (!parse_long_decimal(call.arg(i), seconds)) {
    return call.fail("ERR timeout is not a float or out of range"), false;
  }
  const long double wanted = std::ceil(seconds * 1000);
  if (wanted > static_cast<long double>(int_max - call.now_ms())) {
    return call.fail("ERR timeout is out of range"), false;
  }
  if (seconds < 0) return call.fail("ERR timeout is negative"), false;
  ms = static_cast<std::int64_t>(wanted);
  return true;
}

bool read_keys_to_pop(Call& call, std::size_t at, PopSeveral& asked) {
  std::int64_t keys = 0;
  if (!integer_within(call, at, 1, int_max, keys, "numkeys should be greater than 0")) return false;
  if (keys > static_cast<std::int64_t>(call.argc() - at) - 2) return call.syntax_error(), false;
  asked.first = at + 1;
  asked.last = at + static_cast<std::size_t>(keys);
  return true;
}

bool read_count_to_pop(Call& call, std::size_t i, PopSeveral& asked) {
  if (i == call.argc()) return true;
  if (!call.is(i, "COUNT") || i + 1 == call.argc()) return call.syntax_error(), false;
  if (!integer_within(call, i + 1, 1, int_max, asked.count, "count should be greater than 0")) {
    return false;
  }
  if (i + 2 != call.argc()) return call.syntax_error(), false;
  return true;
}

}  // namespace kv
