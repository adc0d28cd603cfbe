// See text.hpp.
#include "libkv/base/text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace kv {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
constexpr char upper(char c) noexcept {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

void show_byte(std::string& out, char c) {
  switch (c) {
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    case '\a': out += "\\a"; return;
    case '\b': out += "\\b"; return;
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    default: break;
  }
  char text[5];
  std::snprintf(text, sizeof text, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  out += text;
}

/// One [...] class at the start of pattern against c. Sets used to the class's length.
bool class_match(std::string_view pattern, char c, bool ignore_case, std::size_t& used) noexcept {
  std::size_t i = 1;
  const bool negate = i < pattern.size() && pattern[i] == '^';
  if (negate) ++i;
  bool match = false;
  const char probe = ignore_case ? lower(c) : c;
  while (i < pattern.size() && pattern[i] != ']') {
    const bool literal = pattern[i] == '\\' && i + 1 < pattern.size();
    if (literal) ++i;
    char from = pattern[i], to = from;
    // A range ends with whatever is there, be it the bracket that would close the class.
    if (!literal && i + 2 < pattern.size() && pattern[i + 1] == '-') {
      to = pattern[i + 2];
      i += 2;
    }
    if (ignore_case) from = lower(from), to = lower(to);
    if (from > to) std::swap(from, to);
    if (probe >= from && probe <= to) match = true;
    ++i;
  }
  used = i < pattern.size() ? i + 1 : i;
  return match != negate;
}

/// One pattern element (not '*') against c. Sets used to the element's length.
bool element_match(std::string_view pattern, char c, bool ignore_case, std::size_t& used) noexcept {
  used = 1;
  if (pattern[0] == '?') return true;
  if (pattern[0] == '[') return class_match(pattern, c, ignore_case, used);
  if (pattern[0] == '\\' && pattern.size() > 1) used = 2;
  const char want = pattern[used - 1];
  return ignore_case ? lower(want) == lower(c) : want == c;
}

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t n = lead < 0x80   ? 1
                        : lead < 0xC2 ? 0
                        : lead < 0xE0 ? 2
                        : lead < 0xF0 ? 3
                        : lead < 0xF5 ? 4
                                      : 0;
  if (n > text.size()) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  if (n < 3) return n;
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool beyond = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
  return overlong || beyond ? 0 : n;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string to_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = upper(c);
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

bool parse_integer(std::string_view text, std::int64_t& n) noexcept {
  if (text.empty() || text.size() > 20) return false;
  const std::size_t first = text[0] == '-' ? 1 : 0;
  if (first == text.size()) return false;
  if (text[first] == '0' && text.size() > 1) return false;  // no -0, no leading zeros
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_unsigned(std::string_view text, std::uint64_t& n) noexcept {
  if (text.empty() || text.size() > 20 || (text[0] == '0' && text.size() > 1)) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_decimal(std::string_view text, double& d) noexcept {
  if (text.empty()) return false;
  const std::string_view digits = text[0] == '+' ? text.substr(1) : text;
  if (digits.empty() || (digits.size() != text.size() && digits[0] == '-')) return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), d);
  return error == std::errc{} && end == digits.data() + digits.size() && !std::isnan(d);
}

std::string format_decimal(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), d).ptr};
}

std::string shown(std::string_view text, std::size_t bytes_max) {
  const bool cut = text.size() > bytes_max;
  if (cut) text = text.substr(0, bytes_max);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    const bool c1 = n == 2 && text[0] == '\xC2' && static_cast<unsigned char>(text[1]) < 0xA0;
    const bool plain =
        n > 1 ? !c1
              : n == 1 && text[0] >= ' ' && text[0] != 0x7F && text[0] != '"' && text[0] != '\\';
    const std::size_t taken = plain || c1 ? n : 1;
    for (std::size_t i = 0; i < taken; ++i) {
      if (plain) out.push_back(text[i]);
      else show_byte(out, text[i]);
    }
    text.remove_prefix(taken);
  }
  if (cut) out += "...";
  return out;
}

std::string_view as_c_text(std::string_view text, std::size_t bytes_max) noexcept {
  return text.substr(0, std::min(text.find('\0'), bytes_max));
}

std::string quoted(std::string_view text) { return '"' + shown(text) + '"'; }

bool glob_match(std::string_view pattern, std::string_view text, bool ignore_case) noexcept {
  if (text.empty()) return pattern.empty();
  // Greedy with one remembered star: going back to the last star is enough, so no recursion.
  std::size_t p = 0, t = 0, star = std::string_view::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      retry = t;
      continue;
    }
    std::size_t used = 0;
    if (p < pattern.size() && element_match(pattern.substr(p), text[t], ignore_case, used)) {
      p += used, ++t;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star, t = ++retry;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view without_brackets(std::string_view host) noexcept {
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return brackets ? host.substr(1, host.size() - 2) : host;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::string_view units = "BKMGTP";
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < units.size()) amount /= 1024, ++unit;
  char text[32];
  if (unit == 0) std::snprintf(text, sizeof text, "%lluB", static_cast<unsigned long long>(bytes));
  else std::snprintf(text, sizeof text, "%.2f%c", amount, units[unit]);
  return text;
}

}  // namespace kv
