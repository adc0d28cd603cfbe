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

/// args: for each request the number of its words, then these (log_transaction). One that fails now
/// failed then: the others were carried out all the same.
Status Engine::replay_transaction(Session& session, std::int64_t time_ns,
                                  std::span<const Scalar> args) {
  const Status corrupt{Code::corrupt, "EXEC: no number of words, or not so many words"};
  while (!args.empty()) {
    std::int64_t words = 0;
    if (!parse_integer(args[0].bytes, words) || words < 1) return corrupt;
    if (static_cast<std::uint64_t>(words) >= args.size()) return corrupt;
    const auto count = static_cast<std::size_t>(words);
    const Command* const command = find_command(args[1].bytes);
    const bool fits =
        command == nullptr || (command->flags & kWrite) != 0 || command->name == "select";
    if (!fits) return {Code::reply, "EXEC: " + std::string(command->name) + " is not a write"};
    const Status done = replay_one(session, time_ns, args.subspan(1, count));
    if (!done.ok() && done.code() != Code::reply) return done;
    args = args.subspan(1 + count);
  }
  return {};
}

}  // namespace kv
