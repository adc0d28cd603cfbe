// Strings as Lisp text, there and back: what stands between the quotes. lisp_text.hpp has the
// rules.
//
// Every text value of log and snapshot passes here, so these functions work on many bytes at a
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kv {

/// The character number that stands for byte 0 in a string; see lisp_text.hpp.
inline constexpr std::uint32_t lisp_byte_code = 56320;

/// Appends bytes as a string in quotes, on one line whatever they are. out must not hold bytes.
void append_lisp_string(std::string& out, std::string_view bytes);

/// The same for a short text that is plain, as most are, in a third of the instructions: returns
/// the end of what it wrote, of at most short_lisp_string_bytes that it may write over. Null: the
/// text is not short, or holds what must not stand there as it is.
char* put_short_lisp_string(char* to, std::string_view bytes) noexcept;
inline constexpr std::size_t short_lisp_text_bytes_max = 64;
inline constexpr std::size_t short_lisp_string_bytes = 1 + short_lisp_text_bytes_max + 1;

/// How many bytes at the start of what stands in quotes mean themselves: up to the closing quote,
/// an escape, or a control byte, which may not be there at all.
std::size_t plain_in_lisp_string(std::string_view text) noexcept;

/// Reads the escape at the start of text, as append_lisp_string() writes them, into byte. Returns
/// its length in the text; 0: there is another one, or none (LispReader knows all of them).
std::size_t read_lisp_escape(std::string_view text, char& byte) noexcept;

}  // namespace kv
