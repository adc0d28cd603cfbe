// A request too large for a frame, on its way from a child to the sibling.
//
// It goes through slots of the child's segment, as far as they are free; the rest waits until the
// sibling gives one back. It never waits for a client: one slot is never kept for one that
// fills it by and by (bulk.hpp).
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>

#include "libkv/process/bulk.hpp"
#include "libkv/process/input_buffer.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

/// Where a child's frames go: the pipe's queue, and the shared segment for what is large.
struct FrameWriter {
  std::string bytes;                    // frames for the sibling
  BulkSegment* segment = nullptr;       // not owned; null until there is one
  bool wants_segment = false;           // something large has passed without one
  std::size_t segment_worth_bytes = 0;  // what passes here is worth asking for one
  std::deque<std::uint32_t> queue;      // connections that wait for a slot

  /// Is there room for so many bytes in one slot, and nobody waits for it?
  bool has_room(std::size_t bytes_wanted) const noexcept {
    return segment != nullptr && queue.empty() && segment->has_room(bytes_wanted);
  }
};

class LargeRequest {
 public:
  /// args and their bytes must stay where they are until go_on() has said true. out.segment must
  /// not be null.
  void begin(std::span<const Scalar> args, FrameWriter& out, std::uint32_t connection);
  bool active() const noexcept { return segment_ != nullptr; }
  /// Fills what slots are free. True: all of it is under way. False: queued for a slot.
  bool go_on(FrameWriter& out);
  /// Its turn in the queue has come.
  void leave_queue() noexcept { queued_ = false; }

 private:
  bool put_words(FrameWriter& out);
  bool put_value(FrameWriter& out);
  bool put(std::string_view& bytes, std::uint8_t flags, FrameWriter& out);
  void stop() noexcept;

  std::span<const Scalar> args_;  // still to do
  std::uint32_t connection_ = 0;
  BulkSegment* segment_ = nullptr;  // not owned; null when there is nothing to do
  std::string words_;               // of the payload, not sent yet: heads, and what is small
  std::string_view value_;          // what is left of the large argument after them
  bool queued_ = false;
};

/// Sends a request whose large arguments lie in input's slot: they are handed over as they lie.
void send_from_slot(std::span<const Scalar> args, InputBuffer& input, FrameWriter& out,
                    std::uint32_t connection);

}  // namespace kv
