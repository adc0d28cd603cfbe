// See frame.hpp.
#include "libkv/process/frame.hpp"

#include <bit>
#include <utility>

namespace kv {
namespace {

static_assert(std::endian::native == std::endian::little, "frames never leave the machine");

void store_u32(char* to, std::size_t n) noexcept {
  const auto narrow = static_cast<std::uint32_t>(n);
  std::memcpy(to, &narrow, sizeof narrow);
}

/// Writes argument_header_bytes.
void write_argument_head(char* to, const Scalar& arg) noexcept {
  store_u32(to, arg.bytes.size());
  to[4] = static_cast<char>(arg.kind);
}

constexpr std::size_t count_bytes = 4;
constexpr std::size_t argument_header_bytes = UnreadArguments::head_bytes;

}  // namespace

std::size_t arguments_bytes(std::span<const Scalar> args) noexcept {
  std::size_t total = 4;
  for (const Scalar& arg : args) total += argument_header_bytes + arg.bytes.size();
  return total;
}

void append_count(std::string& out, std::span<const Scalar> args) {
  char count[count_bytes];
  store_u32(count, args.size());
  out.append(count, sizeof count);
}

void append_argument_head(std::string& out, const Scalar& arg) {
  char head[argument_header_bytes];
  write_argument_head(head, arg);
  out.append(head, sizeof head);
}

namespace {

/// Writes arguments_bytes(args).
void write_arguments(char* to, std::span<const Scalar> args) noexcept {
  store_u32(to, args.size());
  to += count_bytes;
  for (const Scalar& arg : args) {
    write_argument_head(to, arg);
    to += argument_header_bytes;
    to += arg.bytes.copy(to, arg.bytes.size());
  }
}

}  // namespace

void append_arguments(std::string& out, std::span<const Scalar> args) {
  const std::size_t before = out.size();
  out.resize(before + arguments_bytes(args));
  write_arguments(out.data() + before, args);
}

bool read_arguments(std::string_view payload, std::vector<Scalar>& args) {
  UnreadArguments unread(payload);
  std::size_t count = 0;
  if (!unread.count(count)) return false;
  args.resize(count);  // nothing to do after a request of as many
  for (Scalar& arg : args) {
    if (!unread.argument(arg)) return false;
  }
  return unread.left() == 0;
}

bool read_arguments(std::string_view payload, std::vector<Scalar>& args,
                    std::span<const Elsewhere> elsewhere) {
  UnreadArguments unread(payload);
  std::size_t count = 0, size = 0;
  if (!unread.count(count)) return false;
  args.resize(count);
  for (Scalar& arg : args) {
    if (!unread.head(size, arg.kind)) return false;
    if (elsewhere.empty() || elsewhere.front().place != payload.size() - unread.left()) {
      if (!unread.bytes(size, arg.bytes)) return false;
      continue;
    }
    if (elsewhere.front().bytes.size() != size) return false;
    arg.bytes = elsewhere.front().bytes;
    elsewhere = elsewhere.subspan(1);
  }
  return unread.left() == 0 && elsewhere.empty();
}

void append_request(std::string& out, std::uint32_t connection, std::span<const Scalar> args,
                    std::size_t bytes) {
  const FrameHeader header{static_cast<std::uint32_t>(bytes), connection, FrameKind::request, 0, 0};
  const std::size_t before = out.size();
  out.resize(before + sizeof header + bytes);  // once: a request is mostly a few short words
  std::memcpy(out.data() + before, &header, sizeof header);
  write_arguments(out.data() + before + sizeof header, args);
}

namespace {

void append_frame(std::string& out, std::uint32_t connection, FrameKind kind,
                  std::string_view payload) {
  append_header(out, {static_cast<std::uint32_t>(payload.size()), connection, kind, 0, 0});
  out.append(payload);
}

}  // namespace

void append_parts(std::string& out, std::uint32_t connection, std::string_view piece) {
  while (!piece.empty()) {
    const std::string_view payload = piece.substr(0, limits::frame_bytes_max);
    append_frame(out, connection, FrameKind::part, payload);
    piece.remove_prefix(payload.size());
  }
}

void append_pieces(std::string& out, std::uint32_t connection, std::string_view rest) {
  const std::size_t last = rest.size() % limits::frame_bytes_max;
  append_parts(out, connection, rest.substr(0, rest.size() - last));
  append_frame(out, connection, FrameKind::request, rest.substr(rest.size() - last));
}

}  // namespace kv
