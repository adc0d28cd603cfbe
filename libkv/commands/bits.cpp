// Commands on the bits of a string: GETBIT, SETBIT, BITCOUNT, BITPOS, BITOP. Bit 0 is the highest
// one of the first byte; beyond the end of a string, and of an absent one, all bits are 0. Numbers
// of other widths are in bitfields.cpp.
#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/commands/bit_offset.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

std::string_view text_at(Call& call, const Place& place) {
  return place.found() ? call.keys().string(place).bytes : std::string_view();
}

unsigned byte_at(std::string_view text, std::size_t i) noexcept {
  return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
}

/// The bit of a byte that the offset means.
unsigned mask_of(std::uint64_t offset) noexcept { return 0x80u >> (offset & 7u); }

void get_bit(Call& call) {
  std::uint64_t offset = 0;
  Place place;
  if (!bit_offset(call, 2, offset) || !find(call, 1, Type::string, place)) return;
  const unsigned byte = byte_at(text_at(call, place), offset / 8);
  call.reply.integer((byte & mask_of(offset)) != 0 ? 1 : 0);
}

void set_bit(Call& call) {
  std::uint64_t offset = 0;
  std::int64_t bit = 0;
  Place place;
  if (!writable(call, 1) || !bit_offset(call, 2, offset)) return;
  if (!integer_within(call, 3, 0, 1, bit, "bit is not an integer or out of range")) return;
  if (!call.locate(1, Type::string, place)) return;
  const std::string_view text = text_at(call, place);
  const unsigned old = byte_at(text, offset / 8), mask = mask_of(offset);
  const std::int64_t was = (old & mask) != 0 ? 1 : 0;
  if (offset / 8 < text.size() && was == bit) return call.reply.integer(was);
  if (!call.commit()) return;
  const char byte = static_cast<char>(bit == 1 ? old | mask : old & ~mask);
  call.keys().overwrite(place, offset / 8, {&byte, 1});
  call.reply.integer(was);
}

// --- ranges of bits ---

/// A part of a string, in bits: [first, end).
struct Range {
  std::uint64_t first = 0, end = 0;
  bool end_given = false;
  bool backwards = false;  // counted from the end, both, and it begins behind its end
};

/// "start [end [BYTE | BIT]]" from argument i on, if there are any. False: answered, or empty.
bool read_range(Call& call, std::size_t i, std::string_view text, Range& range, bool& empty) {
  std::int64_t start = 0, stop = -1;
  bool bits = false;
  empty = text.empty();
  if (i < call.argc() && !call.integer(i, start)) return false;
  if (i + 1 < call.argc() && !call.integer(i + 1, stop)) return false;
  if (i + 2 < call.argc()) {
    bits = call.is(i + 2, "BIT");
    if (!bits && !call.is(i + 2, "BYTE")) return call.syntax_error(), false;
  }
  range.end_given = i + 1 < call.argc();
  const auto size = static_cast<std::int64_t>(text.size() * (bits ? 8 : 1));
  range.backwards = start < 0 && stop < 0 && start > stop;
  start = std::max<std::int64_t>(0, start < 0 ? start + size : start);
  stop = std::max<std::int64_t>(0, stop < 0 ? stop + size : stop);
  stop = std::min(stop, size - 1);
  empty = empty || start > stop;
  const unsigned unit = bits ? 1 : 8;
  if (!empty) {
    range.first = static_cast<std::uint64_t>(start) * unit;
    range.end = static_cast<std::uint64_t>(stop + 1) * unit;
  }
  return true;
}

/// The byte at i with only those of its bits that the range holds; fill is put into the others.
unsigned byte_within(std::string_view text, std::size_t i, const Range& range, bool fill) noexcept {
  unsigned mask = 0xff;
  if (i == range.first / 8) mask &= 0xffu >> (range.first & 7u);
  if (i == (range.end - 1) / 8) mask &= 0xffu << (7u - ((range.end - 1) & 7u));
  mask &= 0xff;
  const unsigned byte = byte_at(text, i) & mask;
  return fill ? byte | (~mask & 0xffu) : byte;
}

std::uint64_t load_word(const char* from) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

std::int64_t count_ones(std::string_view text, const Range& range) noexcept {
  const std::size_t first = range.first / 8, last = (range.end - 1) / 8;
  int ends = std::popcount(byte_within(text, first, range, false));
  if (last > first) ends += std::popcount(byte_within(text, last, range, false));
  std::int64_t ones = ends;
  std::size_t i = first + 1;
  for (; i + 8 <= last; i += 8) ones += std::popcount(load_word(text.data() + i));
  for (; i < last; ++i) ones += std::popcount(byte_at(text, i));
  return ones;
}

void count_bits(Call& call) {
  Place place;
  if (!find(call, 1, Type::string, place)) return;
  if (!place.found()) return call.reply.integer(0);
  if (call.argc() == 3 || call.argc() > 5) return call.syntax_error();
  const std::string_view text = text_at(call, place);
  Range range;
  bool empty = false;
  if (!read_range(call, 2, text, range, empty)) return;
  // Such a range is none for BITCOUNT alone, as in Redis: BITPOS looks at what it comes to.
  call.reply.integer(empty || range.backwards ? 0 : count_ones(text, range));
}

/// The first such bit of the range, or none.
std::optional<std::uint64_t> first_bit(std::string_view text, const Range& range, bool bit) {
  const std::size_t last = (range.end - 1) / 8;
  const unsigned no_such = bit ? 0u : 0xffu;
  std::size_t i = range.first / 8;
  while (i <= last && byte_within(text, i, range, !bit) == no_such) {
    // Of words that lie wholly within, those without such a bit are passed over.
    const std::uint64_t nothing = bit ? 0 : ~std::uint64_t{0};
    for (++i; i + 8 <= last && load_word(text.data() + i) == nothing;) i += 8;
  }
  if (i > last) return std::nullopt;
  unsigned byte = byte_within(text, i, range, !bit);
  if (!bit) byte = ~byte & 0xffu;
  return std::uint64_t{i} * 8 + static_cast<unsigned>(std::countl_zero(byte << 24));
}

void find_bit(Call& call) {
  std::int64_t bit = 0;
  Place place;
  if (!call.integer(2, bit)) return;
  if (bit != 0 && bit != 1) return call.fail("ERR The bit argument must be 1 or 0.");
  if (!find(call, 1, Type::string, place)) return;
  if (!place.found()) return call.reply.integer(bit == 1 ? -1 : 0);
  if (call.argc() > 6) return call.syntax_error();
  const std::string_view text = text_at(call, place);
  Range range;
  bool empty = false;
  if (!read_range(call, 3, text, range, empty)) return;
  if (empty) return call.reply.integer(-1);
  if (const auto found = first_bit(text, range, bit == 1)) {
    return call.reply.integer(static_cast<std::int64_t>(*found));
  }
  // Nothing but ones: the zeros behind the string count, unless an end was given.
  const bool behind = bit == 0 && !range.end_given;
  call.reply.integer(behind ? static_cast<std::int64_t>(range.end) : -1);
}

// --- BITOP ---

enum class Operation : std::uint8_t { conjunction, disjunction, exclusive, negation };

bool read_operation(Call& call, Operation& operation) {
  if (call.is(1, "AND")) operation = Operation::conjunction;
  else if (call.is(1, "OR")) operation = Operation::disjunction;
  else if (call.is(1, "XOR")) operation = Operation::exclusive;
  else if (call.is(1, "NOT")) operation = Operation::negation;
  else return call.syntax_error(), false;
  if (operation != Operation::negation || call.argc() == 4) return true;
  call.fail("ERR BITOP NOT must be called with a single source key.");
  return false;
}

/// Eight bytes at a time: of 512 MB that is the difference between a tenth of a second and a whole.
template <class Combine>
void combine_with(std::string& result, std::string_view next, Combine both) {
  std::size_t i = 0;
  for (; i + 8 <= next.size(); i += 8) {
    const std::uint64_t word = both(load_word(result.data() + i), load_word(next.data() + i));
    std::memcpy(result.data() + i, &word, sizeof word);
  }
  for (; i < result.size(); ++i) {
    const std::uint64_t byte = both(byte_at(result, i), byte_at(next, i));
    result[i] = static_cast<char>(byte);
  }
}

/// result is at least as long as next.
void combine(std::string& result, std::string_view next, Operation operation) {
  using Word = std::uint64_t;
  switch (operation) {
    case Operation::conjunction:
      return combine_with(result, next, [](Word a, Word b) { return a & b; });
    case Operation::disjunction:
      return combine_with(result, next, [](Word a, Word b) { return a | b; });
    case Operation::exclusive:
      return combine_with(result, next, [](Word a, Word b) { return a ^ b; });
    case Operation::negation: return;  // has one source only
  }
}

/// Would a result of that many bytes change what is there, whatever it is? An empty one is no key.
bool surely_changes(Keyspace& keys, const Place& target, std::size_t size) {
  if (!target.found() || size == 0) return target.found() || size > 0;
  Scalar value;
  return !keys.string(target, value) || keys.expiry(target) || value.bytes.size() != size;
}

void store(Keyspace& keys, Place& target, const std::string& result) {
  if (result.empty()) keys.erase(target);
  else keys.set_string(target, Scalar(result));
}

void combine_strings(Call& call) {
  Operation operation{};
  if (!writable(call, 2) || !read_operation(call, operation)) return;
  std::vector<std::string_view> sources;
  std::size_t size = 0;
  for (std::size_t i = 3; i < call.argc(); ++i) {
    Place source;
    if (!call.locate(i, Type::string, source)) return;
    sources.push_back(text_at(call, source));
    size = std::max(size, sources.back().size());
  }
  // Where that tells nothing the result is needed, to see whether it is what is there.
  Place target = call.locate(2);
  if (surely_changes(call.keys(), target, size) && !call.commit()) return;
  std::string result(sources[0]);
  result.resize(size, '\0');
  if (operation == Operation::negation) {
    for (char& byte : result) byte = static_cast<char>(~byte);
  }
  for (std::size_t i = 1; i < sources.size(); ++i) combine(result, sources[i], operation);
  const bool changes =
      call.committed() || (size > 0 && call.keys().string(target) != Scalar(result));
  if (changes && !call.committed() && !call.commit()) return;
  if (changes) store(call.keys(), target, result);
  call.reply.integer(static_cast<std::int64_t>(size));
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"getbit", 3, kReadonly | kFast, {1, 1, 1}, {}, Group::bitmap, get_bit,
     "key offset",
     "A bit of a string",
     "O(1)", "1.0"},
    {"setbit", 4, kWrite | kDenyOom, {1, 1, 1}, {}, Group::bitmap, set_bit,
     "key offset value",
     "Sets or clears a bit of a string, which is lengthened with zero bytes; answers what it was",
     "O(1)", "1.0"},
    {"bitcount", -2, kReadonly, {1, 1, 1}, {}, Group::bitmap, count_bits,
     "key [start end [BYTE | BIT]]",
     "How many bits of a string, or of a part of it, are 1",
     "O(N) where N is the length of the part", "1.0"},
    {"bitpos", -3, kReadonly, {1, 1, 1}, {}, Group::bitmap, find_bit,
     "key bit [start [end [BYTE | BIT]]]",
     "Where the first 1 or 0 of a string is",
     "O(N) where N is the length of the part", "1.0"},
    {"bitop", -4, kWrite | kDenyOom | kStores, {2, -1, 1}, {}, Group::bitmap, combine_strings,
     "<AND | OR | XOR | NOT> destkey key [key ...]",
     "Stores what strings give when their bits are combined; answers its length in bytes",
     "O(N) where N is the length of all strings", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> bit_commands() noexcept { return rows; }

}  // namespace kv
