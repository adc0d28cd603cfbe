// How many errors were answered, by their first word: INFO errorstats.
//
// A table of a fixed size: whatever words errors begin with, it takes no more memory. Counting
// needs none at all, so it cannot fail where memory is short.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libkv/base/limits.hpp"

namespace kv {

class ErrorCounts {
 public:
  struct Row {
    std::array<char, limits::error_word_bytes_max> letters{};
    std::size_t size = 0;
    std::uint64_t count = 0;
    std::string_view word() const noexcept { return {letters.data(), size}; }
  };

  ErrorCounts() noexcept { rows_[0] = {{'E', 'R', 'R'}, 3, 0}; }
  /// text: an error as clients get it, without the "-" in front. One that does not begin with a
  /// word in capital letters, or with one more than there is room for, counts as ERR.
  void note(std::string_view text) noexcept;
  void clear() noexcept { *this = {}; }

  // In no order; ERR is always there, be it with 0.
  const Row* begin() const noexcept { return rows_.data(); }
  const Row* end() const noexcept { return rows_.data() + used_; }

 private:
  Row& row_of(std::string_view word) noexcept;

  std::array<Row, limits::error_words_max> rows_;
  std::size_t used_ = 1;
};

}  // namespace kv
