// Making, copying and freeing entries. See entry.hpp for the layout.
#include "libkv/keyspace/entry.hpp"

#include "libkv/keyspace/large_hash.hpp"
#include "libkv/keyspace/large_sorted_set.hpp"
#include "libkv/keyspace/list_deque.hpp"
#include "libkv/keyspace/offered.hpp"

namespace kv {

unsigned char* Entry::write_head(unsigned char* p, const Head& head,
                                 std::string_view key) noexcept {
  p[0] = static_cast<unsigned char>(
      static_cast<unsigned>(head.form) | (head.expiry ? expiry_bit_ : 0u) |
      (head.field ? field_bit_ : 0u) | (head.appended ? appended_bit_ : 0u));
  p[1] = static_cast<unsigned char>(static_cast<unsigned>(head.kind) |
                                    (static_cast<unsigned>(head.key_kind) << 3));
  p += 2;
  if (!head.field) {
    store(p, head.access);
    p += 4;
    if (head.expiry) {
      store(p, *head.expiry);
      p += 8;
    }
  }
  p = write_varint(p, key.size());
  copy_bytes(p, key.data(), key.size());
  return p + key.size();
}

Entry* Entry::create(Pool& pool, const Head& head, std::string_view key, std::size_t payload) {
  auto* p = static_cast<unsigned char*>(pool.allocate(bytes_for(head, key, payload)));
  write_head(p, head, key);
  return reinterpret_cast<Entry*>(p);
}

void free_entry(Pool& pool, Entry* entry) noexcept { pool.deallocate(entry, entry->allocated()); }

void destroy_entry(Pool& pool, Entry* entry) noexcept {
  switch (entry->form()) {
    case Form::string_large: {
      const auto large = load<LargeString>(entry->payload());
      if (Offer::take_back(large.data)) pool.disown(large.capacity);
      else pool.deallocate(large.data, large.capacity);
      break;
    }
    case Form::list_large: ListDeque::destroy(load<ListDeque*>(entry->payload()), pool); break;
    case Form::hash_large:
    case Form::set_large: LargeHash::destroy(load<LargeHash*>(entry->payload()), pool); break;
    case Form::zset_large:
      LargeSortedSet::destroy(load<LargeSortedSet*>(entry->payload()), pool);
      break;
    default: break;
  }
  free_entry(pool, entry);
}

Entry* create_string(Pool& pool, Entry::Head head, std::string_view key, std::string_view value) {
  if (value.size() <= inline_value_max) {
    head.form = Form::string_inline;
    Entry* entry = Entry::create(pool, head, key, varint_bytes(value.size()) + value.size());
    copy_bytes(write_varint(entry->payload(), value.size()), value.data(), value.size());
    return entry;
  }
  head.form = Form::string_large;
  if (OfferedBlock* const block = Offer::find(value); block != nullptr) {
    Entry* entry = Entry::create(pool, head, key, sizeof(LargeString));
    store(entry->payload(), LargeString{block->data, block->size, block->capacity});
    pool.adopt(block->capacity);
    block->taken = true;
    return entry;
  }
  LargeString large{nullptr, value.size(), value.size()};
  large.data = static_cast<unsigned char*>(pool.allocate(large.capacity));
  Entry* entry;
  try {
    entry = Entry::create(pool, head, key, sizeof large);
  } catch (...) {
    pool.deallocate(large.data, large.capacity);
    throw;
  }
  copy_bytes(large.data, value.data(), value.size());
  store(entry->payload(), large);
  return entry;
}

Entry* recreate(Pool& pool, const Entry& old, const Entry::Head& head, std::string_view key) {
  const std::size_t payload = old.payload_bytes();
  Entry* entry = Entry::create(pool, head, key, payload);
  std::memcpy(entry->payload(), old.payload(), payload);
  return entry;
}

void hand_over_payload(const Entry& entry, Pool& from, Pool& to) noexcept {
  switch (entry.form()) {
    case Form::string_large: from.hand_over(load<LargeString>(entry.payload()).capacity, to); break;
    case Form::list_large:
      from.hand_over(sizeof(ListDeque), to);
      load<ListDeque*>(entry.payload())->pool().set_parent(&to);
      break;
    case Form::hash_large:
    case Form::set_large:
      from.hand_over(sizeof(LargeHash), to);
      load<LargeHash*>(entry.payload())->pool.set_parent(&to);
      break;
    case Form::zset_large:
      from.hand_over(sizeof(LargeSortedSet), to);
      load<LargeSortedSet*>(entry.payload())->pool.set_parent(&to);
      break;
    default: break;
  }
}

bool overwrite_string(Entry& entry, std::string_view value) noexcept {
  if (entry.form() == Form::string_large) {
    auto large = load<LargeString>(entry.payload());
    // A much smaller value gives the memory back instead.
    if (value.size() > large.capacity || value.size() <= large.capacity / 2) return false;
    if (Offer::find(value) != nullptr) return false;  // nor is one copied that can be kept
    std::memmove(large.data, value.data(), value.size());
    large.size = value.size();
    store(entry.payload(), large);
    return true;
  }
  if (entry.form() != Form::string_inline || value.size() > inline_value_max) return false;
  unsigned char* p = entry.payload();
  const unsigned char* old = p;
  // Values of one size are common, and nothing but their bytes changes: 67 instructions, not 164.
  if (read_varint(old) == value.size() && !entry.padded()) {
    if (!value.empty()) std::memmove(const_cast<unsigned char*>(old), value.data(), value.size());
    return true;
  }
  const std::size_t payload = varint_bytes(value.size()) + value.size();
  const std::size_t bytes = entry.bytes() - entry.payload_bytes() + payload;
  if (Arena::rounded(bytes) != Arena::rounded(entry.allocated())) return false;
  // The value may be a view of this very entry, so it moves before its length is written.
  if (!value.empty()) std::memmove(p + varint_bytes(value.size()), value.data(), value.size());
  write_varint(p, value.size());
  entry.unpad();
  return true;
}

std::size_t total_bytes(const Entry& entry) noexcept {
  const std::size_t own = Arena::rounded(entry.allocated());
  switch (entry.form()) {
    case Form::string_large:
      return own + Arena::rounded(load<LargeString>(entry.payload()).capacity);
    case Form::list_large: return own + load<ListDeque*>(entry.payload())->bytes();
    case Form::hash_large:
    case Form::set_large: return own + load<LargeHash*>(entry.payload())->bytes();
    case Form::zset_large: return own + load<LargeSortedSet*>(entry.payload())->bytes();
    default: return own;
  }
}

}  // namespace kv
