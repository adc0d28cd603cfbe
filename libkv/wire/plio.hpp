// PLIO, the binary form in which PicoLisp writes values (its pr and rd), as picolisp-kv speaks it.
//
// Grammar (FORMAT.md has it with examples):
//   value  = 00 (NIL) | atom | 01 value+ 03 | 01 value+ 02 value   (the last: a dotted tail)
//   atom   = tag byte (length << 2 | kind), then the bytes; from 63 bytes on in chunks
//   kind   = 0 number (sign in the lowest bit, magnitude little-endian), 1 symbol, 2 string
// Circular lists (02 03) and external symbols (kind 3) are refused. Nothing here recurses, and no
// length found in the data makes anything ask for memory: bytes are copied as they arrive.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/base/bytes.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

/// How deep PlioWriter and PlioReader follow lists. A request may nest limits::nesting_max deep; a
/// RESP map in it becomes a list of pairs, two levels.
inline constexpr std::size_t plio_depth_max = 2 * limits::nesting_max + 2;

// --- atoms ---

/// Appends one atom or, for Kind::list, its bytes. Empty strings and symbols become NIL, as they
/// are in PicoLisp. False (and nothing appended) for a number append_plio_number refuses.
bool append_plio(std::string& out, const Scalar& value);
/// digits: optional sign, decimal digits, at most limits::number_digits_max. False (and nothing
/// appended) if they are not.
bool append_plio_number(std::string& out, std::string_view digits);
/// payload: what follows the tag of a number. Appends its decimal text; false if it has more than
/// limits::number_digits_max digits.
bool append_decimal_of_plio(std::string& out, std::string_view payload);
/// Decimal text in its one canonical form: no '+', no leading zeros, no "-0". False if text is not
/// an optional sign and digits, or too long. Appends to out.
bool append_canonical_number(std::string& out, std::string_view text);
/// May this name be kept as a symbol? Not if it would read back as something else from a text
/// file: a number's form, control bytes, bytes that are not UTF-8. Such names become strings.
bool symbol_survives_text(std::string_view name) noexcept;
/// Would PicoLisp read this token as a number ("12", "-5", "1.5", "5.")?
bool looks_like_number(std::string_view token) noexcept;

// --- writing lists ---

/// Writes values in PicoLisp's own form, whatever order of calls asks for: NIL for an empty list,
/// (a . (b c)) as (a b c), (a . NIL) as (a). Depth is limited; no recursion.
class PlioWriter {
 public:
  /// Appends to out, which the caller owns and keeps.
  explicit PlioWriter(std::string& out) noexcept : out_(&out) {}

  /// False: too deep (plio_depth_max), nothing written.
  bool open() noexcept;
  bool close();
  /// The next value is the tail of the innermost list. False outside a list, at its beginning or
  /// after a tail.
  bool dot() noexcept;
  /// An atom, or a whole Kind::list. False after a tail, or for a number that is not one.
  bool value(const Scalar& value);
  std::size_t depth() const noexcept { return depth_; }
  /// Between the elements of a list, not after its tail.
  bool takes_value() const noexcept { return depth_ == 0 || !top().tail_done; }

 private:
  struct Frame {
    bool started = false;  // its 01 is written (late, because an empty list is NIL)
    bool merged = false;   // it is a tail: continues the list above and needs no 01
    bool tail_next = false;
    bool tail_done = false;
  };
  const Frame& top() const noexcept { return frames_[depth_ - 1]; }
  Frame& top() noexcept { return frames_[depth_ - 1]; }
  void begin_element();

  std::string* out_;
  std::array<Frame, plio_depth_max> frames_{};
  std::size_t depth_ = 0;
};

// --- reading complete bytes (files, stored lists) ---

class PlioReader {
 public:
  enum class Token : std::uint8_t {
    end,    // of the data, between values
    error,  // sticky; error() says why
    open,
    dot,  // the next value is the tail: after it the list is over, without a close
    close,
    atom,  // atom() holds it
  };

  /// data is not owned and must stay while atom() is used.
  explicit PlioReader(std::string_view data) noexcept : in_(data) {}

  /// The next piece. Lists are balanced and no deeper than plio_depth_max: else error.
  Token next();
  /// Kind nil, number, symbol or string; the bytes live until the next call.
  const Scalar& atom() const noexcept { return atom_; }
  /// A whole value: an atom, or a list as Kind::list with its bytes in PicoLisp's own form. False
  /// at the end, before ')' and on errors. The bytes live until the next call.
  bool value(Scalar& value);

  std::size_t position() const noexcept { return in_.position(); }  ///< bytes read
  std::size_t depth() const noexcept { return depth_; }
  const char* error() const noexcept { return error_; }  ///< null: none

 private:
  Token refuse(const char* why) noexcept;
  Token read_atom(std::uint8_t tag);
  Token finish_atom(std::uint8_t kind, std::string_view payload);
  Token open_list();
  Token mark(std::uint8_t byte);
  Token atom_done(const Scalar& atom) noexcept;
  void value_done() noexcept;

  ByteReader in_;
  Scalar atom_;
  std::string payload_, digits_, list_;
  std::array<std::uint8_t, plio_depth_max> state_{};  // per open list
  std::size_t depth_ = 0;
  const char* error_ = nullptr;
};

// --- the hash (HASH of picolisp-kv's login and log) ---

/// PicoLisp's (hash X), 1 to 65536. It adds up atoms, so order and nesting do not matter: lists are
/// hashed by adding what is in them.
class PlioHash {
 public:
  void add(const Scalar& value);
  std::uint32_t value() const noexcept;

 private:
  void add_number(std::string_view digits);
  void add_text(std::string_view text) noexcept;
  std::uint64_t sum_ = 0;
};
std::uint32_t plio_hash(const Scalar& value);

// --- replies ---

/// The server's answer to a login of that name: hash(name ++ the protocol's UUID).
std::uint32_t plio_proof(std::string_view name);
/// (tag . value), as the messages "auth" and "error" of the login have it.
void append_plio_message(std::string& out, std::string_view tag, const Scalar& value);
/// Translates complete replies (wire/reply.hpp's form) to ("message" . RESULT) each. A push of two
/// elements becomes (first . second) with no "message" around it, so the login's answers can be
/// written as replies too. False: not a complete well-formed reply, or nested too deep; what was
/// translated before it is in out.
bool to_plio(std::string_view resp3, std::string& out);

}  // namespace kv
