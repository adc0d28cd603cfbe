// What a Keyspace promises, function by function: keys, strings, lists, hashes, expiry. What only
// looks: keyspace_inspect_test.cpp. Random sequences: keyspace_model_test.cpp.
#include "libkv/keyspace/keyspace.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "libkv/keyspace/digest.hpp"
#include "libkv/keyspace/siphash.hpp"
#include "tests/unit/keyspace_fixture.hpp"

using namespace kv;
using namespace kv::keyspace_test;

TEST_CASE("keyspace: a new one is empty and small, so that sixteen cost little") {
  Keyspace db;
  CHECK(db.size() == 0);
  CHECK(db.expiring() == 0);
  CHECK(db.memory_bytes() < 1024);
  CHECK(!db.locate("k", t0).found());
  CHECK(db.type(db.peek("k", t0)) == Type::none);
  CHECK(!db.random_key(1));
  CHECK(db.scan(0, 10, [](const Keyspace::Item&) { FAIL("nothing to visit"); }) == 0);
  CHECK(db.expire_some(t0, 100) == 0);
  db.clear();
}

TEST_CASE("keyspace/string: sizes around every limit of the forms, in place and replaced") {
  Keyspace db;
  std::vector<std::size_t> sizes{0,    1,    44,   45,   127,    128,    500,
                                 3999, 4000, 4001, 4096, 16'383, 16'384, std::size_t{1} << 20};
  for (const std::size_t from : sizes) {
    for (const std::size_t to : sizes) {
      set(db, "k", Scalar(big(from, 'a')));
      REQUIRE(get(db, "k") == big(from, 'a'));
      set(db, "k", Scalar(big(to, 'b')));
      REQUIRE(get(db, "k") == big(to, 'b'));
    }
  }
  CHECK(db.size() == 1);
}

TEST_CASE("keyspace/string: keys and values of any bytes (N10)") {
  Keyspace db;
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const std::vector<std::string> keys{"",        std::string(1, '\0'), std::string(2, '\0'), all,
                                      all + all, big(70'000),          "\xff\xfe\n\r\t\"'\\"};
  for (const std::string& key : keys) set(db, key, Scalar(key + "!"));
  CHECK(db.size() == keys.size());
  for (const std::string& key : keys) CHECK(get(db, key) == key + "!");
}

TEST_CASE("keyspace/string: the kind is kept, and follows a replacement") {
  Keyspace db;
  for (const Kind kind : {Kind::string, Kind::number, Kind::symbol, Kind::nil, Kind::list}) {
    set(db, "k", {kind == Kind::nil ? "" : "12", kind});
    CHECK(db.string(db.peek("k", t0)).kind == kind);
  }
  Place p = db.locate("k", t0);
  db.replace_string(p, {"13", Kind::number});
  CHECK(db.string(p).kind == Kind::number);
  CHECK(db.append(p, "5") == 3);
  CHECK(db.string(p) == Scalar("135"));
}

TEST_CASE("keyspace/string: asked for together with the type, only strings are there") {
  Keyspace keys;
  Scalar value("before");
  Place place = keys.locate("k", 0);
  CHECK_FALSE(keys.string(place, value));
  keys.make_list(place).push_back("element");
  CHECK_FALSE(keys.string(place, value));
  CHECK(value == Scalar("before"));
  for (const std::size_t size : {std::size_t{0}, std::size_t{32}, std::size_t{100'000}}) {
    const std::string bytes(size, 'v');
    keys.set_string(place, {bytes, Kind::symbol});
    REQUIRE(keys.string(place, value));
    CHECK(value == Scalar(bytes, Kind::symbol));
  }
  Place other = keys.locate("o", 0);
  keys.set_string(other, "moves the slots");
  REQUIRE(keys.string(place, value));
  CHECK(value.bytes.size() == 100'000);
}

TEST_CASE("keyspace/string: appending byte by byte and in large pieces, across all forms") {
  Keyspace db;
  std::string expected;
  Place p = db.locate("k", t0);
  for (int i = 0; i < 9000; ++i) {
    const char c = static_cast<char>(i);
    expected += c;
    REQUIRE(db.append(p, std::string_view(&c, 1)) == expected.size());
  }
  CHECK(get(db, "k") == expected);
  const std::string piece = big(300'000, 'p');
  for (int i = 0; i < 8; ++i) {
    expected += piece;
    REQUIRE(db.append(p, piece) == expected.size());
  }
  CHECK(db.string(p).bytes == expected);
  CHECK(db.append(p, "") == expected.size());
}

TEST_CASE("keyspace/string: appending a value to itself") {
  Keyspace db;
  for (const std::size_t size : {5u, 2500u, 6000u}) {
    set(db, "k", Scalar(big(size, 'z')));
    Place p = db.locate("k", t0);
    for (std::size_t n = size * 2; n <= size * 8; n *= 2) {
      REQUIRE(db.append(p, db.string(p).bytes) == n);
      REQUIRE(db.string(p).bytes == big(n, 'z'));
    }
  }
}

TEST_CASE("keyspace/string: overwriting inside, across the end and behind it, in all forms") {
  Keyspace db;
  for (const std::size_t size : {5u, 2500u, 6000u}) {
    std::string expected = big(size, 'z');
    set(db, "k", {expected, Kind::symbol});
    Place p = db.locate("k", t0);
    for (const std::size_t offset : {std::size_t{0}, size / 2, size - 1, size, 2 * size, 9000ul}) {
      expected.resize(std::max(expected.size(), offset + 2));
      expected.replace(offset, 2, "xy");
      REQUIRE(db.overwrite(p, offset, "xy") == expected.size());
      REQUIRE(db.string(p) == Scalar(expected));
    }
    expected.replace(1, expected.size(), expected);
    CHECK(db.overwrite(p, 1, db.string(p).bytes) == expected.size());  // with itself
    CHECK(db.string(p) == Scalar(expected));
  }
  Place p = db.locate("new", t0);
  CHECK(db.overwrite(p, 3, "abc") == 6);
  CHECK(db.string(p) == Scalar(std::string_view("\0\0\0abc", 6)));
}

TEST_CASE("keyspace/string: appending costs memory in proportion, and overwriting gives it back") {
  Keyspace db;
  const std::size_t empty = db.memory_bytes();
  Place p = db.locate("k", t0);
  db.append(p, big(100'000));
  for (int i = 0; i < 1000; ++i) db.append(p, "0123456789");
  CHECK(db.memory_bytes() - empty < 2 * 110'000 + 10'000);
  db.set_string(p, "small");
  CHECK(db.memory_bytes() - empty < 200);
  db.erase(p);
  CHECK(db.memory_bytes() == empty);
}

TEST_CASE("keyspace: setting takes the place of any type, and ends the expiry") {
  Keyspace db;
  rpush(db, "k", {"a", "b"});
  Place p = db.locate("k", t0);
  db.set_expiry(p, t0 + 5);
  CHECK(db.expiring() == 1);
  db.set_string(p, "now a string");
  CHECK(db.type(p) == Type::string);
  CHECK(!db.expiry(p));
  CHECK(db.expiring() == 0);
  CHECK(db.size() == 1);
}

TEST_CASE("keyspace: a key that ends is gone from size, and can come again") {
  Keyspace db;
  set(db, "k", "v");
  Place p = db.locate("k", t0);
  db.erase(p);
  CHECK(!p.found());
  CHECK(db.size() == 0);
  CHECK(get(db, "k") == "(absent)");
  db.set_string(p, "again");
  CHECK(p.found());
  CHECK(get(db, "k") == "again");
}

TEST_CASE("keyspace: swap exchanges everything, clear ends everything") {
  Keyspace a, b;
  set(a, "x", "1");
  rpush(a, "l", std::vector<std::string>(1000, "element"));
  set(b, "y", "2");
  a.swap(b);
  CHECK(get(a, "y") == "2");
  CHECK(get(a, "x") == "(absent)");
  CHECK(elements(b, "l").size() == 1000);
  b.clear();
  CHECK(b.size() == 0);
  CHECK(b.memory_bytes() == Keyspace().memory_bytes());
  CHECK(a.size() == 1);
}

TEST_CASE("keyspace: move carries value, type and expiry, within a keyspace and to another") {
  Keyspace a, b;
  const std::size_t empty = a.memory_bytes();
  for (Keyspace* target : {&a, &b}) {
    for (const bool replace : {false, true}) {
      for (const std::string name : {"string", "large", "list", "deque", "hash", "table"}) {
        set(a, "string", "v");
        set(a, "large", Scalar(big(50'000)));
        Place p = a.locate(name, t0);
        if (p.found() && name != "string" && name != "large") a.erase(p);
        if (name == "list") rpush(a, name, {"1", "2"});
        if (name == "deque") rpush(a, name, std::vector<std::string>(5000, "element"));
        if (name == "hash") hset(a, name, "f", "v");
        if (name == "table") {
          for (int i = 0; i < 600; ++i) hset(a, name, "f" + std::to_string(i), "v");
        }
        if (replace) {
          Place old = target->locate("to", t0);
          target->set_string(old, "old");
          target->set_expiry(old, t0 + 77);
        }
        p = a.locate(name, t0);
        a.set_expiry(p, t0 + 1000);
        const std::string before = value_digest(a, p);
        Place to = target->locate("to", t0);
        p = a.locate(name, t0);  // the line before may have removed nothing, but places are brief
        a.move(p, *target, to);
        REQUIRE(!p.found());
        REQUIRE(to.found());
        REQUIRE(!a.peek(name, t0).found());
        Place there = target->peek("to", t0);
        REQUIRE(there.slot == to.slot);
        REQUIRE(value_digest(*target, there) == before);
        REQUIRE(target->expiry(there) == t0 + 1000);
        REQUIRE(a.expiring() + b.expiring() == 1);
        target->erase(there);
      }
    }
  }
  a.clear();
  b.clear();
  CHECK(a.memory_bytes() == empty);
  CHECK(b.memory_bytes() == empty);
}

TEST_CASE("keyspace: moving a key onto itself changes nothing") {
  Keyspace db;
  set(db, "k", "v");
  Place from = db.locate("k", t0), to = db.locate("k", t0);
  db.move(from, db, to);
  CHECK(get(db, "k") == "v");
  CHECK(db.size() == 1);
}

TEST_CASE("keyspace/list: the first push creates it, the last pop leaves it to drop_if_empty") {
  Keyspace db;
  Place p = db.locate("l", t0);
  List list = db.make_list(p);
  CHECK(list.size() == 0);
  CHECK(db.size() == 0);
  db.drop_if_empty(p);
  list.push_back("a");
  CHECK(p.found());
  CHECK(db.type(p) == Type::list);
  list.pop_front();
  CHECK(list.size() == 0);
  CHECK(db.size() == 1);
  db.drop_if_empty(p);
  CHECK(!p.found());
  CHECK(db.size() == 0);
}

TEST_CASE("keyspace/list: remove by count, from head and tail, by bytes or by kind too") {
  for (const std::size_t filler : {0u, 3000u}) {  // packed, and many chunks
    Keyspace db;
    Place p = db.locate("l", t0);
    List list = db.make_list(p);
    const auto fill = [&] {
      if (list.size() != 0) list.erase(0, list.size());
      for (std::size_t i = 0; i < 6; ++i) {
        list.push_back({"7", i % 2 == 0 ? Kind::number : Kind::string});
        list.push_back(Scalar(std::to_string(100 + i)));
        for (std::size_t k = 0; k < filler; ++k) list.push_back("filler");
      }
    };
    fill();
    CHECK(list.remove(2, "7", false) == 2);
    CHECK(list.at(0).bytes == "100");
    CHECK(list.remove(-1, "7", false) == 1);
    CHECK(list.remove(0, {"7", Kind::number}, true) == 2);
    CHECK(list.remove(0, "7", false) == 1);
    CHECK(list.remove(0, "7", false) == 0);
    CHECK(list.size() == 6 * (1 + filler));
    fill();
    CHECK(list.remove(INT64_MIN, "7", false) == 6);
    CHECK(list.remove(INT64_MAX, "filler", false) == 6 * filler);
    CHECK(elements(db, "l") == std::vector<std::string>{"100", "101", "102", "103", "104", "105"});
  }
}

TEST_CASE("keyspace/list: an element of the list itself may be pushed, set and inserted") {
  for (const int size : {5, 5000}) {
    Keyspace db;
    Place p = db.locate("l", t0);
    List list = db.make_list(p);
    for (int i = 0; i < size; ++i) list.push_back(Scalar("element number " + std::to_string(i)));
    const auto n = static_cast<std::size_t>(size);
    list.push_front(list.at(n - 1));
    CHECK(list.at(0).bytes == "element number " + std::to_string(size - 1));
    list.push_back(list.at(1));
    CHECK(list.at(n + 1).bytes == "element number 0");
    list.set(2, list.at(0));
    CHECK(list.at(2).bytes == list.at(0).bytes);
    list.insert(3, list.at(4));
    CHECK(list.at(3).bytes == "element number 3");
    CHECK(list.remove(0, list.at(0), true) == 3);
  }
}

TEST_CASE("keyspace/list: elements of a mebibyte among small ones") {
  Keyspace db;
  rpush(db, "l", {"first", big(1 << 20, '1'), "middle", big(1 << 20, '2'), "last"});
  Place p = db.locate("l", t0);
  List list = db.list(p);
  CHECK(list.at(1).bytes == big(1 << 20, '1'));
  list.insert(3, "new");
  list.set(1, "small");
  list.set(0, Scalar(big(2 << 20, '0')));
  CHECK(list.at(0).bytes == big(2 << 20, '0'));
  list.pop_front();
  CHECK(elements(db, "l") ==
        std::vector<std::string>{"small", "middle", "new", big(1 << 20, '2'), "last"});
  list.erase(3, 1);
  CHECK(db.memory_usage(p) < 10'000);
}

TEST_CASE("keyspace/hash: a small one keeps the order of insertion") {
  Keyspace db;
  for (int i = 100; i > 0; --i) hset(db, "h", "f" + std::to_string(i), "v");
  hset(db, "h", "f50", "another, longer value");
  Place p = db.locate("h", t0);
  Hash hash = db.hash(p);
  int expected = 100;
  hash.visit([&](const Hash::Pair& pair) {
    CHECK(pair.field.bytes == "f" + std::to_string(expected--));
    return true;
  });
  CHECK(expected == 0);
  CHECK(hash.get("f50")->bytes == "another, longer value");
}

TEST_CASE("keyspace/hash: fields and values of any bytes and size, kinds kept") {
  Keyspace db;
  Place p = db.locate("h", t0);
  Hash hash = db.make_hash(p);
  CHECK(!hash.get("f"));
  CHECK(!hash.erase("f"));
  CHECK(hash.set({"7", Kind::number}, {"x", Kind::symbol}));
  CHECK(!hash.set({"7", Kind::string}, {"y", Kind::list}));
  CHECK(hash.set("", ""));
  CHECK(hash.set(Scalar(big(70'000)), Scalar(big(1 << 20))));
  CHECK(hash.size() == 3);
  CHECK(*hash.get("7") == Scalar("y", Kind::list));
  CHECK(hash.get("")->bytes.empty());
  CHECK(hash.get(big(70'000))->bytes.size() == 1 << 20);
  bool number = false;
  hash.visit([&](const Hash::Pair& pair) {
    if (pair.field.bytes == "7") number = pair.field.kind == Kind::number;
    return true;
  });
  CHECK(number);
  hash.set(Scalar(big(70'000)), "small again");
  CHECK(hash.get(big(70'000))->bytes == "small again");
  CHECK(hash.erase(big(70'000)));
  CHECK(hash.erase("7"));
  CHECK(hash.erase(""));
  db.drop_if_empty(p);
  CHECK(db.size() == 0);
}

TEST_CASE("keyspace/hash: a field's hash that is given serves as well as none, in both forms") {
  Keyspace keys;
  Place place = keys.locate("h", 0);
  Hash hash = keys.make_hash(place);
  for (int i = 0; i < 1000; ++i) {
    const std::string digits = std::to_string(i);
    const std::string_view field = digits;
    const bool known = i % 2 == 0;
    REQUIRE(hash.set(field, "old", known ? hash_of(field) : 0));
    REQUIRE_FALSE(hash.set(field, field, known ? 0 : hash_of(field)));
    REQUIRE(hash.get(field, known ? 0 : hash_of(field)) == Scalar(field));
    REQUIRE(hash.get(field, known ? hash_of(field) : 0) == Scalar(field));
  }
  CHECK(hash.size() == 1000);
  CHECK_FALSE(hash.get("absent", hash_of("absent")));
}

TEST_CASE("keyspace/hash: a value of the hash itself may be set under another field") {
  for (const int size : {5, 500}) {
    Keyspace db;
    Place p = db.locate("h", t0);
    Hash hash = db.make_hash(p);
    for (int i = 0; i < size; ++i) {
      hash.set(Scalar(std::to_string(i)), Scalar("value number " + std::to_string(i)));
    }
    hash.set("0", *hash.get("3"));
    hash.set("copy", *hash.get("4"));
    CHECK(hash.get("0")->bytes == "value number 3");
    CHECK(hash.get("copy")->bytes == "value number 4");
  }
}

TEST_CASE("keyspace/set: members of any bytes and size, the first kind kept") {
  Keyspace db;
  Place p = db.locate("s", t0);
  Set members = db.make_set(p);
  CHECK(members.size() == 0);
  CHECK(!members.contains("a"));
  CHECK(!members.erase("a"));
  CHECK(members.add({"7", Kind::number}));
  CHECK(db.type(p) == Type::set);
  CHECK(!members.add({"7", Kind::string}));
  CHECK(members.at(0) == Scalar("7", Kind::number));
  CHECK(members.add(""));
  CHECK(members.add({"", Kind::nil}) == false);
  CHECK(members.add(Scalar(big(70'000))));
  CHECK(members.contains("7"));
  CHECK(members.contains(""));
  CHECK(members.contains(big(70'000)));
  CHECK(members.at(0) == Scalar("7", Kind::number));  // also after it has become large
  CHECK(!members.add(members.at(2)));
  CHECK(members.size() == 3);
  CHECK(members.erase("7"));
  CHECK(members.at(0).bytes == big(70'000));  // the last one has taken its place
  CHECK(members.erase(members.at(0).bytes));
  CHECK(members.erase(""));
  CHECK(members.size() == 0);
  db.drop_if_empty(p);
  CHECK(db.size() == 0);
}

TEST_CASE("keyspace/set: the numbers of the members are those of the same set in the other form") {
  for (const int size : {3, 60, 128}) {
    Keyspace db;
    Place small = db.peek("small", t0), large = db.peek("large", t0);
    large = db.peek("large", t0);
    db.make_set(large).add(Scalar(big(1000)));  // makes it a table
    db.make_set(large).erase(big(1000));
    for (int i = 0; i < size; ++i) {
      const std::string member = std::to_string(i * i) + big(static_cast<std::size_t>(i % 50));
      db.make_set(small).add(Scalar(member));
      db.make_set(large).add(Scalar(member));
    }
    for (std::size_t seed = 1; db.set(small).size() > 0; ++seed) {
      REQUIRE(db.set(small).size() == db.set(large).size());
      for (std::size_t i = 0; i < db.set(small).size(); ++i) {
        REQUIRE(db.set(small).at(i) == db.set(large).at(i));
      }
      const std::string gone(db.set(small).at(seed * 7 % db.set(small).size()).bytes);
      REQUIRE(db.set(small).erase(gone));
      REQUIRE(db.set(large).erase(gone));
    }
  }
}

TEST_CASE("keyspace/set: a large one gives its memory back, and takes little for a member") {
  Keyspace db;
  const std::size_t empty = db.memory_bytes();
  Place p = db.peek("s", t0);
  for (int i = 0; i < 100'000; ++i) db.make_set(p).add(Scalar(std::to_string(1'000'000 + i)));
  CHECK(db.memory_usage(p) < 100'000 * 36);
  for (int i = 0; i < 99'990; ++i) db.set(p).erase(std::to_string(1'000'000 + i));
  CHECK(db.memory_usage(p) < 12'000);
  CHECK(db.set(p).size() == 10);
  for (int i = 99'990; i < 100'000; ++i) db.set(p).erase(std::to_string(1'000'000 + i));
  db.drop_if_empty(p);
  CHECK(db.memory_bytes() == empty);
}

TEST_CASE("keyspace/expiry: a key ends at its time, by looking or by expire_some") {
  Keyspace db;
  set(db, "k", "v");
  Place p = db.locate("k", t0);
  CHECK(!db.expiry(p));
  db.set_expiry(p, t0 + 100);
  CHECK(db.expiry(p) == t0 + 100);
  CHECK(get(db, "k", t0 + 99) == "v");
  CHECK(db.expire_some(t0 + 99, 10) == 0);
  CHECK(get(db, "k", t0 + 100) == "(absent)");
  CHECK(db.size() == 0);
  CHECK(db.expiring() == 0);
  set(db, "k", "v");
  p = db.locate("k", t0);
  db.set_expiry(p, t0 + 100);
  db.set_expiry(p, t0 + 50);
  db.set_expiry(p, t0 + 200);
  CHECK(db.expiring() == 1);
  CHECK(db.expire_some(t0 + 199, 10) == 0);
  db.replace_string(p, "new");
  CHECK(db.expiry(p) == t0 + 200);
  db.append(p, big(5000));
  CHECK(db.expiry(p) == t0 + 200);
  db.set_expiry(p, std::nullopt);
  CHECK(!db.expiry(p));
  CHECK(db.expiring() == 0);
  CHECK(db.expire_some(INT64_MAX, 10) == 0);
  CHECK(get(db, "k", INT64_MAX).size() == 5003);
}

TEST_CASE("keyspace/expiry: expire_some takes the earliest first and no more than its limit") {
  Keyspace db;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = std::to_string(i);
    set(db, key, "v");
    Place p = db.locate(key, t0);
    db.set_expiry(p, t0 + 1 + (i * 7) % 1000);
  }
  rpush(db, "list", {"a"});
  CHECK(db.expire_some(t0 + 500, 100) == 100);
  CHECK(db.size() == 901);
  db.for_each([](const Keyspace::Item& item) {
    CHECK((!item.expiry_ms || *item.expiry_ms > t0 + 100));
    return true;
  });
  CHECK(db.expire_some(t0 + 500, SIZE_MAX) == 400);
  CHECK(db.expire_some(t0 + 500, SIZE_MAX) == 0);
  CHECK(db.expire_some(INT64_MAX, SIZE_MAX) == 500);
  CHECK(db.size() == 1);
}

TEST_CASE("keyspace/expiry: extreme times") {
  Keyspace db;
  for (const std::int64_t at : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
    set(db, "k", "v");
    Place p = db.locate("k", t0);
    db.set_expiry(p, at);
    CHECK(db.expiry(p) == at);
    CHECK(db.peek("k", t0).found() == (at > t0));
  }
}

TEST_CASE(
    "keyspace/object: frequency starts at 5, grows slowly with use and decays by the minute") {
  Keyspace db;
  set(db, "k", "v");
  CHECK(db.frequency(db.peek("k", t0)) == 5);
  for (int i = 0; i < 1000; ++i) db.locate("k", t0);
  const int after_thousand = db.frequency(db.peek("k", t0));
  CHECK(after_thousand > 10);
  CHECK(after_thousand < 40);
  for (int i = 0; i < 100'000; ++i) db.locate("k", t0);
  const int after_more = db.frequency(db.peek("k", t0));
  CHECK(after_more > after_thousand);
  CHECK(after_more < 255);
  db.locate("k", t0 + 20 * 60'000);
  CHECK(db.frequency(db.peek("k", t0)) <= after_more - 19);
  db.locate("k", t0 + 24 * 3'600'000);
  CHECK(db.frequency(db.peek("k", t0)) <= 1);
}

TEST_CASE("keyspace/place: stays right while other keys come, go and expire") {
  Keyspace db;
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) names.push_back("k" + std::to_string(i));
  for (std::size_t i = 0; i < 500; ++i) set(db, names[i], Scalar(std::to_string(i)));
  std::vector<Place> places;
  for (const std::string& name : names) places.push_back(db.locate(name, t0));
  for (int i = 0; i < 20'000; ++i) set(db, "other" + std::to_string(i), "v");
  for (std::size_t i = 0; i < 500; ++i) {
    REQUIRE(db.string(places[i]).bytes == std::to_string(i));
    REQUIRE(db.type(places[i]) == Type::string);
  }
  // Two places of one command: the second look-up ends an expired key, which moves slots.
  for (std::size_t i = 0; i < 500; i += 2) {
    Place p = db.locate(names[i + 1], t0);
    db.set_expiry(p, t0 + 1);
  }
  for (std::size_t i = 0; i < 500; i += 2) {
    Place first = db.locate(names[i], t0 + 1);
    Place second = db.locate(names[i + 1], t0 + 1);
    REQUIRE(!second.found());
    db.move(first, db, second);
    REQUIRE(db.string(second).bytes == std::to_string(i));
    db.set_string(first, "new");
    db.append(second, "!");
    REQUIRE(get(db, names[i]) == "new");
    REQUIRE(get(db, names[i + 1]) == std::to_string(i) + "!");
  }
  CHECK(db.size() == 20'500);
}

TEST_CASE("keyspace/place: two places of one key never make two keys") {
  Keyspace db;
  Place a = db.locate("k", t0), b = db.locate("k", t0);
  db.set_string(a, "first");
  db.set_string(b, "second");
  CHECK(db.size() == 1);
  CHECK(db.string(a).bytes == "second");
  db.erase(a);
  CHECK(db.type(b) == Type::none);
  CHECK(!db.expiry(b));
  db.erase(b);
  db.make_list(b).push_back("x");
  db.make_list(a).push_back("y");
  CHECK(elements(db, "k") == std::vector<std::string>{"x", "y"});
  CHECK(db.type(Place{}) == Type::none);
}
