// The ordered index of sorted sets against std::set: random inserting and erasing, with every rank
// compared, with memory that ends at any allocation, and in the orders that trees do badly at.
#include <catch2/catch.hpp>
#include <map>
#include <new>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libkv/keyspace/score_tree.hpp"

using namespace kv;

namespace {

using Model = std::set<std::pair<double, std::string>>;

/// A tree, its entries and the same in a std::set.
class Pair {
 public:
  ~Pair() {
    tree_.clear();
    for (auto& [key, entry] : entries_) free_entry(pool_, entry);
  }
  void insert(double score, const std::string& member) {
    if (!model_.emplace(score, member).second) return;
    Entry::Head head;
    head.field = true;
    Entry* const entry =
        create_string(pool_, head, member, text_of(reinterpret_cast<unsigned char*>(&score), 8));
    entries_[{score, member}] = entry;
    try {
      tree_.insert(entry);
    } catch (const std::bad_alloc&) {
      model_.erase({score, member});
      entries_.erase({score, member});
      free_entry(pool_, entry);
      throw;
    }
  }
  void erase(const std::pair<double, std::string> key) {  // a copy: it may be the model's own
    model_.erase(key);
    tree_.erase({key.first, key.second});
    free_entry(pool_, entries_[key]);
    entries_.erase(key);
  }
  void compare() const {
    REQUIRE(tree_.sound());
    REQUIRE(tree_.size() == model_.size());
    auto next = model_.begin();
    std::size_t rank = 0;
    tree_.visit(0, SIZE_MAX, false, [&](const Entry& entry) {
      REQUIRE(entry.key() == next->second);
      REQUIRE(score_of(entry) == next->first);
      if (rank % 97 == 0) {
        REQUIRE(tree_.at(rank) == &entry);
        REQUIRE(rank_of(*next) == rank);
      }
      ++next, ++rank;
      return true;
    });
    REQUIRE(rank == model_.size());
  }
  std::size_t rank_of(const std::pair<double, std::string>& key) const {
    return tree_.count_while([&](const Entry& entry) {
      return score_key_of(entry) < ScoreKey{key.first, key.second};
    });
  }
  const Model& model() const { return model_; }
  const ScoreTree& tree() const { return tree_; }
  std::size_t bytes() const { return pool_.bytes(); }

 private:
  Pool pool_;
  ScoreTree tree_{pool_};
  Model model_;
  std::map<std::pair<double, std::string>, Entry*> entries_;
};

struct Faults {
  ~Faults() { arena().fail_at(0); }
};

/// Some key of the model, about evenly.
std::pair<double, std::string> some(const Model& model, std::mt19937& dice, double range) {
  auto it = model.lower_bound({static_cast<double>(dice() % static_cast<unsigned>(range)), ""});
  return it != model.end() ? *it : *model.begin();
}

}  // namespace

TEST_CASE("keyspace/score tree: random changes keep it what std::set is, ranks included") {
  const unsigned seed = GENERATE(1u, 2u, 3u);
  std::mt19937 dice(seed);
  Pair pair;
  for (int phase = 0; phase < 12; ++phase) {
    const unsigned growing = phase % 3 == 0 ? 90 : phase % 3 == 1 ? 50 : 15;  // of a hundred
    for (int i = 0; i < 10'000; ++i) {
      if (dice() % 100 < growing || pair.model().empty()) {
        pair.insert(static_cast<double>(dice() % 3000), "m" + std::to_string(dice() % 40));
      } else {
        pair.erase(some(pair.model(), dice, 3000));
      }
      if (i % 1000 == 0) REQUIRE(pair.tree().sound());
    }
    pair.compare();
  }
  while (!pair.model().empty()) pair.erase(some(pair.model(), dice, 3000));
  CHECK(pair.bytes() == 0);
}

TEST_CASE("keyspace/score tree: orders that trees do badly at") {
  const int order = GENERATE(0, 1, 2, 3);
  Pair pair;
  constexpr int count = 20'000;
  for (int i = 0; i < count; ++i) {
    double score = i;
    if (order == 1) score = -i;
    if (order == 2) score = i % 2 == 0 ? i : -i;
    if (order == 3) score = i < count / 2 ? i : count - i - 0.5;
    pair.insert(score, "m");
  }
  pair.compare();
  // In order of the scores it is as dense as can be.
  const std::size_t entry = 2 + 1 + 1 + 1 + 8;
  if (order == 0) CHECK(pair.bytes() < count * (Arena::rounded(entry) + 9));
  CHECK(pair.bytes() < count * (Arena::rounded(entry) + 20));
  // Every other one, then from the end, then from the beginning.
  std::vector<std::pair<double, std::string>> odd;
  for (const auto& key : pair.model()) {
    if (odd.size() * 2 < pair.model().size()) odd.push_back(key);
  }
  for (std::size_t i = 0; i < odd.size(); i += 2) pair.erase(odd[i]);
  pair.compare();
  for (int i = 0; i < count / 4; ++i) pair.erase(*pair.model().rbegin());
  pair.compare();
  while (pair.model().size() > 10) pair.erase(*pair.model().begin());
  pair.compare();
  CHECK(pair.bytes() < 2000);
  while (!pair.model().empty()) pair.erase(*pair.model().rbegin());
  CHECK(pair.bytes() == 0);
}

TEST_CASE("keyspace/score tree: parts are walked both ways and end where they should") {
  Pair pair;
  for (int i = 0; i < 5000; ++i) pair.insert(i * 7 % 5003, "m");
  std::vector<std::string> all;
  std::vector<double> scores;
  for (const auto& [score, member] : pair.model()) scores.push_back(score);
  std::mt19937 dice(5);
  for (int i = 0; i < 500; ++i) {
    const std::size_t first = dice() % 5000, count = dice() % 300;
    const bool down = dice() % 2 == 0;
    std::vector<double> seen, wanted;
    pair.tree().visit(first, count, down, [&](const Entry& entry) {
      seen.push_back(score_of(entry));
      return true;
    });
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t at = down ? first - k : first + k;
      if (at < scores.size()) wanted.push_back(scores[at]);
    }
    REQUIRE(seen == wanted);
  }
  int calls = 0;
  pair.tree().visit(4000, 900, true, [&](const Entry&) { return ++calls < 10; });
  CHECK(calls == 10);
  pair.tree().visit(5000, 1, false, [&](const Entry&) { return ++calls < 10; });
  CHECK(calls == 10);
}

TEST_CASE("keyspace/score tree: memory that ends at any allocation leaves it as it was (E1)") {
  const Faults faults;
  std::mt19937 dice(11);
  Pair pair;
  int failed = 0;
  for (int i = 0; i < 60'000; ++i) {
    const double score = i % 2 == 0 ? i : static_cast<double>(dice() % 1000);
    arena().fail_at(2 + dice() % 4, dice() % 2 == 0);
    try {
      pair.insert(score, "m" + std::to_string(dice() % 100));
    } catch (const std::bad_alloc&) {
      ++failed;
      REQUIRE(pair.tree().sound());
      REQUIRE(pair.tree().size() == pair.model().size());
    }
    arena().fail_at(0);
    if (dice() % 3 == 0) pair.erase(some(pair.model(), dice, 1000));
  }
  CHECK(failed > 100);
  pair.compare();
}
