// What only looks at a Keyspace: encodings, access notes, memory, walks, digests.
#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "libkv/keyspace/digest.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/keyspace/siphash.hpp"
#include "tests/unit/keyspace_fixture.hpp"

using namespace kv;
using namespace kv::keyspace_test;

TEST_CASE("keyspace/encoding: Redis 7.0's words, as redis-server 7.0.15 gives them") {
  Keyspace db;
  const auto of = [&db](const Scalar& value) {
    set(db, "k", value);
    return encoding(db, "k");
  };
  CHECK(of("12345") == "int");
  CHECK(of("-9223372036854775808") == "int");
  CHECK(of("9223372036854775808") == "embstr");
  CHECK(of("012") == "embstr");
  CHECK(of("-0") == "embstr");
  CHECK(of("") == "embstr");
  CHECK(of(Scalar(big(44))) == "embstr");
  CHECK(of(Scalar(big(45))) == "raw");
  CHECK(of(Scalar(big(100'000))) == "raw");
  set(db, "n", "123");
  Place p = db.locate("n", t0);
  db.append(p, "4");
  CHECK(encoding(db, "n") == "raw");
  db.replace_string(p, "1235");
  CHECK(encoding(db, "n") == "int");
  db.overwrite(p, 0, "9");
  CHECK(encoding(db, "n") == "raw");
  p = db.locate("fresh", t0);
  db.append(p, "12");
  CHECK(encoding(db, "fresh") == "int");
  rpush(db, "l", {"a"});
  CHECK(encoding(db, "l") == "quicklist");
  rpush(db, "l", std::vector<std::string>(5000, "element"));
  CHECK(encoding(db, "l") == "quicklist");
  for (int i = 0; i < 512; ++i) hset(db, "h", "f" + std::to_string(i), big(64));
  CHECK(encoding(db, "h") == "listpack");
  hset(db, "h", "one more", "v");
  CHECK(encoding(db, "h") == "hashtable");
  p = db.locate("h", t0);
  for (int i = 0; i < 500; ++i) db.hash(p).erase("f" + std::to_string(i));
  CHECK(encoding(db, "h") == "hashtable");
  hset(db, "long value", "f", big(64));
  CHECK(encoding(db, "long value") == "listpack");
  hset(db, "long value", "f", big(65));
  CHECK(encoding(db, "long value") == "hashtable");
}

TEST_CASE("keyspace/encoding: a set is an intset until it was more, as in redis-server 7.0.15") {
  Keyspace db;
  for (int i = 0; i < 512; ++i) sadd(db, "s", {std::to_string(i)});
  CHECK(encoding(db, "s") == "intset");
  sadd(db, "s", {"0"});
  CHECK(encoding(db, "s") == "intset");
  sadd(db, "s", {"512"});
  CHECK(encoding(db, "s") == "hashtable");
  for (const char* member : {"01", "-0", "", "9223372036854775808", "1.5"}) {
    Place p = db.peek("t", t0);
    db.erase(p);
    sadd(db, "t", {"1", "-9223372036854775808"});
    CHECK(encoding(db, "t") == "intset");
    sadd(db, "t", {member});
    CHECK(encoding(db, "t") == "hashtable");
    p = db.peek("t", t0);
    db.set(p).erase(member);
    db.set_expiry(p, t0 + 9);
    CHECK(encoding(db, "t") == "hashtable");  // it never goes back
    Place copy = db.peek("copy", t0);
    db.make_set(copy).assign(db.set(p));
    CHECK(encoding(db, "copy") == "hashtable");
    db.erase(copy);
  }
}

TEST_CASE("keyspace/object: idle time counts from the last locate, peek does not count") {
  Keyspace db;
  set(db, "k", "v");
  CHECK(db.idle_seconds(db.peek("k", t0), t0) == 0);
  CHECK(db.idle_seconds(db.peek("k", t0), t0 + 12'345) == 12);
  CHECK(db.idle_seconds(db.peek("k", t0), t0 - 5000) == 0);
  db.locate("k", t0 + 10'000);
  CHECK(db.idle_seconds(db.peek("k", t0), t0 + 12'345) == 2);
  db.set_access_tracking(false);
  db.locate("k", t0 + 90'000);
  CHECK(db.idle_seconds(db.peek("k", t0), t0 + 100'000) == 90);
  db.set_access_tracking(true);
  db.locate("k", t0 + 90'000);
  CHECK(db.idle_seconds(db.peek("k", t0), t0 + 100'000) == 10);
}

TEST_CASE("keyspace/memory: usage covers key and value and follows their size") {
  Keyspace db;
  set(db, "0123456789abcdef", Scalar(big(32)));
  CHECK(db.memory_usage(db.peek("0123456789abcdef", t0)) == 56 + 8);
  set(db, "large", Scalar(big(100'000)));
  CHECK(db.memory_usage(db.peek("large", t0)) > 100'000);
  CHECK(db.memory_usage(db.peek("large", t0)) < 110'000);
  std::mt19937 random(1);  // noise, since the inside of a long list is deflated
  std::vector<std::string> noise(10'000, big(20));
  for (std::string& element : noise) {
    for (char& c : element) c = static_cast<char>(random());
  }
  rpush(db, "list", noise);
  const std::size_t list = db.memory_usage(db.peek("list", t0));
  CHECK(list > 220'000);
  CHECK(list < 240'000);
  for (int i = 0; i < 10'000; ++i) hset(db, "hash", big(20) + std::to_string(i), big(20));
  const std::size_t hash = db.memory_usage(db.peek("hash", t0));
  CHECK(hash > 450'000);
  CHECK(hash < 650'000);
  CHECK(db.memory_bytes() > list + hash + 100'000);
  CHECK(db.memory_bytes() < list + hash + 120'000);
}

TEST_CASE("keyspace/walk: for_each visits every key once with its facts, and stops when told to") {
  Keyspace db;
  for (int i = 0; i < 5000; ++i) set(db, "s" + std::to_string(i), Scalar(std::to_string(i)));
  rpush(db, "l", {"a"});
  hset(db, "h", "f", "v");
  Place p = db.locate("l", t0);
  db.set_expiry(p, t0 + 9);
  std::set<std::string> seen;
  db.for_each([&](const Keyspace::Item& item) {
    REQUIRE(seen.emplace(item.key).second);
    REQUIRE(item.place.key == item.key);
    if (item.key == "l") {
      CHECK(item.type == Type::list);
      CHECK(item.expiry_ms == t0 + 9);
      Place place = item.place;
      CHECK(db.list(place).at(0).bytes == "a");
    } else if (item.key == "h") {
      CHECK(item.type == Type::hash);
      CHECK(!item.expiry_ms);
    } else {
      REQUIRE("s" + std::string(db.string(item.place).bytes) == item.key);
    }
    return true;
  });
  CHECK(seen.size() == 5002);
  int visits = 0;
  db.for_each([&visits](const Keyspace::Item&) { return ++visits < 7; });
  CHECK(visits == 7);
}

TEST_CASE("keyspace/walk: the place of a walked key works for changes after the walk") {
  Keyspace db;
  set(db, "k", "v");
  Place found;
  db.for_each([&found](const Keyspace::Item& item) {
    found = item.place;
    return true;
  });
  db.set_expiry(found, t0 + 5);  // the entry moves, and with it the key that found.key names
  CHECK(found.key == "k");
  db.set_string(found, Scalar(big(10'000)));
  CHECK(found.key == "k");
  CHECK(get(db, "k") == big(10'000));
  db.erase(found);
  CHECK(db.size() == 0);
}

TEST_CASE("keyspace/walk: random_key is a key of the keyspace, chosen by the seed alone") {
  Keyspace db;
  for (int i = 0; i < 100; ++i) set(db, std::to_string(i), "v");
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const std::optional<std::string> key = db.random_key(seed);
    REQUIRE(key);
    REQUIRE(db.peek(*key, t0).found());
    REQUIRE(db.random_key(seed) == key);
    seen.insert(*key);
  }
  CHECK(seen.size() > 95);
}

TEST_CASE("keyspace/digest: what redis-server 7.0.15 answers for the same data") {
  Keyspace d0, d1, d2, d3;
  std::vector<Keyspace*> all{&d0, &d1, &d2, &d3};
  CHECK(dataset_digest(all) == "0000000000000000000000000000000000000000");
  set(d0, "k", "v");
  CHECK(dataset_digest(all) == "264ccf65edec66bccfa7cc659414ccca432057d2");
  Place p = d0.peek("k", t0);
  CHECK(value_digest(d0, p) == "d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f");
  set(d0, "n", {"12345", Kind::number});
  set(d0, "", "");
  rpush(d0, "l", {"a", "b", "c", ""});
  hset(d0, "h", "f1", "v1");
  hset(d0, "h", "f2", "v2");
  set(d0, "e", "x");
  p = d0.locate("e", t0);
  d0.set_expiry(p, t0 + 99'999'999);
  CHECK(dataset_digest(all) == "e9e74021e4fcd43f9d8ec9bc4ef90940e7a0138c");
  CHECK(value_digest(d0, p) == "0745672cb1bf060476eedeb8a28f5ffe1ff5a2be");
  p = d0.peek("l", t0);
  CHECK(value_digest(d0, p) == "b1b8b268ffcd62a1bd760948f4c5fdd4671e54a4");
  p = d0.peek("h", t0);
  CHECK(value_digest(d0, p) == "047cc60ea73a34cde6d08a2721a4a26d19ee6570");
  p = d0.peek("nokey", t0);
  CHECK(value_digest(d0, p) == "0000000000000000000000000000000000000000");
  const std::string without_sets = dataset_digest(all);
  sadd(d0, "s", {"a", "b", "", "17"});
  p = d0.peek("s", t0);
  CHECK(value_digest(d0, p) == "00b6480eb0935be9708a14af0c833ec8efa83093");
  CHECK(dataset_digest(all) == "edf9b42c48dde17179cf75e188ff42a1381b665b");
  d0.erase(p);
  CHECK(dataset_digest(all) == without_sets);
  set(d3, "other", "1");
  for (int i = 0; i < 200; ++i) hset(d3, "big", "f" + std::to_string(i), "v" + std::to_string(i));
  for (int i = 0; i < 1000; ++i) rpush(d3, "long", {"element-" + std::to_string(i)});
  CHECK(dataset_digest(all) == "d4108e3eed0801be6f30e563635cecbf8611158a");
}

TEST_CASE("keyspace: prefetch changes nothing, whatever it is asked for") {
  Keyspace db;
  for (int i = 0; i < 10; ++i) db.prefetch(hash_of("nothing there"));
  for (int i = 0; i < 1000; ++i) set(db, std::to_string(i), "v");
  for (int i = 0; i < 2000; ++i) db.prefetch(hash_of(std::to_string(i)));
  for (int i = 0; i < 200; ++i) hset(db, "large", "f" + std::to_string(i), "v");
  hset(db, "small", "f", "v");
  const auto fields = [&db] {
    for (const char* key : {"large", "small", "1", "nothing there", "gone"}) {
      for (int i = 0; i < 300; ++i)
        db.prefetch_field(hash_of(key), hash_of("f" + std::to_string(i)));
    }
  };
  fields();
  CHECK(db.size() == 1002);
  Place large = db.locate("large", t0);
  db.erase(large);  // while its fields are asked for
  fields();
  db.clear();
  for (int i = 0; i < 10; ++i) db.prefetch(hash_of(std::to_string(i)));
  fields();
  CHECK(db.size() == 0);
}
