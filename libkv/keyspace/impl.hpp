// What a Keyspace consists of, and the steps that its parts share. For libkv/keyspace alone.
#pragma once

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/entry.hpp"
#include "libkv/keyspace/expiry_index.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/keyspace/large_hash.hpp"
#include "libkv/keyspace/large_sorted_set.hpp"
#include "libkv/keyspace/list_deque.hpp"
#include "libkv/keyspace/packed.hpp"
#include "libkv/keyspace/siphash.hpp"
#include "libkv/keyspace/table.hpp"

namespace kv {

// Where a packed value becomes a large one. Hashes and sets: looking through 128 fields takes about
// as long as one miss of the cache in a table. Lists: beyond 1 KiB moving the whole entry costs
// more.
inline constexpr std::size_t hash_packed_pairs_max = 128;
inline constexpr std::size_t hash_packed_value_max = 64;
inline constexpr std::size_t list_packed_bytes_max = 1024;
inline constexpr std::size_t zset_packed_members_max = 128;
/// A large list this small (in one chunk) is packed again, so that a drained queue costs little.
inline constexpr std::size_t list_repack_bytes = 256;

static_assert(hash_packed_pairs_max * 2 * (hash_packed_value_max + 2) <= UINT16_MAX);

struct Keyspace::Impl {
  Pool pool;
  Table table{pool};
  ExpiryIndex expiries{pool};
  bool tracking = true;
  // Keys that prefetch() has asked the slots of, but not yet the entries.
  static constexpr std::size_t prefetch_distance = 4;
  std::uint64_t prefetched[prefetch_distance] = {};
  std::size_t prefetches = 0;
  struct FieldHashes {
    std::uint64_t key = 0, field = 0;
  };
  FieldHashes prefetched_fields[prefetch_distance];  // of prefetch_field(), the same way
  std::size_t field_prefetches = 0;
  bool expecting = false;                      // expect() was called, settle() was not
  std::uint64_t random = 0x9E3779B97F4A7C15u;  // state of the coin that frequency counters toss

  ~Impl() { clear(); }
  void clear() noexcept;

  static Entry& entry(const Place& place) noexcept { return *Table::entry(place.slot); }
  static std::uint64_t hash(Place& place) noexcept {
    if (place.hash == 0) place.hash = hash_of(place.key);  // places from walks come without
    return place.hash;
  }
  /// The head of a new entry: accessed now as far as the entry it replaces was.
  static Entry::Head head_for(const Place& place, Form form, Kind kind) noexcept;

  /// Finds the place's slot again if slots may have moved since.
  void refresh(Place& place) const noexcept {
    if (place.version != table.version() && place.version != 0) [[unlikely]]
      find_again(place);
  }
  /// The entry at a place; null if absent.
  const Entry* seen(const Place& place) const noexcept {
    if (place.version != table.version() && place.version != 0) [[unlikely]]
      return seen_again(place);
    return place.slot != nullptr ? Table::entry(place.slot) : nullptr;
  }
  // The rare halves of the two: apart, since most that asks does nothing else that calls.
  void find_again(Place& place) const noexcept;
  const Entry* seen_again(Place place) const noexcept;
  void set_slot(Place& place, Table::Slot* slot) const noexcept {
    place.slot = slot;
    place.version = table.version();
  }

  /// The large hash of a key with this hash; null if there is none. It may be another key's.
  LargeHash* likely_hash(std::uint64_t key_hash) const noexcept;
  Place look_up(std::string_view key, std::int64_t now_ms, std::uint64_t hash);
  void note_access(Entry& e, std::int64_t now_ms) noexcept;
  /// Puts a new entry into an absent place. Throws, after destroying the entry.
  void insert(Place& place, Entry* created);
  void insert_raw(Place& place, Entry* created, std::optional<std::int64_t> indexed);
  /// Puts a new entry where another one is, which is destroyed and leaves the expiry index.
  void replace(Place& place, Entry* created) noexcept;
  /// Makes the string at a place so many bytes long, at least as many as it has; what is new of it
  /// the caller writes. Returns where it lies.
  unsigned char* lengthen(Place& place, std::size_t size);
  unsigned char* lengthen_inline(Place& place, std::size_t size);
  static unsigned char* lengthen_large(Pool& pool, Entry& entry, std::size_t size);
  /// Puts another entry of the same key in the place of one that is still there; frees nothing.
  static void exchange(Place& place, Entry* created) noexcept;
  /// Takes the key out of table and index; the entry is the caller's then.
  Entry* take_out(Place& place) noexcept;
  void remove(Place& place) noexcept { destroy_entry(pool, take_out(place)); }

  // --- packed values ---
  /// Replaces gone bytes at offset of the elements by added ones, which the caller writes at the
  /// address returned. Throws only if added > gone.
  unsigned char* splice(Place& place, std::size_t offset, std::size_t gone, std::size_t added);
  static PackedHead packed_head(const Entry& e) noexcept { return load<PackedHead>(e.payload()); }
  static unsigned char* elements(Entry& e) noexcept { return e.payload() + sizeof(PackedHead); }
  static void count(Entry& e, int change) noexcept;
  static packed::Run run(Entry& e) noexcept;
  /// A new entry of a form with a pointer as payload, for this place; takes the place of what is
  /// there, which is freed without what it points to.
  void put_large(Place& place, Form form, void* object);

  // --- lists, hashes and all sets ---
  void create_list(Place& place, const Scalar& element);
  void unpack_list(Place& place);
  void repack_list(Place& place) noexcept;
  bool insert_packed(Place& place, std::size_t index, const Scalar& element);
  /// What hashes and sets have in common (fields.hpp).
  template <bool with_values>
  class Fields;
  void create_sorted_set(Place& place, const Scalar& member, double score);
  void unpack_sorted_set(Place& place, const Scalar& member, double score);
  static ListDeque& deque(const Place& place) noexcept {
    return *load<ListDeque*>(entry(place).payload());
  }
  static LargeSortedSet& large_sorted_set(const Place& place) noexcept {
    return *load<LargeSortedSet*>(entry(place).payload());
  }
  static LargeHash& large_hash(const Place& place) noexcept {
    return *load<LargeHash*>(entry(place).payload());
  }
};

}  // namespace kv
