// See rdb.hpp.
#include <optional>
#include <string>
#include <utility>

#include "libkv/base/text.hpp"
#include "libkv/rdb/value_reader.hpp"
#include "persistence/rdb.hpp"

namespace kv {
namespace {

constexpr std::string_view magic = "REDIS";
constexpr std::size_t version_digits = 4;    // behind it
constexpr unsigned first_with_checksum = 5;  // of the versions

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

class RdbReader {
 public:
  RdbReader(std::string_view bytes, const Replay& replay, LoadReport& report)
      : bytes_(bytes), values_(bytes), in_(values_.bytes()), replay_(replay), report_(report) {}

  Status load();
  std::string_view rest() const noexcept { return in_.rest(); }

 private:
  enum class Next : std::uint8_t { goes_on, ends, wrong };
  Next item();
  bool key_and_value(std::uint8_t type);
  void leave_out(std::string_view what);
  Status checksum();

  std::string_view bytes_;
  RdbValueReader values_;
  ByteReader& in_;  // what values_ reads from
  const Replay& replay_;
  LoadReport& report_;
  unsigned version_ = 0;
  Keyspace* keys_ = nullptr;
  std::optional<std::int64_t> expires_ms_;  // of the next key
  std::size_t item_at_ = 0;
};

void RdbReader::leave_out(std::string_view what) {
  report_.refused.push_back("byte " + std::to_string(item_at_) + ": " + std::string(what) +
                            ", which kv does not have");
}

bool RdbReader::key_and_value(std::uint8_t type) {
  const std::string key(values_.string());
  if (!in_.ok()) return false;
  const std::optional<std::int64_t> expires_ms = std::exchange(expires_ms_, std::nullopt);
  if (keys_ == nullptr) return values_.fail("this database does not exist (see --databases)");
  Place place = keys_->peek(key, 0);
  if (place.found()) keys_->erase(place);
  if (!values_.value(type, *keys_, place)) return false;
  if (const std::string_view what = values_.left_out(); !what.empty()) {
    leave_out("the key " + quoted(key) + " is " + std::string(what));
    return true;
  }
  if (expires_ms) keys_->set_expiry(place, expires_ms);
  ++report_.loaded;
  return true;
}

RdbReader::Next RdbReader::item() {
  item_at_ = in_.position();
  const std::uint8_t first = in_.u8();
  switch (first) {
    case op_end: return in_.ok() ? Next::ends : Next::wrong;
    case op_database: {
      const std::uint64_t number = values_.length();
      keys_ = number > UINT32_MAX ? nullptr : replay_.database(static_cast<unsigned>(number));
      break;
    }
    case op_expires_s: expires_ms_ = std::int64_t{1000} * in_.u32(); break;
    case op_expires_ms: expires_ms_ = static_cast<std::int64_t>(in_.u64()); break;
    case op_frequency: in_.skip(1); break;
    case op_idle: values_.length(); break;
    case op_sizes: values_.skip_lengths(2); break;
    case op_slot: values_.skip_lengths(3); break;
    case op_note: values_.skip_string(), values_.skip_string(); break;
    case op_module: values_.skip_module(false); break;
    case op_functions: values_.skip_string(), leave_out("functions"); break;
    default: key_and_value(first); break;
  }
  return in_.ok() ? Next::goes_on : Next::wrong;
}

Status RdbReader::checksum() {
  if (version_ < first_with_checksum) return {};
  const std::uint64_t found = rdb_checksum(bytes_.substr(0, in_.position()));
  const std::uint64_t stated = in_.u64();  // 0: it was switched off
  if (in_.ok() && (stated == 0 || stated == found)) return {};
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
    return {Code::protocol, "byte " + std::to_string(item_at_) + ": " +
                                std::string(values_.error()) + " (RDB version " +
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
