// Replies for a person: numbered lists, quoted texts, types in brackets, as redis-cli shows them.
#include <algorithm>

#include "libkv/base/text.hpp"
#include "libkv/client/output.hpp"

namespace kv {
namespace {

using client::Form;
using client::Kind;
using client::Value;

struct Shape {
  char separator;  // after the number of an element
  std::string_view empty;
};

Shape shape_of(const Value& value) noexcept {
  if (value.kind() == Kind::map) return {'#', "(empty hash)"};
  if (value.form() == Form::set) return {'~', "(empty set)"};
  if (value.form() == Form::push) return {')', "(empty push)"};
  return {')', "(empty array)"};
}

void append_atom(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::nil: out += "(nil)"; break;
    case Kind::integer: out += "(integer) " + value.to_text(); break;
    case Kind::decimal: out += "(double) " + value.to_text(); break;
    case Kind::boolean: out += "(" + value.to_text() + ")"; break;
    case Kind::error: out += "(error) " + for_terminal(value.text()); break;
    default:
      if (value.form() == Form::plain) out += quoted(value.text());
      else out += for_terminal(value.text());
      if (value.form() == Form::verbatim && out.ends_with('\n')) out.pop_back();
  }
  out.push_back('\n');
}

bool is_container(const Value& value) noexcept {
  return value.kind() == Kind::list || value.kind() == Kind::map;
}

// indent: blanks before every line but the first, whose place is taken by the parent's number.
void append_value(std::string& out, const Value& value, std::size_t indent) {
  if (!is_container(value)) return append_atom(out, value);
  const Shape shape = shape_of(value);
  if (value.size() == 0) {
    out.append(shape.empty).push_back('\n');
    return;
  }
  const std::size_t width = std::to_string(value.size()).size();
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string number = std::to_string(i + 1);
    out.append(i == 0 ? 0 : indent, ' ').append(width - number.size(), ' ').append(number);
    out.push_back(shape.separator);
    out.push_back(' ');
    const std::size_t deeper = indent + width + 2;
    if (value.kind() == Kind::list) {
      append_value(out, value.list()[i], deeper);
    } else {
      append_value(out, value.map()[i].key, deeper);
      out.pop_back();
      out += " => ";
      const std::size_t start = out.size();
      append_value(out, value.map()[i].value, deeper);
      // A value of several lines begins on a line of its own.
      if (out.find('\n', start) + 1 < out.size() && is_container(value.map()[i].value)) {
        out.insert(start, "\n" + std::string(deeper, ' '));
      }
    }
  }
}

}  // namespace

void append_console_reply(std::string& out, const client::Value& reply) {
  append_value(out, reply, 0);
}

}  // namespace kv
