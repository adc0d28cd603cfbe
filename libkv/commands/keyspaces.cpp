// Commands on whole databases: walks over all keys, counts, removal of everything.
#include <string>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/scan.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

/// Is this key past its time, and only not yet removed?
bool is_over(const Call& call, const Keyspace::Item& item) noexcept {
  return item.expiry_ms && *item.expiry_ms <= call.now_ms();
}

void keys(Call& call) {
  std::vector<std::string_view> found;  // nothing changes before they are answered
  const std::string_view pattern = call.arg(1);
  call.keys().for_each([&](const Keyspace::Item& item) {
    if (!is_over(call, item) && (pattern == "*" || glob_match(pattern, item.key))) {
      found.push_back(item.key);
    }
    return true;
  });
  call.reply.array(found.size());
  for (const std::string_view key : found) call.reply.bulk(key);
}

void scan(Call& call) {
  std::uint64_t cursor = 0;
  ScanOptions options;
  if (!read_cursor(call, 1, cursor) || !read_scan_options(call, 2, true, options)) return;
  std::vector<std::string> found;
  cursor = call.keys().scan(cursor, options.count, [&](const Keyspace::Item& item) {
    const bool right_type =
        !options.type || equals_ignoring_case(*options.type, type_name(item.type));
    if (right_type && !is_over(call, item) && options.takes(item.key)) {
      found.emplace_back(item.key);
    }
  });
  reply_scan(call, cursor, found.size());
  for (const std::string& key : found) call.reply.bulk(key);
}

void size(Call& call) { call.reply.integer(static_cast<std::int64_t>(call.keys().size())); }

void random_key(Call& call) {
  // Keys past their time may be met; after that many of them the answer is honest enough.
  constexpr int tries_max = 100;
  const std::uint64_t seed = random_number(call);
  for (int i = 0; i < tries_max; ++i) {
    const auto key = call.keys().random_key(seed + static_cast<std::uint64_t>(i));
    if (!key) break;
    if (call.keys().peek(*key, call.now_ms()).found()) return call.reply.bulk(*key);
  }
  call.reply.nil();
}

/// ASYNC and SYNC are taken and mean the same: kv frees at once.
bool read_flush_options(Call& call) {
  if (call.argc() == 1) return true;
  if (call.argc() == 2 && (call.is(1, "ASYNC") || call.is(1, "SYNC"))) return true;
  call.syntax_error();
  return false;
}

void flush(Call& call, unsigned first, unsigned last) {
  if (!read_flush_options(call)) return;
  bool any = false;
  for (unsigned i = first; i <= last; ++i) any |= call.server.database(i).size() > 0;
  if (any && !call.commit()) return;
  for (unsigned i = first; i <= last && any; ++i) call.server.database(i).clear();
  call.reply.ok();
}

void flush_one(Call& call) { flush(call, call.session.database, call.session.database); }
void flush_all(Call& call) { flush(call, 0, call.server.databases() - 1); }

void swap(Call& call) {
  std::int64_t n = 0, m = 0;
  unsigned a = 0, b = 0;
  if (!database_integer(call, 1, n, "invalid first DB index")) return;
  if (!database_integer(call, 2, m, "invalid second DB index")) return;
  if (!database_exists(call, n, a) || !database_exists(call, m, b)) return;
  Keyspace& first = call.server.database(a);
  Keyspace& second = call.server.database(b);
  const bool changes = a != b && (first.size() > 0 || second.size() > 0);
  if (changes && !call.commit()) return;
  if (changes) first.swap(second);
  call.reply.ok();
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"keys", 2, kReadonly, {}, {}, Group::generic, keys,
     "pattern",
     "All keys that match a pattern; it walks the whole database, SCAN does so in steps",
     "O(N) where N is the number of keys in the database", "1.0"},
    {"scan", -2, kReadonly, {}, {}, Group::generic, scan,
     "cursor [MATCH pattern] [COUNT count] [TYPE type]",
     "Some keys and the cursor for the next ones",
     "O(1) for every call, O(N) for a whole walk", "1.0"},
    {"randomkey", 1, kReadonly, {}, {}, Group::generic, random_key,
     "",
     "A key chosen at random",
     "O(1)", "1.0"},
    {"dbsize", 1, kReadonly | kFast, {}, {}, Group::server, size,
     "",
     "The number of keys in the database",
     "O(1)", "1.0"},
    {"flushdb", -1, kWrite, {}, {}, Group::server, flush_one,
     "[ASYNC | SYNC]",
     "Removes all keys of the database",
     "O(N) where N is the number of keys", "1.0"},
    {"flushall", -1, kWrite, {}, {}, Group::server, flush_all,
     "[ASYNC | SYNC]",
     "Removes all keys of all databases",
     "O(N) where N is the number of keys", "1.0"},
    {"swapdb", 3, kWrite | kFast, {}, {}, Group::server, swap,
     "index1 index2",
     "Exchanges two databases",
     "O(1)", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> keyspace_commands() noexcept { return rows; }

}  // namespace kv
