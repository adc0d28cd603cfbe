// One number for what a dataset holds: Redis's DEBUG DIGEST and DEBUG DIGEST-VALUE.
//
// The same data in a Redis server gives the same 40 hex digits (checked by the tests), in whatever
// order and form it is stored. Keys, values, types, database numbers and whether a key has an
// expiry enter; when it expires, the kinds that PLIO knows and access notes do not.
// The algorithm is that of Redis 7's debug.c: SHA-1, mixed where order counts, xored where it does
// not. O(all data); for tests and checks.
#pragma once

#include <span>
#include <string>

#include "libkv/keyspace/keyspace.hpp"

namespace kv {

/// Of databases[0], [1], ... by their numbers. All zeros when every one is empty. Lower case.
std::string dataset_digest(std::span<Keyspace* const> databases);

/// Of the value at a place, its key excluded; all zeros when the place is absent.
std::string value_digest(Keyspace& keys, Place& place);

}  // namespace kv
