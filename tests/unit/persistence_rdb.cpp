// RDB files in forms that today's redis-server no longer writes, and hostile ones. What it does
// write is read in tests/python/redis_files.py.
#include <boost/crc.hpp>
#include <catch2/catch.hpp>
#include <random>

#include "libkv/keyspace/digest.hpp"
#include "libkv/rdb/form.hpp"
#include "libkv/rdb/packed.hpp"
#include "persistence/rdb.hpp"
#include "persistence/scratch.hpp"

namespace {

using kv::append_fixed;

std::string sized(std::string_view text) {
  REQUIRE(text.size() < 64);
  return std::string(1, static_cast<char>(text.size())).append(text);
}

/// A file of version 4, which has no checksum, with these items.
std::string file(std::string_view items) {
  return "REDIS0004\xfe" + std::string(1, '\0').append(items) + "\xff";
}

std::string key(char type, std::string_view name, std::string_view value) {
  return std::string(1, type) + sized(name) + std::string(value);
}

/// A ziplist of entries that say how long the one before is in one byte.
std::string ziplist(std::string_view entries) {
  std::string bytes;
  append_fixed(bytes, 10 + entries.size() + 1, 4);
  append_fixed(bytes, 10, 4);
  append_fixed(bytes, 0, 2);
  return bytes.append(entries) + "\xff";
}

std::string listpack(std::string_view entries) {
  std::string bytes;
  append_fixed(bytes, 6 + entries.size() + 1, 4);
  append_fixed(bytes, 65535, 2);
  return bytes.append(entries) + "\xff";
}

std::string elements_of(const char* (*form)(std::string_view, kv::ElementVisitor),
                        std::string_view bytes) {
  std::string all;
  const char* const wrong = form(bytes, [&all](std::string_view element) {
    all.append(all.empty() ? "" : " ").append(element);
  });
  return wrong == nullptr ? all : "(" + std::string(wrong) + ")";
}

struct Loaded {
  kv::Scratch databases;
  kv::LoadReport report;
  std::string_view rest;
  kv::Status status;
  explicit Loaded(std::string_view bytes)
      : status(kv::load_rdb(bytes, databases.replay(), report, rest)) {}
  kv::Keyspace& keys() { return *databases.replay().database(0); }
};

using namespace std::string_literals;

}  // namespace

TEST_CASE("rdb: every width of a number in a ziplist, as of Redis 2.6 to 6") {
  const std::string all =
      "\0\x02hi"s                  // six bits of length
      "\0\x40\x03two"s             // fourteen
      "\0\x80\0\0\0\x01x"s         // thirty-two
      "\0\xc0\x18\xfc"s            // 16 bits: -1000
      "\0\xd0\x60\x79\xfe\xff"s    // 32 bits: -100000
      "\0\xe0\0\0\0\0\0\0\0\x80"s  // 64 bits
      "\0\xf0\xff\xff\x7f"s        // 24 bits
      "\0\xfe\x80"s                // 8 bits
      "\0\xf1\0\xfd"s              // 0 and 12
      "\xfe\x01\0\0\0\xf2"s;       // behind a long one: 1
  CHECK(elements_of(kv::visit_ziplist, ziplist(all)) ==
        "hi two x -1000 -100000 -9223372036854775808 8388607 -128 0 12 1");
  CHECK(elements_of(kv::visit_ziplist, ziplist("\0\xff"s)) ==
        "(an element of a packed value has no known encoding)");
  CHECK(elements_of(kv::visit_ziplist, ziplist("\0\x05x"s)) == "(a packed value ends too early)");
  CHECK(elements_of(kv::visit_ziplist, "short") ==
        "(a packed value has another length than it says)");
  CHECK(elements_of(kv::visit_ziplist, "") == "(a packed value has another length than it says)");
}

TEST_CASE("rdb: every width of a number in a listpack, as of Redis 7") {
  const std::string all =
      "\x7f\x01"s         // seven bits: 127
      "\x82hi\x03"s       // six bits of length
      "\xdf\xff\x02"s     // thirteen bits: -1
      "\xcf\xff\x02"s     // 4095
      "\xe0\x03two\x05"s  // twelve bits of length
      "\xf0\x01\0\0\0x\x06"s
      "\xf1\x18\xfc\x03"s    // -1000
      "\xf2\0\0\x80\x04"s    // -8388608
      "\xf3\0\0\0\x80\x05"s  // -2147483648
      "\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09"s;
  CHECK(elements_of(kv::visit_listpack, listpack(all)) ==
        "127 hi -1 4095 two x -1000 -8388608 -2147483648 9223372036854775807");
  const std::string long_text(200, 'x');  // its length backwards takes two bytes
  CHECK(elements_of(kv::visit_listpack, listpack("\xe0\xc8"s + long_text + "\x01\xca\x01\x01"s)) ==
        long_text + " 1");
  // Of 16383 bytes in all, which fit in two times 7 bits, the length takes three.
  const std::string border(16378, 'x');
  CHECK(elements_of(kv::visit_listpack, listpack("\xf0\xfa\x3f\0\0"s + border +
                                                 "\0\xff\xff\x01\x01"s)) == border + " 1");
  CHECK(elements_of(kv::visit_listpack, listpack("\xf5\x01"s)) ==
        "(an element of a packed value has no known encoding)");
  CHECK(elements_of(kv::visit_listpack, listpack("\x82h"s)) == "(a packed value ends too early)");
}

TEST_CASE("rdb: sets of numbers in each width, and the oldest hashes") {
  CHECK(elements_of(kv::visit_intset, "\x02\0\0\0\x02\0\0\0\xff\xff\x05\0"s) == "-1 5");
  CHECK(elements_of(kv::visit_intset, "\x04\0\0\0\x01\0\0\0\0\0\0\x80"s) == "-2147483648");
  CHECK(elements_of(kv::visit_intset, "\x08\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0"s) == "4294967297");
  CHECK(elements_of(kv::visit_intset, "\x02\0\0\0\x02\0\0\0\xff\xff"s) ==
        "(a packed value has another length than it says)");
  CHECK(elements_of(kv::visit_intset, "\x03\0\0\0\0\0\0\0"s) ==
        "(an element of a packed value has no known encoding)");
  const std::string map =
      "\x02\x01"
      "a\x01\x02"
      "1??\x01"
      "b\xfe\x02\0\0\0\0"
      "22\xff"s;
  CHECK(elements_of(kv::visit_zipmap, map) == "a 1 b 22");
  CHECK(elements_of(kv::visit_zipmap, map.substr(0, 9)) == "(a packed value ends too early)");
}

TEST_CASE("rdb: a file of an old version, without a checksum") {
  const std::string packed = ziplist(
      "\0\x01"
      "a\0\xf2"s);
  const std::string bytes =
      file("\xfc\x10\xa5\xd4\xe8\0\0\0\0"s + key(0, "s", "\xc0\x85"s) + "\xfd\x40\x42\x0f\x7f"s +
           key(10, "l", sized(packed)) + key(13, "h", sized(packed)) +
           key(1, "plain", "\x02" + sized("x") + sized("y")) +
           key(9, "old",
               sized("\x01\x01"
                     "a\x01\0"
                     "1\xff"s)));
  const std::string with_commands = bytes + "*1\r\n";
  Loaded got(with_commands);
  REQUIRE(got.status.ok());
  CHECK(got.report.loaded == 5);
  CHECK(got.rest == "*1\r\n");
  kv::Keyspace& keys = got.keys();
  const auto place = [&keys](std::string_view name) { return keys.peek(name, 0); };
  CHECK(keys.string(place("s")).bytes == "-123");
  CHECK(keys.expiry(place("s")) == 0xe8d4a510);
  CHECK(keys.expiry(place("l")) == 0x7f0f4240 * std::int64_t{1000});
  kv::Place list = place("l"), hash = place("h"), plain = place("plain"), old = place("old");
  CHECK(keys.list(list).at(1).bytes == "1");
  CHECK(keys.hash(hash).get("a")->bytes == "1");
  CHECK(keys.list(plain).size() == 2);
  CHECK(keys.hash(old).get("a")->bytes == "1");
}

TEST_CASE("rdb: what is wrong is said, and where (S5)") {
  const auto why = [](std::string_view items) {
    Loaded got(file(items));
    return std::string(got.status.message());
  };
  CHECK(why(key(0, "s",
                "\xc3\x02\x40\xff"
                "ab"s)) == "byte 11: a packed string cannot be unpacked (RDB version 4)");
  CHECK(why(key(0, "s",
                "\xc3\x02\x80\x20\0\0\0"
                "ab"s)) == "byte 11: a packed string has a length that cannot be (RDB version 4)");
  CHECK(why(key(0, "s",
                "\x81\xff\xff\xff\xff\xff\xff\xff\xff"
                "ab"s)) == "byte 11: a string is longer than kv takes (RDB version 4)");
  CHECK(why(key(1, "l",
                "\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                "a"s)) == "byte 11: a string has no known form (RDB version 4)");
  CHECK(why(key(4, "h",
                "\x80\xff\xff\xff\xff\x01"
                "a"s)) == "byte 11: a hash is larger than the file (RDB version 4)");
  CHECK(why(key(13, "h", sized(ziplist("\0\xf2"s)))) ==
        "byte 11: a field of a hash has no value (RDB version 4)");
  CHECK(why(key(99, "x", "")) ==
        "byte 11: a value of type 99, which kv does not know (RDB version 4)");
  CHECK(why("\xfe\x80\xff\xff\xff\xff"s + key(0, "s", sized("v"))).find("--databases") ==
        std::string::npos);
  CHECK(Loaded("REDISx").status.message() == "an RDB file without a version");
  CHECK(Loaded("REDIS0004").status.message() == "byte 9: it ends too early (RDB version 4)");
}

TEST_CASE("rdb: the checksum is Redis's, whatever the length") {
  CHECK(kv::rdb_checksum("") == 0);
  CHECK(kv::rdb_checksum("123456789") == 0xe9c6d914c4b8d9ca);
  std::mt19937 dice(12);
  std::string bytes;
  for (int size = 0; size < 100; ++size) {
    boost::crc_optimal<64, 0xad93d23594c935a9u, 0, 0, true, true> byte_by_byte;
    byte_by_byte.process_bytes(bytes.data(), bytes.size());
    REQUIRE(kv::rdb_checksum(bytes) == byte_by_byte.checksum());
    bytes.push_back(static_cast<char>(dice()));
  }
}

TEST_CASE("rdb: what is empty is left out, and the rest read") {
  const std::string none = sized(ziplist(""));
  Loaded got(file("\xfc\x10\xa5\xd4\xe8\0\0\0\0"s + key(1, "l", "\0"s) + key(2, "t", "\0"s) +
                  key(4, "h", "\0"s) + key(10, "z", none) + key(14, "q", "\0"s) +
                  key(14, "r", "\x01" + none) + key(1, "kept", "\x01" + sized("x"))));
  CAPTURE(got.status.message());
  REQUIRE(got.status.ok());
  CHECK(got.report.loaded == 1);
  REQUIRE(got.report.refused.size() == 6);
  CHECK(got.report.refused[0] ==
        "byte 20: the key \"l\" is a value without elements, which kv does not have");
  CHECK(got.keys().size() == 1);
  CHECK_FALSE(got.keys().expiry(got.keys().peek("kept", 0)));
}

TEST_CASE("rdb: bytes changed at random are read or refused, and nothing else (S5)") {
  const std::string packed = ziplist(
      "\0\x01"
      "a\0\xf2\0\xc0\x18\xfc\0\xfe\x80"s);
  const std::string small = listpack("\x82hi\x03\x7f\x01\xf1\x18\xfc\x03\xdf\xff\x02"s);
  const std::string good =
      file("\xfa" + sized("note") + sized("text") + "\xfb\x05\x01" + "\xf9\x01" +
           key(0, "s", "\xc3\x04\x05\0\x61\x40\0"s) + key(10, "l", sized(packed)) +
           key(13, "h", sized(packed)) + key(16, "p", sized(small)) +
           key(18, "q", "\x02\x02" + sized(small) + "\x01" + sized("plain")) +
           key(14, "r", "\x01" + sized(packed)) +
           key(3, "z",
               "\x02" + sized("m") +
                   "\x03"
                   "1.5" +
                   sized("n") + "\xfe") +
           key(5, "y", "\x01" + sized("m") + "12345678") + key(2, "t", "\x01" + sized("m")) +
           key(15, "x", "\x01" + sized("0123456789abcdef") + sized(small) + "\x01\x02\x03\0"s));
  const Loaded whole(good);
  CAPTURE(whole.status.message());
  REQUIRE(whole.status.ok());
  CHECK(whole.report.refused.size() == 1);  // a stream
  std::mt19937 dice(11);
  unsigned read = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bad = good;
    for (auto changes = 1 + dice() % 3; changes > 0; --changes) {
      bad[9 + dice() % (bad.size() - 9)] = static_cast<char>(dice());
    }
    if (dice() % 8 == 0) bad.resize(dice() % bad.size());
    Loaded got(bad);
    ++(got.status.ok() ? read : refused);
  }
  CHECK(read > 1000);
  CHECK(refused > 1000);
}
