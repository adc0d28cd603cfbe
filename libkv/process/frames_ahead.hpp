// The frames of one read, taken apart some requests ahead of the one that is handled, so that the
// memory of their keys is loaded meanwhile.
//
// The bytes are a child's: of a request it gives out only what it has checked. Which argument is a
// key is a guess, and no more than a hint.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "libkv/base/text.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/keyspace/siphash.hpp"
#include "libkv/process/frame.hpp"

namespace kv {

class FramesAhead {
 public:
  struct Frame {
    FrameHeader header;
    std::string_view payload;
    KnownHashes hashes;  // of what mostly is the key, and a field of it
    std::size_t argc;    // of a request, whole and good; 0: read it otherwise
    union {  // none is made before there is an argument: that would cost 64 for each read
      std::array<Scalar, 4> argv;
    };

    Frame() noexcept {}
    std::span<const Scalar> args() const noexcept { return {argv.data(), argc}; }
  };

  /// keys: where most of them will be looked for.
  FramesAhead(Keyspace& keys, std::string_view bytes) noexcept : keys_(keys), bytes_(bytes) {}
  /// Null: there is no further whole frame. What it points to lives until the next call.
  const Frame* next() noexcept {
    while (known_ < handled_ + distance && take_one()) {
    }
    if (known_ == handled_) return nullptr;
    if (has_fields_) load_fields();
    const Frame& frame = at(handled_++);
    taken_ += frame_header_bytes + frame.payload.size();
    return &frame;
  }
  /// Bytes of the frames that next() has given.
  std::size_t taken() const noexcept { return taken_; }
  /// Behind those that next() gave comes one that no honest child sends.
  bool bad() const noexcept { return bad_; }

 private:
  // Frames. prefetch() takes four of them for its two steps, and so does prefetch_field(), for
  // which the key must be there.
  static constexpr std::size_t distance = 12, field_distance = 8;

  Frame& at(std::size_t i) noexcept { return frames_[i % frames_.size()]; }

  bool take_one() noexcept {
    Frame& frame = at(known_);
    if (bad_ || !take_frame(bytes_, frame.header, frame.payload, bad_)) return false;
    ++known_;
    frame.hashes = {};
    frame.argc = 0;
    if (frame.header.kind != FrameKind::request || !read(frame)) return true;
    const bool alone = known_ == 1 && bytes_.empty();  // nothing to do meanwhile
    if (!alone && frame.argc > 1) load_key(frame);
    return true;
  }

  /// False: they are many, or a piece, or bad.
  bool read(Frame& frame) noexcept {
    UnreadArguments unread(frame.payload);
    std::size_t count = 0;
    if (!unread.count(count) || count > frame.argv.size()) return false;
    for (std::size_t i = 0; i < count; ++i) {
      Scalar arg;
      if (!unread.argument(arg)) return false;
      std::construct_at(&frame.argv[i], arg);
    }
    if (unread.left() == 0) frame.argc = count;
    return frame.argc != 0;
  }

  void load_key(Frame& frame) noexcept {
    const std::string_view word = frame.argv[0].bytes, key = frame.argv[1].bytes;
    if (key_hash_ == 0 || !same_bytes(key, key_)) {  // a pipeline may be on one key
      key_ = key;
      key_hash_ = hash_of(key);
      keys_.prefetch(key_hash_);
    }
    frame.hashes.key = key_hash_;
    const bool of_hash = frame.argc > 2 && !word.empty() && (word[0] | 0x20) == 'h';
    if (!of_hash) return;
    frame.hashes.field = hash_of(frame.argv[2].bytes);
    has_fields_ = true;
  }

  void load_fields() noexcept {
    for (; fields_ < known_ && fields_ < handled_ + field_distance; ++fields_) {
      const Frame& frame = at(fields_);
      if (frame.hashes.field != 0) keys_.prefetch_field(frame.hashes.key, frame.hashes.field);
    }
  }

  Keyspace& keys_;
  std::string_view bytes_;        // behind what is known
  std::array<Frame, 16> frames_;  // more than distance
  std::string_view key_;          // of the last frame that has one
  std::uint64_t key_hash_ = 0;    // 0: there was none
  std::size_t known_ = 0, fields_ = 0, handled_ = 0;
  std::size_t taken_ = 0;
  bool has_fields_ = false;  // any frame so far
  bool bad_ = false;
};

}  // namespace kv
