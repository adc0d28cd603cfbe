// Unions, intersections and differences of sorted sets and sets, answered or stored.
//
// A plain set is a sorted set in which every score is 1. The result is put together beside the
// keyspace, of views into it, and stored as a whole.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libkv/commands/call.hpp"
#include "libkv/commands/sorted_set_parts.hpp"
#include "libkv/commands/support.hpp"
#include "libkv/keyspace/siphash.hpp"

namespace kv {
namespace {

using Element = SortedSet::Element;

/// One of the keys that are combined, with its weight.
class Source {
 public:
  Source(Call& call, const Place& place) : keys_(&call.keys()), place_(place) {
    type_ = keys_->type(place_);
    if (type_ == Type::zset) size_ = keys_->sorted_set(place_).size();
    if (type_ == Type::set) size_ = keys_->set(place_).size();
  }

  std::size_t size() const noexcept { return size_; }
  /// Without its weight.
  std::optional<double> score(std::string_view member) {
    if (type_ == Type::zset) return keys_->sorted_set(place_).score(member);
    if (type_ == Type::set && keys_->set(place_).contains(member)) return 1;
    return std::nullopt;
  }
  void visit(FunctionRef<bool(const Element&)> visitor) {
    if (type_ == Type::zset) {
      keys_->sorted_set(place_).visit(0, SIZE_MAX, Direction::up, visitor);
    } else if (type_ == Type::set) {
      keys_->set(place_).visit([&](const Scalar& member) { return visitor({member, 1}); });
    }
  }
  double weighted(double score) const noexcept {
    const double product = score * weight;
    return std::isnan(product) ? 0 : product;
  }

  double weight = 1;

 private:
  Keyspace* keys_;
  Place place_;
  Type type_;
  std::size_t size_ = 0;
};

enum class Operation { unite, intersect, subtract };
enum class Aggregate { sum, least, most };

struct Question {
  Operation operation = Operation::unite;
  bool store = false, count_only = false;
  std::vector<Source> sources;
  Aggregate aggregate = Aggregate::sum;
  bool with_scores = false;
  std::int64_t limit = 0;  // of what is counted; 0: none
};

double aggregated(Aggregate how, double a, double b) noexcept {
  if (how == Aggregate::least) return b < a ? b : a;
  if (how == Aggregate::most) return b > a ? b : a;
  const double sum = a + b;
  return std::isnan(sum) ? 0 : sum;  // inf and -inf
}

// --- reading the request ---

/// From argument at on: numkeys key ...; next is the argument behind them.
bool read_sources(Call& call, std::size_t at, Question& question, std::size_t& next) {
  std::int64_t keys = 0;
  if (!call.integer(at, keys)) return false;
  if (keys < 1) {
    call.fail("ERR at least 1 input key is needed for '" + std::string(call.command.name) +
              "' command");
    return false;
  }
  if (keys > static_cast<std::int64_t>(call.argc() - at - 1)) return call.syntax_error(), false;
  next = at + 1 + static_cast<std::size_t>(keys);
  for (std::size_t i = at + 1; i < next; ++i) {
    const Place place = question.store ? call.locate(i) : find(call, i);
    const Type type = call.keys().type(place);
    if (type != Type::none && type != Type::zset && type != Type::set) {
      return call.wrong_type(), false;
    }
    question.sources.emplace_back(call, place);
  }
  return true;
}

bool read_aggregate(Call& call, std::size_t i, Aggregate& aggregate) {
  if (call.is(i, "SUM")) aggregate = Aggregate::sum;
  else if (call.is(i, "MIN")) aggregate = Aggregate::least;
  else if (call.is(i, "MAX")) aggregate = Aggregate::most;
  else return call.syntax_error(), false;
  return true;
}

/// One option at argument i, which moves behind it.
bool read_option(Call& call, std::size_t& i, Question& question) {
  constexpr auto int_max = std::numeric_limits<std::int64_t>::max();
  const bool scored = question.operation != Operation::subtract && !question.count_only;
  const std::size_t left = call.argc() - i;
  if (scored && left > question.sources.size() && call.is(i, "WEIGHTS")) {
    for (Source& source : question.sources) {
      if (!read_score(call, ++i, source.weight, "ERR weight value is not a float")) return false;
    }
  } else if (scored && left >= 2 && call.is(i, "AGGREGATE")) {
    if (!read_aggregate(call, ++i, question.aggregate)) return false;
  } else if (!question.store && !question.count_only && call.is(i, "WITHSCORES")) {
    question.with_scores = true;
  } else if (question.count_only && left >= 2 && call.is(i, "LIMIT")) {
    if (!integer_within(call, ++i, 0, int_max, question.limit, "LIMIT can't be negative")) {
      return false;
    }
  } else {
    return call.syntax_error(), false;
  }
  ++i;
  return true;
}

bool read_question(Call& call, std::size_t at, Question& question) {
  std::size_t i = 0;
  if (!read_sources(call, at, question, i)) return false;
  while (i < call.argc()) {
    if (!read_option(call, i, question)) return false;
  }
  if (question.operation != Operation::subtract) {  // the smallest first, as Redis adds them
    std::stable_sort(question.sources.begin(), question.sources.end(),
                     [](const Source& a, const Source& b) { return a.size() < b.size(); });
  }
  return true;
}

// --- answering it ---

using Taker = FunctionRef<bool(const Element&)>;

void unite(Question& question, Taker take) {
  std::unordered_map<std::string_view, Element, KeyedHash> all;
  for (Source& source : question.sources) {
    source.visit([&](const Element& element) {
      const double score = source.weighted(element.score);
      const auto [place, is_new] =
          all.try_emplace(element.member.bytes, Element{element.member, score});
      double& sum = place->second.score;
      if (!is_new) sum = aggregated(question.aggregate, sum, score);
      return true;
    });
  }
  for (const auto& [member, element] : all) {
    if (!take(element)) return;
  }
}

void intersect(Question& question, Taker take) {
  Source& first = question.sources.front();
  const std::span<Source> others = std::span(question.sources).subspan(1);
  first.visit([&](const Element& element) {
    double score = first.weighted(element.score);
    for (Source& other : others) {
      const auto found = other.score(element.member.bytes);
      if (!found) return true;
      // Redis does not look whether this product is a number; the sum of it is.
      score = aggregated(question.aggregate, score, *found * other.weight);
    }
    return take({element.member, score});
  });
}

/// Members of the first that no other has. Each is looked for in all of them or, if these are less
/// work together, they are read once.
void subtract(Question& question, Taker take) {
  Source& first = question.sources.front();
  const std::span<Source> others = std::span(question.sources).subspan(1);
  std::size_t of_others = 0;
  for (const Source& other : others) of_others += other.size();
  if (of_others < first.size() * others.size() / 2) {
    std::unordered_set<std::string_view, KeyedHash> gone;
    for (Source& other : others) {
      other.visit([&](const Element& element) {
        gone.insert(element.member.bytes);
        return true;
      });
    }
    return first.visit([&](const Element& element) {
      return gone.contains(element.member.bytes) || take(element);
    });
  }
  first.visit([&](const Element& element) {
    for (Source& other : others) {
      if (other.score(element.member.bytes)) return true;
    }
    return take(element);
  });
}

void answer(Question& question, Taker take) {
  switch (question.operation) {
    case Operation::unite: return unite(question, take);
    case Operation::intersect: return intersect(question, take);
    case Operation::subtract: return subtract(question, take);
  }
}

std::vector<Element> sorted_answer(Question& question) {
  std::vector<Element> elements;
  answer(question, [&](const Element& element) {
    elements.push_back(element);
    return true;
  });
  std::sort(elements.begin(), elements.end(), [](const Element& a, const Element& b) {
    return a.score < b.score || (a.score == b.score && a.member.bytes < b.member.bytes);
  });
  return elements;
}

/// Without the whole of it, where that is possible.
bool answer_is_empty(Question& question) {
  bool empty = true;
  if (question.operation == Operation::unite) {
    for (const Source& source : question.sources) empty = empty && source.size() == 0;
    return empty;
  }
  answer(question, [&](const Element&) { return empty = false; });
  return empty;
}

void combine(Call& call, Operation operation) {
  Question question;
  question.operation = operation;
  if (!read_question(call, 1, question)) return;
  const std::vector<Element> elements = sorted_answer(question);
  reply_range_header(call, elements.size(), question.with_scores);
  for (const Element& element : elements) {
    reply_range_element(call, element, question.with_scores);
  }
}

void unite_and_tell(Call& call) { combine(call, Operation::unite); }
void intersect_and_tell(Call& call) { combine(call, Operation::intersect); }
void subtract_and_tell(Call& call) { combine(call, Operation::subtract); }

void count_intersection(Call& call) {
  Question question;
  question.operation = Operation::intersect;
  question.count_only = true;
  if (!read_question(call, 1, question)) return;
  std::int64_t count = 0;
  answer(question, [&](const Element&) { return ++count != question.limit; });
  call.reply.integer(count);
}

void combine_and_store(Call& call, Operation operation) {
  Question question;
  question.operation = operation;
  question.store = true;
  if (!writable(call, 1) || !read_question(call, 2, question)) return;
  if (!call.locate(1).found() && answer_is_empty(question)) return call.reply.integer(0);
  if (!call.commit()) return;
  const std::vector<Element> elements = sorted_answer(question);
  store_sorted_set(call, elements);
  call.reply.integer(static_cast<std::int64_t>(elements.size()));
}

void unite_and_store(Call& call) { combine_and_store(call, Operation::unite); }
void intersect_and_store(Call& call) { combine_and_store(call, Operation::intersect); }
void subtract_and_store(Call& call) { combine_and_store(call, Operation::subtract); }

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"zunion", -3, kReadonly | kMovableKeys, {}, {}, Group::sorted_set, unite_and_tell,
     "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]",
     "The members of several sorted sets together",
     "O(N+M*log(M)) where N is the number of members of all and M the number returned", "1.0"},
    {"zinter", -3, kReadonly | kMovableKeys, {}, {}, Group::sorted_set, intersect_and_tell,
     "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]",
     "The members that several sorted sets have in common",
     "O(N*K+M*log(M)) where N is the smallest size, K the number of keys, M that returned", "1.0"},
    {"zdiff", -3, kReadonly | kMovableKeys, {}, {}, Group::sorted_set, subtract_and_tell,
     "numkeys key [key ...] [WITHSCORES]",
     "The members of a sorted set that several others do not have",
     "O(N+M*log(M)) where N is the number of members of all and M the number returned", "1.0"},
    {"zintercard", -3, kReadonly | kMovableKeys, {}, {}, Group::sorted_set, count_intersection,
     "numkeys key [key ...] [LIMIT limit]",
     "The number of members that several sorted sets have in common",
     "O(N*K) where N is the smallest size and K the number of keys", "1.0"},
    {"zunionstore", -4, kWrite | kDenyOom | kMovableKeys | kStores, {1, 1, 1}, {},
     Group::sorted_set, unite_and_store,
     "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]",
     "Stores the members of several sorted sets together",
     "O(N+M*log(M)) where N is the number of members of all and M the number stored", "1.0"},
    {"zinterstore", -4, kWrite | kDenyOom | kMovableKeys | kStores, {1, 1, 1}, {},
     Group::sorted_set, intersect_and_store,
     "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]",
     "Stores the members that several sorted sets have in common",
     "O(N*K+M*log(M)) where N is the smallest size, K the number of keys, M that stored", "1.0"},
    {"zdiffstore", -4, kWrite | kDenyOom | kMovableKeys | kStores, {1, 1, 1}, {},
     Group::sorted_set, subtract_and_store,
     "destination numkeys key [key ...]",
     "Stores the members of a sorted set that several others do not have",
     "O(N+M*log(M)) where N is the number of members of all and M the number stored", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> sorted_set_combine_commands() noexcept { return rows; }

}  // namespace kv
