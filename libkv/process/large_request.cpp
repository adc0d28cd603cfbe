// See large_request.hpp.
#include "libkv/process/large_request.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libkv/process/frame.hpp"

namespace kv {

void LargeRequest::begin(std::span<const Scalar> args, FrameWriter& out, std::uint32_t connection) {
  args_ = args;
  connection_ = connection;
  segment_ = out.segment;
  append_count(words_, args);
}

bool LargeRequest::go_on(FrameWriter& out) {
  while (put_words(out) && put_value(out)) {
    if (args_.empty()) {
      append_pieces(out.bytes, connection_, words_);
      stop();
      return true;
    }
    const Scalar& next = args_.front();
    append_argument_head(words_, next);
    if (next.bytes.size() < bulk_worth_bytes) words_.append(next.bytes);
    else value_ = next.bytes;
    args_ = args_.subspan(1);
  }
  if (!std::exchange(queued_, true)) out.queue.push_back(connection_);
  return false;
}

/// False: no slot is free.
bool LargeRequest::put_words(FrameWriter& out) {
  std::string_view words = words_;
  if (words.size() < bulk_worth_bytes) return true;
  if (!put(words, 0, out)) return false;
  words_.clear();
  return true;
}

bool LargeRequest::put_value(FrameWriter& out) {
  if (value_.empty()) return true;
  append_parts(out.bytes, connection_, words_);
  words_.clear();
  while (!value_.empty()) {
    if (!put(value_, kArgument, out)) return false;
  }
  return true;
}

/// Sends the first of these bytes in a slot, and forgets them.
bool LargeRequest::put(std::string_view& bytes, std::uint8_t flags, FrameWriter& out) {
  const std::string_view piece = bytes.substr(0, bulk_slot_bytes);
  const auto slot = segment_->take(piece.size());
  if (!slot) return false;
  std::memcpy(segment_->at(*slot), piece.data(), piece.size());
  append_bulk_frame(out.bytes, FrameKind::bulk, connection_, flags, *slot, piece.size());
  bytes.remove_prefix(piece.size());
  return true;
}

void LargeRequest::stop() noexcept {
  segment_ = nullptr;
  args_ = {};
  std::string().swap(words_);
}

void send_from_slot(std::span<const Scalar> args, InputBuffer& input, FrameWriter& out,
                    std::uint32_t connection) {
  const auto in_place = [&input](const Scalar& arg) {
    return arg.bytes.size() >= bulk_worth_bytes ? input.offset_of(arg.bytes) : std::nullopt;
  };
  auto left = std::count_if(args.begin(), args.end(),
                            [&](const Scalar& arg) { return in_place(arg).has_value(); });
  std::string small;
  append_count(small, args);
  for (const Scalar& arg : args) {
    append_argument_head(small, arg);
    const auto offset = in_place(arg);
    if (!offset) {
      small.append(arg.bytes);
      continue;
    }
    append_parts(out.bytes, connection, small);
    small.clear();
    const std::uint8_t flags = --left > 0 ? kArgument | kMore : kArgument;
    append_bulk_frame(out.bytes, FrameKind::bulk, connection, flags, *offset, arg.bytes.size());
    if (left == 0) input.hand_over();
  }
  append_pieces(out.bytes, connection, small);
}

}  // namespace kv
