// The one bounded way to read foreign bytes, and the helpers that write the same forms.
//
// A ByteReader walks a string_view it does not own. Reading past the end never happens: the first
// read that does not fit makes the reader fail, and from then on every read gives zero or nothing,
// so a parser may read a whole header and ask ok() once. Fixed-size integers are little-endian.
// A varint is LEB128: seven bits a byte, low bits first, high bit set on all but the last byte; at
// most ten bytes, and a value over 64 bits fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kv {

class ByteReader {
 public:
  explicit ByteReader(std::string_view data) noexcept : data_(data) {}

  bool ok() const noexcept { return !failed_; }
  bool at_end() const noexcept { return position_ == data_.size(); }
  std::size_t position() const noexcept { return position_; }  ///< bytes read so far
  std::size_t left() const noexcept { return data_.size() - position_; }
  /// What has not been read; empty after a failure.
  std::string_view rest() const noexcept { return failed_ ? "" : data_.substr(position_); }

  std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(fixed(1)); }
  std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(fixed(2)); }
  std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(fixed(4)); }
  std::uint64_t u64() noexcept { return fixed(8); }
  std::uint64_t varint() noexcept;
  /// The next n bytes, still owned by whoever owns the data; nothing if there are fewer.
  std::string_view take(std::uint64_t n) noexcept {
    if (failed_ || n > left()) return fail(), std::string_view{};
    const std::string_view taken = data_.substr(position_, static_cast<std::size_t>(n));
    position_ += taken.size();
    return taken;
  }
  /// A varint length, then that many bytes, at most bytes_max.
  std::string_view sized(std::uint64_t bytes_max) noexcept {
    const std::uint64_t n = varint();
    if (n > bytes_max) fail();
    return take(n);
  }
  void skip(std::uint64_t n) noexcept { take(n); }
  void fail() noexcept { failed_ = true; }

 private:
  std::uint64_t fixed(std::size_t n) noexcept {
    const std::string_view bytes = take(n);
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i > 0; --i)
      value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
    return value;
  }

  std::string_view data_;
  std::size_t position_ = 0;
  bool failed_ = false;
};

inline std::uint64_t ByteReader::varint() noexcept {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = u8();
    if (shift == 63 && byte > 1) fail();
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (failed_) return 0;
    if ((byte & 0x80) == 0) return value;
  }
  fail();
  return 0;
}

// --- writing: each appends to out ---

/// The low n bytes of value, little-endian. n <= 8.
inline void append_fixed(std::string& out, std::uint64_t value, std::size_t n) {
  char bytes[8];
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out.append(bytes, n);
}
inline void append_u8(std::string& out, std::uint8_t v) { out.push_back(static_cast<char>(v)); }
inline void append_u16(std::string& out, std::uint16_t v) { append_fixed(out, v, 2); }
inline void append_u32(std::string& out, std::uint32_t v) { append_fixed(out, v, 4); }
inline void append_u64(std::string& out, std::uint64_t v) { append_fixed(out, v, 8); }
inline void append_varint(std::string& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}
/// What ByteReader::sized reads.
inline void append_sized(std::string& out, std::string_view bytes) {
  append_varint(out, bytes.size());
  out.append(bytes);
}

}  // namespace kv
