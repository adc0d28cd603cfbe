// A little JSON: what the check report and the JSON dump write, and what --load reads of a dump.
//
// Strings are UTF-8; a text that is not is written by the caller in another way. Reading is
// bounded: depth by limits::nesting_max, memory by the size of the text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libkv/base/status.hpp"

namespace kv {

/// Writes JSON in one line, in the order of the calls.
class JsonWriter {
 public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  void key(std::string_view name);
  void string(std::string_view text);  ///< must be UTF-8; other bytes come out as U+FFFD
  void number(std::string_view digits) { raw(digits); }
  void null() { raw("null"); }
  void boolean(bool b) { raw(b ? "true" : "false"); }
  void member(std::string_view name, std::string_view text) { key(name), string(text); }
  void member(std::string_view name, const char* text) { key(name), string(text); }
  void member(std::string_view name, const std::string& text) { key(name), string(text); }
  void member(std::string_view name, bool b) { key(name), boolean(b); }
  void member(std::string_view name, std::uint64_t n) { key(name), number(std::to_string(n)); }
  const std::string& text() const noexcept { return out_; }
  void clear() { out_.clear(), comma_ = false; }

 private:
  void raw(std::string_view text);
  void open(char bracket);
  void close(char bracket);
  std::string out_;
  bool comma_ = false;  // before the next value
};

/// A JSON value as read. Numbers keep their text.
struct Json {
  enum class Type : std::uint8_t { null, boolean, number, string, array, object };
  Type type = Type::null;
  bool truth = false;
  std::string text;  // string, number
  std::vector<Json> elements;
  std::vector<std::pair<std::string, Json>> members;
  const Json* find(std::string_view name) const;
};

/// Reads one value that fills text, blanks around it aside.
Result<Json> read_json(std::string_view text);

bool is_utf8(std::string_view text) noexcept;
std::string to_base64(std::string_view bytes);
/// False if text is not base64 (RFC 4648, with padding).
bool from_base64(std::string_view text, std::string& bytes);

}  // namespace kv
