// See watches.hpp.
#include "libkv/engine/watches.hpp"

#include <algorithm>

namespace kv {

void Watches::add(Session& session, std::string_view key, std::uint64_t hash, bool there) {
  try {
    Keys& keys = sessions_[&session];
    if (!keys.insert({std::string(key), hash, session.database, there}).second) return;
    watchers_[hash].push_back({&session, session.database});
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
    std::erase_if(watchers->second, [&](const Watcher& w) { return w.session == &session; });
    if (watchers->second.empty()) watchers_.erase(watchers);
  }
  sessions_.erase(found);
}

void Watches::note_changed(std::uint64_t key_hash, Where where) noexcept {
  const auto watchers = watchers_.find(key_hash);
  if (watchers == watchers_.end()) return;
  for (const Watcher& watcher : watchers->second) {
    if (watcher.database == where.value_or(watcher.database)) {
      watcher.session->watched_changed = true;
    }
  }
}

void Watches::note_emptied(Where where) noexcept {
  for (auto& [session, keys] : sessions_) {
    // What came after the watch was a change already.
    session->watched_changed |= std::any_of(keys.begin(), keys.end(), [&](const Key& key) {
      return key.there && key.database == where.value_or(key.database);
    });
  }
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
