// See lisp_string.hpp.
#include "libkv/wire/lisp_string.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "libkv/base/text.hpp"

namespace kv {
namespace {

// --- runs of bytes that stand for themselves, sixteen at a time ---

using Block = unsigned char __attribute__((vector_size(16)));

enum class Run : std::uint8_t { ascii, bytes };  // bytes: those beyond ASCII are plain too

constexpr bool is_special(unsigned char c, Run run) noexcept {
  return c < ' ' || c == '"' || c == '\\' || c == '^' || c == 0x7F ||
         (run == Run::ascii && c >= 0x80);
}

template <Run run>
Block special(const char* p) noexcept {
  using Signed = signed char __attribute__((vector_size(16)));
  Block bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  static_assert(('\\' | 2) == '^');
  Block found = (bytes == '"') | ((bytes | 2) == '^') | (bytes == 0x7F);
  // Bytes from 0x80 on are less than a blank where bytes have a sign.
  if constexpr (run == Run::ascii) found |= reinterpret_cast<Signed>(bytes) < Signed{} + ' ';
  else found |= bytes < ' ';
  return found;
}

bool any(Block found) noexcept {
  std::uint64_t halves[2];
  std::memcpy(halves, &found, sizeof halves);
  return (halves[0] | halves[1]) != 0;
}

/// The place of the first one found; sizeof(Block) if there is none.
std::size_t first(Block found) noexcept {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t halves[2];
  std::memcpy(halves, &found, sizeof halves);
  const int zeros = halves[0] != 0 ? std::countr_zero(halves[0]) : 64 + std::countr_zero(halves[1]);
  return static_cast<std::size_t>(zeros) / 8;
}

std::size_t count(Block found) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101u;
  std::uint64_t halves[2];
  std::memcpy(halves, &found, sizeof halves);
  return (((halves[0] & ones) + (halves[1] & ones)) * ones) >> 56;
}

template <Run run>
std::size_t plain_run(std::string_view text) noexcept {
  constexpr std::size_t one = sizeof(Block), four = 4 * one;
  const char* const p = text.data();
  std::size_t i = 0;
  const auto found_before = [p, &i](std::size_t end) {
    for (; i + one <= end; i += one) {
      const Block found = special<run>(p + i);
      if (any(found)) return i += first(found), true;
    }
    return false;
  };
  // Most runs are short; four at a time is for long ones.
  if (found_before(std::min(text.size(), four))) return i;
  for (; i + four <= text.size(); i += four) {
    const Block two = special<run>(p + i) | special<run>(p + i + one);
    if (any(two | special<run>(p + i + 2 * one) | special<run>(p + i + 3 * one))) break;
  }
  if (found_before(text.size())) return i;
  while (i < text.size() && !is_special(static_cast<unsigned char>(p[i]), run)) ++i;
  return i;
}

// --- the others ---

constexpr std::size_t code_digits = 5;
constexpr std::size_t form_bytes_max = 2 + code_digits;

/// How a byte stands in a string.
struct Form {
  char text[8];
  std::uint8_t bytes;  // of text
  bool may_be_utf8;    // it may begin a character of several bytes: then it stands as it is
};
static_assert(form_bytes_max <= sizeof Form::text);

constexpr Form form_of(unsigned char c) noexcept {
  const char byte = static_cast<char>(c);
  if (c == '"' || c == '\\' || c == '^') return {{'\\', byte}, 2, false};
  if (c == 0x7F) return {{'^', '?'}, 2, false};
  if (c >= ' ' && c < 0x80) return {{byte}, 1, false};
  if (c != 0 && c < ' ') return {{'^', static_cast<char>(c | 0x40)}, 2, false};
  Form form{{'\\'}, form_bytes_max, c >= 0xC2 && c <= 0xF4};
  std::uint32_t code = lisp_byte_code + c;
  for (std::size_t i = code_digits; i > 0; --i, code /= 10)
    form.text[i] = static_cast<char>('0' + code % 10);
  form.text[1 + code_digits] = '\\';
  return form;
}

constexpr auto forms = [] {
  std::array<Form, 256> table{};
  for (unsigned c = 0; c < 256; ++c) table[c] = form_of(static_cast<unsigned char>(c));
  return table;
}();

struct Step {
  std::size_t read, written;
};

/// Writes the byte or the character at the start of text, and up to sizeof Form::text bytes.
inline Step write_one(char* to, std::string_view text) noexcept {
  const Form& form = forms[static_cast<unsigned char>(text[0])];
  const bool goes_on = text.size() > 1 && (text[1] & 0xC0) == 0x80;
  if (form.may_be_utf8 & goes_on) {
    if (const std::size_t character = utf8_length(text); character != 0) {
      std::memcpy(to, text.data(), character);
      return {character, character};
    }
  }
  std::memcpy(to, form.text, sizeof form.text);
  return {1, form.bytes};
}

/// Appends bytes of all kinds from the start of text, as long as there is something to do in every
/// block, or until a buffer is full. Returns how many.
std::size_t append_mixed(std::string& out, std::string_view text) {
  constexpr std::size_t full = 4096, few = 8;
  char buffer[full + sizeof(Block) * sizeof Form::text];
  char* to = buffer;
  std::size_t at = 0;
  while (at < text.size() && to < buffer + full) {
    std::size_t stop = text.size();
    if (stop - at >= sizeof(Block)) {
      const Block found = special<Run::ascii>(text.data() + at);
      const std::size_t others = count(found), plain = first(found);
      if (others == 0) break;
      stop = at + sizeof(Block);
      if (others <= few) {  // over the plain ones at once; with more that is no gain
        std::memcpy(to, text.data() + at, sizeof(Block));
        to += plain;
        at += plain;
        stop = at + 1;
      }
    }
    while (at < stop) {
      const Step step = write_one(to, text.substr(at));
      at += step.read;
      to += step.written;
    }
  }
  out.append(buffer, static_cast<std::size_t>(to - buffer));
  return at;
}

}  // namespace

char* put_short_lisp_string(char* to, std::string_view bytes) noexcept {
  constexpr std::size_t one = sizeof(Block);
  static_assert(short_lisp_string_bytes >= 2 + one);
  const std::size_t size = bytes.size();
  if (size > short_lisp_text_bytes_max) return nullptr;
  char* const text = to + 1;
  Block found{};
  if (size >= one) {
    const std::size_t last = size - one;
    for (std::size_t i = 0;; i = std::min(i + one, last)) {
      found |= special<Run::ascii>(bytes.data() + i);
      std::memcpy(text + i, bytes.data() + i, one);
      if (i == last) break;
    }
  } else {
    std::memset(text, ' ', one);
    bytes.copy(text, size);
    found = special<Run::ascii>(text);
  }
  if (any(found)) return nullptr;
  to[0] = text[size] = '"';
  return text + size + 1;
}

void append_lisp_string(std::string& out, std::string_view bytes) {
  char quoted[short_lisp_string_bytes];
  if (const char* const end = put_short_lisp_string(quoted, bytes)) {
    out.append(quoted, static_cast<std::size_t>(end - quoted));
    return;
  }
  out.push_back('"');
  while (!bytes.empty()) {
    const std::size_t plain = plain_run<Run::ascii>(bytes);
    out.append(bytes.data(), plain);
    bytes.remove_prefix(plain);
    if (!bytes.empty()) bytes.remove_prefix(append_mixed(out, bytes));
  }
  out.push_back('"');
}

std::size_t plain_in_lisp_string(std::string_view text) noexcept {
  return plain_run<Run::bytes>(text);
}

std::size_t read_lisp_escape(std::string_view text, char& byte) noexcept {
  if (text.size() < 2) return 0;
  const char mark = text[0], next = text[1];
  if (mark == '^' && (next == '?' || (next >= 'A' && next <= '_'))) {
    byte = next == '?' ? '\x7F' : static_cast<char>(next & 0x1F);
    return 2;
  }
  if (mark != '\\') return 0;
  if (next == '"' || next == '\\' || next == '^') return byte = next, 2;
  if (text.size() < form_bytes_max || text[form_bytes_max - 1] != '\\') return 0;
  std::uint32_t code = 0;
  for (std::size_t i = 1; i <= code_digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return 0;
    code = code * 10 + static_cast<std::uint32_t>(text[i] - '0');
  }
  if (code < lisp_byte_code || code > lisp_byte_code + 0xFF) return 0;
  byte = static_cast<char>(code - lisp_byte_code);
  return form_bytes_max;
}

}  // namespace kv
