// See waiting.hpp.
#include "libkv/engine/waiting.hpp"

#include <algorithm>
#include <optional>

#include "libkv/keyspace/siphash.hpp"

namespace kv {

Waiter::Waiter(Session& session_, std::span<const Scalar> args, std::size_t first, std::size_t last,
               Type type_, std::int64_t deadline)
    : session(session_),
      type(type_),
      deadline_ns(deadline),
      first_(first),
      last_(last),
      arguments_(args) {
  keys_.reserve(last - first + 1);
  for (std::size_t i = first; i <= last; ++i) {
    keys_.push_back({hash_of(this->args()[i].bytes), this->args()[i].bytes});
  }
  std::stable_sort(keys_.begin(), keys_.end(),
                   [](const Key& a, const Key& b) { return a.hash < b.hash; });
  const auto same = [](const Key& a, const Key& b) {
    return a.hash == b.hash && a.bytes == b.bytes;
  };
  keys_.erase(std::unique(keys_.begin(), keys_.end(), same), keys_.end());
}

std::span<const Waiter::Key> Waiter::keys_with(std::uint64_t hash) const noexcept {
  const auto less = [](const Key& key, std::uint64_t wanted) { return key.hash < wanted; };
  const auto first = std::lower_bound(keys_.begin(), keys_.end(), hash, less);
  auto last = first;
  while (last != keys_.end() && last->hash == hash) ++last;
  return {first, last};
}

std::vector<Scalar> Waiter::args_for(const Key& key) const {
  const std::span<const Scalar> all = args();
  std::vector<Scalar> some;
  some.reserve(all.size() - (last_ - first_));
  some.insert(some.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first_));
  if (first_ > 1) some.back() = {"1", Kind::number};  // how many keys there are
  some.emplace_back(key.bytes);
  some.insert(some.end(), all.begin() + static_cast<std::ptrdiff_t>(last_) + 1, all.end());
  return some;
}

void WaitingRequests::add(std::unique_ptr<Waiter> waiter) {
  Waiter& added = *waiter;
  const auto place = waiters_.try_emplace(&added.session).first;
  place->second = std::move(waiter);
  try {
    for (const Waiter::Key& key : added.keys()) {
      Queue& queue = queues_[key.hash];
      queue.hash = key.hash;
      std::vector<Waiter*>& waiters = queue.waiters;
      if (waiters.empty() || waiters.back() != &added) waiters.push_back(&added);
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
  std::uint64_t before = 0;
  for (const Waiter::Key& key : waiter->keys()) {
    if (&key != waiter->keys().data() && key.hash == before) continue;  // two have the same
    before = key.hash;
    const auto queue = queues_.find(key.hash);
    if (queue == queues_.end()) continue;  // memory ended before it got there
    std::erase(queue->second.waiters, waiter.get());
    if (!queue->second.waiters.empty()) continue;
    forget_fed(queue->second);
    queues_.erase(queue);
  }
  return waiter;
}

void WaitingRequests::note_fed(std::uint64_t key_hash) noexcept {
  const auto queue = queues_.find(key_hash);
  if (queue != queues_.end()) note_fed(queue->second);
}

void WaitingRequests::note_all_fed() noexcept {
  for (auto& [hash, queue] : queues_) note_fed(queue);
}

void WaitingRequests::note_fed(Queue& queue) noexcept {
  if (std::exchange(queue.fed, true)) return;
  queue.fed_before = last_fed_;
  (last_fed_ == nullptr ? first_fed_ : last_fed_->fed_behind) = &queue;
  last_fed_ = &queue;
}

void WaitingRequests::forget_fed(Queue& queue) noexcept {
  if (!std::exchange(queue.fed, false)) return;
  Queue *const before = queue.fed_before, *const behind = queue.fed_behind;
  (before == nullptr ? first_fed_ : before->fed_behind) = behind;
  (behind == nullptr ? last_fed_ : behind->fed_before) = before;
  queue.fed_before = queue.fed_behind = nullptr;
}

/// Thousands may wait for the same key: mostly it is looked up once.
Waiter* WaitingRequests::first_served(const Queue& queue, TypeAt type_at, Waiter::Key& by) {
  std::optional<std::pair<unsigned, std::string_view>> seen;
  Type there = Type::none;  // at what was seen
  for (Waiter* const waiter : queue.waiters) {
    for (const Waiter::Key& key : waiter->keys_with(queue.hash)) {
      const std::pair here(waiter->session.database, key.bytes);
      if (seen != here) there = type_at(here.first, here.second, queue.hash);
      seen = here;
      if (there == waiter->type) return by = key, waiter;
    }
  }
  return nullptr;
}

WaitingRequests::Served WaitingRequests::take_served(TypeAt type_at) {
  while (first_fed_ != nullptr) {
    Queue& queue = *first_fed_;
    Waiter::Key key{};
    if (Waiter* const waiter = first_served(queue, type_at, key)) {
      return {take(waiter->session), key};
    }
    forget_fed(queue);
  }
  return {};
}

std::int64_t WaitingRequests::first_deadline_ns() const noexcept {
  return deadlines_.empty() ? INT64_MAX : deadlines_.begin()->first;
}

std::unique_ptr<Waiter> WaitingRequests::take_overdue(std::int64_t now_ns) noexcept {
  if (first_deadline_ns() > now_ns) return nullptr;
  return take(deadlines_.begin()->second->session);
}

}  // namespace kv
