// What GPGME reads from and writes to: our own memory, without a copy of the plain text between.
//
// Private to crypto/. The objects must outlive the GPGME call; nothing is thrown through GPGME.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "crypto/gpgme_library.hpp"
#include "crypto/secret.hpp"

namespace kv::crypto {

/// A GPGME data object over one of the ends below.
class Data {
 public:
  /// For GPGME to read: `first`, then `second`. The bytes stay the caller's.
  static Result<std::unique_ptr<Data>> source(const Gpgme& gpgme, std::string_view first,
                                              std::string_view second = {});
  /// For GPGME to append to, up to bytes_max.
  static Result<std::unique_ptr<Data>> sink(const Gpgme& gpgme, std::string& out,
                                            std::size_t bytes_max);
  static Result<std::unique_ptr<Data>> sink(const Gpgme& gpgme, SecretString& out,
                                            std::size_t bytes_max);
  ~Data();
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;

  gpgme_data_t get() const noexcept { return data_; }
  /// More was written than allowed, and dropped: the operation has failed.
  bool overflowed() const noexcept { return overflowed_; }

 private:
  explicit Data(const Gpgme& gpgme) : gpgme_(&gpgme) {}
  static Result<std::unique_ptr<Data>> attach(std::unique_ptr<Data> data);
  static ssize_t read(void* self, void* buffer, std::size_t bytes) noexcept;
  static ssize_t write(void* self, const void* buffer, std::size_t bytes) noexcept;

  const Gpgme* gpgme_;
  gpgme_data_t data_ = nullptr;
  std::string_view first_, second_;
  std::string* text_ = nullptr;
  SecretString* secret_ = nullptr;
  std::size_t bytes_left_ = 0;
  bool overflowed_ = false;
};

}  // namespace kv::crypto
