// The order of a large sorted set: its entries by (score, member), with their ranks.
//
// A B+ tree of pointers to the entries of the set's table. Leaves hold pointers alone; an inner
// node holds for each child its least entry, so that a search reads no leaf but one, and how many
// entries are below it, so that ranks cost O(log n) as well. Nodes are never empty. They need not
// be half full either: what is added in order at the end fills each leaf before the next begins,
// and a node is joined with its neighbour only when both together fill three quarters of one. 8.1
// bytes an entry if added in order, about 12 in any other.
//
// The payload of an entry is a string_inline of the score's 8 bytes. Entries belong to the caller,
// who must not change the score of one that is in a tree. Never knows a key or a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/entry.hpp"
#include "libkv/keyspace/function_ref.hpp"

namespace kv {

/// What the order goes by: the score, then the member's bytes.
struct ScoreKey {
  double score;
  std::string_view member;
  friend bool operator<(const ScoreKey& a, const ScoreKey& b) noexcept {
    return a.score < b.score || (a.score == b.score && a.member < b.member);
  }
};

/// Of a member's entry.
inline double score_of(const Entry& entry) noexcept {
  return load<double>(bytes_of(entry.string().bytes));
}
inline ScoreKey score_key_of(const Entry& entry) noexcept { return {score_of(entry), entry.key()}; }

class ScoreTree {
 public:
  explicit ScoreTree(Pool& pool) noexcept : pool_(&pool) {}
  ~ScoreTree() { clear(); }
  ScoreTree(const ScoreTree&) = delete;
  ScoreTree& operator=(const ScoreTree&) = delete;

  std::size_t size() const noexcept { return size_; }
  /// None with the same key is there. Throws std::bad_alloc, having changed nothing.
  void insert(Entry* added);
  /// The entry with this key, which must be there. Never fails.
  void erase(const ScoreKey& key) noexcept;
  /// Forgets everything; the entries are the caller's business.
  void clear() noexcept;

  /// How many entries are before those that the predicate does not take. It takes all up to some
  /// place in the order, and none behind it.
  template <class Before>
  std::size_t count_while(Before&& before) const {
    if (root_ == nullptr) return 0;
    std::size_t count = 0;
    const Node* node = root_;
    for (unsigned level = height_; level > 0; --level) {
      const auto& inner = *static_cast<const Inner*>(node);
      const unsigned at = child_for(inner, before);
      for (unsigned i = 0; i < at; ++i) count += inner.sizes[i];
      node = inner.children[at];
    }
    const auto& leaf = *static_cast<const Leaf*>(node);
    return count + lower(leaf.entries, leaf.count, before);
  }
  /// The entry of a rank, which is below size().
  Entry* at(std::size_t rank) const noexcept;
  /// Calls visit for count entries from a rank on, upwards or downwards, as far as there are any;
  /// stops when it returns false. It must not change the tree.
  void visit(std::size_t rank, std::size_t count, bool downwards,
             FunctionRef<bool(const Entry&)> visit) const;

  /// Does everything that is said above hold? For tests.
  bool sound() const;

 private:
  static constexpr unsigned leaf_max_ = 63;
  static constexpr unsigned inner_max_ = 42;
  static constexpr unsigned height_max_ = 24;  // 15 children each, on average, are the least

  struct Node {
    std::uint32_t count;
  };
  struct Leaf : Node {
    Entry* entries[leaf_max_];
  };
  struct Inner : Node {
    Node* children[inner_max_];
    Entry* least[inner_max_];
    std::uint64_t sizes[inner_max_];
  };
  static_assert(sizeof(Leaf) == 512 && sizeof(Inner) <= 1024);

  /// Where in a node a search went on, from the root down, and where it ended.
  struct Path {
    struct Step {
      Inner* node;
      unsigned at;
    } steps[height_max_];
    Leaf* leaf;
    unsigned at;     // in the leaf
    bool rightmost;  // at the end of everything
  };
  /// Nodes allocated before a change, so that it cannot fail; what is not used is given back.
  class Spare;

  template <class Before>
  static unsigned lower(Entry* const* entries, unsigned count, Before& before) {
    unsigned first = 0;
    while (count > 0) {
      const unsigned half = count / 2;
      if (before(static_cast<const Entry&>(*entries[first + half]))) {
        first += half + 1;
        count -= half + 1;
      } else {
        count = half;
      }
    }
    return first;
  }
  template <class Before>
  static unsigned child_for(const Inner& inner, Before& before) {
    // The first child is taken for all that is before the second one's least.
    return lower(inner.least + 1, inner.count - 1, before);
  }

  void find(const ScoreKey& key, Path& path) const noexcept;
  unsigned nodes_needed(const Path& path) const noexcept;
  static void put(Leaf& leaf, unsigned at, Entry* added) noexcept;
  static void put(Inner& inner, unsigned at, Node* child, Entry* least, std::size_t size) noexcept;
  static void drop(Inner& inner, unsigned at) noexcept;
  static std::size_t total(const Inner& inner) noexcept;
  Leaf* split(Leaf& leaf, unsigned keep, Spare& spare) noexcept;
  Inner* split(Inner& inner, unsigned keep, Spare& spare) noexcept;
  void grow_up(Path& path, Leaf* right, Spare& spare) noexcept;
  void note_least(Path& path, unsigned levels, Entry* least) noexcept;
  void shrink_up(Path& path) noexcept;
  bool join(Inner& parent, unsigned left, bool leaves) noexcept;
  void free_node(Node* node, bool leaf) noexcept {
    pool_->deallocate(node, leaf ? sizeof(Leaf) : sizeof(Inner));
  }
  void free_all(Node* node, unsigned level) noexcept;
  static bool walk(const Node* node, unsigned level, std::size_t first, std::size_t& count,
                   bool downwards, FunctionRef<bool(const Entry&)>& visit);
  bool sound_below(const Node* node, unsigned level, const Entry*& last, std::size_t& size) const;

  Pool* pool_;
  Node* root_ = nullptr;
  unsigned height_ = 0;  // inner nodes above each leaf
  std::size_t size_ = 0;
};

}  // namespace kv
