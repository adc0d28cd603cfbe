// The clocks, and the text form of points in time that people give and read.
//
// Only the sibling's loop and the log ask wall_ns(); commands get their time as an argument, so
// that replaying the log gives the same state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/base/status.hpp"

namespace kv {

inline constexpr std::int64_t ns_per_second = 1'000'000'000;

std::int64_t wall_ns() noexcept;       ///< nanoseconds since 1970, UTC; may step
std::int64_t wall_ms() noexcept;       ///< the same in milliseconds
std::int64_t monotonic_ns() noexcept;  ///< nanoseconds since some start; never steps
inline std::int64_t monotonic_ms() noexcept { return monotonic_ns() / 1'000'000; }
/// The same in steps of some milliseconds, but it costs a few nanoseconds to ask.
std::int64_t monotonic_coarse_ns() noexcept;

/// The clocks that somebody goes by. Tests have their own.
struct Clocks {
  std::int64_t (*wall)() noexcept = wall_ns;
  std::int64_t (*steady)() noexcept = monotonic_ns;
  std::int64_t (*coarse)() noexcept = monotonic_coarse_ns;
};

/// "2026-11-20T10:00:00.123456789Z"; the fraction is left out when it is 0.
std::string format_utc(std::int64_t ns);
/// The same in the local zone with its offset: "2026-11-20T11:00:00+01:00".
std::string format_local(std::int64_t ns);
/// "SECONDS.NANOSECONDS", nine digits after the dot: the form of the log. ns must not be negative.
std::string format_seconds(std::int64_t ns);

/// Reads what people type: "2026-11-20T10:00:00", a blank instead of the T, the time or its seconds
/// left out, a fraction, then Z or +01:00 or (neither) the local zone. Also "SECONDS.NANOSECONDS".
Result<std::int64_t> parse_time(std::string_view text);

}  // namespace kv
