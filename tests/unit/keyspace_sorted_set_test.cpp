// Sorted sets of the keyspace: the packed form and the large one against the plainest model, their
// memory, and what happens when that ends.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <new>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/digest.hpp"
#include "tests/unit/keyspace_fixture.hpp"

namespace kv::keyspace_test {
namespace {

using Element = SortedSet::Element;

/// A sorted set and what it should be.
class Model {
 public:
  explicit Model(unsigned seed) : dice_(seed) {}

  void step() {
    const std::string member = some_member();
    const double score = some_score();
    Place place = keys_.peek("k", t0);
    SortedSet set = keys_.make_sorted_set(place);
    if (below(100) < growing_) {
      REQUIRE(set.set(Scalar(member), score) == !scores_.contains(member));
      put(member, score);
    } else if (below(20) == 0 && !order_.empty()) {
      erase_range(set);
    } else {
      REQUIRE(set.erase(member) == scores_.contains(member));
      remove(member);
    }
    if (!order_.empty() && below(8) == 0) set_own_view(set);
    keys_.drop_if_empty(place);
    REQUIRE(place.found() == !order_.empty());
    if (below(50) == 0) compare();
  }
  void grow(unsigned percent) { growing_ = percent; }
  std::size_t size() const { return order_.size(); }
  Keyspace& keys() { return keys_; }

  void compare() {
    Place place = keys_.peek("k", t0);
    const SortedSet set = keys_.sorted_set(place);
    REQUIRE(set.size() == order_.size());
    std::size_t rank = 0;
    auto next = order_.begin();
    set.visit(0, SIZE_MAX, Direction::up, [&](const Element& element) {
      REQUIRE((element.score == next->first && element.member.bytes == next->second));
      if (order_.size() < 20 || below(30) == 0) {
        REQUIRE(set.rank(element.member.bytes) == rank);
        REQUIRE(set.score(element.member.bytes) == element.score);
        REQUIRE(set.at(rank).member.bytes == next->second);
      }
      ++next, ++rank;
      return true;
    });
    REQUIRE(rank == order_.size());
    if (rank == 0) return;
    compare_part(set);
    REQUIRE(!set.rank("nobody"));
    REQUIRE(!set.score("nobody"));
  }

 private:
  std::size_t below(std::size_t n) { return dice_() % n; }
  std::string some_member() {
    if (below(40) == 0) return "long" + std::string(60 + below(8), 'x') + std::to_string(below(4));
    return std::to_string(below(spread_));
  }
  double some_score() {
    static const double special[] = {0,
                                     1e300,
                                     -1e300,
                                     5e-324,
                                     std::numeric_limits<double>::infinity(),
                                     -std::numeric_limits<double>::infinity()};
    if (below(20) == 0) return special[below(std::size(special))];
    return static_cast<double>(below(200)) / 4 - 20;
  }
  void put(const std::string& member, double score) {
    remove(member);
    scores_[member] = score;
    order_.insert({score, member});
  }
  void remove(const std::string& member) {
    const auto found = scores_.find(member);
    if (found == scores_.end()) return;
    order_.erase({found->second, member});
    scores_.erase(found);
  }
  void erase_range(SortedSet& set) {
    const std::size_t first = below(order_.size());
    const std::size_t count = below(std::min<std::size_t>(order_.size() - first, 9) + 1);
    set.erase(first, count);
    auto from = std::next(order_.begin(), static_cast<long>(first));
    for (std::size_t i = 0; i < count; ++i) {
      scores_.erase(from->second);
      from = order_.erase(from);
    }
  }
  /// A member given as a view of what the set itself holds.
  void set_own_view(SortedSet& set) {
    const Element element = set.at(below(order_.size()));
    const std::string member(element.member.bytes);
    const double score = some_score();
    REQUIRE(!set.set(element.member, score));
    put(member, score);
  }
  void compare_part(const SortedSet& set) {
    const std::size_t first = below(order_.size()), count = below(20);
    const bool down = below(2) == 0;
    std::vector<std::string> seen, wanted;
    set.visit(first, count, down ? Direction::down : Direction::up, [&](const Element& element) {
      seen.emplace_back(element.member.bytes);
      return true;
    });
    const std::vector<std::pair<double, std::string>> all(order_.begin(), order_.end());
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t at = down ? first - i : first + i;
      if (at < all.size()) wanted.push_back(all[at].second);
    }
    REQUIRE(seen == wanted);
    const double bound = some_score();
    const auto before = [&](const Element& element) { return element.score < bound; };
    REQUIRE(set.count_while(before) == static_cast<std::size_t>(std::distance(
                                           order_.begin(), order_.lower_bound({bound, ""}))));
    std::map<std::string, int> scanned;
    std::uint64_t cursor = 0;
    do {
      cursor = set.scan(cursor, 10, [&](const Element& element) {
        ++scanned[std::string(element.member.bytes)];
        REQUIRE(scores_.at(std::string(element.member.bytes)) == element.score);
      });
    } while (cursor != 0);
    REQUIRE(scanned.size() == scores_.size());
  }

  std::mt19937 dice_;
  unsigned growing_ = 60;
  std::size_t spread_ = 2000;
  Keyspace keys_;
  std::map<std::string, double> scores_;
  std::set<std::pair<double, std::string>> order_;
};

TEST_CASE("keyspace/sorted set: both forms are what the plainest model is") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u);
  INFO("seed " << seed);
  Model model(seed);
  const std::size_t empty = Keyspace().memory_bytes();
  std::size_t largest = 0;
  for (int phase = 0; phase < 12; ++phase) {
    model.grow(phase % 3 == 0 ? 95 : phase % 3 == 1 ? 55 : 10);
    for (int i = 0; i < 2500; ++i) model.step();
    largest = std::max(largest, model.size());
    model.compare();
  }
  CHECK(largest > 700);
  model.keys().clear();
  CHECK(model.keys().memory_bytes() == empty);
}

TEST_CASE(
    "keyspace/sorted set: the first kind is kept, -0 is 0, and the form follows Redis's words") {
  Keyspace db;
  Place p = db.locate("z", t0);
  SortedSet set = db.make_sorted_set(p);
  CHECK(set.set({"7", Kind::number}, -0.0));
  CHECK_FALSE(std::signbit(*set.score("7")));
  CHECK_FALSE(set.set({"7", Kind::string}, 3));
  CHECK(set.at(0).member == Scalar("7", Kind::number));
  for (int i = 0; i < 127; ++i) set.set(Scalar("m" + std::to_string(i)), i);
  CHECK(encoding(db, "z") == "listpack");
  set.set("one more", 1);
  CHECK(encoding(db, "z") == "skiplist");
  CHECK_FALSE(set.set({"7", Kind::string}, 4));
  CHECK(set.at(*set.rank("7")).member == Scalar("7", Kind::number));
  set.erase(0, 100);
  CHECK(encoding(db, "z") == "skiplist");  // it never goes back
  Place q = db.locate("long", t0);
  db.make_sorted_set(q).set(Scalar(big(64)), 1);
  CHECK(encoding(db, "long") == "listpack");
  db.make_sorted_set(q).set(Scalar(big(65)), 1);
  CHECK(encoding(db, "long") == "skiplist");
  const std::string long_key = big(5000);  // large at once, for another reason than Redis's
  Place r = db.locate(long_key, t0);
  db.make_sorted_set(r).set("m", 1);
  CHECK(encoding(db, long_key) == "listpack");
}

TEST_CASE("keyspace/sorted set: moves with its key, and its memory is counted where it is") {
  for (const int size : {3, 1000}) {
    Keyspace here, there;
    const std::size_t empty = here.memory_bytes();
    Place from = here.locate("a", t0), to = there.locate("b", t0);
    for (int i = 0; i < size; ++i) here.make_sorted_set(from).set(Scalar(std::to_string(i)), i);
    here.move(from, there, to);
    CHECK(here.memory_bytes() == empty);
    CHECK(there.sorted_set(to).size() == static_cast<std::size_t>(size));
    CHECK(there.memory_usage(to) < there.memory_bytes());
    there.erase(to);
    CHECK(there.memory_bytes() == empty);
  }
}

TEST_CASE("keyspace/sorted set: what redis-server 7.0.15 says is its digest") {
  Keyspace db;
  std::vector<Keyspace*> all{&db};
  Place p = db.locate("z", t0);
  SortedSet set = db.make_sorted_set(p);
  set.set("a", 1), set.set("b", 2.5), set.set("", 0.1);
  set.set("17", std::numeric_limits<double>::infinity());
  CHECK(value_digest(db, p) == "8db2aea3056e2d4548c2f8331d67f9af89b9d538");
  CHECK(dataset_digest(all) == "86fc35c2496eb2eefb506c090533aa594cee68c8");
}

TEST_CASE("keyspace/sorted set: a member of a large one takes less than half of what Redis takes") {
  Keyspace db;
  Place p = db.locate("z", t0);
  std::mt19937 dice(1);
  constexpr std::size_t count = 200'000;
  for (std::size_t i = 0; i < count; ++i) {
    db.make_sorted_set(p).set(Scalar("member" + std::to_string(100'000 + i)),
                              static_cast<double>(dice()));
  }
  // 24 for the entry, 10 of the table, 12 of the order; redis-server 7.0.15 takes 112.
  CHECK(db.memory_usage(p) < count * 50);
  for (std::size_t i = 0; i < count - 10; ++i) {
    db.sorted_set(p).erase("member" + std::to_string(100'000 + i));
  }
  CHECK(db.memory_usage(p) < 10'000);
}

// --- E1: memory ends ---

std::string dump(Keyspace& db) {
  Place p = db.peek("z", t0);
  std::string text = p.found() ? std::to_string(db.expiry(p).value_or(0)) : "absent";
  db.sorted_set(p).visit(0, SIZE_MAX, Direction::up, [&](const Element& element) {
    text += "|" + std::string(element.member.bytes) + "=" + std::to_string(element.score);
    return true;
  });
  if (p.found()) REQUIRE(type_name(db.type(p)) == "zset");
  return text;
}

struct Faults {
  ~Faults() { arena().fail_at(0); }
};

/// Sets one member, with each allocation failing in turn, once or from then on.
void check_adding(std::size_t size, const std::string& member, double score) {
  INFO(size << " members, another of " << member.size() << " bytes");
  const Faults faults;
  for (const bool for_ever : {false, true}) {
    bool failed = true;
    for (std::uint64_t nth = 1; failed; ++nth) {
      REQUIRE(nth < 400);
      Keyspace db;
      const std::size_t empty = db.memory_bytes();
      Place p = db.peek("z", t0);
      for (std::size_t i = 0; i < size; ++i) {
        db.make_sorted_set(p).set(Scalar("m" + std::to_string(i)), static_cast<double>(i));
      }
      if (p.found()) db.set_expiry(p, t0 + 1000);
      const std::string before = dump(db);
      failed = false;
      arena().fail_at(nth, for_ever);
      try {
        db.make_sorted_set(p).set(Scalar(member), score);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      arena().fail_at(0);
      if (failed) {
        REQUIRE(dump(db) == before);
        Place again = db.peek("z", t0);
        db.make_sorted_set(again).set(Scalar(member), score);
      }
      Place after = db.peek("z", t0);
      REQUIRE(db.sorted_set(after).score(member) == score);
      REQUIRE(db.sorted_set(after).rank(member).has_value());
      db.clear();
      REQUIRE(db.memory_bytes() == empty);
    }
  }
}

TEST_CASE("keyspace/sorted set: E1 adding and moving members") {
  for (const std::size_t size : {0u, 5u, 127u, 128u, 500u, 1344u, 3000u}) {
    check_adding(size, "new", 3.5);
    check_adding(size, big(100), -1);
    check_adding(size, big(9000), 1e9);
    check_adding(size, "m3", 1e9);
    check_adding(size, "m0", static_cast<double>(size) / 2 + 0.25);
  }
}

TEST_CASE("keyspace/sorted set: E1 removing needs no memory, and what stays is right") {
  const Faults faults;
  for (const std::size_t size : {3u, 100u, 3000u}) {
    Keyspace db;
    const std::size_t empty = db.memory_bytes();
    Place p = db.peek("z", t0);
    for (std::size_t i = 0; i < size; ++i) {
      db.make_sorted_set(p).set(Scalar("m" + std::to_string(i)), static_cast<double>(i % 7));
    }
    arena().fail_at(1, true);
    for (std::size_t i = 0; i < size; ++i) {
      const std::string member = "m" + std::to_string(i * 7 % size);
      REQUIRE(db.sorted_set(p).erase(member));
      REQUIRE(db.sorted_set(p).size() == size - 1 - i);
    }
    db.drop_if_empty(p);
    arena().fail_at(0);
    CHECK(db.memory_bytes() == empty);
  }
}

}  // namespace
}  // namespace kv::keyspace_test
