// What a command is: one row of a family's table, and one function.
//
// The row drives dispatch, arity, key positions, COMMAND, --commands, completion, the manual and
// the client's choice of which arguments are values. The function does the work through a Call.
// Commands know keyspaces and replies; they must never know a socket, a file or a wire protocol.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kv {

class Call;

enum class Group : std::uint8_t {
  string,
  list,
  hash,
  set,
  sorted_set,
  bitmap,
  generic,
  connection,  // those from here on are about the connection or the server itself
  server,
  transaction,
  pubsub,
};

// Flags of a row. The first ones are Redis's, with Redis's names in COMMAND INFO.
enum : std::uint32_t {
  kWrite = 1u << 0,  // may change the keyspace: is logged
  kReadonly = 1u << 1,
  kDenyOom = 1u << 2,  // refused when memory is at its limit
  kAdmin = 1u << 3,
  kFast = 1u << 4,     // O(1) or O(log n)
  kLoading = 1u << 5,  // answered while the data is being loaded
  kNoAuth = 1u << 6,   // answered before authentication
  kStale = 1u << 7,
  kNoScript = 1u << 8,
  kBlocking = 1u << 9,  // may wait (Call::wait_for): argument "timeout", the first or the last
  kPubSub = 1u << 10,
  kMovableKeys = 1u << 11,  // the number of keys, which follow it, is at key_count_at(); a key in
                            // front of it is the row's, and is where the result is stored
  // kv's own:
  kPlioNil = 1u << 16,      // picolisp-kv has it: misuse answers NIL over PLIO, not an error string
  kPlioZero = 1u << 17,     // the same, but misuse answers 0
  kHidden = 1u << 18,       // an alias or misspelling: works, is not listed
  kNoMulti = 1u << 19,      // refused between MULTI and EXEC
  kNeverQueued = 1u << 20,  // carried out at once, also there
  kListens = 1u << 21,      // of SUBSCRIBE and its kin: the replies are messages
  kWhileListening = 1u << 22,  // also for a subscriber that speaks RESP2
  kStores = 1u << 23,          // of its keys it changes the first alone, where its result goes
  kReadsFirst = 1u << 24,      // of its keys it changes all but the first
};

/// Which arguments are keys (Redis's first, last, step; the command word is 0) or, for values,
/// which ones the client seals. last < 0 counts from the end. {0,0,0}: none.
struct ArgSpan {
  int first = 0, last = 0, step = 0;
};

using CommandFunction = void (*)(Call&);

struct Command {
  std::string_view name;  // lower case; a subcommand is its container's row's own business
  int arity;              // with the command word; negative: at least
  std::uint32_t flags;
  ArgSpan keys;
  ArgSpan values;
  Group group;
  CommandFunction run;
  std::string_view syntax;            // "key value [NX | XX] [GET]", Redis's notation
  std::string_view summary;           // one sentence, no full stop
  std::string_view complexity;        // "O(1)"
  std::string_view since;             // version of kv ("1.0"); the original's commands: "0.18"
  std::string_view subcommands = {};  // "id list kill ...", for completion and COMMAND
};

/// Where a command with kMovableKeys has the number of its keys: first of all, or behind the time
/// to wait or the key of the row.
constexpr int key_count_at(std::uint32_t flags, const ArgSpan& keys) noexcept {
  return (flags & kBlocking) != 0 || keys.first > 0 ? 2 : 1;
}

/// The row for a name in any case, or null. O(1).
const Command* find_command(std::string_view name) noexcept;
/// All rows, sorted by name.
std::span<const Command* const> all_commands() noexcept;
std::string_view group_name(Group group) noexcept;
/// The subcommand that word names in any case, as its row spells it; empty if it names none.
/// DEBUG's have no names of their own, as with Redis.
std::string_view subcommand_name(const Command& command, std::string_view word) noexcept;
/// The flags of a row and of its subcommand that word names, if it has one.
std::uint32_t flags_with(const Command& command, std::string_view word) noexcept;

// One function per family file: its rows.
std::span<const Command> string_commands() noexcept;            // strings.cpp: whole values
std::span<const Command> string_range_commands() noexcept;      // strings_range.cpp: parts, LCS
std::span<const Command> number_commands() noexcept;            // numbers.cpp: INCR and its kin
std::span<const Command> list_commands() noexcept;              // lists.cpp: ends, lengths, ranges
std::span<const Command> list_edit_commands() noexcept;         // lists_edit.cpp: inside a list
std::span<const Command> list_move_commands() noexcept;         // lists_move.cpp: between lists
std::span<const Command> hash_commands() noexcept;              // hashes.cpp: fields
std::span<const Command> hash_more_commands() noexcept;         // hashes_more.cpp: numbers, walks
std::span<const Command> set_commands() noexcept;               // sets.cpp: members
std::span<const Command> set_combine_commands() noexcept;       // sets_combine.cpp: several sets
std::span<const Command> sorted_set_commands() noexcept;        // sorted_sets.cpp: members
std::span<const Command> sorted_set_range_commands() noexcept;  // sorted_sets_range.cpp
std::span<const Command> sorted_set_pop_commands() noexcept;    // sorted_sets_pop.cpp
std::span<const Command> sorted_set_combine_commands() noexcept;  // sorted_sets_combine.cpp
std::span<const Command> bit_commands() noexcept;         // bits.cpp: single bits of strings
std::span<const Command> bitfield_commands() noexcept;    // bitfields.cpp: numbers of any width
std::span<const Command> generic_commands() noexcept;     // generic.cpp: keys of any type
std::span<const Command> serialised_commands() noexcept;  // serialised.cpp: DUMP, RESTORE
std::span<const Command> keyspace_commands() noexcept;    // keyspaces.cpp: whole databases
std::span<const Command> expiry_commands() noexcept;      // expiry.cpp
std::span<const Command> connection_commands() noexcept;
std::span<const Command> transaction_commands() noexcept;  // transactions.cpp
std::span<const Command> pubsub_commands() noexcept;       // pubsub.cpp
std::span<const Command> server_commands() noexcept;
std::span<const Command> introspection_commands() noexcept;

}  // namespace kv
