// Which sessions watch which keys (WATCH), and whether one of them has changed since.
//
// Keys are told by their hash alone: a false "changed" makes a client try again, a missed one would
// break a promise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libkv/commands/session.hpp"
#include "libkv/keyspace/function_ref.hpp"

namespace kv {

class Watches {
 public:
  bool empty() const noexcept { return sessions_.empty(); }
  /// there: it is, at this moment. All of it, or std::bad_alloc and nothing.
  void add(Session& session, std::string_view key, std::uint64_t hash, bool there);
  void forget(Session& session) noexcept;

  /// A database; none: whichever.
  using Where = std::optional<unsigned>;
  /// The key with this hash has changed there.
  void note_changed(std::uint64_t key_hash, Where where) noexcept;
  /// All that was there is gone.
  void note_emptied(Where where) noexcept;
  void note_all_changed() noexcept;

  /// Is there this key of that database now? One that was and is no longer has expired.
  using IsThere = FunctionRef<bool(unsigned database, std::string_view key, std::uint64_t hash)>;
  bool changed(const Session& session, IsThere is_there) const;

 private:
  struct Key {
    std::string name;
    std::uint64_t hash;
    unsigned database;
    bool there;
    friend bool operator==(const Key& a, const Key& b) noexcept {
      return a.database == b.database && a.name == b.name;
    }
  };
  struct HashOfKey {
    std::size_t operator()(const Key& key) const noexcept { return key.hash; }
  };
  using Keys = std::unordered_set<Key, HashOfKey>;
  std::unordered_map<Session*, Keys> sessions_;
  struct Watcher {
    Session* session;
    unsigned database;
  };
  std::unordered_map<std::uint64_t, std::vector<Watcher>> watchers_;  // by the hash of a key
};

}  // namespace kv
