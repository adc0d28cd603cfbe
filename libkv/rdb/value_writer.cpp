// See value_writer.hpp.
#include "libkv/rdb/value_writer.hpp"

#include <bit>

#include "libkv/base/bytes.hpp"
#include "libkv/rdb/form.hpp"

namespace kv {
namespace {

constexpr std::uint16_t version_written = 8;  // of Redis 4, the first with all forms used here
constexpr std::uint16_t version_read_max = 11;
constexpr std::size_t footer_bytes = 2 + 8;

class Writer {
 public:
  Writer(std::size_t most_bytes, std::string& out) : most_bytes_(most_bytes), out_(out) {}

  void type(RdbType type) { append_u8(out_, type); }
  void length(std::uint64_t n) {
    if (n < 1 << 6) return append_u8(out_, static_cast<std::uint8_t>(n));
    if (n < 1 << 14) return big_endian(n | 0x4000, 2);
    append_u8(out_, n <= UINT32_MAX ? 0x80 : 0x81);
    big_endian(n, n <= UINT32_MAX ? 4 : 8);
  }
  void string(std::string_view text) {
    length(text.size());
    if (fits(text.size())) out_.append(text);
  }
  void number(double n) {
    if (fits(sizeof n)) append_u64(out_, std::bit_cast<std::uint64_t>(n));
  }
  /// Once more than is wanted would have been written, nothing is.
  bool fits(std::size_t more = 0) noexcept {
    too_large_ = too_large_ || out_.size() + more + footer_bytes > most_bytes_;
    return !too_large_;
  }

 private:
  void big_endian(std::uint64_t n, unsigned bytes) {
    for (; bytes > 0; --bytes) append_u8(out_, static_cast<std::uint8_t>(n >> (8 * (bytes - 1))));
  }

  std::size_t most_bytes_;
  std::string& out_;
  bool too_large_ = false;
};

void write_list(Writer& out, const List& list) {
  out.type(rdb_list);
  out.length(list.size());
  list.visit(0, list.size(), [&out](const Scalar& element) {
    out.string(element.bytes);
    return out.fits();
  });
}

void write_hash(Writer& out, const Hash& hash) {
  out.type(rdb_hash);
  out.length(hash.size());
  hash.visit([&out](const Hash::Pair& pair) {
    out.string(pair.field.bytes);
    out.string(pair.value.bytes);
    return out.fits();
  });
}

void write_set(Writer& out, const Set& set) {
  out.type(rdb_set);
  out.length(set.size());
  set.visit([&out](const Scalar& member) {
    out.string(member.bytes);
    return out.fits();
  });
}

void write_sorted_set(Writer& out, const SortedSet& set) {
  out.type(rdb_sorted_set_2);
  out.length(set.size());
  set.visit(0, SIZE_MAX, Direction::up, [&out](const SortedSet::Element& element) {
    out.string(element.member.bytes);
    out.number(element.score);
    return out.fits();
  });
}

}  // namespace

bool serialise(Keyspace& keys, Place& place, std::size_t most_bytes, std::string& out) {
  Writer writer(most_bytes, out);
  switch (keys.type(place)) {
    case Type::none: return false;
    case Type::string: writer.type(rdb_string), writer.string(keys.string(place).bytes); break;
    case Type::list: write_list(writer, keys.list(place)); break;
    case Type::hash: write_hash(writer, keys.hash(place)); break;
    case Type::set: write_set(writer, keys.set(place)); break;
    case Type::zset: write_sorted_set(writer, keys.sorted_set(place)); break;
  }
  if (!writer.fits()) return false;
  append_u16(out, version_written);
  append_u64(out, rdb_checksum(out));
  return true;
}

std::string_view serialised_value(std::string_view bytes) noexcept {
  if (bytes.size() < footer_bytes) return {};
  const std::string_view value = bytes.substr(0, bytes.size() - footer_bytes);
  ByteReader footer(bytes.substr(value.size()));
  const std::uint16_t version = footer.u16();
  const std::uint64_t checksum = footer.u64();
  const bool right = rdb_checksum(bytes.substr(0, bytes.size() - 8)) == checksum;
  return right && version <= version_read_max ? value : std::string_view();
}

}  // namespace kv
