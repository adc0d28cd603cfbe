// Elements written one behind the other: what small lists and hashes and the chunks of large lists
// consist of. Bytes only; whose memory it is, the caller knows.
//
//   element   one byte 0..191: a string of that many bytes; or 192 + kind, then a varint length.
//             Then the bytes.
//   in lists  behind each element the size of the above, as a varint written backwards, so that
//             lists can be walked from both ends.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libkv/keyspace/entry.hpp"
#include "libkv/keyspace/function_ref.hpp"
#include "libkv/value/scalar.hpp"

namespace kv::packed {

inline constexpr unsigned plain_max = 191;

inline std::size_t element_bytes(const Scalar& s) noexcept {
  const bool plain = s.kind == Kind::string && s.bytes.size() <= plain_max;
  return 1 + (plain ? 0 : varint_bytes(s.bytes.size())) + s.bytes.size();
}

/// The bytes may overlap with p; returns the end.
inline unsigned char* write_element(unsigned char* p, const Scalar& s) noexcept {
  if (s.kind == Kind::string && s.bytes.size() <= plain_max) {
    *p++ = static_cast<unsigned char>(s.bytes.size());
  } else {
    *p++ = static_cast<unsigned char>(plain_max + 1 + static_cast<unsigned>(s.kind));
    p = write_varint(p, s.bytes.size());
  }
  copy_bytes(p, s.bytes.data(), s.bytes.size());
  return p + s.bytes.size();
}

/// Reads an element and moves p behind its bytes.
inline Scalar read_element(const unsigned char*& p) noexcept {
  std::size_t bytes = *p++;
  Kind kind = Kind::string;
  if (bytes > plain_max) [[unlikely]] {
    kind = static_cast<Kind>(bytes - plain_max - 1);
    bytes = static_cast<std::size_t>(read_varint(p));
  }
  const Scalar s{text_of(p, bytes), kind};
  p += bytes;
  return s;
}

// --- in lists ---

inline std::size_t list_element_bytes(const Scalar& s) noexcept {
  const std::size_t bytes = element_bytes(s);
  return bytes + varint_bytes(bytes);
}

inline unsigned char* write_list_element(unsigned char* p, const Scalar& s) noexcept {
  unsigned char* end = write_element(p, s);
  const auto bytes = static_cast<std::size_t>(end - p);
  unsigned char* const after = end + varint_bytes(bytes);
  unsigned char* p_back = after;
  std::size_t rest = bytes;
  for (; rest >= 0x80; rest >>= 7) *--p_back = static_cast<unsigned char>(rest | 0x80);
  *--p_back = static_cast<unsigned char>(rest);
  return after;
}

inline Scalar read_list_element(const unsigned char*& p) noexcept {
  const unsigned char* start = p;
  const Scalar s = read_element(p);
  p += varint_bytes(static_cast<std::size_t>(p - start));
  return s;
}

/// The start of the element that ends at end.
inline unsigned char* previous(unsigned char* end) noexcept {
  std::size_t bytes = 0;
  for (unsigned shift = 0;; shift += 7) {
    const unsigned char byte = *--end;
    bytes |= std::size_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return end - bytes;
  }
}

/// Elements of a list that lie in one piece.
struct Run {
  unsigned char* begin;
  unsigned char* end;
  std::size_t count;

  /// The start of element index; end if index == count. From the nearer end.
  unsigned char* find(std::size_t index) const noexcept {
    if (index <= count / 2) {
      const unsigned char* p = begin;
      for (; index != 0; --index) read_list_element(p);
      return const_cast<unsigned char*>(p);
    }
    unsigned char* p = end;
    for (; index < count; ++index) p = previous(p);
    return p;
  }
};

/// Takes elements that match out of a run and closes the gaps: not the first skip of them, then at
/// most limit. Returns how many went; run.end and run.count follow.
std::size_t remove_matching(Run& run, std::size_t skip, std::size_t limit,
                            FunctionRef<bool(const Scalar&)> match) noexcept;
/// How many elements match.
std::size_t count_matching(const Run& run, FunctionRef<bool(const Scalar&)> match) noexcept;

}  // namespace kv::packed
