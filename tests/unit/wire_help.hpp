// What the wire tests share: hex, requests as lists of words, parsing in pieces. Not a test.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/value/scalar.hpp"
#include "libkv/wire/request.hpp"

namespace kv::test {

inline std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

inline std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(digits[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

/// An argument with its kind in front: s:text n:12 y:symbol - (nil) l:hex of a list.
inline std::string shown_arg(const Scalar& arg) {
  switch (arg.kind) {
    case Kind::number: return "n:" + std::string(arg.bytes);
    case Kind::symbol: return "y:" + std::string(arg.bytes);
    case Kind::nil: return arg.bytes.empty() ? "-" : "nil with bytes";
    case Kind::list: return "l:" + to_hex(arg.bytes);
    default: return "s:" + std::string(arg.bytes);
  }
}

struct Parsed {
  std::vector<std::vector<std::string>> requests;
  std::string error;     // empty: none
  std::size_t left = 0;  // bytes that wait for more
  bool closed = false;
  bool operator==(const Parsed&) const = default;
};

/// Feeds data the way a child does, `piece` bytes at a time, moving the buffer before each call.
template <class Parser>
Parsed parse(Parser& parser, std::string_view data, std::size_t piece = std::string_view::npos) {
  Parsed parsed;
  std::string buffer;
  while (!data.empty()) {
    const std::string_view part = data.substr(0, piece);
    buffer.append(part);
    data.remove_prefix(part.size());
    for (bool more = true; more && !buffer.empty();) {
      buffer = std::string(buffer);
      buffer.shrink_to_fit();
      const ParseState state = parser.next(buffer);
      if (state == ParseState::request) {
        auto& request = parsed.requests.emplace_back();
        for (const Scalar& arg : parser.args()) request.push_back(shown_arg(arg));
      }
      if (state == ParseState::error) return parsed.error = parser.error(), parsed;
      buffer.erase(0, parser.consumed());
      if (state == ParseState::close) return parsed.closed = true, parsed;
      more = state == ParseState::request;
    }
  }
  parsed.left = buffer.size();
  return parsed;
}

}  // namespace kv::test
