// MULTI, EXEC and WATCH: requests that are queued, logged as one line and carried out as one. See
// engine.hpp; the words of the commands are in commands/transactions.cpp.
//
// Nothing else runs between two of them, and a crash leaves the line of all of them or none.
#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "libkv/base/limits.hpp"
#include "libkv/base/memory.hpp"
#include "libkv/engine/engine.hpp"
#include "libkv/engine/request_keys.hpp"

namespace kv {
namespace {

/// What the line of a transaction says of it: writes, and where they go.
bool is_logged(const Command& command) noexcept {
  return (command.flags & kWrite) != 0 || command.name == "select";
}

bool writes(const Transaction& transaction) noexcept {
  return std::any_of(transaction.requests.begin(), transaction.requests.end(),
                     [](const auto& request) { return (request.command->flags & kWrite) != 0; });
}

std::uint64_t first_key_hash(const Command& command, std::span<const Scalar> args) {
  return command.keys.first == 1 && args.size() > 1 ? hash_of(args[1].bytes) : 0;
}

}  // namespace

void Engine::watch(Session& session, std::string_view key, bool there) {
  watches_.add(session, key, hash_of(key), there);
}

/// A command has changed what it touches.
void Engine::note_changed(const Command& command, std::span<const Scalar> args) {
  if (may_touch_anything(command)) return watches_.note_all_changed();
  ArgSpan keys = keys_of(command, args);
  if (command.name == "copy") ++keys.first;  // which it only reads
  for (int i = keys.first; i <= keys.last && i > 0; i += keys.step) {
    watches_.note_changed(hash_of(args[static_cast<std::size_t>(i)].bytes));
  }
}

/// Of a session behind MULTI. False: it is to be carried out now, like any other.
bool Engine::goes_into_transaction(const Request& request) {
  if (request.command.name == "exec") return execute(request), true;
  if ((request.command.flags & kNeverQueued) != 0) return false;
  Transaction& transaction = *request.session.transaction;
  const auto refuse_it = [&](std::string_view why) {
    transaction.refused = true;
    refuse(request.session, &request.command, why, request.args);
  };
  std::size_t bytes = 0;
  for (const Scalar& arg : request.args) bytes += arg.bytes.size();
  const bool too_much = transaction.bytes + bytes > limits::request_bytes_max ||
                        transaction.words + request.args.size() + 1 >= limits::args_max;
  if ((request.command.flags & kNoMulti) != 0) {
    refuse_it("ERR Command not allowed inside a transaction");
  } else if (too_much) {
    refuse_it("ERR the transaction is larger than one request may be");
  } else if (!has_memory_for(request)) {
    refuse_it(no_memory);
  } else {
    queue(request);
  }
  return true;
}

void Engine::queue(const Request& request) {
  Transaction& transaction = *request.session.transaction;
  try {
    transaction.requests.push_back({&request.command, KeptArguments(request.args)});
  } catch (const std::bad_alloc&) {
    transaction.refused = true;
    throw;
  }
  transaction.bytes += transaction.requests.back().arguments.bytes();
  transaction.words += request.args.size() + 1;
  say(request.session, [](Reply& reply) { reply.simple("QUEUED"); });
}

/// Why EXEC cannot carry it out; empty: it can.
std::string Engine::why_not(const Transaction& transaction) const {
  if (transaction.refused) return "EXECABORT Transaction discarded because of previous errors.";
  if (!writes(transaction)) return {};
  if (!refusal_.empty()) return "EXECABORT Transaction discarded because of: " + refusal_;
  const bool room =
      memory::hold_reserve() && has_memory_for(2 * transaction.bytes + 128 * transaction.words);
  return room ? std::string() : std::string(no_memory);
}

std::unique_ptr<Transaction> Engine::end_transaction(Session& session) noexcept {
  watches_.forget(session);
  return std::move(session.transaction);
}

void Engine::execute(const Request& exec) {
  finish();
  Session& session = exec.session;
  session.last_command = exec.command.name;
  session.last_subcommand = {};
  const auto is_there = [&](unsigned database, std::string_view key, std::uint64_t hash) {
    return services_.database(database).peek(key, now_ns() / 1'000'000, hash).found();
  };
  const bool changed = watches_.changed(session, is_there);
  const std::unique_ptr<Transaction> transaction = end_transaction(session);
  if (const std::string why = why_not(*transaction); !why.empty()) {
    return refuse(session, &exec.command, why, exec.args);
  }
  ++stats_of(exec.command, {}).calls;
  ++services_.counters().commands_processed;
  try {
    say(session, [&](Reply& reply) {
      if (changed) return reply.nil_array();
      log_and_carry_out(session, *transaction, reply);
    });
  } catch (const std::bad_alloc&) {
    sink_.lose_reply(session);
  }
  if (waiting_.any_fed()) serve_waiting();
}

void Engine::log_and_carry_out(Session& session, const Transaction& transaction, Reply& reply) {
  const memory::MayUseReserve whole;
  const std::int64_t time_ns = log_ != nullptr ? log_->next_time(now_ns()) : now_ns();
  const bool logged = log_ != nullptr && would_change(session, transaction, time_ns);
  const std::size_t count = transaction.requests.size();
  if (logged) {
    last_ns_ = std::max(last_ns_, time_ns);
    const Status written =
        log_transaction(session.database, session.dialect, transaction, count, time_ns);
    if (!written.ok()) {
      count_refusal(named("exec"), {}, "MISCONF");
      return reply.error("MISCONF " + written.message());
    }
  }
  const unsigned database = session.database;  // in which its line begins
  const std::size_t applied = carry_out(session, transaction, time_ns, reply);
  if (!logged || applied == count) return;
  // Memory has ended on the way: the log must say what was done, not what was meant.
  if (!log_->take_back(1).ok()) return;
  (void)log_transaction(database, session.dialect, transaction, applied, time_ns);
}

/// Whether one of its writes would change anything now. If none would, none ever will: each meets
/// what the one before it has left as it was.
bool Engine::would_change(Session& session, const Transaction& transaction, std::int64_t time_ns) {
  const unsigned database = session.database;
  bool changes = false;
  for (const auto& [command, arguments] : transaction.requests) {
    if (!is_logged(*command)) continue;
    const Request request{session, *command, arguments.args(), 0};
    if (command->name == "select") (void)try_out(request, time_ns);
    else changes = try_out(request, time_ns);
    if (changes) break;
  }
  session.database = database;
  return changes;
}

/// The line of its first count requests: for each the number of its words, then these.
Status Engine::log_transaction(unsigned database, Dialect dialect, const Transaction& transaction,
                               std::size_t count, std::int64_t time_ns) {
  std::vector<std::string> numbers;
  std::vector<Scalar> words{Scalar("EXEC")};
  numbers.reserve(count);  // they must not move
  words.reserve(transaction.words + 1);
  for (const auto& [command, arguments] : std::span(transaction.requests).first(count)) {
    if (!is_logged(*command)) continue;
    numbers.push_back(std::to_string(arguments.args().size()));
    words.emplace_back(numbers.back(), Kind::number);
    words.insert(words.end(), arguments.args().begin(), arguments.args().end());
  }
  if (numbers.empty()) return {};
  log_->add(time_ns, database, dialect, words);
  return log_->write();
}

/// Returns how many were: those behind a write for which memory has ended are answered so.
std::size_t Engine::carry_out(Session& session, const Transaction& transaction,
                              std::int64_t time_ns, Reply& whole) {
  const std::size_t count = transaction.requests.size();
  const std::size_t begin = whole.out().size();
  whole.array(count);
  std::size_t applied = 0;
  for (; applied < count; ++applied) {
    const auto& [command, arguments] = transaction.requests[applied];
    const Request request{session, *command, arguments.args(),
                          first_key_hash(*command, arguments.args())};
    const bool write = (command->flags & kWrite) != 0;
    if (!write && whole.out().size() - begin > limits::batch_replies_bytes_max) {
      say_element(whole, "ERR too many bytes of replies in one transaction; ask again");
      continue;
    }
    if (!run_queued(request, time_ns, whole) && write) break;
    if (write && !waiting_.empty()) note_fed(request);
  }
  for (std::size_t i = applied + 1; i < count; ++i) say_element(whole, no_memory);
  return applied;
}

/// Of a reply that may be larger than any other: its own functions would take back all of it.
void Engine::say_element(Reply& whole, std::string_view error) {
  Reply(whole.out(), whole.dialect()).error(error);
}

/// Its reply becomes the next element of whole. False if memory ended.
bool Engine::run_queued(const Request& request, std::int64_t time_ns, Reply& whole) {
  std::string& out = whole.out();
  const std::size_t start = out.size();
  Call call(services_, request.session, request.command, request.args, time_ns, out,
            request.key_hash);
  bool applied = false;
  apply_and_count(call, applied);
  settle(call, start);
  request.session.last_subcommand = {};
  const std::string_view rest = call.reply.rest();
  try {
    if (!rest.empty()) out.append(rest).append("\r\n");
  } catch (const std::bad_alloc&) {
    out.resize(start);
    say_element(whole, no_memory);
  }
  whole.contains(call.reply);
  return applied;
}

}  // namespace kv
