// See value_reader.hpp.
#include "libkv/rdb/value_reader.hpp"

#include <liblzf/lzf.h>

#include <bit>
#include <cmath>
#include <limits>

#include "libkv/base/digits.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"

namespace kv {

namespace {
// An LZF back reference gives at most 264 bytes for three; a length that says more lies.
constexpr std::uint64_t lzf_most_bytes_for_one = 264;
}  // namespace

/// Puts the elements of one key where they belong, as they come.
class RdbValueReader::Filler {
 public:
  Filler(Keyspace& keys, Place& place) : keys_(keys), place_(place) {}
  void push(std::string_view element) { keys_.list(place_).push_back(Scalar(element)); }
  void add_to_set(std::string_view member) { keys_.set(place_).add(Scalar(member)); }
  /// A field, then its value, and so on.
  void add_to_hash(std::string_view element) {
    if (!first_) {
      first_ = std::string(element);
      return;
    }
    keys_.hash(place_).set(Scalar(*first_), Scalar(element));
    first_.reset();
  }
  /// False: it is there already, or the score is no number.
  bool add_to_sorted_set(std::string_view member, double score) {
    return !std::isnan(score) && keys_.sorted_set(place_).set(Scalar(member), score);
  }
  /// A member, then its score as text, and so on.
  void add_to_sorted_set(std::string_view element) {
    if (!first_) {
      first_ = std::string(element);
      return;
    }
    double score = 0;
    const bool good = parse_decimal(element, score) && add_to_sorted_set(*first_, score);
    wrong_score_ = wrong_score_ || !good;
    first_.reset();
  }
  bool wrong_score() const noexcept { return wrong_score_; }
  bool half_a_pair() const noexcept { return first_.has_value(); }

 private:
  Keyspace& keys_;
  Place& place_;
  std::optional<std::string> first_;  // of a pair whose second part has not come yet
  bool wrong_score_ = false;
};

bool RdbValueReader::fail(std::string why) {
  if (in_.ok()) error_ = std::move(why);
  in_.fail();
  return false;
}

// --- lengths and strings ---

/// Where a number in the place of a string is announced, only string() knows it.
std::uint64_t RdbValueReader::length() {
  const std::uint8_t first = in_.u8();
  switch (first >> 6) {
    case 0: return first & 0x3fu;
    case 1: return (first & 0x3fu) << 8 | in_.u8();
    default: break;
  }
  if (first == 0x80) return big_endian(in_, 4);
  if (first == 0x81) return big_endian(in_, 8);
  fail("a length has no known form");
  return 0;
}

std::string_view RdbValueReader::unpacked() {
  const std::uint64_t packed_bytes = length(), whole_bytes = length();
  const std::string_view packed = in_.take(packed_bytes);
  if (!in_.ok()) return {};
  const bool lies = whole_bytes > limits::value_bytes_max || whole_bytes == 0 ||
                    whole_bytes / lzf_most_bytes_for_one > packed.size();
  if (lies) return fail("a packed string has a length that cannot be"), std::string_view{};
  unpacked_.resize(static_cast<std::size_t>(whole_bytes));
  const unsigned got = ::lzf_decompress(packed.data(), static_cast<unsigned>(packed.size()),
                                        unpacked_.data(), static_cast<unsigned>(unpacked_.size()));
  if (got != unpacked_.size()) fail("a packed string cannot be unpacked");
  return unpacked_;
}

std::string_view RdbValueReader::string() {
  const std::string_view ahead = in_.rest();
  const auto first = static_cast<std::uint8_t>(ahead.empty() ? 0 : ahead[0]);
  if (first < 0xc0) {
    const std::uint64_t bytes = length();
    if (bytes > limits::value_bytes_max) fail("a string is longer than kv takes");
    return in_.take(bytes);
  }
  in_.skip(1);
  if (first == 0xc3) return unpacked();
  if (first > 0xc3) return fail("a string has no known form"), std::string_view{};
  char digits[decimal_bytes_max + 8];
  unpacked_.assign(digits, put_decimal(digits, with_sign(in_, 1u << (first & 3u))));
  return unpacked_;
}

// --- values ---

bool RdbValueReader::plain_elements(std::uint64_t count, ElementVisitor visit) {
  for (; count > 0 && ok(); --count) {
    const std::string_view element = string();
    if (ok()) visit(element);
  }
  return ok();
}

bool RdbValueReader::packed(const char* (*form)(std::string_view, ElementVisitor),
                            ElementVisitor visit) {
  const std::string_view bytes = string();
  if (!ok()) return false;
  const char* const wrong = form(bytes, visit);
  return wrong == nullptr || fail(wrong);
}

/// A list in pieces. with_containers: each says whether it is packed or one large element.
bool RdbValueReader::quicklist(bool with_containers, ElementVisitor visit) {
  constexpr std::uint64_t plain = 1;
  for (std::uint64_t pieces = length(); pieces > 0 && ok(); --pieces) {
    if (with_containers && length() == plain) plain_elements(1, visit);
    else packed(with_containers ? visit_listpack : visit_ziplist, visit);
  }
  return ok();
}

/// 8 bytes or, in files of Redis 3 and before, text.
bool RdbValueReader::score(bool as_text, double& score) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!as_text) {
    score = std::bit_cast<double>(in_.u64());
    return ok();
  }
  const std::uint8_t size = in_.u8();
  switch (size) {
    case 253: score = std::numeric_limits<double>::quiet_NaN(); return ok();
    case 254: score = infinity; return ok();
    case 255: score = -infinity; return ok();
    default: break;
  }
  const std::string_view text = in_.take(size);
  return ok() && (parse_decimal(text, score) || fail("a score is no number"));
}

bool RdbValueReader::scored_members(bool as_text, Filler& filler) {
  for (std::uint64_t left = length(); left > 0 && ok(); --left) {
    const std::string_view member = string();
    double its = 0;
    if (!ok() || !score(as_text, its)) return false;
    if (!filler.add_to_sorted_set(member, its)) {
      return fail("a member is there twice, or its score is no number");
    }
  }
  return ok();
}

bool RdbValueReader::collection(std::uint8_t type, Filler& filler) {
  const auto to_list = [&filler](std::string_view element) { filler.push(element); };
  const auto to_set = [&filler](std::string_view member) { filler.add_to_set(member); };
  const auto to_hash = [&filler](std::string_view element) { filler.add_to_hash(element); };
  const auto to_sorted_set = [&filler](std::string_view part) { filler.add_to_sorted_set(part); };
  switch (type) {
    case rdb_sorted_set: return scored_members(true, filler);
    case rdb_sorted_set_2: return scored_members(false, filler);
    case rdb_sorted_set_ziplist: return packed(visit_ziplist, to_sorted_set);
    case rdb_sorted_set_listpack: return packed(visit_listpack, to_sorted_set);
    case rdb_set: return plain_elements(length(), to_set);
    case rdb_set_intset: return packed(visit_intset, to_set);
    case rdb_set_listpack: return packed(visit_listpack, to_set);
    case rdb_list: return plain_elements(length(), to_list);
    case rdb_list_ziplist: return packed(visit_ziplist, to_list);
    case rdb_list_quicklist: return quicklist(false, to_list);
    case rdb_list_quicklist_2: return quicklist(true, to_list);
    case rdb_hash_zipmap: return packed(visit_zipmap, to_hash);
    case rdb_hash_ziplist: return packed(visit_ziplist, to_hash);
    case rdb_hash_listpack: return packed(visit_listpack, to_hash);
    case rdb_hash: {
      const std::uint64_t pairs = length();
      if (pairs > in_.left()) return fail("a hash is larger than the file");
      return plain_elements(2 * pairs, to_hash);
    }
    default: return fail("a value of type " + std::to_string(type) + ", which kv does not know");
  }
}

bool RdbValueReader::value(std::uint8_t type, Keyspace& keys, Place& place) {
  left_out_ = unknown_to_kv(type);
  if (!left_out_.empty() || !ok()) return ok();
  if (type == rdb_string) {
    const std::string_view text = string();
    if (ok()) keys.set_string(place, Scalar(text));
    return ok();
  }
  Filler filler(keys, place);
  if (!collection(type, filler)) return false;
  if (filler.half_a_pair()) return fail("a field of a hash has no value");
  if (filler.wrong_score()) return fail("a member is there twice, or its score is no number");
  if (!place.found()) left_out_ = without_elements;
  return true;
}

// --- what kv does not have ---

bool RdbValueReader::skip_stream_group(std::uint8_t type) {
  constexpr std::uint64_t id_bytes = 16, time_bytes = 8;
  skip_string();
  skip_lengths(type >= rdb_stream_2 ? 3 : 2);
  for (std::uint64_t pending = length(); pending > 0 && ok(); --pending) {
    in_.skip(id_bytes + time_bytes);
    length();
  }
  for (std::uint64_t consumers = length(); consumers > 0 && ok(); --consumers) {
    skip_string();
    in_.skip(type >= rdb_stream_3 ? 2 * time_bytes : time_bytes);
    const std::uint64_t pending = length();
    if (pending > in_.left() / id_bytes) return fail("a stream is larger than the file");
    in_.skip(pending * id_bytes);
  }
  return ok();
}

bool RdbValueReader::skip_stream(std::uint8_t type) {
  for (std::uint64_t parts = length(); parts > 0 && ok(); --parts) skip_string(), skip_string();
  skip_lengths(type >= rdb_stream_2 ? 8 : 3);
  for (std::uint64_t groups = length(); groups > 0 && ok(); --groups) skip_stream_group(type);
  return ok();
}

bool RdbValueReader::skip_module(bool of_a_key) {
  length();
  if (!of_a_key) skip_lengths(2);
  while (ok()) {
    switch (length()) {
      case 0: return ok();
      case 1:
      case 2: length(); break;
      case 3: in_.skip(4); break;
      case 4: in_.skip(8); break;
      case 5: skip_string(); break;
      default: return fail("a module's value has no known form");
    }
  }
  return false;
}

/// What a value is that kv does not have; it has been passed over, or that failed.
std::string_view RdbValueReader::unknown_to_kv(std::uint8_t type) {
  switch (type) {
    case rdb_stream:
    case rdb_stream_2:
    case rdb_stream_3: return skip_stream(type), "a stream";
    case rdb_module: return skip_module(true), "a module's";
    default: return {};
  }
}

}  // namespace kv
