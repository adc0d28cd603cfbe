// One numbered database: keys to values, in memory. Data structures only.
//
// Must never know a protocol, a session, a file or the wall clock: time comes in as an argument, so
// that replaying the log gives the same state. Single-threaded; owned by the sibling.
//
// A key's value is a string, a list, a hash, a set or a sorted set. A command works in three steps:
// locate() the key, look at what is there, change it through the same Place. Small values live
// inside the entry itself (one allocation a key); large ones move out by themselves.
//
// When memory ends, a function that needs some throws std::bad_alloc and has changed nothing;
// removing never needs any. Visitors must not change the keyspace they walk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libkv/keyspace/function_ref.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

/// Up to here Redis 7.0 says listpack of a hash (hash-max-listpack-entries, -value), and so does
/// encoding(), whatever the form is.
inline constexpr std::size_t listpack_pairs_max = 512;
inline constexpr std::size_t listpack_value_max = 64;

/// Up to here it says intset of a set of integers (set-max-intset-entries).
inline constexpr std::size_t intset_members_max = 512;
/// And listpack of a sorted set (zset-max-listpack-entries), its members as long as a hash's
/// values.
inline constexpr std::size_t listpack_members_max = 128;

/// As numbers they stand in kv.bin.
enum class Type : std::uint8_t { none, string, list, hash, set, zset };

/// Redis's word for a type, as TYPE answers: "none", "string", "list", "hash", "set",
/// "zset".
std::string_view type_name(Type type) noexcept;

class Keyspace;
class ListDeque;

/// Where a key is, or would go. The functions that take it by reference keep it up to date. When
/// the Keyspace was changed through something else meanwhile (another Place, a key that expired),
/// the next use looks the key up again; only found() may then be out of date. After clear(), swap()
/// or the end of the Keyspace a Place is void. The key's bytes must outlive it.
struct Place {
  std::string_view key;
  std::uint64_t hash = 0;
  std::uint64_t* slot = nullptr;  // null: absent
  std::int64_t seen_ms = 0;       // the now_ms it was looked up with: a new key's first access
  std::uint64_t version = 0;      // of the table when slot was right; 0: was never looked up
  bool found() const noexcept { return slot != nullptr; }
};

/// The list stored at a Place. Indexes are 0-based from the head and must be in range.
/// Cost: ends O(1); index and range O(n / chunk); remove O(n). The inside of a long list is
/// deflated (list_deque.hpp). An absent place is an empty list: the first element pushed creates
/// it.
class List {
 public:
  std::size_t size() const;
  /// Valid until the next change, and while at() is called at most twice more, for any list.
  Scalar at(std::size_t index) const;
  void push_front(const Scalar& element);
  void push_back(const Scalar& element);
  void pop_front();
  void pop_back();
  void set(std::size_t index, const Scalar& element);
  void insert(std::size_t index, const Scalar& element);  ///< before index; index == size() appends
  void erase(std::size_t index, std::size_t count);
  /// Removes up to |count| elements equal to element (kind and bytes when exact_kind, else bytes
  /// alone), from the head if count > 0, the tail if < 0, all if 0. Returns how many went.
  std::size_t remove(std::int64_t count, const Scalar& element, bool exact_kind);
  /// Calls visit(element) for count elements from index on, in order; stops when it returns false.
  void visit(std::size_t index, std::size_t count, FunctionRef<bool(const Scalar&)> visit) const;

 private:
  friend class Keyspace;
  List(Keyspace& owner, Place& place) : owner_(&owner), place_(&place) {}
  ListDeque* large_list() const;
  Keyspace* owner_;
  Place* place_;
};

/// The hash stored at a Place: fields to values; the first set() creates it. Small hashes keep the
/// order of insertion; large ones have none. A field is a Scalar because PLIO tells 7 from "7";
/// RESP compares bytes alone.
class Hash {
 public:
  struct Pair {
    Scalar field, value;
  };
  std::size_t size() const;
  // hash: hash_of(field) if the caller has it, else 0.
  /// Valid until the next change.
  std::optional<Scalar> get(std::string_view field, std::uint64_t hash = 0) const;
  /// True if the field is new. A field keeps the kind it was first given.
  bool set(const Scalar& field, const Scalar& value, std::uint64_t hash = 0);
  bool erase(std::string_view field);
  void visit(FunctionRef<bool(const Pair&)> visit) const;
  /// Some pair, chosen by the number given, each about as likely as the others; the hash must not
  /// be empty. O(1). Valid until the next change.
  Pair any(std::uint64_t seed) const;
  /// As Keyspace::scan, over fields.
  std::uint64_t scan(std::uint64_t cursor, std::size_t count,
                     FunctionRef<void(const Pair&)> visit) const;

 private:
  friend class Keyspace;
  Hash(Keyspace& owner, Place& place) : owner_(&owner), place_(&place) {}
  Keyspace* owner_;
  Place* place_;
};

/// The set stored at a Place; the first add() creates it. Members are told apart by their bytes
/// alone; the kind is what PLIO is answered. They have numbers from 0 on, which follow from what
/// was done to the set and nothing else, so that drawing by number comes out the same when the log
/// is replayed: a new member comes last, and the last one takes the place of one that goes.
class Set {
 public:
  std::size_t size() const;
  bool contains(std::string_view member) const;
  /// The member with its kind, valid until the next change.
  std::optional<Scalar> find(std::string_view member) const;
  /// True if the member is new. One that is there keeps the kind it was first given.
  bool add(const Scalar& member);
  bool erase(std::string_view member);
  /// Adds all members of another set to this one, which must be absent, and keeps its encoding().
  void assign(const Set& other);
  void visit(FunctionRef<bool(const Scalar&)> visit) const;  ///< in the order of the numbers
  /// O(1); the index must be below size(). Valid until the next change.
  Scalar at(std::size_t index) const;
  /// As Keyspace::scan, over members.
  std::uint64_t scan(std::uint64_t cursor, std::size_t count,
                     FunctionRef<void(const Scalar&)> visit) const;

 private:
  friend class Keyspace;
  Set(Keyspace& owner, Place& place) : owner_(&owner), place_(&place) {}
  Keyspace* owner_;
  Place* place_;
};

enum class Direction : bool { up, down };

/// The sorted set stored at a Place; the first set() creates it. Ordered by score and, where that
/// is the same, by the members' bytes; ranks are 0-based from the lowest. Members are told apart by
/// their bytes alone; the kind is what PLIO is answered. Cost: O(log n), but for what is said.
class SortedSet {
 public:
  struct Element {
    Scalar member;
    double score = 0;
  };
  std::size_t size() const;                                    ///< O(1)
  std::optional<double> score(std::string_view member) const;  ///< O(1)
  /// True if the member is new. One that is there keeps the kind it was first given. The score is a
  /// number; -0 is stored as 0.
  bool set(const Scalar& member, double score);
  bool erase(std::string_view member);
  void erase(std::size_t rank, std::size_t count);  ///< a range, which must be there
  std::optional<std::size_t> rank(std::string_view member) const;
  Element at(std::size_t rank) const;  ///< must be there; valid until the next change
  /// How many elements come before the first that the predicate does not take. It takes all up to
  /// some place in the order, and none behind it.
  std::size_t count_while(FunctionRef<bool(const Element&)> before) const;
  /// Calls visit for count elements from a rank on, in that direction, as far as there are any;
  /// stops when it returns false.
  void visit(std::size_t rank, std::size_t count, Direction direction,
             FunctionRef<bool(const Element&)> visit) const;
  /// As Keyspace::scan, over members.
  std::uint64_t scan(std::uint64_t cursor, std::size_t count,
                     FunctionRef<void(const Element&)> visit) const;

 private:
  friend class Keyspace;
  SortedSet(Keyspace& owner, Place& place) : owner_(&owner), place_(&place) {}
  Keyspace* owner_;
  Place* place_;
};

class Keyspace {
 public:
  Keyspace();
  ~Keyspace();
  Keyspace(const Keyspace&) = delete;
  Keyspace& operator=(const Keyspace&) = delete;

  /// Finds key as of now_ms (milliseconds since 1970). A key whose time has come is removed first:
  /// that is not a change anybody can see. Also notes the access for OBJECT IDLETIME and FREQ.
  /// hash: hash_of(key) (siphash.hpp) if the caller has it, else 0; a wrong one loses the key.
  Place locate(std::string_view key, std::int64_t now_ms, std::uint64_t hash = 0);
  /// The same without noting an access (OBJECT, DEBUG, TYPE, the check before a write).
  Place peek(std::string_view key, std::int64_t now_ms, std::uint64_t hash = 0);
  /// Loads the memory that locate() will touch, in two steps: call it for each key of a batch, then
  /// locate them in that order. Saves about half of the time when memory is far beyond the cache.
  void prefetch(std::uint64_t hash) const noexcept;
  /// The same for a field of a large hash, both by their hashes, once the key's memory is loaded.
  void prefetch_field(std::uint64_t key_hash, std::uint64_t field_hash) const noexcept;

  std::size_t size() const noexcept;             ///< keys, those past their time included
  std::size_t expiring() const noexcept;         ///< keys with an expiry
  Type type(const Place& place) const noexcept;  ///< none when absent
  void erase(Place& place);                      ///< place must be found; is absent afterwards
  void clear();                                  ///< O(keys)
  /// So many keys are about to come into an empty keyspace: makes room for them, if there is the
  /// memory. settle() gives back what was too much.
  void expect(std::size_t keys) noexcept;
  void settle() noexcept;
  void swap(Keyspace& other) noexcept;
  /// Moves the value to another key (same or other keyspace), which it replaces.
  void move(Place& from, Keyspace& target, Place& to);

  // --- strings ---
  Scalar string(const Place& place) const;  ///< valid until the next change
  /// False: none is there.
  bool string(const Place& place, Scalar& value) const;
  /// Creates or replaces, whatever was there; no expiry afterwards.
  void set_string(Place& place, const Scalar& value);
  /// Replaces the value alone, keeping the expiry; place must hold a string.
  void replace_string(Place& place, const Scalar& value);
  /// Appends in place; amortised O(bytes). Returns the new length in bytes. Absent: creates.
  std::size_t append(Place& place, std::string_view bytes);
  /// Puts bytes at an offset, in place: O(bytes), and what lengthens the string costs as append().
  /// Zero bytes fill what lies between its end and the offset. Absent: creates. Returns the length.
  std::size_t overwrite(Place& place, std::size_t offset, std::string_view bytes);

  // --- lists, hashes and all sets: place must hold one, or be absent ---
  List list(Place& place) { return {*this, place}; }
  List make_list(Place& place) { return {*this, place}; }
  Hash hash(Place& place) { return {*this, place}; }
  Hash make_hash(Place& place) { return {*this, place}; }
  Set set(Place& place) { return {*this, place}; }
  Set make_set(Place& place) { return {*this, place}; }
  SortedSet sorted_set(Place& place) { return {*this, place}; }
  SortedSet make_sorted_set(Place& place) { return {*this, place}; }
  /// Removes the key if its list, hash or set of either kind has become empty.
  void drop_if_empty(Place& place);

  // --- expiry: milliseconds since 1970; none is absent ---
  std::optional<std::int64_t> expiry(const Place& place) const noexcept;
  void set_expiry(Place& place, std::optional<std::int64_t> at_ms);
  /// Removes up to limit keys whose time has come. Returns how many. Cost bounded by limit.
  std::size_t expire_some(std::int64_t now_ms, std::size_t limit);

  // --- walks ---
  struct Item {
    std::string_view key;
    Type type;
    std::optional<std::int64_t> expiry_ms;
    Place place;  // key and slot of this entry, for string(), list() and so on
  };
  /// Visits about count keys from cursor on (0 starts) and returns the next cursor (0: done). A key
  /// that is there from start to end of a whole scan is visited at least once, whatever changes.
  std::uint64_t scan(std::uint64_t cursor, std::size_t count, FunctionRef<void(const Item&)> visit);
  /// Every key once; no changes meanwhile; stops when visit returns false.
  void for_each(FunctionRef<bool(const Item&)> visit);
  /// Some key, chosen by the number given; absent when empty.
  std::optional<std::string> random_key(std::uint64_t seed) const;

  // --- looking inside (OBJECT, MEMORY USAGE, DEBUG) ---
  std::string_view encoding(const Place& place) const;  ///< Redis's words: int, embstr, raw, ...
  std::size_t memory_usage(const Place& place) const;   ///< bytes, key and table slot included
  std::int64_t idle_seconds(const Place& place, std::int64_t now_ms) const;
  std::uint8_t frequency(const Place& place) const;  ///< OBJECT FREQ's logarithmic counter
  /// Off while a snapshot is written: noting accesses would copy pages. On at first.
  void set_access_tracking(bool on) noexcept;
  std::size_t memory_bytes() const noexcept;  ///< all of this keyspace

 private:
  friend class List;
  friend class Hash;
  friend class Set;
  friend class SortedSet;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kv
