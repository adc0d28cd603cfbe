// SipHash-1-3 and this process's random key. See siphash.hpp.
#include "libkv/keyspace/siphash.hpp"

#include <sys/random.h>

#include <bit>
#include <chrono>
#include <cstring>

namespace kv {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32) + v3;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
};

std::uint64_t word_at(const char* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// The last size % 8 bytes of a text as a little-endian number; end is behind them.
std::uint64_t tail_word(const char* end, std::size_t size) noexcept {
  const std::size_t bytes = size % 8;
  if (bytes == 0) return 0;
  if (size >= 8) return word_at(end - 8) >> (64 - 8 * bytes);
  std::uint64_t word = 0;
  std::memcpy(&word, end - bytes, bytes);
  return word;
}

SipKey random_key() noexcept {
  SipKey key;
  if (getrandom(&key, sizeof key, 0) != static_cast<ssize_t>(sizeof key)) {
    // No randomness is an odd machine, not a reason to refuse service: the clock has to do.
    const auto ticks = std::chrono::steady_clock::now().time_since_epoch().count();
    key.k0 = static_cast<std::uint64_t>(ticks) * 0x9E3779B97F4A7C15u;
    key.k1 = ~key.k0 * 0xD1B54A32D192ED03u;
  }
  return key;
}

const SipKey process_key = random_key();

}  // namespace

std::uint64_t siphash13(std::string_view text, const SipKey& key) noexcept {
  State s{key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du, key.k0 ^ 0x6c7967656e657261u,
          key.k1 ^ 0x7465646279746573u};
  const char* p = text.data();
  for (std::size_t words = text.size() / 8; words != 0; --words, p += 8) {
    const std::uint64_t m = word_at(p);
    s.v3 ^= m;
    s.round();
    s.v0 ^= m;
  }
  const std::uint64_t last =
      (std::uint64_t{text.size()} << 56) | tail_word(text.data() + text.size(), text.size());
  s.v3 ^= last;
  s.round();
  s.v0 ^= last;
  s.v2 ^= 0xff;
  s.round();
  s.round();
  s.round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

std::uint64_t hash_of(std::string_view text) noexcept {
  const std::uint64_t hash = siphash13(text, process_key);
  return hash != 0 ? hash : 1;
}

}  // namespace kv
