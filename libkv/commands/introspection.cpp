// MONITOR, and rows of the containers that look inside: COMMAND, DEBUG, LATENCY, MEMORY, MODULE,
// OBJECT.
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

/// What it is told comes as messages do (Services::monitor).
void monitor(Call& call) {
  if (call.plio()) return call.fail("ERR to monitor needs a client that speaks RESP");
  call.server.monitor(call.session, true);
  call.reply.ok();
}

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
     kAdmin | kNoScript | kLoading | kStale | kNoMulti,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Looks inside the server, for tests",
     "O(1); DIGEST and RELOAD O(N)",
     "1.0",
     "digest digest-value help object reload set-active-expire sleep"},
    {"latency",
     -2,
     kLoading | kStale,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Tells about delays inside the server: none are recorded",
     "O(1)",
     "1.0",
     "help history latest reset"},
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
    {"module",
     -2,
     0,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Tells about loaded modules: there are none",
     "O(1)",
     "1.0",
     "help list"},
    {"monitor",
     1,
     kAdmin | kNoScript | kLoading | kStale | kNoMulti | kListens,
     {},
     {},
     Group::server,
     monitor,
     "",
     "Shows every request from now on, but for those that log in or administer the server",
     "O(1)",
     "1.0"},
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
