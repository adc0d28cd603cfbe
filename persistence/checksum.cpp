// See checksum.hpp. libdeflate does it with the processor's carry-less multiplication: a log line
// of 84 bytes takes it 20 ns, where zlib takes 160 and slicing by 8 takes 63; a mebibyte 0.11 ms,
// where zlib takes 0.45.
#include "persistence/checksum.hpp"

#include <libdeflate.h>

#include <array>

namespace kv {
namespace {

constexpr std::uint32_t polynomial = 0xEDB88320;

using Table = std::array<std::uint32_t, 256>;

/// The CRC register after each byte.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t c = b;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? polynomial : 0);
    table[b] = c;
  }
  return table;
}
constexpr Table table = make_table();

/// undo[t]: the byte whose register has t as its highest byte (the table's are all different).
constexpr std::array<unsigned char, 256> make_undo() {
  std::array<unsigned char, 256> undo{};
  for (std::size_t b = 0; b < 256; ++b) undo[table[b] >> 24] = static_cast<unsigned char>(b);
  return undo;
}
constexpr std::array<unsigned char, 256> undo = make_undo();

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t crc) noexcept {
  // Without bytes their place may be null, which asks for the start value.
  return bytes.empty() ? crc : libdeflate_crc32(crc, bytes.data(), bytes.size());
}

std::optional<std::size_t> changed_byte(std::uint32_t difference, std::size_t size) noexcept {
  // The register is run backwards, a zero byte a step, until it is one that a single byte makes.
  std::optional<std::size_t> found;
  if (difference == 0) return found;
  for (std::size_t behind = 0; behind < size; ++behind) {
    const unsigned char byte = undo[difference >> 24];
    const std::uint32_t rest = difference ^ table[byte];
    if (rest == 0) {
      if (found) return std::nullopt;
      found = behind;
    }
    difference = (rest << 8) | byte;
  }
  return found;
}

}  // namespace kv
