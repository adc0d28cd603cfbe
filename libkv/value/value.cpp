// See value.hpp.
#include "libkv/value/value.hpp"

#include <iterator>
#include <utility>

#include "libkv/base/text.hpp"

namespace kv {

Value Value::of(Type type, std::string_view text) {
  Value value;
  value.type = type;
  value.text = text;
  return value;
}

Value Value::of(std::int64_t n) {
  Value value;
  value.type = Type::integer;
  value.integer = n;
  return value;
}

Value Value::of(double d) {
  Value value;
  value.type = Type::decimal;
  value.decimal = d;
  return value;
}

Value Value::of(bool b) {
  Value value;
  value.type = Type::boolean;
  value.integer = b ? 1 : 0;
  return value;
}

Value Value::list(Type type, std::vector<Value> items) {
  Value value;
  value.type = type;
  value.items = std::move(items);
  return value;
}

std::string Value::str() const {
  switch (type) {
    case Type::integer:
    case Type::boolean: return std::to_string(integer);
    case Type::decimal: return format_decimal(decimal);
    default: return text;
  }
}

std::string_view type_name(Value::Type type) noexcept {
  static constexpr std::string_view names[] = {
      "nil",     "null array", "simple", "error", "bulk", "verbatim", "integer", "big number",
      "decimal", "boolean",    "array",  "map",   "set",  "push",     "symbol",  "plio",
  };
  static_assert(std::size(names) == static_cast<std::size_t>(Value::Type::plio) + 1);
  return names[static_cast<std::size_t>(type)];
}

}  // namespace kv
