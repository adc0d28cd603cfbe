// See inline.hpp.
#include "libkv/wire/inline.hpp"

#include <utility>

namespace kv {
namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view leading_blanks = " \t\r\n\v\f";

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char escaped(char c) noexcept {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

/// The escape sequence at the front of line (which begins with a backslash and has more).
char take_escape(std::string_view& line) noexcept {
  const bool hex =
      line.size() >= 4 && line[1] == 'x' && hex_digit(line[2]) >= 0 && hex_digit(line[3]) >= 0;
  const char c =
      hex ? static_cast<char>(hex_digit(line[2]) * 16 + hex_digit(line[3])) : escaped(line[1]);
  line.remove_prefix(hex ? 4 : 2);
  return c;
}

/// The quoted part at the front of line, which begins with its quote.
bool take_quoted(std::string_view& line, std::string& out) {
  const char quote = line[0];
  line.remove_prefix(1);
  while (!line.empty()) {
    const char c = line[0];
    if (c == quote) {
      line.remove_prefix(1);
      return line.empty() || leading_blanks.find(line[0]) != leading_blanks.npos;
    }
    if (c == '\\' && line.size() > 1 && (quote == '"' || line[1] == '\'')) {
      out.push_back(take_escape(line));
    } else {
      out.push_back(c);
      line.remove_prefix(1);
    }
  }
  return false;
}

}  // namespace

bool next_word(std::string_view& line, std::string& out, bool& found) {
  line.remove_prefix(std::min(line.find_first_not_of(leading_blanks), line.size()));
  found = !line.empty();
  while (!line.empty() && blanks.find(line[0]) == blanks.npos) {
    if (line[0] == '"' || line[0] == '\'') return take_quoted(line, out);
    const std::size_t n = std::min(line.find_first_of(" \t\r\n\"'"), line.size());
    out.append(line.substr(0, n));
    line.remove_prefix(n);
  }
  return true;
}

bool split_quoted(std::string_view line, std::vector<std::string>& words) {
  words.clear();
  for (bool found = true; found;) {
    std::string word;
    if (!next_word(line, word, found)) return false;
    if (found) words.push_back(std::move(word));
  }
  return true;
}

}  // namespace kv
