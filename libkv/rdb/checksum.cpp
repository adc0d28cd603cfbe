// The checksum of RDB files and of DUMP, eight bytes at a time: a value may have 512 MB, and the
// server does nothing else meanwhile. Byte by byte it takes five times as long.
#include <array>

#include "libkv/rdb/form.hpp"

namespace kv {
namespace {

constexpr std::uint64_t polynomial = 0x95ac9329ac4bc9b5;  // the lowest bit first

/// tables[k][byte]: what a byte comes to with k zero bytes behind it.
using Tables = std::array<std::array<std::uint64_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    std::uint64_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? polynomial : 0);
    tables[0][byte] = sum;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint64_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables tables = make_tables();

std::uint64_t byte_of(const char* p, unsigned i) noexcept {
  return static_cast<unsigned char>(p[i]);
}

/// Eight bytes, the lowest first: compilers make one load of it.
std::uint64_t word_at(const char* p) noexcept {
  return byte_of(p, 0) | byte_of(p, 1) << 8 | byte_of(p, 2) << 16 | byte_of(p, 3) << 24 |
         byte_of(p, 4) << 32 | byte_of(p, 5) << 40 | byte_of(p, 6) << 48 | byte_of(p, 7) << 56;
}

}  // namespace

std::uint64_t rdb_checksum(std::string_view bytes) noexcept {
  std::uint64_t sum = 0;
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    const std::uint64_t w = sum ^ word_at(p);
    sum = tables[7][w & 0xff] ^ tables[6][w >> 8 & 0xff] ^ tables[5][w >> 16 & 0xff] ^
          tables[4][w >> 24 & 0xff] ^ tables[3][w >> 32 & 0xff] ^ tables[2][w >> 40 & 0xff] ^
          tables[1][w >> 48 & 0xff] ^ tables[0][w >> 56];
  }
  for (; left > 0; --left, ++p) sum = sum >> 8 ^ tables[0][(sum ^ byte_of(p, 0)) & 0xff];
  return sum;
}

}  // namespace kv
