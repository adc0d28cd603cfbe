// Reads picolisp-kv's requests, (CMD ARGS), from a connection's bytes.
//
// Used exactly as RespRequestParser is (resp.hpp), with one more outcome: close. The arguments come
// out flat, the command first: (CMD ARGS), (CMD arg ...), (CMD . arg) and (CMD) all give CMD and
// its arguments, (NIL NIL) gives one empty argument, ("AUTH" name hash) three. A list among the
// arguments of ARGS is a Kind::list.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "libkv/base/limits.hpp"
#include "libkv/value/scalar.hpp"
#include "libkv/wire/request.hpp"

namespace kv {

class PlioRequestParser {
 public:
  using State = ParseState;

  PlioRequestParser();
  ~PlioRequestParser();
  PlioRequestParser(PlioRequestParser&&) noexcept;
  PlioRequestParser& operator=(PlioRequestParser&&) noexcept;

  State next(std::string_view data);

  /// As RespRequestParser's, see there.
  std::span<const Scalar> args() const noexcept { return args_.args(); }
  std::size_t consumed() const noexcept { return consumed_; }
  std::size_t needed() const noexcept { return needed_; }
  const std::string& error() const noexcept { return error_; }
  void set_guest(bool guest) noexcept { guest_ = guest; }

 private:
  enum class Step : std::uint8_t { done, more, bad };
  enum class Place : std::uint8_t { empty, filled, tail };  // in a list: what has come so far

  void begin() noexcept;
  Step piece(std::string_view data);
  Step open();
  Step mark(std::uint8_t byte);
  Step short_atom(std::string_view data, std::uint8_t tag);
  Step long_atom(std::string_view data);
  Step atom(std::uint8_t kind, std::string_view payload, bool in_scratch, std::size_t offset);
  Step add_nested(const Scalar& value, bool in_scratch);
  Step nil();
  Step value_done();
  Step list_done();
  Step check_size(std::size_t bytes);
  Step fail(std::string_view text);

  struct Nested;  // an argument that is a list, while it arrives
  ArgList args_;
  std::unique_ptr<Nested> nested_;
  std::size_t position_ = 0, consumed_ = 0, needed_ = 0;
  std::array<Place, limits::nesting_max> places_{};  // [0]: the request itself, [1]: ARGS
  std::size_t depth_ = 0;
  std::size_t elements_ = 0;    // of the request itself
  std::size_t chunk_left_ = 0;  // of a long atom's current part
  std::uint8_t long_kind_ = 0;
  bool in_long_ = false, last_chunk_ = false;
  bool second_is_nil_ = false;
  bool finished_ = false, guest_ = false;
  std::string error_;
};

}  // namespace kv
