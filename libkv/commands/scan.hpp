// What SCAN and HSCAN share: cursors, options, the frame of the reply.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "libkv/commands/call.hpp"

namespace kv {

struct ScanOptions {
  std::size_t count = 10;                // asked for in one step
  std::string_view pattern = "*";        // of names
  std::optional<std::string_view> type;  // SCAN alone: Redis's word for a type

  bool takes(std::string_view name) const noexcept;
};

/// Argument i as a cursor; otherwise answers "ERR invalid cursor".
bool read_cursor(Call& call, std::size_t i, std::uint64_t& cursor);
/// MATCH, COUNT and, if with_type, TYPE, from argument i on.
bool read_scan_options(Call& call, std::size_t i, bool with_type, ScanOptions& options);
/// The next cursor and the header of the elements, which the caller answers after it.
void reply_scan(Call& call, std::uint64_t cursor, std::size_t elements);

}  // namespace kv
