// libkv/base/bytes: reading never leaves the data, and a failure stays.
#include <catch2/catch.hpp>
#include <limits>
#include <string>

#include "libkv/base/bytes.hpp"

namespace kv {

TEST_CASE("base/bytes: what is written is read back") {
  std::string out;
  append_u8(out, 200);
  append_u16(out, 0xABCD);
  append_u32(out, 0xDEADBEEF);
  append_u64(out, 0x0123456789ABCDEF);
  append_sized(out, "text");
  CHECK(out.substr(1, 2) == "\xCD\xAB");  // little-endian
  ByteReader in(out);
  CHECK(in.u8() == 200);
  CHECK(in.u16() == 0xABCD);
  CHECK(in.u32() == 0xDEADBEEF);
  CHECK(in.u64() == 0x0123456789ABCDEF);
  CHECK(in.sized(4) == "text");
  CHECK(in.at_end());
  CHECK(in.ok());
}

TEST_CASE("base/bytes: varints of every length") {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    const std::uint64_t n =
        bits == 64 ? std::numeric_limits<std::uint64_t>::max() : (std::uint64_t{1} << bits) - 1;
    std::string out;
    append_varint(out, n);
    CHECK(out.size() == (bits == 0 ? 1 : (bits + 6) / 7));
    ByteReader in(out);
    CHECK(in.varint() == n);
    CHECK(in.ok());
    CHECK(in.at_end());
  }
}

TEST_CASE("base/bytes: N1 a varint that is too long or too large fails") {
  for (const std::string& bad : {std::string(11, '\x80'), std::string(9, '\xFF') + "\x02",
                                 std::string(10, '\xFF'), std::string(3, '\x80')}) {
    ByteReader in(bad);
    CHECK(in.varint() == 0);
    CHECK_FALSE(in.ok());
  }
}

TEST_CASE("base/bytes: N2 a read that does not fit fails, and nothing is read after it") {
  const std::string data = "abc";
  ByteReader in(data);
  CHECK(in.u32() == 0);
  CHECK_FALSE(in.ok());
  CHECK(in.u8() == 0);
  CHECK(in.take(1).empty());
  CHECK(in.rest().empty());
  CHECK(in.position() == 0);
  ByteReader huge(data);
  CHECK(huge.take(std::numeric_limits<std::uint64_t>::max()).empty());
  CHECK_FALSE(huge.ok());
  std::string sized;
  append_sized(sized, "12345");
  ByteReader limited(sized);
  CHECK(limited.sized(4).empty());
  CHECK_FALSE(limited.ok());
}

}  // namespace kv
