// A list too big to be packed: a ring of chunks, each a run of elements.
//
// Chunks grow to chunk_bytes_max, elements beyond that get one of their own. A chunk has room at
// both ends, so the ends of the list cost O(1); an index is found by adding up the chunks' counts,
// which lie together in the ring (about one nanosecond for each chunk); a change in the middle
// moves at most one chunk's bytes. Changes that need memory throw std::bad_alloc and leave the
// list's content as it was; removing never needs any.
//
// Inner chunks are cold: deflated (see cold_chunk.hpp) if that saves a quarter. One becomes cold
// when chunks added at an end have pushed it away from there, or when it was not changed for a
// while as others were; it becomes raw again when it is the first or last one or is changed inside.
// Not every chunk of noise is tried. Before and after, for lists of a million elements like
// "element:000123" / JSON of 58 bytes / numbers of 6 digits / 32 bytes of noise:
//
//   bytes an element         16.1 / 60.2 / 7.9 / 34.3      2.6 / 15.2 / 4.5 / 34.3
//   push at an end, ns         22 / 23 / 16 / 19            45 / 333 / 108 / 29
//   pop at an end, ns          16 / 19 / 15 / 16            35 / 165 / 52 / 19
//   element at random, us      0.9 / 2.0 / 0.7 / 1.2        9.5 / 21 / 35 / 1.2
//   walk, ns an element        3.6 / 10 / 2.3 / 6.3         20 / 148 / 36 / 6.2
//
// Making a chunk cold takes 14 / 26 / 73 / 67 us, opening it 9 / 15 / 32 / 0 us: the longest pause
// of a push is two of the former, that of a pop one of the latter.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/cold_chunk.hpp"
#include "libkv/keyspace/function_ref.hpp"
#include "libkv/keyspace/packed.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

class ListDeque {
 public:
  static constexpr std::size_t chunk_bytes_max = 8192;  // header included
  static constexpr std::size_t warm_ends = 2;           // chunks at either end, never cold
  static constexpr std::size_t cooling_chunks_min = 8;  // with fewer, none is cold

  /// Throws std::bad_alloc. The object itself is the owner's allocation.
  static ListDeque* create(Pool& owner);
  static void destroy(ListDeque* list, Pool& owner) noexcept;

  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return pool_.bytes() + Arena::rounded(sizeof *this); }
  Pool& pool() noexcept { return pool_; }

  Scalar at(std::size_t index) const noexcept;
  void push_front(const Scalar& element);
  void push_back(const Scalar& element);
  void insert(std::size_t index, const Scalar& element);
  void set(std::size_t index, const Scalar& element);
  void erase(std::size_t index, std::size_t count) noexcept;
  /// As List::remove, with the comparison given.
  std::size_t remove(std::int64_t count, FunctionRef<bool(const Scalar&)> match) noexcept;
  void visit(std::size_t index, std::size_t count, FunctionRef<bool(const Scalar&)> visit) const;

  /// Appends elements that are already packed.
  void append_run(const packed::Run& run);
  /// The whole list as one run, if it is in one chunk of at most bytes_max; else count is 0.
  packed::Run small_run(std::size_t bytes_max) const noexcept;

 private:
  struct Chunk {
    std::uint32_t begin, end;  // of the elements, in data()
    std::uint32_t capacity;    // bytes of data()
    unsigned char* data() noexcept { return reinterpret_cast<unsigned char*>(this + 1); }
    std::size_t used() const noexcept { return end - begin; }
    std::size_t bytes() const noexcept { return sizeof(Chunk) + capacity; }
  };
  enum class State : std::uint8_t {
    raw,
    hard,  // raw, and deflating it did not help, or not its neighbours
    cold,
  };
  struct Ref {
    Chunk* chunk = nullptr;  // a ColdChunk if it is cold
    std::uint32_t count = 0;
    State state = State::raw;
    bool touched = false;  // changed inside since cool_some() came by
    bool is_cold() const noexcept { return state == State::cold; }
    ColdChunk& cold() const noexcept { return *reinterpret_cast<ColdChunk*>(chunk); }
  };
  struct Position {
    std::size_t chunk;  // number of the chunk from the head
    std::size_t index;  // of the element inside it
  };

  explicit ListDeque(Pool& owner) noexcept : pool_(&owner) {}
  ~ListDeque();

  Ref& ref(std::size_t i) const noexcept { return ring_[(head_ + i) & (ring_size_ - 1)]; }
  /// Of a chunk that is not cold.
  static packed::Run run_of(const Ref& r) noexcept {
    return {r.chunk->data() + r.chunk->begin, r.chunk->data() + r.chunk->end, r.count};
  }
  Position locate(std::size_t index) const noexcept;
  bool aliases(std::size_t chunk, const Scalar& element) const noexcept;

  Chunk* new_chunk(std::size_t capacity);
  static Chunk* chunk_at(void* memory, std::size_t capacity) noexcept;
  void free_chunk(Chunk* chunk) noexcept { pool_.deallocate(chunk, chunk->bytes()); }
  void free_ref(const Ref& r) noexcept;
  void reserve_refs(std::size_t more);
  void insert_ref(std::size_t at, Ref r) noexcept;
  void remove_refs(std::size_t at, std::size_t count) noexcept;
  std::size_t capacity_for(std::size_t bytes) const noexcept;

  void add_chunk(std::size_t at, const Scalar& element);
  bool enlarge(std::size_t chunk, std::size_t bytes, std::size_t spare);
  void open_gap(Chunk& c, std::size_t offset, std::size_t bytes) noexcept;
  void split(std::size_t chunk, std::size_t index);
  void erase_inside(std::size_t chunk, std::size_t index, std::size_t count) noexcept;
  std::size_t remove_inside(Ref& r, bool from_tail, std::size_t limit,
                            FunctionRef<bool(const Scalar&)> match) noexcept;
  bool join(Ref& a, const Ref& b) noexcept;
  void compact() noexcept;

  // --- cold chunks: list_deque_cold.cpp ---
  bool is_inner(std::size_t i) const noexcept {
    return i >= warm_ends && i + warm_ends < chunks_ && chunks_ >= cooling_chunks_min;
  }
  bool cool(std::size_t i) noexcept;
  void cool_some() noexcept;
  void cool_behind(std::size_t added) noexcept;
  void touch(std::size_t i) noexcept;
  bool try_open(std::size_t i) noexcept;
  void open(std::size_t i);
  void open_ends() noexcept;
  void thin(Ref& r) noexcept;
  static bool visit_cold(const ColdChunk& chunk, std::size_t index, std::size_t& count,
                         FunctionRef<bool(const Scalar&)> visit);

  Pool pool_;
  Ref* ring_ = nullptr;
  std::size_t ring_size_ = 0;  // a power of two, or 0
  std::size_t head_ = 0;
  std::size_t chunks_ = 0;
  std::size_t size_ = 0;        // elements
  std::uint32_t hand_ = 0;      // where cool_some() goes on
  std::uint16_t changes_ = 0;   // inside, since it was called for them
  std::uint8_t skip_ = 0;       // chunks that are taken for hard without trying
  std::uint8_t hard_skip_ = 0;  // as skip_, after the next one that is hard
};

}  // namespace kv
