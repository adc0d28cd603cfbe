// Reads one of Redis's serialised values after the other, out of foreign bytes: no length in them
// is believed before it was compared with what is left.
//
// The first thing that is wrong makes the reader fail; from then on it reads nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libkv/base/bytes.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/rdb/form.hpp"
#include "libkv/rdb/packed.hpp"

namespace kv {

class RdbValueReader {
 public:
  explicit RdbValueReader(std::string_view bytes) noexcept : in_(bytes) {}

  bool ok() const noexcept { return in_.ok(); }
  /// What is wrong, once something is.
  std::string_view error() const noexcept {
    return error_.empty() ? "it ends too early" : std::string_view(error_);
  }
  bool fail(std::string why);
  /// For what is neither of the following.
  ByteReader& bytes() noexcept { return in_; }

  /// A length, as they stand before strings and collections.
  std::uint64_t length();
  void skip_lengths(unsigned count) {
    for (; count > 0; --count) length();
  }
  /// A string as it stands here, or unpacked; valid until the next call.
  std::string_view string();
  void skip_string() { string(); }
  /// What a module has put into a file: its name and values. of_a_key: or beside the keys.
  bool skip_module(bool of_a_key);

  /// What left_out() says of a list, set or hash that is empty: faults of old versions of Redis
  /// have made some, and today's passes over them.
  static constexpr std::string_view without_elements = "a value without elements";

  /// A value, put where place is, which must be absent. True with nothing put there: it is of a
  /// type that kv does not have, or empty, and left_out() says which.
  bool value(std::uint8_t type, Keyspace& keys, Place& place);
  /// "a stream"; empty if the last value was read.
  std::string_view left_out() const noexcept { return left_out_; }

 private:
  class Filler;
  std::string_view unpacked();
  bool collection(std::uint8_t type, Filler& filler);
  bool plain_elements(std::uint64_t count, ElementVisitor visit);
  bool packed(const char* (*form)(std::string_view, ElementVisitor), ElementVisitor visit);
  bool quicklist(bool with_containers, ElementVisitor visit);
  std::string_view unknown_to_kv(std::uint8_t type);
  bool scored_members(bool as_text, Filler& filler);
  bool score(bool as_text, double& score);
  bool skip_stream(std::uint8_t type);
  bool skip_stream_group(std::uint8_t type);

  ByteReader in_;
  std::string unpacked_;
  std::string_view left_out_;
  std::string error_;
};

}  // namespace kv
