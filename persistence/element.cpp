// The elements of record.hpp: how a value stands in a text file, there and back. Strings and
// numbers are done here, quickly; symbols and lists as wire/lisp_text.hpp has them.
#include <array>
#include <cstring>

#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "persistence/record.hpp"

namespace kv {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// ASCII that cannot stand for itself between the quotes, and everything that is not ASCII: whether
/// that is UTF-8 or must be escaped is for print_lisp to say.
constexpr std::array<bool, 256> make_special(bool ascii_only) {
  std::array<bool, 256> special{};
  for (std::size_t c = 0; c < 32; ++c) special[c] = true;
  for (const unsigned char c : {'"', '\\', '^', '\x7F'}) special[c] = true;
  for (std::size_t c = 128; c < 256; ++c) special[c] = ascii_only;
  return special;
}
constexpr std::array<bool, 256> special_to_write = make_special(true);
constexpr std::array<bool, 256> special_to_read = make_special(false);

using Block = unsigned char __attribute__((vector_size(16)));

/// Is one of these sixteen bytes special? The same sets as the tables'.
template <bool ascii_only>
bool any_special(const char* p) noexcept {
  Block bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  const auto byte = [](int c) { return static_cast<unsigned char>(c); };
  auto found = (bytes < byte(' ')) | (bytes == byte('"')) | (bytes == byte('\\')) |
               (bytes == byte('^')) | (bytes == byte(0x7F));
  if (ascii_only) found |= bytes >= byte(0x80);
  std::uint64_t halves[2];
  std::memcpy(halves, &found, sizeof halves);
  return (halves[0] | halves[1]) != 0;
}

/// How many bytes at the start stand for themselves.
template <bool ascii_only>
std::size_t plain_run(std::string_view text) noexcept {
  constexpr const auto& special = ascii_only ? special_to_write : special_to_read;
  std::size_t i = 0;
  while (i + sizeof(Block) <= text.size() && !any_special<ascii_only>(text.data() + i))
    i += sizeof(Block);
  while (i < text.size() && !special[static_cast<unsigned char>(text[i])]) ++i;
  return i;
}

/// False if it needs more than a mark before it.
bool append_escaped(std::string& out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte == 0 || byte >= 0x80) return false;
  if (byte == '"' || byte == '\\' || byte == '^') {
    out.push_back('\\');
    out.push_back(c);
  } else {
    out.push_back('^');
    out.push_back(byte == 0x7F ? '?' : static_cast<char>(byte | 0x40));
  }
  return true;
}

}  // namespace

void append_quoted(std::string& out, std::string_view bytes) {
  const std::size_t start = out.size();
  std::string_view rest = bytes;
  out.push_back('"');
  while (true) {
    const std::size_t plain = plain_run<true>(rest);
    out.append(rest.data(), plain);
    if (plain == rest.size()) break;
    if (!append_escaped(out, rest[plain])) {
      out.resize(start);
      print_lisp(bytes, out);
      return;
    }
    rest.remove_prefix(plain + 1);
  }
  out.push_back('"');
}

void append_element(std::string& out, const Scalar& element) {
  switch (element.kind) {
    case Kind::string: append_quoted(out, element.bytes); return;
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
  const std::size_t plain = plain_run<false>(text);
  if (plain == text.size()) return fail("a quoted text does not end");
  if (text[plain] != '"') return escaped_string(out);
  out = text.substr(0, plain);
  at_ += plain + 2;
  return true;
}

bool ElementReader::escaped_string(std::string_view& out) {
  // Without its escapes a text is never longer, so this much is enough for the whole of text_.
  if (scratch_used_ == 0 && scratch_.size() < text_.size()) scratch_.resize(text_.size());
  const std::size_t start_at = at_;
  char* const start = scratch_.data() + scratch_used_;
  char* to = start;
  ++at_;
  while (true) {
    const std::string_view text = text_.substr(at_);
    const std::size_t plain = plain_run<false>(text);
    if (plain == text.size()) return fail("a quoted text does not end");
    std::memcpy(to, text.data(), plain);
    to += plain;
    at_ += plain;
    if (take('"')) break;
    if (escape(to)) continue;
    at_ = start_at;
    Scalar whole;
    if (!generic(whole)) return false;
    if (whole.kind != Kind::string) return fail("a quoted text is missing");
    out = whole.bytes;
    return true;
  }
  out = {start, static_cast<std::size_t>(to - start)};
  scratch_used_ += out.size();
  return true;
}

/// One common escape. False if it is another one: then lisp_text knows, or refuses.
bool ElementReader::escape(char*& to) noexcept {
  const char mark = text_[at_];
  if (at_ + 1 == text_.size()) return false;
  const char next = text_[at_ + 1];
  if (mark == '^' && (next == '?' || (next >= 'A' && next <= '_'))) {
    *to++ = next == '?' ? '\x7F' : static_cast<char>(next & 0x1F);
  } else if (mark == '\\' && (next == '"' || next == '\\' || next == '^')) {
    *to++ = next;
  } else {
    return false;
  }
  at_ += 2;
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
