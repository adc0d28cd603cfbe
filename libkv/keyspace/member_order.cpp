// See member_order.hpp.
#include "libkv/keyspace/member_order.hpp"

#include <algorithm>

namespace kv {

namespace {
constexpr std::uint32_t first_room = 4;
constexpr std::size_t piece_bytes = MemberOrder::piece_entries * sizeof(Entry*);

template <class T>
T* grown(Pool& pool, T* old, std::size_t count, std::size_t more) {
  if (count == 0) return static_cast<T*>(pool.allocate(more * sizeof(T)));
  return static_cast<T*>(pool.reallocate(old, count * sizeof(T), more * sizeof(T)));
}
}  // namespace

MemberOrder::~MemberOrder() {
  if (pieces_ == nullptr) return;
  for (std::size_t i = pieces(); i > 1; --i) pool_->deallocate(pieces_[i - 1], piece_bytes);
  if (room_ != 0) {
    pool_->deallocate(pieces_[0], std::min<std::size_t>(room_, piece_entries) * sizeof(Entry*));
  }
  pool_->deallocate(pieces_, directory_ * sizeof(Entry**));
}

void MemberOrder::make_room() {
  if (size_ < room_) return;
  if (pieces() == directory_ && (room_ == 0 || room_ >= piece_entries)) {
    const std::uint32_t more = directory_ == 0 ? 1 : 2 * directory_;
    pieces_ = grown(*pool_, pieces_, directory_, more);
    directory_ = more;
  }
  if (room_ >= piece_entries) {
    pieces_[pieces()] = static_cast<Entry**>(pool_->allocate(piece_bytes));
    room_ += piece_entries;
    return;
  }
  const std::uint32_t more = room_ == 0 ? first_room : 2 * room_;
  pieces_[0] = grown(*pool_, pieces_[0], room_, more);
  room_ = more;
}

void MemberOrder::add(Entry* member) noexcept { place(size_++, member); }

void MemberOrder::erase(const Entry* member) noexcept {
  const std::size_t i = load<std::uint32_t>(member->payload());
  --size_;
  if (i != size_) place(i, at(size_));
  // One piece more than needed stays, or a set that goes up and down at its end would ask for it
  // each time.
  if (room_ > piece_entries && room_ - size_ >= 2 * piece_entries) {
    pool_->deallocate(pieces_[pieces() - 1], piece_bytes);
    room_ -= piece_entries;
  }
}

}  // namespace kv
