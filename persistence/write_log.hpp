// The log as the engine sees it: lines are added, then written with one write, before anything of
// them is applied.
#pragma once

#include <cstdint>
#include <span>

#include "libkv/base/status.hpp"
#include "libkv/value/scalar.hpp"
#include "libkv/wire/reply.hpp"

namespace kv {

class WriteLog {
 public:
  virtual ~WriteLog() = default;
  /// The time for the next line: wall_ns, or one more than the last line's if that is not later.
  /// Nanoseconds since 1970, UTC.
  virtual std::int64_t next_time(std::int64_t wall_ns) = 0;
  /// Adds one line to the batch. time_ns comes from next_time. args[0] is the command word. The
  /// line of a PLIO client says so, because some commands do another thing for it (a fifth item,
  /// plio). Throws std::bad_alloc, having added nothing.
  virtual void add(std::int64_t time_ns, unsigned database, Dialect dialect,
                   std::span<const Scalar> args) = 0;
  /// Writes the batch (and syncs it, where the policy says so). On failure nothing of it is in the
  /// file and the caller must apply nothing of it. The Status is the sentence clients are told.
  virtual Status write() = 0;
  /// Takes the last so many lines of the batch written last out of the file: they could not be
  /// applied. On failure they may be there, and nothing is written any more.
  virtual Status take_back(std::size_t lines) = 0;
  /// Nothing is written any more, for this reason: what it should say was applied, and cannot be.
  virtual void give_up(const Status& why) = 0;
  /// The batch that waits shall not be written.
  virtual void forget() noexcept = 0;
  /// Is a batch waiting to be written?
  virtual bool pending() const = 0;
};

}  // namespace kv
