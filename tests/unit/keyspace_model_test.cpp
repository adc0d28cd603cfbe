// Keyspaces against the plainest model there is: random operations on both, compared throughout.
//
// Every run prints its seed when it fails; KV_TEST_SEED repeats it.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "libkv/keyspace/keyspace.hpp"

namespace {

using kv::Hash;
using kv::Keyspace;
using kv::Kind;
using kv::List;
using kv::Place;
using kv::Scalar;
using kv::Set;
using kv::Type;

struct Owned {
  std::string bytes;
  Kind kind = Kind::string;
  Scalar view() const { return {bytes, kind}; }
  friend bool operator==(const Owned&, const Owned&) = default;
};
bool same(const Scalar& a, const Owned& b) { return a.bytes == b.bytes && a.kind == b.kind; }

using ModelList = std::deque<Owned>;
using ModelHash = std::map<std::string, std::pair<Kind, Owned>>;
/// In the order of the members' numbers; and where each one is.
struct ModelSet {
  std::vector<Owned> members;
  std::map<std::string, std::size_t> at;
  bool add(const Owned& member) {
    if (!at.emplace(member.bytes, members.size()).second) return false;
    members.push_back(member);
    return true;
  }
  bool erase(const std::string& member) {
    const auto it = at.find(member);
    if (it == at.end()) return false;
    const std::size_t i = it->second;
    at.erase(it);
    if (i + 1 != members.size()) at[members.back().bytes] = i;
    members[i] = members.back();
    members.pop_back();
    return true;
  }
};
struct ModelValue {
  std::variant<Owned, ModelList, ModelHash, ModelSet> value;
  std::optional<std::int64_t> expiry;
};
using Model = std::unordered_map<std::string, ModelValue>;

unsigned seed_of_run() {
  const char* text = std::getenv("KV_TEST_SEED");
  return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10))
                         : std::random_device{}();
}

/// One pair of keyspace and model and the random choices of a run.
class Pair {
 public:
  /// One step in `calm` replaces, moves or expires a whole key; the others change its inside.
  /// Dull elements are long and easily deflated, as the inside of a long list is.
  Pair(unsigned seed, std::size_t key_count, std::size_t calm, bool dull)
      : random_(seed), key_count_(key_count), calm_(calm), dull_(dull) {}

  void step() {
    now_ += static_cast<std::int64_t>(below(3));
    const std::string key = some_key();
    Place place = keys_.locate(key, now_);
    drop_expired(key);
    REQUIRE(place.found() == model_.contains(key));
    if (below(calm_) == 0) {
      switch (below(8)) {
        case 0: return set_string(place, key);
        case 6: return overwrite(place, key);
        case 1: return append(place, key);
        case 2: return replace(place, key);
        case 3: return erase(place, key);
        case 4: return set_expiry(place, key);
        case 5: return move(place, key);
        default: return expire();
      }
    }
    if (is(key, 0)) return below(2) == 0 ? append(place, key) : erase(place, key);
    const std::size_t fresh = dull_ ? 1 : 1 + below(3);
    const std::size_t type = place.found() ? model_[key].value.index() : fresh;
    // A burst: so lists, hashes and sets cross their thresholds in both directions.
    const bool grow = place.found() ? below(20) < (dull_ ? 15u : 11u) : true;
    for (std::size_t n = 1 + below(30); n != 0; --n) {
      if (type == 1) list_step(place, key, grow);
      else if (type == 2) hash_step(place, key, grow);
      else set_step(place, key, grow);
    }
  }

  void compare_all() {
    for (const auto& [key, value] : model_) {
      Place place = keys_.peek(key, now_);
      if (value.expiry && *value.expiry <= now_) {
        REQUIRE(!place.found());
        continue;
      }
      compare(place, value);
    }
    std::erase_if(model_, [this](const auto& item) {
      return item.second.expiry && *item.second.expiry <= now_;
    });
    REQUIRE(keys_.size() == model_.size());
    std::size_t expiring = 0;
    for (const auto& [key, value] : model_) expiring += value.expiry ? 1 : 0;
    REQUIRE(keys_.expiring() == expiring);
  }

  Keyspace& keys() { return keys_; }
  std::size_t list_bytes() const {
    std::size_t bytes = 0;
    for (const auto& [key, value] : model_) {
      const ModelList* list = std::get_if<ModelList>(&value.value);
      for (std::size_t i = 0; list != nullptr && i < list->size(); ++i)
        bytes += (*list)[i].bytes.size();
    }
    return bytes;
  }
  std::size_t longest_list() const { return longest_list_; }
  std::size_t largest_hash() const { return largest_hash_; }
  std::size_t largest_set() const { return largest_set_; }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  std::string some_key() { return "key:" + std::to_string(below(key_count_)); }

  std::string some_bytes() {
    if (dull_) return std::string(200 + below(400), static_cast<char>('a' + below(26)));
    static const std::size_t lengths[] = {0, 1, 5, 14, 30, 44, 63, 64, 65, 127, 128, 191, 192, 300};
    std::size_t length = lengths[below(std::size(lengths))];
    if (below(200) == 0) length = 2000 + below(12000);
    std::string bytes(length, '\0');
    for (char& c : bytes) c = static_cast<char>(below(256));
    return bytes;
  }
  Owned some_scalar() {
    static const Kind kinds[] = {Kind::string, Kind::string, Kind::number, Kind::symbol,
                                 Kind::list};
    if (below(3) == 0) return {std::to_string(below(20)), kinds[below(5)]};  // some are equal
    return {some_bytes(), kinds[below(5)]};
  }
  std::string some_field() { return below(50) == 0 ? some_bytes() : std::to_string(below(400)); }

  void drop_expired(const std::string& key) {
    const auto it = model_.find(key);
    if (it != model_.end() && it->second.expiry && *it->second.expiry <= now_) model_.erase(it);
  }
  bool is(const std::string& key, std::size_t index) {
    const auto it = model_.find(key);
    return it != model_.end() && it->second.value.index() == index;
  }

  void set_string(Place& place, const std::string& key) {
    const Owned value = some_scalar();
    keys_.set_string(place, value.view());
    model_[key] = {value, std::nullopt};
    compare(place, model_[key]);
  }
  void append(Place& place, const std::string& key) {
    if (place.found() && !is(key, 0)) return;
    const std::string more = some_bytes();
    const std::size_t length = keys_.append(place, more);
    const bool fresh = !model_.contains(key);
    if (fresh) model_[key] = {Owned{}, std::nullopt};
    Owned& value = std::get<Owned>(model_[key].value);
    value.bytes += more;
    value.kind = Kind::string;
    REQUIRE(length == value.bytes.size());
    compare(place, model_[key]);
  }
  void overwrite(Place& place, const std::string& key) {
    if (place.found() && !is(key, 0)) return;
    const std::string part = some_bytes();
    if (!model_.contains(key)) model_[key] = {Owned{}, std::nullopt};
    Owned& value = std::get<Owned>(model_[key].value);
    const auto offset = static_cast<std::size_t>(below(value.bytes.size() + 20));
    if (value.bytes.size() < offset + part.size()) value.bytes.resize(offset + part.size(), '\0');
    value.bytes.replace(offset, part.size(), part);
    value.kind = Kind::string;
    REQUIRE(keys_.overwrite(place, offset, part) == value.bytes.size());
    compare(place, model_[key]);
  }
  void replace(Place& place, const std::string& key) {
    if (!is(key, 0)) return;
    const Owned value = some_scalar();
    keys_.replace_string(place, value.view());
    model_[key].value = value;
    compare(place, model_[key]);
  }
  void erase(Place& place, const std::string& key) {
    if (!place.found()) return;
    keys_.erase(place);
    REQUIRE(!place.found());
    model_.erase(key);
  }
  void set_expiry(Place& place, const std::string& key) {
    if (!place.found()) return;
    std::optional<std::int64_t> at;
    if (below(3) != 0) at = now_ + 1 + static_cast<std::int64_t>(below(4 * calm_));
    keys_.set_expiry(place, at);
    model_[key].expiry = at;
    compare(place, model_[key]);
  }
  void move(Place& place, const std::string& key) {
    if (!place.found()) return;
    const std::string other = some_key();
    Place to = keys_.locate(other, now_);
    drop_expired(other);
    place = keys_.locate(key, now_);
    keys_.move(place, keys_, to);
    if (other != key) {
      model_[other] = std::move(model_[key]);
      model_.erase(key);
      REQUIRE(!place.found());
    }
    compare(to, model_[other]);
  }
  void expire() {
    const std::size_t limit = 1 + below(3);
    std::size_t due = 0;
    for (const auto& [key, value] : model_) due += value.expiry && *value.expiry <= now_ ? 1 : 0;
    REQUIRE(keys_.expire_some(now_, limit) == std::min(limit, due));
    if (due > limit) keys_.expire_some(now_, SIZE_MAX);
    std::erase_if(model_, [this](const auto& item) {
      return item.second.expiry && *item.second.expiry <= now_;
    });
  }

  void list_step(Place& place, const std::string& key, bool grow) {
    if (!place.found()) model_[key] = {ModelList{}, std::nullopt};
    ModelList& model = std::get<ModelList>(model_[key].value);
    List list = keys_.make_list(place);
    const std::size_t n = model.size();
    const auto at = [&model](std::size_t i) { return model.begin() + static_cast<long>(i); };
    longest_list_ = std::max(longest_list_, n);
    std::size_t kind = grow ? 2 + below(18) : below(9);
    // What opens deflated chunks is rare in dull lists, or there would be none.
    const bool opens = kind == 2 || (kind >= 5 && kind <= 8);
    if (dull_ && opens && below(20) != 0) kind = grow ? 9 + below(11) : 3 + below(2);
    switch (kind) {
      case 0: below(10) == 0 ? remove(list, model) : list_pop(list, model); break;
      case 1: erase_some(list, model); break;
      case 2:
        if (n != 0) {
          const std::size_t i = below(n);
          const Owned value = some_scalar();
          list.set(i, value.view());
          model[i] = value;
        }
        break;
      case 3:
        if (n != 0) list.pop_front(), model.pop_front();
        break;
      case 4:
        if (n != 0) list.pop_back(), model.pop_back();
        break;
      case 5:
      case 6:
      case 7: insert_some(list, model); break;
      case 8:
        if (n != 0) {  // an element of the list itself
          const std::size_t i = below(n);
          const Owned value = model[i];
          const std::size_t to = below(n + 1);
          list.insert(to, list.at(i));
          model.insert(at(to), value);
        }
        break;
      case 9:
      case 10:
      case 11:
      case 12:
      case 13: {
        const Owned value = some_scalar();
        list.push_front(value.view());
        model.push_front(value);
        break;
      }
      default: {
        const Owned value = some_scalar();
        list.push_back(value.view());
        model.push_back(value);
      }
    }
    REQUIRE(list.size() == model.size());
    keys_.drop_if_empty(place);
    REQUIRE(place.found() == !model.empty());
    if (model.empty()) model_.erase(key);
    else if (below(dull_ ? 60 : 8) == 0) compare(place, model_[key]);
  }
  void insert_some(List& list, ModelList& model) {
    const std::size_t i = below(model.size() + 1);
    const Owned value = some_scalar();
    list.insert(i, value.view());
    model.insert(model.begin() + static_cast<long>(i), value);
  }
  void list_pop(List& list, ModelList& model) {
    if (model.empty()) return;
    list.pop_back();
    model.pop_back();
  }
  void remove(List& list, ModelList& model) {
    if (model.empty()) return;
    const Owned wanted = model[below(model.size())];
    const bool exact = below(2) == 0;
    const auto count = static_cast<std::int64_t>(below(7)) - 3;
    const auto hit = [&](const Owned& o) {
      return o.bytes == wanted.bytes && (!exact || o.kind == wanted.kind);
    };
    std::size_t left = count == 0 ? SIZE_MAX : static_cast<std::size_t>(std::abs(count)), gone = 0;
    ModelList kept;
    const auto pass = [&](auto begin, auto end, auto add) {
      for (; begin != end; ++begin) {
        if (left != 0 && hit(*begin)) --left, ++gone;
        else add(*begin);
      }
    };
    if (count < 0) pass(model.rbegin(), model.rend(), [&](auto& o) { kept.push_front(o); });
    else pass(model.begin(), model.end(), [&](auto& o) { kept.push_back(o); });
    REQUIRE(list.remove(count, wanted.view(), exact) == gone);
    model = kept;
  }
  void erase_some(List& list, ModelList& model) {
    if (model.empty()) return;
    const std::size_t i = below(model.size());
    const std::size_t count =
        below(std::min<std::size_t>(model.size() - i, below(dull_ ? 100 : 20) ? 6 : 999) + 1);
    list.erase(i, count);
    model.erase(model.begin() + static_cast<long>(i), model.begin() + static_cast<long>(i + count));
  }

  void hash_step(Place& place, const std::string& key, bool grow) {
    if (!place.found()) model_[key] = {ModelHash{}, std::nullopt};
    ModelHash& model = std::get<ModelHash>(model_[key].value);
    Hash hash = keys_.make_hash(place);
    const Owned field{some_field(), below(4) == 0 ? Kind::number : Kind::string};
    if (below(10) < (grow ? 2u : 8u)) {
      REQUIRE(hash.erase(field.bytes) == (model.erase(field.bytes) == 1));
    } else {
      const Owned value = some_scalar();
      const auto it = model.find(field.bytes);
      REQUIRE(hash.set(field.view(), value.view()) == (it == model.end()));
      if (it == model.end()) model[field.bytes] = {field.kind, value};
      else it->second.second = value;  // the field keeps its first kind
    }
    const std::string probe = some_field();
    const std::optional<Scalar> got = hash.get(probe);
    REQUIRE(got.has_value() == model.contains(probe));
    if (got) REQUIRE(same(*got, model[probe].second));
    REQUIRE(hash.size() == model.size());
    largest_hash_ = std::max(largest_hash_, model.size());
    keys_.drop_if_empty(place);
    REQUIRE(place.found() == !model.empty());
    if (model.empty()) model_.erase(key);
    else if (below(8) == 0) compare(place, model_[key]);
  }

  void set_step(Place& place, const std::string& key, bool grow) {
    if (!place.found()) model_[key] = {ModelSet{}, std::nullopt};
    ModelSet& model = std::get<ModelSet>(model_[key].value);
    Set set = keys_.make_set(place);
    const Owned member{some_field(), below(4) == 0 ? Kind::number : Kind::string};
    if (below(10) >= (grow ? 2u : 8u)) {
      REQUIRE(set.add(member.view()) == model.add(member));
    } else if (below(2) == 0 && !model.members.empty()) {  // one of its own
      const std::size_t i = below(model.members.size());
      REQUIRE(set.erase(set.at(i).bytes));
      model.erase(std::string(model.members[i].bytes));
    } else {
      REQUIRE(set.erase(member.bytes) == model.erase(member.bytes));
    }
    const std::string probe = some_field();
    REQUIRE(set.contains(probe) == model.at.contains(probe));
    REQUIRE(set.size() == model.members.size());
    largest_set_ = std::max(largest_set_, model.members.size());
    keys_.drop_if_empty(place);
    REQUIRE(place.found() == !model.members.empty());
    if (model.members.empty()) model_.erase(key);
    else if (below(8) == 0) compare(place, model_[key]);
  }

  void compare(Place& place, const ModelValue& value) {
    REQUIRE(place.found());
    REQUIRE(keys_.expiry(place) == value.expiry);
    if (const Owned* text = std::get_if<Owned>(&value.value)) {
      REQUIRE(keys_.type(place) == Type::string);
      REQUIRE(same(keys_.string(place), *text));
    } else if (const ModelList* list = std::get_if<ModelList>(&value.value)) {
      REQUIRE(keys_.type(place) == Type::list);
      compare_list(place, *list);
    } else if (const ModelSet* set = std::get_if<ModelSet>(&value.value)) {
      REQUIRE(keys_.type(place) == Type::set);
      compare_set(place, *set);
    } else {
      REQUIRE(keys_.type(place) == Type::hash);
      compare_hash(place, std::get<ModelHash>(value.value));
    }
  }
  void compare_list(Place& place, const ModelList& model) {
    const List list = keys_.list(place);
    REQUIRE(list.size() == model.size());
    std::size_t i = 0;
    bool equal = true;
    list.visit(0, model.size() + 5, [&](const Scalar& s) {
      equal = equal && same(s, model[i]) && same(list.at(i), model[i]);
      ++i;
      return equal;
    });
    REQUIRE(equal);
    REQUIRE(i == model.size());
    const std::size_t from = below(model.size()), count = below(9);
    i = 0;
    list.visit(from, count, [&](const Scalar& s) {
      equal = equal && same(s, model[from + i++]);
      return true;
    });
    REQUIRE(equal);
    REQUIRE(i == std::min(count, model.size() - from));
  }
  void compare_hash(Place& place, const ModelHash& model) {
    const Hash hash = keys_.hash(place);
    std::size_t seen = 0;
    bool equal = true;
    hash.visit([&](const Hash::Pair& pair) {
      const auto it = model.find(std::string(pair.field.bytes));
      equal = equal && it != model.end() && it->second.first == pair.field.kind &&
              same(pair.value, it->second.second);
      ++seen;
      return equal;
    });
    REQUIRE(equal);
    REQUIRE(seen == model.size());
  }

  void compare_set(Place& place, const ModelSet& model) {
    const Set set = keys_.set(place);
    REQUIRE(set.size() == model.members.size());
    std::size_t i = 0;
    bool equal = true;
    set.visit([&](const Scalar& s) {
      equal = equal && same(s, model.members[i]) && same(set.at(i), model.members[i]);
      ++i;
      return equal;
    });
    REQUIRE(equal);
    REQUIRE(i == model.members.size());
    std::map<std::string, std::size_t> seen;
    std::uint64_t cursor = 0;
    do {
      cursor = set.scan(cursor, 10, [&seen](const Scalar& s) { ++seen[std::string(s.bytes)]; });
    } while (cursor != 0);
    REQUIRE(seen.size() == model.members.size());
    for (const auto& [member, times] : seen) REQUIRE((times == 1 && model.at.contains(member)));
  }

  std::mt19937 random_;
  std::size_t key_count_, calm_;
  bool dull_;
  std::size_t longest_list_ = 0, largest_hash_ = 0, largest_set_ = 0;
  std::int64_t now_ = 1'700'000'000'000;
  Keyspace keys_;
  Model model_;
};

struct Reached {
  std::size_t longest_list, largest_hash, largest_set;
  std::size_t least_percent;  // memory of long dull lists, of their bytes
};

Reached run(std::size_t key_count, std::size_t calm, std::size_t steps, bool dull = false) {
  const unsigned seed = seed_of_run();
  INFO("KV_TEST_SEED=" << seed);
  const std::size_t empty = Keyspace().memory_bytes();
  Pair pair(seed, key_count, calm, dull);
  std::size_t least_percent = 100;
  REQUIRE(pair.keys().memory_bytes() == empty);
  for (std::size_t i = 0; i < steps; ++i) {
    pair.step();
    if (i % (steps / 20) != 0) continue;
    pair.compare_all();
    const std::size_t bytes = pair.list_bytes();
    if (bytes > 200'000) {
      least_percent = std::min(least_percent, pair.keys().memory_bytes() * 100 / bytes);
    }
  }
  pair.compare_all();
  pair.keys().clear();
  REQUIRE(pair.keys().memory_bytes() == empty);
  REQUIRE(pair.keys().size() == 0);
  return {pair.longest_list(), pair.largest_hash(), pair.largest_set(), least_percent};
}

}  // namespace

TEST_CASE("keyspace/model: a few keys whose lists, hashes and sets grow large and shrink again") {
  const Reached reached = run(12, 400, 18'000);
  CHECK(reached.longest_list > 300);  // several chunks
  CHECK(reached.largest_hash > 150);  // a table
  CHECK(reached.largest_set > 150);
}

TEST_CASE("keyspace/model: long lists whose inside is deflated") {
  const Reached reached = run(3, 1000, 3'000, true);
  CHECK(reached.longest_list > 500);
  CHECK(reached.least_percent < 75);
}

TEST_CASE("keyspace/model: many small keys that come and go") { run(3'000, 2, 60'000); }
