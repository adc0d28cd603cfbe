// See plio_request.hpp. Keeps its place between calls down to the chunk of a long string, so no
// byte is looked at twice however the request is cut.
#include "libkv/wire/plio_request.hpp"

#include <algorithm>

#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_atom.hpp"

namespace kv {

namespace {
constexpr std::size_t flat_depth = 2;  // lists up to here are the request and its ARGS
}

struct PlioRequestParser::Nested {
  std::string plio;
  PlioWriter writer{plio};
};

PlioRequestParser::PlioRequestParser() = default;
PlioRequestParser::~PlioRequestParser() = default;
PlioRequestParser::PlioRequestParser(PlioRequestParser&&) noexcept = default;
PlioRequestParser& PlioRequestParser::operator=(PlioRequestParser&&) noexcept = default;

void PlioRequestParser::begin() noexcept {
  args_.clear();
  position_ = elements_ = 0;
  second_is_nil_ = finished_ = false;
}

PlioRequestParser::Step PlioRequestParser::fail(std::string_view text) {
  error_ = "ERR Protocol error: ";
  error_ += text;
  return Step::bad;
}

ParseState PlioRequestParser::next(std::string_view data) {
  if (finished_) begin();
  consumed_ = needed_ = 0;
  if (position_ == 0 && !data.empty() && data[0] == '\0') {
    consumed_ = 1;
    return ParseState::close;
  }
  do {
    const Step step = in_long_ ? long_atom(data) : piece(data);
    if (step == Step::bad) return ParseState::error;
    if (step == Step::more) return ParseState::need_more;
    if (position_ > limits::request_bytes_max) {
      (void)fail("too big request");
      return ParseState::error;
    }
  } while (depth_ > 0);
  // (CMD NIL): there are no arguments.
  if (elements_ == 2 && second_is_nil_) args_.drop_last();
  args_.resolve(data);
  consumed_ = position_;
  finished_ = true;
  return ParseState::request;
}

PlioRequestParser::Step PlioRequestParser::piece(std::string_view data) {
  if (position_ == data.size()) return Step::more;
  const auto byte = static_cast<std::uint8_t>(data[position_]);
  if (depth_ == 0 && byte != plio_open) return fail("list expected");
  if (byte == plio_nil) return ++position_, nil();
  if (byte == plio_open) return ++position_, open();
  if (byte == plio_dot || byte == plio_close) return ++position_, mark(byte);
  if (byte >> 2 < plio_part_max) return short_atom(data, byte);
  ++position_;
  in_long_ = true;
  last_chunk_ = false;
  chunk_left_ = plio_part_max;
  long_kind_ = byte & 3;
  args_.begin_scratch();
  return Step::done;
}

PlioRequestParser::Step PlioRequestParser::open() {
  if (depth_ > 0 && places_[depth_ - 1] == Place::tail) {
    // (a . (b c)) is (a b c): the inner end ends both.
    places_[depth_ - 1] = Place::filled;
    return Step::done;
  }
  if (depth_ == places_.size()) return fail("nested too deep");
  if (depth_ == 1) ++elements_;
  places_[depth_++] = Place::empty;
  if (depth_ <= flat_depth) return Step::done;
  if (!nested_) nested_ = std::make_unique<Nested>();
  nested_->writer.open();
  return Step::done;
}

PlioRequestParser::Step PlioRequestParser::mark(std::uint8_t byte) {
  Place& place = places_[depth_ - 1];
  if (place == Place::tail) return fail("circular list");
  if (place == Place::empty) return fail("list mark at the beginning of a list");
  if (byte == plio_close) return list_done();
  place = Place::tail;
  return Step::done;
}

/// The innermost list is over, and with it perhaps a nested argument.
PlioRequestParser::Step PlioRequestParser::list_done() {
  if (depth_ > flat_depth) {
    nested_->writer.close();
    if (depth_ == flat_depth + 1) {
      args_.add_scratch(nested_->plio, Kind::list);
      nested_.reset();
      if (const Step step = check_size(0); step != Step::done) return step;
    }
  }
  --depth_;
  if (depth_ > 0) places_[depth_ - 1] = Place::filled;
  return Step::done;
}

PlioRequestParser::Step PlioRequestParser::value_done() {
  if (places_[depth_ - 1] == Place::tail) return list_done();
  places_[depth_ - 1] = Place::filled;
  return Step::done;
}

PlioRequestParser::Step PlioRequestParser::nil() {
  if (places_[depth_ - 1] == Place::tail) return list_done();  // (a . NIL) is (a)
  if (depth_ > flat_depth) return add_nested({{}, Kind::nil}, false);
  if (depth_ == 1 && ++elements_ == 2) second_is_nil_ = true;
  args_.add_scratch({}, Kind::nil);
  const Step step = check_size(0);
  return step == Step::done ? value_done() : step;
}

/// in_scratch: the scratch argument that was begun is only this value's source, and is given back.
PlioRequestParser::Step PlioRequestParser::add_nested(const Scalar& value, bool in_scratch) {
  if (places_[depth_ - 1] == Place::tail) nested_->writer.dot();
  if (!nested_->writer.value(value)) return fail("invalid nested value");
  if (in_scratch) args_.cancel_scratch();
  const Step step = check_size(nested_->plio.size());
  return step == Step::done ? value_done() : step;
}

/// After each addition: the limits on the number of arguments and the size of the newest.
PlioRequestParser::Step PlioRequestParser::check_size(std::size_t bytes) {
  const std::size_t bytes_max = guest_ ? limits::guest_bulk_bytes_max : limits::value_bytes_max;
  if (bytes > bytes_max) return fail(guest_ ? "unauthenticated bulk length" : "too big value");
  const std::size_t args_max = guest_ ? limits::guest_args_max : limits::args_max;
  if (args_.size() > args_max)
    return fail(guest_ ? "unauthenticated multibulk length" : "too many arguments");
  return Step::done;
}

PlioRequestParser::Step PlioRequestParser::short_atom(std::string_view data, std::uint8_t tag) {
  const std::size_t n = tag >> 2;
  const std::size_t there = data.size() - position_ - 1;
  if (there < n) {
    needed_ = n - there;
    return Step::more;
  }
  const std::size_t offset = position_ + 1;
  position_ += 1 + n;
  return atom(tag & 3, data.substr(offset, n), false, offset);
}

PlioRequestParser::Step PlioRequestParser::long_atom(std::string_view data) {
  for (;;) {
    const std::size_t n = std::min(chunk_left_, data.size() - position_);
    args_.scratch().append(data.substr(position_, n));
    position_ += n;
    chunk_left_ -= n;
    if (const Step step = check_size(args_.scratch_size()); step != Step::done) return step;
    if (chunk_left_ > 0) return Step::more;
    if (last_chunk_) break;
    if (position_ == data.size()) return Step::more;
    chunk_left_ = static_cast<std::uint8_t>(data[position_++]);
    last_chunk_ = chunk_left_ < plio_chunk_max;
  }
  in_long_ = false;
  return atom(long_kind_, args_.scratch_bytes(), true, 0);
}

/// A whole atom: its payload at offset of the data, or the scratch argument that was begun.
PlioRequestParser::Step PlioRequestParser::atom(std::uint8_t kind, std::string_view payload,
                                                bool in_scratch, std::size_t offset) {
  if (kind == plio_external) return fail("external symbol");
  const bool flat = depth_ <= flat_depth;
  if (depth_ == 1) ++elements_;
  if (kind != plio_number && flat) {
    const Scalar text = plio_text_scalar(kind, payload);
    if (in_scratch) args_.end_scratch(text.kind);
    else args_.add_data(offset, text.bytes.size(), text.kind);
    const Step step = check_size(0);
    return step == Step::done ? value_done() : step;
  }
  std::string digits;
  if (kind == plio_number && !append_decimal_of_plio(digits, payload))
    return fail("number too long");
  const Scalar value =
      kind == plio_number ? Scalar(digits, Kind::number) : plio_text_scalar(kind, payload);
  if (!flat) return add_nested(value, in_scratch);
  if (in_scratch) args_.cancel_scratch();
  args_.add_scratch(digits, Kind::number);
  const Step step = check_size(0);
  return step == Step::done ? value_done() : step;
}

}  // namespace kv
