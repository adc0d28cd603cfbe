// Where picolisp-kv answers otherwise than Redis: the small differences at the edge of commands.
//
// A command is written once; where a PLIO client is owed picolisp-kv's answer it asks one of these
// helpers. They know the meaning of PicoLisp's values, never the bytes of a connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/commands/call.hpp"
#include "libkv/keyspace/function_ref.hpp"

namespace kv {

/// PicoLisp's NIL, which is also the empty string.
inline bool is_nil(const Scalar& s) noexcept { return s.bytes.empty(); }

/// Can this be a key over PLIO? NIL and lists cannot.
inline bool is_plio_key(const Scalar& s) noexcept { return !is_nil(s) && s.kind != Kind::list; }

/// An index, range end or count as picolisp-kv reads it, by PicoLisp's (format): it must be a
/// string; leading blanks, a sign and zeros are fine; a decimal is rounded, halves away from zero;
/// anything else is false. Beyond 64 bits: the largest or smallest number.
bool plio_number(const Scalar& s, std::int64_t& n) noexcept;

/// Characters of UTF-8 text; a byte that begins none counts as one.
std::size_t character_count(std::string_view text) noexcept;

/// What STRLEN says of one stored element: bytes to RESP; to PLIO characters, digits of a number,
/// elements of a list.
std::int64_t length_of(const Call& call, const Scalar& s);

/// PicoLisp's (pack): the text of a number or symbol, a list's elements joined. The view is into
/// s or buffer.
std::string_view packed(const Scalar& s, std::string& buffer);

/// How many elements, pairs or members a list, hash or set has; 0 for what is none.
std::size_t element_count(Keyspace& keys, Place& place);

/// Answers whatever is stored at place (NIL if nothing): a string, a list, a hash as pairs,
/// a set as a list.
void reply_value(Call& call, Place& place);

/// Stores a value as SET does: a list becomes a list key, or a hash if all its elements are pairs.
/// No expiry afterwards. Only after commit().
void store_value(Call& call, Place& place, const Scalar& value);

/// Calls visit(field, value) for each pair of a hash or, over PLIO, of a list that holds pairs,
/// until it returns false. plain gets the list's other elements. The scalars are valid during the
/// call alone.
using PairVisitor = FunctionRef<bool(const Scalar& field, const Scalar& value)>;
using PlainVisitor = FunctionRef<void(const Scalar& element)>;
void visit_pairs(Call& call, Place& place, PairVisitor visit, PlainVisitor plain);
void visit_pairs(Call& call, Place& place, PairVisitor visit);

/// The length of the %stats% value GET would answer, without answering it; nil if there is none.
void reply_stats_length(Call& call, std::string_view key);
/// Is there such a %stats% value?
bool stats_exists(Call& call, std::string_view key);

}  // namespace kv
