// See offered.hpp.
#include "libkv/keyspace/offered.hpp"

#include <algorithm>

#include "libkv/keyspace/entry.hpp"

namespace kv {

OfferedBlock* Offer::find(std::string_view value) noexcept {
  const auto found = std::find_if(blocks_.begin(), blocks_.end(), [value](const OfferedBlock& one) {
    return !one.taken && one.data == bytes_of(value) && one.size == value.size();
  });
  return found == blocks_.end() ? nullptr : &*found;
}

bool Offer::take_back(const unsigned char* data) noexcept {
  const auto found = std::find_if(blocks_.begin(), blocks_.end(), [data](const OfferedBlock& one) {
    return one.taken && one.data == data;
  });
  if (found == blocks_.end()) return false;
  found->taken = false;
  return true;
}

}  // namespace kv
