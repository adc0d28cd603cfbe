// Large sorted sets: table and order changed together, or not at all. See large_sorted_set.hpp.
#include "libkv/keyspace/large_sorted_set.hpp"

#include <new>

#include "libkv/keyspace/impl.hpp"

namespace kv {
namespace {

Entry* create_member(Pool& pool, const Scalar& member, double score) {
  Entry::Head head;
  head.field = true;
  head.key_kind = member.kind;
  char bytes[sizeof score];
  std::memcpy(bytes, &score, sizeof score);
  return create_string(pool, head, member.bytes, {bytes, sizeof bytes});
}

}  // namespace

LargeSortedSet* LargeSortedSet::create(Pool& owner) {
  return new (owner.allocate(sizeof(LargeSortedSet))) LargeSortedSet(owner);
}

void LargeSortedSet::destroy(LargeSortedSet* set, Pool& owner) noexcept {
  set->order.clear();
  set->table.for_each([set](Table::Slot* slot) {
    destroy_entry(set->pool, Table::entry(slot));
    return true;
  });
  set->~LargeSortedSet();
  owner.deallocate(set, sizeof(LargeSortedSet));
}

const Entry* LargeSortedSet::find(std::string_view member) const noexcept {
  const Table::Slot* const slot = table.find(hash_of(member), member);
  return slot != nullptr ? Table::entry(slot) : nullptr;
}

bool LargeSortedSet::set(const Scalar& member, double score) {
  const std::uint64_t hash = hash_of(member.bytes);
  Table::Slot* slot = table.find(hash, member.bytes);
  Entry* const old = slot != nullptr ? Table::entry(slot) : nullptr;
  if (old != nullptr && score_of(*old) == score) return false;
  const Kind kind = old != nullptr ? old->key_kind() : member.kind;
  Entry* const created = create_member(pool, {member.bytes, kind}, score);
  bool ordered = false;
  try {
    order.insert(created);
    ordered = true;
    if (old == nullptr) table.insert(hash, created);
  } catch (...) {
    if (ordered) order.erase(score_key_of(*created));
    destroy_entry(pool, created);
    throw;
  }
  if (old != nullptr) {
    order.erase(score_key_of(*old));
    Table::set_entry(slot, created);
    destroy_entry(pool, old);
  }
  beyond_listpack |=
      table.size() > listpack_members_max || member.bytes.size() > listpack_value_max;
  return old == nullptr;
}

bool LargeSortedSet::erase(std::string_view member) noexcept {
  const std::uint64_t hash = hash_of(member);
  Table::Slot* const slot = table.find(hash, member);
  if (slot == nullptr) return false;
  Entry* const gone = Table::entry(slot);
  order.erase(score_key_of(*gone));
  table.erase(hash, slot);
  destroy_entry(pool, gone);
  return true;
}

}  // namespace kv
