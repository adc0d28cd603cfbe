// Commands on keys, whatever they hold: DEL, EXISTS, TYPE, RENAME, COPY, MOVE and their kin.
#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/stats.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

/// picolisp-kv counts the keys that were named, and stops at a first one that is none.
std::int64_t named_keys(const Call& call) {
  std::int64_t named = 0;
  for (std::size_t i = 1; i < call.argc(); ++i) {
    named += is_plio_key(call.scalar(i)) && !is_stats_key(call.arg(i)) ? 1 : 0;
  }
  return named;
}

/// DEL and UNLINK: kv frees at once in both.
void remove(Call& call) {
  if (!enough(call, 2) || !writable(call, 1)) return;
  const bool original = call.plio() && (call.command.flags & kPlioZero) != 0;
  if (!original && !all_writable(call, 2)) return;
  std::size_t i = 1;
  Place place = call.locate(i);
  while (!place.found() && ++i < call.argc()) place = call.locate(i);
  if (!place.found()) return call.reply.integer(original ? named_keys(call) : 0);
  if (!call.commit()) return;
  std::int64_t removed = 0;
  for (;;) {
    if (place.found()) call.keys().erase(place), ++removed;
    if (++i == call.argc()) break;
    place = call.locate(i);
  }
  call.reply.integer(original ? named_keys(call) : removed);
}

void exists(Call& call) {
  if (!enough(call, 2)) return;
  std::int64_t count = 0;
  for (std::size_t i = 1; i < call.argc(); ++i) {
    const bool there =
        is_stats_key(call.arg(i)) ? stats_exists(call, call.arg(i)) : find(call, i).found();
    count += there ? 1 : 0;
  }
  call.reply.integer(count);
}

void touch(Call& call) {
  std::int64_t count = 0;
  for (std::size_t i = 1; i < call.argc(); ++i) count += find(call, i).found() ? 1 : 0;
  call.reply.integer(count);
}

void type(Call& call) {
  const Place place = call.keys().peek(call.arg(1), call.now_ms());
  count_lookup(call, place.found());
  call.reply.simple(type_name(call.keys().type(place)));
}

// --- to another name or database ---

void rename(Call& call, bool only_if_free) {
  if (!writable(call, 1) || !writable(call, 2)) return;
  Place source = call.locate(1);
  if (!source.found()) return call.fail("ERR no such key");
  const bool same_name = call.arg(1) == call.arg(2);
  Place target = call.locate(2);
  if (only_if_free && target.found()) return call.reply.integer(0);
  if (same_name) return call.reply.ok();
  if (!call.commit()) return;
  source = call.locate(1);
  call.keys().move(source, call.keys(), target);
  if (only_if_free) call.reply.integer(1);
  else call.reply.ok();
}

void rename_any(Call& call) { rename(call, false); }
void rename_if_free(Call& call) { rename(call, true); }

constexpr std::string_view same_object = "ERR source and destination objects are the same";

void move(Call& call) {
  std::int64_t n = 0;
  unsigned database = 0;
  if (!writable(call, 1) || !database_integer(call, 2, n)) return;
  if (!database_exists(call, n, database)) return;
  if (database == call.session.database) return call.fail(same_object);
  Place source = call.locate(1);
  if (!source.found()) return call.reply.integer(0);
  Keyspace& other = call.server.database(database);
  Place target = other.peek(call.arg(1), call.now_ms());
  if (target.found()) return call.reply.integer(0);
  if (!call.commit()) return;
  call.keys().move(source, other, target);
  call.reply.integer(1);
}

/// Copies what is at from to an absent place of another keyspace.
void copy_value(Keyspace& keys, Place& from, Keyspace& other, Place& to) {
  switch (keys.type(from)) {
    case Type::none: return;
    case Type::string: return other.set_string(to, keys.string(from));
    case Type::list: {
      List made = other.make_list(to);
      return keys.list(from).visit(0, keys.list(from).size(), [&](const Scalar& element) {
        made.push_back(element);
        return true;
      });
    }
    case Type::hash: {
      Hash made = other.make_hash(to);
      return keys.hash(from).visit([&](const Hash::Pair& pair) {
        made.set(pair.field, pair.value);
        return true;
      });
    }
    case Type::set: return other.make_set(to).assign(keys.set(from));
    case Type::zset: {
      SortedSet made = other.make_sorted_set(to);
      return keys.sorted_set(from).visit(0, SIZE_MAX, Direction::up, [&](const auto& element) {
        made.set(element.member, element.score);
        return true;
      });
    }
  }
}

struct CopyOptions {
  unsigned database;
  bool replace = false;
};

bool read_copy_options(Call& call, CopyOptions& options) {
  std::int64_t n = 0;
  for (std::size_t i = 3; i < call.argc(); ++i) {
    if (call.is(i, "REPLACE")) options.replace = true;
    else if (!call.is(i, "DB") || i + 1 == call.argc()) return call.syntax_error(), false;
    else if (!database_integer(call, ++i, n)) return false;
    else if (!database_exists(call, n, options.database)) return false;
  }
  return true;
}

void copy(Call& call) {
  CopyOptions options{.database = call.session.database};
  if (!writable(call, 2) || !read_copy_options(call, options)) return;
  const bool same_database = options.database == call.session.database;
  if (same_database && call.arg(1) == call.arg(2)) return call.fail(same_object);
  Place source = call.locate(1);
  if (!source.found()) return count_lookup(call, false), call.reply.integer(0);
  Keyspace& other = call.server.database(options.database);
  Place target = other.peek(call.arg(2), call.now_ms());
  if (target.found() && !options.replace) {
    return count_lookup(call, true), call.reply.integer(0);
  }
  if (!call.commit()) return;
  count_lookup(call, true);
  source = call.locate(1);
  // Made elsewhere first: if memory ends half-way, what was there is still there, and nothing else.
  Keyspace elsewhere;
  Place made = elsewhere.peek(call.arg(2), call.now_ms());
  copy_value(call.keys(), source, elsewhere, made);
  if (const auto expiry = call.keys().expiry(source)) elsewhere.set_expiry(made, expiry);
  elsewhere.move(made, other, target);
  call.reply.integer(1);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"del", -2, kWrite | kPlioZero, {1, -1, 1}, {}, Group::generic, remove,
     "key [key ...]",
     "Removes keys",
     "O(N) where N is the number of keys and of the elements they hold", "0.18"},
    {"unlink", -2, kWrite | kFast, {1, -1, 1}, {}, Group::generic, remove,
     "key [key ...]",
     "Removes keys, as DEL",
     "O(N) where N is the number of keys and of the elements they hold", "1.0"},
    {"exists", -2, kReadonly | kFast | kPlioZero, {1, -1, 1}, {}, Group::generic, exists,
     "key [key ...]",
     "How many of the keys exist; one named twice counts twice",
     "O(N) where N is the number of keys", "0.18"},
    {"touch", -2, kReadonly | kFast, {1, -1, 1}, {}, Group::generic, touch,
     "key [key ...]",
     "Notes an access to keys and returns how many exist",
     "O(N) where N is the number of keys", "1.0"},
    {"type", 2, kReadonly | kFast, {1, 1, 1}, {}, Group::generic, type,
     "key",
     "The type of a key's value: string, list, hash, set, zset or none",
     "O(1)", "1.0"},
    {"rename", 3, kWrite, {1, 2, 1}, {}, Group::generic, rename_any,
     "key newkey",
     "Gives a key another name, replacing what has it",
     "O(1)", "1.0"},
    {"renamenx", 3, kWrite | kFast, {1, 2, 1}, {}, Group::generic, rename_if_free,
     "key newkey",
     "Gives a key another name only if that is free",
     "O(1)", "1.0"},
    {"move", 3, kWrite | kFast, {1, 1, 1}, {}, Group::generic, move,
     "key db",
     "Moves a key to another database",
     "O(1)", "1.0"},
    {"copy", -3, kWrite | kDenyOom | kReadsFirst, {1, 2, 1}, {}, Group::generic, copy,
     "source destination [DB destination-db] [REPLACE]",
     "Copies a value to another key",
     "O(N) where N is the number of elements", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> generic_commands() noexcept { return rows; }

}  // namespace kv
