// A hash or set too big to be packed: a Table of entries, one a field or member, with its own count
// of bytes.
#pragma once

#include "libkv/keyspace/member_order.hpp"
#include "libkv/keyspace/table.hpp"

namespace kv {

struct LargeHash {
  explicit LargeHash(Pool& owner) noexcept : pool(&owner), table(pool), members(pool) {}

  Pool pool;  // entries and table; counts into the owner's as well
  Table table;
  MemberOrder members;           // of a set; a hash has none
  bool beyond_listpack = false;  // a hash that was ever larger than what Redis keeps as a listpack

  /// Throws std::bad_alloc. The object itself is the owner's allocation.
  static LargeHash* create(Pool& owner);
  static void destroy(LargeHash* hash, Pool& owner) noexcept;
  std::size_t bytes() const noexcept { return pool.bytes() + Arena::rounded(sizeof *this); }
};

}  // namespace kv
