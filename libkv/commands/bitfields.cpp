// Numbers of 1 to 64 bits anywhere in a string: BITFIELD and BITFIELD_RO.
//
// What a request does is decided one operation after the other, in place: a string may be large,
// and its operations many.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/bit_offset.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/support.hpp"

namespace kv {

bool bit_offset(Call& call, std::size_t i, std::uint64_t& offset, unsigned width) {
  std::string_view text = call.arg(i);
  const bool counted = width != 0 && !text.empty() && text.front() == '#';
  if (counted) text.remove_prefix(1);
  std::int64_t n = 0;
  bool fine = parse_integer(text, n) && n >= 0;
  if (counted) fine = fine && !__builtin_mul_overflow(n, std::int64_t{width}, &n);
  if (fine && static_cast<std::uint64_t>(n) / 8 < limits::value_bytes_max) {
    offset = static_cast<std::uint64_t>(n);
    return true;
  }
  call.fail("ERR bit offset is not an integer or out of range");
  return false;
}

namespace {

enum class Verb : std::uint8_t { get, set, add };
enum class Overflow : std::uint8_t { wrap, saturate, fail };

struct FieldType {
  bool with_sign = false;
  unsigned width = 0;  // bits: 1 to 64 with a sign, to 63 without
};

struct Operation {
  Verb verb{};
  Overflow overflow = Overflow::wrap;
  FieldType type;
  std::uint64_t offset = 0;  // bits
  std::int64_t operand = 0;
};

using Wide = __int128;

/// So many bits that are 1; 1 to 64.
std::uint64_t ones(unsigned width) noexcept { return ~std::uint64_t{0} >> (64 - width); }

/// The bytes a field lies in, at most nine, and how many bits of the last one are behind it.
struct Span {
  explicit Span(const Operation& operation) noexcept
      : first(operation.offset / 8),
        last((operation.offset + operation.type.width - 1) / 8),
        behind(static_cast<unsigned>(7 - (operation.offset + operation.type.width - 1) % 8)) {}
  std::uint64_t first, last;
  unsigned behind;
};

/// Those bytes of a string as one number; beyond its end they are 0.
Wide bytes_of(std::string_view text, const Span& span) noexcept {
  Wide bytes = 0;
  for (std::uint64_t i = span.first; i <= span.last; ++i) {
    bytes = bytes << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0u);
  }
  return bytes;
}

// --- reading the request ---

bool read_type(Call& call, std::size_t i, FieldType& type) {
  const std::string_view text = call.arg(i);
  std::int64_t width = 0;
  const bool named = !text.empty() && (text[0] == 'i' || text[0] == 'u');
  type.with_sign = named && text[0] == 'i';
  if (named && parse_integer(text.substr(1), width) && width >= 1 &&
      width <= (type.with_sign ? 64 : 63)) {
    type.width = static_cast<unsigned>(width);
    return true;
  }
  call.fail(
      "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
      "i64 "
      "is.");
  return false;
}

bool read_overflow(Call& call, std::size_t i, Overflow& overflow) {
  if (call.is(i, "WRAP")) overflow = Overflow::wrap;
  else if (call.is(i, "SAT")) overflow = Overflow::saturate;
  else if (call.is(i, "FAIL")) overflow = Overflow::fail;
  else return call.fail("ERR Invalid OVERFLOW type specified"), false;
  return true;
}

/// The word at i and how many arguments follow it; 0: it is none.
std::size_t verb_at(Call& call, std::size_t i, Verb& verb) {
  const std::size_t left = call.argc() - i - 1;
  if (call.is(i, "GET") && left >= 2) return verb = Verb::get, 2;
  if (call.is(i, "SET") && left >= 3) return verb = Verb::set, 3;
  if (call.is(i, "INCRBY") && left >= 3) return verb = Verb::add, 3;
  return 0;
}

bool read_operations(Call& call, std::vector<Operation>& operations) {
  Overflow overflow = Overflow::wrap;
  for (std::size_t i = 2; i < call.argc(); ++i) {
    if (call.is(i, "OVERFLOW") && i + 1 < call.argc()) {
      if (!read_overflow(call, ++i, overflow)) return false;
      continue;
    }
    Operation next;
    next.overflow = overflow;
    const std::size_t words = verb_at(call, i, next.verb);
    if (words == 0) return call.syntax_error(), false;
    if (!read_type(call, i + 1, next.type)) return false;
    if (!bit_offset(call, i + 2, next.offset, next.type.width)) return false;
    if (next.verb != Verb::get && !call.integer(i + 3, next.operand)) return false;
    operations.push_back(next);
    i += words;
  }
  return true;
}

// --- arithmetic ---

Wide least(const FieldType& type) noexcept {
  return type.with_sign ? -(Wide{1} << (type.width - 1)) : 0;
}
Wide most(const FieldType& type) noexcept {
  return (Wide{1} << (type.with_sign ? type.width - 1 : type.width)) - 1;
}

/// What bits mean in a field of this type.
std::int64_t number_of(std::uint64_t bits, const FieldType& type) noexcept {
  Wide n = bits;
  if (n > most(type)) n -= Wide{1} << type.width;
  return static_cast<std::int64_t>(n);
}

/// What is to be stored where n is wanted; none if that fails.
std::optional<std::uint64_t> fit(Wide n, const Operation& operation) noexcept {
  const Wide low = least(operation.type), high = most(operation.type);
  if (n < low || n > high) {
    if (operation.overflow == Overflow::fail) return std::nullopt;
    if (operation.overflow == Overflow::saturate) n = n < low ? low : high;
  }
  return static_cast<std::uint64_t>(n) & ones(operation.type.width);
}

/// A number to store, as its operand says: without a sign it is read as one of 64 bits.
Wide wanted(const Operation& operation) noexcept {
  if (operation.type.with_sign) return operation.operand;
  return static_cast<std::uint64_t>(operation.operand);
}

/// What an operation comes to, given the bits its field holds.
struct Outcome {
  std::optional<std::int64_t> answer;  // none where an overflow was to fail
  std::uint64_t bits;                  // of the field afterwards
};

Outcome outcome_of(const Operation& operation, std::uint64_t held) noexcept {
  const std::int64_t old = number_of(held, operation.type);
  if (operation.verb == Verb::get) return {old, held};
  const bool adds = operation.verb == Verb::add;
  const auto bits = fit(adds ? Wide{old} + operation.operand : wanted(operation), operation);
  if (!bits) return {std::nullopt, held};
  return {adds ? number_of(*bits, operation.type) : old, *bits};
}

/// Bytes a string must have for all that may be written; 0: nothing is.
std::size_t bytes_written(const std::vector<Operation>& operations) noexcept {
  std::uint64_t bits = 0;
  for (const Operation& one : operations) {
    if (one.verb != Verb::get) bits = std::max(bits, one.offset + one.type.width);
  }
  return static_cast<std::size_t>((bits + 7) / 8);
}

void put(Keyspace& keys, Place& place, const Span& span, Wide bytes) {
  char text[9];
  const auto size = static_cast<std::size_t>(span.last - span.first + 1);
  for (std::size_t i = size; i-- > 0; bytes >>= 8) text[i] = static_cast<char>(bytes & 0xff);
  keys.overwrite(place, static_cast<std::size_t>(span.first), {text, size});
}

/// Each operation sees what those before it have written. The first one that changes something
/// commits: up to there, everything is as it was. False: that was all for a trial.
bool carry_out(Call& call, Place& place, const Operation& operation) {
  Keyspace& keys = call.keys();
  const Span span(operation);
  const Wide bytes = bytes_of(place.found() ? keys.string(place).bytes : "", span);
  const std::uint64_t all = ones(operation.type.width);
  const std::uint64_t held = static_cast<std::uint64_t>(bytes >> span.behind) & all;
  const Outcome outcome = outcome_of(operation, held);
  if (outcome.answer) call.reply.integer(*outcome.answer);
  else call.reply.nil();
  if (outcome.bits == held) return true;
  if (!call.committed() && !call.commit()) return false;
  const Wide others = bytes & ~(Wide{all} << span.behind);
  put(keys, place, span, others | Wide{outcome.bits} << span.behind);
  return true;
}

/// Lengthens the string, which alone may need memory, before anything is written.
bool make_room(Call& call, Place& place, std::size_t size) {
  const std::size_t old_size = place.found() ? call.keys().string(place).bytes.size() : 0;
  if (size <= old_size) return true;
  if (!call.commit()) return false;
  call.keys().overwrite(place, size - 1, std::string_view("\0", 1));
  return true;
}

void run_fields(Call& call, bool may_write) {
  std::vector<Operation> operations;
  Place place;
  if (!read_operations(call, operations)) return;
  const std::size_t size = bytes_written(operations);
  if (size > 0 && !may_write) {
    return call.fail("ERR BITFIELD_RO only supports the GET subcommand");
  }
  if (size > limits::value_bytes_max) {
    return call.fail("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  if (!call.locate(1, Type::string, place)) return;
  if (size == 0) count_lookup(call, place.found());
  if (!make_room(call, place, size)) return;
  call.reply.array(operations.size());
  for (const Operation& one : operations) {
    if (!carry_out(call, place, one)) return;
  }
}

void change_fields(Call& call) {
  if (writable(call, 1)) run_fields(call, true);
}
void read_fields(Call& call) { run_fields(call, false); }

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"bitfield", -2, kWrite | kDenyOom, {1, 1, 1}, {}, Group::bitmap, change_fields,
     "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | "
     "INCRBY encoding offset increment> ...]",
     "Reads, stores and counts numbers of any width within a string",
     "O(1) for each operation", "1.0"},
    {"bitfield_ro", -2, kReadonly | kFast, {1, 1, 1}, {}, Group::bitmap, read_fields,
     "key [GET encoding offset ...]",
     "BITFIELD that only reads",
     "O(1) for each operation", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> bitfield_commands() noexcept { return rows; }

}  // namespace kv
