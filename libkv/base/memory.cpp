// See memory.hpp.
#include "libkv/base/memory.hpp"

#include <sys/mman.h>

#include <array>
#include <cstdlib>
#include <new>
#include <utility>

#include "libkv/base/limits.hpp"

namespace kv::memory {
namespace {

constexpr std::size_t piece_bytes = limits::memory_reserve_bytes / 16;

void* reserve = nullptr;  // in one piece, or
std::array<void*, limits::memory_reserve_bytes / piece_bytes> pieces{};

/// Counts as used address space and is never touched.
void* take(std::size_t bytes) noexcept {
  void* const p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void give_pieces_back() noexcept {
  for (void*& piece : pieces) std::free(std::exchange(piece, nullptr));
}

/// What has been deleted mostly is between other things in the heap: no address is free, but room
/// is.
bool take_pieces() noexcept {
  for (void*& piece : pieces) {
    if (piece = std::malloc(piece_bytes); piece != nullptr) continue;
    give_pieces_back();
    return false;
  }
  return true;
}

bool held() noexcept { return reserve != nullptr || pieces.front() != nullptr; }

/// The handler of operator new: it asks again when this returns.
void when_new_fails() {
  if (!give_up_reserve()) throw std::bad_alloc();
}

}  // namespace

bool hold_reserve() noexcept {
  if (held()) return true;
  std::set_new_handler(when_new_fails);  // once: it costs as much as a small write
  reserve = take(limits::memory_reserve_bytes);
  return reserve != nullptr || take_pieces();
}

bool room_for(std::size_t bytes) noexcept {
  void* const p = take(bytes);
  if (p != nullptr) {
    ::munmap(p, bytes);
    return true;
  }
  void* volatile in_heap = std::malloc(bytes);  // volatile: a compiler may leave the pair out
  std::free(in_heap);
  return in_heap != nullptr;
}

bool give_up_reserve() noexcept {
  if (!MayUseReserve::usable_ || !held()) return false;
  if (reserve != nullptr) ::munmap(std::exchange(reserve, nullptr), limits::memory_reserve_bytes);
  give_pieces_back();
  return true;
}

}  // namespace kv::memory
