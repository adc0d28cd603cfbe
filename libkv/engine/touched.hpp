// Which keys the writes of the current batch touch, and which request touched each last. A false
// "yes" only ends a batch early.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

namespace kv {

class TouchedKeys {
 public:
  void clear() noexcept { ++generation_, count_ = 0; }
  bool contains(std::string_view key) const noexcept {
    const Mark& mark = marks_[slot(key)];
    return mark.generation == generation_;
  }
  /// item: the number of the request in the batch.
  void add(std::string_view key, std::uint32_t item) noexcept {
    marks_[slot(key)] = {generation_, item};
    ++count_;
  }
  /// What add() or note() noted for a key that contains() says yes to. Two keys may share a mark.
  std::uint32_t noted(std::string_view key) const noexcept { return marks_[slot(key)].note; }
  void note(std::string_view key, std::uint32_t what) noexcept { marks_[slot(key)].note = what; }
  /// So many keys that false answers are likely: time to finish the batch.
  bool crowded() const noexcept { return count_ > marks_.size() / 8; }

 private:
  struct Mark {
    std::uint32_t generation = 0;
    std::uint32_t note = 0;
  };
  static std::size_t slot(std::string_view key) noexcept {
    return std::hash<std::string_view>{}(key) % 8192;
  }
  std::array<Mark, 8192> marks_{};
  std::uint32_t generation_ = 1;
  std::size_t count_ = 0;
};

}  // namespace kv
