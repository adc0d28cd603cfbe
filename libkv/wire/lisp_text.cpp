// See lisp_text.hpp: reading. Printing is in lisp_print.cpp.
#include "libkv/wire/lisp_text.hpp"

#include <array>

#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_string.hpp"
#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_atom.hpp"

namespace kv {
namespace {

constexpr std::string_view delimiters = " \t\n\r\"'(),[]`{}";

bool is_delimiter(char c) noexcept { return delimiters.find(c) != delimiters.npos; }

/// Bytes that end a run of plain characters in a string.
constexpr auto special_in_string = [] {
  std::array<bool, 256> table{};
  table[0] = table['"'] = table['\\'] = table['^'] = true;
  return table;
}();

/// UTF-8 of a character number below 0x110000, surrogates included, as PicoLisp writes it.
void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&](unsigned shift) {
    out.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3F)));
  };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xC0 | code >> 6)), tail(0);
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | code >> 12)), tail(6), tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | code >> 18)), tail(12), tail(6), tail(0);
  }
}

/// A number token as canonical digits: what is after a point is rounded away, as PicoLisp does.
bool append_rounded(std::string& out, std::string_view token) {
  const std::size_t point = token.find('.');
  if (!append_canonical_number(out, token.substr(0, point))) return false;
  if (point == token.npos || point + 1 == token.size() || token[point + 1] < '5') return true;
  const bool negative = token[0] == '-';
  std::string digits = out.substr(negative && out[0] == '-' ? 1 : 0);
  std::size_t i = digits.size();
  while (i > 0 && digits[i - 1] == '9') digits[--i] = '0';
  if (i > 0) ++digits[i - 1];
  else digits.insert(0, "1");
  out = (negative ? "-" : "") + digits;
  return out.size() <= limits::number_digits_max;
}

}  // namespace

LispReader::Token LispReader::refuse(std::string_view why, std::size_t at) {
  if (status_.ok()) status_ = {Code::corrupt, std::string(why) + " at byte " + std::to_string(at)};
  return Token::error;
}

/// Skips #{ ... }# (which nests) or a comment to the end of the line. False: no end.
bool LispReader::skip_comment() {
  if (!text_.substr(position_).starts_with("#{")) {
    position_ = std::min(text_.find('\n', position_), text_.size());
    return true;
  }
  std::size_t depth = 0;
  while (position_ < text_.size()) {
    const std::string_view two = text_.substr(position_, 2);
    position_ += two == "#{" || two == "}#" ? 2 : 1;
    if (two == "#{") ++depth;
    if (two == "}#" && --depth == 0) return true;
  }
  return false;
}

bool LispReader::skip_blanks() {
  while (!at_end()) {
    const auto c = static_cast<unsigned char>(here());
    if (c == '#') {
      const std::size_t start = position_;
      if (!skip_comment()) return refuse("comment without an end", start), false;
    } else if (c >= 1 && c <= ' ') {
      ++position_;
    } else {
      break;
    }
  }
  return true;
}

LispReader::Token LispReader::next() {
  if (!status_.ok() || !skip_blanks()) return Token::error;
  if (at_end()) return Token::end;
  switch (here()) {
    case '(': return ++position_, Token::open;
    case ')': return ++position_, Token::close;
    case '\'': return ++position_, Token::quote;
    case '"': return read_string();
    case '`': return refuse("read-macro ` would run code: refused", position_);
    case ',': return refuse("read-macro , refused", position_);
    case '{':
    case '}': return refuse("external symbol refused", position_);
    case '[':
    case ']': return refuse("square bracket refused", position_);
    default: return read_token();
  }
}

LispReader::Token LispReader::read_string() {
  const std::size_t start = ++position_;
  std::string* decoded = nullptr;
  for (std::size_t run = start;;) {
    while (!at_end() && !special_in_string[static_cast<unsigned char>(here())]) ++position_;
    if (at_end()) return refuse("string without an end", start - 1);
    if (here() == '\0') return refuse("NUL in a string", position_);
    const std::string_view plain = text_.substr(run, position_ - run);
    if (here() == '"') {
      ++position_;
      if (decoded == nullptr) return atom_ = {plain, Kind::string}, Token::atom;
      decoded->append(plain);
      return atom_ = {*decoded, Kind::string}, Token::atom;
    }
    if (decoded == nullptr) decoded = &kept_.emplace_back();
    decoded->append(plain);
    if (!read_escape(*decoded)) return Token::error;
    run = position_;
  }
}

/// At a ^ or a backslash in a string.
bool LispReader::read_escape(std::string& out) {
  const char kind = here();
  if (++position_ == text_.size()) return refuse("string without an end", position_), false;
  const char c = here();
  if (kind == '^') {
    if (c != '?' && (c < '!' || c > '~' || (c & 0x1F) == 0))
      return refuse("not a control character", position_), false;
    out.push_back(c == '?' ? '\x7F' : static_cast<char>(c & 0x1F));
    return ++position_, true;
  }
  if (c >= '0' && c <= '9') return read_code(out);
  ++position_;
  switch (c) {
    case 'b': out.push_back('\b'); break;
    case 'e': out.push_back('\x1B'); break;
    case 'n': out.push_back('\n'); break;
    case 'r': out.push_back('\r'); break;
    case 't': out.push_back('\t'); break;
    case '\n':
      while (!at_end() && (here() == ' ' || here() == '\t')) ++position_;
      break;
    case '\0': return refuse("NUL in a string", position_ - 1), false;
    default: out.push_back(c);
  }
  return true;
}

/// A character number and its closing backslash.
bool LispReader::read_code(std::string& out) {
  const std::size_t start = position_;
  std::uint32_t code = 0;
  for (; !at_end() && here() >= '0' && here() <= '9' && code < 0x110000; ++position_)
    code = code * 10 + static_cast<std::uint32_t>(here() - '0');
  if (at_end() || here() != '\\' || code == 0 || code >= 0x110000)
    return refuse("not a character number", start), false;
  ++position_;
  if (code >= lisp_byte_code && code < lisp_byte_code + 256)
    out.push_back(static_cast<char>(code - lisp_byte_code));
  else append_utf8(out, code);
  return true;
}

LispReader::Token LispReader::read_token() {
  const std::size_t start = position_;
  std::string* decoded = nullptr;  // only once a backslash has been dropped
  for (; !at_end() && !is_delimiter(here()); ++position_) {
    if (here() == '\0') return refuse("NUL in a token", position_);
    if (here() == '~') return refuse("namespace mark ~ refused", position_);
    if (here() == '\\') {
      if (decoded == nullptr) decoded = &kept_.emplace_back(text_.substr(start, position_ - start));
      if (++position_ == text_.size()) return refuse("token cut short", start);
    }
    if (decoded != nullptr) decoded->push_back(here());
  }
  const std::string_view name =
      decoded != nullptr ? std::string_view(*decoded) : text_.substr(start, position_ - start);
  if (decoded == nullptr && name == ".") return Token::dot;
  return token_done(name, start);
}

LispReader::Token LispReader::token_done(std::string_view name, std::size_t start) {
  if (!looks_like_number(name)) {
    atom_ = plio_text_scalar(plio_symbol, name);
    return Token::atom;
  }
  std::int64_t small = 0;
  if (parse_integer(name, small)) return atom_ = {name, Kind::number}, Token::atom;
  std::string& digits = kept_.emplace_back();
  if (!append_rounded(digits, name)) return refuse("number too long", start);
  atom_ = {digits, Kind::number};
  return Token::atom;
}

// --- whole values ---

bool LispReader::value(Scalar& value) { return value_from(next(), value); }

bool LispReader::value_from(Token first, Scalar& value) {
  if (first == Token::atom) return value = atom_, true;
  if (first == Token::dot) return refuse("point outside a list", position_ - 1), false;
  if (first != Token::open && first != Token::quote) return false;
  std::string& plio = kept_.emplace_back();
  if (!read_list(first, plio)) return false;
  value = plio.size() == 1 ? Scalar({}, Kind::nil) : Scalar(plio, Kind::list);
  return true;
}

bool LispReader::read_list(Token token, std::string& plio) {
  PlioWriter writer(plio);
  std::array<bool, plio_depth_max> quoted{};  // open levels: made by ' rather than by (
  const auto start = position_;
  for (;; token = next()) {
    bool good = true;
    switch (token) {
      case Token::end: return refuse("list without an end", start - 1), false;
      case Token::error: return false;
      case Token::open:
      case Token::quote:
        good = writer.open();
        if (good) quoted[writer.depth() - 1] = token == Token::quote;
        if (good && token == Token::quote) writer.value({"quote", Kind::symbol}), writer.dot();
        break;
      case Token::dot: good = writer.dot(); break;
      case Token::close: good = !quoted[writer.depth() - 1] && writer.close(); break;
      case Token::atom: good = writer.value(atom_); break;
    }
    if (!good) return refuse("misplaced piece of a list", position_ - 1), false;
    if (token != Token::atom && token != Token::close) continue;
    // A quote is over after its one value, and that makes a value of it in turn.
    while (writer.depth() > 0 && quoted[writer.depth() - 1]) writer.close();
    if (writer.depth() == 0) return true;
  }
}

Status read_lisp(std::string_view& text, std::string& plio) {
  LispReader reader(text);
  Scalar value;
  const LispReader::Token first = reader.next();
  if (!reader.value_from(first, value)) {
    if (!reader.status().ok()) return reader.status();
    if (first == LispReader::Token::end) return {Code::not_found, "no value in the text"};
    return {Code::corrupt, "unexpected ) at byte " + std::to_string(reader.position() - 1)};
  }
  append_plio(plio, value);
  text.remove_prefix(reader.position());
  return {};
}

}  // namespace kv
