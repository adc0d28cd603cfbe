// CRC-32, the checksum of every file kv writes (polynomial 0xEDB88320, as zlib, gzip and PNG use
// it).
//
// For finding damage, not for keeping out an attacker: whoever can write a file can also seal it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kv {

/// CRC-32 of bytes, continued from crc (0 starts). crc32("123456789") is 0xCBF43926.
std::uint32_t crc32(std::string_view bytes, std::uint32_t crc = 0) noexcept;

/// Which byte was changed? difference is the exclusive or of the right checksum of size bytes and
/// the wrong one. If exactly one byte could explain it: how many bytes follow that one. A chance
/// hit is as likely as size * 255 in 2^32.
std::optional<std::size_t> changed_byte(std::uint32_t difference, std::size_t size) noexcept;

}  // namespace kv
