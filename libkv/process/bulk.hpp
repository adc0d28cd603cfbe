// A child's segment of shared memory for payloads too large to be worth copying through a pipe.
//
// Two kinds of slots: the first are filled by the child, the others by the sibling. Several pieces
// share a slot, one behind the other; it is free again when all of them are back. No lock and no
// allocator lies in the shared memory: a piece is handed over by a frame on the pipe (bulk,
// bulk_reply) and given back by another (bulk_done); who may fill a slot knows by himself which are
// free. Offsets and lengths come in frames and are checked against the size both sides mapped; the
// sibling copies the bytes out before it looks at them, since the child could still change them.
// It is used once both sides have mapped it, and all its room is taken when it is made; where there
// is no room, payloads stay in the pipe.
//
// A child reads a large request straight from its client into a slot it keeps for that, for as long
// as the client likes; so one slot is never kept, and requests that are complete always get on.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/fd.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/status.hpp"
#include "libkv/process/frame.hpp"

namespace kv {

/// A value of 1 MiB and the words around it.
inline constexpr std::size_t bulk_slot_bytes = 1024 * 1024 + 64 * 1024;
/// A request that finds none is copied once more. With ten clients that set 1 MiB through two
/// children six take a tenth less processor time than four, and eight no less than six; with as
/// many that read 1 MiB eight for replies give a fifth more throughput than four.
inline constexpr std::size_t bulk_request_slots = 6;
inline constexpr std::size_t bulk_reply_slots = 8;
inline constexpr std::size_t bulk_segment_bytes =
    (bulk_request_slots + bulk_reply_slots) * bulk_slot_bytes;
/// Payloads below this stay in the pipe: a slot costs two extra frames. 50 clients, processor time
/// a request through the pipe and through slots, us: 4.3 KB 10 and 9, 8.5 KB 11.5 and 9.5, 16.5 KB
/// 17 and 10.5, 33 KB 29 and 18.
inline constexpr std::size_t bulk_worth_bytes = limits::shared_bytes_min;
/// From here on a segment is worth its memory even for one of many children, and a reply a call to
/// the kernel of its own.
inline constexpr std::size_t bulk_worth_always_bytes = 48 * 1024;

/// A frame's reference to bytes in a slot: u64 offset, u32 length.
inline constexpr std::uint32_t bulk_reference_bytes = 12;
/// Appends the whole frame; kind is bulk or bulk_reply.
void append_bulk_frame(std::string& out, FrameKind kind, std::uint32_t connection,
                       std::uint8_t flags, std::uint64_t offset, std::size_t bytes);
bool read_bulk_reference(std::string_view payload, std::uint64_t& offset,
                         std::uint32_t& bytes) noexcept;

class BulkSegment {
 public:
  /// Makes the segment (0600, named after pid inside this server's prefix); the parent does this.
  static Result<Fd> create(const std::string& name);
  static void remove(const std::string& name) noexcept;
  /// Maps a segment by descriptor; refuses one that is not exactly bulk_segment_bytes.
  static Result<std::unique_ptr<BulkSegment>> map(Fd fd, bool child_side);
  /// Opens by name (the sibling), maps, and takes the name away.
  static Result<std::unique_ptr<BulkSegment>> open(const std::string& name);

  /// Room for so many bytes, at most bulk_slot_bytes, to fill and hand over: its offset. Behind
  /// what lies in a slot of our own, or in one that is free.
  std::optional<std::uint64_t> take(std::size_t bytes) noexcept;
  /// A slot to fill by and by, if one is free and another is not kept so.
  std::optional<std::uint64_t> keep() noexcept;
  /// The slot that was kept is handed over.
  void hand_over(std::uint64_t offset) noexcept;
  /// Would take() find it?
  bool has_room(std::size_t bytes) const noexcept;
  char* at(std::uint64_t offset) noexcept;
  /// The other side has copied what we put there (any offset inside the slot). False: it was not
  /// ours or not taken.
  bool give_back(std::uint64_t offset) noexcept;
  /// Bytes the other side has put in a slot of its own. Empty optional: not inside one of these.
  std::optional<std::string_view> view(std::uint64_t offset, std::size_t bytes) const noexcept;

 private:
  BulkSegment(boost::interprocess::mapped_region region, bool child_side) noexcept
      : region_(std::move(region)), child_side_(child_side), own_(slots(child_side)) {}
  static std::size_t first_slot(bool of_child) noexcept {
    return of_child ? 0 : bulk_request_slots;
  }
  static std::size_t slots(bool of_child) noexcept {
    return of_child ? bulk_request_slots : bulk_reply_slots;
  }
  /// The number of the slot at offset among those of a side; empty if it is not one of them.
  static std::optional<std::size_t> slot_of(std::uint64_t offset, bool of_child) noexcept;

  /// What lies in a slot of our own: so many pieces, in its first bytes. Free when all are back.
  struct Slot {
    std::size_t used = 0;
    std::uint32_t pieces = 0;
    bool kept = false;
  };

  boost::interprocess::mapped_region region_;
  bool child_side_;
  std::vector<Slot> own_;
};

}  // namespace kv
