// A request's arguments, copied: for one that is carried out later than it came.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "libkv/value/scalar.hpp"

namespace kv {

class KeptArguments {
 public:
  explicit KeptArguments(std::span<const Scalar> args) {
    std::size_t size = 0;
    for (const Scalar& arg : args) size += arg.bytes.size();
    bytes_.reserve(size);  // it must not move from here on
    args_.reserve(args.size());
    for (const Scalar& arg : args) {
      const char* const at = bytes_.data() + bytes_.size();
      bytes_.insert(bytes_.end(), arg.bytes.begin(), arg.bytes.end());
      args_.emplace_back(std::string_view(at, arg.bytes.size()), arg.kind);
    }
  }
  KeptArguments(KeptArguments&&) noexcept = default;
  KeptArguments& operator=(KeptArguments&&) noexcept = default;

  std::span<const Scalar> args() const noexcept { return args_; }
  /// Of all of them together.
  std::size_t bytes() const noexcept { return bytes_.size(); }

 private:
  std::vector<char> bytes_;  // that args_ point into; stays where it is when this is moved
  std::vector<Scalar> args_;
};

}  // namespace kv
