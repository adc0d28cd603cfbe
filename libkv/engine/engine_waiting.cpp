// Requests that wait for a list or a sorted set: how they begin to, who is served by which write,
// how a wait ends. See engine.hpp, and waiting.hpp for the table of them.
#include <algorithm>
#include <memory>
#include <new>

#include "libkv/base/memory.hpp"
#include "libkv/engine/engine.hpp"
#include "libkv/engine/request_keys.hpp"

namespace kv {
namespace {

/// timeout_ms 0: never.
std::int64_t deadline(std::int64_t now_ns, std::int64_t timeout_ms) noexcept {
  std::int64_t at = 0;
  const bool ever = timeout_ms > 0 && !__builtin_mul_overflow(timeout_ms, 1'000'000, &at) &&
                    !__builtin_add_overflow(at, now_ns, &at);
  return ever ? at : INT64_MAX;
}

}  // namespace

/// True: it waits. Then all before it are answered, and it ends its batch, so that nothing behind
/// it is answered before.
bool Engine::begins_to_wait(const Request& request) {
  if (!items_.empty() && conflicts(request)) finish();
  const Trial trial = try_out(request, batch_ns());
  if (trial.commits || !trial.wait) return false;
  finish();
  Session& session = request.session;
  auto waiter = std::make_unique<Waiter>(session, request.args, trial.wait->first, trial.wait->last,
                                         trial.wait->type,
                                         deadline(clocks_.steady(), trial.wait->timeout_ms));
  sink_.begin_wait(session);
  waiting_.add(std::move(waiter));
  session.last_command = request.command.name;
  session.last_subcommand = {};
  session.waiting = true;
  return true;
}

/// After a write: who waits for one of its keys comes next.
void Engine::feed_waiting(const Request& request) {
  if (waiting_.empty()) return;
  note_fed(request);
  if (waiting_.any_fed()) serve_waiting();
}

/// What says how many keys it has only takes (LMPOP), and is what workers ask for all the time.
void Engine::note_fed(const Request& request) {
  const Command& command = request.command;
  if ((command.flags & kMovableKeys) != 0 && !stores_in_front(command)) return;
  if (may_touch_anything(request.command)) waiting_.note_all_fed();
  else for_each_key(request, [&](std::uint64_t hash) { waiting_.note_fed(hash); });
}

/// What is served may feed others in turn (BLMOVE): they are taken here as well, not from inside.
void Engine::serve_waiting() {
  if (serving_) return;
  const memory::MayUseReserve whole;
  serving_ = true;
  finish();
  const auto type_at = [this](unsigned database, std::string_view key, std::uint64_t hash) {
    Keyspace& keys = services_.database(database);
    // At the time of the line that takes from it: what has expired by then would answer null.
    const std::int64_t time_ns = log_ != nullptr ? log_->next_time(batch_ns()) : batch_ns();
    Place place = keys.peek(key, time_ns / 1'000'000, hash);
    return keys.type(place);
  };
  while (true) {
    const WaitingRequests::Served next = waiting_.take_served(type_at);
    if (next.waiter == nullptr) break;
    serve(*next.waiter, next.key);
  }
  serving_ = false;
}

/// As if it had been sent just now, but for the key alone that was fed first: one in front of it in
/// the request may have been fed after it, in the same transaction.
void Engine::serve(Waiter& waiter, const Waiter::Key& key) {
  Session& session = waiter.session;
  session.waiting = false;
  try {
    sink_.end_wait(session);
    const Command* const command = named(waiter.args()[0].bytes);
    const bool several = waiter.keys().size() > 1;
    const std::vector<Scalar> some = several ? waiter.args_for(key) : std::vector<Scalar>();
    const std::span<const Scalar> args = several ? some : waiter.args();
    submit_write({session, *command, args, {first_key_hash(*command, args)}});
    finish();
  } catch (const std::bad_alloc&) {
    finish();
    refuse_for_memory(session);
  }
}

bool Engine::end_overdue_waits() {
  const std::int64_t now_ns = clocks_.steady();
  if (next_wait_end_ns() > now_ns) return false;
  while (const std::unique_ptr<Waiter> waiter = waiting_.take_overdue(now_ns)) {
    end_wait(waiter->session, {});
  }
  return true;
}

void Engine::end_wait(Session& session, std::string_view error) {
  session.waiting = false;
  try {
    sink_.end_wait(session);
    const Command* const command = named(session.last_command);
    CommandStats& stats = stats_of(*command, {});
    ++stats.calls;
    ++counters_.commands_processed;
    if (error.empty()) return say(session, [](Reply& reply) { reply.nil_array(); });
    ++stats.failed;
    ++counters_.error_replies;
    counters_.errors.note(error);
    say_no(session, command, error);
  } catch (const std::bad_alloc&) {
    sink_.lose_reply(session);
  }
}

}  // namespace kv
