// SLOWLOG: the last requests that took longer than a threshold, newest first.
//
// The engine calls note() after each request; SLOWLOG GET, LEN and RESET read it. It must never
// hold a value or a password: what the command table marks as values is noted as "(redacted)".
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "libkv/value/scalar.hpp"

namespace kv {

struct Command;
struct Session;

struct SlowEntry {
  std::uint64_t id = 0;           // counts up, never reused, survives RESET
  std::int64_t time_s = 0;        // seconds since 1970
  std::int64_t micros = 0;        // how long it took
  std::vector<std::string> args;  // shortened, values redacted
  std::string address, name;      // of the connection
};

class SlowLog {
 public:
  static constexpr std::size_t args_max = 32;        // noted of one request
  static constexpr std::size_t arg_bytes_max = 128;  // noted of one argument

  std::int64_t threshold_us = 10'000;  // 0 notes every request, a negative one none
  std::size_t length_max = 128;        // entries kept

  bool is_slow(std::int64_t micros) const noexcept {
    return threshold_us >= 0 && micros >= threshold_us;
  }
  /// Keeps the request if is_slow(micros).
  void note(const Session& session, const Command& command, std::span<const Scalar> args,
            std::int64_t now_ms, std::int64_t micros);
  void clear() noexcept { entries_.clear(); }
  const std::deque<SlowEntry>& entries() const noexcept { return entries_; }  ///< newest first

 private:
  std::deque<SlowEntry> entries_;
  std::uint64_t next_id_ = 0;
};

}  // namespace kv
