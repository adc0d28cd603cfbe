// The elements of record.hpp: how a value stands in a text file, there and back. Strings and
// numbers are done here, quickly; symbols and lists as wire/lisp_text.hpp has them.
#include <algorithm>
#include <cstring>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_string.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "persistence/record.hpp"

namespace kv {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

void append_element(std::string& out, const Scalar& element) {
  switch (element.kind) {
    case Kind::string: append_lisp_string(out, element.bytes); return;
    case Kind::number: out.append(element.bytes); return;
    case Kind::nil: out.append("NIL", 3); return;
    case Kind::symbol:
    case Kind::list: print_lisp(element, out); return;
  }
}

// --- reading ---

void ElementReader::clear(std::string_view text) {
  text_ = text;
  at_ = 0;
  error_ = "";
  forget();
}

void ElementReader::forget() {
  scratch_used_ = 0;
  if (!kept_.empty()) kept_.clear();
}

bool ElementReader::take(std::string_view literal) noexcept {
  if (text_.substr(at_, literal.size()) != literal) return false;
  at_ += literal.size();
  return true;
}

bool ElementReader::take(char c) noexcept {
  if (!peek(c)) return false;
  ++at_;
  return true;
}

bool ElementReader::digits(std::size_t count, std::uint64_t& n) noexcept {
  if (text_.size() - at_ < count) return false;
  n = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char c = text_[at_ + i];
    if (!is_digit(c)) return false;
    n = n * 10 + static_cast<std::uint64_t>(c - '0');
  }
  at_ += count;
  return true;
}

bool ElementReader::number(std::uint64_t& n) noexcept {
  std::size_t end = at_;
  while (end < text_.size() && is_digit(text_[end])) ++end;
  if (!parse_unsigned(text_.substr(at_, end - at_), n)) return false;
  at_ = end;
  return true;
}

bool ElementReader::string(std::string_view& out) {
  if (!peek('"')) return fail("a quoted text is missing");
  const std::string_view text = text_.substr(at_ + 1);
  const std::size_t plain = plain_in_lisp_string(text);
  if (plain == text.size()) return fail("a quoted text does not end");
  if (text[plain] != '"') return escaped_string(out);
  out = text.substr(0, plain);
  at_ += plain + 2;
  return true;
}

/// Where the text that begins here goes without its escapes. A line has room for all its texts,
/// which are never longer than with them, unless it is so long that they had better come one by
/// one.
char* ElementReader::room_for_string() {
  if (!is_long()) {
    if (scratch_used_ == 0 && scratch_.size() < text_.size()) scratch_.resize(text_.size());
    return scratch_.data() + scratch_used_;
  }
  std::size_t end = at_ + 1, size = 0, taken = 0;
  do {  // as escaped_string() goes on
    const std::size_t plain = plain_in_lisp_string(text_.substr(end));
    char byte = 0;
    taken = read_lisp_escape(text_.substr(end + plain), byte);
    end += plain + taken;
    size += plain + (taken != 0 ? 1 : 0);
  } while (taken != 0);
  return kept_.emplace_back(size, '\0').data();
}

bool ElementReader::escaped_string(std::string_view& out) {
  const std::size_t start_at = at_;
  char* const start = room_for_string();
  char* to = start;
  ++at_;
  while (true) {
    const std::string_view text = text_.substr(at_);
    const std::size_t plain = plain_in_lisp_string(text);
    if (plain == text.size()) return fail("a quoted text does not end");
    std::memcpy(to, text.data(), plain);
    to += plain;
    at_ += plain;
    if (take('"')) break;
    std::size_t taken = 0, escapes = 0;
    for (; (taken = read_lisp_escape(rest(), *to)) != 0; ++escapes) {
      ++to;
      at_ += taken;
    }
    if (escapes > 0) continue;
    at_ = start_at;
    Scalar whole;
    if (!generic(whole)) return false;
    if (whole.kind != Kind::string) return fail("a quoted text is missing");
    out = whole.bytes;
    return true;
  }
  out = {start, static_cast<std::size_t>(to - start)};
  if (!is_long()) scratch_used_ += out.size();
  return true;
}

bool ElementReader::generic(Scalar& out) {
  LispReader reader(rest());
  if (!reader.value(out)) {
    error_text_ = reader.status().ok() ? "an element is missing" : reader.status().message();
    return fail(error_text_.c_str());
  }
  at_ += reader.position();
  // The reader's memory ends with it; the element must live on.
  if (!out.bytes.empty()) out.bytes = kept_.emplace_back(out.bytes);
  return true;
}

bool ElementReader::rest_of_list(Scalar& out) {
  // " 2 3)" becomes "(2 3)": the list reader does the rest.
  if (!peek(' ')) return fail("a list does not end");
  std::string text = "(";
  const std::size_t start_at = at_++;
  LispReader reader(rest());
  int depth = 1;
  while (depth > 0) {
    const LispReader::Token token = reader.next();
    if (token == LispReader::Token::end || token == LispReader::Token::error) {
      at_ = start_at;
      return fail("a list is not well-formed");
    }
    if (token == LispReader::Token::open) ++depth;
    if (token == LispReader::Token::close) --depth;
  }
  text.append(rest().substr(0, reader.position()));
  at_ += reader.position() - 1;
  LispReader whole(text);
  if (!whole.value(out)) return fail("a list is not well-formed");
  if (!out.bytes.empty()) out.bytes = kept_.emplace_back(out.bytes);
  return true;
}

bool ElementReader::element(Scalar& out) {
  if (at_ == text_.size()) return fail("an element is missing");
  const char first = text_[at_];
  if (first == '"') {
    out.kind = Kind::string;
    return string(out.bytes);
  }
  std::size_t end = at_ + (first == '-' ? 1 : 0);
  const std::size_t digits_start = end;
  while (end < text_.size() && is_digit(text_[end])) ++end;
  if (end > digits_start && end < text_.size() && (text_[end] == ' ' || text_[end] == ')')) {
    // One way to write each number: no leading zeros, no -0.
    const bool zero_first = text_[digits_start] == '0';
    if (!zero_first || (first == '0' && end - digits_start == 1)) {
      out = {text_.substr(at_, end - at_), Kind::number};
      at_ = end;
      return true;
    }
  }
  return generic(out);
}

}  // namespace kv
