// What has arrived of a request that is not all here.
//
// Mostly some bytes in memory of our own. A large one whose length is known is read into a slot of
// the child's segment, from where the sibling takes it: no copy on the way. Its memory grows with
// what has arrived, never with what was announced; a slot is there already.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libkv/process/bulk.hpp"

namespace kv {

class InputBuffer {
 public:
  InputBuffer() = default;
  ~InputBuffer() { leave_slot(); }
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  std::string_view bytes() const noexcept;
  bool empty() const noexcept { return bytes().empty(); }
  void append(std::string_view bytes);
  /// Forgets the first count bytes.
  void drop(std::size_t count);

  /// Where to read to, behind the bytes here, when at least needed more will come; room is how much
  /// may be read there. Null: nothing is here or little is missing, read anywhere and append().
  /// segment may be null.
  char* room_for(std::size_t needed, BulkSegment* segment, std::size_t& room);
  /// After reading: room as it was given, and how much came.
  void took(std::size_t room, std::size_t got);

  bool in_slot() const noexcept { return slot_.has_value(); }
  /// Where in the segment a part of bytes() lies; empty if it does not.
  std::optional<std::uint64_t> offset_of(std::string_view part) const noexcept;
  /// The slot is the sibling's from now on; bytes() stay readable until the next drop(), which must
  /// come before anything else is read.
  void hand_over() noexcept;

 private:
  void leave_slot() noexcept;
  void move_out(std::size_t more);
  char* slot_start() const noexcept { return segment_->at(*slot_); }

  std::string own_;
  std::size_t dropped_ = 0;         // bytes of it, at its beginning
  BulkSegment* segment_ = nullptr;  // not owned; with slot_ only
  std::optional<std::uint64_t> slot_;
  std::size_t from_ = 0, to_ = 0;  // the bytes in the slot
  bool handed_over_ = false;
};

}  // namespace kv
