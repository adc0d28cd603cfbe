// The one error type. A Status is ok, or a code and a sentence that says what to do.
//
// No exceptions cross a process or C boundary; inside, functions that can fail return Status or
// Result<T>. The code decides the client's exit code (exit_code) and the word on the wire.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kv {

enum class Code : unsigned char {
  ok,
  usage,        // the caller's own words are wrong
  not_found,    // no such file, key or name
  protocol,     // foreign bytes that are not what they should be
  limit,        // over a maximum of limits.hpp
  denied,       // not allowed: permissions, authentication
  no_space,     // disk or memory is full
  io,           // any other failure of the operating system
  corrupt,      // a file that fails its check
  unsupported,  // a version or feature this build does not know
  lost,         // the other side went away
  timeout,      // it did not answer in time
  crypto,       // sealing or opening failed
  reply,        // the server answered with an error
  busy,         // somebody else holds it
};

/// The lower-case word for a code, for messages and tests ("no_space").
std::string_view code_name(Code code) noexcept;

/// The client program's exit code for a failure of this kind (README, "Exit codes").
int exit_code(Code code) noexcept;

class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  /// A failure of the system call behind errno: "cannot open kv.aof: Permission denied".
  static Status from_errno(int error, std::string_view what);

  bool ok() const noexcept { return code_ == Code::ok; }
  explicit operator bool() const noexcept { return ok(); }
  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }

 private:
  Code code_ = Code::ok;
  std::string message_;
};

/// A value or the Status that explains its absence. Never both.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: meant to convert
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: meant to convert
  bool ok() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  const Status& status() const noexcept { return status_; }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace kv
