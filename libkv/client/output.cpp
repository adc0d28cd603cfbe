// See output.hpp.
#include "libkv/client/output.hpp"

#include <array>
#include <cmath>
#include <cstdio>

#include "libkv/base/text.hpp"

namespace kv {
namespace {

using client::Kind;
using client::Value;

// Replies nest at most limits::nesting_max deep, so recursion is bounded.

void append_atoms(std::string& out, const Value& value, char end) {
  if (value.kind() == Kind::list) {
    for (const Value& item : value.list()) append_atoms(out, item, end);
    return;
  }
  if (value.kind() == Kind::map) {
    for (const auto& [key, item] : value.map()) {
      append_atoms(out, key, end);
      append_atoms(out, item, end);
    }
    return;
  }
  out += value.to_text();
  out.push_back(end);
}

void append_separated(std::string& out, const Value& value, char separator) {
  const std::size_t before = out.size();
  append_atoms(out, value, separator);
  if (out.size() > before) out.pop_back();
}

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    const std::size_t length = utf8_length(text);
    std::array<char, 8> escape;
    if (length == 0) {
      std::snprintf(escape.data(), escape.size(), "\\udc%02x", byte);
      out += escape.data();
    } else if (byte < 0x20 || byte == 0x7F) {
      std::snprintf(escape.data(), escape.size(), "\\u%04x", byte);
      out += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : byte == '\r' ? "\\r" : escape.data();
    } else {
      if (byte == '"' || byte == '\\') out.push_back('\\');
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  out.push_back('"');
}

void append_json(std::string& out, const Value& value) {
  bool first = true;
  const auto separate = [&] {
    if (!first) out.push_back(',');
    first = false;
  };
  switch (value.kind()) {
    case Kind::nil: out += "null"; return;
    case Kind::boolean:
    case Kind::integer: out += value.to_text(); return;
    case Kind::decimal:
      if (std::isfinite(value.decimal())) out += value.to_text();
      else append_json_string(out, value.to_text());
      return;
    case Kind::text:
      if (value.form() == client::Form::big_number) out += value.text();
      else append_json_string(out, value.text());
      return;
    case Kind::error:
      out += "{\"error\":";
      append_json_string(out, value.text());
      out.push_back('}');
      return;
    case Kind::list:
      out.push_back('[');
      for (const Value& item : value.list()) separate(), append_json(out, item);
      out.push_back(']');
      return;
    case Kind::map: break;
  }
  out.push_back('{');
  for (const auto& [key, item] : value.map()) {
    separate();
    // JSON's keys are strings, whatever the server's are.
    std::string text;
    append_separated(text, key, ',');
    append_json_string(out, text);
    out.push_back(':');
    append_json(out, item);
  }
  out.push_back('}');
}

bool is_control(std::string_view text, std::size_t length) noexcept {
  const auto first = static_cast<unsigned char>(text[0]);
  if (length == 1) return (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F;
  return length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;  // C1
}

}  // namespace

void append_reply(std::string& out, const Value& reply, OutputForm form) {
  switch (form) {
    case OutputForm::plain:
      append_separated(out, reply, ',');
      out.push_back('\n');
      return;
    case OutputForm::json:
      append_json(out, reply);
      out.push_back('\n');
      return;
    case OutputForm::lines: return append_atoms(out, reply, '\n');
    case OutputForm::nul: return append_atoms(out, reply, '\0');
    case OutputForm::raw: return append_separated(out, reply, '\n');
  }
}

std::string for_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::size_t taken = std::max<std::size_t>(length, 1);
    if (length > 0 && !is_control(text, length)) {
      out += text.substr(0, taken);
    } else if (text.starts_with("\r\n")) {
      // INFO's lines end so; the carriage return says nothing to a reader.
    } else {
      for (std::size_t i = 0; i < taken; ++i) {
        std::array<char, 8> escape;
        std::snprintf(escape.data(), escape.size(), "\\x%02x",
                      static_cast<unsigned>(static_cast<unsigned char>(text[i])));
        out += escape.data();
      }
    }
    text.remove_prefix(taken);
  }
  return out;
}

}  // namespace kv
