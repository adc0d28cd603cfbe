// Commands that take elements from one list and put them on another, or take from several.
#include <algorithm>
#include <limits>
#include <string>

#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

enum class End : bool { head, tail };

bool read_end(Call& call, std::size_t i, End& end) {
  if (call.is(i, "LEFT")) end = End::head;
  else if (call.is(i, "RIGHT")) end = End::tail;
  else return call.syntax_error(), false;
  return true;
}

Scalar at_end(const List& list, End end) { return list.at(end == End::head ? 0 : list.size() - 1); }

void pop(List& list, End end) {
  if (end == End::head) list.pop_front();
  else list.pop_back();
}

/// From argument 1's list to argument 2's, which may be the same.
void move(Call& call, End from, End to) {
  Place source, target;
  if (!enough(call, 3) || !writable(call, 1) || !writable(call, 2)) return;
  if (!call.locate(1, Type::list, source)) return;
  if (!source.found()) return call.reply.nil();
  if (!call.locate(2, Type::list, target)) return;
  Keyspace& keys = call.keys();
  List list = keys.list(source);
  const bool stays = call.arg(1) == call.arg(2) && (from == to || list.size() == 1);
  if (stays) return call.reply.scalar(at_end(list, from));
  if (!call.commit()) return;
  const Scalar element = at_end(list, from);
  call.reply.scalar(element);
  // Its own copy: popping may free it, and creating the target may move everything.
  const std::string bytes(element.bytes);
  const Scalar moved(bytes, element.kind);
  pop(list, from);
  keys.drop_if_empty(source);
  target = call.locate(2);
  List destination = list_at(call, target);
  if (to == End::head) destination.push_front(moved);
  else destination.push_back(moved);
}

void move_tail_to_head(Call& call) { move(call, End::tail, End::head); }
void move_head_to_tail(Call& call) { move(call, End::head, End::tail); }

void move_any(Call& call) {
  End from = End::head, to = End::head;
  if (read_end(call, 3, from) && read_end(call, 4, to)) move(call, from, to);
}

/// LMPOP numkeys key ... LEFT | RIGHT [COUNT n]
struct PopSeveral {
  std::int64_t keys = 0;
  End end = End::head;
  std::int64_t count = 1;
};

bool read_pop_several(Call& call, PopSeveral& asked) {
  constexpr auto max = std::numeric_limits<std::int64_t>::max();
  if (!integer_within(call, 1, 1, max, asked.keys, "numkeys should be greater than 0"))
    return false;
  if (asked.keys > static_cast<std::int64_t>(call.argc()) - 3) return call.syntax_error(), false;
  std::size_t i = static_cast<std::size_t>(asked.keys) + 2;
  if (!read_end(call, i, asked.end)) return false;
  if (++i == call.argc()) return true;
  if (!call.is(i, "COUNT") || i + 1 == call.argc()) return call.syntax_error(), false;
  if (!integer_within(call, i + 1, 1, max, asked.count, "count should be greater than 0")) {
    return false;
  }
  if (i + 2 != call.argc()) return call.syntax_error(), false;
  return true;
}

/// Answers the key and the elements of the first list that is there.
void pop_several(Call& call) {
  PopSeveral asked;
  if (!read_pop_several(call, asked)) return;
  const auto end = static_cast<std::size_t>(asked.keys) + 2;
  Place place;
  for (std::size_t i = 2; i < end; ++i) {
    if (!writable(call, i) || !call.locate(i, Type::list, place)) return;
    if (!place.found()) continue;
    List list = call.keys().list(place);
    const std::size_t n = std::min(static_cast<std::size_t>(asked.count), list.size());
    const std::size_t first = asked.end == End::head ? 0 : list.size() - n;
    const std::size_t bytes = call.arg(i).size() + reply_bytes(list, first, n);
    if (too_large_to_pop(call, bytes) || !call.commit()) return;
    call.reply.reserve(bytes);
    call.reply.array(2);
    call.reply.bulk(call.arg(i));
    call.reply.array(n);
    for (std::size_t popped = 0; popped < n; ++popped) {
      call.reply.scalar(at_end(list, asked.end));
      pop(list, asked.end);
    }
    return call.keys().drop_if_empty(place);
  }
  call.reply.nil_array();
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"rpoplpush", 3, kWrite | kDenyOom | kPlioNil, {1, 2, 1}, {}, Group::list, move_tail_to_head,
     "source destination",
     "Moves the last element of a list to the head of another",
     "O(1)", "0.18"},
    {"rpolrpush", 3, kWrite | kDenyOom | kPlioNil | kHidden, {1, 2, 1}, {}, Group::list,
     move_tail_to_head,
     "source destination",
     "RPOPLPUSH, as picolisp-kv's help spells it",
     "O(1)", "0.18"},
    {"lpoprpush", 3, kWrite | kDenyOom | kPlioNil, {1, 2, 1}, {}, Group::list, move_head_to_tail,
     "source destination",
     "Moves the first element of a list to the tail of another",
     "O(1)", "0.18"},
    {"lmove", 5, kWrite | kDenyOom, {1, 2, 1}, {}, Group::list, move_any,
     "source destination LEFT | RIGHT LEFT | RIGHT",
     "Moves an element from one end of a list to one end of another",
     "O(1)", "1.0"},
    {"lmpop", -4, kWrite | kMovableKeys, {}, {}, Group::list, pop_several,
     "numkeys key [key ...] LEFT | RIGHT [COUNT count]",
     "Removes and returns elements of the first of several lists that exists",
     "O(N+M) where N is the number of keys and M the number of elements removed", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> list_move_commands() noexcept { return rows; }

}  // namespace kv
