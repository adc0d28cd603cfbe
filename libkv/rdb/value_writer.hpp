// Writes a value as Redis serialises one, in the forms that Redis 4 and later read. All scalars are
// strings there: what PLIO knows of their kinds is not in it.
#pragma once

#include <string>

#include "libkv/keyspace/keyspace.hpp"

namespace kv {

/// What DUMP answers for the value at place: its type, the value, a version and a checksum. False
/// if that would be more than most_bytes; out is then of no use.
bool serialise(Keyspace& keys, Place& place, std::size_t most_bytes, std::string& out);

/// What DUMP has answered, with the version and checksum checked and taken off; empty if they are
/// wrong, or of a newer form than the ones known.
std::string_view serialised_value(std::string_view bytes) noexcept;

}  // namespace kv
