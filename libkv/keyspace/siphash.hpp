// The keyed hash of the tables: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input
// PRF", 2012; one compression round and three finalisation rounds).
//
// The key is random and new in every process, so that nobody outside can choose keys that collide.
// Nothing that is written to disk may depend on a hash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kv {

struct SipKey {
  std::uint64_t k0 = 0, k1 = 0;
};

/// SipHash-1-3 of text. Pure; any length.
std::uint64_t siphash13(std::string_view text, const SipKey& key) noexcept;

/// siphash13 under this process's own key; never 0, so that 0 can mean "not computed yet".
std::uint64_t hash_of(std::string_view text) noexcept;
/// The same, where it may be known already; 0: it is not.
inline std::uint64_t hash_of(std::string_view text, std::uint64_t known) noexcept {
  return known != 0 ? known : hash_of(text);
}

/// For the standard containers whose keys are foreign text.
struct KeyedHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return hash_of(text); }
};

}  // namespace kv
