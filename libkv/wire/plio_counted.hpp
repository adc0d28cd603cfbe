// Containers whose sizes are announced (RESP's arrays and maps) written as PLIO lists; shared by
// the reply translator and the request parser, not meant for others.
//
// A map becomes a list of pairs (key . value), where a value that is a list continues its pair's
// list, as PicoLisp has it. Depth is limited; an announced count is only counted down.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "libkv/base/limits.hpp"
#include "libkv/wire/plio.hpp"

namespace kv {

class PlioCounted {
 public:
  /// Appends to out, which the caller owns and keeps.
  explicit PlioCounted(std::string& out) noexcept : writer_(out) {}

  /// A container of that many elements, or pairs. False: nested deeper than limits::nesting_max.
  bool open(std::uint64_t count, bool map) {
    if (depth_ == levels_.size() || !begin_value() || !writer_.open()) return false;
    levels_[depth_++] = {map ? 2 * count : count, map};
    if (count == 0) end_container();
    return true;
  }
  /// An atom or a whole list. False: it cannot be written here.
  bool value(const Scalar& value) {
    if (!begin_value() || !writer_.value(value)) return false;
    end_value();
    return true;
  }
  /// Outside all containers: everything announced has come.
  bool complete() const noexcept { return depth_ == 0; }
  PlioWriter& writer() noexcept { return writer_; }

 private:
  struct Level {
    std::uint64_t left = 0;  // values still to come
    bool map = false;        // keys while left is even, tails while it is odd
  };

  bool begin_value() {
    const bool key = depth_ > 0 && levels_[depth_ - 1].map && levels_[depth_ - 1].left % 2 == 0;
    return !key || writer_.open();
  }
  void end_value() {
    while (depth_ > 0) {
      Level& level = levels_[depth_ - 1];
      --level.left;
      if (level.map && level.left % 2 == 1) writer_.dot();
      else if (level.map) writer_.close();
      if (level.left > 0) return;
      writer_.close();
      --depth_;
    }
  }
  void end_container() {
    writer_.close();
    --depth_;
    end_value();
  }

  PlioWriter writer_;
  std::array<Level, limits::nesting_max> levels_{};
  std::size_t depth_ = 0;
};

}  // namespace kv
