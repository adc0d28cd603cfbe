// Which keys the writes of the current batch touch, and which request touched each last. Keys are
// told by their hash (keyspace/siphash.hpp); a false "yes" only ends a batch early.
#pragma once

#include <array>
#include <cstdint>

namespace kv {

class TouchedKeys {
 public:
  /// Tests begin with another generation than the first.
  explicit TouchedKeys(std::uint32_t generation = 1) noexcept : generation_(generation) {}
  void clear() noexcept {
    count_ = 0;
    if (++generation_ != 0) return;
    // After 2^32 batches marks of the first ones would be taken for this one's.
    marks_ = {};
    generation_ = 1;
  }
  bool contains(std::uint64_t hash) const noexcept {
    return marks_[slot(hash)].generation == generation_;
  }
  /// item: the number of the request in the batch.
  void add(std::uint64_t hash, std::uint32_t item) noexcept {
    marks_[slot(hash)] = {generation_, item};
    ++count_;
  }
  /// What add() or note() noted for a key that contains() says yes to. Two keys may share a mark.
  std::uint32_t noted(std::uint64_t hash) const noexcept { return marks_[slot(hash)].note; }
  void note(std::uint64_t hash, std::uint32_t what) noexcept { marks_[slot(hash)].note = what; }
  /// So many keys that false answers are likely: time to finish the batch.
  bool crowded() const noexcept { return count_ > marks_.size() / 8; }

 private:
  struct Mark {
    std::uint32_t generation = 0;
    std::uint32_t note = 0;
  };
  static std::size_t slot(std::uint64_t hash) noexcept { return hash % 8192; }
  std::array<Mark, 8192> marks_{};
  std::uint32_t generation_;
  std::size_t count_ = 0;
};

}  // namespace kv
