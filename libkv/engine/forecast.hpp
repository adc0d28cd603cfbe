// What a key will be once the earlier writes of a batch have been applied.
//
// A write is tried before it is logged, and a trial must see the truth. For the few commands that
// people pipeline on one key (a queue's pushes and pops, a counter, the fields of a hash) the truth
// can be told from the key's state before the batch and the writes since, without ending the batch.
// A forecast is exact or it is Outcome::unknown; it never guesses. RESP only: over PLIO the same
// commands mean something else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "libkv/commands/command.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

struct KeyForecast {
  Type type = Type::none;
  std::size_t elements = 0;             // of a list, exactly
  std::optional<std::int64_t> counter;  // a string that is an integer: which
};

enum class Outcome : std::uint8_t {
  changes,  // it gets as far as commit(): a line is logged
  nothing,  // it is answered without a change
  unknown,  // cannot be told: the batch must end first
};

/// The state of a key as it is now. Absent optional: it has an expiry, so its state depends on the
/// time.
std::optional<KeyForecast> forecast_from(Keyspace& keys, Place& place);

/// What the command, run by a RESP client, will do to the key args[1], which is in this state;
/// after changes, state is the one it leaves behind.
Outcome forecast(const Command& command, std::span<const Scalar> args, KeyForecast& state);

}  // namespace kv
