// Commands on the time at which a key ends.
//
// Times are kept in milliseconds since 1970. A time that is not later than the command's own clock
// removes the key at once.
#include <limits>
#include <optional>
#include <string>

#include "libkv/base/text.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

struct Conditions {
  bool nx = false, xx = false, gt = false, lt = false;
};

bool read_conditions(Call& call, Conditions& conditions) {
  for (std::size_t i = 3; i < call.argc(); ++i) {
    if (call.is(i, "NX")) conditions.nx = true;
    else if (call.is(i, "XX")) conditions.xx = true;
    else if (call.is(i, "GT")) conditions.gt = true;
    else if (call.is(i, "LT")) conditions.lt = true;
    else return call.fail("ERR Unsupported option " + std::string(as_c_text(call.arg(i)))), false;
  }
  const auto& [nx, xx, gt, lt] = conditions;
  if (nx && (xx || gt || lt)) {
    call.fail("ERR NX and XX, GT or LT options at the same time are not compatible");
  } else if (gt && lt) {
    call.fail("ERR GT and LT options at the same time are not compatible");
  } else {
    return true;
  }
  return false;
}

/// No expiry counts as one that is infinitely far away.
bool allowed(const Conditions& conditions, std::optional<std::int64_t> old, std::int64_t at_ms) {
  if (conditions.nx && old) return false;
  if (conditions.xx && !old) return false;
  if (conditions.gt && (!old || at_ms <= *old)) return false;
  return !conditions.lt || !old || at_ms < *old;
}

/// As expire_time, but times in the past are fine.
bool read_time(Call& call, TimeForm form, std::int64_t& at_ms) {
  if (!call.integer(2, at_ms)) return false;
  bool fits = true;
  if (form.seconds) fits = !__builtin_mul_overflow(at_ms, 1000, &at_ms);
  if (!form.absolute) fits = fits && !__builtin_add_overflow(at_ms, call.now_ms(), &at_ms);
  if (!fits) invalid_expire_time(call);
  return fits;
}

void expire(Call& call, TimeForm form) {
  Conditions conditions;
  std::int64_t at_ms = 0;
  if (!writable(call, 1) || !read_conditions(call, conditions)) return;
  if (!read_time(call, form, at_ms)) return;
  Place place = call.locate(1);
  if (!place.found()) return call.reply.integer(0);
  if (!allowed(conditions, call.keys().expiry(place), at_ms)) return call.reply.integer(0);
  if (!call.commit()) return;
  if (at_ms <= call.now_ms()) call.keys().erase(place);
  else call.keys().set_expiry(place, at_ms);
  call.reply.integer(1);
}

void expire_seconds(Call& call) { expire(call, {true, false}); }
void expire_milliseconds(Call& call) { expire(call, {false, false}); }
void expire_at_second(Call& call) { expire(call, {true, true}); }
void expire_at_millisecond(Call& call) { expire(call, {false, true}); }

/// The time left, or the time itself; -2: no key, -1: no expiry. Seconds are rounded.
void time_of(Call& call, TimeForm form) {
  const Place place = call.keys().peek(call.arg(1), call.now_ms());
  count_lookup(call, place.found());
  if (!place.found()) return call.reply.integer(-2);
  const auto expiry = call.keys().expiry(place);
  if (!expiry) return call.reply.integer(-1);
  const std::int64_t ms = form.absolute ? *expiry : *expiry - call.now_ms();
  constexpr std::int64_t half_a_second = 500;
  call.reply.integer(form.seconds ? ms / 1000 + (ms % 1000 >= half_a_second ? 1 : 0) : ms);
}

void seconds_left(Call& call) { time_of(call, {true, false}); }
void milliseconds_left(Call& call) { time_of(call, {false, false}); }
void expiry_second(Call& call) { time_of(call, {true, true}); }
void expiry_millisecond(Call& call) { time_of(call, {false, true}); }

void persist(Call& call) {
  if (!writable(call, 1)) return;
  Place place = call.locate(1);
  if (!place.found() || !call.keys().expiry(place)) return call.reply.integer(0);
  if (!call.commit()) return;
  call.keys().set_expiry(place, std::nullopt);
  call.reply.integer(1);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"expire", -3, kWrite | kFast, {1, 1, 1}, {}, Group::generic, expire_seconds,
     "key seconds [NX | XX | GT | LT]",
     "Lets a key end after that many seconds",
     "O(1)", "1.0"},
    {"pexpire", -3, kWrite | kFast, {1, 1, 1}, {}, Group::generic, expire_milliseconds,
     "key milliseconds [NX | XX | GT | LT]",
     "Lets a key end after that many milliseconds",
     "O(1)", "1.0"},
    {"expireat", -3, kWrite | kFast, {1, 1, 1}, {}, Group::generic, expire_at_second,
     "key unix-time-seconds [NX | XX | GT | LT]",
     "Lets a key end at a time, in seconds since 1970",
     "O(1)", "1.0"},
    {"pexpireat", -3, kWrite | kFast, {1, 1, 1}, {}, Group::generic, expire_at_millisecond,
     "key unix-time-milliseconds [NX | XX | GT | LT]",
     "Lets a key end at a time, in milliseconds since 1970",
     "O(1)", "1.0"},
    {"ttl", 2, kReadonly | kFast, {1, 1, 1}, {}, Group::generic, seconds_left,
     "key",
     "The seconds a key has left; -1 if it has no end, -2 if it does not exist",
     "O(1)", "1.0"},
    {"pttl", 2, kReadonly | kFast, {1, 1, 1}, {}, Group::generic, milliseconds_left,
     "key",
     "The milliseconds a key has left; -1 if it has no end, -2 if it does not exist",
     "O(1)", "1.0"},
    {"expiretime", 2, kReadonly | kFast, {1, 1, 1}, {}, Group::generic, expiry_second,
     "key",
     "When a key ends, in seconds since 1970",
     "O(1)", "1.0"},
    {"pexpiretime", 2, kReadonly | kFast, {1, 1, 1}, {}, Group::generic, expiry_millisecond,
     "key",
     "When a key ends, in milliseconds since 1970",
     "O(1)", "1.0"},
    {"persist", 2, kWrite | kFast, {1, 1, 1}, {}, Group::generic, persist,
     "key",
     "Removes a key's end",
     "O(1)", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> expiry_commands() noexcept { return rows; }

}  // namespace kv
