// The pieces of a request that is larger than a frame, until the last has come.
//
// Foreign bytes: they are believed only when the whole is read. Memory grows with what has come,
// never with what a piece announces. Large arguments lie in blocks of their own, which the keyspace
// may keep (keyspace/offered.hpp).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/keyspace/offered.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

class Assembly {
 public:
  Assembly() = default;
  ~Assembly();
  Assembly(const Assembly&) = delete;
  Assembly& operator=(const Assembly&) = delete;

  std::size_t size() const noexcept { return bytes_; }
  // These three may throw std::bad_alloc; then it is good for clear() alone.
  /// More of the request's payload (frame.hpp).
  void add(std::string_view piece);
  /// Bytes of the argument whose head came last.
  void add_to_argument(std::string_view piece);
  /// As read_arguments(); they live until clear().
  bool read(std::vector<Scalar>& args);
  /// Of the large arguments.
  std::span<OfferedBlock> blocks() noexcept { return blocks_; }
  void clear() noexcept;

 private:
  std::string words_;  // the payload without the blocks
  std::vector<OfferedBlock> blocks_;
  std::vector<std::size_t> places_;  // in words_, of each block
  std::size_t bytes_ = 0;
};

}  // namespace kv
