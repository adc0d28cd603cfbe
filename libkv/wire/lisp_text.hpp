// Values as Lisp text, the form of kv.aof and kv.db, readable by people and by PicoLisp's (read).
//
// Rules (FORMAT.md has the grammar): one value never needs more than one line. A string is in
// double quotes with \ before " \ ^; control bytes are ^A .. ^_ and ^?; a byte that text cannot
// carry (NUL, or not part of valid UTF-8) is \D\ with D = 56320 + the byte in decimal, a character
// number that no UTF-8 text has, so it cannot be confused with anything PicoLisp writes. An empty
// string is "", NIL is NIL. Text is only data here: read-macros that run code are refused.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "libkv/base/status.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

/// Appends value as Lisp text; a Kind::list as a whole list.
void print_lisp(const Scalar& value, std::string& out);
/// A Kind::list's PLIO bytes as Lisp text: "(1 (\"a\" . \"b\"))".
std::string lisp_text(std::string_view plio);

/// Reads Lisp text piece by piece. Does not own the text; never reads outside it, never recurses.
class LispReader {
 public:
  enum class Token : std::uint8_t { end, error, open, close, dot, quote, atom };

  explicit LispReader(std::string_view text) noexcept : text_(text) {}

  /// The next piece, comments and blanks skipped. `dot` is a lone point inside a list.
  Token next();
  /// After Token::atom. Strings without escapes point into the text, others into the reader: they
  /// live until clear().
  const Scalar& atom() const noexcept { return atom_; }
  /// A whole value into value: an atom, or a list as Kind::list (PLIO bytes, kept until clear();
  /// an empty list is Kind::nil). False before ')', at the end and on errors.
  bool value(Scalar& value);
  /// As value(), but with the first piece already read by the caller.
  bool value_from(Token first, Scalar& value);
  /// Gives back the memory of decoded strings and lists. Atoms read before become invalid.
  void clear() noexcept { kept_.clear(); }

  std::size_t position() const noexcept { return position_; }  ///< bytes read so far
  /// Ok, or why the text was refused, with the offset of the byte: "... at byte 17".
  const Status& status() const noexcept { return status_; }

 private:
  Token refuse(std::string_view why, std::size_t at);
  bool skip_blanks();
  bool skip_comment();
  Token read_string();
  bool read_escape(std::string& out);
  bool read_code(std::string& out);
  Token read_token();
  Token token_done(std::string_view name, std::size_t start);
  bool read_list(Token token, std::string& plio);
  char here() const noexcept { return text_[position_]; }
  bool at_end() const noexcept { return position_ == text_.size(); }

  std::string_view text_;
  std::size_t position_ = 0;
  Scalar atom_;
  std::deque<std::string> kept_;  // never moves what it holds
  Status status_;
};

/// Reads one value and appends its PLIO bytes. text moves past it.
Status read_lisp(std::string_view& text, std::string& plio);

}  // namespace kv
