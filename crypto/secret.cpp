// See secret.hpp.
#include "crypto/secret.hpp"

#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <new>
#include <utility>

namespace kv::crypto {
namespace {

std::size_t whole_pages(std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

void wipe(char* start, std::size_t bytes) noexcept {
  if (bytes > 0) ::explicit_bzero(start, bytes);
}

void wipe(std::string& text) noexcept {
  text.resize(text.capacity());  // never allocates
  wipe(text.data(), text.size());
  text.clear();
}

SecretString& SecretString::operator=(SecretString&& other) noexcept {
  if (this != &other) {
    clear();
    swap(other);
  }
  return *this;
}

void SecretString::append(std::string_view text) {
  if (text.empty()) return;
  if (text.size() > capacity_ - size_) grow(size_ + text.size());
  std::memcpy(bytes_ + size_, text.data(), text.size());
  size_ += text.size();
}

void SecretString::clear() noexcept {
  if (bytes_ != nullptr) {
    wipe(bytes_, size_);  // the kernel clears freed pages too, but only when it hands them on
    ::munmap(bytes_, capacity_);
  }
  bytes_ = nullptr;
  start_ = size_ = capacity_ = 0;
}

void SecretString::grow(std::size_t wanted) {
  SecretString larger;
  const std::size_t bytes = whole_pages(wanted > 2 * capacity_ ? wanted : 2 * capacity_);
  void* pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  larger.bytes_ = static_cast<char*>(pages);
  larger.capacity_ = bytes;
  // Both are an improvement where they work; a small RLIMIT_MEMLOCK must not make a value
  // unreadable.
  (void)::madvise(pages, bytes, MADV_DONTDUMP);
  (void)::mlock(pages, bytes);
  if (size_ > 0) std::memcpy(larger.bytes_, bytes_, size_);
  larger.start_ = start_;
  larger.size_ = size_;
  swap(larger);
}

void SecretString::swap(SecretString& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(start_, other.start_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
}

void forbid_core_dumps() noexcept {
  rlimit none{0, 0};
  if (::getrlimit(RLIMIT_CORE, &none) == 0) none.rlim_cur = 0;
  (void)::setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__  // its leak check attaches to the process itself
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

}  // namespace kv::crypto
