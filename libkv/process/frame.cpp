// See frame.hpp.
#include "libkv/process/frame.hpp"

#include <bit>
#include <utility>

namespace kv {
namespace {

static_assert(std::endian::native == std::endian::little, "frames never leave the machine");

void append_u32(std::string& out, std::size_t n) {
  const auto narrow = static_cast<std::uint32_t>(n);
  out.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
}

std::uint32_t load_u32(const char* from) noexcept {
  std::uint32_t n;
  std::memcpy(&n, from, sizeof n);
  return n;
}

constexpr std::size_t argument_header_bytes = 5;

}  // namespace

bool take_frame(std::string_view& bytes, FrameHeader& header, std::string_view& payload,
                bool& bad) {
  bad = false;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.size > limits::frame_bytes_max) {
    bad = true;
    return false;
  }
  if (bytes.size() - sizeof header < header.size) return false;
  payload = bytes.substr(sizeof header, header.size);
  bytes.remove_prefix(sizeof header + header.size);
  return true;
}

std::size_t arguments_bytes(std::span<const Scalar> args) noexcept {
  std::size_t total = 4;
  for (const Scalar& arg : args) total += argument_header_bytes + arg.bytes.size();
  return total;
}

void append_count(std::string& out, std::span<const Scalar> args) { append_u32(out, args.size()); }

void append_argument_head(std::string& out, const Scalar& arg) {
  char head[argument_header_bytes];
  const auto size = static_cast<std::uint32_t>(arg.bytes.size());
  std::memcpy(head, &size, sizeof size);
  head[4] = static_cast<char>(arg.kind);
  out.append(head, sizeof head);
}

void append_arguments(std::string& out, std::span<const Scalar> args) {
  append_count(out, args);
  for (const Scalar& arg : args) {
    append_argument_head(out, arg);
    out.append(arg.bytes);
  }
}

bool read_arguments(std::string_view payload, std::vector<Scalar>& args,
                    std::span<const Elsewhere> elsewhere) {
  const char* const start = payload.data();
  if (payload.size() < 4) return false;
  const std::size_t count = load_u32(payload.data());
  payload.remove_prefix(4);
  // Nothing is reserved for a count that the bytes received cannot hold.
  if (count > limits::args_max || count * argument_header_bytes > payload.size()) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (payload.size() < argument_header_bytes) return false;
    const std::size_t size = load_u32(payload.data());
    const auto kind = static_cast<std::uint8_t>(payload[4]);
    payload.remove_prefix(argument_header_bytes);
    if (kind > static_cast<std::uint8_t>(Kind::list)) return false;
    const auto place = static_cast<std::size_t>(payload.data() - start);
    if (!elsewhere.empty() && elsewhere.front().place == place) {
      if (elsewhere.front().bytes.size() != size) return false;
      args.emplace_back(elsewhere.front().bytes, static_cast<Kind>(kind));
      elsewhere = elsewhere.subspan(1);
      continue;
    }
    if (size > payload.size()) return false;
    args.emplace_back(payload.substr(0, size), static_cast<Kind>(kind));
    payload.remove_prefix(size);
  }
  return payload.empty() && elsewhere.empty();
}

namespace {

/// Takes an argument off the front of rest; empty, and so is the rest then, if there is none whole.
std::string_view take_likely(std::string_view& rest) noexcept {
  const std::string_view all = std::exchange(rest, {});
  if (all.size() < argument_header_bytes) return {};
  const std::size_t size = load_u32(all.data());
  if (size > all.size() - argument_header_bytes) return {};
  rest = all.substr(argument_header_bytes + size);
  return all.substr(argument_header_bytes, size);
}

}  // namespace

std::string_view likely_key(std::string_view payload) noexcept {
  if (payload.size() < 4) return {};
  payload.remove_prefix(4);
  take_likely(payload);
  return take_likely(payload);
}

std::string_view likely_field(std::string_view payload) noexcept {
  constexpr std::size_t word = 4 + argument_header_bytes;
  if (payload.size() <= word || (payload[word] | 0x20) != 'h') return {};
  payload.remove_prefix(4);
  take_likely(payload);
  take_likely(payload);
  return take_likely(payload);
}

void append_request(std::string& out, std::uint32_t connection, std::span<const Scalar> args,
                    std::size_t bytes) {
  append_header(out, {static_cast<std::uint32_t>(bytes), connection, FrameKind::request, 0, 0});
  append_arguments(out, args);
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
