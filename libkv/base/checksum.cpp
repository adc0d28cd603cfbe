// See checksum.hpp. zlib does the long ones; it needs a run-up that costs a log line (about 100
// bytes) 150 ns, where eight tables take 50, so short ones are done here.
#include "libkv/base/checksum.hpp"

#include <zlib.h>

#include <array>
#include <bit>
#include <cstring>

namespace kv {
namespace {

static_assert(std::endian::native == std::endian::little, "crc_short reads words as they lie");

constexpr std::size_t short_bytes_max = 384;  // measured: from here on zlib is faster
constexpr std::uint32_t polynomial = 0xEDB88320;

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// tables[k][b]: the CRC register after byte b and k zero bytes (Kounavis and Berry, slicing-by-8).
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t c = b;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? polynomial : 0);
    tables[0][b] = c;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      const std::uint32_t c = tables[k - 1][b];
      tables[k][b] = (c >> 8) ^ tables[0][c & 0xFF];
    }
  }
  return tables;
}
constexpr Tables tables = make_tables();

std::uint32_t crc_short(const char* p, std::size_t n, std::uint32_t crc) noexcept {
  std::uint32_t c = ~crc;
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, 8);
    word ^= c;
    c = tables[7][word & 0xFF] ^ tables[6][(word >> 8) & 0xFF] ^ tables[5][(word >> 16) & 0xFF] ^
        tables[4][(word >> 24) & 0xFF] ^ tables[3][(word >> 32) & 0xFF] ^
        tables[2][(word >> 40) & 0xFF] ^ tables[1][(word >> 48) & 0xFF] ^ tables[0][word >> 56];
  }
  for (; n > 0; ++p, --n) c = (c >> 8) ^ tables[0][(c ^ static_cast<unsigned char>(*p)) & 0xFF];
  return ~c;
}

/// undo[t]: the byte whose register has t as its highest byte (the table's are all different).
constexpr std::array<unsigned char, 256> make_undo() {
  std::array<unsigned char, 256> undo{};
  for (std::size_t b = 0; b < 256; ++b) undo[tables[0][b] >> 24] = static_cast<unsigned char>(b);
  return undo;
}
constexpr std::array<unsigned char, 256> undo = make_undo();

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t crc) noexcept {
  if (bytes.size() <= short_bytes_max) return crc_short(bytes.data(), bytes.size(), crc);
  return static_cast<std::uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::optional<std::size_t> changed_byte(std::uint32_t difference, std::size_t size) noexcept {
  // The register is run backwards, a zero byte a step, until it is one that a single byte makes.
  std::optional<std::size_t> found;
  if (difference == 0) return found;
  for (std::size_t behind = 0; behind < size; ++behind) {
    const unsigned char byte = undo[difference >> 24];
    const std::uint32_t rest = difference ^ tables[0][byte];
    if (rest == 0) {
      if (found) return std::nullopt;
      found = behind;
    }
    difference = (rest << 8) | byte;
  }
  return found;
}

}  // namespace kv
