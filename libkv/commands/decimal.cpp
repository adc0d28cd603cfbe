// See decimal.hpp.
#include "libkv/commands/decimal.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace kv {

bool parse_long_decimal(std::string_view text, long double& value) {
  constexpr std::size_t text_max = 5 * 1024;  // the longest a long double can need
  if (text.empty() || text.size() >= text_max) return false;
  if (std::isspace(static_cast<unsigned char>(text[0])) != 0) return false;
  const std::string copy(text);  // strtold wants its end marked
  char* end = nullptr;
  errno = 0;
  value = std::strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(value)) return false;
  return errno != ERANGE || (std::isfinite(value) && std::fpclassify(value) != FP_ZERO);
}

bool format_long_decimal(long double value, std::string& text) {
  if (!std::isfinite(value)) return false;
  std::array<char, 5 * 1024> digits;
  const int n = std::snprintf(digits.data(), digits.size(), "%.17Lf", value);
  if (n <= 0 || static_cast<std::size_t>(n) >= digits.size()) return false;
  text.assign(digits.data(), static_cast<std::size_t>(n));
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  if (text == "-0") text = "0";
  return true;
}

}  // namespace kv
