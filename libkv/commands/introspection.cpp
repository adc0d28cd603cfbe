// Rows of the containers that look inside: COMMAND, DEBUG, MEMORY, OBJECT.
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

constexpr Command kRows[] = {
    {"command",
     -1,
     kLoading | kStale,
     {},
     {},
     Group::connection,
     run_command_container,
     "[subcommand [argument ...]]",
     "Tells about the commands",
     "O(N), N the number of commands",
     "1.0",
     "count docs getkeys getkeysandflags help info list"},
    {"debug",
     -2,
     kAdmin | kNoScript | kLoading | kStale,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Looks inside the server, for tests",
     "O(1); DIGEST and RELOAD O(N)",
     "1.0",
     "digest digest-value help object reload set-active-expire sleep"},
    {"memory",
     -2,
     0,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Tells what takes how much memory",
     "O(1)",
     "1.0",
     "doctor help malloc-stats purge stats usage"},
    {"object",
     -2,
     0,
     {},
     {},
     Group::generic,
     run_container,
     "subcommand [argument ...]",
     "Tells how one key is kept and used",
     "O(1)",
     "1.0",
     "encoding freq help idletime refcount"},
};

}  // namespace

std::span<const Command> introspection_commands() noexcept { return kRows; }

}  // namespace kv
