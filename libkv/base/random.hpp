// Numbers that look random, from a seed. Not for secrets: who sees some can tell the others.
#pragma once

#include <cstdint>

namespace kv {

/// The next number and state of splitmix64 (Steele, Lea, Flood 2014). Any state will do.
inline std::uint64_t splitmix64(std::uint64_t& state) noexcept {
  std::uint64_t x = state += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace kv
