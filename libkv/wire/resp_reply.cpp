// See resp.hpp: the client's parser of replies. Iterative: open containers are on a stack of its
// own, bounded by depth_max; a container's vector grows with what arrives, not with its count.
#include <algorithm>
#include <limits>
#include <utility>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/plio.hpp"
#include "libkv/wire/resp.hpp"

namespace kv {
namespace {

// Error and status texts; numbers are shorter. The longest honest one is a line of MONITOR, where
// each byte may be written as four.
constexpr std::size_t line_bytes_max =
    4 * limits::monitored_args_max * (limits::monitored_arg_bytes_max + 1) + 64 * 1024;

Value::Type container_type(char sigil) noexcept {
  switch (sigil) {
    case '%':
    case '|': return Value::Type::map;
    case '~': return Value::Type::set;
    case '>': return Value::Type::push;
    default: return Value::Type::array;
  }
}

/// format and text of a verbatim string, kv's private ones included.
Value verbatim_value(std::string_view payload) {
  const std::string_view format = payload.substr(0, 3), text = payload.substr(4);
  if (format == "sym") return Value::of(Value::Type::symbol, text);
  if (format == "pli") return Value::of(Value::Type::plio, text);
  return Value::of(Value::Type::verbatim, text);
}

}  // namespace

void RespReplyParser::reset() { *this = RespReplyParser(limits_); }

RespReplyParser::Step RespReplyParser::fail(std::string_view text) {
  error_ = "the server's reply is not RESP: ";
  error_ += text;
  return Step::bad;
}

/// What it has and how much of a unit is taken at most. It may well be RESP.
RespReplyParser::Step RespReplyParser::too_many(std::string_view what, std::uint64_t most,
                                                std::string_view unit) {
  over_limits_ = true;
  error_ = "the server's reply is larger than the limit: ";
  error_.append(what).append(", at most ").append(std::to_string(most)).append(" ").append(unit);
  error_ += " are taken";
  return Step::bad;
}

RespReplyParser::Step RespReplyParser::too_many_bytes(std::uint64_t bytes) {
  return too_many(std::to_string(bytes) + " bytes or more", limits_.bytes_max, "bytes");
}

RespReplyParser::Step RespReplyParser::too_many_values(std::uint64_t count) {
  return too_many(std::to_string(count) + " elements or more", limits_.values_max, "elements");
}

RespReplyParser::Step RespReplyParser::too_long_line() {
  error_ =
      "the server's reply has a line of more than " + std::to_string(line_bytes_max) + " bytes";
  return Step::bad;
}

RespReplyParser::Step RespReplyParser::too_deep() {
  error_ = "the server's reply is nested deeper than " + std::to_string(limits_.depth_max);
  error_ += " levels";
  return Step::bad;
}

RespReplyParser::State RespReplyParser::next(std::string_view data) {
  if (finished_) {
    position_ = searched_ = values_ = 0;
    value_ = {};
    finished_ = false;
  }
  consumed_ = needed_ = 0;
  for (;;) {
    const Step step = blob_bytes_ >= 0 ? blob(data) : next_token(data);
    if (step == Step::bad) return State::error;
    if (step == Step::more) return State::need_more;
    if (!finished_) continue;
    consumed_ = position_;
    return State::reply;
  }
}

RespReplyParser::Step RespReplyParser::next_token(std::string_view data) {
  if (position_ >= data.size()) return Step::more;
  const char sigil = data[position_];
  if (std::string_view("+-:,#_($=!*%~>|").find(sigil) == std::string_view::npos)
    return fail("unknown type " + quoted(data.substr(position_, 1)));
  const std::size_t cr = data.find('\r', std::max(searched_, position_));
  if (cr == data.npos || cr + 1 == data.size()) {
    searched_ = std::min(cr, data.size());
    return searched_ - position_ > line_bytes_max ? too_long_line() : Step::more;
  }
  if (data[cr + 1] != '\n') return fail("carriage return without line feed");
  const std::string_view text = data.substr(position_ + 1, cr - position_ - 1);
  if (text.size() > line_bytes_max) return too_long_line();
  position_ = searched_ = cr + 2;
  if (position_ > limits_.bytes_max) return too_many_bytes(position_);
  if (std::string_view("$=!*%~>|").find(sigil) == std::string_view::npos) return atom(sigil, text);
  std::int64_t n = 0;
  if (!parse_integer(text, n) || n < -1) return fail("invalid length");
  if (sigil != '$' && sigil != '=' && sigil != '!') return container(sigil, n);
  if (n < 0) return sigil == '$' ? add(Value{}) : fail("invalid length");
  const auto bytes = static_cast<std::size_t>(n);
  if (bytes > limits_.blob_bytes_max) {
    return too_many("a string of " + std::to_string(n) + " bytes", limits_.blob_bytes_max, "bytes");
  }
  if (position_ + bytes > limits_.bytes_max) return too_many_bytes(position_ + bytes);
  blob_bytes_ = n;
  blob_sigil_ = sigil;
  return Step::done;
}

RespReplyParser::Step RespReplyParser::blob(std::string_view data) {
  const auto n = static_cast<std::size_t>(blob_bytes_);
  const std::size_t there = data.size() - position_;
  if (there < n + 2) {
    needed_ = n + 2 - there;
    return Step::more;
  }
  const std::string_view payload = data.substr(position_, n);
  if (data.substr(position_ + n, 2) != "\r\n") return fail("string without line end");
  position_ += n + 2;
  searched_ = position_;
  blob_bytes_ = -1;
  if (blob_sigil_ == '$') return add(Value::of(Value::Type::bulk, payload));
  if (blob_sigil_ == '!') return add(Value::of(Value::Type::error, payload));
  if (n < 4 || payload[3] != ':') return fail("verbatim string without a format");
  return add(verbatim_value(payload));
}

RespReplyParser::Step RespReplyParser::atom(char sigil, std::string_view text) {
  std::int64_t n = 0;
  double d = 0;
  std::string digits;
  switch (sigil) {
    case '+': return add(Value::of(Value::Type::simple, text));
    case '-': return add(Value::of(Value::Type::error, text));
    case '_': return text.empty() ? add(Value{}) : fail("invalid null");
    case '#':
      return text == "t" || text == "f" ? add(Value::of(text == "t")) : fail("invalid boolean");
    case ':':
      if (!append_canonical_number(digits, text) || !parse_integer(digits, n))
        return fail("invalid integer");
      return add(Value::of(n));
    case ',':
      if (text == "nan" || text == "-nan")
        return add(Value::of(std::numeric_limits<double>::quiet_NaN()));
      return parse_decimal(text, d) ? add(Value::of(d)) : fail("invalid double");
    default:
      if (!append_canonical_number(digits, text)) return fail("invalid big number");
      return add(Value::of(Value::Type::big_number, digits));
  }
}

RespReplyParser::Step RespReplyParser::container(char sigil, std::int64_t n) {
  if (n < 0) {
    if (sigil != '*') return fail("invalid length");
    return add(Value::of(Value::Type::null_array, {}));
  }
  const bool pairs = sigil == '%' || sigil == '|';
  const std::uint64_t left = static_cast<std::uint64_t>(n) * (pairs ? 2 : 1);
  if (left > limits_.values_max) {
    return too_many(
        (pairs ? "a map of " : "a list of ") + std::to_string(n) + (pairs ? " pairs" : " elements"),
        limits_.values_max, "elements");
  }
  if (left > limits_.values_max - std::min(values_, limits_.values_max))
    return too_many_values(values_ + left);
  if (!levels_.empty() && ++values_ > limits_.values_max) return too_many_values(values_);
  if (levels_.size() >= limits_.depth_max) return too_deep();
  Value value;
  value.type = container_type(sigil);
  levels_.push_back({std::move(value), left, sigil == '|'});
  return left == 0 ? close_levels() : Step::done;
}

RespReplyParser::Step RespReplyParser::add(Value&& value) {
  if (++values_ > limits_.values_max) return too_many_values(values_);
  if (levels_.empty()) {
    value_ = std::move(value);
    finished_ = true;
    return Step::done;
  }
  levels_.back().value.items.push_back(std::move(value));
  --levels_.back().left;
  return close_levels();
}

/// Moves every container that is complete into the one around it.
RespReplyParser::Step RespReplyParser::close_levels() {
  while (!levels_.empty() && levels_.back().left == 0) {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    if (level.attribute) continue;  // says something about the next value, which is still to come
    if (levels_.empty()) {
      value_ = std::move(level.value);
      finished_ = true;
    } else {
      levels_.back().value.items.push_back(std::move(level.value));
      --levels_.back().left;
    }
  }
  return Step::done;
}

}  // namespace kv
