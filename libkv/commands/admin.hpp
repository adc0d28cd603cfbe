// What the files of the connection, server and introspection families share: subcommands.
//
// A container (CLIENT, CONFIG, ...) is one row of the command table; its subcommands are rows of a
// small table beside their functions. That table drives dispatch, arity, HELP and COMMAND.
// Nothing outside libkv/commands includes this, except the tool that writes the manual.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "libkv/commands/call.hpp"
#include "libkv/commands/command.hpp"

namespace kv {

struct Subcommand {
  std::string_view name;  // lower case
  int arity;              // of the whole request, both words included; negative: at least
  std::uint32_t flags;    // as Command's
  ArgSpan keys;           // as Command's
  CommandFunction run;
  std::string_view syntax;   // what follows the two words
  std::string_view summary;  // one sentence, no full stop
};

/// The table of a container in any case; empty for every other command.
std::span<const Subcommand> subcommands_of(std::string_view container) noexcept;
/// One row by its own word, in any case, or null.
const Subcommand* find_subcommand(std::span<const Subcommand> table,
                                  std::string_view name) noexcept;
bool arity_allows(int arity, std::size_t argc) noexcept;

/// Runs the subcommand named by argument 1 of a container's call, or answers Redis's error.
void run_container(Call& call);
/// The HELP subcommand of every container.
void run_help(Call& call);

// One table per file.
std::span<const Subcommand> client_subcommands() noexcept;
std::span<const Subcommand> command_subcommands() noexcept;
std::span<const Subcommand> config_subcommands() noexcept;
std::span<const Subcommand> latency_subcommands() noexcept;
std::span<const Subcommand> memory_subcommands() noexcept;
std::span<const Subcommand> module_subcommands() noexcept;
std::span<const Subcommand> object_subcommands() noexcept;
std::span<const Subcommand> pubsub_subcommands() noexcept;
std::span<const Subcommand> debug_subcommands() noexcept;
std::span<const Subcommand> slowlog_subcommands() noexcept;
std::span<const Subcommand> acl_subcommands() noexcept;

/// The sibling's memory in bytes. data is what the keyspaces take of used; used never is below it.
struct MemoryFigures {
  std::uint64_t used = 0, peak = 0, at_start = 0, data = 0, resident = 0, held = 0;
  std::uint64_t keys = 0;
};
MemoryFigures memory_figures(Services& server);  // memory.cpp

// Functions of rows that live in a file of their own.
void run_client(Call& call);  // client.cpp
/// Names the session, or answers why not and returns false: HELLO's SETNAME and CLIENT SETNAME.
bool name_session(Call& call, std::string_view name);
void run_info(Call& call);               // info.cpp
void run_lolwut(Call& call);             // lolwut.cpp
void run_command_container(Call& call);  // command_info.cpp

/// The names of the rows and subcommands in a category, containers as "client|list".
std::vector<std::string> commands_of_category(std::string_view category);
/// Every category Redis has, in its order, without '@'.
std::span<const std::string_view> all_acl_categories() noexcept;

}  // namespace kv
