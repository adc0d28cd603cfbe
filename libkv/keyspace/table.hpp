// The hash table of entries, by extendible hashing: it never stops to rehash everything.
//
// A directory, indexed by the top bits of the hash, points to segments. A segment is an array of
// 8-byte slots that grows by itself in small steps and splits in two when it is full and has
// segment_split_at entries; after mass deletion segments shrink and merge. No single step moves
// more than segment_entries_max slots (tests/unit/keyspace_parts_test.cpp holds it).
//
// A slot is 16 bits of tag (the lowest bits of the hash, so independent of the directory's) above
// a 48-bit pointer. Slots of a segment are sorted by tag: an entry's home is tag * range / 65536,
// and it lies there or, packed without gaps, behind it (ordered linear probing, no wrap-around, a
// few extra slots at the end). So growing touches no entry, a miss ends early, and one order,
// (directory prefix, tag), holds through every growth and split: that is what SCAN's cursor names.
//
// Measured (tests/bench/keyspace_bench.cpp; AMD EPYC, two virtual cores): a key found in 20 ns when
// all is in the cache; with a million keys in random order one miss of memory more (0.25 us there
// for a plain dependent load as well), 60 ns for an absent key; 9.8 bytes of table a key; growing
// to ten million, no insert took more than 0.5 ms of processor time (a split reads 1344 entries).
//
// Fagin, Nievergelt, Pippenger, Strong: Extendible hashing, ACM TODS 4(3), 1979; Amble, Knuth:
// Ordered hash tables, Computer Journal 17(2), 1974. Entries belong to the caller, never to a
// Table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libkv/base/text.hpp"
#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/entry.hpp"
#include "libkv/keyspace/function_ref.hpp"

namespace kv {

class Table {
 public:
  using Slot = std::uint64_t;

  static constexpr std::size_t segment_split_at = 1344;
  static constexpr std::size_t segment_entries_max = 1600;

  explicit Table(Pool& pool) noexcept : pool_(&pool) {}
  ~Table() { clear(); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  std::size_t size() const noexcept { return size_; }
  /// Another number after each change that may have moved slots, never one of another table.
  std::uint64_t version() const noexcept { return version_; }
  static Entry* entry(const Slot* slot) noexcept {
    return reinterpret_cast<Entry*>(static_cast<std::uintptr_t>(*slot & pointer_mask_));
  }
  /// Puts another entry of the same key into a slot.
  static void set_entry(Slot* slot, Entry* entry) noexcept {
    *slot = (*slot & ~pointer_mask_) | reinterpret_cast<std::uintptr_t>(entry);
  }

  /// Null if absent. hash must be hash_of(key). Slots move with every insert and erase.
  Slot* find(std::uint64_t hash, std::string_view key) const noexcept {
    return find_if(hash, [key](const Entry& e) { return same_bytes(e.key(), key); });
  }
  /// The first entry with this hash's prefix and tag that the predicate takes.
  template <class Predicate>
  Slot* find_if(std::uint64_t hash, Predicate&& is) const noexcept {
    const SegmentRef s = ref_of(hash);
    if (s.segment() == nullptr) return nullptr;
    const Slot tag = hash << tag_shift_;
    const Slot* p = s.home(hash);
    while (*p != 0 && *p < tag) ++p;
    for (; *p != 0 && ((*p ^ tag) >> tag_shift_) == 0; ++p) {
      if (is(*entry(p))) return const_cast<Slot*>(p);
    }
    return nullptr;
  }
  /// Loads the line of slots that find() would look at first.
  void prefetch(std::uint64_t hash) const noexcept {
    const SegmentRef s = ref_of(hash);
    if (s.segment() != nullptr) load_line(s.home(hash));
  }
  /// Loads the entry that find() would compare with first. Wants the slots loaded.
  void prefetch_entry(std::uint64_t hash) const noexcept {
    const Slot* slot = find_if(hash, [](const Entry&) { return true; });
    if (slot == nullptr) return;
    // Most entries lie in two lines: key and value of 16 and 32 bytes do in six cases of eight.
    const char* const first = reinterpret_cast<const char*>(entry(slot));
    load_line(first);
    load_line(first + 55);
  }

  /// The key must be absent. Throws std::bad_alloc, with the content unchanged.
  Slot* insert(std::uint64_t hash, Entry* entry);
  /// Takes the entry out and returns it; gives memory back when much has gone.
  Entry* erase(std::uint64_t hash, Slot* slot) noexcept;
  /// Forgets everything; the entries are the caller's business.
  void clear() noexcept;

  /// Makes room for so many entries at once, if the table is empty and there is the memory; a hint,
  /// which saves the splits. O(entries).
  void reserve(std::size_t entries) noexcept;
  /// Gives back what reserve() took too much. O(segments).
  void trim() noexcept;

  /// Visits about count slots from cursor on; returns the next cursor, 0 at the end. Cursors have
  /// 51 bits. visit must not change the table.
  std::uint64_t scan(std::uint64_t cursor, std::size_t count, FunctionRef<void(Slot*)> visit) const;
  /// Every slot until visit returns false; false then. visit must not change the table.
  bool for_each(FunctionRef<bool(Slot*)> visit) const;
  /// A slot chosen by seed, each about as likely as the others. Null when empty.
  Slot* any(std::uint64_t seed) const noexcept;

  /// The most slots that a single insert or erase has moved so far. For tests.
  std::size_t longest_step() const noexcept { return longest_step_; }
  unsigned depth() const noexcept { return depth_; }

 private:
  static constexpr unsigned tag_shift_ = 48;
  static constexpr Slot pointer_mask_ = (Slot{1} << tag_shift_) - 1;
  static constexpr unsigned depth_max_ = 30;
  static constexpr std::size_t segment_bytes_min_ = 64;

  struct Segment {
    std::uint32_t size;   // entries
    std::uint32_t range;  // homes; 16 bits of it
    std::uint32_t total;  // slots, those behind the last home included
    std::uint32_t depth;  // bits of the hash that all entries share
    Slot* slots() noexcept { return reinterpret_cast<Slot*>(this + 1); }
    const Slot* slots() const noexcept { return reinterpret_cast<const Slot*>(this + 1); }
    std::size_t bytes() const noexcept { return sizeof(Segment) + (total + 1u) * sizeof(Slot); }
  };

  /// The compiler takes what only prefetches for something without effect, and leaves out the call
  /// of a function that does no more.
  static void load_line(const void* p) noexcept {
    __builtin_prefetch(p);
    asm volatile("");
  }

  /// Where entries with this tag belong among so many homes.
  static std::size_t home(std::uint64_t tag, std::uint64_t range) noexcept {
    return static_cast<std::size_t>((tag * range) >> 16);
  }
  static std::size_t home_of_slot(const Segment& s, Slot slot) noexcept {
    return home(slot >> tag_shift_, s.range);
  }

  /// A segment with its range, for the directory: a look-up then goes straight to the slot. With a
  /// hundred thousand keys the head of a segment was a miss of the cache of its own.
  class SegmentRef {
   public:
    SegmentRef() = default;
    SegmentRef(Segment* s) noexcept  // NOLINT: they are the same thing
        : bits_(reinterpret_cast<std::uintptr_t>(s)) {
      if (s != nullptr) bits_ |= std::uint64_t{s->range} << tag_shift_;
    }
    Segment* segment() const noexcept {
      return reinterpret_cast<Segment*>(static_cast<std::uintptr_t>(bits_ & pointer_mask_));
    }
    const Slot* home(std::uint64_t hash) const noexcept {
      return segment()->slots() + Table::home(hash & 0xffff, bits_ >> tag_shift_);
    }

   private:
    std::uint64_t bits_ = 0;
  };

  std::size_t index_of(std::uint64_t hash) const noexcept {
    return depth_ == 0 ? 0 : static_cast<std::size_t>(hash >> (64 - depth_));
  }
  SegmentRef ref_of(std::uint64_t hash) const noexcept { return ref_at(index_of(hash)); }
  Segment* segment_of(std::uint64_t hash) const noexcept { return ref_of(hash).segment(); }
  SegmentRef ref_at(std::size_t index) const noexcept {
    return depth_ == 0 ? single_ : directory_[index];
  }
  Segment* segment_at(std::size_t index) const noexcept { return ref_at(index).segment(); }

  Segment* new_segment(std::size_t bytes, std::uint32_t depth) noexcept;
  void free_segment(Segment* s) noexcept { pool_->deallocate(s, s->bytes()); }
  static bool has_room(const Segment& s) noexcept;
  static Slot* place(Segment& s, Slot slot) noexcept;
  static bool append(Segment& s, std::size_t& next, Slot slot) noexcept;
  static std::size_t bytes_for(std::size_t entries) noexcept;
  void point_to(Segment* s, std::uint64_t hash) noexcept;
  void make_room(std::uint64_t hash);
  bool grow(std::uint64_t hash);
  bool resize(Segment* s, std::uint64_t hash, std::size_t bytes) noexcept;
  Segment* copy(const Segment& s, std::size_t bytes) noexcept;
  bool split(Segment* s, std::uint64_t hash);
  bool distribute(const Segment& from, Segment& low, Segment& high) noexcept;
  void double_directory();
  bool make_segments(std::size_t bytes, std::uint32_t depth) noexcept;
  void give_back(std::uint64_t hash) noexcept;
  bool merge(std::uint64_t hash) noexcept;
  void halve_directory() noexcept;
  void note_step(std::size_t moved) noexcept {
    if (moved > longest_step_) longest_step_ = moved;
  }

  Pool* pool_;
  union {
    SegmentRef single_{};    // depth_ == 0
    SegmentRef* directory_;  // 2^depth_ of them
  };
  std::size_t size_ = 0;
  inline static std::uint64_t last_version_ = 0;
  std::uint64_t version_ = ++last_version_;
  std::uint32_t depth_ = 0;
  std::uint32_t deepest_ = 0;  // segments whose depth is depth_
  std::size_t longest_step_ = 0;
};

}  // namespace kv
