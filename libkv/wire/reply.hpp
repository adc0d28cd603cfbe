// Writes a reply as RESP3 bytes, the form in which replies travel from the sibling to a child.
//
// The child sends these bytes as they are, or translates them for its connection's protocol
// (resp.hpp for RESP2, plio.hpp for PLIO). A Reply notes whether translation is needed at all, so
// that the common replies (bulk strings, integers, statuses) are never looked at twice.
// Grammar: the RESP3 specification, plus three private forms that a child never lets out:
//   *-1\r\n                 null array: RESP2's *-1, RESP3's _
//   =<n>\r\nsym:<name>\r\n  a PicoLisp symbol (for PLIO connections only)
//   =<n>\r\npli:<plio>\r\n  a PicoLisp list as its PLIO bytes (for PLIO connections only)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/base/digits.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

/// Who reads the reply: decides how stored kinds show, and which of two documented answers is
/// given.
enum class Dialect : std::uint8_t { resp, plio };

class Reply {
 public:
  /// Appends to out, which the caller owns and keeps.
  Reply(std::string& out, Dialect dialect) noexcept
      : out_(&out), start_(out.size()), dialect_(dialect) {}

  void simple(std::string_view text) { line('+', text); }
  void ok() {
    if (fits(2)) out_->append("+OK\r\n", 5);
  }
  /// text begins with the error word: "ERR no such key". Line breaks are replaced by blanks.
  void error(std::string_view text);
  void integer(std::int64_t n) { number(':', n); }
  void boolean(bool b) { special(), out_->append(b ? "#t\r\n" : "#f\r\n", 4); }
  void decimal(double d);
  /// A decimal number that is text already.
  void decimal_text(std::string_view text) { special(), line(',', text); }
  void nil() {
    special();
    if (fits(3)) out_->append("_\r\n", 3);
  }
  void nil_array() { special(), out_->append("*-1\r\n", 5); }
  void bulk(std::string_view bytes) {
    if (!fits(bytes.size())) return;
    char text[head_bytes_max_ + joined_bytes_max_ + 2];
    char* end = head(text, '$', static_cast<std::int64_t>(bytes.size()));
    if (bytes.size() > joined_bytes_max_) {
      out_->append(text, static_cast<std::size_t>(end - text)).append(bytes).append("\r\n", 2);
      return;
    }
    end += bytes.copy(end, bytes.size());
    *end++ = '\r', *end++ = '\n';
    out_->append(text, static_cast<std::size_t>(end - text));
  }
  /// Text for people: RESP3 verbatim (=), RESP2 bulk. INFO, CLIENT LIST, LOLWUT.
  void verbatim(std::string_view text);
  /// A stored element: bytes for RESP; number, symbol, NIL or list for PLIO.
  void scalar(const Scalar& s);
  /// The same as the last of a reply, of bytes that stay where they are until the reply has ended:
  /// large ones are not copied here, but are its rest().
  void last(const Scalar& s) {
    if (s.kind == Kind::string && s.bytes.size() < limits::shared_bytes_min) return bulk(s.bytes);
    last_unusual(s);
  }

  // Containers: the header, then that many elements (a map: pairs) by further calls.
  void array(std::size_t n) { number('*', static_cast<std::int64_t>(n)); }
  void map(std::size_t pairs) { special(), number('%', static_cast<std::int64_t>(pairs)); }
  void set(std::size_t n) { special(), number('~', static_cast<std::int64_t>(n)); }
  void push(std::size_t n) { special(), number('>', static_cast<std::int64_t>(n)); }

  /// Takes the memory for so many bytes more, or throws: for who cannot go back once half is said.
  void reserve(std::size_t bytes) { out_->reserve(out_->size() + bytes); }

  Dialect dialect() const noexcept { return dialect_; }
  bool plio() const noexcept { return dialect_ == Dialect::plio; }
  /// True when RESP2 and RESP3 clients would get different bytes.
  bool needs_translation() const noexcept { return special_; }
  bool failed() const noexcept { return failed_; }  ///< error() was called
  std::string& out() noexcept { return *out_; }
  /// What follows the bytes in out(), before a line break. Mostly empty: then none follows.
  std::string_view rest() const noexcept { return rest_; }

  /// More than limits::reply_bytes_max was to be said: nothing of it is there, and nothing of what
  /// follows will be.
  bool too_large() const noexcept { return too_large_; }
  /// An element of this one that another Reply has written to the same out.
  void contains(const Reply& element) noexcept { special_ |= element.special_; }
  /// Forgets what was said, for an error instead.
  void start_over() noexcept {
    out_->resize(start_);
    rest_ = {};
    special_ = failed_ = too_large_ = false;
  }

 private:
  void special() noexcept { special_ = true; }
  bool fits(std::size_t bytes) noexcept {
    if (out_->size() - start_ + bytes <= limits::reply_bytes_max && !too_large_) return true;
    too_large_ = true;
    out_->resize(start_);
    return false;
  }
  void line(char sigil, std::string_view text) {
    if (!fits(text.size())) return;
    out_->push_back(sigil);
    out_->append(text).append("\r\n", 2);
  }
  void last_unusual(const Scalar& s);
  void number(char sigil, std::int64_t n) {
    if (!fits(0)) return;
    char text[head_bytes_max_];
    out_->append(text, static_cast<std::size_t>(head(text, sigil, n) - text));
  }
  static char* head(char* text, char sigil, std::int64_t n) noexcept {
    *text = sigil;
    char* end = put_decimal(text + 1, n);
    *end++ = '\r', *end++ = '\n';
    return end;
  }

  static constexpr std::size_t head_bytes_max_ = 1 + decimal_bytes_max + 2;  // and a line break
  // Up to here a bulk string is put together first and appended once: 117 instructions, not 166,
  // for 32 bytes.
  static constexpr std::size_t joined_bytes_max_ = 128;

  std::string* out_;
  std::size_t start_;
  std::string_view rest_;
  Dialect dialect_;
  bool special_ = false;
  bool failed_ = false;
  bool too_large_ = false;
};

}  // namespace kv
