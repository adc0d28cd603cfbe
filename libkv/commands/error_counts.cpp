// See error_counts.hpp.
#include "libkv/commands/error_counts.hpp"

#include <algorithm>

namespace kv {
namespace {

bool is_word(std::string_view text) noexcept {
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  return !text.empty() && text.size() <= limits::error_word_bytes_max &&
         std::all_of(text.begin(), text.end(), is_capital);
}

}  // namespace

ErrorCounts::Row& ErrorCounts::row_of(std::string_view word) noexcept {
  for (std::size_t i = 0; i < used_; ++i) {
    if (rows_[i].word() == word) return rows_[i];
  }
  if (used_ == rows_.size() || !is_word(word)) return rows_[0];
  Row& row = rows_[used_++];
  row.size = word.copy(row.letters.data(), row.letters.size());
  return row;
}

void ErrorCounts::note(std::string_view text) noexcept {
  ++row_of(text.substr(0, text.find(' '))).count;
}

}  // namespace kv
