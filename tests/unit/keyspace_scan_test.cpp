// SCAN's guarantee: a key that is there from the first call to the last is visited at least once,
// whatever comes and goes between the calls, and the scan ends.
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <unordered_map>

#include "libkv/keyspace/keyspace.hpp"

using namespace kv;

namespace {

constexpr std::int64_t t0 = 1'700'000'000'000;

std::string lasting(std::size_t i) { return "lasting:" + std::to_string(i); }
std::string passing(std::size_t i) { return "passing:" + std::to_string(i); }

/// What happens between two calls: keys first..last-1 come (or go).
struct Change {
  std::size_t lasting_keys, passing_before;
  int per_call;  // > 0: so many passing keys come at each call; < 0: go
  std::size_t count;
};

struct Outcome {
  std::size_t calls = 0, visits = 0, missed = 0;
};

/// Scans while passing keys come or go; scan() and change() are the two kinds of collection.
template <class Scan, class Add, class Remove>
Outcome scan_under(const Change& c, Scan&& scan, Add&& add, Remove&& remove) {
  for (std::size_t i = 0; i < c.lasting_keys; ++i) add(lasting(i));
  std::size_t low = 0, high = 0;
  for (; high < c.passing_before; ++high) add(passing(high));
  std::unordered_map<std::string, int> seen;
  Outcome outcome;
  std::uint64_t cursor = 0;
  do {
    cursor = scan(cursor, c.count, [&](std::string_view key) {
      ++seen[std::string(key)];
      ++outcome.visits;
    });
    // Keys that come faster than the scan goes would outrun it for ever, in Redis as well.
    const int change = outcome.calls < 100 ? c.per_call : 0;
    for (int i = 0; i < change; ++i) add(passing(high++));
    for (int i = 0; i > change && low < high; --i) remove(passing(low++));
    REQUIRE(++outcome.calls < 50'000);
  } while (cursor != 0);
  for (std::size_t i = 0; i < c.lasting_keys; ++i) outcome.missed += !seen.contains(lasting(i));
  return outcome;
}

Outcome scan_keys(const Change& c) {
  Keyspace db;
  return scan_under(
      c,
      [&db](std::uint64_t cursor, std::size_t count, auto visit) {
        return db.scan(cursor, count, [&](const Keyspace::Item& item) { visit(item.key); });
      },
      [&db](const std::string& key) {
        Place p = db.locate(key, t0);
        db.set_string(p, "v");
      },
      [&db](const std::string& key) {
        Place p = db.locate(key, t0);
        db.erase(p);
      });
}

Outcome scan_fields(const Change& c) {
  Keyspace db;
  return scan_under(
      c,
      [&db](std::uint64_t cursor, std::size_t count, auto visit) {
        Place p = db.locate("h", t0);
        return db.hash(p).scan(cursor, count,
                               [&](const Hash::Pair& pair) { visit(pair.field.bytes); });
      },
      [&db](const std::string& field) {
        Place p = db.locate("h", t0);
        db.make_hash(p).set(Scalar(field), "v");
      },
      [&db](const std::string& field) {
        Place p = db.locate("h", t0);
        db.hash(p).erase(field);
      });
}

}  // namespace

TEST_CASE(
    "keyspace/scan: nothing is missed while the table stands still, and nothing comes twice") {
  for (const std::size_t n : {0u, 1u, 7u, 100u, 1500u, 40'000u}) {
    for (const std::size_t count : {1u, 10u, 1000u}) {
      const Outcome o = scan_keys({n, 0, 0, count});
      INFO(n << " keys, count " << count);
      CHECK(o.missed == 0);
      CHECK(o.visits == n);
      CHECK(o.calls <= n / count + 2 + n / 500);
    }
  }
}

TEST_CASE("keyspace/scan: nothing is missed while the table grows a hundredfold") {
  for (const int per_call : {5, 50, 1000}) {
    const Outcome o = scan_keys({3000, 0, per_call, 10});
    CHECK(o.missed == 0);
    CHECK(o.calls > 100);
  }
}

TEST_CASE("keyspace/scan: nothing is missed while the table shrinks to a hundredth") {
  for (const int per_call : {20, 200, 1500}) {
    const Outcome o = scan_keys({1000, 50'000, -per_call, 10});
    CHECK(o.missed == 0);
    CHECK(o.calls > 20);
  }
}

TEST_CASE("keyspace/scan: nothing is missed while it grows, shrinks and grows again") {
  std::mt19937 random(3);
  for (int round = 0; round < 5; ++round) {
    Keyspace db;
    const auto add = [&db](const std::string& key) {
      Place p = db.locate(key, t0);
      db.set_string(p, "v");
    };
    for (std::size_t i = 0; i < 2000; ++i) add(lasting(i));
    std::unordered_map<std::string, int> seen;
    std::uint64_t cursor = 0;
    std::size_t low = 0, high = 0, calls = 0;
    do {
      cursor = db.scan(cursor, 1 + random() % 30,
                       [&seen](const Keyspace::Item& item) { ++seen[std::string(item.key)]; });
      if (calls > 200) {
      } else if ((calls / 20) % 2 == 0) {
        for (std::size_t i = random() % 4000; i != 0; --i) add(passing(high++));
      } else {
        for (std::size_t i = random() % 5000; i != 0 && low < high; --i) {
          const std::string key = passing(low++);
          Place p = db.locate(key, t0);
          db.erase(p);
        }
      }
      REQUIRE(++calls < 20'000);
    } while (cursor != 0);
    std::size_t missed = 0;
    for (std::size_t i = 0; i < 2000; ++i) missed += !seen.contains(lasting(i));
    CHECK(missed == 0);
  }
}

TEST_CASE("keyspace/scan: a large hash has the same guarantee over its fields") {
  CHECK(scan_fields({2000, 0, 0, 10}).missed == 0);
  CHECK(scan_fields({2000, 0, 100, 10}).missed == 0);
  CHECK(scan_fields({500, 50'000, -300, 10}).missed == 0);
  const Outcome small = scan_fields({100, 0, 0, 10});
  CHECK(small.calls == 1);
  CHECK(small.visits == 100);
}

TEST_CASE("keyspace/scan: a cursor nobody was given does no harm") {
  Keyspace db;
  std::mt19937_64 random(9);
  for (std::size_t i = 0; i < 5000; ++i) {
    const std::string key = lasting(i);
    Place p = db.locate(key, t0);
    db.set_string(p, "v");
    std::size_t visits = 0;
    const std::uint64_t cursor = random() >> (random() % 64);
    db.scan(cursor, 10, [&visits](const Keyspace::Item&) { ++visits; });
    REQUIRE(visits <= 30);
  }
  db.scan(UINT64_MAX, SIZE_MAX, [](const Keyspace::Item&) {});
}
