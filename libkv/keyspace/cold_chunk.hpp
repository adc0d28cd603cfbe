// A chunk of a list that nobody needs at the moment: its elements as one deflated block.
//
// Removing elements never needs memory: they are only marked, in bits that the block has room for
// from the start (one for each element), and stay away whenever the block is opened. What is read
// is inflated into one of a few buffers of the process, which keep the blocks opened last, so that
// who walks a list or asks for one element after the other pays once for each block. The state
// zlib needs (some 80 KB for the process) is taken when the first block is made.
//
// Must never: take a size from anywhere but the block itself, which this file wrote; hand out a
// buffer that a walk still reads. One thread, as the arena.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/function_ref.hpp"
#include "libkv/keyspace/packed.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

class ColdChunk {
 public:
  static constexpr std::size_t raw_bytes_max = 8192;  // of a run that is deflated

  enum class Outcome { made, too_large, no_memory };
  /// Deflates a run of at most raw_bytes_max. too_large if the block would not save a quarter of
  /// held, the bytes that the run takes now.
  static Outcome create(Pool& pool, const packed::Run& run, std::size_t held,
                        ColdChunk*& made) noexcept;
  static void destroy(ColdChunk* chunk, Pool& pool) noexcept;

  /// Elements that were deflated, those removed since included.
  std::size_t elements() const noexcept { return elements_; }
  /// Bytes of the run that was deflated; what is left of it takes no more.
  std::size_t raw_bytes() const noexcept { return raw_bytes_; }

  /// Writes what is left to memory of raw_bytes().
  packed::Run inflate(unsigned char* to) const noexcept;
  /// What is left, in a buffer of the process: valid while at most two other blocks are opened.
  packed::Run peek() const noexcept;

  /// Removes elements by their index among those that are left.
  void erase(std::size_t index, std::size_t count) noexcept;
  /// Removes elements that match, at most limit of them: the first ones, or the last ones.
  std::size_t remove_matching(bool from_tail, std::size_t limit,
                              FunctionRef<bool(const Scalar&)> match) noexcept;

  /// What is left, to be read while this object lives, whatever else is opened meanwhile.
  class Reading {
   public:
    explicit Reading(const ColdChunk& chunk) noexcept;
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    const packed::Run& run() const noexcept { return run_; }

   private:
    packed::Run run_;
    void* pinned_;  // the buffer, or null: then it is own_
    unsigned char own_[raw_bytes_max];
  };

 private:
  ColdChunk() = default;
  unsigned char* data() noexcept { return reinterpret_cast<unsigned char*>(this + 1); }
  const unsigned char* data() const noexcept {
    return reinterpret_cast<const unsigned char*>(this + 1);
  }
  std::size_t bytes() const noexcept {
    return sizeof *this + deflated_bytes_ + (elements_ + 7) / 8;
  }
  bool removed(std::size_t i) const noexcept {
    return (data()[deflated_bytes_ + i / 8] >> (i % 8) & 1) != 0;
  }
  void mark(std::size_t i) noexcept;

  std::uint32_t raw_bytes_;
  std::uint32_t deflated_bytes_;
  std::uint32_t elements_;
  std::uint32_t removed_;
};

}  // namespace kv
