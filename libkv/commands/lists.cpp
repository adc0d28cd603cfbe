// Commands on the ends, the length and ranges of a list.
//
// Changes inside a list are in lists_edit.cpp, moves between lists in lists_move.cpp.
#include <algorithm>

#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/stats.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

enum class End : bool { head, tail };

void push(Call& call, End end, bool only_existing) {
  Place place;
  if (!enough(call, 3) || !writable(call, 1) || !call.locate(1, Type::list, place)) return;
  if (only_existing && !place.found()) return call.reply.integer(0);
  if (!call.commit()) return;
  List list = list_at(call, place);
  for (std::size_t i = 2; i < call.argc(); ++i) {
    if (end == End::head) list.push_front(call.scalar(i));
    else list.push_back(call.scalar(i));
  }
  call.reply.integer(static_cast<std::int64_t>(list.size()));
}

void push_head(Call& call) { push(call, End::head, false); }
void push_tail(Call& call) { push(call, End::tail, false); }
void push_head_if_there(Call& call) { push(call, End::head, true); }
void push_tail_if_there(Call& call) { push(call, End::tail, true); }

void pop(Call& call, End end) {
  const bool counted = !call.plio() && call.argc() > 2;
  std::int64_t count = 1;
  Place place;
  if (!enough(call, 2) || !writable(call, 1)) return;
  if (!call.plio() && call.argc() > 3) return wrong_arity(call);
  if (counted && !not_negative(call, 2, count)) return;
  if (!call.locate(1, Type::list, place)) return;
  if (!place.found()) return counted ? call.reply.nil_array() : call.reply.nil();
  if (count == 0) return call.reply.array(0);
  List list = call.keys().list(place);
  const std::size_t size = list.size();
  const std::size_t n = std::min(static_cast<std::size_t>(count), size);
  const std::size_t first = end == End::head ? 0 : size - n;
  const std::size_t bytes = n > 1 ? reply_bytes(list, first, n) : 0;
  if (too_large_to_pop(call, bytes) || !call.commit()) return;
  call.reply.reserve(bytes);
  if (counted) call.reply.array(n);
  for (std::size_t left = size; left > size - n; --left) {
    const std::size_t index = end == End::head ? 0 : left - 1;
    call.reply.scalar(list.at(index));
    list.erase(index, 1);
  }
  if (n == size) call.keys().drop_if_empty(place);
}

void pop_head(Call& call) { pop(call, End::head); }
void pop_tail(Call& call) { pop(call, End::tail); }

/// LLEN; in picolisp-kv it is STRLEN under another name.
void length(Call& call) {
  if (!enough(call, 2)) return;
  if (is_stats_key(call.arg(1))) return reply_stats_length(call, call.arg(1));
  if (call.plio() && is_nil(call.scalar(1))) return call.reply.nil();
  Place place = find(call, 1);
  Keyspace& keys = call.keys();
  switch (keys.type(place)) {
    case Type::none: return call.reply.integer(0);
    case Type::list: return call.reply.integer(static_cast<std::int64_t>(keys.list(place).size()));
    default: break;
  }
  if (!call.plio()) return call.wrong_type();
  if (keys.type(place) == Type::string) {
    return call.reply.integer(length_of(call, keys.string(place)));
  }
  call.reply.integer(static_cast<std::int64_t>(element_count(keys, place)));
}

/// The two numbers of LRANGE and LTRIM.
bool read_ends(Call& call, std::int64_t& start, std::int64_t& stop) {
  if (!enough(call, 4)) return false;
  if (!call.plio()) return call.integer(2, start) && call.integer(3, stop);
  const bool fine = plio_number(call.scalar(2), start) && plio_number(call.scalar(3), stop) &&
                    start >= 0 && stop >= 0;
  if (!fine) call.fail("ERR value is not an integer or out of range");
  return fine;
}

/// picolisp-kv takes stop - start + 1 elements; if that is negative, all but so many at the end.
Slice plio_slice(std::int64_t start, std::int64_t stop, std::size_t size) noexcept {
  const auto length = static_cast<std::int64_t>(size);
  if (start >= length) return {};
  const std::int64_t rest = length - start;
  const std::int64_t asked = std::min(stop, length) - start + 1;
  const std::int64_t count =
      asked >= 0 ? std::min(asked, rest) : std::max<std::int64_t>(0, rest + asked);
  return {static_cast<std::size_t>(start), static_cast<std::size_t>(count)};
}

Slice slice_of(const Call& call, std::int64_t start, std::int64_t stop, std::size_t size) noexcept {
  return call.plio() ? plio_slice(start, stop, size) : slice(start, stop, size);
}

void range(Call& call) {
  std::int64_t start = 0, stop = 0;
  Place place;
  if (!read_ends(call, start, stop) || !find(call, 1, Type::list, place)) return;
  if (!place.found()) return call.reply.array(0);
  const List list = call.keys().list(place);
  const Slice part = slice_of(call, start, stop, list.size());
  call.reply.array(part.count);
  list.visit(part.first, part.count, [&](const Scalar& element) {
    call.reply.scalar(element);
    return true;
  });
}

/// Over PLIO nothing is trimmed when nothing would be left.
void trim(Call& call) {
  std::int64_t start = 0, stop = 0;
  Place place;
  if (!read_ends(call, start, stop) || !writable(call, 1)) return;
  if (!call.locate(1, Type::list, place)) return;
  if (!place.found()) return call.plio() ? call.reply.nil() : call.reply.ok();
  List list = call.keys().list(place);
  const Slice kept = slice_of(call, start, stop, list.size());
  if (call.plio() && kept.count == 0) return call.reply.nil();
  if (kept.count == list.size()) return call.reply.ok();
  if (!call.commit()) return;
  if (kept.count == 0) {
    call.keys().erase(place);
  } else {
    const std::size_t end = kept.first + kept.count;
    list.erase(end, list.size() - end);
    list.erase(0, kept.first);
  }
  call.reply.ok();
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"lpush", -3, kWrite | kDenyOom | kFast | kPlioNil, {1, 1, 1}, {2, -1, 1}, Group::list,
     push_head,
     "key element [element ...]",
     "Puts elements at the head of a list, which is created if absent",
     "O(N) where N is the number of elements pushed", "0.18"},
    {"rpush", -3, kWrite | kDenyOom | kFast | kPlioNil, {1, 1, 1}, {2, -1, 1}, Group::list,
     push_tail,
     "key element [element ...]",
     "Puts elements at the tail of a list, which is created if absent",
     "O(N) where N is the number of elements pushed", "0.18"},
    {"lpushx", -3, kWrite | kDenyOom | kFast, {1, 1, 1}, {2, -1, 1}, Group::list,
     push_head_if_there,
     "key element [element ...]",
     "Puts elements at the head of a list only if it exists",
     "O(N) where N is the number of elements pushed", "1.0"},
    {"rpushx", -3, kWrite | kDenyOom | kFast, {1, 1, 1}, {2, -1, 1}, Group::list,
     push_tail_if_there,
     "key element [element ...]",
     "Puts elements at the tail of a list only if it exists",
     "O(N) where N is the number of elements pushed", "1.0"},
    {"lpop", -2, kWrite | kFast | kPlioNil, {1, 1, 1}, {}, Group::list, pop_head,
     "key [count]",
     "Removes and returns elements from the head of a list",
     "O(N) where N is the number of elements removed", "0.18"},
    {"rpop", -2, kWrite | kFast | kPlioNil, {1, 1, 1}, {}, Group::list, pop_tail,
     "key [count]",
     "Removes and returns elements from the tail of a list",
     "O(N) where N is the number of elements removed", "0.18"},
    {"llen", 2, kReadonly | kFast | kPlioNil, {1, 1, 1}, {}, Group::list, length,
     "key",
     "The number of elements of a list",
     "O(1)", "0.18"},
    {"lrange", 4, kReadonly | kPlioNil, {1, 1, 1}, {}, Group::list, range,
     "key start stop",
     "The elements from start to stop, both included; negative ones count from the tail",
     "O(S+N) where S is the distance of start from the nearer end and N the number of elements",
     "0.18"},
    {"ltrim", 4, kWrite | kPlioNil, {1, 1, 1}, {}, Group::list, trim,
     "key start stop",
     "Removes all elements but those from start to stop",
     "O(N) where N is the number of elements removed", "0.18"},
};
// clang-format on

}  // namespace

std::span<const Command> list_commands() noexcept { return rows; }

}  // namespace kv
