// Memory for the keyspaces: a slab allocator without a header per allocation, and Pool, which
// counts what one owner has taken from it.
//
// Sizes up to small_bytes_max come from 64 KiB blocks, each cut into pieces of one size class
// (steps of 8 bytes to 512, of 64 to 1024, of 256 to 4096); larger ones from malloc. Who frees must
// know the size; entries know their own. A block that becomes empty gives its pages back.
//
// One arena serves the whole process and one thread: never use keyspaces from two threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kv {

class Arena {
 public:
  static constexpr std::size_t small_bytes_max = 4096;

  /// What an allocation of this many bytes really takes. allocate() gives all of it.
  static std::size_t rounded(std::size_t bytes) noexcept {
    if (bytes <= 512) return (bytes + 7) & ~std::size_t{7};
    if (bytes <= 1024) return (bytes + 63) & ~std::size_t{63};
    if (bytes <= 4096) return (bytes + 255) & ~std::size_t{255};
    if (bytes <= 65536) return (bytes + 511) & ~std::size_t{511};
    return (bytes + 4095) & ~std::size_t{4095};
  }

  /// bytes > 0; aligned to 8. Null when there is no memory.
  void* try_allocate(std::size_t bytes) noexcept;
  /// bytes as given to try_allocate, or anything that rounds to the same.
  void deallocate(void* p, std::size_t bytes) noexcept;
  /// As realloc: keeps the content; null leaves p as it was. Cheap for large sizes.
  void* try_reallocate(void* p, std::size_t old_bytes, std::size_t bytes) noexcept;

  /// Bytes of blocks that are in use, free pieces inside them included; large ones excluded.
  std::size_t block_bytes() const noexcept { return blocks_used_ * block_bytes_; }

  /// For tests: the nth allocation from now on fails (1 is the next one), and with for_ever every
  /// one after it. 0 ends that.
  void fail_at(std::uint64_t nth, bool for_ever = false) noexcept;

 private:
  static constexpr std::size_t block_bytes_ = 64 * 1024;
  static constexpr std::size_t header_bytes_ = 64;
  static constexpr std::size_t region_blocks_ = 16;    // asked of the kernel at a time
  static constexpr std::size_t warm_blocks_max_ = 16;  // empty blocks that keep their pages
  static constexpr std::size_t classes_ = 64 + 8 + 12;

  struct Block;  // header at the start of each block
  struct Free {  // a free piece
    Free* next;
  };

  static std::size_t class_of(std::size_t bytes) noexcept {
    if (bytes <= 512) return (bytes + 7) / 8 - 1;
    if (bytes <= 1024) return 64 + (bytes - 512 + 63) / 64 - 1;
    return 72 + (bytes - 1024 + 255) / 256 - 1;
  }
  bool fails() noexcept;
  void* allocate_small(std::size_t bytes) noexcept;
  void deallocate_small(void* p, std::size_t bytes) noexcept;
  Block* take_block(std::size_t bytes) noexcept;
  void give_block(Block* block) noexcept;
  bool take_region() noexcept;
  void link(Block* block) noexcept;
  void unlink(Block* block) noexcept;

  Block* partial_[classes_] = {};  // blocks of each class with a free piece
  Block* warm_ = nullptr;          // empty blocks with pages
  Block* cold_ = nullptr;          // empty blocks whose pages (but the first) were given back
  std::size_t warm_count_ = 0;
  std::size_t blocks_used_ = 0;
  char* fresh_ = nullptr;  // the part of the newest region that no block was cut from yet
  char* fresh_end_ = nullptr;
  void* regions_ = nullptr;  // chain of all regions; only in sanitized builds
  std::uint64_t fail_in_ = 0;
  bool fail_for_ever_ = false;
};

/// The arena of this process. Never destroyed, so that static keyspaces may outlive anything.
Arena& arena() noexcept;

/// Counts the bytes one owner holds, and its parent's with them.
class Pool {
 public:
  explicit Pool(Pool* parent = nullptr) noexcept : parent_(parent) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Throws std::bad_alloc, having changed nothing.
  void* allocate(std::size_t bytes);
  void* try_allocate(std::size_t bytes) noexcept;
  void deallocate(void* p, std::size_t bytes) noexcept;
  void* reallocate(void* p, std::size_t old_bytes, std::size_t bytes);

  /// Bytes held, rounding included.
  std::size_t bytes() const noexcept { return bytes_; }
  /// Counts what is held here into another owner from now on.
  void set_parent(Pool* parent) noexcept;
  /// Counts an allocation of this Pool as the other's from now on.
  void hand_over(std::size_t bytes, Pool& to) noexcept {
    subtract(Arena::rounded(bytes));
    to.add(Arena::rounded(bytes));
  }
  /// Counts memory of the arena that somebody else has allocated, or will free.
  void adopt(std::size_t bytes) noexcept { add(Arena::rounded(bytes)); }
  void disown(std::size_t bytes) noexcept { subtract(Arena::rounded(bytes)); }

 private:
  void add(std::size_t bytes) noexcept {
    bytes_ += bytes;
    if (parent_ != nullptr) parent_->bytes_ += bytes;
  }
  void subtract(std::size_t bytes) noexcept {
    bytes_ -= bytes;
    if (parent_ != nullptr) parent_->bytes_ -= bytes;
  }
  std::size_t bytes_ = 0;
  Pool* parent_;
};

}  // namespace kv
