// The order of expiry. See expiry_index.hpp.
#include "libkv/keyspace/expiry_index.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace kv {

/// The last chunk that begins at or before item; the first one if none does.
std::size_t ExpiryIndex::chunk_for(const Item& item) const noexcept {
  if (list_[chunks_ - 1]->items[0] <= item) return chunks_ - 1;  // the usual case: a fixed TTL
  Chunk** const end = list_ + chunks_;
  Chunk** const after = std::upper_bound(
      list_, end, item, [](const Item& i, const Chunk* c) { return i < c->items[0]; });
  return after == list_ ? 0 : static_cast<std::size_t>(after - list_) - 1;
}

std::size_t ExpiryIndex::position_in(const Chunk& c, const Item& item) const noexcept {
  return static_cast<std::size_t>(std::lower_bound(c.items, c.items + c.count, item) - c.items);
}

void ExpiryIndex::reserve_list() {
  if (chunks_ < list_size_) return;
  const std::size_t size = std::max<std::size_t>(4, list_size_ * 2);
  auto** larger = static_cast<Chunk**>(pool_->allocate(size * sizeof(Chunk*)));
  if (list_ != nullptr) {
    std::memcpy(larger, list_, chunks_ * sizeof(Chunk*));
    pool_->deallocate(list_, list_size_ * sizeof(Chunk*));
  }
  list_ = larger;
  list_size_ = size;
}

void ExpiryIndex::insert_chunk(std::size_t at, Chunk* c) noexcept {
  std::memmove(list_ + at + 1, list_ + at, (chunks_ - at) * sizeof(Chunk*));
  list_[at] = c;
  ++chunks_;
}

void ExpiryIndex::remove_chunk(std::size_t at) noexcept {
  pool_->deallocate(list_[at], sizeof(Chunk));
  --chunks_;
  std::memmove(list_ + at, list_ + at + 1, (chunks_ - at) * sizeof(Chunk*));
}

/// Makes room around item by a chunk behind a full one; returns the chunk that item belongs to.
std::size_t ExpiryIndex::split(std::size_t chunk, const Item& item) {
  reserve_list();
  auto* behind = new (pool_->allocate(sizeof(Chunk))) Chunk;
  Chunk& c = *list_[chunk];
  // Times that only ever grow leave full chunks behind them instead of half full ones.
  const bool at_end = chunk + 1 == chunks_ && c.items[c.count - 1] <= item;
  const std::size_t stay = at_end ? c.count : c.count / 2;
  behind->count = c.count - stay;
  std::copy_n(c.items + stay, behind->count, behind->items);
  c.count = stay;
  insert_chunk(chunk + 1, behind);
  return at_end || behind->items[0] <= item ? chunk + 1 : chunk;
}

void ExpiryIndex::insert(const Item& item) {
  if (chunks_ == 0) {
    reserve_list();
    auto* first = new (pool_->allocate(sizeof(Chunk))) Chunk;
    first->count = 0;
    insert_chunk(0, first);
  }
  std::size_t chunk = list_[0]->count == 0 ? 0 : chunk_for(item);
  if (list_[chunk]->count == chunk_items_) chunk = split(chunk, item);
  Chunk& c = *list_[chunk];
  const std::size_t at = position_in(c, item);
  std::copy_backward(c.items + at, c.items + c.count, c.items + c.count + 1);
  c.items[at] = item;
  ++c.count;
  ++size_;
}

void ExpiryIndex::erase(const Item& item) noexcept {
  const std::size_t chunk = chunk_for(item);
  Chunk& c = *list_[chunk];
  const std::size_t at = position_in(c, item);
  std::copy(c.items + at + 1, c.items + c.count, c.items + at);
  --c.count;
  --size_;
  if (c.count == 0) {
    remove_chunk(chunk);
    if (chunks_ == 0) clear();
  } else if (chunk + 1 < chunks_ && c.count + list_[chunk + 1]->count <= chunk_items_ / 2) {
    const Chunk& next = *list_[chunk + 1];
    std::copy_n(next.items, next.count, c.items + c.count);
    c.count += next.count;
    remove_chunk(chunk + 1);
  }
}

void ExpiryIndex::clear() noexcept {
  for (std::size_t i = 0; i < chunks_; ++i) pool_->deallocate(list_[i], sizeof(Chunk));
  if (list_ != nullptr) pool_->deallocate(list_, list_size_ * sizeof(Chunk*));
  list_ = nullptr;
  chunks_ = list_size_ = size_ = 0;
}

}  // namespace kv
