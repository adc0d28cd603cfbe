// Lengths inside entries: seven bits a byte, the lowest first, the top bit says "more follows".
//
// For memory this process wrote itself; foreign bytes go through base/bytes.hpp instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kv {

/// Bytes that write_varint(n) takes: 1 up to 127, 2 up to 16383, ...
constexpr std::size_t varint_bytes(std::uint64_t n) noexcept {
  std::size_t bytes = 1;
  while (n >= 0x80) {
    n >>= 7;
    ++bytes;
  }
  return bytes;
}

/// Returns where the next thing goes.
inline unsigned char* write_varint(unsigned char* p, std::uint64_t n) noexcept {
  while (n >= 0x80) {
    *p++ = static_cast<unsigned char>(n | 0x80);
    n >>= 7;
  }
  *p++ = static_cast<unsigned char>(n);
  return p;
}

/// Reads n and moves p behind it.
inline std::uint64_t read_varint(const unsigned char*& p) noexcept {
  std::uint64_t n = *p++;
  if (n < 0x80) [[likely]]
    return n;
  n &= 0x7f;
  for (unsigned shift = 7;; shift += 7) {
    const std::uint64_t byte = *p++;
    n |= (byte & 0x7f) << shift;
    if (byte < 0x80) return n;
  }
}

}  // namespace kv
