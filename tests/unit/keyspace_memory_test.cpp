// E1: memory ends at any moment. Whatever fails, a keyspace is then as it was before the call, and
// the same call works once there is memory again.
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "libkv/base/memory.hpp"
#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/keyspace.hpp"

using namespace kv;

namespace {

constexpr std::int64_t t0 = 1'700'000'000'000;

/// Everything in a keyspace as text, so that two states can be compared.
std::map<std::string, std::string> dump(Keyspace& db) {
  std::map<std::string, std::string> all;
  db.for_each([&](const Keyspace::Item& item) {
    std::string text = std::string(type_name(item.type)) + "|";
    if (item.expiry_ms) text += std::to_string(*item.expiry_ms) + "|";
    const auto add = [&text](const Scalar& s) {
      text += std::to_string(static_cast<int>(s.kind)) + ":" + std::string(s.bytes) + "|";
    };
    Place place = item.place;
    if (item.type == Type::string) add(db.string(place));
    if (item.type == Type::list) {
      db.list(place).visit(0, SIZE_MAX, [&add](const Scalar& s) {
        add(s);
        return true;
      });
    }
    std::map<std::string, std::string> fields;
    if (item.type == Type::hash) {
      db.hash(place).visit([&fields](const Hash::Pair& p) {
        fields[std::string(p.field.bytes)] = p.value.bytes;
        return true;
      });
    }
    if (item.type == Type::set) {  // in the order of their numbers
      db.set(place).visit([&add](const Scalar& s) {
        add(s);
        return true;
      });
    }
    for (const auto& [field, value] : fields) text += field + "=" + value + "|";
    REQUIRE(all.emplace(item.key, text).second);
    return true;
  });
  REQUIRE(all.size() == db.size());
  return all;
}

struct Faults {
  ~Faults() { arena().fail_at(0); }
};

using Step = std::function<void(Keyspace& db)>;

/// Fails the 1st, 2nd, ... allocation of the step, once or from then on, until none fails.
void check(const std::string& name, const Step& prepare, const Step& step) {
  INFO(name);
  const Faults faults;
  Keyspace expected;
  prepare(expected);
  const auto before = dump(expected);
  step(expected);
  const auto after = dump(expected);
  for (const bool for_ever : {false, true}) {
    bool failed = true;
    for (std::uint64_t nth = 1; failed; ++nth) {
      REQUIRE(nth < 200);
      Keyspace db;
      const std::size_t empty = db.memory_bytes();
      prepare(db);
      const std::size_t expiring = db.expiring(), bytes = db.memory_bytes();
      failed = false;
      arena().fail_at(nth, for_ever);
      try {
        step(db);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      arena().fail_at(0);
      if (failed) {
        REQUIRE(dump(db) == before);
        REQUIRE(db.expiring() == expiring);
        // Tables may have made room already, no more.
        REQUIRE(db.memory_bytes() < bytes + bytes / 2 + 50'000);
        step(db);
      }
      REQUIRE(dump(db) == after);
      REQUIRE(db.expiring() == expected.expiring());
      db.clear();
      REQUIRE(db.memory_bytes() == empty);
    }
  }
}

Place at(Keyspace& db, std::string_view key) { return db.peek(key, t0); }

Step setting(const std::string& value) {
  return [value](Keyspace& db) {
    Place p = at(db, "k");
    db.set_string(p, Scalar(value));
  };
}
Step appending(const std::string& value) {
  return [value](Keyspace& db) {
    Place p = at(db, "k");
    db.append(p, value);
  };
}
Step overwriting(std::size_t offset, const std::string& part) {
  return [offset, part](Keyspace& db) {
    Place p = at(db, "k");
    db.overwrite(p, offset, part);
  };
}
Step list_of(std::size_t count, std::size_t bytes) {
  return [count, bytes](Keyspace& db) {
    Place p = at(db, "k");
    List list = db.make_list(p);
    for (std::size_t i = 0; i < count; ++i) {
      std::string element = std::to_string(i);
      if (element.size() < bytes) element.resize(bytes, '.');
      list.push_back(Scalar(element));
    }
  };
}
Step on_list(const std::function<void(List)>& change) {
  return [change](Keyspace& db) {
    Place p = at(db, "k");
    change(db.make_list(p));
  };
}
Step hash_of_size(std::size_t count) {
  return [count](Keyspace& db) {
    Place p = at(db, "k");
    for (std::size_t i = 0; i < count; ++i) {
      db.make_hash(p).set(Scalar("field" + std::to_string(i)), "value");
    }
  };
}
Step on_hash(const std::function<void(Hash)>& change) {
  return [change](Keyspace& db) {
    Place p = at(db, "k");
    change(db.make_hash(p));
  };
}
Step set_of_size(std::size_t count) {
  return [count](Keyspace& db) {
    Place p = at(db, "k");
    for (std::size_t i = 0; i < count; ++i) db.make_set(p).add(Scalar("m" + std::to_string(i)));
  };
}
Step on_set(const std::function<void(Set)>& change) {
  return [change](Keyspace& db) {
    Place p = at(db, "k");
    change(db.make_set(p));
  };
}
Step expiring_at(std::optional<std::int64_t> when) {
  return [when](Keyspace& db) {
    Place p = at(db, "k");
    db.set_expiry(p, when);
  };
}
Step then(const Step& a, const Step& b) {
  return [a, b](Keyspace& db) {
    a(db);
    b(db);
  };
}
void nothing(Keyspace&) {}

const std::string small(20, 's'), medium(3000, 'm'), large(20'000, 'l');

}  // namespace

TEST_CASE("keyspace/memory: E1 setting and appending strings") {
  for (const std::string& from : {std::string(), small, medium, large}) {
    for (const std::string& to : {small, medium, large}) {
      check("new", nothing, setting(to));
      check("set", setting(from), setting(to));
      check("append", setting(from), appending(to));
      check("overwrite", setting(from), overwriting(from.size() / 2, to));
      check("overwrite behind the end", setting(from), overwriting(from.size() + 9, to));
      check("set over an expiring key", then(setting(from), expiring_at(t0 + 9)), setting(to));
      check("append to an expiring key", then(setting(from), expiring_at(t0 + 9)), appending(to));
      check("replace", then(setting(from), expiring_at(t0 + 9)), [to](Keyspace& db) {
        Place p = at(db, "k");
        db.replace_string(p, Scalar(to));
      });
    }
  }
  check("set over a list", list_of(500, 10), setting(large));
}

TEST_CASE("keyspace/memory: E1 adding to lists") {
  for (const std::size_t count : {0u, 5u, 60u, 100u, 3000u}) {
    for (const std::size_t bytes : {1u, 15u, 900u, 20'000u}) {
      const std::string element(bytes, 'e');
      const Step full = count == 0 ? Step(nothing) : list_of(count, 10);
      check("front", full, on_list([&](List l) { l.push_front(Scalar(element)); }));
      check("back", full, on_list([&](List l) { l.push_back(Scalar(element)); }));
      check("middle", full, on_list([&](List l) { l.insert(l.size() / 3, Scalar(element)); }));
      if (count == 0) continue;
      check("set", full, on_list([&](List l) { l.set(l.size() / 2, Scalar(element)); }));
      check("set the last", full, on_list([&](List l) { l.set(l.size() - 1, Scalar(element)); }));
    }
  }
}

TEST_CASE("keyspace/memory: E1 changing lists whose inside is deflated") {
  const Step full = list_of(12'000, 12);
  {
    Keyspace db;
    full(db);
    REQUIRE(db.memory_usage(at(db, "k")) < 12'000 * 14 / 2);
  }
  for (const std::size_t bytes : {12u, 900u, 20'000u}) {
    const std::string element(bytes, 'e');
    check("front", full, on_list([&](List l) { l.push_front(Scalar(element)); }));
    check("middle", full, on_list([&](List l) { l.insert(5000, Scalar(element)); }));
    check("set", full, on_list([&](List l) { l.set(5000, Scalar(element)); }));
    check("own element", full, on_list([&](List l) { l.insert(5000, l.at(7000)); }));
    // The ends have come near cold chunks, or are full so that the next inner one becomes cold.
    for (const std::size_t popped : {0u, 100u, 2000u, 2600u}) {
      const Step shorter = then(full, on_list([&](List l) {
                                  for (std::size_t i = 0; i < popped; ++i) l.pop_front();
                                  for (std::size_t i = 0; i < popped; ++i) l.pop_back();
                                }));
      check("shorter, front", shorter, on_list([&](List l) { l.push_front(Scalar(element)); }));
      check("shorter, back", shorter, on_list([&](List l) { l.push_back(Scalar(element)); }));
    }
    const Step marked = then(full, on_list([&](List l) { l.erase(6000, 20); }));
    check("marked, middle", marked, on_list([&](List l) { l.insert(6000, Scalar(element)); }));
    check("marked, set", marked, on_list([&](List l) { l.set(6001, Scalar(element)); }));
  }
}

TEST_CASE("keyspace/memory: E1 adding to hashes") {
  for (const std::size_t count : {0u, 5u, 127u, 128u, 600u}) {
    for (const std::string& value : {small, medium, large}) {
      const Step full = count == 0 ? Step(nothing) : hash_of_size(count);
      check("new field", full, on_hash([&](Hash h) { h.set("new", Scalar(value)); }));
      check("long field", full, on_hash([&](Hash h) { h.set(Scalar(value), "v"); }));
      check("old field", full, on_hash([&](Hash h) { h.set("field1", Scalar(value)); }));
    }
  }
}

TEST_CASE("keyspace/memory: E1 adding to sets") {
  for (const std::size_t count : {0u, 5u, 127u, 128u, 511u, 512u, 1024u, 3000u}) {
    for (const std::string& member : {small, medium, large}) {
      const Step full = count == 0 ? Step(nothing) : set_of_size(count);
      check("new member", full, on_set([&](Set s) { s.add(Scalar(member)); }));
      check("old member", full, on_set([&](Set s) { s.add("m1"); }));
    }
  }
}

TEST_CASE("keyspace/memory: E1 expiry and moving") {
  for (const Step& value : {setting(small), setting(large), list_of(5, 5), list_of(500, 20),
                            hash_of_size(3), hash_of_size(300), set_of_size(3), set_of_size(300)}) {
    check("set an expiry", value, expiring_at(t0 + 100));
    check("change it", then(value, expiring_at(t0 + 100)), expiring_at(t0 + 50));
    check("end it", then(value, expiring_at(t0 + 100)), expiring_at(std::nullopt));
    const Step move = [](Keyspace& db) {
      Place to = at(db, "to"), from = at(db, "k");
      db.move(from, db, to);
    };
    const Step target = [](Keyspace& db) {
      Place p = at(db, "to");
      db.set_string(p, "old");
    };
    check("move", value, move);
    check("move an expiring key", then(value, expiring_at(t0 + 100)), move);
    check("move over another", then(target, value), move);
    check("move over another, expiring", then(target, then(value, expiring_at(t0 + 9))), move);
  }
}

TEST_CASE("keyspace/memory: E1 growing tables: each failed insert leaves no trace") {
  const Faults faults;
  Keyspace db;
  std::size_t failures = 0;
  for (std::size_t i = 0; i < 20'000; ++i) {
    const std::string key = "key:" + std::to_string(i);
    for (std::uint64_t nth = 1;; ++nth) {
      Place p = at(db, key);
      REQUIRE(!p.found());
      arena().fail_at(nth);
      try {
        db.set_string(p, "v");
        arena().fail_at(0);
        break;
      } catch (const std::bad_alloc&) {
        ++failures;
        REQUIRE(db.size() == i);
      }
    }
  }
  CHECK(failures > 20'000);
  for (std::size_t i = 0; i < 20'000; ++i) REQUIRE(at(db, "key:" + std::to_string(i)).found());
}

TEST_CASE("keyspace/memory: E1 removing needs no memory, and what stays is right") {
  const Faults faults;
  for (const std::size_t count : {3u, 60u, 3000u}) {
    Keyspace db;
    const std::size_t empty = db.memory_bytes();
    list_of(count, 10)(db);
    Place p = at(db, "k");
    List list = db.list(p);
    arena().fail_at(1, true);
    std::size_t left = count;
    for (; left > 1; --left) {
      if (left % 3 == 0) list.pop_front();
      else if (left % 3 == 1) list.pop_back();
      else list.erase(left / 2, 1);
      REQUIRE(list.size() == left - 1);
      const Scalar first = list.at(0), last = list.at(left - 2);
      REQUIRE(first.bytes.size() == 10);
      REQUIRE(last.bytes.size() == 10);
    }
    arena().fail_at(0);
    list.push_back("more");  // entries that could not shrink take part as usual
    CHECK(list.at(1).bytes == "more");
    arena().fail_at(1, true);
    list.erase(0, 2);
    db.drop_if_empty(p);
    CHECK(db.size() == 0);
    CHECK(db.memory_bytes() == empty);
    arena().fail_at(0);
  }
  for (const std::size_t count : {3u, 100u, 3000u}) {
    Keyspace db;
    const std::size_t empty = db.memory_bytes();
    hash_of_size(count)(db);
    Place p = at(db, "k");
    arena().fail_at(1, true);
    for (std::size_t i = 0; i < count; ++i) {
      REQUIRE(db.hash(p).get("field" + std::to_string(i))->bytes == "value");
      REQUIRE(db.hash(p).erase("field" + std::to_string(i)));
      REQUIRE(db.hash(p).size() == count - 1 - i);
    }
    db.drop_if_empty(p);
    CHECK(db.memory_bytes() == empty);
    arena().fail_at(0);
  }
  Keyspace db;
  const std::size_t empty = db.memory_bytes();
  for (std::size_t i = 0; i < 20'000; ++i) {
    const std::string key = std::to_string(i);
    Place p = at(db, key);
    db.set_string(p, "v");
    db.set_expiry(p, t0 + 1 + static_cast<std::int64_t>(i));
  }
  arena().fail_at(1, true);
  for (std::size_t i = 0; i < 10'000; ++i) {
    const std::string key = std::to_string(i);
    Place p = at(db, key);
    db.erase(p);
  }
  CHECK(db.expire_some(t0 + 15'000, SIZE_MAX) == 5000);
  CHECK(db.size() == 5000);
  db.clear();
  CHECK(db.memory_bytes() == empty);
}

TEST_CASE("keyspace/memory: E1 removing members needs no memory") {
  const Faults faults;
  for (const std::size_t count : {3u, 100u, 3000u}) {
    Keyspace db;
    const std::size_t empty = db.memory_bytes();
    set_of_size(count)(db);
    Place p = at(db, "k");
    arena().fail_at(1, true);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string member = "m" + std::to_string(i * 7 % count);
      REQUIRE(db.set(p).contains(member));
      REQUIRE(db.set(p).erase(member));
      REQUIRE(db.set(p).size() == count - 1 - i);
    }
    db.drop_if_empty(p);
    CHECK(db.memory_bytes() == empty);
    arena().fail_at(0);
  }
}

TEST_CASE("keyspace/memory: an entry that could not shrink is used, changed and freed as usual") {
  const Faults faults;
  Keyspace db;
  const std::size_t empty = db.memory_bytes();
  const auto padded = [&db] {
    list_of(40, 15)(db);
    Place p = at(db, "k");
    arena().fail_at(1, true);
    db.list(p).erase(5, 35);
    arena().fail_at(0);
    return p;
  };
  Place p = padded();
  const auto before = dump(db);
  db.set_expiry(p, t0 + 5);
  db.set_expiry(p, std::nullopt);
  CHECK(dump(db) == before);
  Place to = at(db, "to");
  db.move(p, db, to);
  db.erase(to);
  CHECK(db.memory_bytes() == empty);
  p = padded();
  for (int i = 0; i < 200; ++i) db.list(p).push_front(Scalar(std::to_string(i)));
  CHECK(db.list(p).size() == 205);
  db.erase(p);
  CHECK(db.memory_bytes() == empty);
  p = padded();
  CHECK(db.list(p).remove(0, db.list(p).at(0), true) == 1);
  db.set_string(p, "string");
  db.erase(p);
  CHECK(db.memory_bytes() == empty);
}

TEST_CASE("keyspace/memory: all that asks for memory may use the reserve") {
  const Faults faults;
  const memory::MayUseReserve may;
  const auto name = [](int i) { return "name" + std::to_string(i); };
  const Step fields = [&](Keyspace& db) {
    Place p = at(db, "hash");
    for (int i = 0; i < 300; ++i) db.make_hash(p).set(Scalar(name(i)), "value");
  };
  const Step elements = [&](Keyspace& db) {
    Place p = at(db, "list");
    for (int i = 0; i < 300; ++i) db.make_list(p).push_back(Scalar(name(i)));
  };
  const Step keys = [&](Keyspace& db) {
    for (int i = 0; i < 600; ++i) {
      const std::string key = name(i);
      Place p = at(db, key);
      db.set_string(p, "value");
    }
  };
  for (const Step& step : {fields, elements, keys}) {
    for (std::uint64_t nth = 1; nth < 800; ++nth) {
      CAPTURE(nth);
      Keyspace db;
      REQUIRE(memory::hold_reserve());
      arena().fail_at(nth);
      REQUIRE_NOTHROW(step(db));
      arena().fail_at(0);
    }
  }
}
