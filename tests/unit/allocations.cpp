// See allocations.hpp.
#include "tests/unit/allocations.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t asked_bytes = 0, asked_count = 0, largest_asked = 0;
thread_local std::size_t largest_given = SIZE_MAX;

}  // namespace

// In the place of the library's, for the whole program: all but the aligned ones, since those of
// AddressSanitizer do not call each other.
void* operator new(std::size_t bytes) {
  asked_bytes += bytes;
  ++asked_count;
  largest_asked = std::max(largest_asked, bytes);
  if (bytes > largest_given) throw std::bad_alloc();
  for (;;) {
    if (void* const p = std::malloc(std::max<std::size_t>(bytes, 1)); p != nullptr) return p;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t& how) noexcept {
  return operator new(bytes, how);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }

namespace kv::test {

Allocations::Allocations() noexcept : bytes_before_(asked_bytes), count_before_(asked_count) {
  largest_asked = 0;
}
std::size_t Allocations::bytes() const noexcept { return asked_bytes - bytes_before_; }
std::size_t Allocations::count() const noexcept { return asked_count - count_before_; }
std::size_t Allocations::largest() const noexcept { return largest_asked; }

AllocationLimit::AllocationLimit(std::size_t bytes) noexcept { largest_given = bytes; }
AllocationLimit::~AllocationLimit() { largest_given = SIZE_MAX; }

}  // namespace kv::test
