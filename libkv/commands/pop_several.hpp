// What the commands have in common that take from the first of several keys, or wait for one.
//
// Functions that return bool answer the client themselves before they return false.
#pragma once

#include <cstdint>

#include "libkv/commands/call.hpp"

namespace kv {

/// What is wanted of the first that is there among several keys.
struct PopSeveral {
  std::size_t first = 0, last = 0;  // arguments that are keys
  std::int64_t count = 1;
};

/// Argument i as the time to wait: seconds, with a fraction if need be; in milliseconds, rounded
/// up.
bool wait_time(Call& call, std::size_t i, std::int64_t& ms);

/// From argument at on: numkeys key ..., and at least one argument behind them.
bool read_keys_to_pop(Call& call, std::size_t at, PopSeveral& asked);
/// From argument i on: [COUNT n], and nothing behind it.
bool read_count_to_pop(Call& call, std::size_t i, PopSeveral& asked);

}  // namespace kv
