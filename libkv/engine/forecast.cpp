// See forecast.hpp. Each case repeats the conditions of its command up to commit(); the unit tests
// run both side by side.
#include "libkv/engine/forecast.hpp"

#include <array>

#include "libkv/base/text.hpp"

namespace kv {
namespace {

enum class Effect : std::uint8_t { none, push, pop, set_fields, set, count };

struct Known {
  const Command* command;
  Effect effect;
};

Effect effect_of(const Command& command) {
  static const std::array<Known, 8> known{{{find_command("lpush"), Effect::push},
                                           {find_command("rpush"), Effect::push},
                                           {find_command("lpop"), Effect::pop},
                                           {find_command("rpop"), Effect::pop},
                                           {find_command("hset"), Effect::set_fields},
                                           {find_command("hmset"), Effect::set_fields},
                                           {find_command("set"), Effect::set},
                                           {find_command("incr"), Effect::count}}};
  for (const Known& one : known) {
    if (one.command == &command) return one.effect;
  }
  return Effect::none;
}

Outcome push(std::span<const Scalar> args, KeyForecast& state) {
  if (args.size() < 3) return Outcome::unknown;
  if (state.type != Type::none && state.type != Type::list) return Outcome::nothing;
  state.type = Type::list;
  state.elements += args.size() - 2;
  return Outcome::changes;
}

Outcome pop(std::span<const Scalar> args, KeyForecast& state) {
  if (args.size() != 2) return Outcome::unknown;
  if (state.type != Type::list) return Outcome::nothing;
  if (--state.elements == 0) state = {};  // a list that is empty is no more
  return Outcome::changes;
}

Outcome set_fields(std::span<const Scalar> args, KeyForecast& state) {
  if (args.size() < 4 || args.size() % 2 == 1) return Outcome::unknown;
  if (state.type != Type::none && state.type != Type::hash) return Outcome::nothing;
  state.type = Type::hash;
  return Outcome::changes;
}

std::optional<std::int64_t> counter_of(std::string_view bytes) {
  std::int64_t n = 0;
  return parse_integer(bytes, n) ? std::optional(n) : std::nullopt;
}

Outcome set(std::span<const Scalar> args, KeyForecast& state) {
  if (args.size() != 3 || args[2].kind == Kind::list) return Outcome::unknown;
  state = {Type::string, 0, counter_of(args[2].bytes)};
  return Outcome::changes;
}

Outcome count(std::span<const Scalar> args, KeyForecast& state) {
  if (args.size() != 2) return Outcome::unknown;
  if (state.type != Type::none && !state.counter) return Outcome::nothing;
  std::int64_t n = state.counter.value_or(0);
  if (__builtin_add_overflow(n, 1, &n)) return Outcome::nothing;
  state = {Type::string, 0, n};
  return Outcome::changes;
}

}  // namespace

std::optional<KeyForecast> forecast_from(Keyspace& keys, Place& place) {
  KeyForecast state;
  if (!place.found()) return state;
  if (keys.expiry(place)) return std::nullopt;
  state.type = keys.type(place);
  if (state.type == Type::list) state.elements = keys.list(place).size();
  if (state.type == Type::string) state.counter = counter_of(keys.string(place).bytes);
  return state;
}

Outcome forecast(const Command& command, std::span<const Scalar> args, KeyForecast& state) {
  switch (effect_of(command)) {
    case Effect::push: return push(args, state);
    case Effect::pop: return pop(args, state);
    case Effect::set_fields: return set_fields(args, state);
    case Effect::set: return set(args, state);
    case Effect::count: return count(args, state);
    case Effect::none: break;
  }
  return Outcome::unknown;
}

}  // namespace kv
