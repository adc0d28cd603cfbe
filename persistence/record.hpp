// One line of the log, written and read. FORMAT.md has the grammar; in short:
//
//   ("1596099036.281142829" 2768625435 ("RPUSH" ("mytestlist" "four" "five" "six")))
//
// time, checksum, command; the number of the database as a fourth item where it is not 0, and plio
// as a fifth where a PLIO client sent it (some commands do another thing for those). The checksum
// is the CRC-32 of every byte of the file up to the end of this line, comments included and the
// checksums themselves left out: each continues the one before (the chain). So a changed byte
// anywhere, a lost, doubled or swapped line shows at the first checksum after it.
//
// Comments that kv writes end with a checksum of the same chain ("# kv ...: 2768625435").
// No file is touched here, nothing is allocated per line, and nothing read is trusted.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/base/status.hpp"
#include "libkv/value/scalar.hpp"
#include "libkv/wire/reply.hpp"

namespace kv {

/// A point in the log: the time of a line, and the chain's value at its end. {0, 0}: before any.
struct LogPosition {
  std::int64_t time_ns = 0;
  std::uint32_t chain = 0;
  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

/// Bytes of a line before its checksum, and digits of a checksum or of the seconds.
inline constexpr std::size_t record_head_bytes = 24;
inline constexpr std::size_t checksum_digits = 10;

/// Appends one line and returns the chain's new value. args[0] is the command word; time_ns >= 0.
std::uint32_t append_record(std::string& out, std::uint32_t chain, std::int64_t time_ns,
                            unsigned database, Dialect dialect, std::span<const Scalar> args);

/// Appends "# kv TEXT: CHECKSUM\n" and returns the chain's new value. text has no line break.
std::uint32_t append_sealed(std::string& out, std::uint32_t chain, std::string_view text);

/// Appends an element as it stands in log and text snapshot: "text", 12, symbol, NIL, (list).
void append_element(std::string& out, const Scalar& element);

/// Reads elements from text that is in memory. What it returns lives until the next clear() or
/// forget().
class ElementReader {
 public:
  /// Forgets what was read; text must stay until the next clear().
  void clear(std::string_view text);
  /// Forgets what was read so far, and goes on.
  void forget();
  bool done() const noexcept { return at_ == text_.size(); }
  std::string_view rest() const noexcept { return text_.substr(at_); }
  std::size_t position() const noexcept { return at_; }
  /// Takes this text off the front, if it is there.
  bool take(std::string_view literal) noexcept;
  bool take(char c) noexcept;
  bool peek(char c) const noexcept { return at_ < text_.size() && text_[at_] == c; }
  /// One element of any kind. False (with error()) if there is none.
  bool element(Scalar& out);
  /// The rest of a list, up to its ')' which stays: " 2 3" of (1 2 3), as a list of its own.
  bool rest_of_list(Scalar& out);
  void skip(std::size_t bytes) noexcept { at_ += bytes; }
  bool string(std::string_view& out);                         ///< a quoted one
  bool digits(std::size_t count, std::uint64_t& n) noexcept;  ///< exactly so many
  bool number(std::uint64_t& n) noexcept;                     ///< decimal, without leading zeros
  const char* error() const noexcept { return error_; }

 private:
  bool escaped_string(std::string_view& out);
  bool is_long() const noexcept { return text_.size() > limits::kept_line_bytes; }
  char* room_for_string();
  bool generic(Scalar& out);
  bool fail(const char* why) noexcept {
    error_ = why;
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const char* error_ = "";
  std::string scratch_;  // strings of a line without escapes; never grows while views are out
  std::size_t scratch_used_ = 0;
  std::deque<std::string> kept_;  // what the fast path does not do
  std::string error_text_;
};

/// A line as read. args live until the reader's next parse().
struct Record {
  std::int64_t time_ns = 0;
  std::uint32_t checksum = 0;
  unsigned database = 0;
  Dialect dialect = Dialect::resp;
  std::vector<Scalar> args;
};

enum class LineKind : std::uint8_t {
  record,   // a well-formed record; its checksum is not compared yet
  sealed,   // a comment with a checksum
  comment,  // any other comment, or an empty line: bytes for the next checksum
  bad,
};

class RecordReader {
 public:
  /// line is one line with its line break. On bad, error() says what is wrong.
  LineKind parse(std::string_view line);
  const Record& record() const noexcept { return record_; }
  /// Of a sealed comment: what stands between "# kv " and the colon, and its checksum.
  std::string_view sealed_text() const noexcept { return sealed_; }
  std::uint32_t checksum() const noexcept { return record_.checksum; }
  /// Could a checksum be read, though the line may be bad?
  bool has_checksum() const noexcept { return has_checksum_; }
  const char* error() const noexcept { return error_; }
  /// What the checksum must be if the chain was at before this line.
  std::uint32_t chain_after(std::string_view line, std::uint32_t before) const noexcept;

 private:
  LineKind parse_record(std::string_view line);
  LineKind parse_comment(std::string_view line);
  LineKind bad(const char* why) noexcept {
    error_ = why;
    return LineKind::bad;
  }

  ElementReader in_;
  Record record_;
  std::string_view sealed_;
  std::size_t checksum_at_ = 0;  // where its digits begin; line.size() when it has none
  bool has_checksum_ = false;
  const char* error_ = "";
};

/// Does this text look like the beginning of a record or of a comment of ours? For telling a torn
/// tail from damage with good lines after it.
bool looks_like_line(std::string_view text) noexcept;

/// The header and trailer of a log, as sealed comments.
std::string log_header_text(const LogPosition& after);
bool read_log_header(std::string_view sealed, LogPosition& after, unsigned& version);
std::string log_trailer_text(std::int64_t last_ns, std::uint64_t lines);
inline constexpr unsigned log_version = 1;

}  // namespace kv
