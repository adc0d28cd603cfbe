// A reply as a tree of RESP3 values, for the client library and for code that has to look inside
// a reply. The server's own path never builds one: there replies stay bytes (wire/reply.hpp).
//
// A Value owns everything below it. Trees come from RespReplyParser, which bounds their depth, so
// the recursive copy and destructor of this plain struct are bounded too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

struct Value {
  enum class Type : std::uint8_t {
    nil,         // no value: RESP3 _, RESP2 $-1
    null_array,  // RESP2's *-1; not different from nil to a user
    simple,      // text: a status such as OK
    error,       // text: "ERR what went wrong"
    bulk,        // text: any bytes
    verbatim,    // text: for people; without the three-letter format and its colon
    integer,     // integer
    big_number,  // text: decimal digits, any length
    decimal,     // decimal
    boolean,     // integer: 1 or 0
    array,       // items
    map,         // items: key, value, key, value, ... in the order received
    set,         // items
    push,        // items: sent without being asked for
    symbol,      // text: a PicoLisp symbol's name (inside kv only)
    plio,        // text: a PicoLisp list as PLIO bytes (inside kv only)
  };

  Type type = Type::nil;
  std::int64_t integer = 0;
  double decimal = 0;
  std::string text;
  std::vector<Value> items;

  static Value of(Type type, std::string_view text);
  static Value of(std::int64_t n);
  static Value of(int n) { return of(std::int64_t{n}); }
  static Value of(double d);
  static Value of(bool b);
  static Value list(Type type, std::vector<Value> items);

  bool is_nil() const noexcept { return type == Type::nil || type == Type::null_array; }
  bool is_error() const noexcept { return type == Type::error; }
  /// array, map, set or push: what it holds is in items.
  bool is_list() const noexcept { return type >= Type::array && type <= Type::push; }
  /// An atom as text: its bytes, its number in decimal, "1" or "0"; nil and lists: nothing.
  std::string str() const;

  friend bool operator==(const Value&, const Value&) = default;
};

/// "nil", "array", "big number", ...
std::string_view type_name(Value::Type type) noexcept;

}  // namespace kv
