// One piece of a RESP reply: a whole atom, or the header of a container. What every walker over
// complete replies is made of (translators, reply_length, to_plio); not meant for others.
//
// Reads only inside the data it is given. Never recurses: containers are only announced.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"

namespace kv {

struct RespToken {
  enum class Outcome : std::uint8_t { whole, incomplete, bad };

  char sigil = 0;
  std::string_view text;  // of a line (+ - : , # _ and open parenthesis) or the payload of $ = !
  std::int64_t n = 0;     // length or count; -1: absent ($-1, *-1)
  std::size_t end = 0;    // where the next token begins
  std::size_t header_end = 0;  // where the payload of $ = ! begins

  bool container() const noexcept {
    return sigil == '*' || sigil == '%' || sigil == '~' || sigil == '>' || sigil == '|';
  }
  bool blob() const noexcept { return sigil == '$' || sigil == '=' || sigil == '!'; }
  /// How many tokens follow that belong to it, one level down.
  std::uint64_t children() const noexcept {
    if (!container() || n < 0) return 0;
    const bool pairs = sigil == '%' || sigil == '|';
    return static_cast<std::uint64_t>(n) * (pairs ? 2 : 1);
  }
  /// = without the three letters of its format; all other text as it is.
  std::string_view plain() const noexcept { return sigil == '=' ? text.substr(4) : text; }

  /// Reads the token at position. Length and count are within limits::request_bytes_max.
  Outcome read(std::string_view data, std::size_t position) noexcept;

 private:
  Outcome read_line(std::string_view data, std::size_t position) noexcept;
  Outcome read_blob(std::string_view data) noexcept;
};

inline RespToken::Outcome RespToken::read_line(std::string_view data,
                                               std::size_t position) noexcept {
  const std::size_t cr = data.find('\r', position);
  if (cr == data.npos || cr + 1 == data.size()) return Outcome::incomplete;
  if (data[cr + 1] != '\n') return Outcome::bad;
  text = data.substr(position + 1, cr - position - 1);
  end = header_end = cr + 2;
  return Outcome::whole;
}

inline RespToken::Outcome RespToken::read_blob(std::string_view data) noexcept {
  if (n < 0) return sigil == '$' ? Outcome::whole : Outcome::bad;
  const auto length = static_cast<std::size_t>(n);
  if (data.size() - header_end < length + 2) return Outcome::incomplete;
  if (data[header_end + length] != '\r' || data[header_end + length + 1] != '\n')
    return Outcome::bad;
  text = data.substr(header_end, length);
  end = header_end + length + 2;
  if (sigil == '=' && (length < 4 || text[3] != ':')) return Outcome::bad;
  return Outcome::whole;
}

inline RespToken::Outcome RespToken::read(std::string_view data, std::size_t position) noexcept {
  if (position >= data.size()) return Outcome::incomplete;
  sigil = data[position];
  constexpr std::string_view known = "+-:,#_($=!*%~>|";
  if (known.find(sigil) == known.npos) return Outcome::bad;
  const Outcome line = read_line(data, position);
  if (line != Outcome::whole) return line;
  if (!blob() && !container()) return Outcome::whole;
  if (!parse_integer(text, n) || n < -1) return Outcome::bad;
  if (n > static_cast<std::int64_t>(limits::request_bytes_max)) return Outcome::bad;
  if (n < 0 && sigil != '$' && sigil != '*') return Outcome::bad;
  return blob() ? read_blob(data) : Outcome::whole;
}

}  // namespace kv
