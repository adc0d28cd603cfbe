// See json.hpp.
#include "persistence/json.hpp"

#include <cstdio>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"

namespace kv {
namespace {

constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}
  bool value(Json& out, std::size_t depth);
  bool at_end() {
    blanks();
    return at_ == text_.size();
  }
  std::size_t position() const { return at_; }

 private:
  char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    blanks();
    if (here() != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void blanks() {
    while (here() == ' ' || here() == '\t' || here() == '\n' || here() == '\r') ++at_;
  }
  bool string(std::string& out);
  bool escape(std::string& out);
  bool code_unit(std::uint32_t& unit);
  bool number(std::string& out);
  bool array(Json& out, std::size_t depth);
  bool object(Json& out, std::size_t depth);

  std::string_view text_;
  std::size_t at_ = 0;
};

bool JsonReader::code_unit(std::uint32_t& unit) {
  unit = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = here();
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return false;
    unit = unit * 16 + static_cast<std::uint32_t>(digit);
  }
  return true;
}

bool JsonReader::escape(std::string& out) {
  constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
  const char c = here();
  ++at_;
  if (const std::size_t i = from.find(c); i != std::string_view::npos && c != '\0') {
    out.push_back(to[i]);
    return true;
  }
  std::uint32_t unit = 0, low = 0;
  if (c != 'u' || !code_unit(unit)) return false;
  if (unit >= 0xD800 && unit < 0xDC00) {
    if (!take_word("\\u") || !code_unit(low) || low < 0xDC00 || low > 0xDFFF) return false;
    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
  } else if (unit >= 0xDC00 && unit < 0xE000) {
    return false;
  }
  append_utf8(out, unit);
  return true;
}

bool JsonReader::string(std::string& out) {
  ++at_;  // the quote
  while (true) {
    const std::size_t end = text_.find_first_of("\"\\", at_);
    if (end == std::string_view::npos) return false;
    out.append(text_.substr(at_, end - at_));
    at_ = end + 1;
    if (text_[end] == '"') return true;
    if (!escape(out)) return false;
  }
}

bool JsonReader::number(std::string& out) {
  const std::size_t start = at_;
  while (here() != '\0' && std::string_view("+-0123456789.eE").find(here()) < 15) ++at_;
  out = text_.substr(start, at_ - start);
  double unused = 0;
  return parse_decimal(out, unused);
}

bool JsonReader::array(Json& out, std::size_t depth) {
  ++at_;
  out.type = Json::Type::array;
  if (take(']')) return true;
  do {
    if (!value(out.elements.emplace_back(), depth + 1)) return false;
  } while (take(','));
  return take(']');
}

bool JsonReader::object(Json& out, std::size_t depth) {
  ++at_;
  out.type = Json::Type::object;
  if (take('}')) return true;
  do {
    blanks();
    auto& member = out.members.emplace_back();
    if (here() != '"' || !string(member.first) || !take(':') || !value(member.second, depth + 1)) {
      return false;
    }
  } while (take(','));
  return take('}');
}

bool JsonReader::value(Json& out, std::size_t depth) {
  blanks();
  if (depth > limits::nesting_max) return false;
  switch (here()) {
    case '"': out.type = Json::Type::string; return string(out.text);
    case '[': return array(out, depth);
    case '{': return object(out, depth);
    case 'n': return take_word("null");
    case 't':
    case 'f':
      out.type = Json::Type::boolean;
      out.truth = here() == 't';
      return take_word(out.truth ? "true" : "false");
    default: out.type = Json::Type::number; return number(out.text);
  }
}

}  // namespace

void JsonWriter::raw(std::string_view text) {
  if (comma_) out_ += ',';
  out_ += text;
  comma_ = true;
}

void JsonWriter::open(char bracket) {
  raw(std::string_view(&bracket, 1));
  comma_ = false;
}

void JsonWriter::close(char bracket) {
  out_ += bracket;
  comma_ = true;
}

void JsonWriter::key(std::string_view name) {
  string(name);
  out_ += ':';
  comma_ = false;
}

void JsonWriter::string(std::string_view text) {
  raw("\"");
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    const std::size_t n = utf8_length(text);
    if (n == 0) {
      out_ += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out_ += '\\', out_ += text[0];
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c < 0x20 || c == 0x7F) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", c);
      out_ += code;
    } else {
      out_ += text.substr(0, n);
    }
    text.remove_prefix(n == 0 ? 1 : n);
  }
  out_ += '"';
}

const Json* Json::find(std::string_view name) const {
  for (const auto& [member, value] : members) {
    if (member == name) return &value;
  }
  return nullptr;
}

Result<Json> read_json(std::string_view text) {
  JsonReader reader(text);
  Json value;
  if (reader.value(value, 0) && reader.at_end()) return value;
  return Status{Code::protocol, "not JSON at byte " + std::to_string(reader.position())};
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string to_base64(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      word = word << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const bool padding = at + i > bytes.size();
      out += padding ? '=' : base64_digits[word >> (18 - 6 * i) & 63];
    }
  }
  return out;
}

bool from_base64(std::string_view text, std::string& bytes) {
  bytes.clear();
  if (text.size() % 4 != 0) return false;
  for (std::size_t at = 0; at < text.size(); at += 4) {
    std::uint32_t word = 0;
    std::size_t padding = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const char c = text[at + i];
      const std::size_t digit = base64_digits.find(c);
      if (c == '=' && at + 4 == text.size() && i >= 2) ++padding;
      else if (digit == std::string_view::npos || padding > 0) return false;
      word = word << 6 | static_cast<std::uint32_t>(c == '=' ? 0 : digit);
    }
    for (std::size_t i = 0; i < 3 - padding; ++i) {
      bytes.push_back(static_cast<char>(word >> (16 - 8 * i) & 0xFF));
    }
  }
  return true;
}

}  // namespace kv
