// Commands on ranges of a sorted set: by rank, by score, and by the members' own order.
#include <string>
#include <vector>

#include "libkv/commands/call.hpp"
#include "libkv/commands/sorted_set_parts.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

using By = RangeBounds::By;

/// What a request for a range asks for.
struct Query {
  By by = By::rank;
  Direction direction = Direction::up;
  bool free = false;  // ZRANGE: options may say by what, and in which direction
  bool store = false;
  bool with_scores = false;
  std::int64_t offset = 0, limit = -1;
  RangeBounds bounds;
};

/// One option at argument i, which moves on to its last word. False: answered.
bool read_option(Call& call, std::size_t& i, Query& query, bool& by_known) {
  const bool free_by = query.free && !by_known;
  if (!query.store && call.is(i, "WITHSCORES")) {
    query.with_scores = true;
  } else if (call.is(i, "LIMIT") && i + 2 < call.argc()) {
    if (!call.integer(i + 1, query.offset) || !call.integer(i + 2, query.limit)) return false;
    i += 2;
  } else if (query.free && query.direction == Direction::up && call.is(i, "REV")) {
    query.direction = Direction::down;
  } else if (free_by && call.is(i, "BYLEX")) {
    query.by = By::lex, by_known = true;
  } else if (free_by && call.is(i, "BYSCORE")) {
    query.by = By::score, by_known = true;
  } else {
    return call.syntax_error(), false;
  }
  return true;
}

/// The range begins at argument at; options follow it.
bool read_query(Call& call, std::size_t at, Query& query) {
  bool by_known = false;
  for (std::size_t i = at + 2; i < call.argc(); ++i) {
    if (!read_option(call, i, query, by_known)) return false;
  }
  if (query.limit != -1 && query.by == By::rank) {
    call.fail(
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
        "BYLEX");
    return false;
  }
  if (query.with_scores && query.by == By::lex) {
    call.fail("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    return false;
  }
  const bool high_first = query.direction == Direction::down && query.by != By::rank;
  return query.bounds.read(call, query.by, high_first ? at + 1 : at, high_first ? at : at + 1);
}

void range(Call& call, Query query) {
  Place place;
  if (!read_query(call, 2, query) || !find(call, 1, Type::zset, place)) return;
  if (!place.found()) return call.reply.array(0);
  const SortedSet set = call.keys().sorted_set(place);
  const RankRange part = query.bounds.find(set, query.direction, query.offset, query.limit);
  reply_range_header(call, part.count, query.with_scores);
  set.visit(part.first, part.count, part.direction, [&](const SortedSet::Element& element) {
    reply_range_element(call, element, query.with_scores);
    return true;
  });
}

void range_of_any(Call& call) {
  Query query;
  query.free = true;
  range(call, query);
}

void range_by(Call& call, By by, Direction direction) {
  Query query;
  query.by = by;
  query.direction = direction;
  range(call, query);
}

void range_down(Call& call) { range_by(call, By::rank, Direction::down); }
void range_by_score(Call& call) { range_by(call, By::score, Direction::up); }
void range_by_score_down(Call& call) { range_by(call, By::score, Direction::down); }
void range_by_lex(Call& call) { range_by(call, By::lex, Direction::up); }
void range_by_lex_down(Call& call) { range_by(call, By::lex, Direction::down); }

/// Of argument 2's sorted set, to argument 1, which may be the same.
void store_range(Call& call) {
  Query query;
  query.free = query.store = true;
  Place source;
  if (!writable(call, 1) || !read_query(call, 3, query)) return;
  if (!call.locate(2, Type::zset, source)) return;
  const SortedSet set = call.keys().sorted_set(source);
  const RankRange part = query.bounds.find(set, query.direction, query.offset, query.limit);
  if (part.count == 0 && !call.locate(1).found()) return call.reply.integer(0);
  if (!call.commit()) return;
  std::vector<SortedSet::Element> elements;
  elements.reserve(part.count);
  if (part.count > 0) {
    set.visit(part.lowest(), part.count, Direction::up, [&](const SortedSet::Element& element) {
      elements.push_back(element);
      return true;
    });
  }
  store_sorted_set(call, elements);
  call.reply.integer(static_cast<std::int64_t>(part.count));
}

// --- counting and removing ---

void count(Call& call, By by) {
  RangeBounds bounds;
  Place place;
  if (!bounds.read(call, by, 2, 3) || !find(call, 1, Type::zset, place)) return;
  const RankRange part = bounds.find(call.keys().sorted_set(place), Direction::up);
  call.reply.integer(static_cast<std::int64_t>(part.count));
}

void count_by_score(Call& call) { count(call, By::score); }
void count_by_lex(Call& call) { count(call, By::lex); }

void remove_range(Call& call, By by) {
  RangeBounds bounds;
  Place place;
  if (!writable(call, 1) || !bounds.read(call, by, 2, 3)) return;
  if (!call.locate(1, Type::zset, place)) return;
  SortedSet set = call.keys().sorted_set(place);
  const RankRange part = bounds.find(set, Direction::up);
  if (part.count == 0) return call.reply.integer(0);
  if (!call.commit()) return;
  if (part.count == set.size()) call.keys().erase(place);
  else set.erase(part.first, part.count);
  call.reply.integer(static_cast<std::int64_t>(part.count));
}

void remove_by_rank(Call& call) { remove_range(call, By::rank); }
void remove_by_score(Call& call) { remove_range(call, By::score); }
void remove_by_lex(Call& call) { remove_range(call, By::lex); }

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"zrange", -4, kReadonly, {1, 1, 1}, {}, Group::sorted_set, range_of_any,
     "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
     "Members within a range of ranks, scores or members",
     "O(log(N)+M) where N is the number of members and M the number returned", "1.0"},
    {"zrevrange", -4, kReadonly, {1, 1, 1}, {}, Group::sorted_set, range_down,
     "key start stop [WITHSCORES]",
     "Members within a range of ranks, the highest score first",
     "O(log(N)+M) where N is the number of members and M the number returned", "1.0"},
    {"zrangebyscore", -4, kReadonly, {1, 1, 1}, {}, Group::sorted_set, range_by_score,
     "key min max [WITHSCORES] [LIMIT offset count]",
     "Members within a range of scores",
     "O(log(N)+M) where N is the number of members and M the number returned", "1.0"},
    {"zrevrangebyscore", -4, kReadonly, {1, 1, 1}, {}, Group::sorted_set, range_by_score_down,
     "key max min [WITHSCORES] [LIMIT offset count]",
     "Members within a range of scores, the highest first",
     "O(log(N)+M) where N is the number of members and M the number returned", "1.0"},
    {"zrangebylex", -4, kReadonly, {1, 1, 1}, {}, Group::sorted_set, range_by_lex,
     "key min max [LIMIT offset count]",
     "Members within a range of members, where all have the same score",
     "O(log(N)+M) where N is the number of members and M the number returned", "1.0"},
    {"zrevrangebylex", -4, kReadonly, {1, 1, 1}, {}, Group::sorted_set, range_by_lex_down,
     "key max min [LIMIT offset count]",
     "Members within a range of members, the last first, where all have the same score",
     "O(log(N)+M) where N is the number of members and M the number returned", "1.0"},
    {"zrangestore", -5, kWrite | kDenyOom | kStores, {1, 2, 1}, {}, Group::sorted_set, store_range,
     "destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
     "Stores a range of a sorted set as another one",
     "O(log(N)+M) where N is the number of members and M the number stored", "1.0"},
    {"zcount", 4, kReadonly | kFast, {1, 1, 1}, {}, Group::sorted_set, count_by_score,
     "key min max",
     "The number of members within a range of scores",
     "O(log(N)) where N is the number of members", "1.0"},
    {"zlexcount", 4, kReadonly | kFast, {1, 1, 1}, {}, Group::sorted_set, count_by_lex,
     "key min max",
     "The number of members within a range of members, where all have the same score",
     "O(log(N)) where N is the number of members", "1.0"},
    {"zremrangebyrank", 4, kWrite, {1, 1, 1}, {}, Group::sorted_set, remove_by_rank,
     "key start stop",
     "Removes the members within a range of ranks",
     "O(M*log(N)) where N is the number of members and M the number removed", "1.0"},
    {"zremrangebyscore", 4, kWrite, {1, 1, 1}, {}, Group::sorted_set, remove_by_score,
     "key min max",
     "Removes the members within a range of scores",
     "O(M*log(N)) where N is the number of members and M the number removed", "1.0"},
    {"zremrangebylex", 4, kWrite, {1, 1, 1}, {}, Group::sorted_set, remove_by_lex,
     "key min max",
     "Removes the members within a range of members, where all have the same score",
     "O(M*log(N)) where N is the number of members and M the number removed", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> sorted_set_range_commands() noexcept { return rows; }

}  // namespace kv
