// What is kept aside for the moment when there is no more memory.
//
// A write that is in the log must be done whole, and whoever asked must get an answer. While that
// is done, the reserve is given up as soon as memory ends, so that it can finish; then writes are
// refused until the reserve can be taken back. What a client may ask for in any size (a read, a
// save, the pieces of a request) must do without it. It is address space only: it costs no memory
// until it is needed. One thread only. Where the kernel promises more than there is, memory does
// not end with an error and this cannot help.
#pragma once

#include <cstddef>
#include <utility>

namespace kv::memory {

/// Takes the reserve, if it is not held. False: there is no room for it.
bool hold_reserve() noexcept;
/// Is there room for so many bytes more, besides the reserve?
bool room_for(std::size_t bytes) noexcept;

/// While one lives, memory that ends gives up the reserve, or, with false, does not. The innermost
/// decides.
class MayUseReserve {
 public:
  explicit MayUseReserve(bool may = true) noexcept : before_(std::exchange(usable_, may)) {}
  ~MayUseReserve() { usable_ = before_; }
  MayUseReserve(const MayUseReserve&) = delete;
  MayUseReserve& operator=(const MayUseReserve&) = delete;

 private:
  friend bool give_up_reserve() noexcept;
  inline static bool usable_ = false;
  bool before_;
};

/// For who asks for memory other than by new, when it got none: true if it shall ask again.
bool give_up_reserve() noexcept;

}  // namespace kv::memory
