// DEBUG: for tests and for looking inside. The digests are comparable with a Redis server's.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"
#include "libkv/keyspace/digest.hpp"

namespace kv {
namespace {

constexpr double kSleepSecondsMax = 86'400;

void sleep(Call& call) {
  double seconds = 0;  // as Redis: what is no number is no time
  if (!parse_decimal(call.arg(2), seconds) || !(seconds > 0)) seconds = 0;
  seconds = std::min(seconds, kSleepSecondsMax);
  if (seconds > 0) call.server.sleep_ms(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
  call.reply.ok();
}

// Redis's line, so that what parses it can. kv has no addresses to show and no serialised form in
// memory: at is 0, and serializedlength is what the key takes in memory.
void object(Call& call) {
  Keyspace& keys = call.keys();
  const Place place = keys.peek(call.arg(2), call.now_ms());
  if (!place.found()) return call.fail("ERR no such key");
  const std::int64_t idle_s = keys.idle_seconds(place, call.now_ms());
  const std::int64_t used_s = call.now_ms() / 1000 - idle_s;
  call.reply.simple("Value at:0x0 refcount:1 encoding:" + std::string(keys.encoding(place)) +
                    " serializedlength:" + std::to_string(keys.memory_usage(place)) +
                    " lru:" + std::to_string(used_s & 0xffffff) +
                    " lru_seconds_idle:" + std::to_string(idle_s));
}

void digest(Call& call) {
  std::vector<Keyspace*> databases;
  for (unsigned i = 0; i < call.server.databases(); ++i)
    databases.push_back(&call.server.database(i));
  call.reply.simple(dataset_digest(databases));
}

void digest_value(Call& call) {
  call.reply.array(call.argc() - 2);
  for (std::size_t i = 2; i < call.argc(); ++i) {
    Place place = call.keys().peek(call.arg(i), call.now_ms());
    call.reply.simple(value_digest(call.keys(), place));
  }
}

void reload(Call& call) {
  const Status status = call.server.reload();
  if (!status.ok()) return call.fail("ERR " + status.message());
  call.reply.ok();
}

void set_active_expire(Call& call) {
  std::int64_t on = 0;
  if (!call.integer(2, on)) return;
  call.server.set_active_expire(on != 0);
  call.reply.ok();
}

constexpr Subcommand kRows[] = {
    {"digest", 2, 0, {}, digest, "", "Answers a fingerprint of all data"},
    {"digest-value",
     -2,
     0,
     {2, -1, 1},
     digest_value,
     "[key ...]",
     "Answers a fingerprint of each key's value"},
    {"help", 2, 0, {}, run_help, "", "Shows these lines"},
    {"object", 3, 0, {2, 2, 1}, object, "key", "Shows how a key is kept"},
    {"reload", 2, 0, {}, reload, "", "Saves, forgets everything and loads it again"},
    {"set-active-expire",
     3,
     0,
     {},
     set_active_expire,
     "0|1",
     "Stops and starts the removal of expired keys that nobody asks for"},
    {"sleep", 3, 0, {}, sleep, "seconds", "Makes the server do nothing for that long"},
};

}  // namespace

std::span<const Subcommand> debug_subcommands() noexcept { return kRows; }

}  // namespace kv
