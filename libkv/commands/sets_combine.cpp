// Commands on several sets: what is in all of them, in any, or in the first alone.
//
// A result that is stored is made elsewhere first: the destination may be one of the sets, and if
// memory ends half-way nothing has changed. The order of its members follows from the order of
// theirs (see Set), so that a replay makes the same set.
#include <algorithm>
#include <limits>
#include <vector>

#include "libkv/commands/call.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

enum class Op { intersection, union_of_all, difference };

/// The sets that are there; of a difference the first one, which may be empty, stays in front.
class Sets {
 public:
  /// Arguments first to last. False: one is of another type, and answered so.
  bool find(Call& call, std::size_t first, std::size_t last) {
    places_.reserve(last - first + 1);  // they must not move: sets_ refer to them
    for (std::size_t i = first; i <= last; ++i) {
      if (!kv::find(call, i, Type::set, places_.emplace_back())) return false;
    }
    for (Place& place : places_) {
      all_found_ = all_found_ && place.found();
      any_found_ = any_found_ || place.found();
      sets_.push_back(call.keys().set(place));
    }
    first_found_ = places_.front().found();
    return true;
  }
  /// Is the result empty, as far as that can be told without looking at members?
  bool surely_empty(Op op) const noexcept {
    if (op == Op::intersection) return !all_found_;
    return op == Op::difference ? !first_found_ : !any_found_;
  }
  std::vector<Set>& sets() noexcept { return sets_; }

 private:
  std::vector<Place> places_;
  std::vector<Set> sets_;
  bool all_found_ = true, any_found_ = false, first_found_ = false;
};

/// Calls visit for each member of all sets until it returns false. Walks the smallest one.
void intersect(std::vector<Set>& sets, FunctionRef<bool(const Scalar&)> visit) {
  std::stable_sort(sets.begin(), sets.end(),
                   [](const Set& a, const Set& b) { return a.size() < b.size(); });
  sets.front().visit([&](const Scalar& member) {
    for (std::size_t i = 1; i < sets.size(); ++i) {
      if (!sets[i].contains(member.bytes)) return true;
    }
    return visit(member);
  });
}

void add_all(const Set& from, Set& to) {
  from.visit([&to](const Scalar& member) {
    to.add(member);
    return true;
  });
}

/// Either asks all sets for each member of the first, or takes all their members out of a copy of
/// it, whichever looks like less: as Redis does.
void subtract(std::vector<Set>& sets, Set& result) {
  const Set first = sets.front();
  std::size_t asking = 0, taking = 0;
  for (const Set& set : sets) asking += first.size(), taking += set.size();
  if (asking / 2 > taking) {
    add_all(first, result);
    for (std::size_t i = 1; i < sets.size() && result.size() > 0; ++i) {
      sets[i].visit([&result](const Scalar& member) {
        result.erase(member.bytes);
        return result.size() > 0;
      });
    }
    return;
  }
  // The larger ones first: they are likelier to have it.
  std::stable_sort(sets.begin() + 1, sets.end(),
                   [](const Set& a, const Set& b) { return a.size() > b.size(); });
  first.visit([&](const Scalar& member) {
    const auto has = [&member](const Set& set) { return set.contains(member.bytes); };
    if (std::none_of(sets.begin() + 1, sets.end(), has)) result.add(member);
    return true;
  });
}

void combine(Op op, std::vector<Set>& sets, Set& result) {
  if (op == Op::difference) return subtract(sets, result);
  if (op == Op::union_of_all) {
    for (const Set& set : sets) add_all(set, result);
    return;
  }
  intersect(sets, [&result](const Scalar& member) {
    result.add(member);
    return true;
  });
}

void reply_set(Call& call, const Set& set) {
  call.reply.set(set.size());
  reply_members(call, set);
}

void read(Call& call, Op op) {
  Sets found;
  if (!enough(call, 2) || !found.find(call, 1, call.argc() - 1)) return;
  if (found.surely_empty(op)) return call.reply.set(0);
  if (found.sets().size() == 1) return reply_set(call, found.sets().front());
  if (op != Op::intersection) {
    Keyspace elsewhere;
    Place place = elsewhere.peek({}, call.now_ms());
    Set result = elsewhere.make_set(place);
    combine(op, found.sets(), result);
    return reply_set(call, result);
  }
  std::vector<Scalar> members;
  intersect(found.sets(), [&members](const Scalar& member) {
    members.push_back(member);
    return true;
  });
  call.reply.set(members.size());
  for (const Scalar& member : members) call.reply.scalar(member);
}

void store(Call& call, Op op) {
  Sets found;
  if (!enough(call, 3) || !writable(call, 1)) return;
  Place target = call.locate(1);
  if (!found.find(call, 2, call.argc() - 1)) return;
  const bool empty = found.surely_empty(op);
  if (empty && !target.found()) return call.reply.integer(0);
  if (!call.commit()) return;
  Keyspace elsewhere;
  Place made = elsewhere.peek(call.arg(1), call.now_ms());
  Set result = elsewhere.make_set(made);
  if (!empty) combine(op, found.sets(), result);
  const std::size_t size = result.size();
  if (size > 0) elsewhere.move(made, call.keys(), target);
  else if (target.found()) call.keys().erase(target);
  call.reply.integer(static_cast<std::int64_t>(size));
}

void intersection(Call& call) { read(call, Op::intersection); }
void union_of_all(Call& call) { read(call, Op::union_of_all); }
void difference(Call& call) { read(call, Op::difference); }
void store_intersection(Call& call) { store(call, Op::intersection); }
void store_union(Call& call) { store(call, Op::union_of_all); }
void store_difference(Call& call) { store(call, Op::difference); }

void count_intersection(Call& call) {
  constexpr auto max = std::numeric_limits<std::int64_t>::max();
  std::int64_t keys = 0, limit = 0;
  if (!enough(call, 3)) return;
  if (!integer_within(call, 1, 1, max, keys, "numkeys should be greater than 0")) return;
  if (keys > static_cast<std::int64_t>(call.argc()) - 2) {
    return call.fail("ERR Number of keys can't be greater than number of args");
  }
  const auto last = static_cast<std::size_t>(keys) + 1;
  for (std::size_t i = last + 1; i < call.argc(); i += 2) {
    if (!call.is(i, "LIMIT") || i + 1 == call.argc()) return call.syntax_error();
    if (!not_negative(call, i + 1, limit, "LIMIT can't be negative")) return;
  }
  Sets found;
  if (!found.find(call, 2, last)) return;
  std::int64_t count = 0;
  if (!found.surely_empty(Op::intersection)) {
    intersect(found.sets(), [&](const Scalar&) { return ++count != limit; });
  }
  call.reply.integer(count);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"sinter", -2, kReadonly, {1, -1, 1}, {}, Group::set, intersection,
     "key [key ...]",
     "The members that all of the sets have",
     "O(N*M) where N is the size of the smallest set and M the number of sets", "1.0"},
    {"sinterstore", -3, kWrite | kDenyOom | kStores, {1, -1, 1}, {}, Group::set, store_intersection,
     "destination key [key ...]",
     "Stores the members that all of the sets have, whatever was there",
     "O(N*M) where N is the size of the smallest set and M the number of sets", "1.0"},
    {"sintercard", -3, kReadonly | kMovableKeys, {}, {}, Group::set, count_intersection,
     "numkeys key [key ...] [LIMIT limit]",
     "How many members all of the sets have, counted up to a limit",
     "O(N*M) where N is the size of the smallest set and M the number of sets", "1.0"},
    {"sunion", -2, kReadonly, {1, -1, 1}, {}, Group::set, union_of_all,
     "key [key ...]",
     "The members that any of the sets has",
     "O(N) where N is the number of members of all sets", "1.0"},
    {"sunionstore", -3, kWrite | kDenyOom | kStores, {1, -1, 1}, {}, Group::set, store_union,
     "destination key [key ...]",
     "Stores the members that any of the sets has, whatever was there",
     "O(N) where N is the number of members of all sets", "1.0"},
    {"sdiff", -2, kReadonly, {1, -1, 1}, {}, Group::set, difference,
     "key [key ...]",
     "The members of the first set that none of the others has",
     "O(N) where N is the number of members of all sets", "1.0"},
    {"sdiffstore", -3, kWrite | kDenyOom | kStores, {1, -1, 1}, {}, Group::set, store_difference,
     "destination key [key ...]",
     "Stores the members of the first set that none of the others has, whatever was there",
     "O(N) where N is the number of members of all sets", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> set_combine_commands() noexcept { return rows; }

}  // namespace kv
