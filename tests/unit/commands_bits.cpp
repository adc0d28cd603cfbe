// Bits of strings and numbers within them. That each answer is Redis's is what
// tests/python/redis_compare.py sees to; here is what only kv can say of itself.
#include <bit>
#include <random>

#include "tests/unit/allocations.hpp"
#include "tests/unit/command_talk.hpp"

using kv::test::Talk;

TEST_CASE("commands/setbit: sets a bit, lengthens the string, and changes nothing twice") {
  Talk t;
  t.redis({{"SETBIT k 9 1", "0"},
           {"GET k", "'\\x00@'"},
           {"SETBIT k 9 1", "1"},
           {"SETBIT k 4294967296 1", "(ERR bit offset is not an integer or out of range)"},
           {"SETBIT k 1 2", "(ERR bit is not an integer or out of range)"},
           {"SETBIT %stats%/x 1 1", "(ERR %stats% keys are read-only)"}});
  t.pico({{"SETBIT k 9 0", "1"}});
}

TEST_CASE("commands/getbit: beyond the end all bits are 0") {
  Talk t;
  t.redis({{"SETBIT k 1 1", "0"}, {"GETBIT k 1", "1"}, {"GETBIT k 100", "0"}});
}

namespace {

/// Of a string of bits, as the command would find them one by one.
struct Naive {
  std::string text;
  bool bit(std::size_t i) const {
    return ((static_cast<unsigned char>(text[i / 8]) >> (7 - i % 8)) & 1u) != 0;
  }
  long count(std::size_t first, std::size_t last) const {
    long ones = 0;
    for (std::size_t i = first; i <= last; ++i) ones += bit(i) ? 1 : 0;
    return ones;
  }
  long find(bool wanted, std::size_t first, std::size_t last) const {
    for (std::size_t i = first; i <= last; ++i)
      if (bit(i) == wanted) return static_cast<long>(i);
    return -1;
  }
};

/// Mostly runs of the same byte, so that what passes over whole words is used.
std::string sparse_text(std::mt19937& dice) {
  std::string text;
  for (int runs = 0; runs < 4; ++runs) {
    text.append(dice() % 40, static_cast<char>(dice() % 2 == 0 ? 0 : 0xff));
    text += static_cast<char>(dice());
  }
  return text;
}

/// A string at k, and a range of its bits.
struct Round {
  Round(Talk& t, std::mt19937& dice) : naive{sparse_text(dice)} {
    t.server.database(0).clear();
    kv::Place place = t.server.database(0).locate("k", 0);
    t.server.database(0).set_string(place, kv::Scalar(naive.text));
    first = dice() % size();
    last = first + dice() % (size() - first);
  }
  std::size_t size() const { return naive.text.size() * 8; }

  Naive naive;
  std::size_t first = 0, last = 0;
};

std::string range_words(std::size_t first, std::size_t last) {
  return " " + std::to_string(first) + " " + std::to_string(last) + " BIT";
}

}  // namespace

TEST_CASE("commands/bitcount: counts as one would by hand, whatever the ends") {
  Talk t;
  std::mt19937 dice(7);
  for (int i = 0; i < 300; ++i) {
    const Round round(t, dice);
    const auto& [naive, first, last] = round;
    CAPTURE(i, first, last, naive.text.size());
    CHECK(t.r("BITCOUNT k" + range_words(first, last)) == std::to_string(naive.count(first, last)));
    CHECK(t.r("BITCOUNT k") == std::to_string(naive.count(0, round.size() - 1)));
  }
}

TEST_CASE("commands/bitpos: finds as one would by hand, whatever the ends") {
  Talk t;
  std::mt19937 dice(8);
  for (int i = 0; i < 300; ++i) {
    const Round round(t, dice);
    const auto& [naive, first, last] = round;
    for (const bool bit : {false, true}) {
      CAPTURE(i, first, last, bit, naive.text.size());
      const std::string range = range_words(first, last);
      CHECK(t.r("BITPOS k " + std::string(bit ? "1" : "0") + range) ==
            std::to_string(naive.find(bit, first, last)));
    }
  }
}

TEST_CASE("commands/bitop: combines strings of different lengths; nothing deletes the target") {
  Talk t;
  t.redis({{"SET a abc", "OK"},
           {"SETBIT b 0 1", "0"},
           {"BITOP XOR d a b", "3"},
           {"GET d", "'\\xe1bc'"},
           {"BITOP AND d nokey nokey", "0"},
           {"EXISTS d", "0"},
           {"BITOP NOT d a b", "(ERR BITOP NOT must be called with a single source key.)"},
           {"BITOP OR %stats%/x a", "(ERR %stats% keys are read-only)"}});
}

TEST_CASE("commands/bitfield: operations see each other; only an effect is a write") {
  Talk t;
  t.redis({{"BITFIELD k SET u8 0 5 INCRBY u8 0 3 GET u8 0", "[0 8 8]"},
           {"BITFIELD k OVERFLOW FAIL INCRBY u8 0 250 GET u8 0", "[nil 8]"},
           {"BITFIELD k OVERFLOW SAT INCRBY u8 0 250", "[255]"},
           {"BITFIELD k SET i64 4294967290 1",
            "(ERR string exceeds maximum allowed size (proto-max-bulk-len))"},
           {"BITFIELD k GET u64 0",
            "(ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported "
            "but i64 is.)"}});
}

TEST_CASE("commands/bitfield: a field of a large string costs its own bytes") {
  Talk t;
  t.redis({{"SETBIT k 67108863 1", "0"}});
  const kv::test::Allocations made;
  t.redis({{"BITFIELD k SET u32 8000 7 GET u32 8000", "[0 7]"}});
  CHECK(made.bytes() < 65536);
}

TEST_CASE("commands/bitfield_ro: reads, and refuses to write") {
  Talk t;
  t.redis({{"SET k A", "OK"},
           {"BITFIELD_RO k GET u8 0 GET i2 1", "[65 -2]"},
           {"BITFIELD_RO k SET u8 0 1", "(ERR BITFIELD_RO only supports the GET subcommand)"}});
}
