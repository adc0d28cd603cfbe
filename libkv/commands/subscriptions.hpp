// Who listens to what: channels, patterns and shard channels, each with its sessions.
//
// The sibling has one; SUBSCRIBE and its kin change it, PUBLISH asks it whom a message is for. It
// sends nothing and knows no connection. What sessions may ask for is bounded (limits.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libkv/keyspace/function_ref.hpp"
#include "libkv/keyspace/siphash.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

struct Session;

/// What one can listen to. A message for a channel is for all patterns that match its name, too;
/// one for a channel of a shard is not, and all of kv is one shard.
enum class Topic : std::uint8_t { channel, pattern, shard };

class Subscriptions {
 public:
  using Listeners = std::vector<Session*>;

  /// Why the session cannot listen to all of these as well, as an error; empty: it can.
  std::string_view why_not(const Session& session, Topic topic,
                           std::span<const Scalar> names) const noexcept;
  /// False: it does already. All of it, or std::bad_alloc and nothing.
  bool add(Session& session, Topic topic, std::string_view name);
  /// False: it does not listen to that.
  bool remove(Session& session, Topic topic, std::string_view name) noexcept;
  /// All that the session listens to.
  void forget(Session& session) noexcept;

  /// How many names somebody listens to.
  std::size_t count(Topic topic) const noexcept { return names_of(topic).size(); }
  /// How many listen to this one.
  std::size_t listeners(Topic topic, std::string_view name) const noexcept;
  using Visit = FunctionRef<void(std::string_view name)>;
  void for_each(Topic topic, Visit visit) const;
  /// Those of one session. Visit must not change them.
  void for_each_of(const Session& session, Topic topic, Visit visit) const;
  /// Some for whom a message is, and what they listen to: its channel or a pattern.
  struct Audience {
    Topic topic;
    std::string_view name;
    const Listeners* listeners;
  };
  /// For whom a message to a channel of this kind is. They stay until something is added or
  /// removed.
  void find_audiences(Topic topic, std::string_view channel, std::vector<Audience>& found) const;

 private:
  using Names = std::unordered_map<std::string, Listeners, KeyedHash, std::equal_to<>>;
  using Entry = Names::value_type;
  /// What a session listens to, and its place among the listeners: leaving takes no search.
  struct Own {
    std::array<std::unordered_map<Entry*, std::size_t>, 3> places;
    std::size_t bytes = 0;  // of all of them, as limits.hpp counts
  };

  const Names& names_of(Topic topic) const noexcept {
    return names_[static_cast<std::size_t>(topic)];
  }
  bool listens(const Own& own, Topic topic, std::string_view name) const noexcept;
  void insert(Session& session, Own& own, Topic topic, Entry& entry);
  void leave(Session& session, Own& own, Topic topic, Entry& entry, std::size_t place) noexcept;
  void erase_if_empty(Topic topic, Entry& entry) noexcept;

  std::array<Names, 3> names_;  // by Topic; none without listeners
  std::unordered_map<const Session*, Own> own_;
  std::size_t bytes_ = 0;           // of all sessions
  std::size_t patterns_bytes_ = 0;  // of different ones
};

}  // namespace kv
