// See memory.hpp.
#include "libkv/base/memory.hpp"

#include <sys/mman.h>

#include <new>

#include "libkv/base/limits.hpp"

namespace kv::memory {
namespace {

void* reserve = nullptr;
bool usable = false;

/// Counts as used address space and is never touched.
void* take(std::size_t bytes) noexcept {
  void* const p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

/// The handler of operator new: it asks again when this returns.
void when_new_fails() {
  if (!give_up_reserve()) throw std::bad_alloc();
}

}  // namespace

bool hold_reserve() noexcept {
  if (reserve == nullptr) {
    reserve = take(limits::memory_reserve_bytes);
    std::set_new_handler(when_new_fails);  // once: it costs as much as a small write
  }
  return reserve != nullptr;
}

bool room_for(std::size_t bytes) noexcept {
  void* const p = take(bytes);
  if (p != nullptr) ::munmap(p, bytes);
  return p != nullptr;
}

bool give_up_reserve() noexcept {
  if (!usable || reserve == nullptr) return false;
  ::munmap(reserve, limits::memory_reserve_bytes);
  reserve = nullptr;
  return true;
}

MayUseReserve::MayUseReserve() noexcept { usable = true; }
MayUseReserve::~MayUseReserve() { usable = false; }

}  // namespace kv::memory
