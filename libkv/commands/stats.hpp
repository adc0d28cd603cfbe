// The read-only keys below %stats%/, picolisp-kv's counters under key names.
//
// They are in no keyspace: commands that read ask here first, commands that write refuse them.
#pragma once

#include <string_view>

namespace kv {

class Call;

inline constexpr std::string_view stats_prefix = "%stats%/";

/// Asked for every key of most commands, so the first byte decides nearly always.
inline bool is_stats_key(std::string_view key) noexcept {
  return !key.empty() && key[0] == stats_prefix[0] && key.starts_with(stats_prefix);
}

/// Answers the counter's value as GET would. False, with nothing answered, if there is no such
/// counter.
bool reply_stats(Call& call, std::string_view key);

}  // namespace kv
