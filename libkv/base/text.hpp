// Small text helpers: strict numbers, words in any case, safe display. No allocation unless said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace kv {

/// The same bytes at both places, as one number.
template <class Word>
bool same_word(const char* a, const char* b) noexcept {
  Word x, y;
  std::memcpy(&x, a, sizeof x);
  std::memcpy(&y, b, sizeof y);
  return x == y;
}

/// a == b without a call for short texts, as keys and command words mostly are: the first and the
/// last bytes as numbers, which may overlap.
inline bool same_bytes(std::string_view a, std::string_view b) noexcept {
  const std::size_t size = a.size();
  const char *const p = a.data(), *const q = b.data();
  const auto ends = [&]<class Word>(Word) {
    constexpr std::size_t bytes = sizeof(Word);
    return same_word<Word>(p, q) && same_word<Word>(p + size - bytes, q + size - bytes);
  };
  if (size != b.size()) return false;
  if (size > 16) return std::memcmp(p, q, size) == 0;
  if (size >= 8) return ends(std::uint64_t{});
  if (size >= 4) return ends(std::uint32_t{});
  if (size >= 2) return ends(std::uint16_t{});
  return size == 0 || *p == *q;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;  ///< ASCII only
/// "[::1]" without its brackets, which an IPv6 address may have as where a port follows it; any
/// other host as it is.
std::string_view without_brackets(std::string_view host) noexcept;
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);

/// Redis's rule: optional '-', digits without leading zeros, no blank, no '+', within 64 bits.
bool parse_integer(std::string_view text, std::int64_t& n) noexcept;
bool parse_unsigned(std::string_view text, std::uint64_t& n) noexcept;
/// A finite or infinite decimal, the whole text, no blanks, not NaN.
bool parse_decimal(std::string_view text, double& d) noexcept;
/// Shortest text that reads back as the same double; "inf", "-inf", "nan".
std::string format_decimal(double d);

/// Length of the UTF-8 sequence at the start of text (not empty), or 0 if none is there. Strict:
/// no overlong forms, no surrogates, nothing beyond U+10FFFF.
std::size_t utf8_length(std::string_view text) noexcept;

/// For a terminal or a log: control bytes, quotes and bytes that are not UTF-8 as \n, \", \xHH.
/// At most bytes_max bytes of text are shown, then "...".
std::string shown(std::string_view text, std::size_t bytes_max = SIZE_MAX);
/// As shown, within double quotes: Redis's quoting, which split_quoted reads back.
std::string quoted(std::string_view text);

/// What C's "%.*s" prints of text, and so Redis in its errors: up to a NUL, at most bytes_max.
/// Redis shows some words whole; a word may have 512 MiB, and no error needs that.
std::string_view as_c_text(std::string_view text, std::size_t bytes_max = 16 * 1024) noexcept;
inline constexpr std::size_t c_text_bytes_max = 128;  // of a word in some of Redis's errors

/// Redis's glob: * ? [abc] [^a-z] \x. Time O(pattern * text) at worst, no recursion. As with Redis
/// nothing but the empty pattern matches the empty text: who takes "*" for everything asks for it.
bool glob_match(std::string_view pattern, std::string_view text, bool ignore_case = false) noexcept;

/// "1.50M", as Redis prints sizes in INFO.
std::string human_bytes(std::uint64_t bytes);

}  // namespace kv
