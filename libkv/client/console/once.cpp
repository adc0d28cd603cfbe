// One command from the command line, once, or again and again with --poll and --watch.
#include <cstdio>

#include "libkv/client/console/program.hpp"
#include "libkv/client/convert.hpp"

namespace kv {
namespace {

using client::Connection;
using client::Value;

client::Result<Value> call_once(Connection& connection, const ClientArguments& arguments) {
  return connection.call(views_of(arguments.command), arguments.seal);
}

int nil_status(const ClientArguments& arguments, const Value& reply) {
  return arguments.fail_nil && reply.is_nil() ? exit_nil : 0;
}

int run_once(Connection& connection, const ClientArguments& arguments, Output& output) {
  const auto reply = call_once(connection, arguments);
  if (!reply && is_shut_down(arguments.command, reply.error())) return 0;
  if (!reply) return report(reply.error());
  output.reply(*reply);
  if (!output.flush()) return exit_error_reply;
  return nil_status(arguments, *reply);
}

// Until there is nothing more to fetch: the nil itself is not written.
int run_poll(Connection& connection, const ClientArguments& arguments, Output& output) {
  for (;;) {
    const auto reply = call_once(connection, arguments);
    if (!reply) return report(reply.error());
    if (reply->is_nil()) return nil_status(arguments, *reply);
    output.reply(*reply);
    if (!output.flush()) return exit_error_reply;
    sleep_s(*arguments.poll_s);
  }
}

// Until it is interrupted: who watches wants to see a server come back, too.
int run_watch(Connection& connection, const ClientArguments& arguments, Output& output) {
  for (;;) {
    const auto reply = call_once(connection, arguments);
    // Home and erase; from us, so it does not pass through what guards the terminal.
    if (output.terminal()) std::fputs("\033[H\033[2J", stdout);
    if (reply) output.reply(*reply);
    else report(reply.error());
    if (!output.flush()) return exit_error_reply;
    sleep_s(*arguments.watch_s);
  }
}

}  // namespace

int run_command(ClientArguments& arguments) {
  // The password travels with the command: one round trip instead of two. But who hangs up before
  // the login has not been shut down.
  arguments.connection.quick_start = !ends_server(arguments.command);
  auto connection = Connection::open(arguments.connection);
  if (!connection) return report(connection.error());
  Output output(arguments.form, arguments.quiet);
  if (arguments.poll_s) return run_poll(*connection, arguments, output);
  if (arguments.watch_s) return run_watch(*connection, arguments, output);
  return run_once(*connection, arguments, output);
}

}  // namespace kv
