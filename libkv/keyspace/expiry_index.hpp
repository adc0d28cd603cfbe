// Which keys expire when: pairs of time and key hash in order of time.
//
// A sorted array cut into chunks; 16 bytes a key with an expiry (chunks half to wholly full), none
// for others. It names a key by its hash, so entries may move and be rewritten freely; two keys of
// one hash and time are two equal pairs, and either may stand for either.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "libkv/keyspace/arena.hpp"

namespace kv {

class ExpiryIndex {
 public:
  struct Item {
    std::int64_t at_ms = 0;
    std::uint64_t hash = 0;
    friend auto operator<=>(const Item&, const Item&) = default;
  };

  explicit ExpiryIndex(Pool& pool) noexcept : pool_(&pool) {}
  ~ExpiryIndex() { clear(); }
  ExpiryIndex(const ExpiryIndex&) = delete;
  ExpiryIndex& operator=(const ExpiryIndex&) = delete;

  std::size_t size() const noexcept { return size_; }
  /// The earliest one; null when empty.
  const Item* first() const noexcept { return chunks_ == 0 ? nullptr : list_[0]->items; }
  /// Throws std::bad_alloc, nothing changed.
  void insert(const Item& item);
  /// Takes one equal item out. It must be there.
  void erase(const Item& item) noexcept;
  void clear() noexcept;

 private:
  static constexpr std::size_t chunk_items_ = 239;  // fills the arena's class of 3840 bytes
  struct Chunk {
    std::size_t count;
    Item items[chunk_items_];
  };
  static_assert(sizeof(Chunk) <= 3840);

  std::size_t chunk_for(const Item& item) const noexcept;
  std::size_t position_in(const Chunk& c, const Item& item) const noexcept;
  void reserve_list();
  void insert_chunk(std::size_t at, Chunk* c) noexcept;
  void remove_chunk(std::size_t at) noexcept;
  std::size_t split(std::size_t chunk, const Item& item);

  Pool* pool_;
  Chunk** list_ = nullptr;
  std::size_t chunks_ = 0;
  std::size_t list_size_ = 0;
  std::size_t size_ = 0;
};

}  // namespace kv
