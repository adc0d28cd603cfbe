// Commands that count in hashes, choose fields at random, or walk a hash a few fields at a time.
#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>
#include <vector>

#include "libkv/base/digits.hpp"
#include "libkv/base/random.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/decimal.hpp"
#include "libkv/commands/scan.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

void increment_by(Call& call) {
  std::int64_t delta = 0;
  Place place;
  if (!writable(call, 1) || !call.integer(3, delta)) return;
  if (!call.locate(1, Type::hash, place)) return;
  std::optional<Scalar> old;
  if (place.found()) old = call.keys().hash(place).get(call.arg(2), call.field_hash(2));
  std::int64_t n = 0;
  if (old && !parse_integer(old->bytes, n)) return call.fail("ERR hash value is not an integer");
  if (__builtin_add_overflow(n, delta, &n)) {
    return call.fail("ERR increment or decrement would overflow");
  }
  if (old && delta == 0) return call.reply.integer(n);
  if (!call.commit()) return;
  char digits[decimal_bytes_max];
  const char* end = put_decimal(digits, n);
  const Kind made = call.plio() ? Kind::number : Kind::string;
  const Scalar value({digits, static_cast<std::size_t>(end - digits)}, old ? old->kind : made);
  hash_at(call, place).set(call.scalar(2), value, call.field_hash(2));
  call.reply.integer(n);
}

void increment_by_decimal(Call& call) {
  long double delta = 0, value = 0;
  Place place;
  if (!writable(call, 1)) return;
  if (!parse_long_decimal(call.arg(3), delta)) return call.fail("ERR value is not a valid float");
  if (std::isinf(delta)) return call.fail("ERR value is NaN or Infinity");
  if (!call.locate(1, Type::hash, place)) return;
  std::optional<Scalar> old;
  if (place.found()) old = call.keys().hash(place).get(call.arg(2), call.field_hash(2));
  if (old && !parse_long_decimal(old->bytes, value)) {
    return call.fail("ERR hash value is not a float");
  }
  std::string text;
  if (!format_long_decimal(value + delta, text)) {
    return call.fail("ERR increment would produce NaN or Infinity");
  }
  if (old && *old == Scalar(text)) return call.reply.bulk(text);
  if (!call.commit()) return;
  hash_at(call, place).set(call.scalar(2), Scalar(text), call.field_hash(2));
  call.reply.bulk(text);
}

// --- HRANDFIELD ---

/// A stream of random numbers for one reply: splitmix64.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}
  /// 0 to sides - 1; the bias of the remainder is far below what anybody could notice.
  std::size_t roll(std::size_t sides) noexcept { return next() % sides; }
  std::uint64_t next() noexcept { return splitmix64(state_); }

 private:
  std::uint64_t state_;
};

std::vector<Hash::Pair> all_pairs(const Hash& hash) {
  std::vector<Hash::Pair> pairs;
  pairs.reserve(hash.size());
  hash.visit([&](const Hash::Pair& pair) {
    pairs.push_back(pair);
    return true;
  });
  return pairs;
}

/// RESP3 clients get a pair as an array of its own.
void reply_pairs(Call& call, const std::vector<Hash::Pair>& pairs, bool with_values) {
  const bool nested = with_values && !call.plio() && call.session.protocol >= 3;
  call.reply.array(with_values && !nested ? pairs.size() * 2 : pairs.size());
  for (const Hash::Pair& pair : pairs) {
    if (nested) call.reply.array(2);
    call.reply.scalar(pair.field);
    if (with_values) call.reply.scalar(pair.value);
  }
}

/// Of all pairs. count >= 0: different ones, at most all. count < 0: -count of them, with repeats.
std::vector<Hash::Pair> choose_of(std::vector<Hash::Pair> pairs, std::int64_t count, Dice dice) {
  if (count >= 0) {
    const std::size_t n = std::min(static_cast<std::size_t>(count), pairs.size());
    const bool all = n == pairs.size();
    for (std::size_t i = 0; i < n && !all; ++i) {
      std::swap(pairs[i], pairs[i + dice.roll(pairs.size() - i)]);
    }
    pairs.resize(n);
    return pairs;
  }
  std::vector<Hash::Pair> chosen;
  for (std::int64_t i = count; i < 0; ++i) chosen.push_back(pairs[dice.roll(pairs.size())]);
  return chosen;
}

/// The same. The cost is that of the answer: few fields of a large hash are drawn one by one, and a
/// third of it or more, of which too many would be drawn twice, out of a copy.
std::vector<Hash::Pair> choose(const Hash& hash, std::int64_t count, Dice dice) {
  const auto wanted = static_cast<std::size_t>(count < 0 ? -count : count);
  if (wanted > hash.size() / 3) return choose_of(all_pairs(hash), count, dice);
  std::vector<Hash::Pair> chosen;
  std::unordered_set<const char*> known;  // where their fields lie
  while (chosen.size() < wanted) {
    const Hash::Pair pair = hash.any(dice.next());
    if (count < 0 || known.insert(pair.field.bytes.data()).second) chosen.push_back(pair);
  }
  return chosen;
}

void random_field(Call& call) {
  std::int64_t count = 1;
  bool with_values = false;
  Place place;
  const bool counted = call.argc() > 2;
  if (counted && !random_choice(call, "WITHVALUES", count, with_values)) return;
  if (!find(call, 1, Type::hash, place)) return;
  if (!place.found()) return counted ? call.reply.array(0) : call.reply.nil();
  const Hash hash = call.keys().hash(place);
  const auto chosen = choose(hash, count, Dice(random_number(call)));
  if (counted) return reply_pairs(call, chosen, with_values);
  call.reply.scalar(chosen[0].field);
}

void scan_fields(Call& call) {
  std::uint64_t cursor = 0;
  ScanOptions options;
  Place place;
  if (!read_cursor(call, 2, cursor) || !find(call, 1, Type::hash, place)) return;
  if (!place.found()) return reply_scan(call, 0, 0);
  if (!read_scan_options(call, 3, false, options)) return;
  std::vector<Hash::Pair> pairs;
  cursor = call.keys().hash(place).scan(cursor, options.count, [&](const Hash::Pair& pair) {
    if (options.takes(pair.field.bytes)) pairs.push_back(pair);
  });
  reply_scan(call, cursor, pairs.size() * 2);
  for (const Hash::Pair& pair : pairs) call.reply.scalar(pair.field), call.reply.scalar(pair.value);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"hincrby", 4, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::hash, increment_by,
     "key field increment",
     "Adds to the integer in a field; an absent one counts as 0",
     "O(1)", "1.0"},
    {"hincrbyfloat", 4, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::hash, increment_by_decimal,
     "key field increment",
     "Adds to the decimal number in a field; an absent one counts as 0",
     "O(1)", "1.0"},
    {"hrandfield", -2, kReadonly, {1, 1, 1}, {}, Group::hash, random_field,
     "key [count [WITHVALUES]]",
     "Fields chosen at random; a negative count may repeat them",
     "O(N) where N is the number of fields returned", "1.0"},
    {"hscan", -3, kReadonly, {1, 1, 1}, {}, Group::hash, scan_fields,
     "key cursor [MATCH pattern] [COUNT count]",
     "Some fields and values of a hash and the cursor for the next ones",
     "O(1) for every call, O(N) for a whole walk", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> hash_more_commands() noexcept { return rows; }

}  // namespace kv
