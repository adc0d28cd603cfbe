// Which chunks are cold, and since when. See list_deque.hpp.
#include <algorithm>
#include <cstring>
#include <new>

#include "libkv/base/memory.hpp"
#include "libkv/keyspace/list_deque.hpp"

namespace kv {

using packed::Run;

static_assert(ListDeque::chunk_bytes_max <= ColdChunk::raw_bytes_max);

// --- cooling: only saves memory, so it need not succeed ---

/// Deflates a chunk inside the list that is raw and worth it. True if it took the time.
bool ListDeque::cool(std::size_t i) noexcept {
  constexpr std::size_t used_min = 1024;
  constexpr int skip_max = 63;  // of noise one chunk in 64 is tried in the end
  Ref& r = ref(i);
  if (!is_inner(i) || r.state != State::raw) return false;
  if (r.chunk->bytes() > chunk_bytes_max || r.chunk->used() < used_min) return false;
  if (skip_ != 0) {
    --skip_;
    r.state = State::hard;
    return false;
  }
  ColdChunk* made = nullptr;
  switch (ColdChunk::create(pool_, run_of(r), r.chunk->bytes(), made)) {
    case ColdChunk::Outcome::no_memory: break;
    case ColdChunk::Outcome::too_large:
      r.state = State::hard;
      skip_ = hard_skip_;
      hard_skip_ = static_cast<std::uint8_t>(std::min(hard_skip_ * 2 + 1, skip_max));
      break;
    case ColdChunk::Outcome::made:
      hard_skip_ = 0;
      free_chunk(r.chunk);
      r.chunk = reinterpret_cast<Chunk*>(made);
      r.state = State::cold;
  }
  return true;
}

/// One step of a clock's hand: cools the next chunk that was left alone for a whole turn.
void ListDeque::cool_some() noexcept {
  constexpr std::size_t looks_max = 32;
  if (chunks_ < cooling_chunks_min) return;
  for (std::size_t look = 0; look < looks_max; ++look, ++hand_) {
    if (hand_ >= chunks_) hand_ = 0;
    Ref& r = ref(hand_);
    if (!r.touched && cool(hand_)) return;
    r.touched = false;
  }
}

/// After a chunk was added: the one that is no longer near that end, and what was left over.
void ListDeque::cool_behind(std::size_t added) noexcept {
  if (chunks_ < cooling_chunks_min) return;
  if (added == 0) cool(warm_ends);
  else if (added == chunks_ - 1) cool(chunks_ - 1 - warm_ends);
  cool_some();
}

/// After a change inside a chunk. So many of them pay for the deflating of one.
void ListDeque::touch(std::size_t i) noexcept {
  constexpr std::uint16_t changes_max = 256;
  ref(i).touched = true;
  if (++changes_ < changes_max) return;
  changes_ = 0;
  cool_some();
}

// --- opening ---

bool ListDeque::try_open(std::size_t i) noexcept {
  Ref& r = ref(i);
  if (!r.is_cold()) return true;
  constexpr std::size_t capacity = chunk_bytes_max - sizeof(Chunk);
  void* memory = pool_.try_allocate(sizeof(Chunk) + capacity);
  if (memory == nullptr) return false;
  Chunk* chunk = chunk_at(memory, capacity);
  const Run run = r.cold().inflate(chunk->data());
  chunk->end = static_cast<std::uint32_t>(run.end - run.begin);
  ColdChunk::destroy(&r.cold(), pool_);
  r.chunk = chunk;
  r.state = State::raw;
  r.touched = true;
  return true;
}

void ListDeque::open(std::size_t i) {
  if (!try_open(i) && !(memory::give_up_reserve() && try_open(i))) throw std::bad_alloc();
}

/// Without memory an end stays cold: its elements can be read and removed all the same.
void ListDeque::open_ends() noexcept {
  if (chunks_ == 0) return;
  try_open(0);
  try_open(chunks_ - 1);
}

/// A cold chunk that has lost half of its elements or more is made again from what is left, or
/// opened if that is little, so that it can be joined with its neighbour.
void ListDeque::thin(Ref& r) noexcept {
  constexpr std::size_t little = chunk_bytes_max / 4;
  if (r.count > r.cold().elements() / 2) return;
  const ColdChunk::Reading left(r.cold());
  const Run& run = left.run();
  const auto bytes = static_cast<std::size_t>(run.end - run.begin);
  if (bytes <= little) {
    constexpr std::size_t capacity = chunk_bytes_max - sizeof(Chunk);
    void* memory = pool_.try_allocate(sizeof(Chunk) + capacity);
    if (memory == nullptr) return;
    Chunk* chunk = chunk_at(memory, capacity);
    std::memcpy(chunk->data(), run.begin, bytes);
    chunk->end = static_cast<std::uint32_t>(bytes);
    ColdChunk::destroy(&r.cold(), pool_);
    r.chunk = chunk;
    r.state = State::raw;
    return;
  }
  ColdChunk* made = nullptr;
  if (ColdChunk::create(pool_, run, bytes, made) != ColdChunk::Outcome::made) return;
  ColdChunk::destroy(&r.cold(), pool_);
  r.chunk = reinterpret_cast<Chunk*>(made);
}

// --- reading ---

/// False if the walk is over. Apart from visit(), since it takes a buffer's room on the stack.
bool ListDeque::visit_cold(const ColdChunk& chunk, std::size_t index, std::size_t& count,
                           FunctionRef<bool(const Scalar&)> visit) {
  const ColdChunk::Reading reading(chunk);
  const Run& run = reading.run();
  for (const unsigned char* p = run.find(index); p != run.end;) {
    if (!visit(packed::read_list_element(p)) || --count == 0) return false;
  }
  return true;
}

}  // namespace kv
