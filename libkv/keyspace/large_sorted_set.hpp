// A sorted set too big to be packed: a Table of its members' entries (their payload:
// score_tree.hpp) and their order, with a count of bytes of its own.
#pragma once

#include "libkv/keyspace/score_tree.hpp"
#include "libkv/keyspace/table.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

struct LargeSortedSet {
  explicit LargeSortedSet(Pool& owner) noexcept : pool(&owner), table(pool), order(pool) {}

  Pool pool;  // entries, table and order; counts into the owner's as well
  Table table;
  ScoreTree order;
  bool beyond_listpack = false;  // was ever larger than what Redis keeps as a listpack

  /// Throws std::bad_alloc. The object itself is the owner's allocation.
  static LargeSortedSet* create(Pool& owner);
  static void destroy(LargeSortedSet* set, Pool& owner) noexcept;
  std::size_t bytes() const noexcept { return pool.bytes() + Arena::rounded(sizeof *this); }

  /// Null if absent.
  const Entry* find(std::string_view member) const noexcept;
  /// Adds a member or gives it another score. True if it is new. Throws std::bad_alloc, having
  /// changed nothing. The score is not -0, which no order tells from 0.
  bool set(const Scalar& member, double score);
  bool erase(std::string_view member) noexcept;
};

}  // namespace kv
