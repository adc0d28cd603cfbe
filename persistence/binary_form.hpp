// The bytes of kv.bin that its writer and its reader share: an envelope of our own around blocks
// that cereal wrote and zlib may have packed. FORMAT.md describes them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libkv/keyspace/keyspace.hpp"
#include "persistence/checksum.hpp"

namespace kv::binary_form {

inline constexpr std::string_view magic{"\x89kvbin\r\n", 8};
inline constexpr std::size_t block_bytes = 512 * 1024;    // a block is closed at this size
inline constexpr std::size_t packed_bytes_max = 4 << 20;  // larger blocks are stored as they are
inline constexpr std::size_t raw_bytes_max = std::size_t{2} << 30;  // no block is larger
inline constexpr std::size_t elements_at_a_time = 4096;  // of a long list, hash or set in one item

// All numbers are little-endian, as they lie in memory on the machines kv runs on.
static_assert(std::endian::native == std::endian::little);

struct FileHead {
  char magic_bytes[8];
  std::uint32_t version;
  std::uint32_t flags;  // 1: a log follows
  std::int64_t as_of_ns;
  std::uint32_t chain;
  std::uint32_t checksum;  // of everything before
};
static_assert(sizeof(FileHead) == 32);

enum class Method : std::uint32_t { stored = 0, zlib = 1, end = 2 };

struct BlockHead {
  Method method;
  std::uint32_t items;       // end: 0
  std::uint32_t raw_bytes;   // before packing; end: number of keys, low half
  std::uint32_t file_bytes;  // that follow; end: number of keys, high half
  std::uint32_t checksum;    // of this head before it and the bytes, continued from the last one
};
static_assert(sizeof(BlockHead) == 20);

// An item: flags, then database, expiry and key as the flags say, then the value or elements.
inline constexpr unsigned type_mask = 0x03;  // the low bits of Type
inline constexpr unsigned has_database = 0x04;
inline constexpr unsigned has_expiry = 0x08;
inline constexpr unsigned continues = 0x10;  // more elements of the key before
inline constexpr unsigned type_high = 0x20;  // Type's third bit; files before sets have none
inline constexpr unsigned known_flags = 0x3F;

inline constexpr unsigned flags_of(Type type) {
  const auto n = static_cast<unsigned>(type);
  return (n & type_mask) | (n > type_mask ? type_high : 0u);
}
/// May be one that is not known.
inline constexpr Type type_of(unsigned flags) {
  return static_cast<Type>((flags & type_mask) | ((flags & type_high) != 0 ? type_mask + 1 : 0u));
}

template <class T>
std::string_view bytes_of(const T& object) {
  return {reinterpret_cast<const char*>(&object), sizeof object};
}

/// Continued from block to block, so that a lost or swapped block shows.
inline std::uint32_t block_checksum(const BlockHead& head, std::string_view bytes,
                                    std::uint32_t before) {
  return crc32(bytes, crc32(bytes_of(head).substr(0, offsetof(BlockHead, checksum)), before));
}

}  // namespace kv::binary_form
