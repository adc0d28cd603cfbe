// See waiting.hpp.
#include "libkv/engine/waiting.hpp"

#include <algorithm>
#include <optional>

#include "libkv/keyspace/siphash.hpp"

namespace kv {

Waiter::Waiter(Session& session_, std::span<const Scalar> args, std::size_t first, std::size_t last,
               std::int64_t deadline)
    : session(session_), deadline_ns(deadline), arguments_(args), first_(first) {
  for (std::size_t i = first; i <= last; ++i) hashes_.push_back(hash_of(args[i].bytes));
}

void WaitingRequests::add(std::unique_ptr<Waiter> waiter) {
  Waiter& added = *waiter;
  const auto place = waiters_.try_emplace(&added.session).first;
  place->second = std::move(waiter);
  try {
    for (const std::uint64_t hash : added.hashes()) {
      std::vector<Waiter*>& waiters = queues_[hash].waiters;
      if (waiters.empty() || waiters.back() != &added) waiters.push_back(&added);
      fed_.reserve(queues_.size());
    }
    if (added.deadline_ns != INT64_MAX) deadlines_.emplace(added.deadline_ns, &added);
  } catch (...) {
    (void)take(added.session);
    throw;
  }
}

std::unique_ptr<Waiter> WaitingRequests::take(const Session& session) noexcept {
  const auto found = waiters_.find(&session);
  if (found == waiters_.end()) return nullptr;
  std::unique_ptr<Waiter> waiter = std::move(found->second);
  waiters_.erase(found);
  deadlines_.erase({waiter->deadline_ns, waiter.get()});
  for (const std::uint64_t hash : waiter->hashes()) {
    const auto queue = queues_.find(hash);
    if (queue == queues_.end()) continue;  // the key was named twice
    std::erase(queue->second.waiters, waiter.get());
    if (!queue->second.waiters.empty()) continue;
    if (queue->second.fed) std::erase(fed_, hash);
    queues_.erase(queue);
  }
  return waiter;
}

void WaitingRequests::note_fed(std::uint64_t key_hash) noexcept {
  const auto queue = queues_.find(key_hash);
  if (queue == queues_.end() || std::exchange(queue->second.fed, true)) return;
  fed_.push_back(key_hash);
}

void WaitingRequests::note_all_fed() noexcept {
  for (auto& [hash, queue] : queues_) {
    if (!std::exchange(queue.fed, true)) fed_.push_back(hash);
  }
}

/// Thousands may wait for the same key: mostly it is looked up once.
Waiter* WaitingRequests::first_served(const Queue& queue, std::uint64_t hash, IsThere is_there) {
  using Key = std::pair<unsigned, std::string_view>;
  std::optional<Key> absent;
  for (Waiter* const waiter : queue.waiters) {
    for (std::size_t i = 0; i < waiter->hashes().size(); ++i) {
      if (waiter->hashes()[i] != hash) continue;
      const Key key(waiter->session.database, waiter->key(i));
      if (absent == key) continue;
      if (is_there(key.first, key.second, hash)) return waiter;
      absent = key;
    }
  }
  return nullptr;
}

std::unique_ptr<Waiter> WaitingRequests::take_served(IsThere is_there) {
  while (!fed_.empty()) {
    const std::uint64_t hash = fed_.front();
    Queue& queue = queues_.find(hash)->second;
    if (Waiter* const waiter = first_served(queue, hash, is_there)) return take(waiter->session);
    queue.fed = false;
    fed_.erase(fed_.begin());
  }
  return nullptr;
}

std::int64_t WaitingRequests::first_deadline_ns() const noexcept {
  return deadlines_.empty() ? INT64_MAX : deadlines_.begin()->first;
}

std::unique_ptr<Waiter> WaitingRequests::take_overdue(std::int64_t now_ns) noexcept {
  if (first_deadline_ns() > now_ns) return nullptr;
  return take(deadlines_.begin()->second->session);
}

}  // namespace kv
