// Counts what operator new is asked for, so that a test can tell work that grows with a value from
// work that does not; and lets it find no memory. Not a test. The keyspace's own memory comes from
// its arena and is not counted.
#pragma once

#include <cstddef>

namespace kv::test {

/// What this thread has asked of operator new since this object was made.
class Allocations {
 public:
  Allocations() noexcept;
  std::size_t bytes() const noexcept;
  std::size_t count() const noexcept;
  /// The largest single one; of the newest object alone.
  std::size_t largest() const noexcept;

 private:
  std::size_t bytes_before_, count_before_;
};

/// While it lives, this thread gets no larger piece of memory at a time: std::bad_alloc.
class AllocationLimit {
 public:
  explicit AllocationLimit(std::size_t bytes) noexcept;
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
};

}  // namespace kv::test
