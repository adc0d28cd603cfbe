// Commands on the members of a sorted set: adding, removing, scores and ranks.
//
// Ranges are in sorted_sets_range.cpp, taking from an end in sorted_sets_pop.cpp, unions and the
// like in sorted_sets_combine.cpp. Over PLIO they are as over RESP: picolisp-kv has none of them.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "libkv/base/random.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/scan.hpp"
#include "libkv/commands/sorted_set_parts.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

// --- ZADD, ZINCRBY ---

struct AddOptions {
  bool nx = false, xx = false, gt = false, lt = false, ch = false, incr = false;
  std::size_t first = 2;  // argument: the first score
};

bool read_add_options(Call& call, AddOptions& options) {
  for (std::size_t& i = options.first; i < call.argc(); ++i) {
    if (call.is(i, "NX")) options.nx = true;
    else if (call.is(i, "XX")) options.xx = true;
    else if (call.is(i, "CH")) options.ch = true;
    else if (call.is(i, "INCR")) options.incr = true;
    else if (call.is(i, "GT")) options.gt = true;
    else if (call.is(i, "LT")) options.lt = true;
    else break;
  }
  const std::size_t rest = call.argc() - options.first;
  if (rest == 0 || rest % 2 != 0) return call.syntax_error(), false;
  if (options.nx && options.xx) {
    return call.fail("ERR XX and NX options at the same time are not compatible"), false;
  }
  if ((options.nx && (options.gt || options.lt)) || (options.gt && options.lt)) {
    return call.fail("ERR GT, LT, and/or NX options at the same time are not compatible"), false;
  }
  if (options.incr && rest > 2) {
    return call.fail("ERR INCR option supports a single increment-element pair"), false;
  }
  return true;
}

/// What is to become of one member, given its score so far.
struct Outcome {
  bool done = false;     // not kept back by an option
  bool added = false;    // it is new
  bool updated = false;  // it gets another score
  double score = 0;
};

Outcome outcome_of(const AddOptions& options, std::optional<double> old, double score) noexcept {
  if (!old) return {!options.xx, !options.xx, false, score};
  if (options.nx) return {};
  if (options.incr) score += *old;
  if ((options.lt && score >= *old) || (options.gt && score <= *old)) return {};
  return {true, false, score != *old, score};
}

/// Of the members that the arguments name, applied or only looked at.
struct AddCounts {
  std::int64_t added = 0, updated = 0;
  bool done = false;
  double score = 0;  // of the last one
};

/// False: an increment gives no number, and it was answered so. Looking ends at the first change.
bool add_all(Call& call, const AddOptions& options, const std::vector<double>& scores,
             SortedSet* set, bool apply, AddCounts& counts) {
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Scalar& member = call.scalar(options.first + 2 * i + 1);
    const auto old = set != nullptr ? set->score(member.bytes) : std::nullopt;
    const Outcome outcome = outcome_of(options, old, scores[i]);
    if (std::isnan(outcome.score)) {
      return call.fail("ERR resulting score is not a number (NaN)"), false;
    }
    counts.added += outcome.added;
    counts.updated += outcome.updated;
    counts.done |= outcome.done;
    counts.score = outcome.score;
    if (!outcome.added && !outcome.updated) continue;
    if (!apply) return true;
    set->set(member, outcome.score);
  }
  return true;
}

void add(Call& call, AddOptions options) {
  Place place;
  if (!writable(call, 1) || !read_add_options(call, options)) return;
  std::vector<double> scores((call.argc() - options.first) / 2);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!read_score(call, options.first + 2 * i, scores[i])) return;
  }
  if (!call.locate(1, Type::zset, place)) return;
  AddCounts counts;
  std::optional<SortedSet> set;
  if (place.found()) set = call.keys().sorted_set(place);
  if (!add_all(call, options, scores, set ? &*set : nullptr, false, counts)) return;
  if (counts.added + counts.updated > 0) {
    if (!call.commit()) return;
    counts = {};
    set = sorted_set_at(call, place);
    add_all(call, options, scores, &*set, true, counts);
  }
  if (!options.incr) return call.reply.integer(counts.added + (options.ch ? counts.updated : 0));
  if (counts.done) reply_score(call, counts.score);
  else call.reply.nil();
}

void add_members(Call& call) { add(call, {}); }

void increment_by(Call& call) {
  AddOptions options;
  options.incr = true;
  add(call, options);
}

// --- one member ---

void remove(Call& call) {
  Place place;
  if (!writable(call, 1) || !call.locate(1, Type::zset, place)) return;
  if (!place.found()) return call.reply.integer(0);
  SortedSet set = call.keys().sorted_set(place);
  std::size_t i = 2;
  while (i < call.argc() && !set.score(call.arg(i))) ++i;
  if (i == call.argc()) return call.reply.integer(0);
  if (!call.commit()) return;
  std::int64_t removed = 0;
  for (; i < call.argc(); ++i) removed += set.erase(call.arg(i)) ? 1 : 0;
  call.keys().drop_if_empty(place);
  call.reply.integer(removed);
}

void reply_optional(Call& call, const std::optional<double>& score) {
  if (score) reply_score(call, *score);
  else call.reply.nil();
}

void score_of(Call& call) {
  Place place;
  if (!find(call, 1, Type::zset, place)) return;
  reply_optional(call, call.keys().sorted_set(place).score(call.arg(2)));
}

void scores_of(Call& call) {
  Place place;
  if (!find(call, 1, Type::zset, place)) return;
  const SortedSet set = call.keys().sorted_set(place);
  call.reply.array(call.argc() - 2);
  for (std::size_t i = 2; i < call.argc(); ++i) reply_optional(call, set.score(call.arg(i)));
}

void cardinality(Call& call) {
  Place place;
  if (!find(call, 1, Type::zset, place)) return;
  call.reply.integer(static_cast<std::int64_t>(call.keys().sorted_set(place).size()));
}

void rank(Call& call, Direction direction) {
  Place place;
  if (!find(call, 1, Type::zset, place)) return;
  const SortedSet set = call.keys().sorted_set(place);
  const auto found = set.rank(call.arg(2));
  if (!found) return call.reply.nil();
  const std::size_t from_end = set.size() - 1 - *found;
  call.reply.integer(static_cast<std::int64_t>(direction == Direction::up ? *found : from_end));
}

void rank_up(Call& call) { rank(call, Direction::up); }
void rank_down(Call& call) { rank(call, Direction::down); }

// --- ZRANDMEMBER ---

/// Ranks below size. count >= 0: different ones, at most all (R. Floyd's way: one number drawn for
/// each). count < 0: -count of them, with repeats.
std::vector<std::size_t> choose(std::size_t size, std::int64_t count, std::uint64_t seed) {
  std::vector<std::size_t> chosen;
  for (std::int64_t i = count; i < 0; ++i) chosen.push_back(splitmix64(seed) % size);
  if (count < 0) return chosen;
  const std::size_t wanted = std::min(static_cast<std::size_t>(count), size);
  std::unordered_set<std::size_t> known;
  for (std::size_t last = size - wanted; last < size; ++last) {
    const std::size_t drawn = splitmix64(seed) % (last + 1);
    chosen.push_back(known.insert(drawn).second ? drawn : last);
    known.insert(chosen.back());
  }
  return chosen;
}

void random_member(Call& call) {
  std::int64_t count = 1;
  bool with_scores = false;
  Place place;
  const bool counted = call.argc() > 2;
  if (counted && !random_choice(call, "WITHSCORES", count, with_scores)) return;
  if (!find(call, 1, Type::zset, place)) return;
  if (!place.found()) return counted ? call.reply.array(0) : call.reply.nil();
  const SortedSet set = call.keys().sorted_set(place);
  const std::vector<std::size_t> ranks = choose(set.size(), count, random_number(call));
  if (!counted) return call.reply.scalar(set.at(ranks[0]).member);
  reply_range_header(call, ranks.size(), with_scores);
  for (const std::size_t one : ranks) reply_range_element(call, set.at(one), with_scores);
}

void scan_members(Call& call) {
  std::uint64_t cursor = 0;
  ScanOptions options;
  Place place;
  if (!read_cursor(call, 2, cursor) || !find(call, 1, Type::zset, place)) return;
  if (!place.found()) return reply_scan(call, 0, 0);
  if (!read_scan_options(call, 3, false, options)) return;
  std::vector<SortedSet::Element> found;
  const SortedSet set = call.keys().sorted_set(place);
  cursor = set.scan(cursor, options.count, [&](const SortedSet::Element& element) {
    if (options.takes(element.member.bytes)) found.push_back(element);
  });
  reply_scan(call, cursor, found.size() * 2);
  for (const SortedSet::Element& element : found) {
    call.reply.scalar(element.member);
    call.reply.bulk(score_text(element.score));
  }
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"zadd", -4, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::sorted_set, add_members,
     "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
     "Gives members of a sorted set their scores; it is created if absent",
     "O(log(N)) for each member, where N is the number of them in the set", "1.0"},
    {"zincrby", 4, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::sorted_set, increment_by,
     "key increment member",
     "Adds to the score of a member; an absent one has 0",
     "O(log(N)) where N is the number of members", "1.0"},
    {"zrem", -3, kWrite | kFast, {1, 1, 1}, {}, Group::sorted_set, remove,
     "key member [member ...]",
     "Removes members, and the sorted set when none is left",
     "O(M*log(N)) where N is the number of members and M the number removed", "1.0"},
    {"zscore", 3, kReadonly | kFast, {1, 1, 1}, {}, Group::sorted_set, score_of,
     "key member",
     "The score of a member",
     "O(1)", "1.0"},
    {"zmscore", -3, kReadonly | kFast, {1, 1, 1}, {}, Group::sorted_set, scores_of,
     "key member [member ...]",
     "The scores of several members, nil for those absent",
     "O(N) where N is the number of members asked for", "1.0"},
    {"zcard", 2, kReadonly | kFast, {1, 1, 1}, {}, Group::sorted_set, cardinality,
     "key",
     "The number of members of a sorted set",
     "O(1)", "1.0"},
    {"zrank", 3, kReadonly | kFast, {1, 1, 1}, {}, Group::sorted_set, rank_up,
     "key member",
     "How many members come before one, the lowest score first",
     "O(log(N)) where N is the number of members", "1.0"},
    {"zrevrank", 3, kReadonly | kFast, {1, 1, 1}, {}, Group::sorted_set, rank_down,
     "key member",
     "How many members come before one, the highest score first",
     "O(log(N)) where N is the number of members", "1.0"},
    {"zrandmember", -2, kReadonly, {1, 1, 1}, {}, Group::sorted_set, random_member,
     "key [count [WITHSCORES]]",
     "Members chosen at random; a negative count may repeat them",
     "O(M*log(N)) where N is the number of members and M the number returned", "1.0"},
    {"zscan", -3, kReadonly, {1, 1, 1}, {}, Group::sorted_set, scan_members,
     "key cursor [MATCH pattern] [COUNT count]",
     "Some members and scores of a sorted set and the cursor for the next ones",
     "O(1) for every call, O(N) for a whole walk", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> sorted_set_commands() noexcept { return rows; }

}  // namespace kv
