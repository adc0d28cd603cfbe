// The bytes of one PLIO atom, shared by the parts of plio; not meant for others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/value/scalar.hpp"

namespace kv {

// Bytes that are not atoms.
inline constexpr std::uint8_t plio_nil = 0, plio_open = 1, plio_dot = 2, plio_close = 3;
// The two low bits of an atom's tag byte.
inline constexpr std::uint8_t plio_number = 0, plio_symbol = 1, plio_string = 2, plio_external = 3;
// The first part of a payload holds at most this many bytes; only then do chunks follow.
inline constexpr std::size_t plio_part_max = 63;
// A chunk with this length is followed by another one.
inline constexpr std::size_t plio_chunk_max = 255;

/// Tag byte, payload and, from 63 bytes on, chunks. payload must not be empty.
inline void append_plio_atom(std::string& out, std::uint8_t kind, std::string_view payload) {
  const std::size_t first = payload.size() < plio_part_max ? payload.size() : plio_part_max;
  out.push_back(static_cast<char>(first << 2 | kind));
  out.append(payload.substr(0, first));
  if (first < plio_part_max) return;
  payload.remove_prefix(first);
  for (;;) {
    const std::size_t n = payload.size() < plio_chunk_max ? payload.size() : plio_chunk_max;
    out.push_back(static_cast<char>(n));
    out.append(payload.substr(0, n));
    payload.remove_prefix(n);
    if (n < plio_chunk_max) return;
  }
}

/// The magnitude of a decimal number, little-endian, zero-padded to whole 4 bytes (0: none). False
/// if it is not one.
bool append_magnitude(std::string& out, std::string_view digits, bool& negative);

/// A symbol or string payload as a Scalar of the right kind (see symbol_survives_text).
Scalar plio_text_scalar(std::uint8_t kind, std::string_view payload) noexcept;

}  // namespace kv
