// The members of a large set in an order of their own, so that one can be drawn by its number.
//
// What SPOP draws must come out the same when the log is replayed, after a snapshot as well, so it
// cannot depend on the table, whose order is another one in every process. This order can be told
// from the writes alone: who is new comes last, and the last one takes the place of who goes.
// Packed sets keep the same one. Each member's entry says where it stands.
//
// In pieces, so that no step moves more than one of them and growing copies only their directory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/entry.hpp"

namespace kv {

class MemberOrder {
 public:
  static constexpr std::uint32_t piece_entries = 512;

  explicit MemberOrder(Pool& pool) noexcept : pool_(&pool) {}
  ~MemberOrder();
  MemberOrder(const MemberOrder&) = delete;
  MemberOrder& operator=(const MemberOrder&) = delete;

  std::size_t size() const noexcept { return size_; }
  Entry* at(std::size_t i) const noexcept { return pieces_[i / piece_entries][i % piece_entries]; }
  /// Room for one more. Throws std::bad_alloc, with the content unchanged.
  void make_room();
  /// Puts a member last, for whom there is room.
  void add(Entry* member) noexcept;
  /// Takes a member out; the last one takes its place.
  void erase(const Entry* member) noexcept;

 private:
  void place(std::size_t i, Entry* member) noexcept {
    pieces_[i / piece_entries][i % piece_entries] = member;
    store(member->payload(), static_cast<std::uint32_t>(i));
  }
  std::size_t pieces() const noexcept { return (room_ + piece_entries - 1) / piece_entries; }

  Pool* pool_;
  Entry*** pieces_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t room_ = 0;       // for members: in one piece that grows, then in whole ones
  std::uint32_t directory_ = 0;  // pieces that there are pointers for
};

}  // namespace kv
