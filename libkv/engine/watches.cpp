// See watches.hpp.
#include "libkv/engine/watches.hpp"

#include <algorithm>

namespace kv {

void Watches::add(Session& session, std::string_view key, std::uint64_t hash, bool there) {
  try {
    Keys& keys = sessions_[&session];
    if (!keys.insert({std::string(key), hash, session.database, there}).second) return;
    watchers_[hash].push_back(&session);
  } catch (...) {
    forget(session);
    session.watched_changed = true;  // what is not watched must not pass for unchanged
    throw;
  }
}

void Watches::forget(Session& session) noexcept {
  session.watched_changed = false;
  const auto found = sessions_.find(&session);
  if (found == sessions_.end()) return;
  for (const Key& key : found->second) {
    const auto watchers = watchers_.find(key.hash);
    if (watchers == watchers_.end()) continue;
    std::erase(watchers->second, &session);
    if (watchers->second.empty()) watchers_.erase(watchers);
  }
  sessions_.erase(found);
}

void Watches::note_changed(std::uint64_t key_hash) noexcept {
  const auto watchers = watchers_.find(key_hash);
  if (watchers == watchers_.end()) return;
  for (Session* session : watchers->second) session->watched_changed = true;
}

void Watches::note_all_changed() noexcept {
  for (auto& [session, keys] : sessions_) session->watched_changed = true;
}

bool Watches::changed(const Session& session, IsThere is_there) const {
  if (session.watched_changed) return true;
  const auto found = sessions_.find(const_cast<Session*>(&session));
  if (found == sessions_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const Key& key) {
    return key.there && !is_there(key.database, key.name, key.hash);
  });
}

}  // namespace kv
