// Values that arrive in memory of their own: they are kept as they lie, counted, and freed once.
#include <catch2/catch.hpp>
#include <cstring>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/offered.hpp"
#include "tests/unit/keyspace_fixture.hpp"

using namespace kv;
using namespace kv::keyspace_test;

namespace {

/// Blocks as a request brings them; frees what is not taken.
struct Blocks {
  explicit Blocks(const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      OfferedBlock block{nullptr, value.size(), value.size(), false};
      block.data = static_cast<unsigned char*>(arena().try_allocate(value.size()));
      REQUIRE(block.data != nullptr);
      std::memcpy(block.data, value.data(), value.size());
      all.push_back(block);
    }
  }
  ~Blocks() {
    for (const OfferedBlock& block : all) {
      if (!block.taken) arena().deallocate(block.data, block.capacity);
    }
  }
  Scalar value(std::size_t i = 0) const {
    return {{reinterpret_cast<const char*>(all[i].data), all[i].size}, Kind::string};
  }
  std::vector<OfferedBlock> all;
};

const char* address(Keyspace& db, std::string_view key) {
  return db.string(db.locate(key, t0)).bytes.data();
}

}  // namespace

TEST_CASE("keyspace/offered: a value is kept where it lies, new or in another's place") {
  Keyspace db, other;
  const std::string bytes = big(300'000, 'a');
  set(other, "new", Scalar(bytes));
  set(db, "old", Scalar(big(290'000, 'b')));  // as large: it would be overwritten
  for (const char* key : {"new", "old"}) {
    Blocks blocks({bytes});
    {
      const Offer offer(blocks.all);
      set(db, key, blocks.value());
    }
    CHECK(blocks.all[0].taken);
    CHECK(address(db, key) == blocks.value().bytes.data());
  }
  CHECK(get(db, "new") == bytes);
  CHECK(get(db, "old") == bytes);
  Place copied = other.locate("new", t0), kept = db.locate("new", t0);
  CHECK(db.memory_usage(kept) == other.memory_usage(copied));
  db.append(kept, "more");
  CHECK(get(db, "new") == bytes + "more");
  db.clear();
  CHECK(db.memory_bytes() == Keyspace().memory_bytes());
}

TEST_CASE("keyspace/offered: what is not exactly an offered value is copied") {
  Keyspace db;
  Blocks blocks({big(300'000, 'a')});
  const Scalar whole = blocks.value();
  set(db, "before", whole);  // nothing is offered yet
  const Offer offer(blocks.all);
  set(db, "part", Scalar(whole.bytes.substr(1)));
  set(db, "start", Scalar(whole.bytes.substr(0, 299'999)));
  CHECK_FALSE(blocks.all[0].taken);
  set(db, "first", whole);
  CHECK(blocks.all[0].taken);
  set(db, "second", whole);  // it is somebody's already
  CHECK(address(db, "second") != address(db, "first"));
  for (const char* key : {"before", "first", "second"}) CHECK(get(db, key) == whole.bytes);
}

TEST_CASE(
    "keyspace/offered: a value that is gone within its request stays readable until its end") {
  Keyspace db;
  const std::size_t empty = db.memory_bytes();
  Blocks blocks({big(300'000, 'a'), big(200'000, 'b')});
  {
    const Offer offer(blocks.all);
    set(db, "k", blocks.value(0));
    set(db, "k", blocks.value(1));  // replaces it
    CHECK_FALSE(blocks.all[0].taken);
    CHECK(blocks.all[1].taken);
    CHECK(blocks.value(0).bytes == big(300'000, 'a'));
    Place place = db.locate("k", t0);
    db.erase(place);
    CHECK_FALSE(blocks.all[1].taken);
    CHECK(blocks.value(1).bytes == big(200'000, 'b'));
    set(db, "k", blocks.value(0));  // and may be kept again
    CHECK(blocks.all[0].taken);
  }
  CHECK(get(db, "k") == big(300'000, 'a'));
  Place place = db.locate("k", t0);
  db.erase(place);
  db.settle();
  CHECK(db.memory_bytes() <= empty + 1024);
}

TEST_CASE("keyspace/offered: fields of large hashes are kept as well") {
  Keyspace db;
  Blocks blocks({big(100'000, 'f')});
  {
    const Offer offer(blocks.all);
    Place place = db.locate("h", t0);
    Hash hash = db.make_hash(place);
    hash.set("small", "1");
    hash.set("f", blocks.value());
    CHECK(hash.get("f")->bytes.data() == blocks.value().bytes.data());
    hash.set("f", "now small");
    CHECK_FALSE(blocks.all[0].taken);
    hash.set("g", blocks.value());
  }
  CHECK(blocks.all[0].taken);
  Place place = db.locate("h", t0);
  CHECK(db.hash(place).get("g")->bytes == big(100'000, 'f'));
  CHECK(db.hash(place).erase("g"));
}

TEST_CASE("keyspace/offered: without memory for the entry nothing is taken (E1)") {
  struct Faults {
    ~Faults() { arena().fail_at(0); }
  } faults;
  Blocks blocks({big(100'000, 'f')});
  const Offer offer(blocks.all);
  for (std::uint64_t nth = 1;; ++nth) {
    REQUIRE(nth < 20);
    Keyspace db;
    arena().fail_at(nth);
    try {
      set(db, "k", blocks.value());
    } catch (const std::bad_alloc&) {
      CHECK_FALSE(blocks.all[0].taken);
      CHECK(db.size() == 0);
      continue;
    }
    arena().fail_at(0);
    CHECK(blocks.all[0].taken);
    CHECK(nth > 1);
    break;
  }
  CHECK_FALSE(blocks.all[0].taken);  // the keyspace is gone, and has given it back
}
