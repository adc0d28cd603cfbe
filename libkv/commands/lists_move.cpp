// Commands that take elements from one list and put them on another, or take from several; also
// those that wait until there is one.
#include <algorithm>
#include <optional>
#include <string>

#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/pop_several.hpp"
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

/// From argument 1's list to argument 2's, which may be the same. With a timeout_ms it waits for
/// the first.
void move(Call& call, End from, End to, std::optional<std::int64_t> timeout_ms = {}) {
  Place source, target;
  if (!enough(call, 3) || !writable(call, 1) || !writable(call, 2)) return;
  if (!call.locate(1, Type::list, source)) return;
  if (!source.found()) {
    if (timeout_ms) call.wait_for({1, 1, *timeout_ms, Type::list});
    return call.reply.nil();
  }
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

void wait_and_move_tail_to_head(Call& call) {
  std::int64_t timeout_ms = 0;
  if (wait_time(call, 3, timeout_ms)) move(call, End::tail, End::head, timeout_ms);
}

void wait_and_move_any(Call& call) {
  End from = End::head, to = End::head;
  std::int64_t timeout_ms = 0;
  if (!read_end(call, 3, from) || !read_end(call, 4, to)) return;
  if (wait_time(call, 5, timeout_ms)) move(call, from, to, timeout_ms);
}

enum class Popped { one, array };

/// Answers the key and the elements of the first list that is there: one, or an array of them.
/// False: none is there, and nothing is said.
bool pop_first_of(Call& call, const PopSeveral& asked, End end, Popped form) {
  Place place;
  for (std::size_t i = asked.first; i <= asked.last; ++i) {
    if (!writable(call, i) || !call.locate(i, Type::list, place)) return true;
    if (!place.found()) continue;
    List list = call.keys().list(place);
    const std::size_t n = std::min(static_cast<std::size_t>(asked.count), list.size());
    const std::size_t first = end == End::head ? 0 : list.size() - n;
    const std::size_t bytes = call.arg(i).size() + reply_bytes(list, first, n);
    if (too_large_to_pop(call, bytes) || !call.commit()) return true;
    call.reply.reserve(bytes);
    call.reply.array(2);
    call.reply.bulk(call.arg(i));
    if (form == Popped::array) call.reply.array(n);
    for (std::size_t popped = 0; popped < n; ++popped) {
      call.reply.scalar(at_end(list, end));
      pop(list, end);
    }
    call.keys().drop_if_empty(place);
    return true;
  }
  return false;
}

bool read_several(Call& call, std::size_t at, PopSeveral& asked, End& end) {
  return read_keys_to_pop(call, at, asked) && read_end(call, asked.last + 1, end) &&
         read_count_to_pop(call, asked.last + 2, asked);
}

void pop_several(Call& call) {
  PopSeveral asked;
  End end = End::head;
  if (!read_several(call, 1, asked, end)) return;
  if (!pop_first_of(call, asked, end, Popped::array)) call.reply.nil_array();
}

void wait_and_pop_several(Call& call) {
  PopSeveral asked;
  End end = End::head;
  std::int64_t timeout_ms = 0;
  // The time is looked at last, as Redis does.
  if (!read_several(call, 2, asked, end) || !wait_time(call, 1, timeout_ms)) return;
  if (pop_first_of(call, asked, end, Popped::array)) return;
  call.wait_for({asked.first, asked.last, timeout_ms, Type::list});
  call.reply.nil_array();
}

void wait_and_pop(Call& call, End end) {
  const PopSeveral asked{1, call.argc() - 2, 1};
  std::int64_t timeout_ms = 0;
  if (!wait_time(call, call.argc() - 1, timeout_ms)) return;
  if (pop_first_of(call, asked, end, Popped::one)) return;
  call.wait_for({asked.first, asked.last, timeout_ms, Type::list});
  call.reply.nil_array();
}

void wait_and_pop_head(Call& call) { wait_and_pop(call, End::head); }
void wait_and_pop_tail(Call& call) { wait_and_pop(call, End::tail); }

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
    {"blpop", -3, kWrite | kNoScript | kBlocking, {1, -2, 1}, {}, Group::list, wait_and_pop_head,
     "key [key ...] timeout",
     "Removes and returns the first element of the first list that exists; waits for one",
     "O(N) where N is the number of keys", "1.0"},
    {"brpop", -3, kWrite | kNoScript | kBlocking, {1, -2, 1}, {}, Group::list, wait_and_pop_tail,
     "key [key ...] timeout",
     "Removes and returns the last element of the first list that exists; waits for one",
     "O(N) where N is the number of keys", "1.0"},
    {"blmove", 6, kWrite | kDenyOom | kNoScript | kBlocking, {1, 2, 1}, {}, Group::list,
     wait_and_move_any,
     "source destination LEFT | RIGHT LEFT | RIGHT timeout",
     "Moves an element from one end of a list to one end of another; waits for one",
     "O(1)", "1.0"},
    {"brpoplpush", 4, kWrite | kDenyOom | kNoScript | kBlocking, {1, 2, 1}, {}, Group::list,
     wait_and_move_tail_to_head,
     "source destination timeout",
     "Moves the last element of a list to the head of another; waits for one",
     "O(1)", "1.0"},
    {"blmpop", -5, kWrite | kBlocking | kMovableKeys, {}, {}, Group::list, wait_and_pop_several,
     "timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]",
     "Removes and returns elements of the first of several lists that exists; waits for one",
     "O(N+M) where N is the number of keys and M the number of elements removed", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> list_move_commands() noexcept { return rows; }

}  // namespace kv
