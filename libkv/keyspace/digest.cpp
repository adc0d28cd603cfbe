// Redis's dataset digest. See digest.hpp.
#include "libkv/keyspace/digest.hpp"

#include <array>
#include <boost/uuid/detail/sha1.hpp>
#include <cstdint>
#include <cstdio>

namespace kv {
namespace {

/// 160 bits that byte strings are mixed or xored into.
class Sum {
 public:
  /// Order does not count: the SHA-1 of the bytes is xored in.
  void combine(std::string_view bytes) noexcept { xor_in(sha1(bytes)); }
  /// Order counts: as combine, then the whole is hashed once more.
  void mix(std::string_view bytes) noexcept {
    combine(bytes);
    bytes_ = sha1(view());
  }
  /// A number of 32 bits, highest byte first.
  void mix(std::uint32_t n) noexcept {
    char bytes[4];
    for (unsigned i = 0; i < 4; ++i) bytes[i] = static_cast<char>(n >> (24 - 8 * i));
    mix(std::string_view(bytes, sizeof bytes));
  }
  std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }
  std::string hex() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes_) {
      text += digits[byte >> 4];
      text += digits[byte & 15];
    }
    return text;
  }

 private:
  using Bytes = std::array<unsigned char, 20>;

  static Bytes sha1(std::string_view bytes) noexcept {
    boost::uuids::detail::sha1 hash;
    hash.process_bytes(bytes.data(), bytes.size());
    unsigned words[5];
    hash.get_digest(words);
    Bytes sum;
    for (unsigned i = 0; i < sum.size(); ++i) {
      sum[i] = static_cast<unsigned char>(words[i / 4] >> (24 - 8 * (i % 4)));
    }
    return sum;
  }
  void xor_in(const Bytes& other) noexcept {
    for (unsigned i = 0; i < bytes_.size(); ++i) bytes_[i] ^= other[i];
  }

  Bytes bytes_{};
};

/// The numbers Redis gives its types.
std::uint32_t type_number(Type type) noexcept {
  if (type == Type::list) return 1;
  if (type == Type::set) return 2;
  if (type == Type::zset) return 3;
  return type == Type::hash ? 4 : 0;
}

void mix_value(Sum& sum, Keyspace& keys, Place& place) {
  const Type type = keys.type(place);
  sum.mix(type_number(type));
  if (type == Type::string) {
    sum.mix(keys.string(place).bytes);
  } else if (type == Type::list) {
    keys.list(place).visit(0, SIZE_MAX, [&sum](const Scalar& element) {
      sum.mix(element.bytes);
      return true;
    });
  } else if (type == Type::set) {
    keys.set(place).visit([&sum](const Scalar& member) {
      sum.combine(member.bytes);
      return true;
    });
  } else if (type == Type::zset) {
    keys.sorted_set(place).visit(0, SIZE_MAX, Direction::up, [&sum](const auto& element) {
      char score[32];
      const int bytes = std::snprintf(score, sizeof score, "%.17g", element.score);
      Sum one;
      one.mix(element.member.bytes);
      one.mix(std::string_view(score, static_cast<std::size_t>(bytes)));
      sum.combine(one.view());
      return true;
    });
  } else {
    keys.hash(place).visit([&sum](const Hash::Pair& pair) {
      Sum one;
      one.mix(pair.field.bytes);
      one.mix(pair.value.bytes);
      sum.combine(one.view());
      return true;
    });
  }
  if (keys.expiry(place)) sum.combine("!!expire!!");
}

}  // namespace

std::string dataset_digest(std::span<Keyspace* const> databases) {
  Sum all;
  for (std::size_t i = 0; i < databases.size(); ++i) {
    Keyspace& keys = *databases[i];
    if (keys.size() == 0) continue;
    all.mix(static_cast<std::uint32_t>(i));
    keys.for_each([&](const Keyspace::Item& item) {
      Sum one;
      one.mix(item.key);
      Place place = item.place;
      mix_value(one, keys, place);
      all.combine(one.view());
      return true;
    });
  }
  return all.hex();
}

std::string value_digest(Keyspace& keys, Place& place) {
  Sum sum;
  if (place.found()) mix_value(sum, keys, place);
  return sum.hex();
}

}  // namespace kv
