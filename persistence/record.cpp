// See record.hpp: writing a line, and reading one.
#include "persistence/record.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libkv/base/clock.hpp"
#include "libkv/base/digits.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_string.hpp"
#include "persistence/checksum.hpp"

namespace kv {
namespace {

constexpr std::string_view comment_head = "# kv ";
constexpr std::size_t seconds_digits = 10;
constexpr std::size_t nanoseconds_digits = 9;
static_assert(record_head_bytes == 2 + seconds_digits + 1 + nanoseconds_digits + 2);

/// The last so many digits, eight or more; every line has twenty-nine.
void put_digits(char* to, std::size_t count, std::uint64_t n) noexcept {
  put_eight_digits(to + count - 8, n % eight_digits_end);
  n /= eight_digits_end;
  for (std::size_t left = count - 8; left > 0; n /= 10)
    to[--left] = static_cast<char>('0' + n % 10);
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Writes record_head_bytes.
void put_line_head(char* to, std::int64_t time_ns) noexcept {
  std::memcpy(to, "(\"", 2);
  put_digits(to + 2, seconds_digits, static_cast<std::uint64_t>(time_ns / ns_per_second));
  to[12] = '.';
  put_digits(to + 13, nanoseconds_digits, static_cast<std::uint64_t>(time_ns % ns_per_second));
  std::memcpy(to + 22, "\" ", 2);
}

constexpr std::size_t line_end_bytes = 1 + decimal_bytes_max + 5 + 2;

/// What follows the command. Returns the end.
char* put_line_end(char* to, unsigned database, Dialect dialect) noexcept {
  if (database != 0 || dialect == Dialect::plio) {
    *to++ = ' ';
    to = put_decimal(to, std::uint64_t{database});
    if (dialect == Dialect::plio) to = std::copy_n(" plio", 5, to);
  }
  return std::copy_n(")\n", 2, to);
}

constexpr std::size_t short_arguments_max = 4;
constexpr std::size_t short_command_bytes =
    (1 + short_arguments_max) * (short_lisp_string_bytes + 2);

/// The command of most lines, a few short plain texts, at once; else null.
char* put_short_command(char* to, std::span<const Scalar> args) noexcept {
  if (args.size() < 2 || args.size() > 1 + short_arguments_max) return nullptr;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (i > 0) *to++ = ' ';
    if (i < 2) *to++ = '(';
    if (args[i].kind != Kind::string) return nullptr;
    to = put_short_lisp_string(to, args[i].bytes);
    if (to == nullptr) return nullptr;
  }
  return std::copy_n("))", 2, to);
}

/// Any command.
void append_command(std::string& out, std::span<const Scalar> args) {
  out.push_back('(');
  append_lisp_string(out, args[0].bytes);
  out.push_back(' ');
  char before = '(';
  for (const Scalar& arg : args.subspan(1)) {
    out.push_back(std::exchange(before, ' '));
    append_element(out, arg);
  }
  if (args.size() == 1) out.append("NIL)", 4);
  else out.append("))", 2);
}

/// A large line would be moved once more for every doubling of its memory.
void make_room(std::string& out, std::span<const Scalar> args) {
  constexpr std::size_t large = 16 * 1024;
  std::size_t bytes = 0;
  for (const Scalar& arg : args) bytes += arg.bytes.size();
  if (bytes >= large) out.reserve(out.size() + bytes + bytes / 32);
}

std::uint32_t append_long_record(std::string& out, std::uint32_t chain, std::string_view head,
                                 unsigned database, Dialect dialect, std::span<const Scalar> args) {
  const std::size_t start = out.size();
  make_room(out, args);
  out.append(head).append(checksum_digits, '0').push_back(' ');
  append_command(out, args);
  char end[line_end_bytes];
  out.append(end, put_line_end(end, database, dialect));
  const std::size_t rest = start + head.size() + checksum_digits;
  chain = crc32(std::string_view(out).substr(rest), crc32(head, chain));
  put_digits(out.data() + start + head.size(), checksum_digits, chain);
  return chain;
}

}  // namespace

std::uint32_t append_record(std::string& out, std::uint32_t chain, std::int64_t time_ns,
                            unsigned database, Dialect dialect, std::span<const Scalar> args) {
  // First without the digits of the checksum, so that one call sums up all the rest.
  char line[checksum_digits + record_head_bytes + 1 + short_command_bytes + line_end_bytes];
  char* const head = line + checksum_digits;
  put_line_head(head, time_ns);
  head[record_head_bytes] = ' ';
  char* end = put_short_command(head + record_head_bytes + 1, args);
  if (end == nullptr)
    return append_long_record(out, chain, {head, record_head_bytes}, database, dialect, args);
  end = put_line_end(end, database, dialect);
  chain = crc32({head, end}, chain);
  std::memmove(line, head, record_head_bytes);
  put_digits(line + record_head_bytes, checksum_digits, chain);
  out.append(line, static_cast<std::size_t>(end - line));
  return chain;
}

std::uint32_t append_sealed(std::string& out, std::uint32_t chain, std::string_view text) {
  const std::size_t start = out.size();
  out.append(comment_head).append(text).append(": ");
  chain = crc32(std::string_view(out).substr(start), chain);
  chain = crc32("\n", chain);
  char digits[checksum_digits];
  put_digits(digits, checksum_digits, chain);
  out.append(digits, checksum_digits).push_back('\n');
  return chain;
}

// --- reading a line ---

LineKind RecordReader::parse(std::string_view line) {
  record_.args.clear();
  sealed_ = {};
  checksum_at_ = line.size();
  has_checksum_ = false;
  if (line.empty() || line.back() != '\n') return bad("the line does not end");
  if (line.front() == '(') return parse_record(line);
  if (line.front() == '#') return parse_comment(line);
  return line.size() == 1 ? LineKind::comment : bad("neither a record nor a comment");
}

LineKind RecordReader::parse_record(std::string_view line) {
  in_.clear(line);
  std::uint64_t seconds = 0, nanoseconds = 0, sum = 0, database = 0;
  if (!in_.take("(\"") || !in_.digits(seconds_digits, seconds) || !in_.take('.') ||
      !in_.digits(nanoseconds_digits, nanoseconds) || !in_.take("\" ")) {
    return bad("the time is not well-formed");
  }
  if (seconds > static_cast<std::uint64_t>(INT64_MAX / ns_per_second) - 1) {
    return bad("the time is out of range");
  }
  const std::size_t checksum_at = in_.position();
  if (!in_.digits(checksum_digits, sum) || sum > UINT32_MAX) {
    return bad("the checksum is not well-formed");
  }
  checksum_at_ = checksum_at;
  has_checksum_ = true;
  record_.time_ns =
      static_cast<std::int64_t>(seconds) * ns_per_second + static_cast<std::int64_t>(nanoseconds);
  record_.checksum = static_cast<std::uint32_t>(sum);
  Scalar element;
  if (!in_.take(" (") || !in_.string(element.bytes) || !in_.take(' ')) {
    return bad("the command is not well-formed");
  }
  record_.args.push_back(element);
  if (in_.take('(')) {
    do {
      if (record_.args.size() > limits::args_max) return bad("too many arguments");
      if (!in_.element(element)) return bad(in_.error());
      record_.args.push_back(element);
    } while (in_.take(' '));
    if (!in_.take("))")) return bad("the argument list does not end");
  } else if (!in_.take("NIL)")) {
    return bad("the arguments are no list");
  }
  record_.dialect = Dialect::resp;
  if (in_.take(' ')) {
    if (!in_.number(database) || database >= limits::databases_max) {
      return bad("the database is not well-formed");
    }
    if (in_.take(" plio")) record_.dialect = Dialect::plio;
  }
  record_.database = static_cast<unsigned>(database);
  if (!in_.take(")\n") || !in_.done()) return bad("something follows the command");
  return LineKind::record;
}

LineKind RecordReader::parse_comment(std::string_view line) {
  if (!line.starts_with(comment_head)) return LineKind::comment;
  const std::size_t tail = 2 + checksum_digits + 1;  // ": ", digits, line break
  if (line.size() < comment_head.size() + tail) return bad("the comment has no checksum");
  in_.clear(line.substr(line.size() - tail));
  std::uint64_t sum = 0;
  if (!in_.take(": ") || !in_.digits(checksum_digits, sum) || sum > UINT32_MAX) {
    return bad("the comment has no checksum");
  }
  checksum_at_ = line.size() - 1 - checksum_digits;
  has_checksum_ = true;
  sealed_ = line.substr(comment_head.size(), line.size() - comment_head.size() - tail);
  record_.checksum = static_cast<std::uint32_t>(sum);
  return LineKind::sealed;
}

std::uint32_t RecordReader::chain_after(std::string_view line,
                                        std::uint32_t before) const noexcept {
  before = crc32(line.substr(0, checksum_at_), before);
  if (checksum_at_ == line.size()) return before;
  return crc32(line.substr(checksum_at_ + checksum_digits), before);
}

bool looks_like_line(std::string_view text) noexcept {
  if (text.starts_with("# kv log ") || text.starts_with("# kv end ")) return true;
  if (text.size() < record_head_bytes + checksum_digits || !text.starts_with("(\"")) return false;
  for (std::size_t i = 2; i < 22; ++i) {
    if (i == 12 ? text[i] != '.' : !is_digit(text[i])) return false;
  }
  return text.substr(22, 2) == "\" " && is_digit(text[24]) && is_digit(text[33]);
}

// --- header and trailer ---

std::string log_header_text(const LogPosition& after) {
  return "log " + std::to_string(log_version) + ", after " + format_seconds(after.time_ns) +
         ", chain " + std::to_string(after.chain);
}

bool read_log_header(std::string_view sealed, LogPosition& after, unsigned& version) {
  ElementReader in;
  in.clear(sealed);
  std::uint64_t number = 0, seconds = 0, nanoseconds = 0, chain = 0;
  if (!in.take("log ") || !in.number(number) || number > UINT32_MAX) return false;
  version = static_cast<unsigned>(number);
  if (version != log_version) return true;
  if (!in.take(", after ") || !in.digits(seconds_digits, seconds) || !in.take('.') ||
      !in.digits(nanoseconds_digits, nanoseconds) || !in.take(", chain ") || !in.number(chain) ||
      !in.done() || chain > UINT32_MAX ||
      seconds > static_cast<std::uint64_t>(INT64_MAX / ns_per_second) - 1) {
    return false;
  }
  after.time_ns =
      static_cast<std::int64_t>(seconds) * ns_per_second + static_cast<std::int64_t>(nanoseconds);
  after.chain = static_cast<std::uint32_t>(chain);
  return true;
}

std::string log_trailer_text(std::int64_t last_ns, std::uint64_t lines) {
  return "end at " + format_seconds(last_ns) + ", " + std::to_string(lines) + " lines";
}

}  // namespace kv
