// Large values that arrive in memory of their own, which the keyspace keeps instead of copying
// them.
//
// Whoever has such memory offers it while a request runs. A string that is set to exactly these
// bytes takes it over; if that string is gone again before the offer ends, the memory goes back.
// So a request's arguments stay readable for as long as their memory is offered. One thread only,
// as the arena.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace kv {

/// Memory of the arena. Whoever made it frees it, unless it is taken.
struct OfferedBlock {
  unsigned char* data = nullptr;
  std::size_t size = 0;      // bytes of the value
  std::size_t capacity = 0;  // as the arena was asked for them
  bool taken = false;        // it is an entry's now
};

/// Offers blocks for as long as it lives; they must outlive it. One at a time.
class Offer {
 public:
  explicit Offer(std::span<OfferedBlock> blocks) noexcept { blocks_ = blocks; }
  ~Offer() { blocks_ = {}; }
  Offer(const Offer&) = delete;
  Offer& operator=(const Offer&) = delete;

  /// The block that holds exactly this value, if it may be taken; else null.
  static OfferedBlock* find(std::string_view value) noexcept;
  /// The block, if it is one that was taken: then it is not any more, and must not be freed.
  static bool take_back(const unsigned char* data) noexcept;

 private:
  static inline std::span<OfferedBlock> blocks_;
};

}  // namespace kv
