// The forms in which Redis keeps small lists, hashes, sets and sorted sets, and writes them to RDB
// files as they are: one string each. Foreign bytes: every length is checked.
#pragma once

#include <string_view>

#include "libkv/base/bytes.hpp"
#include "libkv/keyspace/function_ref.hpp"

namespace kv {

/// Is told one element after the other; each is valid during the call. Numbers come as their
/// digits.
using ElementVisitor = FunctionRef<void(std::string_view)>;

// Each visits all elements and returns null, or says what is wrong; some may have been visited
// then.
const char* visit_listpack(std::string_view bytes, ElementVisitor visit);
const char* visit_ziplist(std::string_view bytes, ElementVisitor visit);
const char* visit_zipmap(std::string_view bytes, ElementVisitor visit);  ///< fields and values
const char* visit_intset(std::string_view bytes, ElementVisitor visit);

/// n bytes, the highest first; n <= 8.
std::uint64_t big_endian(ByteReader& in, unsigned n) noexcept;
/// n bytes, the lowest first, as a number with a sign; n is 1 to 8.
std::int64_t with_sign(ByteReader& in, unsigned n) noexcept;

}  // namespace kv
