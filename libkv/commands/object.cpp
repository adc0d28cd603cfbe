// OBJECT: how one key is kept and used. Looking does not count as a use.
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

// Answers nil for an absent key and returns false.
bool look(Call& call, Place& place) {
  place = call.keys().peek(call.arg(2), call.now_ms());
  if (!place.found()) call.reply.nil();
  return place.found();
}

void encoding(Call& call) {
  Place place;
  if (look(call, place)) call.reply.bulk(call.keys().encoding(place));
}

void frequency(Call& call) {
  Place place;
  if (look(call, place)) call.reply.integer(call.keys().frequency(place));
}

void idle_time(Call& call) {
  Place place;
  if (look(call, place)) call.reply.integer(call.keys().idle_seconds(place, call.now_ms()));
}

// Values are never shared between keys.
void reference_count(Call& call) {
  Place place;
  if (look(call, place)) call.reply.integer(1);
}

constexpr ArgSpan kKey = {2, 2, 1};

constexpr Subcommand kRows[] = {
    {"encoding", 3, kReadonly, kKey, encoding, "key", "Answers in which form a value is kept"},
    {"freq", 3, kReadonly, kKey, frequency, "key",
     "Answers how often a key was used lately, on a logarithmic scale"},
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"idletime", 3, kReadonly, kKey, idle_time, "key", "Answers the seconds since the last use"},
    {"refcount", 3, kReadonly, kKey, reference_count, "key",
     "Answers how many keys share a value: always 1"},
};

}  // namespace

std::span<const Subcommand> object_subcommands() noexcept { return kRows; }

}  // namespace kv
