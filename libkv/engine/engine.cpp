// See engine.hpp.
#include "libkv/engine/engine.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "libkv/base/limits.hpp"
#include "libkv/base/memory.hpp"
#include "libkv/base/text.hpp"
#include "libkv/engine/request_keys.hpp"
#include "libkv/keyspace/siphash.hpp"

namespace kv {
namespace {

// A note in TouchedKeys with this bit is an index into foreseen_, otherwise one into items_.
constexpr std::uint32_t foreseen_mark = std::uint32_t{1} << 31;

// Expiry looks for due keys so often. Where there are more than it has time for, it goes on after a
// pause, for half as long as others had since: a third of the time, so that it keeps up with
// whoever makes such keys, which takes longer. Never less than the least and never more than the
// most, so that nobody waits for long: beside 300,000 due keys, which are gone in 0.7 s, half of a
// lone client's requests take 0.04 to 0.06 ms, 99 of 100 up to 2.1 to 9.8 ms, on a machine where
// others made that 1.8 to 5.9 ms without any expiry.
constexpr std::int64_t expire_interval_ns = 100'000'000, expire_pause_ns = 1'000'000;
constexpr std::int64_t expire_least_ns = 500'000, expire_most_ns = 10'000'000;
constexpr std::size_t expire_chunk = 16;  // keys between two looks at the clock

/// A batch ends with so many requests that wait in it only for a write before them and are not
/// known to be quick: who submits them learns in time how long they take.
constexpr std::size_t slow_items_max = 4;

/// So many requests before its own a key's memory is asked for.
constexpr std::size_t look_ahead = 12;

bool is_plio_legacy(const Command& command) noexcept {
  return (command.flags & (kPlioNil | kPlioZero)) != 0;
}

/// Commands about the connection or the server itself run alone, after all that came before.
/// PUBLISH is none of them.
bool is_barrier(const Command& command) noexcept {
  constexpr std::uint32_t publishes = kPubSub | kFast;
  return command.group >= Group::connection && (command.flags & publishes) != publishes;
}

/// In RESP2 nothing tells a message from a reply: who listens may ask for little else.
bool may_while_listening(const Session& session, const Command& command) noexcept {
  return session.protocol != 2 || (command.flags & kWhileListening) != 0;
}

bool arity_fits(const Command& command, std::size_t argc) noexcept {
  const auto count = static_cast<int>(argc);
  return command.arity >= 0 ? count == command.arity : count >= -command.arity;
}

// Commands with less to store find room in the reserve, whatever else happens.
constexpr std::size_t small_write_bytes = limits::memory_reserve_bytes / 8;

std::string unknown_command(std::span<const Scalar> args) {
  std::string text = "ERR unknown command '";
  text.append(as_c_text(args[0].bytes, c_text_bytes_max)).append("', with args beginning with: ");
  std::string shown_args;
  for (std::size_t i = 1; i < args.size() && shown_args.size() < c_text_bytes_max; ++i) {
    const std::string_view word = as_c_text(args[i].bytes, c_text_bytes_max - shown_args.size());
    shown_args.append("'").append(word).append("' ");
  }
  return text + shown_args;
}

/// After CLIENT REPLY OFF or SKIP the reply that begins at start is taken back, whatever it says:
/// the client does not count it. True if so. No guest has said so: CLIENT is not for them, and
/// RESET, which makes guests, switches replies on. call: whose reply it is; what SUBSCRIBE says is
/// a message, which is not taken back.
bool silenced(Session& session, std::string& out, std::size_t start, const Call* call = nullptr) {
  using Mode = Session::ReplyMode;
  if (session.reply_mode == Mode::on) return false;
  const bool message =
      call != nullptr && (call->command.flags & kListens) != 0 && !call->reply.failed();
  if (!message) out.resize(start);
  if (session.reply_mode == Mode::skipping) session.reply_mode = Mode::on;
  if (session.reply_mode == Mode::skip_next) session.reply_mode = Mode::skipping;
  return true;
}

}  // namespace

void Engine::set_log(WriteLog* log) {
  log_ = log;
  // Also if it has no line yet: it continues a snapshot.
  if (log != nullptr) last_ns_ = std::max(last_ns_, log->next_time(0) - 1);
}

std::int64_t Engine::now_ns() {
  const std::int64_t wall = clocks_.wall(), coarse = clocks_.coarse();
  const std::int64_t passed = coarse - std::exchange(coarse_ns_, coarse);
  last_ns_ = wall >= last_ns_ ? wall : last_ns_ + passed - passed / 128;
  return last_ns_;
}

/// The requests of a batch share one look at the clock, which costs a tenth of a GET; never behind
/// a line logged before them.
std::int64_t Engine::batch_ns() {
  if (batch_ns_ == 0) batch_ns_ = now_ns();
  return std::max(batch_ns_, last_ns_);
}

/// args: of a request that may name a subcommand, which is counted by its own name.
void Engine::refuse(Session& session, const Command* command, std::string_view text,
                    std::span<const Scalar> args) {
  const memory::MayUseReserve whole;
  try {
    count_refusal(command, args, text);
    say_no(session, command, text);
  } catch (const std::bad_alloc&) {
    sink_.lose_reply(session);
  }
}

void Engine::count_refusal(const Command* command, std::span<const Scalar> args,
                           std::string_view text) {
  ++counters_.error_replies;
  counters_.errors.note(text);
  if (command == nullptr) return;
  const std::string_view word = args.size() > 1 ? args[1].bytes : std::string_view{};
  ++stats_of(*command, subcommand_name(*command, word)).rejected;
}

void Engine::say_no(Session& session, const Command* command, std::string_view text) {
  say(session, [&](Reply& reply) {
    if (session.dialect == Dialect::resp) return reply.error(text);
    if (command == nullptr) return reply.bulk("Error: Unknown command");
    const std::size_t blank = text.find(' ');
    reply.bulk("Error: " + std::string(blank == text.npos ? text : text.substr(blank + 1)));
  });
}

/// One reply, which is no command's work.
void Engine::say(Session& session, FunctionRef<void(Reply&)> words) {
  std::string& out = sink_.begin_reply(session);
  const std::size_t start = out.size();
  Reply reply(out, session.dialect);
  words(reply);
  (void)silenced(session, out, start);
  sink_.end_reply(session, reply.needs_translation(), {});
}

bool Engine::arity_is_fine(const Session& session, const Command& command, std::size_t argc) {
  // picolisp-kv ignores what is too much and answers NIL or 0 to what is missing.
  if (session.dialect == Dialect::plio && is_plio_legacy(command)) return true;
  return arity_fits(command, argc);
}

bool Engine::admissible(const Session& session, const Command* command, std::size_t argc) const {
  if (command == nullptr || !arity_is_fine(session, *command, argc)) return false;
  if (!session.authenticated && (command->flags & kNoAuth) == 0) return false;
  if (session.subscriber && !may_while_listening(session, *command)) return false;
  return !loading_ || (command->flags & kLoading) != 0;
}

void Engine::refuse_inadmissible(Session& session, const Command* command,
                                 std::span<const Scalar> args) {
  if (!session.authenticated && (command == nullptr || (command->flags & kNoAuth) == 0)) {
    refuse(session, command, "NOAUTH Authentication required.", args);
  } else if (command == nullptr) {
    refuse(session, nullptr, unknown_command(args));
  } else if (!arity_is_fine(session, *command, args.size())) {
    const bool ends = session.transaction != nullptr && command->name == "exec";
    if (ends) end_transaction(session);
    refuse(session, command,
           std::string(ends ? "EXECABORT Transaction discarded because of: " : "ERR ") +
               "wrong number of arguments for '" + std::string(command->name) + "' command");
  } else if (session.subscriber && !may_while_listening(session, *command)) {
    std::string name(command->name);
    const std::string_view word = args.size() > 1 ? args[1].bytes : std::string_view{};
    if (const auto second = subcommand_name(*command, word); !second.empty()) {
      name.append("|").append(second);
    }
    refuse(session, command,
           "ERR Can't execute '" + name +
               "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
               "this context",
           args);
  } else {
    refuse(session, command, "LOADING kv is loading the dataset in memory", args);
  }
}

const Command* Engine::named_anew(std::string_view word) {
  const Command* const command = find_command(word);
  if (command != nullptr) last_word_ = word, last_named_ = command;
  return command;
}

void Engine::take(Session& session, std::span<const Scalar> args, const KnownHashes& hashes) {
  ++session.commands;
  const Command* command = named(args[0].bytes);
  const bool admitted = admissible(session, command, args.size());
  if (!admitted || is_barrier(*command)) finish();
  if (!admitted) {
    if (session.transaction != nullptr) session.transaction->refused = true;
    return refuse_inadmissible(session, command, args);
  }
  const Request request{
      session, *command, args, {first_key_hash(*command, args, hashes.key), hashes.field}};
  if (session.transaction != nullptr && goes_into_transaction(request)) return;
  if ((command->flags & kBlocking) != 0 && begins_to_wait(request)) return;
  if ((command->flags & kWrite) != 0) return submit_write(request);
  const std::int64_t time_ns = is_barrier(*command) ? now_ns() : batch_ns();
  if (items_.empty()) return static_cast<void>(run(request, time_ns));
  enqueue(request, time_ns, false);
}

void Engine::submit(Session& session, std::span<const Scalar> args, const KnownHashes& hashes) {
  try {
    take(session, args, hashes);
  } catch (const std::bad_alloc&) {
    finish();  // what came before is answered before
    refuse_for_memory(session);
  }
}

void Engine::refuse_for_memory(Session& session) { refuse(session, nullptr, no_memory); }

bool Engine::conflicts(const Request& request) const {
  bool conflict = may_touch_anything(request.command) || touched_.crowded();
  for_each_key(request, [&](std::uint64_t hash) { conflict |= touched_.contains(hash); });
  return conflict;
}

void Engine::touch(const Request& request) {
  const auto item = static_cast<std::uint32_t>(items_.size());
  for_each_key(request, [&](std::uint64_t hash) { touched_.add(hash, item); });
}

/// The state of a key that an earlier write of the batch touches, as that write leaves it. Null if
/// it cannot be told.
KeyForecast* Engine::forecast_of(const Request& request) {
  const std::uint64_t hash = request.hashes.key;
  if (!touched_.contains(hash)) return nullptr;
  const std::uint32_t noted = touched_.noted(hash);
  const bool known = (noted & foreseen_mark) != 0;
  const Item& item = items_[known ? foreseen_[noted & ~foreseen_mark].item : noted];
  const Request earlier = request_of(item, arguments_);
  // The mark may be another key's, or that of the same key in another database.
  if (earlier.args.size() < 2 || earlier.args[1].bytes != request.args[1].bytes ||
      earlier.session.database != request.session.database ||
      earlier.session.dialect != Dialect::resp) {
    return nullptr;
  }
  if (known) return &foreseen_[noted & ~foreseen_mark].state;
  // Nothing of the batch has been applied: what is there as of its time, that write will meet.
  Keyspace& keys = services_.database(request.session.database);
  Place place = keys.peek(request.args[1].bytes, item.time_ns / 1'000'000, hash);
  std::optional<KeyForecast> state = forecast_from(keys, place);
  if (!state || forecast(earlier.command, earlier.args, *state) != Outcome::changes) return nullptr;
  touched_.note(hash, static_cast<std::uint32_t>(foreseen_.size()) | foreseen_mark);
  foreseen_.push_back({noted, *state});
  return &foreseen_.back().state;
}

Outcome Engine::foresee(const Request& request) {
  const ArgSpan& keys = request.command.keys;
  const bool one_key = keys.first == 1 && keys.last == 1 && request.args.size() > 1;
  if (!one_key || request.session.dialect != Dialect::resp || !refusal_.empty()) {
    return Outcome::unknown;
  }
  KeyForecast* state = forecast_of(request);
  return state != nullptr ? forecast(request.command, request.args, *state) : Outcome::unknown;
}

Engine::Trial Engine::try_out(const Request& request, std::int64_t time_ns) {
  trial_out_.clear();
  Call call(services_, request.session, request.command, request.args, time_ns, trial_out_,
            request.hashes);
  call.set_trial();
  request.command.run(call);
  return {call.committed(), call.waits(), call.missing_database()};
}

/// Before it is logged: what a write may need at least. A command of many elements must not end
/// between two of them.
bool Engine::has_memory_for(const Request& request) const {
  if ((request.command.flags & kDenyOom) == 0) return true;
  if (!memory::hold_reserve()) return false;
  std::size_t bytes = 0;
  for (const Scalar& arg : request.args) bytes += arg.bytes.size() + 64;
  return has_memory_for(2 * bytes);
}

bool Engine::has_memory_for(std::size_t bytes) {
  return bytes <= small_write_bytes || memory::room_for(bytes);
}

void Engine::submit_write(const Request& request) {
  if (!has_memory_for(request)) {
    finish();
    return refuse(request.session, &request.command, no_memory);
  }
  if (log_ == nullptr && refusal_.empty()) {
    run(request, is_barrier(request.command) ? now_ns() : batch_ns());
    return feed_waiting(request);
  }
  const bool conflict = !items_.empty() && conflicts(request);
  const Outcome outcome = conflict ? foresee(request) : Outcome::unknown;
  if (conflict && outcome == Outcome::unknown) finish();
  const std::int64_t time_ns = log_ != nullptr ? log_->next_time(batch_ns()) : now_ns();
  if (outcome == Outcome::changes) {
    add_line(request, time_ns);
    return feed_waiting(request);
  }
  // It has no line, but changes nothing only if those before it are written.
  if (outcome == Outcome::nothing) return enqueue(request, time_ns, true);
  if (!try_out(request, time_ns).commits) {
    // It changes nothing: like a read.
    if (items_.empty()) return static_cast<void>(run(request, time_ns));
    return enqueue(request, time_ns, false);
  }
  if (!refusal_.empty()) {
    finish();
    return refuse(request.session, &request.command, refusal_);
  }
  touch(request);
  add_line(request, time_ns);
  if (may_touch_anything(request.command)) finish();
  feed_waiting(request);
}

void Engine::add_line(const Request& request, std::int64_t time_ns) {
  last_ns_ = std::max(last_ns_, time_ns);
  make_room(request.args.size());  // a line without its request would be logged and never applied
  log_->add(time_ns, request.session.database, request.session.dialect, request.args);
  enqueue(request, time_ns, true, true);
}

void Engine::make_more_room(std::size_t arguments) {
  if (items_.size() == items_.capacity()) items_.reserve(2 * items_.size() + 16);
  const std::size_t needed = arguments_.size() + arguments;
  if (needed > arguments_.capacity()) arguments_.reserve(std::max(needed, 2 * arguments_.size()));
}

void Engine::enqueue(const Request& request, std::int64_t time_ns, bool needs_log, bool has_line) {
  make_room(request.args.size());
  const auto first = static_cast<std::uint32_t>(arguments_.size());
  arguments_.insert(arguments_.end(), request.args.begin(), request.args.end());
  items_.push_back({&request.session, &request.command, first,
                    static_cast<std::uint32_t>(request.args.size()), request.hashes, time_ns,
                    needs_log, has_line});
  const bool quick = has_line || (request.command.flags & kFast) != 0;
  if (!quick && ++slow_items_ >= slow_items_max) finish();
}

Engine::Request Engine::request_of(const Item& item,
                                   std::span<const Scalar> arguments) const noexcept {
  return {*item.session, *item.command, arguments.subspan(item.first, item.count), item.hashes};
}

void Engine::finish() {
  batch_ns_ = looked_ns_ = 0;
  if (items_.empty()) return;
  const memory::MayUseReserve whole;
  Status written;
  if (log_ != nullptr && log_->pending()) written = log_->write();
  // Taken away first: a command may itself ask for the batch to be finished.
  std::vector<Item> items;
  std::vector<Scalar> arguments;
  items.swap(items_);
  arguments.swap(arguments_);
  touched_.clear();
  foreseen_.clear();
  batch_replies_ = slow_items_ = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    // The trial looked the key up, but a long batch has pushed that out of the cache again.
    if (i + look_ahead < items.size() && items[i + look_ahead].hashes.key != 0) {
      const Item& later = items[i + look_ahead];
      services_.database(later.session->database).prefetch(later.hashes.key);
    }
    if (item.needs_log && !written.ok()) {
      refuse(*item.session, item.command, "MISCONF " + written.message());
    } else if (!item.needs_log && batch_replies_ > limits::batch_replies_bytes_max) {
      // Requests that came together are answered together: what they ask for must be bounded.
      refuse(*item.session, item.command,
             "ERR too many bytes of replies to requests sent at once; ask again",
             request_of(item, arguments).args);
    } else if (!run(request_of(item, arguments), item.time_ns) && item.has_line) {
      written = take_back_from(std::span(items).subspan(i), arguments);
    }
  }
  // Give the memory back for the next batch, unless somebody queued meanwhile.
  if (items_.empty()) {
    items.clear();
    arguments.clear();
    items_.swap(items);
    arguments_.swap(arguments);
  }
}

/// The first of these could not be applied: its line leaves the log, those after it are written
/// again without it.
Status Engine::take_back_from(std::span<const Item> items, std::span<const Scalar> arguments) {
  std::size_t lines = 0;
  for (const Item& item : items) lines += item.has_line ? 1 : 0;
  if (Status taken = log_->take_back(lines); !taken.ok()) return taken;
  const memory::MayUseReserve whole;
  try {
    for (const Item& item : items.subspan(1)) {
      if (!item.has_line) continue;
      log_->add(item.time_ns, item.session->database, item.session->dialect,
                arguments.subspan(item.first, item.count));
    }
  } catch (const std::bad_alloc&) {
    log_->forget();
    return {Code::limit, "there is not enough memory for the log's lines"};
  }
  return log_->pending() ? log_->write() : Status{};
}

/// False if memory ended; then the reply says so.
bool Engine::apply(Call& call) {
  try {
    const memory::MayUseReserve whole((call.command.flags & kWrite) != 0);
    call.command.run(call);
    return true;
  } catch (const std::bad_alloc&) {
    call.reply.start_over();
    call.reply.error(no_memory);
    return false;
  }
}

/// apply(), and how long it took.
void Engine::apply_and_count(Call& call, bool& applied) {
  Session& session = call.session;
  SlowLog& slow = counters_.slow;
  session.last_subcommand = {};
  // The exact time of one command in sixteen stands for all: two looks at the clock cost as much as
  // a GET. What SLOWLOG wants to know, the coarse clock tells for next to nothing.
  const bool timed = (++timing_ & 15) == 0;
  if (looked_ns_ == 0) looked_ns_ = clocks_.coarse();
  const std::int64_t before = timed ? wall_ns() : 0;
  applied = apply(call);
  if (!call.rejected()) {
    CommandStats& stats = stats_of(call.command, session.last_subcommand);
    ++stats.calls;
    if (timed) stats.took_one_in_sixteen(wall_ns() - before);
  }
  const std::int64_t now = clocks_.coarse();
  const std::int64_t took = now - std::exchange(looked_ns_, now);
  busy_ns_ += took;
  const std::int64_t micros = took / 1000;
  if (slow.is_slow(micros)) {
    slow.note(session, call.command, call.args(), call.now_ms(), micros);
  }
}

void Engine::settle(Call& call, std::size_t start) {
  if (call.reply.too_large()) {
    call.reply.start_over();
    call.reply.error("ERR the reply would be larger than " +
                     std::to_string(limits::reply_bytes_max) + " bytes" +
                     (call.committed() ? "; the change was made" : ""));
  }
  ++counters_.commands_processed;
  if (call.committed()) {
    ++counters_.changes_since_save;
    if (!watches_.empty()) note_changed(call);
  }
  if (call.reply.failed()) count_error(call, std::string_view(call.reply.out()).substr(start));
}

/// A command, and what is to be done when it has run; its reply begins at start. applied is right
/// even where that finds no memory.
void Engine::carry_out(Call& call, std::size_t start, bool& applied) {
  apply_and_count(call, applied);
  settle(call, start);
}

void Engine::answer(Session& session, Call& call, std::string& out, std::size_t start) {
  std::string_view rest = call.reply.rest();
  batch_replies_ += out.size() - start + rest.size();
  if (silenced(session, out, start, &call)) rest = {};
  sink_.end_reply(session, call.reply.needs_translation(), rest);
}

void Engine::apply_and_answer(const Request& request, std::int64_t time_ns, bool& applied) {
  Session& session = request.session;
  session.last_command = request.command.name;
  std::string& out = sink_.begin_reply(session);
  const std::size_t start = out.size();
  Call call(services_, session, request.command, request.args, time_ns, out, request.hashes);
  carry_out(call, start, applied);
  answer(session, call, out, start);
}

/// False if it is a write that could not be applied.
bool Engine::run(const Request& request, std::int64_t time_ns) {
  const memory::MayUseReserve whole;  // apply() may say otherwise
  bool applied = false;
  try {
    apply_and_answer(request, time_ns, applied);
  } catch (const std::bad_alloc&) {
    sink_.lose_reply(request.session);  // it is its reply that found no memory, nobody else's
  }
  return applied;
}

CommandStats& Engine::stats_of_another(const Command& command, std::string_view subcommand) {
  if (!subcommand.empty()) {
    std::string name(command.name);
    return counters_.commands[name.append("|").append(subcommand)];
  }
  CommandStats*& stats = stats_[&command];
  if (stats == nullptr) stats = &counters_.commands[std::string(command.name)];
  // What has subcommands may come with one the next time.
  if (command.subcommands.empty()) counted_ = &command, counted_stats_ = stats;
  return *stats;
}

/// text: the reply, from its "-" on. What names no subcommand is counted as no command's.
void Engine::count_error(const Call& call, std::string_view text) {
  ++counters_.error_replies;
  counters_.errors.note(text.substr(1));
  const std::string_view subcommand = call.session.last_subcommand;
  if (!call.rejected()) ++stats_of(call.command, subcommand).failed;
  else if (!subcommand.empty()) ++stats_of(call.command, subcommand).rejected;
}

std::int64_t Engine::expire_some() {
  const std::int64_t start = clocks_.steady();
  if (!active_expire_ || loading_) return start + expire_interval_ns;
  const std::int64_t others_had = expired_until_ns_ == 0 ? 0 : start - expired_until_ns_;
  const bool done =
      expire_until(start + std::clamp(others_had / 2, expire_least_ns, expire_most_ns));
  const std::int64_t end = clocks_.steady();
  expired_until_ns_ = done ? 0 : end;
  return end + (done ? expire_interval_ns : expire_pause_ns);
}

/// False: the time is up. Then the next database is the first one the next time, or one that is
/// never done would keep the others from their turn.
bool Engine::expire_until(std::int64_t end_ns) {
  const std::int64_t now_ms = now_ns() / 1'000'000;
  for (unsigned tried = 0; tried < services_.databases(); ++tried) {
    Keyspace& keys = services_.database(expire_next_);
    expire_next_ = (expire_next_ + 1) % services_.databases();
    if (!expire_in(keys, now_ms, end_ns)) return false;
  }
  return true;
}

bool Engine::expire_in(Keyspace& keys, std::int64_t now_ms, std::int64_t end_ns) {
  for (std::size_t gone = expire_chunk; gone == expire_chunk;) {
    gone = keys.expire_some(now_ms, expire_chunk);
    counters_.expired_keys += gone;
    if (gone > 0 && clocks_.steady() >= end_ns) return false;
  }
  return true;
}

}  // namespace kv
