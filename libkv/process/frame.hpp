// The frames that child and sibling exchange over a child's two pipes.
//
// A frame is a 12-byte header (little-endian) and its payload:
//   u32 size        bytes of payload, at most limits::frame_bytes_max
//   u32 connection  number of the connection inside the child
//   u8  kind        FrameKind
//   u8  flags       FrameFlag, meaning depends on the direction
//   u16 count       replies in the payload (reply frames), otherwise 0
// A request's payload: u32 number of arguments, then for each u32 length, u8 Kind, its bytes. One
// that is larger than a frame comes in pieces: part frames, then a request frame with the rest.
// A reply's payload: RESP3 as wire/reply.hpp writes it; larger than a frame: all but the last piece
// have kMore. A message's payload, which may come in such pieces, too: u32 number of connections,
// for each u32, then what each of them gets between two replies, as RESP3. A child's frames are
// foreign bytes: whoever reads them must believe nothing.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

enum class FrameKind : std::uint8_t {
  // child to sibling
  open = 1,     // a connection has said its first byte: payload u8 Dialect, i32 descriptor
  request = 2,  // payload: the arguments, or the last piece of them
  part = 3,     // a piece of a request's payload
  closed = 4,   // the client is gone
  bulk = 5,     // a piece that lies in the child's segment: payload u64 offset, u32 length; with
                // kMore another piece of the same slot follows; with kArgument it belongs to the
                // argument whose head came last
  taken = 6,    // the client has taken so many more bytes of replies: payload u64
  mapped = 7,   // the child has mapped its segment
  ended = 8,    // the client of a login that is not answered yet will send no more
  // sibling to child
  attached = 16,    // the sibling has opened both pipes
  reply = 17,       // payload: replies
  bulk_reply = 18,  // a piece of a reply that lies in the segment: payload u64 offset, u32 length
  bulk_done = 19,   // the sibling has copied a bulk piece: payload u64 offset
  usable = 20,      // so has the sibling: the segment may be used
  later = 21,       // the connection's next reply may be long in coming: its request waits
  message = 22,     // what nobody has asked for: see above
  // in the sibling's queue only
  large = 32,  // a whole reply that is larger than a frame (Channel)
};

enum FrameFlag : std::uint8_t {
  kTranslate = 1,      // RESP2 and RESP3 differ for these bytes
  kResp3 = 2,          // the connection speaks RESP3
  kAuthenticated = 4,  // full limits apply from now on
  kClose = 8,          // hang up when this has been sent; with no reply: now
  kMore = 16,          // the reply goes on in the next frame of this connection; or see bulk
  kArgument = 32,      // see bulk
};

struct FrameHeader {
  std::uint32_t size = 0;
  std::uint32_t connection = 0;
  FrameKind kind{};
  std::uint8_t flags = 0;
  std::uint16_t count = 0;
};
static_assert(sizeof(FrameHeader) == 12);

inline constexpr std::size_t frame_header_bytes = sizeof(FrameHeader);

/// Appends a header; the caller appends header.size bytes of payload.
inline void append_header(std::string& out, const FrameHeader& header) {
  out.append(reinterpret_cast<const char*>(&header), sizeof header);
}

/// Takes one whole frame off the front of bytes. False: not all there yet (bad unset) or a header
/// no honest peer sends (bad set).
inline bool take_frame(std::string_view& bytes, FrameHeader& header, std::string_view& payload,
                       bool& bad) noexcept {
  bad = false;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.size > limits::frame_bytes_max) {
    bad = true;
    return false;
  }
  if (bytes.size() - sizeof header < header.size) return false;
  payload = {bytes.data() + sizeof header, header.size};
  bytes.remove_prefix(sizeof header + header.size);
  return true;
}

/// The serialised form of arguments, as a request's payload.
void append_arguments(std::string& out, std::span<const Scalar> args);
/// The same in parts: the number of arguments, and what precedes the bytes of each.
void append_count(std::string& out, std::span<const Scalar> args);
void append_argument_head(std::string& out, const Scalar& arg);
std::size_t arguments_bytes(std::span<const Scalar> args) noexcept;

/// What of a request's payload has not been read yet. Each function is false where that is not
/// there.
class UnreadArguments {
 public:
  explicit UnreadArguments(std::string_view payload) noexcept
      : at_(payload.data()), end_(payload.data() + payload.size()) {}

  /// How many there are to be, first of all: no more than the bytes received can hold.
  bool count(std::size_t& n) noexcept {
    std::uint32_t narrow;
    if (left() < sizeof narrow) return false;
    std::memcpy(&narrow, at_, sizeof narrow);
    at_ += sizeof narrow;
    n = narrow;
    return n <= limits::args_max && n * head_bytes <= left();
  }
  bool head(std::size_t& size, Kind& kind) noexcept {
    if (left() < head_bytes) return false;
    std::uint32_t narrow;
    std::memcpy(&narrow, at_, sizeof narrow);
    size = narrow;
    kind = static_cast<Kind>(at_[sizeof narrow]);
    at_ += head_bytes;
    return static_cast<std::uint8_t>(kind) <= static_cast<std::uint8_t>(Kind::list);
  }
  bool bytes(std::size_t size, std::string_view& bytes) noexcept {
    if (left() < size) return false;
    bytes = {at_, size};
    at_ += size;
    return true;
  }
  /// A head and its bytes.
  bool argument(Scalar& arg) noexcept {
    std::size_t size = 0;
    return head(size, arg.kind) && bytes(size, arg.bytes);
  }
  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

  static constexpr std::size_t head_bytes = 5;

 private:
  const char* at_;
  const char* end_;
};

/// The bytes of an argument that are not in the payload with its head; place: where they would be.
struct Elsewhere {
  std::size_t place;
  std::string_view bytes;
};
/// Reads arguments back, in place of those args held; they point into payload. False if the payload
/// is not exactly that; args are then of no use.
bool read_arguments(std::string_view payload, std::vector<Scalar>& args);
/// The same where some of them are elsewhere, in the order of their places.
bool read_arguments(std::string_view payload, std::vector<Scalar>& args,
                    std::span<const Elsewhere> elsewhere);

/// Appends a piece of a request's payload: part frames.
void append_parts(std::string& out, std::uint32_t connection, std::string_view piece);
/// Appends the rest of a request's payload: parts and a request frame.
void append_pieces(std::string& out, std::uint32_t connection, std::string_view rest);
/// Appends the frame that carries these arguments, which must fit one; bytes:
/// arguments_bytes(args).
void append_request(std::string& out, std::uint32_t connection, std::span<const Scalar> args,
                    std::size_t bytes);

}  // namespace kv
