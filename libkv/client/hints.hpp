// What the console offers while somebody types: completions and the arguments still to come.
//
// Pure functions of the line and the command table; keys to complete come from the caller.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kv {

/// What completes the last word of the line.
struct Completions {
  std::string_view typed;          // the last word as far as it is there; a view into the line
  std::vector<std::string> words;  // whole words it could become, sorted
  bool key_wanted = false;         // it stands where the command takes a key: ask the server
};
Completions completions(std::string_view line);

/// The longest start all words share.
std::string common_start(const std::vector<std::string>& words);

/// The arguments still to come once the command word and a blank are there, as the command table
/// writes them: for "SET k " "value [NX | XX]"; empty if there is nothing to say.
std::string argument_hint(std::string_view line);

/// What `help WORD` says: syntax, summary and so on; empty if there is no such command.
std::string command_help(std::string_view word);

/// False for a line that must not be kept: it logs in, or sets a password.
bool may_be_kept(std::string_view line);

}  // namespace kv
