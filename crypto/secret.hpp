// Memory for plain text: wiped before it is given back, left out of core dumps, never copied.
//
// Whoever opens or seals a value holds the plain text in one of these, or wipes its own buffer
// with wipe(). Must never be converted to a std::string on the way.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kv::crypto {

/// Overwrites the whole capacity in a way the compiler keeps, then empties the string.
void wipe(std::string& text) noexcept;
/// Overwrites `bytes` bytes at `start`, for buffers the caller owns (an argument of main).
void wipe(char* start, std::size_t bytes) noexcept;

/// Bytes that are wiped when they are dropped, moved from or outgrown. Not thread-safe.
class SecretString {
 public:
  SecretString() noexcept = default;
  explicit SecretString(std::string_view text) { append(text); }
  SecretString(SecretString&& other) noexcept { swap(other); }
  SecretString& operator=(SecretString&& other) noexcept;
  SecretString(const SecretString&) = delete;
  SecretString& operator=(const SecretString&) = delete;
  ~SecretString() { clear(); }

  /// Grows by mapping new pages, so each secret costs whole pages. Throws std::bad_alloc.
  void append(std::string_view text);
  /// Drops the first n bytes; n may be at most size(). Nothing moves: the view starts later.
  void remove_prefix(std::size_t n) noexcept { start_ += n; }
  void clear() noexcept;

  /// Valid until the next change of this object.
  std::string_view view() const noexcept { return {bytes_ + start_, size_ - start_}; }
  std::size_t size() const noexcept { return size_ - start_; }

 private:
  void grow(std::size_t wanted);
  void swap(SecretString& other) noexcept;

  char* bytes_ = nullptr;  // whole pages of our own, mapped without core dump
  std::size_t start_ = 0, size_ = 0, capacity_ = 0;
};

/// For a program's main, not for a library: no core file of this process from here on, and no
/// other process of the same user may attach to it. Costs two system calls.
void forbid_core_dumps() noexcept;

}  // namespace kv::crypto
