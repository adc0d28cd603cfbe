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

bool names_databases(const Command& command) noexcept {
  return command.name == "select" || command.name == "move" || command.name == "copy" ||
         command.name == "swapdb";
}

/// Does one of its commands have this flag?
bool has(const Transaction& transaction, std::uint32_t flag) noexcept {
  return std::any_of(transaction.requests.begin(), transaction.requests.end(),
                     [&](const auto& request) { return (request.command->flags & flag) != 0; });
}

constexpr std::string_view too_many_bytes = "ERR too many bytes of replies in one transaction";

}  // namespace

void Engine::watch(Session& session, std::string_view key, bool there) {
  watches_.add(session, key, hash_of(key), there);
}

/// A command has changed what it touches.
void Engine::note_changed(const Call& call) {
  const Command& command = call.command;
  const Watches::Where here = call.session.database;
  if (command.name == "flushdb") return watches_.note_emptied(here);
  if (command.name == "flushall") return watches_.note_emptied({});
  if (may_touch_anything(command)) return watches_.note_all_changed();
  const bool to_another = command.name == "move" || command.name == "copy";
  bool changed = (command.flags & kReadsFirst) == 0;
  for_each_key(command, call.args(), 0, [&](std::uint64_t hash) {
    if (changed) watches_.note_changed(hash, to_another ? Watches::Where() : here);
    changed = (command.flags & kStores) == 0;
  });
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
  if (!has(transaction, kWrite)) return {};
  if (!refusal_.empty()) return "EXECABORT Transaction discarded because of: " + refusal_;
  if (!has(transaction, kDenyOom)) return {};  // it may make room
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
  ++counters_.commands_processed;
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
  const unsigned database = session.database;  // in which its line begins
  const std::size_t count = transaction.requests.size();
  reply.array(count);
  TransactionLine line;
  if (logged) {
    last_ns_ = std::max(last_ns_, time_ns);
    if (const std::string why = log_transaction(session, transaction, time_ns, line);
        !why.empty()) {
      count_refusal(named("exec"), {}, why);
      reply.start_over();
      return reply.error(why);
    }
  }
  Elements elements{reply, reply.out().size()};
  const std::size_t applied = carry_out(session, transaction, time_ns, elements);
  if (logged && applied < count) log_again(std::move(line), applied, database, time_ns);
  for (std::size_t i = applied + 1; i < count; ++i) say_element(reply, no_memory);
  if (elements.lost) throw std::bad_alloc();
}

/// Whether one of its writes would change anything now. If none would, none ever will: each meets
/// what the one before it has left as it was.
bool Engine::would_change(Session& session, const Transaction& transaction, std::int64_t time_ns) {
  const unsigned database = session.database;
  bool changes = false;
  for (const auto& [command, arguments] : transaction.requests) {
    if (!has_place_in_line(*command)) continue;
    const Request request{session, *command, arguments.args(), {}};
    changes = try_out(request, time_ns).commits;  // of a SELECT: where the next ones are tried
    if (changes) break;
  }
  session.database = database;
  return changes;
}

/// What the line of a transaction says of it: writes, and where they go.
bool Engine::has_place_in_line(const Command& command) noexcept {
  return (command.flags & kWrite) != 0 || command.name == "select";
}

/// One that names a database that is not there fails here, but not where the line is replayed by a
/// server with more of them.
bool Engine::is_logged(Session& session, const Transaction::Request& queued, std::int64_t time_ns) {
  if (!names_databases(*queued.command)) return has_place_in_line(*queued.command);
  const unsigned database = session.database;
  const Trial trial = try_out({session, *queued.command, queued.arguments.args(), 0}, time_ns);
  session.database = database;
  return trial.missing_database < 0;
}

/// For each of its writes the number of its words, then these.
void Engine::compose(Session& session, const Transaction& transaction, std::int64_t time_ns,
                     TransactionLine& line) {
  line.numbers.reserve(transaction.requests.size());  // they must not move
  line.ends.reserve(transaction.requests.size());
  line.words.reserve(transaction.words + 1);
  line.words.emplace_back("EXEC");
  for (const Transaction::Request& queued : transaction.requests) {
    if (is_logged(session, queued, time_ns)) {
      const std::span<const Scalar> arguments = queued.arguments.args();
      line.numbers.push_back(std::to_string(arguments.size()));
      line.words.emplace_back(line.numbers.back(), Kind::number);
      line.words.insert(line.words.end(), arguments.begin(), arguments.end());
    }
    line.ends.push_back(line.words.size());
  }
}

/// Why it could not; empty: its line is in the log.
std::string Engine::log_transaction(Session& session, const Transaction& transaction,
                                    std::int64_t time_ns, TransactionLine& line) {
  try {
    compose(session, transaction, time_ns, line);
    log_->add(time_ns, session.database, session.dialect, line.words);
  } catch (const std::bad_alloc&) {
    return std::string(no_memory);
  }
  const Status written = log_->write();
  return written.ok() ? std::string() : "MISCONF " + written.message();
}

/// Memory has ended on the way: the log must say what was done, not what was meant. If it cannot it
/// is closed, or what is written later would be about other data than it has.
void Engine::log_again(TransactionLine line, std::size_t applied, unsigned database,
                       std::int64_t time_ns) {
  if (!log_->take_back(1).ok()) return;
  const std::size_t words = applied == 0 ? 1 : line.ends[applied - 1];
  if (words == 1) return;
  Status written;
  try {
    log_->add(time_ns, database, Dialect::resp, std::span(line.words).first(words));
    written = log_->write();
  } catch (const std::bad_alloc&) {
    line = {};  // for the sentence
    written = {Code::limit, "there is no memory for the line of a transaction"};
  }
  if (!written.ok()) log_->give_up(written);
}

/// Returns how many requests were carried out: all before a write for which memory ended.
std::size_t Engine::carry_out(Session& session, const Transaction& transaction,
                              std::int64_t time_ns, Elements& said) {
  const std::size_t count = transaction.requests.size();
  std::size_t applied = 0;
  for (; applied < count; ++applied) {
    const auto& [command, arguments] = transaction.requests[applied];
    const Request request{
        session, *command, arguments.args(), {first_key_hash(*command, arguments.args())}};
    const bool write = (command->flags & kWrite) != 0;
    if (!run_queued(request, time_ns, said) && write) break;
  }
  return applied;
}

/// Of a reply that may be larger than any other: its own functions would take back all of it.
void Engine::say_element(Reply& whole, std::string_view error) {
  Reply(whole.out(), whole.dialect()).error(error);
}

/// Its reply becomes the next element. False if memory ended for what it does. Never throws: what
/// follows is in the log and must be done, too.
bool Engine::run_queued(const Request& request, std::int64_t time_ns, Elements& said) noexcept {
  const bool write = (request.command.flags & kWrite) != 0;
  bool applied = false;
  try {
    if (said.full && !write) return say_element(said.whole, too_many_bytes), true;
    std::string& out = said.whole.out();
    const std::size_t start = out.size();
    Call call(services_, request.session, request.command, request.args, time_ns, out,
              request.hashes);
    carry_out(call, start, applied);
    // Of several keys the one that was written to first serves: one that was left as it was is not.
    if (call.committed() && !waiting_.empty()) note_fed(request);
    request.session.last_subcommand = {};
    end_element(call, start, said);
  } catch (const std::bad_alloc&) {
    said.lost = true;
    if (write && applied) watches_.note_all_changed();
  }
  return applied;
}

/// The elements of a reply may have as many bytes as the replies to a batch. A write is done even
/// if what it says does not fit, or not all of the transaction would be.
void Engine::end_element(Call& call, std::size_t start, Elements& said) {
  std::string& out = said.whole.out();
  const std::string_view rest = call.reply.rest();
  if (out.size() - said.begin + rest.size() > limits::batch_replies_bytes_max) {
    said.full = true;
    out.resize(start);
    std::string why(too_many_bytes);
    return say_element(said.whole, call.committed() ? why + "; the change was made" : why);
  }
  try {
    if (!rest.empty()) out.append(rest).append("\r\n");
    said.whole.contains(call.reply);
  } catch (const std::bad_alloc&) {
    out.resize(start);
    say_element(said.whole, no_memory);
  }
}

}  // namespace kv
