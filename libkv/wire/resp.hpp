// RESP2 and RESP3, the protocols of Redis clients: requests in, replies out, and back again.
//
// Source: the RESP specification and what redis-server 7.0 was seen to accept and answer; FORMAT.md
// has the grammar with examples. Nothing here recurses or asks for memory by a length it was told.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/value/scalar.hpp"
#include "libkv/value/value.hpp"
#include "libkv/wire/request.hpp"

namespace kv {

/// Reads requests from a connection's bytes: RESP arrays and inline lines.
///
///   data = everything received and not yet dropped
///   while (data is not empty) {
///     state = parser.next(data);
///     ... request: use args() ...
///     drop consumed() bytes from the front of data    // in every state
///     if (state == need_more) read more, append to data
///     if (state == error) send "-" + error() + "\r\n", hang up
///   }
///
/// The bytes may move in memory between two calls. Work is linear in the bytes received, however
/// they are cut. A request's memory is bounded by the bytes that arrived.
class RespRequestParser {
 public:
  using State = ParseState;

  RespRequestParser();
  ~RespRequestParser();
  RespRequestParser(RespRequestParser&&) noexcept;
  RespRequestParser& operator=(RespRequestParser&&) noexcept;

  State next(std::string_view data);

  /// The request found last: never empty. Its bytes are in data or in the parser, so they live
  /// until data moves or next() is called.
  std::span<const Scalar> args() const noexcept { return args_.args(); }
  /// Bytes to drop from the front of data after this call. With need_more usually 0; more when
  /// empty lines or empty arrays were skipped.
  std::size_t consumed() const noexcept { return consumed_; }
  /// After need_more: at least so many bytes are missing (0: not known). A hint for reading.
  std::size_t needed() const noexcept { return needed_; }
  /// After error: Redis's text, "ERR Protocol error: ...". The parser must not be used again.
  const std::string& error() const noexcept { return error_; }
  /// Not authenticated yet: at most limits::guest_args_max arguments of guest_bulk_bytes_max.
  /// Takes effect with the next length that is read. The default is false.
  void set_guest(bool guest) noexcept { guest_ = guest; }

 private:
  enum class Stage : std::uint8_t { start, arguments };
  enum class Step : std::uint8_t { done, more, bad };

  void begin() noexcept;
  State finish() noexcept;
  bool next_fast(std::string_view data);
  Step next_header(std::string_view data);
  Step next_inline(std::string_view data);
  Step next_argument(std::string_view data);
  Step header_done(char sigil, std::string_view text);
  Step blob(std::string_view data);
  Step typed_line(char sigil, std::string_view text);
  Step add_value(const Scalar& value);
  Step open_nested(char sigil, std::string_view text);
  Step add_nested(const Scalar& value);
  Step nested_done();
  bool nesting() const noexcept { return nested_ != nullptr; }
  Step line(std::string_view data, std::string_view& text, const char* too_long);
  Step fail(std::string_view text);

  ArgList args_;
  std::size_t position_ = 0;  // of the first byte not understood yet
  std::size_t searched_ = 0;  // no line end before this offset (from position_ on)
  std::size_t consumed_ = 0;
  std::size_t needed_ = 0;
  std::uint64_t left_ = 0;        // arguments still to come
  std::int64_t blob_bytes_ = -1;  // of the bulk whose header was read; -1: none
  char blob_sigil_ = 0;
  Stage stage_ = Stage::start;
  bool finished_ = false;  // the last call gave a request: the next one starts a new one
  bool guest_ = false;
  std::string error_;

  struct Nested;  // an argument that is a list, while it arrives; most connections never have one
  std::unique_ptr<Nested> nested_;
};

/// Reads replies from a server's bytes, RESP2 or RESP3, into Values: for the client, which trusts
/// no server. Used as RespRequestParser is; attributes (|) are read and dropped.
class RespReplyParser {
 public:
  enum class State : std::uint8_t { need_more, reply, error };
  struct Limits {
    std::size_t bytes_max = std::size_t{2} << 30;       // of one reply
    std::size_t blob_bytes_max = std::size_t{1} << 30;  // of one string in it
    std::size_t values_max = std::size_t{64} << 20;     // values in one reply, nested ones included
    std::size_t depth_max = limits::nesting_max;
  };

  RespReplyParser() = default;
  explicit RespReplyParser(const Limits& limits) : limits_(limits) {}
  // A parser may be told to expect replies again after a connection was made anew.
  void reset();

  State next(std::string_view data);
  /// The reply found last; may be moved from.
  Value& value() noexcept { return value_; }
  /// Bytes to drop from the front of data after this call, in every state.
  std::size_t consumed() const noexcept { return consumed_; }
  std::size_t needed() const noexcept { return needed_; }
  /// After error: what was wrong with the server's bytes. Hang up.
  const std::string& error() const noexcept { return error_; }
  /// After error: this reply may be well-formed, but has more bytes or values than were allowed.
  bool over_limits() const noexcept { return over_limits_; }

 private:
  enum class Step : std::uint8_t { done, more, bad };
  struct Level {
    Value value;
    std::uint64_t left = 0;
    bool attribute = false;
  };

  Step next_token(std::string_view data);
  Step blob(std::string_view data);
  Step atom(char sigil, std::string_view text);
  Step container(char sigil, std::int64_t n);
  Step add(Value&& value);
  Step close_levels();
  Step fail(std::string_view text);
  Step too_many(std::string_view what, std::uint64_t most, std::string_view unit);
  Step too_many_bytes(std::uint64_t bytes);
  Step too_many_values(std::uint64_t count);
  Step too_long_line();
  Step too_deep();

  Limits limits_;
  std::vector<Level> levels_;
  Value value_;
  std::size_t position_ = 0, searched_ = 0, consumed_ = 0, needed_ = 0;
  std::size_t values_ = 0;
  std::int64_t blob_bytes_ = -1;
  char blob_sigil_ = 0;
  bool finished_ = false;
  bool over_limits_ = false;
  std::string error_;
};

/// Bytes of the first complete reply in data; 0: not complete; npos: not a reply. Only for bytes
/// of one's own (the sibling's): it starts from the beginning each time. Does not recurse.
std::size_t reply_length(std::string_view data) noexcept;

// Translators of one or several complete replies in the form of wire/reply.hpp. False: not such
// replies; what was translated before that is in out.

/// Map, set and push become arrays, doubles and big numbers bulk strings, booleans 1 and 0, nil
/// $-1, a null array *-1.
bool to_resp2(std::string_view resp3, std::string& out);
/// Only kv's private forms change.
bool to_resp3(std::string_view resp3, std::string& out);

/// Appends a request in RESP form: for clients.
void append_request(std::string& out, std::span<const std::string_view> args);

}  // namespace kv
