// Commands on the members of one set, and moving one to another.
//
// What SPOP takes follows from its line's time and the numbers of the members alone, so that a
// replay takes the same. No member is ever sealed by the client: sealed, the same one would be
// another one each time.
#include <algorithm>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/base/random.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/scan.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

constexpr std::int64_t int_max = std::numeric_limits<std::int64_t>::max();

void add(Call& call) {
  Place place;
  if (!enough(call, 3) || !writable(call, 1) || !call.locate(1, Type::set, place)) return;
  Set set = call.keys().make_set(place);
  std::size_t i = 2;
  while (i < call.argc() && set.contains(call.arg(i))) ++i;
  if (i == call.argc()) return call.reply.integer(0);
  if (!call.commit()) return;
  std::int64_t added = 0;
  for (; i < call.argc(); ++i) added += set.add(call.scalar(i)) ? 1 : 0;
  call.reply.integer(added);
}

void remove(Call& call) {
  Place place;
  if (!enough(call, 3) || !writable(call, 1) || !call.locate(1, Type::set, place)) return;
  Set set = call.keys().set(place);
  std::size_t i = 2;
  while (i < call.argc() && !set.contains(call.arg(i))) ++i;
  if (i == call.argc()) return call.reply.integer(0);
  if (!call.commit()) return;
  std::int64_t removed = 0;
  for (; i < call.argc(); ++i) removed += set.erase(call.arg(i)) ? 1 : 0;
  call.keys().drop_if_empty(place);
  call.reply.integer(removed);
}

void is_member(Call& call) {
  Place place;
  if (!enough(call, 3) || !find(call, 1, Type::set, place)) return;
  call.reply.integer(call.keys().set(place).contains(call.arg(2)) ? 1 : 0);
}

void are_members(Call& call) {
  Place place;
  if (!enough(call, 3) || !find(call, 1, Type::set, place)) return;
  const Set set = call.keys().set(place);
  call.reply.array(call.argc() - 2);
  for (std::size_t i = 2; i < call.argc(); ++i) {
    call.reply.integer(set.contains(call.arg(i)) ? 1 : 0);
  }
}

void members(Call& call) {
  Place place;
  if (!enough(call, 2) || !find(call, 1, Type::set, place)) return;
  const Set set = call.keys().set(place);
  call.reply.set(set.size());
  reply_members(call, set);
}

void size(Call& call) {
  Place place;
  if (!enough(call, 2) || !find(call, 1, Type::set, place)) return;
  call.reply.integer(static_cast<std::int64_t>(call.keys().set(place).size()));
}

void move(Call& call) {
  Place source, target;
  if (!enough(call, 4) || !writable(call, 1) || !writable(call, 2)) return;
  source = call.locate(1);
  if (!source.found()) return call.reply.integer(0);
  if (call.keys().type(source) != Type::set) return call.wrong_type();
  if (!call.locate(2, Type::set, target)) return;
  Set from = call.keys().set(source);
  const std::optional<Scalar> member = from.find(call.arg(3));
  if (!member || call.arg(1) == call.arg(2)) return call.reply.integer(member ? 1 : 0);
  if (!call.commit()) return;
  // Added first: that alone needs memory.
  call.keys().make_set(target).add({call.arg(3), member->kind});
  from.erase(call.arg(3));
  call.keys().drop_if_empty(source);
  call.reply.integer(1);
}

// --- at random ---

/// count different numbers below size, each in the place where Set::erase() of those before it
/// leaves it (taken), and where it is at first (at).
struct Draw {
  std::size_t at, taken;
};
std::vector<Draw> draw(std::size_t size, std::size_t count, std::uint64_t seed) {
  std::vector<Draw> drawn;
  drawn.reserve(count);
  std::unordered_map<std::size_t, std::size_t> moved;  // who stands now where another one stood
  const auto now_at = [&moved](std::size_t i) {
    const auto it = moved.find(i);
    return it != moved.end() ? it->second : i;
  };
  for (; drawn.size() < count; --size) {
    const std::size_t taken = splitmix64(seed) % size;
    drawn.push_back({now_at(taken), taken});
    moved[taken] = now_at(size - 1);
  }
  return drawn;
}

std::size_t bytes_of(const Set& set, const std::vector<Draw>& drawn) {
  std::size_t bytes = 0;
  for (const Draw& one : drawn) bytes += set.at(one.at).bytes.size() + 32;
  return bytes;
}

/// The same for a line's time and a set. Requests of one batch may have one time.
std::uint64_t seed_of(const Call& call, const Set& set) noexcept {
  return static_cast<std::uint64_t>(call.now_ns()) ^ (std::uint64_t{set.size()} << 40);
}

/// count is below the size. Everything that needs memory comes before the first member goes.
void pop_some(Call& call, Place& place, std::size_t count) {
  Set set = call.keys().set(place);
  const auto fits = [&](std::size_t bytes) { return !too_large_to_pop(call, bytes); };
  // All members have fewer bytes than the set takes.
  const bool small = call.keys().memory_usage(place) + 32 * count <= limits::reply_bytes_max;
  if (small && !call.commit()) return;
  const std::vector<Draw> drawn = draw(set.size(), count, seed_of(call, set));
  const std::size_t bytes = bytes_of(set, drawn);
  if (!small && (!fits(bytes) || !call.commit())) return;
  call.reply.reserve(bytes + 32);
  call.reply.set(count);
  for (const Draw& one : drawn) call.reply.scalar(set.at(one.at));
  for (const Draw& one : drawn) set.erase(set.at(one.taken).bytes);
}

void pop_all(Call& call, Place& place) {
  const Set set = call.keys().set(place);
  std::size_t bytes = 0;
  set.visit([&bytes](const Scalar& member) {
    bytes += member.bytes.size() + 32;
    return bytes <= limits::reply_bytes_max;
  });
  if (too_large_to_pop(call, bytes) || !call.commit()) return;
  call.reply.reserve(bytes + 32);
  call.reply.set(set.size());
  reply_members(call, set);
  call.keys().erase(place);
}

void pop(Call& call) {
  const bool counted = call.argc() > 2;
  std::int64_t count = 1;
  Place place;
  if (!enough(call, 2) || !writable(call, 1)) return;
  if (call.argc() > 3) return call.syntax_error();
  if (counted && !not_negative(call, 2, count)) return;
  if (!call.locate(1, Type::set, place)) return;
  if (!place.found() && !counted) return call.reply.nil();
  if (!place.found() || count == 0) return call.reply.set(0);
  Set set = call.keys().set(place);
  const auto wanted = static_cast<std::size_t>(count);
  if (counted) return wanted < set.size() ? pop_some(call, place, wanted) : pop_all(call, place);
  if (!call.commit()) return;
  const Draw one = draw(set.size(), 1, seed_of(call, set)).front();
  const Scalar member = set.at(one.at);
  call.reply.reserve(member.bytes.size() + 32);
  call.reply.scalar(member);
  set.erase(member.bytes);
  call.keys().drop_if_empty(place);
}

/// A reply that repeats members has a limit of its own, as HRANDFIELD's.
bool read_choice(Call& call, std::int64_t& count) {
  if (!integer_within(call, 2, -int_max, int_max, count)) return false;
  if (count >= -static_cast<std::int64_t>(limits::args_max)) return true;
  call.fail("ERR value is out of range");
  return false;
}

void random_members(Call& call, const Set& set, std::int64_t count) {
  std::uint64_t seed = random_number(call);
  if (count < 0) {
    call.reply.array(static_cast<std::size_t>(-count));
    for (; count < 0; ++count) call.reply.scalar(set.at(splitmix64(seed) % set.size()));
    return;
  }
  const std::size_t n = std::min(static_cast<std::size_t>(count), set.size());
  call.reply.array(n);
  if (n == set.size()) return reply_members(call, set);
  for (const Draw& one : draw(set.size(), n, seed)) call.reply.scalar(set.at(one.at));
}

void random_member(Call& call) {
  const bool counted = call.argc() > 2;
  std::int64_t count = 1;
  Place place;
  if (!enough(call, 2)) return;
  if (call.argc() > 3) return call.syntax_error();
  if (counted && !read_choice(call, count)) return;
  if (!find(call, 1, Type::set, place)) return;
  if (!place.found()) return counted ? call.reply.array(0) : call.reply.nil();
  const Set set = call.keys().set(place);
  if (counted) return random_members(call, set, count);
  std::uint64_t seed = random_number(call);
  call.reply.scalar(set.at(splitmix64(seed) % set.size()));
}

void scan_members(Call& call) {
  std::uint64_t cursor = 0;
  ScanOptions options;
  Place place;
  if (!enough(call, 3) || !read_cursor(call, 2, cursor)) return;
  if (!find(call, 1, Type::set, place)) return;
  if (!place.found()) return reply_scan(call, 0, 0);
  if (!read_scan_options(call, 3, false, options)) return;
  std::vector<Scalar> found;
  cursor = call.keys().set(place).scan(cursor, options.count, [&](const Scalar& member) {
    if (options.takes(member.bytes)) found.push_back(member);
  });
  reply_scan(call, cursor, found.size());
  for (const Scalar& member : found) call.reply.scalar(member);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"sadd", -3, kWrite | kDenyOom | kFast, {1, 1, 1}, {}, Group::set, add,
     "key member [member ...]",
     "Adds members to a set, which is created if absent",
     "O(N) where N is the number of members given", "1.0"},
    {"srem", -3, kWrite | kFast, {1, 1, 1}, {}, Group::set, remove,
     "key member [member ...]",
     "Removes members, and the set when none is left",
     "O(N) where N is the number of members given", "1.0"},
    {"sismember", 3, kReadonly | kFast, {1, 1, 1}, {}, Group::set, is_member,
     "key member",
     "Whether a set has a member",
     "O(1)", "1.0"},
    {"smismember", -3, kReadonly | kFast, {1, 1, 1}, {}, Group::set, are_members,
     "key member [member ...]",
     "Whether a set has each of several members",
     "O(N) where N is the number of members asked for", "1.0"},
    {"smembers", 2, kReadonly, {1, 1, 1}, {}, Group::set, members,
     "key",
     "All members of a set",
     "O(N) where N is the number of members", "1.0"},
    {"scard", 2, kReadonly | kFast, {1, 1, 1}, {}, Group::set, size,
     "key",
     "The number of members of a set",
     "O(1)", "1.0"},
    {"smove", 4, kWrite | kFast, {1, 2, 1}, {}, Group::set, move,
     "source destination member",
     "Moves a member from one set to another",
     "O(1)", "1.0"},
    {"spop", -2, kWrite | kFast, {1, 1, 1}, {}, Group::set, pop,
     "key [count]",
     "Removes and returns members chosen at random",
     "O(N) where N is the number of members removed", "1.0"},
    {"srandmember", -2, kReadonly, {1, 1, 1}, {}, Group::set, random_member,
     "key [count]",
     "Members chosen at random; a negative count may repeat them",
     "O(N) where N is the number of members returned", "1.0"},
    {"sscan", -3, kReadonly, {1, 1, 1}, {}, Group::set, scan_members,
     "key cursor [MATCH pattern] [COUNT count]",
     "Some members of a set and the cursor for the next ones",
     "O(1) for every call, O(N) for a whole walk", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> set_commands() noexcept { return rows; }

}  // namespace kv
