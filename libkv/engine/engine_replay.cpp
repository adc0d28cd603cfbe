// Lines of the log, carried out again. See engine.hpp.
#include <algorithm>
#include <string>

#include "libkv/base/text.hpp"
#include "libkv/engine/engine.hpp"

namespace kv {
namespace {

Status missing(std::int64_t database) {
  return {Code::limit, "this line is for database " + std::to_string(database) +
                           ": start with --databases " + std::to_string(database + 1) + " or more"};
}

}  // namespace

Status Engine::replay(std::int64_t time_ns, unsigned database, Dialect dialect,
                      std::span<const Scalar> args) {
  if (args.empty()) return {Code::corrupt, "a line without a command"};
  if (database >= services_.databases()) return missing(database);
  last_ns_ = std::max(last_ns_, time_ns);
  Session session;
  session.authenticated = true;
  session.database = database;
  session.dialect = dialect;
  const Command* const command = find_command(args[0].bytes);
  if (command != nullptr && command->name == "exec") {
    return replay_transaction(session, time_ns, args.subspan(1));
  }
  if (command != nullptr && (command->flags & kWrite) == 0) {
    return {Code::reply, std::string(command->name) + " is not a write"};
  }
  return replay_one(session, time_ns, args);
}

Status Engine::replay_one(Session& session, std::int64_t time_ns, std::span<const Scalar> args) {
  const Command* const command = find_command(args[0].bytes);
  if (command == nullptr) {
    return {Code::unsupported, "unknown command " + quoted(args[0].bytes.substr(0, 64))};
  }
  if (!arity_is_fine(session, *command, args.size())) {
    return {Code::reply, "wrong number of arguments for " + std::string(command->name)};
  }
  trial_out_.clear();
  Call call(services_, session, *command, args, time_ns, trial_out_);
  command->run(call);
  // There was that database when it was logged, or it would not have been.
  if (call.missing_database() >= 0) return missing(call.missing_database());
  if (!call.reply.failed() || call.committed()) return {};
  const std::size_t end = trial_out_.find('\r');
  return {Code::reply, std::string(command->name) + ": " + trial_out_.substr(1, end - 1)};
}

/// What the line of a transaction, behind EXEC, says first: a request. args: shortened by it.
Status Engine::next_request(const Session& session, std::span<const Scalar>& args,
                            std::span<const Scalar>& request) {
  std::int64_t words = 0;
  if (!parse_integer(args[0].bytes, words) || words < 1 ||
      static_cast<std::uint64_t>(words) >= args.size()) {
    return {Code::corrupt, "EXEC: no number of words, or not so many words"};
  }
  request = args.subspan(1, static_cast<std::size_t>(words));
  args = args.subspan(1 + request.size());
  const Command* const command = find_command(request[0].bytes);
  if (command == nullptr) {
    return {Code::unsupported, "EXEC: unknown command " + quoted(request[0].bytes.substr(0, 64))};
  }
  const std::string name(command->name);
  if (!has_place_in_line(*command)) {
    return {Code::reply, "EXEC: " + name + " is not a write"};
  }
  if (arity_is_fine(session, *command, request.size())) return {};
  return {Code::reply, "EXEC: wrong number of arguments for " + name};
}

/// args: for each request the number of its words, then these. A line that was never logged so is
/// not half carried out; a request that fails now failed then, and the others did not.
Status Engine::replay_transaction(Session& session, std::int64_t time_ns,
                                  std::span<const Scalar> args) {
  std::span<const Scalar> request;
  for (std::span<const Scalar> rest = args; !rest.empty();) {
    if (Status read = next_request(session, rest, request); !read.ok()) return read;
  }
  while (!args.empty()) {
    (void)next_request(session, args, request);
    const Status done = replay_one(session, time_ns, request);
    if (!done.ok() && done.code() != Code::reply) return done;
  }
  return {};
}

}  // namespace kv
