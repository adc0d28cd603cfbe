// The number of a bit in a string, as bits.cpp and bitfields.cpp read it.
#pragma once

#include <cstdint>

#include "libkv/base/limits.hpp"
#include "libkv/commands/call.hpp"

namespace kv {

/// Argument i as the number of a bit that a string can have, as Redis limits it; otherwise answers
/// "ERR bit offset is not an integer or out of range". width: of a field, so that "#2" is the
/// number of the bit where the third field of that width begins, and all of its bits must be such;
/// 0: a single bit.
bool bit_offset(Call& call, std::size_t i, std::uint64_t& offset, unsigned width = 0);

}  // namespace kv
