// The slab allocator. See arena.hpp.
#include "libkv/keyspace/arena.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define KV_POISON(p, bytes) ASAN_POISON_MEMORY_REGION(p, bytes)
#define KV_UNPOISON(p, bytes) ASAN_UNPOISON_MEMORY_REGION(p, bytes)
#else
#define KV_POISON(p, bytes) static_cast<void>(0)
#define KV_UNPOISON(p, bytes) static_cast<void>(0)
#endif

#include "libkv/base/memory.hpp"

namespace kv {

struct Arena::Block {
  Block* next;           // in a list of partial, warm or cold blocks
  Block* previous;       // in the list of partial blocks
  Free* free;            // pieces given back
  std::uint32_t bump;    // where the never used rest begins, from the start of the block
  std::uint32_t used;    // pieces in use
  std::uint32_t piece;   // bytes of a piece
  std::uint32_t listed;  // 1: in the list of partial blocks

  // The header takes header_bytes_, this and, in sanitized builds, the chain of regions.
  bool full() const noexcept { return free == nullptr && bump + piece > block_bytes_; }
};

static_assert(sizeof(void*) == 8, "a slot of the table holds a pointer in 48 bits");

Arena& arena() noexcept {
  static Arena& instance = *new Arena;
  return instance;
}

void Arena::fail_at(std::uint64_t nth, bool for_ever) noexcept {
  fail_in_ = nth;
  fail_for_ever_ = for_ever;
}

bool Arena::fails() noexcept {
  if (fail_in_ == 0) return false;
  if (fail_in_ > 1) {
    --fail_in_;
    return false;
  }
  if (!fail_for_ever_) fail_in_ = 0;
  return true;
}

void* Arena::try_allocate(std::size_t bytes) noexcept {
  if (fails()) return nullptr;
  return bytes <= small_bytes_max ? allocate_small(bytes) : std::malloc(rounded(bytes));
}

void Arena::deallocate(void* p, std::size_t bytes) noexcept {
  if (bytes <= small_bytes_max) {
    deallocate_small(p, bytes);
  } else {
    std::free(p);
  }
}

void* Arena::try_reallocate(void* p, std::size_t old_bytes, std::size_t bytes) noexcept {
  if (rounded(old_bytes) == rounded(bytes)) return p;
  if (old_bytes > small_bytes_max && bytes > small_bytes_max) {
    return fails() ? nullptr : std::realloc(p, rounded(bytes));
  }
  void* moved = try_allocate(bytes);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, p, old_bytes < bytes ? old_bytes : bytes);
  deallocate(p, old_bytes);
  return moved;
}

void* Arena::allocate_small(std::size_t bytes) noexcept {
  Block* block = partial_[class_of(bytes)];
  if (block == nullptr) {
    block = take_block(bytes);
    if (block == nullptr) return nullptr;
  }
  void* piece;
  if (block->free != nullptr) {
    piece = block->free;
    KV_UNPOISON(piece, block->piece);
    block->free = block->free->next;
  } else {
    piece = reinterpret_cast<char*>(block) + block->bump;
    KV_UNPOISON(piece, block->piece);
    block->bump += block->piece;
  }
  ++block->used;
  if (block->full()) unlink(block);
  return piece;
}

void Arena::deallocate_small(void* p, [[maybe_unused]] std::size_t bytes) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  Block* block = reinterpret_cast<Block*>(address & ~std::uintptr_t{block_bytes_ - 1});
  auto* piece = static_cast<Free*>(p);
  piece->next = block->free;
  block->free = piece;
  KV_POISON(p, block->piece);
  --block->used;
  if (block->listed == 0) link(block);
  // The last block of a class stays, so that one key coming and going costs nothing.
  const bool last = block->next == nullptr && block->previous == nullptr;
  if (block->used == 0 && !last) {
    unlink(block);
    give_block(block);
  }
}

void Arena::link(Block* block) noexcept {
  Block*& head = partial_[class_of(block->piece)];
  block->previous = nullptr;
  block->next = head;
  if (head != nullptr) head->previous = block;
  head = block;
  block->listed = 1;
}

void Arena::unlink(Block* block) noexcept {
  if (block->previous != nullptr) {
    block->previous->next = block->next;
  } else {
    partial_[class_of(block->piece)] = block->next;
  }
  if (block->next != nullptr) block->next->previous = block->previous;
  block->next = block->previous = nullptr;
  block->listed = 0;
}

Arena::Block* Arena::take_block(std::size_t bytes) noexcept {
  void* memory;
  if (warm_ != nullptr) {
    memory = warm_;
    warm_ = warm_->next;
    --warm_count_;
  } else if (cold_ != nullptr) {
    memory = cold_;
    cold_ = cold_->next;
  } else {
    // Blocks are cut from a region one by one: touching it as a whole would be a pause.
    if (fresh_ == fresh_end_ && !take_region()) return nullptr;
    memory = fresh_;
    fresh_ += block_bytes_;
  }
  static_assert(sizeof(Block) + sizeof(void*) <= header_bytes_);
  auto* block = new (memory) Block{};
  block->piece = static_cast<std::uint32_t>(rounded(bytes));
  block->bump = header_bytes_;
  ++blocks_used_;
  link(block);
  return block;
}

void Arena::give_block(Block* block) noexcept {
  --blocks_used_;
  if (warm_count_ < warm_blocks_max_) {
    ++warm_count_;
    block->next = warm_;
    warm_ = block;
    return;
  }
  constexpr std::size_t page = 4096;  // the header's page stays: it chains the free blocks
  madvise(reinterpret_cast<char*>(block) + page, block_bytes_ - page, MADV_DONTNEED);
  block->next = cold_;
  cold_ = block;
}

bool Arena::take_region() noexcept {
  constexpr std::size_t bytes = region_blocks_ * block_bytes_;
#if defined(__SANITIZE_ADDRESS__)
  void* start = std::aligned_alloc(block_bytes_, bytes);
  if (start == nullptr) return false;
#else
  // One block more than needed, then cut to the alignment: the kernel keeps the rest for others.
  void* mapped = mmap(nullptr, bytes + block_bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* start;
  if (mapped == MAP_FAILED) {  // the heap may have room where there are no addresses
    start = std::aligned_alloc(block_bytes_, bytes);
    if (start == nullptr) return false;
  } else {
    const auto address = reinterpret_cast<std::uintptr_t>(mapped);
    const std::uintptr_t aligned = (address + block_bytes_ - 1) & ~std::uintptr_t{block_bytes_ - 1};
    if (aligned != address) munmap(mapped, aligned - address);
    const std::uintptr_t rest = address + block_bytes_ - aligned;
    if (rest != 0) munmap(reinterpret_cast<void*>(aligned + bytes), rest);
    start = reinterpret_cast<void*>(aligned);
  }
#endif
  fresh_ = static_cast<char*>(start);
  fresh_end_ = fresh_ + bytes;
#if defined(__SANITIZE_ADDRESS__)
  for (char* block = fresh_; block != fresh_end_; block += block_bytes_) {
    KV_POISON(block + header_bytes_, block_bytes_ - header_bytes_);
  }
  // The end of the first header chains the regions, so that the leak checker sees them.
  *reinterpret_cast<void**>(fresh_ + header_bytes_ - sizeof(void*)) = regions_;
  regions_ = start;
#endif
  return true;
}

void* Pool::try_allocate(std::size_t bytes) noexcept {
  void* p = arena().try_allocate(bytes);
  if (p != nullptr) add(Arena::rounded(bytes));
  return p;
}

void* Pool::allocate(std::size_t bytes) {
  void* p = try_allocate(bytes);
  if (p == nullptr && memory::give_up_reserve()) p = try_allocate(bytes);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

void Pool::deallocate(void* p, std::size_t bytes) noexcept {
  subtract(Arena::rounded(bytes));
  arena().deallocate(p, bytes);
}

void* Pool::reallocate(void* p, std::size_t old_bytes, std::size_t bytes) {
  void* moved = arena().try_reallocate(p, old_bytes, bytes);
  if (moved == nullptr && memory::give_up_reserve()) {
    moved = arena().try_reallocate(p, old_bytes, bytes);
  }
  if (moved == nullptr) throw std::bad_alloc();
  subtract(Arena::rounded(old_bytes));
  add(Arena::rounded(bytes));
  return moved;
}

void Pool::set_parent(Pool* parent) noexcept {
  if (parent_ != nullptr) parent_->bytes_ -= bytes_;
  parent_ = parent;
  if (parent_ != nullptr) parent_->bytes_ += bytes_;
}

}  // namespace kv
