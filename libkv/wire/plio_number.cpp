// PLIO's numbers: decimal text of any length to and from a little-endian magnitude whose lowest
// bit is the sign. Schoolbook base conversion, so its time is quadratic: number_digits_max bounds
// it (4,096 digits: some 50 microseconds).
#include <algorithm>
#include <vector>

#include "libkv/base/bytes.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_atom.hpp"

namespace kv {
namespace {

using Limbs = std::vector<std::uint32_t>;  // little-endian

constexpr std::uint32_t billion = 1'000'000'000;
constexpr std::size_t digits_a_limb = 9;

/// limbs = limbs * factor + addend.
void multiply_add(Limbs& limbs, std::uint32_t factor, std::uint32_t addend) {
  std::uint64_t carry = addend;
  for (std::uint32_t& limb : limbs) {
    carry += std::uint64_t{limb} * factor;
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
}

Limbs limbs_of_decimal(std::string_view digits) {
  Limbs limbs;
  while (!digits.empty()) {
    const std::size_t n = (digits.size() - 1) % digits_a_limb + 1;
    std::uint32_t part = 0, factor = 1;
    for (std::size_t i = 0; i < n; ++i) {
      part = part * 10 + static_cast<std::uint32_t>(digits[i] - '0');
      factor *= 10;
    }
    multiply_add(limbs, n == digits_a_limb ? billion : factor, part);
    digits.remove_prefix(n);
  }
  return limbs;
}

/// Divides by a billion and returns the remainder.
std::uint32_t divide_billion(Limbs& limbs) {
  std::uint64_t rest = 0;
  for (std::size_t i = limbs.size(); i > 0; --i) {
    rest = rest << 32 | limbs[i - 1];
    limbs[i - 1] = static_cast<std::uint32_t>(rest / billion);
    rest %= billion;
  }
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  return static_cast<std::uint32_t>(rest);
}

std::string decimal_of_limbs(Limbs limbs) {
  std::string reversed;
  while (!limbs.empty()) {
    std::uint32_t part = divide_billion(limbs);
    for (std::size_t i = 0; i < digits_a_limb && (part != 0 || !limbs.empty()); ++i) {
      reversed.push_back(static_cast<char>('0' + part % 10));
      part /= 10;
    }
  }
  if (reversed.empty()) reversed.push_back('0');
  std::reverse(reversed.begin(), reversed.end());
  return reversed;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Splits an optional sign from the digits, leading zeros dropped. False if it is no number.
bool split_number(std::string_view text, bool& negative, std::string_view& digits) noexcept {
  negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size() - 1));
  if (text == "0") negative = false;
  digits = text;
  return digits.size() <= limits::number_digits_max;
}

void append_small(std::string& out, std::uint64_t magnitude, bool negative) {
  std::string payload;
  payload.push_back(static_cast<char>(magnitude << 1 | (negative ? 1 : 0)));
  for (magnitude >>= 7; magnitude != 0; magnitude >>= 8)
    payload.push_back(static_cast<char>(magnitude));
  append_plio_atom(out, plio_number, payload);
}

}  // namespace

bool append_canonical_number(std::string& out, std::string_view text) {
  bool negative = false;
  std::string_view digits;
  if (!split_number(text, negative, digits)) return false;
  if (negative) out.push_back('-');
  out.append(digits);
  return true;
}

bool append_plio_number(std::string& out, std::string_view text) {
  bool negative = false;
  std::string_view digits;
  if (!split_number(text, negative, digits)) return false;
  std::uint64_t small = 0;
  if (parse_unsigned(digits, small)) return append_small(out, small, negative), true;
  Limbs limbs = limbs_of_decimal(digits);
  multiply_add(limbs, 2, negative ? 1 : 0);
  std::string payload;
  for (const std::uint32_t limb : limbs) append_u32(payload, limb);
  while (payload.size() > 1 && payload.back() == '\0') payload.pop_back();
  append_plio_atom(out, plio_number, payload);
  return true;
}

bool append_magnitude(std::string& out, std::string_view text, bool& negative) {
  std::string_view digits;
  if (!split_number(text, negative, digits)) return false;
  for (const std::uint32_t limb : limbs_of_decimal(digits)) append_u32(out, limb);
  return true;
}

bool append_decimal_of_plio(std::string& out, std::string_view payload) {
  // log10(256) = 2.41: a payload longer than this has too many digits whatever it holds.
  if (payload.empty() || payload.size() > limits::number_digits_max / 2) return false;
  Limbs limbs((payload.size() + 3) / 4);
  for (std::size_t i = 0; i < payload.size(); ++i)
    limbs[i / 4] |= std::uint32_t{static_cast<unsigned char>(payload[i])} << (8 * (i % 4));
  const bool negative = (limbs[0] & 1) != 0;
  for (std::size_t i = 0; i < limbs.size(); ++i) {
    const std::uint32_t high = i + 1 < limbs.size() ? limbs[i + 1] << 31 : 0;
    limbs[i] = limbs[i] >> 1 | high;
  }
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  const std::string digits = decimal_of_limbs(std::move(limbs));
  if (digits.size() > limits::number_digits_max) return false;
  if (negative && digits != "0") out.push_back('-');
  out.append(digits);
  return true;
}

bool looks_like_number(std::string_view token) noexcept {
  if (!token.empty() && (token[0] == '-' || token[0] == '+')) token.remove_prefix(1);
  if (token.empty() || !is_digit(token[0])) return false;
  std::size_t points = 0;
  for (const char c : token) {
    if (c == '.') ++points;
    else if (!is_digit(c)) return false;
  }
  return points <= 1;
}

}  // namespace kv
