// The command table as the client knows it: the words of each row without its function.
//
// The rows are generated at build time from libkv/commands (man/tables.cpp writes them), so that a
// client never links a keyspace and never disagrees with its server's table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kv {

struct CommandDoc {
  std::string_view name;  // lower case
  std::string_view syntax, summary, complexity, since, group;
  std::string_view subcommands;             // words with blanks between; empty: none
  int arity;                                // with the command word; negative: at least
  int key_first, key_last, key_step;        // 0,0,0: no keys; last < 0 counts from the end
  int value_first, value_last, value_step;  // which arguments --encrypt seals
  bool write;
  bool hidden;  // an alias: works, is not listed
  bool waits;  // as long as its argument "timeout" says, the first or the last: seconds, 0 for ever
};

/// Sorted by name.
std::span<const CommandDoc> command_docs() noexcept;
/// In any case; null if there is none.
const CommandDoc* find_command_doc(std::string_view name) noexcept;

}  // namespace kv
