// One command from the command line, once, or again and again with --poll and --watch; or what
// SUBSCRIBE listens to.
#include <chrono>
#include <cstdio>

#include "libkv/base/text.hpp"
#include "libkv/client/connection_impl.hpp"
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

/// SUBSCRIBE and its like, whose connection gets messages from then on.
bool begins_to_listen(std::string_view word) {
  return client::answers_by_push(word) && !to_upper(word).ends_with("UNSUBSCRIBE");
}

/// Is it a message, and not the word that one listens now?
bool is_message(const Value& pushed) {
  return pushed.size() >= 3 && pushed.kind() == client::Kind::list &&
         pushed.list()[0].text().ends_with("message");
}

/// As grep has it: of one channel the messages alone, of several where each was found as well.
Value shown_of(Value&& message, const ClientArguments& arguments) {
  if (arguments.form == OutputForm::json) return std::move(message);
  Value::List& parts = message.mutable_list();
  Value& text = parts.back();
  const bool one = arguments.command.size() == 2 && parts.size() == 3;
  if (one) return std::move(text);
  return Value(Value::List{std::move(parts[parts.size() - 2]), std::move(text)});
}

// Until the server ends, or who reads this.
int run_listener(Connection& connection, const ClientArguments& arguments, Output& output) {
  const auto begun = call_once(connection, arguments);
  if (!begun) return report(begun.error());
  for (;;) {
    auto pushed = connection.next_push(std::chrono::hours(1));
    if (!pushed) return report(pushed.error());
    if (!pushed->has_value() || !is_message(**pushed)) continue;
    output.reply(shown_of(*std::move(*pushed), arguments));
    if (!output.flush()) return exit_error_reply;
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
  const bool again = arguments.poll_s || arguments.watch_s;
  if (begins_to_listen(arguments.command[0])) {
    if (again) return report(Status(Code::usage, "--poll and --watch are for commands that end"));
    if (arguments.seal.open) return report(Status(Code::usage, "--decrypt is not for messages"));
    return run_listener(*connection, arguments, output);
  }
  if (arguments.poll_s) return run_poll(*connection, arguments, output);
  if (arguments.watch_s) return run_watch(*connection, arguments, output);
  return run_once(*connection, arguments, output);
}

}  // namespace kv
