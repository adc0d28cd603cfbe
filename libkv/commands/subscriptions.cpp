// See subscriptions.hpp.
#include "libkv/commands/subscriptions.hpp"

#include <algorithm>
#include <utility>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/session.hpp"

namespace kv {
namespace {

std::size_t cost(std::string_view name) noexcept {
  return name.size() + limits::subscription_cost_bytes;
}

std::size_t index(Topic topic) noexcept { return static_cast<std::size_t>(topic); }

void count_one(Session& session, Topic topic, bool more) noexcept {
  session.subscriptions[index(topic)] += more ? 1u : ~0u;
  const auto& all = session.subscriptions;
  session.subscriber = std::any_of(all.begin(), all.end(), [](auto n) { return n > 0; });
}

}  // namespace

bool Subscriptions::listens(const Own& own, Topic topic, std::string_view name) const noexcept {
  const auto found = names_of(topic).find(name);
  return found != names_of(topic).end() &&
         own.places[index(topic)].contains(const_cast<Entry*>(&*found));
}

std::string_view Subscriptions::why_not(const Session& session, Topic topic,
                                        std::span<const Scalar> names) const noexcept {
  const auto own = own_.find(&session);
  std::size_t bytes = 0, patterns = 0, patterns_bytes = 0;
  for (const Scalar& name : names) {
    if (own != own_.end() && listens(own->second, topic, name.bytes)) continue;
    bytes += cost(name.bytes);
    if (topic != Topic::pattern || names_of(topic).contains(name.bytes)) continue;
    ++patterns, patterns_bytes += name.bytes.size();
  }
  if (bytes == 0) return {};
  if (bytes + (own == own_.end() ? 0 : own->second.bytes) > limits::subscriptions_bytes_max) {
    return "ERR too many subscriptions of one connection";
  }
  if (bytes_ + bytes > limits::all_subscriptions_bytes_max) return "ERR too many subscriptions";
  if (patterns > 0 && (count(Topic::pattern) + patterns > limits::patterns_max ||
                       patterns_bytes_ + patterns_bytes > limits::patterns_bytes_max)) {
    return "ERR too many patterns: each message is compared with all of them";
  }
  return {};
}

bool Subscriptions::add(Session& session, Topic topic, std::string_view name) {
  Own& own = own_[&session];  // forget() takes it away, also where the rest finds no memory
  const auto [place, is_new] = names_[index(topic)].try_emplace(std::string(name));
  Entry& entry = *place;
  if (own.places[index(topic)].contains(&entry)) return false;
  try {
    insert(session, own, topic, entry);
  } catch (...) {
    erase_if_empty(topic, entry);
    throw;
  }
  own.bytes += cost(name);
  bytes_ += cost(name);
  if (is_new && topic == Topic::pattern) patterns_bytes_ += name.size();
  count_one(session, topic, true);
  return true;
}

void Subscriptions::insert(Session& session, Own& own, Topic topic, Entry& entry) {
  Listeners& listeners = entry.second;
  listeners.push_back(&session);
  try {
    own.places[index(topic)].emplace(&entry, listeners.size() - 1);
  } catch (...) {
    listeners.pop_back();
    throw;
  }
}

void Subscriptions::erase_if_empty(Topic topic, Entry& entry) noexcept {
  Names& names = names_[index(topic)];
  if (entry.second.empty()) names.erase(names.find(entry.first));
}

/// The last of the listeners takes the place that is free now.
void Subscriptions::leave(Session& session, Own& own, Topic topic, Entry& entry,
                          std::size_t place) noexcept {
  Listeners& listeners = entry.second;
  Session* const last = listeners.back();
  listeners[place] = last;
  listeners.pop_back();
  if (last != &session) own_.find(last)->second.places[index(topic)].find(&entry)->second = place;
  own.bytes -= cost(entry.first);
  bytes_ -= cost(entry.first);
  if (listeners.empty() && topic == Topic::pattern) patterns_bytes_ -= entry.first.size();
  count_one(session, topic, false);
  erase_if_empty(topic, entry);
}

bool Subscriptions::remove(Session& session, Topic topic, std::string_view name) noexcept {
  Names& names = names_[index(topic)];
  const auto own = own_.find(&session);
  const auto named = names.find(name);
  if (own == own_.end() || named == names.end()) return false;
  auto& places = own->second.places[index(topic)];
  const auto found = places.find(&*named);
  if (found == places.end()) return false;
  const std::size_t place = found->second;
  places.erase(found);
  leave(session, own->second, topic, *named, place);
  if (!session.subscriber) own_.erase(own);
  return true;
}

void Subscriptions::forget(Session& session) noexcept {
  const auto own = own_.find(&session);
  if (own == own_.end()) return;
  for (const Topic topic : {Topic::channel, Topic::pattern, Topic::shard}) {
    auto& places = own->second.places[index(topic)];
    while (!places.empty()) {
      const auto [entry, place] = *places.begin();
      places.erase(places.begin());
      leave(session, own->second, topic, *entry, place);
    }
  }
  own_.erase(own);
}

std::size_t Subscriptions::listeners(Topic topic, std::string_view name) const noexcept {
  const auto found = names_of(topic).find(name);
  return found == names_of(topic).end() ? 0 : found->second.size();
}

void Subscriptions::for_each(Topic topic, Visit visit) const {
  for (const auto& [name, listeners] : names_of(topic)) visit(name);
}

void Subscriptions::for_each_of(const Session& session, Topic topic, Visit visit) const {
  const auto own = own_.find(&session);
  if (own == own_.end()) return;
  for (const auto& [entry, place] : own->second.places[index(topic)]) visit(entry->first);
}

void Subscriptions::find_audiences(Topic topic, std::string_view channel,
                                   std::vector<Audience>& found) const {
  found.clear();
  const Names& channels = names_of(topic);
  if (const auto place = channels.find(channel); place != channels.end()) {
    found.push_back({topic, place->first, &place->second});
  }
  if (topic == Topic::shard) return;
  for (const auto& [pattern, listeners] : names_of(Topic::pattern)) {
    if (glob_match(pattern, channel)) found.push_back({Topic::pattern, pattern, &listeners});
  }
}

}  // namespace kv
