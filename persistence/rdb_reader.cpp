// See rdb.hpp.
#include <liblzf/lzf.h>

#include <boost/crc.hpp>
#include <optional>
#include <string>

#include "libkv/base/digits.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "persistence/rdb.hpp"
#include "persistence/rdb_packed.hpp"

namespace kv {
namespace {

constexpr std::string_view magic = "REDIS";
constexpr std::size_t version_digits = 4;    // behind it
constexpr unsigned first_with_checksum = 5;  // of the versions
// An LZF back reference gives at most 264 bytes for three; a length that says more lies.
constexpr std::uint64_t lzf_most_bytes_for_one = 264;

// What an item begins with, if not the type of a value.
enum Opcode : std::uint8_t {
  op_slot = 0xf4,
  op_functions = 0xf5,
  op_module = 0xf7,
  op_idle = 0xf8,
  op_frequency = 0xf9,
  op_note = 0xfa,
  op_sizes = 0xfb,
  op_expires_ms = 0xfc,
  op_expires_s = 0xfd,
  op_database = 0xfe,
  op_end = 0xff,
};

enum RdbType : std::uint8_t {
  rdb_string = 0,
  rdb_list = 1,
  rdb_set = 2,
  rdb_sorted_set = 3,
  rdb_hash = 4,
  rdb_sorted_set_2 = 5,
  rdb_module = 7,
  rdb_hash_zipmap = 9,
  rdb_list_ziplist = 10,
  rdb_set_intset = 11,
  rdb_sorted_set_ziplist = 12,
  rdb_hash_ziplist = 13,
  rdb_list_quicklist = 14,
  rdb_stream = 15,
  rdb_hash_listpack = 16,
  rdb_sorted_set_listpack = 17,
  rdb_list_quicklist_2 = 18,
  rdb_stream_2 = 19,
  rdb_set_listpack = 20,
  rdb_stream_3 = 21,
};

/// Puts the elements of one key where they belong, as they come.
class KeyFiller {
 public:
  KeyFiller(Keyspace& keys, std::string_view key) : keys_(keys), place_(keys.peek(key, 0)) {
    if (place_.found()) keys_.erase(place_);
  }
  void set_string(std::string_view value) { keys_.set_string(place_, Scalar(value)); }
  void push(std::string_view element) {
    if (place_.found()) keys_.list(place_).push_back(Scalar(element));
    else keys_.make_list(place_).push_back(Scalar(element));
  }
  /// A field, then its value, and so on.
  void add_to_hash(std::string_view element) {
    if (!field_) {
      field_ = std::string(element);
      return;
    }
    if (place_.found()) keys_.hash(place_).set(Scalar(*field_), Scalar(element));
    else keys_.make_hash(place_).set(Scalar(*field_), Scalar(element));
    field_.reset();
  }
  bool field_without_value() const noexcept { return field_.has_value(); }
  bool empty() const noexcept { return !place_.found(); }
  void expire(std::int64_t at_ms) { keys_.set_expiry(place_, at_ms); }

 private:
  Keyspace& keys_;
  Place place_;
  std::optional<std::string> field_;
};

class RdbReader {
 public:
  RdbReader(std::string_view bytes, const Replay& replay, LoadReport& report)
      : bytes_(bytes), in_(bytes), replay_(replay), report_(report) {}

  Status load();
  std::string_view rest() const noexcept { return in_.rest(); }

 private:
  enum class Next : std::uint8_t { goes_on, ends, wrong };
  Next item();
  bool key_and_value(std::uint8_t type);
  bool value(std::uint8_t type, KeyFiller& filler);
  bool collection(std::uint8_t type, KeyFiller& filler);
  bool plain_elements(std::uint64_t count, ElementVisitor visit);
  bool packed(const char* (*form)(std::string_view, ElementVisitor), ElementVisitor visit);
  bool quicklist(bool with_containers, ElementVisitor visit);
  bool left_out(std::uint8_t type);
  bool skip_sorted_set(bool as_text);
  bool skip_stream(std::uint8_t type);
  bool skip_stream_group(std::uint8_t type);
  bool skip_module(bool of_a_key);
  void leave_out(std::string_view what);
  Status checksum();

  std::uint64_t length();
  /// A string as it is here, or unpacked into spare; valid until spare is used again.
  std::string_view string(std::string& spare);
  std::string_view unpacked(std::string& spare);
  void skip_string() { string(skipped_); }
  void skip_lengths(unsigned count) {
    for (; count > 0; --count) length();
  }
  bool fail(std::string why) {
    if (error_.empty()) error_ = std::move(why);
    in_.fail();
    return false;
  }

  std::string_view bytes_;
  ByteReader in_;
  const Replay& replay_;
  LoadReport& report_;
  unsigned version_ = 0;
  Keyspace* keys_ = nullptr;
  std::optional<std::int64_t> expires_ms_;
  std::string key_, element_, skipped_;
  std::size_t item_at_ = 0;
  std::string error_;
};

// --- lengths and strings ---

/// A length; where a number in the place of a string is announced, only string() knows it.
std::uint64_t RdbReader::length() {
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

std::string_view RdbReader::unpacked(std::string& spare) {
  const std::uint64_t packed_bytes = length(), whole_bytes = length();
  const std::string_view packed = in_.take(packed_bytes);
  if (!in_.ok()) return {};
  const bool lies = whole_bytes > limits::value_bytes_max || whole_bytes == 0 ||
                    whole_bytes / lzf_most_bytes_for_one > packed.size();
  if (lies) return fail("a packed string has a length that cannot be"), std::string_view{};
  spare.resize(static_cast<std::size_t>(whole_bytes));
  const unsigned got = ::lzf_decompress(packed.data(), static_cast<unsigned>(packed.size()),
                                        spare.data(), static_cast<unsigned>(spare.size()));
  if (got != spare.size()) fail("a packed string cannot be unpacked");
  return spare;
}

std::string_view RdbReader::string(std::string& spare) {
  const std::string_view ahead = in_.rest();
  const auto first = static_cast<std::uint8_t>(ahead.empty() ? 0 : ahead[0]);
  if (first < 0xc0) {
    const std::uint64_t bytes = length();
    if (bytes > limits::value_bytes_max) fail("a string is longer than kv takes");
    return in_.take(bytes);
  }
  in_.skip(1);
  if (first == 0xc3) return unpacked(spare);
  if (first > 0xc3) return fail("a string has no known form"), std::string_view{};
  char digits[decimal_bytes_max + 8];
  spare.assign(digits, put_decimal(digits, with_sign(in_, 1u << (first & 3u))));
  return spare;
}

// --- values ---

bool RdbReader::plain_elements(std::uint64_t count, ElementVisitor visit) {
  for (; count > 0 && in_.ok(); --count) {
    const std::string_view element = string(element_);
    if (in_.ok()) visit(element);
  }
  return in_.ok();
}

bool RdbReader::packed(const char* (*form)(std::string_view, ElementVisitor),
                       ElementVisitor visit) {
  const std::string_view bytes = string(element_);
  if (!in_.ok()) return false;
  const char* const wrong = form(bytes, visit);
  return wrong == nullptr || fail(wrong);
}

/// A list in pieces. with_containers: each says whether it is packed or one large element.
bool RdbReader::quicklist(bool with_containers, ElementVisitor visit) {
  constexpr std::uint64_t plain = 1;
  for (std::uint64_t pieces = length(); pieces > 0 && in_.ok(); --pieces) {
    if (with_containers && length() == plain) plain_elements(1, visit);
    else packed(with_containers ? visit_listpack : visit_ziplist, visit);
  }
  return in_.ok();
}

bool RdbReader::collection(std::uint8_t type, KeyFiller& filler) {
  const auto to_list = [&filler](std::string_view element) { filler.push(element); };
  const auto to_hash = [&filler](std::string_view element) { filler.add_to_hash(element); };
  switch (type) {
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

bool RdbReader::value(std::uint8_t type, KeyFiller& filler) {
  if (type == rdb_string) {
    const std::string_view text = string(element_);
    if (in_.ok()) filler.set_string(text);
    return in_.ok();
  }
  if (!collection(type, filler)) return false;
  return !filler.field_without_value() || fail("a field of a hash has no value");
}

// --- what kv does not have ---

void RdbReader::leave_out(std::string_view what) {
  report_.refused.push_back("byte " + std::to_string(item_at_) + ": the key " + quoted(key_) +
                            " is " + std::string(what) + ", which kv does not have");
}

bool RdbReader::skip_sorted_set(bool as_text) {
  for (std::uint64_t left = length(); left > 0 && in_.ok(); --left) {
    skip_string();
    constexpr std::uint8_t first_without_text = 253;  // not a number, and the two infinities
    if (!as_text) in_.skip(8);
    else if (const std::uint8_t size = in_.u8(); size < first_without_text) in_.skip(size);
  }
  return in_.ok();
}

bool RdbReader::skip_stream_group(std::uint8_t type) {
  constexpr std::uint64_t id_bytes = 16, time_bytes = 8;
  skip_string();
  skip_lengths(type >= rdb_stream_2 ? 3 : 2);
  for (std::uint64_t pending = length(); pending > 0 && in_.ok(); --pending) {
    in_.skip(id_bytes + time_bytes);
    length();
  }
  for (std::uint64_t consumers = length(); consumers > 0 && in_.ok(); --consumers) {
    skip_string();
    in_.skip(type >= rdb_stream_3 ? 2 * time_bytes : time_bytes);
    const std::uint64_t pending = length();
    if (pending > in_.left() / id_bytes) return fail("a stream is larger than the file");
    in_.skip(pending * id_bytes);
  }
  return in_.ok();
}

bool RdbReader::skip_stream(std::uint8_t type) {
  for (std::uint64_t parts = length(); parts > 0 && in_.ok(); --parts) skip_string(), skip_string();
  skip_lengths(type >= rdb_stream_2 ? 8 : 3);
  for (std::uint64_t groups = length(); groups > 0 && in_.ok(); --groups) skip_stream_group(type);
  return in_.ok();
}

/// What a module has written of itself: its name, and values that say what they are.
bool RdbReader::skip_module(bool of_a_key) {
  length();
  if (!of_a_key) skip_lengths(2);
  while (in_.ok()) {
    switch (length()) {
      case 0: return true;
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

/// True if the value is of a type that kv does not have; it has been passed over, or that failed.
bool RdbReader::left_out(std::uint8_t type) {
  switch (type) {
    case rdb_stream:
    case rdb_stream_2:
    case rdb_stream_3:
      if (skip_stream(type)) leave_out("a stream");
      return true;
    case rdb_module:
      if (skip_module(true)) leave_out("a module's");
      return true;
    case rdb_sorted_set:
    case rdb_sorted_set_2:
      if (skip_sorted_set(type == rdb_sorted_set)) leave_out("a sorted set");
      return true;
    case rdb_sorted_set_ziplist:
    case rdb_sorted_set_listpack: skip_string(), leave_out("a sorted set"); return true;
    case rdb_set:
      if (plain_elements(length(), [](std::string_view) {})) leave_out("a set");
      return true;
    case rdb_set_intset:
    case rdb_set_listpack: skip_string(), leave_out("a set"); return true;
    default: return false;
  }
}

// --- items ---

bool RdbReader::key_and_value(std::uint8_t type) {
  key_ = string(element_);
  if (!in_.ok()) return false;
  const std::optional<std::int64_t> expires_ms = std::exchange(expires_ms_, std::nullopt);
  if (left_out(type)) return in_.ok();
  if (keys_ == nullptr) return fail("this database does not exist (see --databases)");
  KeyFiller filler(*keys_, key_);
  if (!value(type, filler)) return false;
  if (filler.empty()) return fail("a value without elements");
  if (expires_ms) filler.expire(*expires_ms);
  ++report_.loaded;
  return true;
}

RdbReader::Next RdbReader::item() {
  item_at_ = in_.position();
  const std::uint8_t first = in_.u8();
  switch (first) {
    case op_end: return in_.ok() ? Next::ends : Next::wrong;
    case op_database: {
      const std::uint64_t number = length();
      keys_ = number > UINT32_MAX ? nullptr : replay_.database(static_cast<unsigned>(number));
      break;
    }
    case op_expires_s: expires_ms_ = std::int64_t{1000} * in_.u32(); break;
    case op_expires_ms: expires_ms_ = static_cast<std::int64_t>(in_.u64()); break;
    case op_frequency: in_.skip(1); break;
    case op_idle: length(); break;
    case op_sizes: skip_lengths(2); break;
    case op_slot: skip_lengths(3); break;
    case op_note: skip_string(), skip_string(); break;
    case op_module: skip_module(false); break;
    case op_functions:
      skip_string();
      report_.refused.push_back("byte " + std::to_string(item_at_) +
                                ": functions, which kv does not have");
      break;
    default: key_and_value(first); break;
  }
  return in_.ok() ? Next::goes_on : Next::wrong;
}

Status RdbReader::checksum() {
  if (version_ < first_with_checksum) return {};
  boost::crc_optimal<64, 0xad93d23594c935a9u, 0, 0, true, true> sum;
  sum.process_bytes(bytes_.data(), in_.position());
  const std::uint64_t stated = in_.u64();  // 0: it was switched off
  if (in_.ok() && (stated == 0 || stated == sum.checksum())) return {};
  return {Code::corrupt, "the checksum at the end is missing or wrong: the file is damaged"};
}

Status RdbReader::load() {
  in_.skip(magic.size());
  for (const char digit : in_.take(version_digits)) {
    if (digit < '0' || digit > '9') in_.fail();
    version_ = version_ * 10 + static_cast<unsigned>(digit - '0');
  }
  if (!in_.ok()) return {Code::protocol, "an RDB file without a version"};
  keys_ = replay_.database(0);
  for (;;) {
    const Next next = item();
    if (next == Next::ends) return checksum();
    if (next == Next::goes_on) continue;
    if (error_.empty()) error_ = "the file ends too early";
    return {Code::protocol, "byte " + std::to_string(item_at_) + ": " + error_ + " (RDB version " +
                                std::to_string(version_) + ")"};
  }
}

}  // namespace

bool is_rdb(std::string_view bytes) noexcept { return bytes.starts_with(magic); }

Status load_rdb(std::string_view bytes, const Replay& replay, LoadReport& report,
                std::string_view& rest) {
  RdbReader reader(bytes, replay, report);
  Status s = reader.load();
  rest = reader.rest();
  return s;
}

}  // namespace kv
