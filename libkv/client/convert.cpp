// See convert.hpp.
#include "libkv/client/convert.hpp"

#include <utility>

namespace kv::client {
namespace {

Value::List converted_list(std::vector<kv::Value>&& items) {
  Value::List out;
  out.reserve(items.size());
  for (kv::Value& item : items) out.push_back(converted(std::move(item)));
  return out;
}

Value::Map converted_map(std::vector<kv::Value>&& items) {
  Value::Map out;
  out.reserve(items.size() / 2);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    out.push_back({converted(std::move(items[i])), converted(std::move(items[i + 1]))});
  }
  return out;
}

}  // namespace

Value converted(kv::Value&& value) {
  using Type = kv::Value::Type;
  switch (value.type) {
    case Type::nil:
    case Type::null_array: return {};
    case Type::simple: return {std::move(value.text), Form::status};
    case Type::error: return Value::error_of(std::move(value.text));
    case Type::verbatim: return {std::move(value.text), Form::verbatim};
    case Type::big_number: return {std::move(value.text), Form::big_number};
    case Type::integer: return value.integer;
    case Type::decimal: return value.decimal;
    case Type::boolean: return Value::boolean_of(value.integer != 0);
    case Type::array: return converted_list(std::move(value.items));
    case Type::set: return {converted_list(std::move(value.items)), Form::set};
    case Type::push: return {converted_list(std::move(value.items)), Form::push};
    case Type::map: return converted_map(std::move(value.items));
    case Type::bulk:
    case Type::symbol:
    case Type::plio: break;
  }
  return {std::move(value.text)};
}

Error error_of(const Status& status) {
  const auto code = [&] {
    switch (status.code()) {
      case Code::usage:
      case Code::not_found: return ErrorCode::usage;
      case Code::timeout: return ErrorCode::timeout;
      case Code::denied: return ErrorCode::denied;
      case Code::protocol:
      case Code::corrupt: return ErrorCode::protocol;
      case Code::limit: return ErrorCode::limit;
      case Code::crypto: return ErrorCode::crypto;
      case Code::reply: return ErrorCode::reply;
      case Code::no_space: return ErrorCode::memory;
      default: return ErrorCode::connect;
    }
  }();
  return {code, status.message()};
}

Error error_of_reply(const std::string& text) {
  const std::string_view word = std::string_view(text).substr(0, text.find(' '));
  const bool denied = word == "NOAUTH" || word == "WRONGPASS" || word == "NOPERM";
  return {denied ? ErrorCode::denied : ErrorCode::reply, text};
}

int exit_code_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::usage:
    case ErrorCode::limit: return 2;  // nothing was sent
    case ErrorCode::connect:
    case ErrorCode::fate_unknown:
    case ErrorCode::timeout:
    case ErrorCode::protocol: return 3;
    case ErrorCode::denied: return 4;
    case ErrorCode::crypto: return 5;
    case ErrorCode::reply:
    case ErrorCode::memory: break;
  }
  return 1;
}

}  // namespace kv::client
