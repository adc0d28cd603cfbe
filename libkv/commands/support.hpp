// What several command families share: looking keys up, reading bounded numbers, common answers.
//
// Functions that return bool answer the client themselves before they return false. None of them
// changes the keyspace. Differences of the PLIO dialect live in dialect.hpp, not here.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "libkv/commands/call.hpp"

namespace kv {

/// Over RESP the engine has checked the arity; over PLIO picolisp-kv's commands come with any
/// number of arguments, and too few (argc, the command word included) are misuse.
bool enough(Call& call, std::size_t argc);
/// "ERR wrong number of arguments for 'x' command", for what the row's arity cannot say.
void wrong_arity(Call& call);

/// A key named by a write. Refuses %stats%/... and, over PLIO, NIL and lists as keys.
bool writable(Call& call, std::size_t i);
/// The same for every step-th argument from i on.
bool all_writable(Call& call, std::size_t i, std::size_t step = 1);

/// Finds the key at argument i for reading, and counts a hit or a miss.
Place find(Call& call, std::size_t i);
/// As find; answers WRONGTYPE if something of another type is there.
bool find(Call& call, std::size_t i, Type type, Place& place);
/// Counts a hit or a miss, once a request: a write that also reads calls this where it answers.
void count_lookup(Call& call, bool found) noexcept;

/// Argument i as an integer within [min, max]. A null message: Redis's general texts.
bool integer_within(Call& call, std::size_t i, std::int64_t min, std::int64_t max, std::int64_t& n,
                    std::string_view message = {});
/// The same for 0 and more: "value is out of range, must be positive", or message.
bool not_negative(Call& call, std::size_t i, std::int64_t& n, std::string_view message = {});
/// A 32-bit integer, as database numbers are read; message as in integer_within.
bool database_integer(Call& call, std::size_t i, std::int64_t& n, std::string_view message = {});
/// Is there such a database? Otherwise answers "ERR DB index is out of range".
bool database_exists(Call& call, std::int64_t n, unsigned& number);

/// Redis's start and stop (inclusive, negative from the end) over size items, as first and count.
struct Slice {
  std::size_t first = 0, count = 0;
};
Slice slice(std::int64_t start, std::int64_t stop, std::size_t size) noexcept;

/// Bytes that a reply of count elements from first on needs at most; more than a reply may have
/// are not counted to the end.
std::size_t reply_bytes(const List& list, std::size_t first, std::size_t count);
/// What is popped must fit a reply, or nobody would ever see it. True: too large, and answered so.
/// Otherwise Reply::reserve() what it needs before the first one is removed.
bool too_large_to_pop(Call& call, std::size_t bytes);

/// A point in time given as an argument.
struct TimeForm {
  bool seconds = true;    // else milliseconds
  bool absolute = false;  // since 1970; else from now
};
/// Argument i as milliseconds since 1970. It must be positive; otherwise (and on overflow) answers
/// "ERR invalid expire time in 'x' command". For SET and its kin.
bool expire_time(Call& call, std::size_t i, TimeForm form, std::int64_t& at_ms);
void invalid_expire_time(Call& call);

/// A number for choosing at random in a read. Differs from call to call; never for writes.
std::uint64_t random_number(Call& call) noexcept;

/// "count [word]" from argument 2 on, as HRANDFIELD and ZRANDMEMBER have it: a negative count may
/// repeat elements, and word asks for more of each. A reply that repeats has a limit of its own:
/// nobody's memory should depend on a number somebody typed.
bool random_choice(Call& call, std::string_view word, std::int64_t& count, bool& with_word);

/// The members of a set, in the order of their numbers, behind the header that is there already.
void reply_members(Call& call, const Set& set);

/// The list or hash at place, made if nothing is there. The type has been checked.
List list_at(Call& call, Place& place);
Hash hash_at(Call& call, Place& place);

/// Are two stored elements the same for this client? PLIO tells 7 from "7", RESP does not.
inline bool same(const Call& call, const Scalar& a, const Scalar& b) noexcept {
  return a.bytes == b.bytes && (!call.plio() || a.kind == b.kind);
}

}  // namespace kv
