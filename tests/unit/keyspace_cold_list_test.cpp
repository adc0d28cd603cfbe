// Long lists, whose inner chunks are deflated: against a deque, with and without memory; what they
// take; and that whatever reads them is never disturbed.
//
// Every random run prints its seed when it fails; KV_TEST_SEED repeats it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/list_deque.hpp"

using namespace kv;

namespace {

struct Faults {
  ~Faults() { arena().fail_at(0); }
};

/// A list and the model of it.
struct Lists {
  Lists() : list(ListDeque::create(pool)) {}
  ~Lists() {
    ListDeque::destroy(list, pool);
    CHECK(pool.bytes() == 0);
  }
  Lists(const Lists&) = delete;
  Lists& operator=(const Lists&) = delete;

  void push_back(const std::string& element) {
    list->push_back(Scalar(element));
    model.push_back(element);
  }
  /// Bytes of the elements as they would lie in raw chunks.
  std::size_t raw_bytes() const {
    std::size_t bytes = 0;
    for (const std::string& e : model) bytes += packed::list_element_bytes(Scalar(e));
    return bytes;
  }
  bool same() const {
    if (list->size() != model.size()) return false;
    std::size_t i = 0;
    bool equal = true;
    list->visit(0, SIZE_MAX, [&](const Scalar& s) {
      equal = i < model.size() && s.bytes == model[i];
      ++i;
      return equal;
    });
    return equal && i == model.size();
  }

  Pool pool;
  ListDeque* list;
  std::deque<std::string> model;
};

std::string element_of(std::size_t i) {
  std::string digits = std::to_string(i);
  return "element:" + std::string(6 - std::min<std::size_t>(6, digits.size()), '0') + digits;
}
std::string noise(std::mt19937& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

unsigned seed_of_run() {
  const char* text = std::getenv("KV_TEST_SEED");
  return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10))
                         : std::random_device{}();
}

/// Random changes of a list and its model.
class Changes : public Lists {
 public:
  explicit Changes(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }
  std::string some_element() {
    if (below(30) == 0) return noise(random_, 50 + below(300));
    if (below(400) == 0) return std::string(1000 + below(12'000), 'l');
    return element_of(below(300)) + std::string(below(80), '-');
  }

  /// One change, perhaps without memory: then the list must be as it was, or the change be one
  /// that needs none.
  void step(bool grow, bool starved) {
    const Faults faults;
    const std::string element = some_element();
    const std::size_t n = model.size(), i = n == 0 ? 0 : below(n);
    std::size_t kind = n == 0 ? 1 : 1 + below(grow ? 8 : 13);
    // What opens cold chunks is rare, or there would be none.
    if (kind == 5 || kind == 6) kind = below(10) == 0 ? 5 * below(2) + below(2) : 2;
    if (starved) arena().fail_at(1 + below(3), below(2) == 0);
    if (kind >= 7) return remove(kind, i);
    try {
      switch (kind) {
        case 0: list->insert(i, Scalar(element)); break;
        case 1:
        case 2: list->push_back(Scalar(element)); break;
        case 3:
        case 4: list->push_front(Scalar(element)); break;
        case 5: list->set(i, Scalar(element)); break;
        default: list->insert(n - 1 - i, list->at(i)); break;  // an element of the list itself
      }
    } catch (const std::bad_alloc&) {
      ++refused;
      return;
    }
    switch (kind) {
      case 0: model.insert(at(i), element); break;
      case 1:
      case 2: model.push_back(element); break;
      case 3:
      case 4: model.push_front(element); break;
      case 5: model[i] = element; break;
      default: {
        const std::string copy = model[i];
        model.insert(at(n - 1 - i), copy);
      }
    }
  }

  std::size_t refused = 0;

 private:
  std::deque<std::string>::iterator at(std::size_t i) {
    return model.begin() + static_cast<long>(i);
  }
  void erase(std::size_t i, std::size_t count) {
    list->erase(i, count);
    model.erase(at(i), at(i + count));
  }
  void remove(std::size_t kind, std::size_t i) {
    const std::size_t n = model.size();
    if (kind == 7) return erase(0, 1);
    if (kind == 8) return erase(n - 1, 1);
    if (kind == 9) return remove_equal(model[i], static_cast<std::int64_t>(below(7)) - 3);
    if (kind == 10 && below(10) == 0) return erase(i, std::min(n - i, below(400)));
    // Ends go quickly now and then, so that cold chunks come up as the first or last one.
    if (kind == 11 && below(10) == 0) return erase(0, std::min(n, below(600)));
    if (kind == 12 && below(10) == 0) {
      const std::size_t count = std::min(n, below(600));
      return erase(n - count, count);
    }
    if (kind == 13 && below(300) == 0) return keep_every_third();
    erase(i, std::min(n - i, below(4)));
  }
  void remove_equal(const std::string& wanted, std::int64_t count) {
    const std::string copy = wanted;
    std::size_t left = count == 0 ? SIZE_MAX : static_cast<std::size_t>(std::abs(count)), gone = 0;
    const auto hit = [&](const std::string& e) {
      if (left == 0 || e != copy) return false;
      --left;
      ++gone;
      return true;
    };
    if (count < 0) {
      for (std::size_t k = model.size(); k-- > 0;) {
        if (hit(model[k])) model.erase(at(k));
      }
    } else {
      std::erase_if(model, hit);
    }
    REQUIRE(list->remove(count, [&](const Scalar& s) { return s.bytes == copy; }) == gone);
  }
  void keep_every_third() {
    const auto goes = [](std::string_view e) { return e.size() % 3 != 0; };
    const std::size_t gone = std::erase_if(model, goes);
    REQUIRE(list->remove(0, [&](const Scalar& s) { return goes(s.bytes); }) == gone);
  }

  std::mt19937 random_;
};

/// Grows a list by turns beyond its raw ends and lets it shrink again.
void run(bool starved) {
  const unsigned seed = seed_of_run();
  INFO("KV_TEST_SEED=" << seed);
  Changes lists(seed);
  std::size_t most = 0, least_percent = 100;
  bool grow = true;
  // Enough that memory is refused more than a hundred times: 60,000 steps gave 100 to 152.
  for (std::size_t i = 0; i < 90'000; ++i) {
    lists.step(grow, starved && lists.below(3) == 0);
    REQUIRE(lists.list->size() == lists.model.size());
    if (lists.model.size() > 6000) grow = false;
    if (lists.model.size() < 20) grow = true;
    if (!lists.model.empty()) {
      const std::size_t k = lists.below(lists.model.size());
      REQUIRE(lists.list->at(k).bytes == lists.model[k]);
    }
    if (i % 500 != 0) continue;
    REQUIRE(lists.same());
    if (lists.model.size() < 3000) continue;
    most = std::max(most, lists.model.size());
    least_percent = std::min(least_percent, lists.list->bytes() * 100 / lists.raw_bytes());
  }
  REQUIRE(lists.same());
  CHECK(most >= 3000);
  CHECK(least_percent < 90);  // noise, hot chunks and the ends are raw
  CHECK((lists.refused > 100) == starved);
}

}  // namespace

TEST_CASE("keyspace/cold lists: random changes agree with a deque") { run(false); }
TEST_CASE("keyspace/cold lists: E1 random changes with memory missing at any moment") { run(true); }

TEST_CASE("keyspace/cold lists: a million short elements take less than a quarter of their bytes") {
  for (const bool front : {false, true}) {
    Pool pool;
    ListDeque* list = ListDeque::create(pool);
    for (std::size_t i = 0; i < 1'000'000; ++i) {
      const std::string element = element_of(i);
      front ? list->push_front(Scalar(element)) : list->push_back(Scalar(element));
    }
    CHECK(list->bytes() < 16'000'000 / 4);
    for (std::size_t i = 0; i < 1'000'000; i += 9973) {
      REQUIRE(list->at(front ? 999'999 - i : i).bytes == element_of(i));
    }
    ListDeque::destroy(list, pool);
    CHECK(pool.bytes() == 0);
  }
}

TEST_CASE("keyspace/cold lists: noise stays raw, is not deflated again, and costs no more") {
  std::mt19937 random(3);
  Lists lists;
  for (int i = 0; i < 20'000; ++i) lists.push_back(noise(random, 30));
  const std::size_t bytes = lists.list->bytes();
  CHECK(bytes < lists.raw_bytes() * 104 / 100);
  for (int i = 0; i < 5000; ++i) {
    const std::size_t at = random() % lists.model.size();
    lists.model[at] = noise(random, 30);
    lists.list->set(at, Scalar(lists.model[at]));
  }
  CHECK(lists.list->bytes() == bytes);
  CHECK(lists.same());
}

TEST_CASE("keyspace/cold lists: a queue that passes through cold chunks keeps its size") {
  Lists lists;
  for (std::size_t i = 0; i < 50'000; ++i) lists.push_back(element_of(i));
  const std::size_t bytes = lists.list->bytes();
  CHECK(bytes < 50'000 * 16 / 3);
  for (std::size_t i = 50'000; i < 300'000; ++i) {
    lists.list->push_back(Scalar(element_of(i)));
    REQUIRE(lists.list->at(0).bytes == element_of(i - 50'000));
    lists.list->erase(0, 1);
    REQUIRE(lists.list->bytes() < bytes + 3 * ListDeque::chunk_bytes_max);
  }
  for (std::size_t i = 300'000; i-- > 250'000;) {
    REQUIRE(lists.list->at(lists.list->size() - 1).bytes == element_of(i));
    lists.list->erase(lists.list->size() - 1, 1);
  }
  lists.model.clear();
  CHECK(lists.list->size() == 0);
}

TEST_CASE("keyspace/cold lists: what changes inside is cold again when others change") {
  std::mt19937 random(5);
  Lists lists;
  for (std::size_t i = 0; i < 200'000; ++i) lists.push_back(element_of(i));
  const std::size_t bytes = lists.list->bytes();
  for (std::size_t i = 1000; i < 199'000; i += 400) {
    lists.model[i] = element_of(i + 7);
    lists.list->set(i, Scalar(lists.model[i]));
  }
  CHECK(lists.list->bytes() > 3 * bytes);  // every chunk was opened
  CHECK(lists.same());
  for (std::size_t i = 200'000; i < 1'000'000; ++i) lists.push_back(element_of(i));
  CHECK(lists.list->bytes() < 6 * bytes);
  CHECK(lists.same());
}

TEST_CASE(
    "keyspace/cold lists: removing without memory, from the ends, the middle and everywhere") {
  for (const int way : {0, 1, 2, 3, 4}) {
    const Faults faults;
    Lists lists;
    for (std::size_t i = 0; i < 20'000; ++i) lists.push_back(element_of(i));
    const auto erase = [&](std::size_t i, std::size_t count) {
      lists.list->erase(i, count);
      const auto from = lists.model.begin() + static_cast<long>(i);
      lists.model.erase(from, from + static_cast<long>(count));
    };
    const std::size_t bytes = lists.list->bytes();
    arena().fail_at(1, true);
    while (!lists.model.empty()) {
      const std::size_t n = lists.model.size();
      if (way == 0) erase(0, std::min<std::size_t>(n, 7));
      if (way == 1) erase(n - std::min<std::size_t>(n, 7), std::min<std::size_t>(n, 7));
      if (way == 2) erase(n / 3, 1 + n / 50);
      if (way >= 3) {
        const char digit = static_cast<char>('0' + n % 10);
        const auto goes = [&](std::string_view e) { return e.back() == digit || n < 200; };
        const std::size_t gone = std::erase_if(lists.model, goes);
        REQUIRE(lists.list->remove(way == 3 ? 0 : -30'000,
                                   [&](const Scalar& s) { return goes(s.bytes); }) == gone);
        if (gone == 0) erase(0, 1);
      }
      REQUIRE(lists.list->bytes() <= bytes);
      if (n % 50 == 0) REQUIRE(lists.same());
    }
    REQUIRE(lists.list->size() == 0);
  }
}

TEST_CASE("keyspace/cold lists: an end that could not be opened is read, left and opened later") {
  const Faults faults;
  Lists lists;
  for (std::size_t i = 0; i < 20'000; ++i) lists.push_back(element_of(i));
  arena().fail_at(1, true);
  lists.list->erase(0, 3000);
  lists.list->erase(lists.list->size() - 3000, 3000);
  lists.model.erase(lists.model.begin(), lists.model.begin() + 3000);
  lists.model.resize(lists.model.size() - 3000);
  CHECK(lists.same());
  CHECK(lists.list->at(0).bytes == element_of(3000));
  CHECK_THROWS_AS(lists.list->push_front("new"), std::bad_alloc);
  CHECK_THROWS_AS(lists.list->push_back("new"), std::bad_alloc);
  CHECK_THROWS_AS(lists.list->set(5, "new"), std::bad_alloc);
  CHECK_THROWS_AS(lists.list->insert(7000, "new"), std::bad_alloc);
  CHECK(lists.same());
  arena().fail_at(0);
  lists.list->push_front("first");
  lists.list->push_back("last");
  lists.model.push_front("first");
  lists.model.push_back("last");
  CHECK(lists.same());
}

TEST_CASE("keyspace/cold lists: few elements that are left in many chunks come together") {
  Lists lists;
  for (std::size_t i = 0; i < 100'000; ++i) lists.push_back(element_of(i));
  const auto goes = [](std::string_view e) { return !e.ends_with("00"); };
  std::erase_if(lists.model, goes);
  CHECK(lists.list->remove(0, [&](const Scalar& s) { return goes(s.bytes); }) == 99'000);
  CHECK(lists.same());
  CHECK(lists.list->bytes() < 40'000);
}

TEST_CASE(
    "keyspace/cold lists: walks inside walks, and single looks between, see the right bytes") {
  Lists a, b;
  for (std::size_t i = 0; i < 30'000; ++i) a.push_back(element_of(i));
  for (std::size_t i = 0; i < 30'000; ++i) b.push_back("b" + element_of(i * 7 % 100'000));
  std::mt19937 random(9);
  bool equal = true;
  std::size_t seen = 0;
  const auto look = [&](const Lists& lists) {
    const std::size_t k = random() % 30'000;
    equal = equal && lists.list->at(k).bytes == lists.model[k];
  };
  // Five deep, each in another chunk, more than there are buffers to hold.
  const auto walk = [&](const auto& self, std::size_t depth, std::size_t from) -> void {
    const Lists& lists = depth % 2 == 0 ? a : b;
    std::size_t i = from;
    lists.list->visit(from, 4, [&](const Scalar& s) {
      look(a), look(b);
      if (depth < 5) self(self, depth + 1, (from + 4000) % 29'000);
      look(b);
      equal = equal && s.bytes == lists.model[i];
      ++i, ++seen;
      return equal;
    });
  };
  for (std::size_t from = 0; from < 29'000; from += 7777) walk(walk, 0, from);
  CHECK(equal);
  CHECK(seen == 4 * (4 + 16 + 64 + 256 + 1024 + 4096));
  // Two views at a time stay valid, wherever they come from.
  for (int i = 0; i < 1000; ++i) {
    const std::size_t j = random() % 30'000, k = random() % 30'000;
    const Scalar x = a.list->at(j), y = b.list->at(k);
    REQUIRE(x.bytes == a.model[j]);
    REQUIRE(y.bytes == b.model[k]);
  }
}
