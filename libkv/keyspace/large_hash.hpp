// A hash too big to be packed: a Table of field entries, with its own count of bytes.
#pragma once

#include "libkv/keyspace/table.hpp"

namespace kv {

struct LargeHash {
  explicit LargeHash(Pool& owner) noexcept : pool(&owner), table(pool) {}

  Pool pool;  // field entries and table; counts into the owner's as well
  Table table;
  bool beyond_listpack = false;  // was ever larger than what Redis keeps as a listpack

  /// Throws std::bad_alloc. The object itself is the owner's allocation.
  static LargeHash* create(Pool& owner);
  static void destroy(LargeHash* hash, Pool& owner) noexcept;
  std::size_t bytes() const noexcept { return pool.bytes() + Arena::rounded(sizeof *this); }
};

}  // namespace kv
