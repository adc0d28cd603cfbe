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
  head_.clear();
  head_done_ = bytes_done_ = 0;
  append_count(head_, args);
  append_argument_head(head_, args.front());
}

bool LargeRequest::go_on(FrameWriter& out) {
  for (; !args_.empty(); next_argument()) {
    if (put(head_, head_done_, out) && put(args_.front().bytes, bytes_done_, out)) continue;
    if (!std::exchange(queued_, true)) out.queue.push_back(connection_);
    return false;
  }
  if (slot_) send_slot(out);
  append_pieces(out.bytes, connection_, {});
  stop();
  return true;
}

void LargeRequest::next_argument() {
  args_ = args_.subspan(1);
  head_.clear();
  head_done_ = bytes_done_ = 0;
  if (!args_.empty()) append_argument_head(head_, args_.front());
}

/// False: no slot is free.
bool LargeRequest::put(std::string_view bytes, std::size_t& done, FrameWriter& out) {
  while (done < bytes.size()) {
    if (!slot_ && !(slot_ = segment_->take())) return false;
    const std::string_view piece = bytes.substr(done, bulk_slot_bytes - used_);
    std::memcpy(segment_->at(*slot_) + used_, piece.data(), piece.size());
    used_ += piece.size();
    done += piece.size();
    if (used_ == bulk_slot_bytes) send_slot(out);
  }
  return true;
}

void LargeRequest::send_slot(FrameWriter& out) {
  append_bulk_frame(out.bytes, FrameKind::bulk, connection_, 0, *slot_, used_);
  slot_.reset();
  used_ = 0;
}

void LargeRequest::stop() noexcept {
  if (slot_) segment_->give_back(*slot_);
  slot_.reset();
  segment_ = nullptr;
  args_ = {};
  used_ = 0;
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
    const std::uint8_t flags = --left > 0 ? kMore : 0;
    append_bulk_frame(out.bytes, FrameKind::bulk, connection, flags, *offset, arg.bytes.size());
    if (left == 0) input.hand_over();
  }
  append_pieces(out.bytes, connection, small);
}

}  // namespace kv
