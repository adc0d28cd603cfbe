// The public value type and options of kv/client.hpp.
#include <cstring>
#include <utility>

#include "libkv/base/text.hpp"
#include "libkv/client/address.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/kv/client.hpp"

#ifndef KV_VERSION
#define KV_VERSION "0"
#endif

namespace kv::client {
namespace {

template <class T>
const T& content_or_empty(const auto& content) noexcept {
  static const T empty{};
  const T* held = std::get_if<T>(&content);
  return held == nullptr ? empty : *held;
}

void wipe(std::string& secret) noexcept {
  explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

}  // namespace

Value::Value() noexcept = default;
Value::Value(std::string text, Form form)
    : kind_(Kind::text), form_(form), content_(std::move(text)) {}
Value::Value(const char* text) : Value(std::string(text)) {}
Value::Value(std::int64_t n) : kind_(Kind::integer), content_(n) {}
Value::Value(double d) : kind_(Kind::decimal), content_(d) {}
Value::Value(List list, Form form) : kind_(Kind::list), form_(form), content_(std::move(list)) {}
Value::Value(Map map) : kind_(Kind::map), content_(std::move(map)) {}
Value::Value(const Value&) = default;
// A moved-from value stays secret: a short text leaves its bytes behind inside the old string.
Value::Value(Value&&) noexcept = default;

Value& Value::operator=(const Value& other) {
  if (this != &other) *this = Value(other);
  return *this;
}

Value& Value::operator=(Value&& other) noexcept {
  if (this == &other) return *this;
  Value taken(std::move(other));  // first: other may be an element of this value, and end with it
  wipe_if_secret();
  kind_ = taken.kind_;
  form_ = taken.form_;
  secret_ = taken.secret_;
  content_ = std::move(taken.content_);
  return *this;
}

Value::~Value() { wipe_if_secret(); }

void Value::wipe_if_secret() noexcept {
  auto* held = secret_ ? std::get_if<std::string>(&content_) : nullptr;
  if (held != nullptr) explicit_bzero(held->data(), held->capacity());
}

Value Value::boolean_of(bool b) {
  Value value;
  value.kind_ = Kind::boolean;
  value.content_ = b;
  return value;
}

Value Value::error_of(std::string message) {
  Value value(std::move(message));
  value.kind_ = Kind::error;
  return value;
}

const std::string& Value::text() const noexcept { return content_or_empty<std::string>(content_); }
std::int64_t Value::integer() const noexcept { return content_or_empty<std::int64_t>(content_); }
double Value::decimal() const noexcept { return content_or_empty<double>(content_); }
bool Value::boolean() const noexcept { return content_or_empty<bool>(content_); }
const Value::List& Value::list() const noexcept { return content_or_empty<List>(content_); }
const Value::Map& Value::map() const noexcept { return content_or_empty<Map>(content_); }
std::string& Value::mutable_text() noexcept { return *std::get_if<std::string>(&content_); }
Value::List& Value::mutable_list() noexcept { return *std::get_if<List>(&content_); }
Value::Map& Value::mutable_map() noexcept { return *std::get_if<Map>(&content_); }

std::size_t Value::size() const noexcept { return list().size() + map().size(); }

const Value* Value::find(std::string_view key) const noexcept {
  for (const Pair& pair : map()) {
    if (pair.key.kind() == Kind::text && pair.key.text() == key) return &pair.value;
  }
  return nullptr;
}

std::string Value::to_text() const {
  switch (kind_) {
    case Kind::text:
    case Kind::error: return text();
    case Kind::integer: return std::to_string(integer());
    case Kind::decimal: return format_decimal(decimal());
    case Kind::boolean: return boolean() ? "true" : "false";
    case Kind::nil:
    case Kind::list:
    case Kind::map: break;
  }
  return {};
}

bool operator==(const Value& a, const Value& b) noexcept {
  return a.kind_ == b.kind_ && a.form_ == b.form_ && a.content_ == b.content_;
}

SealOptions::SealOptions() = default;
SealOptions::SealOptions(const SealOptions&) = default;
SealOptions::SealOptions(SealOptions&&) noexcept = default;
SealOptions& SealOptions::operator=(const SealOptions&) = default;
SealOptions& SealOptions::operator=(SealOptions&&) noexcept = default;
SealOptions::~SealOptions() = default;

Options::Options() = default;
Options::Options(const Options&) = default;
Options::Options(Options&&) noexcept = default;
Options& Options::operator=(const Options&) = default;
Options& Options::operator=(Options&&) noexcept = default;
Options::~Options() { wipe(password); }

Result<Options> Options::from_environment() {
  Options options;
  if (auto status = apply_environment(options); !status) return error_of(status);
  return options;
}

Result<Options> Options::from_url(std::string_view url) {
  Options options;
  if (auto status = apply_url(url, options); !status) return error_of(status);
  return options;
}

const char* version() noexcept { return KV_VERSION; }

}  // namespace kv::client
