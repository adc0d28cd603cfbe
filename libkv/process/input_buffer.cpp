// See input_buffer.hpp.
#include "libkv/process/input_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libkv/base/limits.hpp"

namespace kv {
namespace {

constexpr std::size_t step_bytes_max = std::size_t{1} << 20;
constexpr std::size_t kept_capacity_max = 64 * 1024;

}  // namespace

std::string_view InputBuffer::bytes() const noexcept {
  if (!slot_) return std::string_view(own_).substr(dropped_);
  return {slot_start() + from_, to_ - from_};
}

void InputBuffer::append(std::string_view bytes) {
  if (slot_ && bytes.size() <= bulk_slot_bytes - to_) {
    std::memcpy(slot_start() + to_, bytes.data(), bytes.size());
    to_ += bytes.size();
    return;
  }
  move_out(bytes.size());
  own_.append(bytes);
}

void InputBuffer::drop(std::size_t count) {
  if (slot_) {
    from_ += count;
    if (handed_over_ || from_ == to_) move_out(0);
    return;
  }
  dropped_ += count;
  // What is left is moved once it is the smaller half: of many requests that are kept, each is
  // moved once or twice.
  if (dropped_ < own_.size() - dropped_) return;
  own_.erase(0, std::exchange(dropped_, 0));
  if (own_.empty() && own_.capacity() > kept_capacity_max) std::string().swap(own_);
}

char* InputBuffer::room_for(std::size_t needed, BulkSegment* segment, std::size_t& room) {
  if (empty() || needed < limits::read_bytes) return nullptr;
  const std::size_t here = bytes().size();
  if (!slot_ && segment != nullptr && here + needed <= bulk_slot_bytes) {
    if ((slot_ = segment->keep())) {
      segment_ = segment;
      std::memcpy(slot_start(), own_.data() + dropped_, here);
      from_ = 0, to_ = here;
      std::string().swap(own_);
      dropped_ = 0;
    }
  }
  if (slot_ && needed <= bulk_slot_bytes - to_) {
    room = needed;
    to_ += room;
    return slot_start() + to_ - room;
  }
  room = std::min({needed, std::max(here, limits::read_bytes), step_bytes_max});
  move_out(room);
  own_.resize(dropped_ + here + room);
  return own_.data() + dropped_ + here;
}

void InputBuffer::took(std::size_t room, std::size_t got) {
  if (slot_) to_ -= room - got;
  else own_.resize(own_.size() - room + got);
}

std::optional<std::uint64_t> InputBuffer::offset_of(std::string_view part) const noexcept {
  const std::string_view all = bytes();
  if (!slot_ || part.data() < all.data() || part.data() >= all.data() + all.size())
    return std::nullopt;
  return *slot_ + static_cast<std::uint64_t>(part.data() - slot_start());
}

void InputBuffer::hand_over() noexcept {
  segment_->hand_over(*slot_);
  handed_over_ = true;
}

/// From the slot into memory of our own, which gets room for more bytes.
void InputBuffer::move_out(std::size_t more) {
  const std::size_t here = dropped_ + bytes().size(), wanted = here + more;
  if (own_.capacity() < wanted) own_.reserve(std::max(2 * here, wanted));
  if (!slot_) return;
  own_.assign(bytes());
  leave_slot();
}

void InputBuffer::leave_slot() noexcept {
  if (slot_ && !handed_over_) segment_->give_back(*slot_);
  slot_.reset();
  handed_over_ = false;
}

}  // namespace kv
