// What the request parsers (resp.hpp, plio.hpp) have in common: their outcome and their arguments.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/value/scalar.hpp"

namespace kv {

enum class ParseState : std::uint8_t {
  need_more,  // what is there is fine so far
  request,    // args() hold one
  error,      // the bytes are not a request: answer error() and hang up
  close,      // PLIO only: the client said goodbye
};

/// The arguments of one request while it arrives. Before the request is complete only offsets are
/// kept, since the connection's buffer may move; resolve() turns them into Scalars.
class ArgList {
 public:
  std::span<const Scalar> args() const noexcept { return args_; }
  std::size_t size() const noexcept { return pending_.size(); }

  void clear() noexcept {
    args_.clear();
    if (!pending_.empty()) pending_.clear(), scratch_.clear();
    if (scratch_.capacity() > scratch_kept_max) scratch_.shrink_to_fit();
  }
  /// The fast way, for a request that is complete in one buffer: goes with no other call but
  /// save_fast.
  void add_fast(const char* bytes, std::size_t n) {
    args_.emplace_back(std::string_view(bytes, n));
  }
  /// What was added the fast way so far is kept as offsets from base: more bytes are needed.
  void save_fast(const char* base) {
    for (const Scalar& arg : args_)
      add_data(static_cast<std::size_t>(arg.bytes.data() - base), arg.bytes.size(), arg.kind);
    args_.clear();
  }

  void add_data(std::size_t offset, std::size_t n, Kind kind) {
    pending_.push_back({offset, n, kind, false});
  }
  /// The first n bytes of the data are gone: nothing here lies in them.
  void shift(std::size_t n) noexcept {
    for (Pending& p : pending_) p.offset -= p.in_scratch ? 0 : n;
  }
  /// Copies.
  void add_scratch(std::string_view bytes, Kind kind) {
    begin_scratch(), scratch_.append(bytes), end_scratch(kind);
  }
  // An argument that is made piece by piece: begin, append to scratch(), end.
  void begin_scratch() noexcept { scratch_start_ = scratch_.size(); }
  std::string& scratch() noexcept { return scratch_; }
  std::size_t scratch_size() const noexcept { return scratch_.size() - scratch_start_; }
  std::string_view scratch_bytes() const noexcept {
    return std::string_view(scratch_).substr(scratch_start_);
  }
  void end_scratch(Kind kind) { pending_.push_back({scratch_start_, scratch_size(), kind, true}); }
  void cancel_scratch() { scratch_.resize(scratch_start_); }
  void drop_last() noexcept { pending_.pop_back(); }

  void resolve(std::string_view data) {
    args_.clear();
    args_.reserve(pending_.size());
    for (const Pending& p : pending_)
      args_.emplace_back(
          std::string_view((p.in_scratch ? scratch_.data() : data.data()) + p.offset, p.bytes),
          p.kind);
  }

 private:
  static constexpr std::size_t scratch_kept_max = 64 * 1024;

  struct Pending {
    std::size_t offset, bytes;
    Kind kind;
    bool in_scratch;
  };
  std::vector<Scalar> args_;
  std::vector<Pending> pending_;
  std::string scratch_;
  std::size_t scratch_start_ = 0;
};

}  // namespace kv
