// One argument or stored element: bytes, and what kind of thing they were given as.
//
// Redis clients only ever see the bytes. PLIO clients get a number back as a number, a symbol as a
// symbol, NIL as NIL and a list as a list; that is all the kind is for. A Scalar owns nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace kv {

enum class Kind : std::uint8_t {
  string = 0,  // any bytes
  number = 1,  // bytes are the canonical decimal digits, '-' first if negative, any length
  symbol = 2,  // a PicoLisp internal symbol; bytes are its name
  nil = 3,     // PicoLisp's NIL; no bytes
  list = 4,    // a PicoLisp list; bytes are its PLIO encoding, first byte 0x01
};

struct Scalar {
  std::string_view bytes;
  Kind kind = Kind::string;

  constexpr Scalar() noexcept = default;
  constexpr Scalar(std::string_view b, Kind k = Kind::string) noexcept : bytes(b), kind(k) {}
  constexpr Scalar(const char* text) noexcept : bytes(text) {}
  friend constexpr bool operator==(const Scalar&, const Scalar&) noexcept = default;
};

}  // namespace kv
