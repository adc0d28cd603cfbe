// Commands on whole string values: GET, SET and their kin.
//
// Parts of a string are in strings_range.cpp, numbers in numbers.cpp. SET over PLIO also stores
// lists and hashes, GET also answers them: see store_value and reply_value.
#include <algorithm>
#include <string>

#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/stats.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

/// The options of SET (kept, conditions) and GETEX (persist); both: a time.
struct Options {
  bool nx = false, xx = false, get = false, keep_ttl = false, persist = false;
  std::size_t equal_at = 0;  // index of the argument to compare with; 0: none
  std::size_t time_at = 0;   // of the time
  TimeForm form;
};

/// EX, PX, EXAT, PXAT at argument i, its time after it. A form may be repeated, not mixed.
bool take_time(Call& call, std::size_t i, Options& options) {
  TimeForm form;
  if (call.is(i, "EX")) form = {true, false};
  else if (call.is(i, "PX")) form = {false, false};
  else if (call.is(i, "EXAT")) form = {true, true};
  else if (call.is(i, "PXAT")) form = {false, true};
  else return false;
  const bool other = options.time_at != 0 && (options.form.seconds != form.seconds ||
                                              options.form.absolute != form.absolute);
  if (other || options.keep_ttl || options.persist || i + 1 == call.argc()) return false;
  options.form = form;
  options.time_at = i + 1;
  return true;
}

/// How many arguments from i on it takes; 0: it is no option without a time.
std::size_t take_set_word(Call& call, std::size_t i, Options& options) {
  const int conditions = options.nx + options.xx + (options.equal_at != 0);
  if (call.is(i, "NX")) return conditions == options.nx && (options.nx = true);
  if (call.is(i, "XX")) return conditions == options.xx && (options.xx = true);
  if (call.is(i, "GET")) return options.get = true;
  if (call.is(i, "KEEPTTL")) return options.time_at == 0 && (options.keep_ttl = true);
  if (!call.is(i, "IFEQ") || conditions != 0 || i + 1 == call.argc()) return 0;
  options.equal_at = i + 1;
  return 2;
}

std::size_t take_getex_word(Call& call, std::size_t i, Options& options) {
  return call.is(i, "PERSIST") && options.time_at == 0 && (options.persist = true);
}

/// Reads the options from argument i on; word takes those without a time.
bool read_options(Call& call, std::size_t i, std::size_t (*word)(Call&, std::size_t, Options&),
                  Options& options) {
  while (i < call.argc()) {
    std::size_t taken = word(call, i, options);
    if (taken == 0 && take_time(call, i, options)) taken = 2;
    if (taken == 0) return call.syntax_error(), false;
    i += taken;
  }
  return true;
}

/// The value over PLIO must be something; everything else may be stored.
bool storable(Call& call, std::size_t i) {
  if (!call.plio() || !is_nil(call.scalar(i))) return true;
  call.fail("ERR NIL is not stored");
  return false;
}

/// The string at place, or NIL. Over PLIO whatever is there.
void reply_old(Call& call, Place& place) { reply_value(call, place); }

/// May the old value be answered? Over PLIO any may, over RESP only a string; another one is a hit
/// all the same.
bool answerable(Call& call, const Place& place) {
  if (!place.found() || call.plio() || call.keys().type(place) == Type::string) return true;
  count_lookup(call, true);
  call.wrong_type();
  return false;
}

void get(Call& call) {
  if (!enough(call, 2)) return;
  if (is_stats_key(call.arg(1))) {
    if (!reply_stats(call, call.arg(1))) call.reply.nil();
    return;
  }
  Place place = find(call, 1);
  if (!place.found()) return call.reply.nil();
  if (Scalar value; call.keys().string(place, value)) return call.reply.last(value);
  if (!call.plio()) return call.wrong_type();
  reply_value(call, place);
}

/// Stores argument value_at and, unless kept, forgets the expiry; at_ms 0: none is set.
void assign(Call& call, Place& place, std::size_t value_at, bool keep_ttl, std::int64_t at_ms) {
  Keyspace& keys = call.keys();
  const Scalar& value = call.scalar(value_at);
  const auto kept = keep_ttl && place.found() ? keys.expiry(place) : std::nullopt;
  if (value.kind == Kind::list) store_value(call, place, value);
  else keys.set_string(place, value);
  if (at_ms != 0) keys.set_expiry(place, at_ms);
  else if (kept) keys.set_expiry(place, kept);
}

/// Is argument i what is stored there, a string?
bool equals(Call& call, Place& place, std::size_t i) {
  Scalar value;
  return call.keys().string(place, value) && value.bytes == call.arg(i);
}

/// NX, XX, IFEQ and GET: whether to set, and if so committed; if not, answered.
bool conditions_hold(Call& call, Place& place, const Options& options) {
  const bool looks = options.get || options.equal_at != 0;
  if (looks && !answerable(call, place)) return false;
  const bool found = place.found();
  bool applies = found ? !options.nx : !options.xx;
  if (options.equal_at != 0) applies = equals(call, place, options.equal_at);
  if (!applies && !options.get) return call.reply.nil(), false;
  if (applies && !call.commit()) return false;
  if (options.get) count_lookup(call, found), reply_old(call, place);
  return applies;
}

void set(Call& call) {
  if (!enough(call, 3) || !writable(call, 1) || !storable(call, 2)) return;
  Options options;  // picolisp-kv ignores what follows the value
  if (!call.plio() && !read_options(call, 3, take_set_word, options)) return;
  std::int64_t at_ms = 0;
  if (options.time_at != 0 && !expire_time(call, options.time_at, options.form, at_ms)) return;
  // Without conditions it changes something whatever is there: a trial need not look.
  const bool conditional = options.get || options.nx || options.xx || options.equal_at != 0;
  if (!conditional && !call.commit()) return;
  Place place = call.locate(1);
  if (conditional && !conditions_hold(call, place, options)) return;
  assign(call, place, 2, options.keep_ttl, at_ms);
  if (!options.get) call.reply.ok();
}

void set_if_absent(Call& call) {
  if (!writable(call, 1)) return;
  Place place = call.locate(1);
  if (place.found()) return call.reply.integer(0);
  if (!call.commit()) return;
  assign(call, place, 2, false, 0);
  call.reply.integer(1);
}

/// SETEX, PSETEX: key time value.
void set_for(Call& call, bool seconds) {
  std::int64_t at_ms = 0;
  if (!writable(call, 1) || !expire_time(call, 2, {seconds, false}, at_ms)) return;
  if (!call.commit()) return;
  Place place = call.locate(1);
  assign(call, place, 3, false, at_ms);
  call.reply.ok();
}

void set_for_seconds(Call& call) { set_for(call, true); }
void set_for_milliseconds(Call& call) { set_for(call, false); }

/// Over PLIO NIL as the new value (or none) deletes.
void get_and_set(Call& call) {
  if (!enough(call, 2) || !writable(call, 1)) return;
  Place place = call.locate(1);
  if (!answerable(call, place)) return;
  const bool deletes = call.argc() < 3 || (call.plio() && is_nil(call.scalar(2)));
  if (deletes && !place.found()) return call.reply.nil();
  if (!call.commit()) return;
  count_lookup(call, place.found());
  reply_old(call, place);
  if (deletes) call.keys().erase(place);
  else assign(call, place, 2, false, 0);
}

void delete_if_equal(Call& call) {
  if (!writable(call, 1)) return;
  Place place = call.locate(1);
  if (!answerable(call, place)) return;
  if (!equals(call, place, 2)) return call.reply.integer(0);
  if (!call.commit()) return;
  call.keys().erase(place);
  call.reply.integer(1);
}

void get_and_delete(Call& call) {
  if (!writable(call, 1)) return;
  Place place = call.locate(1);
  if (!answerable(call, place)) return;
  if (!place.found()) return count_lookup(call, false), call.reply.nil();
  if (!call.commit()) return;
  count_lookup(call, true);
  reply_old(call, place);
  call.keys().erase(place);
}

void get_and_expire(Call& call) {
  if (!writable(call, 1)) return;
  Options options;
  if (!read_options(call, 2, take_getex_word, options)) return;
  Place place = call.locate(1);
  if (!place.found()) return count_lookup(call, false), call.reply.nil();
  if (!answerable(call, place)) return;
  std::int64_t at_ms = 0;
  if (options.time_at != 0 && !expire_time(call, options.time_at, options.form, at_ms)) {
    return count_lookup(call, true);
  }
  const bool persists = options.persist && call.keys().expiry(place);
  const bool changes = options.time_at != 0 || persists;
  if (changes && !call.commit()) return;
  count_lookup(call, true);
  reply_old(call, place);
  if (persists) call.keys().set_expiry(place, std::nullopt);
  if (options.time_at == 0) return;
  if (at_ms <= call.now_ms()) call.keys().erase(place);
  else call.keys().set_expiry(place, at_ms);
}

void get_many(Call& call) {
  if (!enough(call, 2)) return;
  call.reply.array(call.argc() - 1);
  for (std::size_t i = 1; i < call.argc(); ++i) {
    if (is_stats_key(call.arg(i))) {
      if (!reply_stats(call, call.arg(i))) call.reply.nil();
      continue;
    }
    Place place = find(call, i);
    const bool shown = place.found() && (call.plio() || call.keys().type(place) == Type::string);
    if (shown) reply_value(call, place);
    else call.reply.nil();
  }
}

/// One pair of MSET over PLIO is skipped where SET would refuse it.
bool settable(const Call& call, std::size_t i) {
  if (!call.plio()) return true;
  return is_plio_key(call.scalar(i)) && !is_stats_key(call.arg(i)) && !is_nil(call.scalar(i + 1));
}

/// Stores all pairs; the last of two equal keys wins.
void assign_pairs(Call& call) {
  for (std::size_t i = 1; i + 1 < call.argc(); i += 2) {
    if (!settable(call, i)) continue;
    Place place = call.locate(i);
    assign(call, place, i + 1, false, 0);
  }
}

bool pairs_complete(Call& call) {
  if (call.argc() % 2 == 1) return true;
  wrong_arity(call);
  return false;
}

/// Over PLIO a lone last key and pairs that SET would refuse are passed over in silence.
void set_many(Call& call) {
  if (!enough(call, 2)) return;
  if (!call.plio() && (!pairs_complete(call) || !all_writable(call, 1, 2))) return;
  bool any = false;
  for (std::size_t i = 1; i + 1 < call.argc() && !any; i += 2) any = settable(call, i);
  if (any && !call.commit()) return;
  assign_pairs(call);
  call.reply.ok();
}

void set_many_if_absent(Call& call) {
  if (!pairs_complete(call) || !all_writable(call, 1, 2)) return;
  for (std::size_t i = 1; i < call.argc(); i += 2) {
    if (call.locate(i).found()) return call.reply.integer(0);
  }
  if (!call.commit()) return;
  assign_pairs(call);
  call.reply.integer(1);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"get", 2, kReadonly | kFast | kPlioNil, {1, 1, 1}, {}, Group::string, get,
     "key",
     "The value of a key",
     "O(1)", "0.18"},
    {"set", -3, kWrite | kDenyOom | kPlioNil, {1, 1, 1}, {2, 2, 1}, Group::string, set,
     "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | "
     "EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
     "Stores a value, whatever was there before",
     "O(1)", "0.18"},
    {"setnx", 3, kWrite | kDenyOom | kFast, {1, 1, 1}, {2, 2, 1}, Group::string, set_if_absent,
     "key value",
     "Stores a value only if the key does not exist",
     "O(1)", "1.0"},
    {"setex", 4, kWrite | kDenyOom, {1, 1, 1}, {3, 3, 1}, Group::string, set_for_seconds,
     "key seconds value",
     "Stores a value that expires after that many seconds",
     "O(1)", "1.0"},
    {"psetex", 4, kWrite | kDenyOom, {1, 1, 1}, {3, 3, 1}, Group::string, set_for_milliseconds,
     "key milliseconds value",
     "Stores a value that expires after that many milliseconds",
     "O(1)", "1.0"},
    {"getset", 3, kWrite | kDenyOom | kFast | kPlioNil, {1, 1, 1}, {2, 2, 1}, Group::string,
     get_and_set,
     "key value",
     "Stores a value and returns the one it replaces",
     "O(1)", "0.18"},
    {"delifeq", 3, kWrite | kFast, {1, 1, 1}, {}, Group::string, delete_if_equal,
     "key value",
     "Removes a key only if that is its value: how to give back a lock",
     "O(1)", "1.0"},
    {"getdel", 2, kWrite | kFast, {1, 1, 1}, {}, Group::string, get_and_delete,
     "key",
     "Returns a value and removes its key",
     "O(1)", "1.0"},
    {"getex", -2, kWrite | kFast, {1, 1, 1}, {}, Group::string, get_and_expire,
     "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
     "PERSIST]",
     "Returns a value and sets or removes its expiry",
     "O(1)", "1.0"},
    {"mget", -2, kReadonly | kFast | kPlioNil, {1, -1, 1}, {}, Group::string, get_many,
     "key [key ...]",
     "The values of several keys, nil for those without one",
     "O(N) where N is the number of keys", "0.18"},
    {"mset", -3, kWrite | kDenyOom | kPlioNil, {1, -1, 2}, {2, -1, 2}, Group::string, set_many,
     "key value [key value ...]",
     "Stores several values at once",
     "O(N) where N is the number of keys", "0.18"},
    {"msetnx", -3, kWrite | kDenyOom, {1, -1, 2}, {2, -1, 2}, Group::string, set_many_if_absent,
     "key value [key value ...]",
     "Stores several values only if none of the keys exists",
     "O(N) where N is the number of keys", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> string_commands() noexcept { return rows; }

}  // namespace kv
