// See resp.hpp: the request parser.
//
// The hot path of the whole server is next_fast: a request of bulk strings that is complete in the
// buffer, read in one pass with nothing written but the arguments' addresses. `*3 SET key value`
// takes 16 ns there (AMD EPYC, g++ 12 -O2, tests/unit/wire_bench.cpp). It gives up at the first
// thing that is unusual and hands what it has to the careful path, which keeps its progress between
// calls.
#include <algorithm>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/inline.hpp"
#include "libkv/wire/plio_counted.hpp"
#include "libkv/wire/resp.hpp"

namespace kv {
namespace {

/// Canonical decimal digits and CRLF at p: the number, p moved on. -1 for anything else, an
/// incomplete line included; never reads at or after end.
inline std::int64_t fast_length(const char*& p, const char* end) noexcept {
  if (end - p < 4) return -1;  // the shortest line is a digit, CR, LF; one byte more always follows
  std::int64_t n = *p - '0';
  if (n < 0 || n > 9) return -1;
  const char* q = p + 1;
  if (n != 0) {
    const char* const stop = end - q > 9 ? q + 9 : end;  // ten digits fit
    for (; q < stop && *q >= '0' && *q <= '9'; ++q) n = n * 10 + (*q - '0');
  }
  if (end - q < 2 || q[0] != '\r' || q[1] != '\n') return -1;
  p = q + 2;
  return n;
}

bool is_http(std::string_view word) noexcept {
  return equals_ignoring_case(word, "POST") || equals_ignoring_case(word, "Host:");
}

bool can_begin_line(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= ' ' && byte != 0x7F) || c == '\t' || c == '\r' || c == '\n';
}

constexpr std::string_view typed_sigils = "+:,#_(";

}  // namespace

struct RespRequestParser::Nested {
  std::string plio;
  PlioCounted list{plio};
};

RespRequestParser::RespRequestParser() = default;
RespRequestParser::~RespRequestParser() = default;
RespRequestParser::RespRequestParser(RespRequestParser&&) noexcept = default;
RespRequestParser& RespRequestParser::operator=(RespRequestParser&&) noexcept = default;

void RespRequestParser::begin() noexcept {
  args_.clear();
  position_ = searched_ = 0;
  stage_ = Stage::start;
  finished_ = false;
}

ParseState RespRequestParser::next(std::string_view data) {
  if (finished_) begin();
  consumed_ = needed_ = 0;
  if (position_ == 0 && stage_ == Stage::start && data.size() > 4 && data[0] == '*' &&
      next_fast(data))
    return finish();
  for (;;) {
    Step step = Step::done;
    if (stage_ == Stage::arguments) {
      step = next_argument(data);
    } else {
      consumed_ = position_;  // what came before was empty
      if (position_ == data.size()) step = Step::more;
      else step = data[position_] == '*' ? next_header(data) : next_inline(data);
    }
    if (step == Step::bad) return ParseState::error;
    if (step == Step::more) break;
    if (left_ == 0 && args_.size() > 0) {
      args_.resolve(data);
      return finish();
    }
  }
  // What was skipped goes now; all offsets count from what stays.
  if (consumed_ > 0) args_.shift(consumed_);
  position_ -= consumed_;
  searched_ = searched_ > consumed_ ? searched_ - consumed_ : 0;
  return ParseState::need_more;
}

ParseState RespRequestParser::finish() noexcept {
  consumed_ = position_;
  finished_ = true;
  return ParseState::request;
}

bool RespRequestParser::next_fast(std::string_view data) {
  const char* const base = data.data();
  const char* const end = base + data.size();
  const char* p = base + 1;
  const std::int64_t count = fast_length(p, end);
  const std::size_t count_max = guest_ ? limits::guest_args_max : limits::args_max;
  const std::size_t bytes_max = guest_ ? limits::guest_bulk_bytes_max : limits::value_bytes_max;
  if (count <= 0 || static_cast<std::size_t>(count) > count_max) return false;
  for (std::int64_t i = 0; i < count; ++i) {
    const char* q = p + 1;
    const std::int64_t n = p < end && *p == '$' ? fast_length(q, end) : -1;
    if (n < 0 || n > end - q - 2 || static_cast<std::size_t>(n) > bytes_max || q[n] != '\r' ||
        q[n + 1] != '\n') {
      args_.save_fast(base);
      left_ = static_cast<std::uint64_t>(count - i);
      position_ = searched_ = static_cast<std::size_t>(p - base);
      stage_ = Stage::arguments;
      return false;
    }
    args_.add_fast(q, static_cast<std::size_t>(n));
    p = q + n + 2;
  }
  position_ = static_cast<std::size_t>(p - base);
  return true;
}

RespRequestParser::Step RespRequestParser::fail(std::string_view text) {
  error_ = "ERR Protocol error: ";
  for (const char c : text) error_.push_back(c == '\r' || c == '\n' ? ' ' : c);
  return Step::bad;
}

/// The line at position_ without its sigil and its end; position_ then is after it.
RespRequestParser::Step RespRequestParser::line(std::string_view data, std::string_view& text,
                                                const char* too_long) {
  const std::size_t cr = data.find('\r', std::max(position_, searched_));
  if (cr == data.npos || cr + 1 == data.size()) {
    searched_ = std::min(cr, data.size());
    if (searched_ - position_ > limits::inline_bytes_max) return fail(too_long);
    return Step::more;
  }
  text = data.substr(position_ + 1, cr - position_ - 1);
  if (text.size() > limits::inline_bytes_max) return fail(too_long);
  if (data[cr + 1] != '\n') return fail("expected a line feed after the carriage return");
  position_ = searched_ = cr + 2;
  return Step::done;
}

RespRequestParser::Step RespRequestParser::next_header(std::string_view data) {
  std::string_view text;
  const Step step = line(data, text, "too big mbulk count string");
  if (step != Step::done) return step;
  std::int64_t n = 0;
  if (!parse_integer(text, n) || n > static_cast<std::int64_t>(limits::args_max))
    return fail("invalid multibulk length");
  if (guest_ && n > static_cast<std::int64_t>(limits::guest_args_max))
    return fail("unauthenticated multibulk length");
  left_ = n > 0 ? static_cast<std::uint64_t>(n) : 0;
  stage_ = n > 0 ? Stage::arguments : Stage::start;
  return Step::done;
}

RespRequestParser::Step RespRequestParser::next_inline(std::string_view data) {
  if (!can_begin_line(data[position_])) return fail("neither RESP nor an inline request");
  const std::size_t end = data.find('\n', std::max(position_, searched_));
  if (end == data.npos) {
    searched_ = data.size();
    if (searched_ - position_ > limits::inline_bytes_max) return fail("too big inline request");
    return Step::more;
  }
  std::string_view rest = data.substr(position_, end - position_);
  if (rest.size() > limits::inline_bytes_max) return fail("too big inline request");
  for (bool found = true; found;) {
    args_.begin_scratch();
    if (!next_word(rest, args_.scratch(), found)) return fail("unbalanced quotes in request");
    if (found && args_.size() == 0 && is_http(args_.scratch_bytes()))
      return fail("this is not a web server");
    if (found && guest_ && args_.size() == limits::guest_args_max)
      return fail("unauthenticated multibulk length");
    if (found) args_.end_scratch(Kind::string);
  }
  left_ = 0;
  position_ = searched_ = end + 1;
  return Step::done;
}

RespRequestParser::Step RespRequestParser::next_argument(std::string_view data) {
  while (left_ > 0) {
    Step step = Step::done;
    if (blob_bytes_ >= 0) {
      step = blob(data);
    } else {
      if (position_ == data.size()) return Step::more;
      const char sigil = data[position_];
      std::string_view text;
      const bool sized = std::string_view("$=*~%").find(sigil) != std::string_view::npos;
      if (!sized && typed_sigils.find(sigil) == typed_sigils.npos)
        return fail(std::string("expected '$', got '") + sigil + "'");
      step = line(data, text, sized ? "too big bulk count string" : "too big inline request");
      if (step == Step::done) step = header_done(sigil, text);
    }
    if (step != Step::done) return step;
  }
  stage_ = Stage::start;
  return Step::done;
}

/// A $ or = announces bytes, a * ~ % opens a list; anything else is a whole value.
RespRequestParser::Step RespRequestParser::header_done(char sigil, std::string_view text) {
  if (sigil == '*' || sigil == '~' || sigil == '%') return open_nested(sigil, text);
  if (sigil != '$' && sigil != '=') return typed_line(sigil, text);
  std::int64_t n = 0;
  if (!parse_integer(text, n) || n < 0 || n > static_cast<std::int64_t>(limits::value_bytes_max))
    return fail("invalid bulk length");
  if (guest_ && n > static_cast<std::int64_t>(limits::guest_bulk_bytes_max))
    return fail("unauthenticated bulk length");
  if (position_ + static_cast<std::size_t>(n) > limits::request_bytes_max)
    return fail("too big request");
  blob_bytes_ = n;
  blob_sigil_ = sigil;
  return Step::done;
}

RespRequestParser::Step RespRequestParser::blob(std::string_view data) {
  const auto n = static_cast<std::size_t>(blob_bytes_);
  const std::size_t there = data.size() - position_;
  if (there < n + 2) {
    needed_ = n + 2 - there;
    return Step::more;
  }
  std::string_view payload = data.substr(position_, n);
  if (data[position_ + n] != '\r' || data[position_ + n + 1] != '\n')
    return fail("expected a line end after the bulk string");
  if (blob_sigil_ == '=') {
    if (n < 4 || payload[3] != ':') return fail("invalid verbatim string");
    payload.remove_prefix(4);
  }
  position_ += n + 2;
  searched_ = position_;
  blob_bytes_ = -1;
  if (nesting()) return add_nested(payload);
  args_.add_data(static_cast<std::size_t>(payload.data() - data.data()), payload.size(),
                 Kind::string);
  --left_;
  return Step::done;
}

RespRequestParser::Step RespRequestParser::typed_line(char sigil, std::string_view text) {
  if (position_ > limits::request_bytes_max) return fail("too big request");
  if (guest_ && text.size() > limits::guest_bulk_bytes_max)
    return fail("unauthenticated bulk length");
  double ignored = 0;
  std::string digits;
  std::int64_t small = 0;
  switch (sigil) {
    case '+': return add_value({text, Kind::string});
    case '_': return text.empty() ? add_value({{}, Kind::nil}) : fail("invalid null");
    case '#':
      if (text != "t" && text != "f") return fail("invalid boolean");
      return add_value({text == "t" ? "1" : "0", Kind::number});
    case ',':
      if (text != "nan" && !parse_decimal(text, ignored)) return fail("invalid double");
      return add_value({text, Kind::string});
    case ':':
      if (!append_canonical_number(digits, text) || !parse_integer(digits, small))
        return fail("invalid integer");
      return add_value({digits, Kind::number});
    default:
      if (!append_canonical_number(digits, text)) return fail("invalid big number");
      return add_value({digits, Kind::number});
  }
}

RespRequestParser::Step RespRequestParser::add_value(const Scalar& value) {
  if (nesting()) return add_nested(value);
  args_.add_scratch(value.bytes, value.kind);
  --left_;
  return Step::done;
}

RespRequestParser::Step RespRequestParser::open_nested(char sigil, std::string_view text) {
  std::int64_t n = 0;
  if (!parse_integer(text, n) || n < 0 || n > static_cast<std::int64_t>(limits::args_max))
    return fail("invalid multibulk length");
  if (position_ > limits::request_bytes_max) return fail("too big request");
  if (!nesting()) nested_ = std::make_unique<Nested>();
  if (!nested_->list.open(static_cast<std::uint64_t>(n), sigil == '%'))
    return fail("nested too deep");
  return nested_done();
}

RespRequestParser::Step RespRequestParser::add_nested(const Scalar& value) {
  if (!nested_->list.value(value)) return fail("invalid nested value");
  return nested_done();
}

/// After each value: the list may be complete, and then is an argument.
RespRequestParser::Step RespRequestParser::nested_done() {
  const std::string& plio = nested_->plio;
  if (guest_ && plio.size() > limits::guest_bulk_bytes_max)
    return fail("unauthenticated bulk length");
  if (plio.size() > limits::value_bytes_max) return fail("invalid bulk length");
  if (!nested_->list.complete()) return Step::done;
  const bool empty = plio.size() == 1;  // an empty list is NIL
  args_.add_scratch(empty ? std::string_view{} : plio, empty ? Kind::nil : Kind::list);
  nested_.reset();
  --left_;
  return Step::done;
}

}  // namespace kv
