// Commands that make several requests one: MULTI, EXEC, DISCARD, and WATCH for the condition.
//
// Queueing and carrying out are the engine's (engine_transaction.cpp): it gets here only with what
// is not queued, and never with an EXEC that has something to carry out.
#include <memory>

#include "libkv/commands/call.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

void multi(Call& call) {
  if (call.plio()) return call.fail("ERR a transaction needs a client that speaks RESP");
  if (call.session.transaction != nullptr) {
    return call.fail("ERR MULTI calls can not be nested");
  }
  call.session.transaction = std::make_unique<Transaction>();
  call.reply.ok();
}

void exec(Call& call) { call.fail("ERR EXEC without MULTI"); }

void discard(Call& call) {
  if (call.session.transaction == nullptr) return call.fail("ERR DISCARD without MULTI");
  call.session.transaction.reset();
  call.server.unwatch_keys(call.session);
  call.reply.ok();
}

void watch(Call& call) {
  if (call.session.transaction != nullptr) {
    return call.fail("ERR WATCH inside MULTI is not allowed");
  }
  for (std::size_t i = 1; i < call.argc(); ++i) {
    const bool there = call.keys().peek(call.arg(i), call.now_ms()).found();
    call.server.watch_key(call.session, call.arg(i), there);
  }
  call.reply.ok();
}

void unwatch(Call& call) {
  call.server.unwatch_keys(call.session);
  call.reply.ok();
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"multi", 1, kNoScript | kLoading | kStale | kFast | kNeverQueued, {}, {}, Group::transaction,
     multi,
     "",
     "Begins a transaction: what follows is queued",
     "O(1)", "1.0"},
    {"exec", 1, kNoScript | kLoading | kStale | kNeverQueued, {}, {}, Group::transaction, exec,
     "",
     "Carries out what is queued, as one; nothing if a watched key has changed",
     "That of the commands queued", "1.0"},
    {"discard", 1, kNoScript | kLoading | kStale | kFast | kNeverQueued, {}, {},
     Group::transaction, discard,
     "",
     "Forgets what is queued and what is watched",
     "O(N) where N is the number of requests queued", "1.0"},
    {"watch", -2, kNoScript | kLoading | kStale | kFast | kNeverQueued, {1, -1, 1}, {},
     Group::transaction, watch,
     "key [key ...]",
     "Lets the next EXEC do nothing if one of the keys changes until then",
     "O(1) for each key", "1.0"},
    {"unwatch", 1, kNoScript | kLoading | kStale | kFast, {}, {}, Group::transaction, unwatch,
     "",
     "Forgets what is watched",
     "O(1)", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> transaction_commands() noexcept { return rows; }

}  // namespace kv
