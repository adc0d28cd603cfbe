// See support.hpp.
#include "libkv/commands/support.hpp"

#include <limits>
#include <string>

#include "libkv/base/limits.hpp"
#include "libkv/base/random.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/stats.hpp"

namespace kv {

void wrong_arity(Call& call) {
  call.fail("ERR wrong number of arguments for '" + std::string(call.command.name) + "' command");
}

bool enough(Call& call, std::size_t argc) {
  if (call.argc() >= argc) return true;
  wrong_arity(call);
  return false;
}

bool writable(Call& call, std::size_t i) {
  const Scalar& key = call.scalar(i);
  if (is_stats_key(key.bytes)) {
    call.fail("ERR %stats% keys are read-only");
    return false;
  }
  if (!call.plio() || is_plio_key(key)) return true;
  call.fail("ERR NIL or a list is no key");
  return false;
}

bool all_writable(Call& call, std::size_t i, std::size_t step) {
  for (; i < call.argc(); i += step) {
    if (!writable(call, i)) return false;
  }
  return true;
}

void count_lookup(Call& call, bool found) noexcept {
  if (call.trial()) return;
  Counters& counters = call.server.counters();
  ++(found ? counters.keyspace_hits : counters.keyspace_misses);
}

Place find(Call& call, std::size_t i) {
  const Place place = call.locate(i);
  count_lookup(call, place.found());
  return place;
}

bool find(Call& call, std::size_t i, Type type, Place& place) {
  place = find(call, i);
  if (!place.found() || call.keys().type(place) == type) return true;
  call.wrong_type();
  return false;
}

bool integer_within(Call& call, std::size_t i, std::int64_t min, std::int64_t max, std::int64_t& n,
                    std::string_view message) {
  const bool number = parse_integer(call.arg(i), n);
  if (number && n >= min && n <= max) return true;
  if (!message.empty()) {
    call.fail("ERR " + std::string(message));
  } else if (!number) {
    call.fail("ERR value is not an integer or out of range");
  } else {
    call.fail("ERR value is out of range, value must between " + std::to_string(min) + " and " +
              std::to_string(max));
  }
  return false;
}

bool not_negative(Call& call, std::size_t i, std::int64_t& n, std::string_view message) {
  if (message.empty()) message = "value is out of range, must be positive";
  return integer_within(call, i, 0, std::numeric_limits<std::int64_t>::max(), n, message);
}

bool database_integer(Call& call, std::size_t i, std::int64_t& n, std::string_view message) {
  constexpr auto min = std::numeric_limits<std::int32_t>::min();
  constexpr auto max = std::numeric_limits<std::int32_t>::max();
  return integer_within(call, i, min, max, n, message);
}

bool database_exists(Call& call, std::int64_t n, unsigned& number) {
  if (n < 0 || n >= static_cast<std::int64_t>(call.server.databases())) {
    if (n >= 0) call.note_missing_database(n);
    call.fail("ERR DB index is out of range");
    return false;
  }
  number = static_cast<unsigned>(n);
  return true;
}

Slice slice(std::int64_t start, std::int64_t stop, std::size_t size) noexcept {
  const auto length = static_cast<std::int64_t>(size);
  if (start < 0) start = std::max<std::int64_t>(0, start + length);
  if (stop < 0) stop += length;
  stop = std::min(stop, length - 1);
  if (start > stop) return {};
  return {static_cast<std::size_t>(start), static_cast<std::size_t>(stop - start + 1)};
}

std::size_t reply_bytes(const List& list, std::size_t first, std::size_t count) {
  std::size_t bytes = 0;
  list.visit(first, count, [&](const Scalar& element) {
    bytes += element.bytes.size() + 32;  // and what is around it
    return bytes <= limits::reply_bytes_max;
  });
  return bytes;
}

bool too_large_to_pop(Call& call, std::size_t bytes) {
  if (bytes <= limits::reply_bytes_max) return false;
  call.fail("ERR the elements are too many bytes for one reply; ask for fewer");
  return true;
}

void invalid_expire_time(Call& call) {
  call.fail("ERR invalid expire time in '" + std::string(call.command.name) + "' command");
}

bool expire_time(Call& call, std::size_t i, TimeForm form, std::int64_t& at_ms) {
  if (!call.integer(i, at_ms)) return false;
  bool fits = at_ms > 0;
  if (form.seconds) fits = fits && !__builtin_mul_overflow(at_ms, 1000, &at_ms);
  if (!form.absolute) fits = fits && !__builtin_add_overflow(at_ms, call.now_ms(), &at_ms);
  if (!fits) invalid_expire_time(call);
  return fits;
}

std::uint64_t random_number(Call& call) noexcept {
  // Of what differs between any two calls.
  std::uint64_t state = static_cast<std::uint64_t>(call.now_ns()) +
                        call.server.counters().commands_processed * 0x9E3779B97F4A7C15u;
  return splitmix64(state);
}

bool random_choice(Call& call, std::string_view word, std::int64_t& count, bool& with_word) {
  constexpr auto max = std::numeric_limits<std::int64_t>::max();
  if (!integer_within(call, 2, -max, max, count)) return false;
  with_word = call.argc() == 4 && call.is(3, word);
  if (call.argc() > 4 || (call.argc() == 4 && !with_word)) return call.syntax_error(), false;
  const bool doubled_fits = !with_word || (count >= -max / 2 && count <= max / 2);
  if (doubled_fits && count >= -static_cast<std::int64_t>(limits::args_max)) return true;
  call.fail("ERR value is out of range");
  return false;
}

void reply_members(Call& call, const Set& set) {
  set.visit([&call](const Scalar& member) {
    call.reply.scalar(member);
    return true;
  });
}

List list_at(Call& call, Place& place) {
  return place.found() ? call.keys().list(place) : call.keys().make_list(place);
}

Hash hash_at(Call& call, Place& place) {
  return place.found() ? call.keys().hash(place) : call.keys().make_hash(place);
}

}  // namespace kv
