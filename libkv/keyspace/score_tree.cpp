// The ordered index of large sorted sets. See score_tree.hpp.
#include "libkv/keyspace/score_tree.hpp"

#include <algorithm>
#include <new>

namespace kv {

class ScoreTree::Spare {
 public:
  /// A leaf, and inner nodes for the rest. Throws std::bad_alloc.
  Spare(Pool& pool, unsigned nodes) : pool_(pool) {
    if (nodes == 0) return;
    leaf_ = pool.allocate(sizeof(Leaf));
    try {
      for (; inners_ + 1 < nodes; ++inners_) inner_[inners_] = pool.allocate(sizeof(Inner));
    } catch (...) {
      give_back();
      throw;
    }
  }
  ~Spare() { give_back(); }
  Spare(const Spare&) = delete;
  Spare& operator=(const Spare&) = delete;

  Leaf* leaf() noexcept {
    Leaf* const taken = new (leaf_) Leaf;
    leaf_ = nullptr;
    taken->count = 0;
    return taken;
  }
  Inner* inner() noexcept {
    Inner* const taken = new (inner_[--inners_]) Inner;
    taken->count = 0;
    return taken;
  }

 private:
  void give_back() noexcept {
    if (leaf_ != nullptr) pool_.deallocate(leaf_, sizeof(Leaf));
    while (inners_ > 0) pool_.deallocate(inner_[--inners_], sizeof(Inner));
  }

  Pool& pool_;
  void* leaf_ = nullptr;
  void* inner_[height_max_ + 1];
  unsigned inners_ = 0;
};

// --- searching ---

/// Where the key is, if it is there, or else belongs.
void ScoreTree::find(const ScoreKey& key, Path& path) const noexcept {
  const auto before = [&key](const Entry& entry) { return score_key_of(entry) < key; };
  // A child that begins with the key itself is the one it is in.
  const auto not_behind = [&key](const Entry& entry) { return !(key < score_key_of(entry)); };
  Node* node = root_;
  path.rightmost = true;
  for (unsigned level = 0; level < height_; ++level) {
    auto& inner = *static_cast<Inner*>(node);
    const unsigned at = child_for(inner, not_behind);
    path.rightmost = path.rightmost && at + 1 == inner.count;
    path.steps[level] = {&inner, at};
    node = inner.children[at];
  }
  path.leaf = static_cast<Leaf*>(node);
  path.at = lower(path.leaf->entries, path.leaf->count, before);
  path.rightmost = path.rightmost && path.at == path.leaf->count;
}

Entry* ScoreTree::at(std::size_t rank) const noexcept {
  const Node* node = root_;
  for (unsigned level = height_; level > 0; --level) {
    const auto& inner = *static_cast<const Inner*>(node);
    unsigned i = 0;
    for (; rank >= inner.sizes[i]; ++i) rank -= inner.sizes[i];
    node = inner.children[i];
  }
  return static_cast<const Leaf*>(node)->entries[rank];
}

/// first: of the node's own entries. False: visit has had enough.
bool ScoreTree::walk(const Node* node, unsigned level, std::size_t first, std::size_t& count,
                     bool downwards, FunctionRef<bool(const Entry&)>& visit) {
  constexpr std::size_t ahead = 8;
  if (level == 0) {
    const auto& leaf = *static_cast<const Leaf*>(node);
    // Below 0 is behind the end, too.
    for (std::size_t i = first; i < leaf.count && count > 0; downwards ? --i : ++i) {
      const std::size_t next = downwards ? i - ahead : i + ahead;
      if (next < leaf.count) __builtin_prefetch(leaf.entries[next]);
      --count;
      if (!visit(*leaf.entries[i])) return false;
    }
    return true;
  }
  const auto& inner = *static_cast<const Inner*>(node);
  unsigned i = 0;
  for (; first >= inner.sizes[i]; ++i) first -= inner.sizes[i];
  while (count > 0) {
    if (!walk(inner.children[i], level - 1, first, count, downwards, visit)) return false;
    if (downwards ? i == 0 : i + 1 == inner.count) break;
    i += downwards ? ~0u : 1u;
    first = downwards ? inner.sizes[i] - 1 : 0;
  }
  return true;
}

void ScoreTree::visit(std::size_t rank, std::size_t count, bool downwards,
                      FunctionRef<bool(const Entry&)> visitor) const {
  if (rank < size_) walk(root_, height_, rank, count, downwards, visitor);
}

// --- inserting ---

void ScoreTree::put(Leaf& leaf, unsigned at, Entry* added) noexcept {
  std::copy_backward(leaf.entries + at, leaf.entries + leaf.count, leaf.entries + leaf.count + 1);
  leaf.entries[at] = added;
  ++leaf.count;
}

void ScoreTree::put(Inner& inner, unsigned at, Node* child, Entry* least,
                    std::size_t size) noexcept {
  const auto open = [&](auto* items, auto item) {
    std::copy_backward(items + at, items + inner.count, items + inner.count + 1);
    items[at] = item;
  };
  open(inner.children, child);
  open(inner.least, least);
  open(inner.sizes, std::uint64_t{size});
  ++inner.count;
}

void ScoreTree::drop(Inner& inner, unsigned at) noexcept {
  const auto close = [&](auto* items) {
    std::copy(items + at + 1, items + inner.count, items + at);
  };
  close(inner.children);
  close(inner.least);
  close(inner.sizes);
  --inner.count;
}

std::size_t ScoreTree::total(const Inner& inner) noexcept {
  std::size_t size = 0;
  for (unsigned i = 0; i < inner.count; ++i) size += inner.sizes[i];
  return size;
}

/// Moves all but the first keep entries to a new leaf.
ScoreTree::Leaf* ScoreTree::split(Leaf& leaf, unsigned keep, Spare& spare) noexcept {
  Leaf* const right = spare.leaf();
  right->count = leaf.count - keep;
  std::copy_n(leaf.entries + keep, right->count, right->entries);
  leaf.count = keep;
  return right;
}

ScoreTree::Inner* ScoreTree::split(Inner& inner, unsigned keep, Spare& spare) noexcept {
  Inner* const right = spare.inner();
  right->count = inner.count - keep;
  std::copy_n(inner.children + keep, right->count, right->children);
  std::copy_n(inner.least + keep, right->count, right->least);
  std::copy_n(inner.sizes + keep, right->count, right->sizes);
  inner.count = keep;
  return right;
}

/// New nodes for an entry at this place: of each full one on the way up from the leaf, and a root.
unsigned ScoreTree::nodes_needed(const Path& path) const noexcept {
  if (path.leaf->count < leaf_max_) return 0;
  unsigned nodes = 1;
  for (unsigned level = height_; level > 0; --level, ++nodes) {
    if (path.steps[level - 1].node->count < inner_max_) return nodes;
  }
  return nodes + 1;
}

/// The entry is what the subtree at the last of so many steps now begins with.
void ScoreTree::note_least(Path& path, unsigned levels, Entry* least) noexcept {
  for (; levels > 0; --levels) {
    const Path::Step& step = path.steps[levels - 1];
    step.node->least[step.at] = least;
    if (step.at != 0) return;
  }
}

/// The leaf of the path has been split: hangs the right half beside it, and splits what is full.
void ScoreTree::grow_up(Path& path, Leaf* right, Spare& spare) noexcept {
  std::size_t left_size = path.leaf->count, size = right->count;
  Node *left = path.leaf, *added = right;
  Entry *left_least = path.leaf->entries[0], *least = right->entries[0];
  for (unsigned level = height_; level > 0; --level) {
    const Path::Step& step = path.steps[level - 1];
    Inner& inner = *step.node;
    inner.sizes[step.at] = left_size;
    if (inner.count < inner_max_) return put(inner, step.at + 1, added, least, size);
    const bool at_end = path.rightmost && step.at + 1 == inner.count;
    const unsigned keep = at_end ? inner.count : inner.count / 2;
    Inner* const half = split(inner, keep, spare);
    if (step.at + 1 > keep || at_end) put(*half, step.at + 1 - keep, added, least, size);
    else put(inner, step.at + 1, added, least, size);
    left = &inner, left_least = inner.least[0], left_size = total(inner);
    added = half, least = half->least[0], size = total(*half);
  }
  Inner* const root = spare.inner();
  put(*root, 0, left, left_least, left_size);
  put(*root, 1, added, least, size);
  root_ = root;
  ++height_;
}

void ScoreTree::insert(Entry* added) {
  if (root_ == nullptr) {
    Spare spare(*pool_, 1);
    Leaf* const leaf = spare.leaf();
    put(*leaf, 0, added);
    root_ = leaf;
    size_ = 1;
    return;
  }
  Path path;
  find(score_key_of(*added), path);
  Spare spare(*pool_, nodes_needed(path));
  ++size_;
  for (unsigned level = 0; level < height_; ++level) {
    ++path.steps[level].node->sizes[path.steps[level].at];
  }
  if (path.at == 0) note_least(path, height_, added);
  if (path.leaf->count < leaf_max_) return put(*path.leaf, path.at, added);
  const unsigned keep = path.rightmost ? leaf_max_ : leaf_max_ / 2;
  Leaf* const right = split(*path.leaf, keep, spare);
  if (path.at > keep || path.rightmost) put(*right, path.at - keep, added);
  else put(*path.leaf, path.at, added);
  grow_up(path, right, spare);
}

// --- erasing ---

/// Puts two neighbours into one if they fill three quarters of it at most. True if so.
bool ScoreTree::join(Inner& parent, unsigned left, bool leaves) noexcept {
  Node* const to = parent.children[left];
  Node* const from = parent.children[left + 1];
  const unsigned max = leaves ? leaf_max_ : inner_max_;
  if (to->count + from->count > max * 3 / 4) return false;
  if (leaves) {
    auto &a = *static_cast<Leaf*>(to), &b = *static_cast<Leaf*>(from);
    std::copy_n(b.entries, b.count, a.entries + a.count);
  } else {
    auto &a = *static_cast<Inner*>(to), &b = *static_cast<Inner*>(from);
    std::copy_n(b.children, b.count, a.children + a.count);
    std::copy_n(b.least, b.count, a.least + a.count);
    std::copy_n(b.sizes, b.count, a.sizes + a.count);
  }
  to->count += from->count;
  parent.sizes[left] += parent.sizes[left + 1];
  free_node(from, leaves);
  drop(parent, left + 1);
  return true;
}

/// Something has gone from the leaf: takes empty nodes out, joins what has become small, up to the
/// root.
void ScoreTree::shrink_up(Path& path) noexcept {
  for (unsigned level = height_; level > 0; --level) {
    const Path::Step& step = path.steps[level - 1];
    Inner& parent = *step.node;
    Node* const child = parent.children[step.at];
    const bool leaf = level == height_;
    if (child->count == 0) {
      free_node(child, leaf);
      drop(parent, step.at);
      if (step.at == 0 && parent.count != 0) note_least(path, level - 1, parent.least[0]);
      continue;
    }
    if (child->count > (leaf ? leaf_max_ : inner_max_) / 2) return;
    if (step.at + 1 < parent.count && join(parent, step.at, leaf)) continue;
    if (step.at > 0 && join(parent, step.at - 1, leaf)) continue;
    break;
  }
  while (height_ > 0 && root_->count == 1) {
    Node* const only = static_cast<Inner*>(root_)->children[0];
    free_node(root_, false);
    root_ = only;
    --height_;
  }
}

void ScoreTree::erase(const ScoreKey& key) noexcept {
  if (--size_ == 0) return clear();
  Path path;
  find(key, path);
  for (unsigned level = 0; level < height_; ++level) {
    --path.steps[level].node->sizes[path.steps[level].at];
  }
  Leaf& leaf = *path.leaf;
  std::copy(leaf.entries + path.at + 1, leaf.entries + leaf.count, leaf.entries + path.at);
  --leaf.count;
  if (path.at == 0 && leaf.count != 0) note_least(path, height_, leaf.entries[0]);
  shrink_up(path);
}

void ScoreTree::free_all(Node* node, unsigned level) noexcept {
  for (unsigned i = 0; level > 0 && i < node->count; ++i) {
    free_all(static_cast<Inner*>(node)->children[i], level - 1);
  }
  free_node(node, level == 0);
}

void ScoreTree::clear() noexcept {
  if (root_ != nullptr) free_all(root_, height_);
  root_ = nullptr;
  height_ = 0;
  size_ = 0;
}

// --- looking at the nodes ---

/// last: the entry before those of this node; then the last of them.
bool ScoreTree::sound_below(const Node* node, unsigned level, const Entry*& last,
                            std::size_t& size) const {
  if (node->count == 0 || node->count > (level == 0 ? leaf_max_ : inner_max_)) return false;
  for (unsigned i = 0; i < node->count; ++i) {
    if (level == 0) {
      const Entry* const entry = static_cast<const Leaf*>(node)->entries[i];
      if (last != nullptr && !(score_key_of(*last) < score_key_of(*entry))) return false;
      last = entry;
      ++size;
      continue;
    }
    const auto& inner = *static_cast<const Inner*>(node);
    const Node* first = inner.children[i];
    for (unsigned l = level - 1; l > 0; --l) first = static_cast<const Inner*>(first)->children[0];
    if (static_cast<const Leaf*>(first)->entries[0] != inner.least[i]) return false;
    std::size_t below = 0;
    if (!sound_below(inner.children[i], level - 1, last, below)) return false;
    if (below != inner.sizes[i]) return false;
    size += below;
  }
  return true;
}

bool ScoreTree::sound() const {
  if (root_ == nullptr) return size_ == 0 && height_ == 0;
  if (height_ > 0 && root_->count < 2) return false;
  const Entry* last = nullptr;
  std::size_t size = 0;
  return sound_below(root_, height_, last, size) && size == size_;
}

}  // namespace kv
