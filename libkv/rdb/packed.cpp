// See packed.hpp.
#include "libkv/rdb/packed.hpp"

#include "libkv/base/digits.hpp"

namespace kv {
namespace {

constexpr std::uint8_t end_byte = 0xff;
constexpr const char* ends_early = "a packed value ends too early";
constexpr const char* bad_encoding = "an element of a packed value has no known encoding";
constexpr const char* bad_length = "a packed value has another length than it says";

void visit_number(std::int64_t n, ElementVisitor visit) {
  char digits[decimal_bytes_max + 8];
  visit({digits, static_cast<std::size_t>(put_decimal(digits, n) - digits)});
}

/// What is behind the header, the byte at its end included; its own statement of all bytes is
/// right.
const char* check_total(std::string_view bytes, ByteReader& in) {
  if (in.u32() != bytes.size() || !in.ok()) return bad_length;
  return static_cast<std::uint8_t>(bytes.back()) == end_byte ? nullptr : ends_early;
}

// --- listpack ---

/// Bytes behind an element of a listpack that give its length, for reading it backwards. Of what 7
/// bits a byte can hold, Redis leaves out the last number but where one byte does.
unsigned backward_bytes(std::size_t element) noexcept {
  unsigned bytes = 1;
  if (element <= 127) return bytes;
  for (std::size_t limit = 127; bytes < 5 && element >= limit; limit = limit << 7 | 127) ++bytes;
  return bytes;
}

/// An element whose first byte, already read, is 0xf0 or more.
const char* wide_listpack_element(std::uint8_t first, ByteReader& in, ElementVisitor visit) {
  switch (first) {
    case 0xf0: {
      const std::string_view text = in.take(in.u32());
      if (in.ok()) visit(text);
      return nullptr;
    }
    case 0xf1: return visit_number(with_sign(in, 2), visit), nullptr;
    case 0xf2: return visit_number(with_sign(in, 3), visit), nullptr;
    case 0xf3: return visit_number(with_sign(in, 4), visit), nullptr;
    case 0xf4: return visit_number(with_sign(in, 8), visit), nullptr;
    default: return bad_encoding;
  }
}

const char* listpack_element(std::uint8_t first, ByteReader& in, ElementVisitor visit) {
  if (first >= 0xf0) return wide_listpack_element(first, in, visit);
  if (first < 0x80) return visit_number(first, visit), nullptr;
  if (first >= 0xc0 && first < 0xe0) {  // 13 bits with a sign
    const int n = (first & 0x1f) << 8 | in.u8();
    return visit_number(n >= 1 << 12 ? n - (1 << 13) : n, visit), nullptr;
  }
  const unsigned length = first < 0xc0 ? first & 0x3fu : (first & 0x0fu) << 8 | in.u8();
  const std::string_view text = in.take(length);
  if (in.ok()) visit(text);
  return nullptr;
}

// --- ziplist ---

const char* ziplist_number(std::uint8_t first, ByteReader& in, ElementVisitor visit) {
  switch (first) {
    case 0xc0: return visit_number(with_sign(in, 2), visit), nullptr;
    case 0xd0: return visit_number(with_sign(in, 4), visit), nullptr;
    case 0xe0: return visit_number(with_sign(in, 8), visit), nullptr;
    case 0xf0: return visit_number(with_sign(in, 3), visit), nullptr;
    case 0xfe: return visit_number(with_sign(in, 1), visit), nullptr;
    default: break;
  }
  if (first < 0xf1 || first > 0xfd) return bad_encoding;
  return visit_number((first & 0x0f) - 1, visit), nullptr;
}

const char* ziplist_element(ByteReader& in, ElementVisitor visit) {
  const std::uint8_t before = in.u8();
  if (before == 0xfe) in.skip(4);
  const std::uint8_t first = in.u8();
  if (first >= 0xc0) return ziplist_number(first, in, visit);
  std::uint64_t length = first & 0x3fu;
  if ((first & 0xc0) == 0x40) length = length << 8 | in.u8();
  if ((first & 0xc0) == 0x80) length = big_endian(in, 4);
  const std::string_view text = in.take(length);
  if (in.ok()) visit(text);
  return nullptr;
}

// --- zipmap ---

std::uint64_t zipmap_length(ByteReader& in) noexcept {
  const std::uint8_t first = in.u8();
  if (first == end_byte) in.fail();
  return first == 0xfe ? in.u32() : first;
}

}  // namespace

std::uint64_t big_endian(ByteReader& in, unsigned n) noexcept {
  std::uint64_t value = 0;
  for (; n > 0; --n) value = value << 8 | in.u8();
  return value;
}

std::int64_t with_sign(ByteReader& in, unsigned n) noexcept {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < n; ++i) value |= std::uint64_t{in.u8()} << (8 * i);
  const unsigned unused = 64 - 8 * n;
  return static_cast<std::int64_t>(value << unused) >> unused;
}

const char* visit_listpack(std::string_view bytes, ElementVisitor visit) {
  ByteReader in(bytes);
  if (const char* wrong = check_total(bytes, in); wrong != nullptr) return wrong;
  in.skip(2);  // the number of elements, or 65535 if there are more
  while (in.ok() && in.left() > 1) {
    const std::size_t start = in.position();
    if (const char* wrong = listpack_element(in.u8(), in, visit); wrong != nullptr) return wrong;
    in.skip(backward_bytes(in.position() - start));
  }
  return in.ok() && in.left() == 1 ? nullptr : ends_early;
}

const char* visit_ziplist(std::string_view bytes, ElementVisitor visit) {
  ByteReader in(bytes);
  if (const char* wrong = check_total(bytes, in); wrong != nullptr) return wrong;
  in.skip(6);  // where the last element is, and how many there are
  while (in.ok() && in.left() > 1) {
    if (const char* wrong = ziplist_element(in, visit); wrong != nullptr) return wrong;
  }
  return in.ok() && in.left() == 1 ? nullptr : ends_early;
}

const char* visit_zipmap(std::string_view bytes, ElementVisitor visit) {
  ByteReader in(bytes);
  in.skip(1);  // the number of pairs, or 254 if there are more
  while (in.ok() && in.left() > 1) {
    const std::string_view field = in.take(zipmap_length(in));
    const std::uint64_t length = zipmap_length(in);
    const std::uint8_t unused = in.u8();
    const std::string_view value = in.take(length);
    in.skip(unused);
    if (!in.ok()) break;
    visit(field);
    visit(value);
  }
  return in.ok() && in.left() == 1 && in.u8() == end_byte ? nullptr : ends_early;
}

const char* visit_intset(std::string_view bytes, ElementVisitor visit) {
  ByteReader in(bytes);
  const std::uint32_t width = in.u32(), count = in.u32();
  if (width != 2 && width != 4 && width != 8) return bad_encoding;
  if (in.left() != std::uint64_t{width} * count) return bad_length;
  for (std::uint32_t i = 0; i < count; ++i) visit_number(with_sign(in, width), visit);
  return nullptr;
}

}  // namespace kv
