// Commands that look or change inside a list, by index or by element.
#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

constexpr std::int64_t int_max = std::numeric_limits<std::int64_t>::max();

/// An index from the head, or, negative, from the tail, as a position in the list.
std::optional<std::size_t> position(std::int64_t index, std::size_t size) noexcept {
  const auto length = static_cast<std::int64_t>(size);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  return static_cast<std::size_t>(index);
}

/// Argument i as an index or count by the rules of the dialect.
bool read_index(Call& call, std::size_t i, std::int64_t& index) {
  if (!call.plio()) return call.integer(i, index);
  if (plio_number(call.scalar(i), index)) return true;
  call.fail("ERR value is not an integer or out of range");
  return false;
}

void element_at(Call& call) {
  std::int64_t index = 0;
  Place place;
  if (!enough(call, 3)) return;
  if (call.plio() && !read_index(call, 2, index)) return;
  if (!find(call, 1, Type::list, place)) return;
  if (!place.found()) return call.reply.nil();
  if (!call.plio() && !read_index(call, 2, index)) return;
  const List list = call.keys().list(place);
  const auto at = position(index, list.size());
  if (at) call.reply.scalar(list.at(*at));
  else call.reply.nil();
}

void set_element(Call& call) {
  std::int64_t index = 0;
  Place place;
  if (!enough(call, 4) || !writable(call, 1) || !call.locate(1, Type::list, place)) return;
  if (!place.found()) return call.fail("ERR no such key");
  if (!read_index(call, 2, index)) return;
  List list = call.keys().list(place);
  const auto at = position(index, list.size());
  const bool refused_over_plio = call.plio() && (index < 0 || is_nil(call.scalar(3)));
  if (!at || refused_over_plio) return call.fail("ERR index out of range");
  if (!call.commit()) return;
  list.set(*at, call.scalar(3));
  call.reply.ok();
}

/// The first place of an element from the head, or nothing.
std::optional<std::size_t> index_of(const Call& call, const List& list, const Scalar& wanted) {
  std::size_t at = 0;
  bool found = false;
  list.visit(0, list.size(), [&](const Scalar& element) {
    found = same(call, element, wanted);
    at += found ? 0 : 1;
    return !found;
  });
  return found ? std::optional(at) : std::nullopt;
}

void remove(Call& call) {
  std::int64_t count = 0;
  Place place;
  if (!enough(call, 4) || !writable(call, 1)) return;
  if (!read_index(call, 2, count)) return;
  if (call.plio() && count < 0) return call.reply.integer(0);
  count = std::max(count, -int_max);  // so that it can be negated
  if (!call.locate(1, Type::list, place)) return;
  if (!place.found()) return call.reply.integer(0);
  List list = call.keys().list(place);
  if (!index_of(call, list, call.scalar(3))) return call.reply.integer(0);
  if (!call.commit()) return;
  const std::size_t removed = list.remove(count, call.scalar(3), call.plio());
  call.keys().drop_if_empty(place);
  call.reply.integer(static_cast<std::int64_t>(removed));
}

void insert(Call& call) {
  Place place;
  const bool after = call.is(2, "AFTER");
  if (!writable(call, 1)) return;
  if (!after && !call.is(2, "BEFORE")) return call.syntax_error();
  if (!call.locate(1, Type::list, place)) return;
  if (!place.found()) return call.reply.integer(0);
  List list = call.keys().list(place);
  const auto pivot = index_of(call, list, call.scalar(3));
  if (!pivot) return call.reply.integer(-1);
  if (!call.commit()) return;
  list.insert(*pivot + (after ? 1 : 0), call.scalar(4));
  call.reply.integer(static_cast<std::int64_t>(list.size()));
}

// --- LPOS ---

struct Search {
  std::int64_t rank = 1;      // the first match that counts; negative: from the tail
  std::int64_t count = -1;    // how many are asked for; 0: all; -1: one, not as an array
  std::int64_t compared = 0;  // elements looked at at most; 0: all
};

bool read_rank(Call& call, std::size_t i, std::int64_t& rank) {
  if (!call.integer(i, rank)) return false;
  if (rank < -int_max) rank = -1;  // as in Redis, where negating it overflows
  if (rank != 0) return true;
  call.fail(
      "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
      "negative to start from the end of the list");
  return false;
}

bool read_search(Call& call, Search& search) {
  for (std::size_t i = 3; i < call.argc(); i += 2) {
    if (i + 1 == call.argc()) return call.syntax_error(), false;
    bool fine = false;
    if (call.is(i, "RANK")) {
      fine = read_rank(call, i + 1, search.rank);
    } else if (call.is(i, "COUNT")) {
      fine = not_negative(call, i + 1, search.count, "COUNT can't be negative");
    } else if (call.is(i, "MAXLEN")) {
      fine = not_negative(call, i + 1, search.compared, "MAXLEN can't be negative");
    } else {
      call.syntax_error();
    }
    if (!fine) return false;
  }
  return true;
}

/// The indexes of matching elements in the order of the search, at most wanted of them.
std::vector<std::size_t> matches(const Call& call, const List& list, const Search& search) {
  const std::size_t size = list.size();
  const std::size_t asked = static_cast<std::size_t>(search.compared);
  const std::size_t looked = asked == 0 ? size : std::min(asked, size);
  const bool backwards = search.rank < 0;
  auto skip = static_cast<std::size_t>(backwards ? -search.rank : search.rank) - 1;
  const std::size_t wanted = search.count < 0    ? 1
                             : search.count == 0 ? size
                                                 : static_cast<std::size_t>(search.count);
  std::vector<std::size_t> found;
  std::size_t at = backwards ? size - looked : 0;
  list.visit(at, looked, [&](const Scalar& element) {
    if (same(call, element, call.scalar(2))) {
      if (backwards || skip == 0) found.push_back(at);
      else --skip;
    }
    ++at;
    return backwards || found.size() < wanted;
  });
  if (!backwards) return found;
  std::reverse(found.begin(), found.end());
  found.erase(found.begin(),
              found.begin() + static_cast<std::ptrdiff_t>(std::min(skip, found.size())));
  found.resize(std::min(found.size(), wanted));
  return found;
}

void positions(Call& call) {
  Search search;
  Place place;
  if (!read_search(call, search) || !find(call, 1, Type::list, place)) return;
  std::vector<std::size_t> found;
  if (place.found()) found = matches(call, call.keys().list(place), search);
  if (search.count < 0) {
    if (found.empty()) return call.reply.nil();
    return call.reply.integer(static_cast<std::int64_t>(found[0]));
  }
  call.reply.array(found.size());
  for (const std::size_t at : found) call.reply.integer(static_cast<std::int64_t>(at));
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"lindex", 3, kReadonly | kPlioNil, {1, 1, 1}, {}, Group::list, element_at,
     "key index",
     "The element at an index; -1 is the last one",
     "O(N) where N is the distance to the nearer end", "0.18"},
    {"lset", 4, kWrite | kDenyOom | kPlioNil, {1, 1, 1}, {3, 3, 1}, Group::list, set_element,
     "key index element",
     "Replaces the element at an index",
     "O(N) where N is the distance to the nearer end", "0.18"},
    {"lrem", 4, kWrite | kPlioZero, {1, 1, 1}, {}, Group::list, remove,
     "key count element",
     "Removes equal elements: the first count, the last -count, or all if count is 0",
     "O(N) where N is the length of the list", "0.18"},
    {"linsert", 5, kWrite | kDenyOom, {1, 1, 1}, {4, 4, 1}, Group::list, insert,
     "key BEFORE | AFTER pivot element",
     "Inserts an element beside the first one equal to pivot",
     "O(N) where N is the length of the list", "1.0"},
    {"lpos", -3, kReadonly, {1, 1, 1}, {}, Group::list, positions,
     "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
     "The indexes of equal elements",
     "O(N) where N is the length of the list", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> list_edit_commands() noexcept { return rows; }

}  // namespace kv
