// Requests that wait until one of their keys is a list (BLPOP and its kin) or a sorted set
// (BZPOPMIN), and for which keys.
//
// Who has waited for a key longest comes first. A write that may have put something at a key notes
// it here as fed; the engine then takes the requests that can be served, one after the other. Must
// never run a command, look at a keyspace or know a clock but the one it is given times of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libkv/commands/session.hpp"
#include "libkv/keyspace/function_ref.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/value/kept_arguments.hpp"

namespace kv {

/// A request that waits, with a copy of its arguments. A session has one at most.
class Waiter {
 public:
  /// The keys are args[first] to args[last], one of which is to be of the type. deadline_ns: by the
  /// steady clock; INT64_MAX: never.
  Waiter(Session& session, std::span<const Scalar> args, std::size_t first, std::size_t last,
         Type type, std::int64_t deadline_ns);
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  Session& session;
  const Type type;
  const std::int64_t deadline_ns;
  std::span<const Scalar> args() const noexcept { return arguments_.args(); }
  struct Key {
    std::uint64_t hash;
    std::string_view bytes;
  };
  /// Each once, in the order of their hashes.
  std::span<const Key> keys() const noexcept { return keys_; }
  std::span<const Key> keys_with(std::uint64_t hash) const noexcept;
  /// The same request for this one of its keys alone. Throws std::bad_alloc.
  std::vector<Scalar> args_for(const Key& key) const;

 private:
  const std::size_t first_, last_;  // of its arguments: the keys
  const KeptArguments arguments_;
  std::vector<Key> keys_;
};

class WaitingRequests {
 public:
  bool empty() const noexcept { return waiters_.empty(); }
  std::size_t size() const noexcept { return waiters_.size(); }

  /// All of it, or std::bad_alloc and nothing. The session has none yet.
  void add(std::unique_ptr<Waiter> waiter);
  /// The session's request, which waits no longer; null if it has none.
  std::unique_ptr<Waiter> take(const Session& session) noexcept;

  /// Something may have been put at the key with this hash, in whichever database.
  void note_fed(std::uint64_t key_hash) noexcept;
  void note_all_fed() noexcept;
  bool any_fed() const noexcept { return first_fed_ != nullptr; }
  /// What is at this key, whose hash that is?
  using TypeAt = FunctionRef<Type(unsigned database, std::string_view key, std::uint64_t hash)>;
  struct Served {
    std::unique_ptr<Waiter> waiter;
    Waiter::Key key;  // one of the waiter's
  };
  /// Of those who wait for the key that was fed first and is there, the one that has waited
  /// longest; null: nobody does, and no key counts as fed any more.
  Served take_served(TypeAt type_at);

  /// When the first of them has waited enough; INT64_MAX: none ever will have.
  std::int64_t first_deadline_ns() const noexcept;
  /// One that has waited enough; null: there is none.
  std::unique_ptr<Waiter> take_overdue(std::int64_t now_ns) noexcept;

 private:
  struct Queue {
    std::uint64_t hash = 0;        // of the key
    std::vector<Waiter*> waiters;  // who came first is first
    bool fed = false;
    Queue *fed_before = nullptr, *fed_behind = nullptr;  // its neighbours among those that are
  };
  static Waiter* first_served(const Queue& queue, TypeAt type_at, Waiter::Key& by);
  void note_fed(Queue& queue) noexcept;
  void forget_fed(Queue& queue) noexcept;

  std::unordered_map<const Session*, std::unique_ptr<Waiter>> waiters_;
  std::unordered_map<std::uint64_t, Queue> queues_;  // by the hash of a key; none is empty
  // Those that are fed, in that order: a chain, so that noting never fails, and each leaves it at
  // once. One request may wait for a million keys.
  Queue *first_fed_ = nullptr, *last_fed_ = nullptr;
  std::set<std::pair<std::int64_t, Waiter*>> deadlines_;  // of those that have one
};

}  // namespace kv
