// Birth and death of large hashes. See large_hash.hpp.
#include "libkv/keyspace/large_hash.hpp"

#include <new>

namespace kv {

LargeHash* LargeHash::create(Pool& owner) {
  return new (owner.allocate(sizeof(LargeHash))) LargeHash(owner);
}

void LargeHash::destroy(LargeHash* hash, Pool& owner) noexcept {
  hash->table.for_each([hash](Table::Slot* slot) {
    destroy_entry(hash->pool, Table::entry(slot));
    return true;
  });
  hash->~LargeHash();
  owner.deallocate(hash, sizeof(LargeHash));
}

}  // namespace kv
