// Commands that take the members with the lowest or highest scores; also those that wait until
// there are some.
#include <algorithm>
#include <limits>

#include "libkv/base/limits.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/pop_several.hpp"
#include "libkv/commands/sorted_set_parts.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

enum class End : bool { lowest, highest };

/// count members from one end, which are there.
RankRange at_end(const SortedSet& set, End end, std::size_t count) {
  if (end == End::lowest) return {0, count, Direction::up};
  return {set.size() - 1, count, Direction::down};
}

/// Bytes that a reply of these needs at most; more than a reply may have are not counted to the
/// end.
std::size_t reply_bytes(const SortedSet& set, const RankRange& part) {
  constexpr std::size_t around = 100;  // its score, and what both are told with
  std::size_t bytes = 0;
  set.visit(part.first, part.count, part.direction, [&](const SortedSet::Element& element) {
    bytes += element.member.bytes.size() + around;
    return bytes <= limits::reply_bytes_max;
  });
  return bytes;
}

/// Says the members and then removes them, and the key with the last one. Only after commit(), with
/// the reply's bytes reserved.
void take(Call& call, Place& place, const RankRange& part, Pairs pairs) {
  SortedSet set = call.keys().sorted_set(place);
  set.visit(part.first, part.count, part.direction, [&](const SortedSet::Element& element) {
    reply_element(call, element, pairs);
    return true;
  });
  if (part.count == set.size()) call.keys().erase(place);
  else set.erase(part.lowest(), part.count);
}

void pop(Call& call, End end) {
  std::int64_t count = 1;
  Place place;
  const bool counted = call.argc() > 2;
  if (!writable(call, 1)) return;
  if (call.argc() > 3) return call.syntax_error();
  if (counted && !not_negative(call, 2, count)) return;
  if (!call.locate(1, Type::zset, place)) return;
  if (!place.found() || count == 0) return call.reply.array(0);
  const SortedSet set = call.keys().sorted_set(place);
  const std::size_t n = std::min(static_cast<std::size_t>(count), set.size());
  const RankRange part = at_end(set, end, n);
  const std::size_t bytes = reply_bytes(set, part);
  if (too_large_to_pop(call, bytes) || !call.commit()) return;
  call.reply.reserve(bytes);
  const Pairs pairs = counted ? pairs_for(call) : Pairs::flat;
  call.reply.array(pairs == Pairs::nested ? n : 2 * n);
  take(call, place, part, pairs);
}

void pop_lowest(Call& call) { pop(call, End::lowest); }
void pop_highest(Call& call) { pop(call, End::highest); }

// --- of several keys ---

enum class Popped { one, array };

/// Answers the key and the members of the first sorted set that is there: one, or an array of them.
/// False: none is there, and nothing is said.
bool pop_first_of(Call& call, const PopSeveral& asked, End end, Popped form) {
  Place place;
  for (std::size_t i = asked.first; i <= asked.last; ++i) {
    if (!writable(call, i) || !call.locate(i, Type::zset, place)) return true;
    if (!place.found()) continue;
    const SortedSet set = call.keys().sorted_set(place);
    const std::size_t n = std::min(static_cast<std::size_t>(asked.count), set.size());
    const RankRange part = at_end(set, end, n);
    const std::size_t bytes = call.arg(i).size() + reply_bytes(set, part);
    if (too_large_to_pop(call, bytes) || !call.commit()) return true;
    call.reply.reserve(bytes);
    call.reply.array(form == Popped::array ? 2 : 3);
    call.reply.bulk(call.arg(i));
    if (form == Popped::array) call.reply.array(n);
    take(call, place, part, form == Popped::array ? Pairs::nested : Pairs::flat);
    return true;
  }
  return false;
}

bool read_end(Call& call, std::size_t i, End& end) {
  if (call.is(i, "MIN")) end = End::lowest;
  else if (call.is(i, "MAX")) end = End::highest;
  else return call.syntax_error(), false;
  return true;
}

bool read_several(Call& call, std::size_t at, PopSeveral& asked, End& end) {
  return read_keys_to_pop(call, at, asked) && read_end(call, asked.last + 1, end) &&
         read_count_to_pop(call, asked.last + 2, asked);
}

void pop_several(Call& call) {
  PopSeveral asked;
  End end = End::lowest;
  if (!read_several(call, 1, asked, end)) return;
  if (!pop_first_of(call, asked, end, Popped::array)) call.reply.nil_array();
}

void wait_for(Call& call, const PopSeveral& asked, std::int64_t timeout_ms) {
  call.wait_for({asked.first, asked.last, timeout_ms, Type::zset});
  call.reply.nil_array();
}

void wait_and_pop_several(Call& call) {
  PopSeveral asked;
  End end = End::lowest;
  std::int64_t timeout_ms = 0;
  // The time is looked at last, as Redis does.
  if (!read_several(call, 2, asked, end) || !wait_time(call, 1, timeout_ms)) return;
  if (!pop_first_of(call, asked, end, Popped::array)) wait_for(call, asked, timeout_ms);
}

void wait_and_pop(Call& call, End end) {
  const PopSeveral asked{1, call.argc() - 2, 1};
  std::int64_t timeout_ms = 0;
  if (!wait_time(call, call.argc() - 1, timeout_ms)) return;
  if (!pop_first_of(call, asked, end, Popped::one)) wait_for(call, asked, timeout_ms);
}

void wait_and_pop_lowest(Call& call) { wait_and_pop(call, End::lowest); }
void wait_and_pop_highest(Call& call) { wait_and_pop(call, End::highest); }

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"zpopmin", -2, kWrite | kFast, {1, 1, 1}, {}, Group::sorted_set, pop_lowest,
     "key [count]",
     "Removes and returns the members with the lowest scores",
     "O(M*log(N)) where N is the number of members and M the number removed", "1.0"},
    {"zpopmax", -2, kWrite | kFast, {1, 1, 1}, {}, Group::sorted_set, pop_highest,
     "key [count]",
     "Removes and returns the members with the highest scores",
     "O(M*log(N)) where N is the number of members and M the number removed", "1.0"},
    {"zmpop", -4, kWrite | kMovableKeys, {}, {}, Group::sorted_set, pop_several,
     "numkeys key [key ...] MIN | MAX [COUNT count]",
     "Removes and returns members of the first of several sorted sets that exists",
     "O(K+M*log(N)) where K is the number of keys, N the members, and M the number removed", "1.0"},
    {"bzpopmin", -3, kWrite | kFast | kNoScript | kBlocking, {1, -2, 1}, {}, Group::sorted_set,
     wait_and_pop_lowest,
     "key [key ...] timeout",
     "Removes and returns the lowest member of the first sorted set that exists; waits for one",
     "O(K+log(N)) where K is the number of keys and N the members", "1.0"},
    {"bzpopmax", -3, kWrite | kFast | kNoScript | kBlocking, {1, -2, 1}, {}, Group::sorted_set,
     wait_and_pop_highest,
     "key [key ...] timeout",
     "Removes and returns the highest member of the first sorted set that exists; waits for one",
     "O(K+log(N)) where K is the number of keys and N the members", "1.0"},
    {"bzmpop", -5, kWrite | kBlocking | kMovableKeys, {}, {}, Group::sorted_set,
     wait_and_pop_several,
     "timeout numkeys key [key ...] MIN | MAX [COUNT count]",
     "Removes and returns members of the first of several sorted sets that exists; waits for one",
     "O(K+M*log(N)) where K is the number of keys, N the members, and M the number removed", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> sorted_set_pop_commands() noexcept { return rows; }

}  // namespace kv
