// Lines from a descriptor, as they come: never blocks, so that a reply need not wait for a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/base/status.hpp"

namespace kv {

class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  enum class State : unsigned char { line, wait, end };
  /// The next line without its end, valid until the next call; "\r\n" ends one, too. wait: nothing
  /// complete is there yet. A last line without an end counts.
  State next(std::string_view& line);
  std::uint64_t number() const noexcept { return number_; }     ///< of the line given last, from 1
  std::uint64_t bytes_read() const noexcept { return bytes_; }  ///< of the input, so far
  const Status& status() const noexcept { return status_; }     ///< after end: why, if it failed

 private:
  bool take(std::string_view& line);
  bool fill();

  int fd_;
  std::string buffer_;
  std::size_t start_ = 0, searched_ = 0;
  std::uint64_t number_ = 0, bytes_ = 0;
  bool ended_ = false;
  Status status_;
};

}  // namespace kv
