// The hash table of entries. See table.hpp.
#include "libkv/keyspace/table.hpp"

#include <algorithm>
#include <new>

#include "libkv/base/memory.hpp"
#include "libkv/base/random.hpp"
#include "libkv/keyspace/siphash.hpp"

namespace kv {

// --- segments ---

Table::Segment* Table::new_segment(std::size_t bytes, std::uint32_t depth) noexcept {
  bytes = Arena::rounded(bytes);
  void* memory = pool_->try_allocate(bytes);
  if (memory == nullptr) return nullptr;
  auto* s = new (memory) Segment{};
  // One slot more than total stays empty for ever: it ends every probe.
  s->total = static_cast<std::uint32_t>((bytes - sizeof(Segment)) / sizeof(Slot) - 1);
  s->range = std::min(s->total - (2 + s->total / 40), 0xffffu);
  s->depth = depth;
  std::fill_n(s->slots(), s->total + 1u, Slot{0});
  return s;
}

/// Bytes of a segment that holds so many entries and a few more.
std::size_t Table::bytes_for(std::size_t entries) noexcept {
  const std::size_t slots = entries + entries / 6 + 4;
  return std::max(segment_bytes_min_, sizeof(Segment) + slots * sizeof(Slot));
}

/// Full at 11/12 of the homes: a probe is then about six slots, one cache line.
bool Table::has_room(const Segment& s) noexcept {
  if (s.total < 32) return s.size < s.total - 1;
  return s.size < s.range - s.range / 12;
}

/// Inserts in order of tag. Null if the slots behind the last home are used up.
Table::Slot* Table::place(Segment& s, Slot slot) noexcept {
  Slot* const slots = s.slots();
  std::size_t at = home_of_slot(s, slot);
  while (slots[at] != 0 && (slots[at] >> tag_shift_) <= (slot >> tag_shift_)) ++at;
  std::size_t gap = at;
  while (slots[gap] != 0) ++gap;
  if (gap >= s.total) return nullptr;
  std::copy_backward(slots + at, slots + gap, slots + gap + 1);
  slots[at] = slot;
  ++s.size;
  return slots + at;
}

/// Adds behind everything that is there already; next is the first place that may be free.
bool Table::append(Segment& s, std::size_t& next, Slot slot) noexcept {
  const std::size_t at = std::max(next, home_of_slot(s, slot));
  if (at >= s.total) return false;
  s.slots()[at] = slot;
  next = at + 1;
  ++s.size;
  return true;
}

/// A copy in another size; null if there is no memory. Tries a larger one if the tags crowd.
Table::Segment* Table::copy(const Segment& s, std::size_t bytes) noexcept {
  for (;; bytes += bytes / 8 + 64) {
    Segment* to = new_segment(bytes, s.depth);
    if (to == nullptr) return nullptr;
    std::size_t next = 0;
    bool whole = true;
    for (std::size_t i = 0; i < s.total && whole; ++i) {
      if (s.slots()[i] != 0) whole = append(*to, next, s.slots()[i]);
    }
    if (whole) return to;
    free_segment(to);
  }
}

// --- the directory ---

/// Lets every directory entry of this hash's segment prefix point to s.
void Table::point_to(Segment* s, std::uint64_t hash) noexcept {
  if (depth_ == 0) {
    single_ = s;
    return;
  }
  const std::size_t count = std::size_t{1} << (depth_ - s->depth);
  std::fill_n(directory_ + (index_of(hash) & ~(count - 1)), count, SegmentRef(s));
}

void Table::double_directory() {
  const std::size_t count = std::size_t{1} << depth_;
  auto* larger = static_cast<SegmentRef*>(pool_->allocate(2 * count * sizeof(SegmentRef)));
  for (std::size_t i = 0; i < count; ++i) larger[2 * i] = larger[2 * i + 1] = ref_at(i);
  if (depth_ != 0) pool_->deallocate(directory_, count * sizeof(SegmentRef));
  directory_ = larger;
  ++depth_;
  deepest_ = 0;
}

void Table::halve_directory() noexcept {
  while (depth_ != 0 && deepest_ == 0) {
    const std::size_t count = std::size_t{1} << (depth_ - 1);
    if (depth_ == 1) {
      const SegmentRef only = directory_[0];
      pool_->deallocate(directory_, 2 * sizeof(SegmentRef));
      single_ = only;
      depth_ = 0;
      deepest_ = 1;
      return;
    }
    auto* smaller = static_cast<SegmentRef*>(pool_->try_allocate(count * sizeof(SegmentRef)));
    if (smaller == nullptr) return;  // the next merge tries again
    for (std::size_t i = 0; i < count; ++i) {
      smaller[i] = directory_[2 * i];
      if (smaller[i].segment()->depth == depth_ - 1) ++deepest_;
    }
    pool_->deallocate(directory_, 2 * count * sizeof(SegmentRef));
    directory_ = smaller;
    --depth_;
  }
}

// --- growing ---

void Table::make_room(std::uint64_t hash) {
  if (grow(hash) || (memory::give_up_reserve() && grow(hash))) return;
  throw std::bad_alloc();
}

/// False if memory ends.
bool Table::grow(std::uint64_t hash) {
  Segment* s = segment_of(hash);
  if (s == nullptr) {
    single_ = new_segment(segment_bytes_min_, 0);
    deepest_ = single_.segment() != nullptr ? 1 : 0;
    return deepest_ != 0;
  }
  if (s->size >= segment_split_at && s->depth < depth_max_) return split(s, hash);
  const std::size_t bytes = s->bytes();
  return resize(s, hash, bytes + (bytes < 4096 ? bytes / 4 + 8 : bytes / 8));
}

bool Table::resize(Segment* s, std::uint64_t hash, std::size_t bytes) noexcept {
  Segment* larger = copy(*s, bytes);
  if (larger == nullptr) return false;
  note_step(s->size);
  point_to(larger, hash);
  free_segment(s);
  return true;
}

/// Sorts the entries of from into two by the next bit of their hash. False if the tags crowd.
/// Every entry is read here, which is most of the cost of a split: hence the loads ahead.
bool Table::distribute(const Segment& from, Segment& low, Segment& high) noexcept {
  constexpr std::size_t ahead = 16;
  const unsigned shift = 63 - from.depth;
  std::size_t next_low = 0, next_high = 0;
  for (std::size_t i = 0; i < from.total; ++i) {
    if (i + ahead < from.total) __builtin_prefetch(entry(from.slots() + i + ahead));
    const Slot slot = from.slots()[i];
    if (slot == 0) continue;
    const bool up = ((hash_of(entry(&slot)->key()) >> shift) & 1) != 0;
    if (!append(up ? high : low, up ? next_high : next_low, slot)) return false;
  }
  return true;
}

bool Table::split(Segment* s, std::uint64_t hash) {
  if (s->depth == depth_) double_directory();
  for (std::size_t bytes = bytes_for(s->size / 2);; bytes += bytes / 8 + 64) {
    Segment* low = new_segment(bytes, s->depth + 1);
    Segment* high = new_segment(bytes, s->depth + 1);
    if (low != nullptr && high != nullptr && distribute(*s, *low, *high)) {
      note_step(s->size);
      if (low->depth == depth_) deepest_ += 2;
      const std::uint64_t bit = std::uint64_t{1} << (63 - s->depth);
      point_to(low, hash & ~bit);
      point_to(high, hash | bit);
      free_segment(s);
      return true;
    }
    const bool no_memory = low == nullptr || high == nullptr;
    if (low != nullptr) free_segment(low);
    if (high != nullptr) free_segment(high);
    if (no_memory) return false;
  }
}

// --- room in advance ---

void Table::reserve(std::size_t entries) noexcept {
  if (size_ != 0 || segment_at(0) != nullptr || entries <= segment_split_at) return;
  // Segments differ by chance, by the root of what they hold on average: a fifth below the split
  // they are still far enough from it, and a sixteenth more room is enough for nearly all.
  std::uint32_t depth = 1;
  while (depth < depth_max_ && (entries >> depth) > segment_split_at * 4 / 5) ++depth;
  const std::size_t each = entries >> depth;
  auto* const directory =
      static_cast<SegmentRef*>(pool_->try_allocate((std::size_t{1} << depth) * sizeof(SegmentRef)));
  if (directory == nullptr) return;
  std::fill_n(directory, std::size_t{1} << depth, SegmentRef());
  version_ = ++last_version_;
  directory_ = directory;
  depth_ = depth;
  if (make_segments(bytes_for(each + each / 16), depth)) deepest_ = 1u << depth;
  else clear();
}

/// One for each entry of the directory. False if memory ends; the rest is null then.
bool Table::make_segments(std::size_t bytes, std::uint32_t depth) noexcept {
  for (std::size_t i = 0; i < std::size_t{1} << depth; ++i) {
    Segment* const s = new_segment(bytes, depth);
    if (s == nullptr) return false;
    directory_[i] = s;
  }
  return true;
}

void Table::trim() noexcept {
  version_ = ++last_version_;
  if (size_ == 0) return clear();
  for (std::uint64_t prefix = 0; prefix >> depth_max_ == 0;) {
    const std::uint64_t hash = prefix << (64 - depth_max_);
    const Segment* s = segment_of(hash);
    if (s->size < s->range / 2) give_back(hash);
    const std::uint64_t step = std::uint64_t{1} << (depth_max_ - segment_of(hash)->depth);
    prefix = (prefix & ~(step - 1)) + step;
  }
}

// --- the operations ---

Table::Slot* Table::insert(std::uint64_t hash, Entry* entry) {
  const Slot slot = (hash << tag_shift_) | reinterpret_cast<std::uintptr_t>(entry);
  version_ = ++last_version_;
  for (;;) {
    Segment* s = segment_of(hash);
    if (s != nullptr && has_room(*s)) {
      if (Slot* placed = place(*s, slot); placed != nullptr) {
        ++size_;
        return placed;
      }
    }
    make_room(hash);
  }
}

Entry* Table::erase(std::uint64_t hash, Slot* slot) noexcept {
  version_ = ++last_version_;
  Entry* gone = entry(slot);
  Segment* s = segment_of(hash);
  Slot* const slots = s->slots();
  auto at = static_cast<std::size_t>(slot - slots);
  for (; slots[at + 1] != 0 && home_of_slot(*s, slots[at + 1]) <= at; ++at) {
    slots[at] = slots[at + 1];
  }
  slots[at] = 0;
  --s->size;
  --size_;
  if (s->size < s->range / 2) give_back(hash);
  return gone;
}

void Table::clear() noexcept {
  const std::size_t count = std::size_t{1} << depth_;
  for (std::size_t i = 0; i < count;) {
    Segment* s = segment_at(i);
    if (s == nullptr) break;
    i += std::size_t{1} << (depth_ - s->depth);
    free_segment(s);
  }
  if (depth_ != 0) pool_->deallocate(directory_, count * sizeof(SegmentRef));
  single_ = {};
  size_ = 0;
  depth_ = deepest_ = 0;
  version_ = ++last_version_;
}

// --- shrinking: never fails, at worst it does nothing ---

void Table::give_back(std::uint64_t hash) noexcept {
  while (merge(hash)) {
  }
  Segment* s = segment_of(hash);
  if (size_ == 0 && depth_ == 0) {
    free_segment(s);
    single_ = {};
    return;
  }
  if (s->size >= s->range / 2) return;
  const std::size_t bytes = bytes_for(s->size);
  if (Arena::rounded(bytes) >= Arena::rounded(s->bytes())) return;
  Segment* smaller = copy(*s, bytes);
  if (smaller == nullptr) return;
  note_step(s->size);
  point_to(smaller, hash);
  free_segment(s);
}

/// Joins this hash's segment with its sibling if both together are well below a split.
bool Table::merge(std::uint64_t hash) noexcept {
  Segment* s = segment_of(hash);
  if (s->depth == 0) return false;
  const std::uint64_t bit = std::uint64_t{1} << (64 - s->depth);
  Segment* sibling = segment_of(hash ^ bit);
  const std::size_t entries = std::size_t{s->size} + sibling->size;
  if (sibling->depth != s->depth || entries > segment_split_at / 2) return false;
  Segment* joined = nullptr;
  for (std::size_t bytes = bytes_for(entries);; bytes += bytes / 8 + 64) {
    joined = new_segment(bytes, s->depth - 1);
    if (joined == nullptr) return false;
    std::size_t next = 0;
    bool whole = true;
    const Slot *a = s->slots(), *b = sibling->slots();
    const Slot *const a_end = a + s->total, *const b_end = b + sibling->total;
    while (whole) {
      while (a < a_end && *a == 0) ++a;
      while (b < b_end && *b == 0) ++b;
      if (a == a_end && b == b_end) break;
      const bool from_a = b == b_end || (a != a_end && *a < *b);
      whole = append(*joined, next, from_a ? *a++ : *b++);
    }
    if (whole) break;
    free_segment(joined);
  }
  note_step(entries);
  if (s->depth == depth_) deepest_ -= 2;
  point_to(joined, hash);
  free_segment(s);
  free_segment(sibling);
  halve_directory();
  return true;
}

// --- walks ---

namespace {

// A cursor: tag (16 bits), depth of its segment (5), first 30 bits of the hash. The depth tells a
// later call whether segments were merged meanwhile; then it begins that segment again.
struct Cursor {
  std::uint64_t tag, depth, prefix;

  static Cursor read(std::uint64_t n) noexcept {
    return {n & 0xffff, (n >> 16) & 31, (n >> 21) & ((1u << 30) - 1)};
  }
  std::uint64_t number() const noexcept { return tag | (depth << 16) | (prefix << 21); }
};

}  // namespace

std::uint64_t Table::scan(std::uint64_t cursor, std::size_t count,
                          FunctionRef<void(Slot*)> visit) const {
  if (size_ == 0) return 0;
  if (count == 0) count = 1;
  Cursor c = Cursor::read(cursor);
  std::size_t visited = 0;
  for (;;) {
    Segment* s = segment_at(static_cast<std::size_t>(c.prefix >> (30 - depth_)));
    if (s->depth < c.depth) c.tag = 0;
    const std::uint64_t step = std::uint64_t{1} << (30 - s->depth);
    c.prefix &= ~(step - 1);
    Slot last = 0;
    for (std::size_t i = home(c.tag, s->range); i < s->total; ++i) {
      Slot* slot = s->slots() + i;
      const Slot tag = *slot >> tag_shift_;
      if (*slot == 0 || tag < c.tag) continue;
      if (visited >= count && tag != last) return Cursor{tag, s->depth, c.prefix}.number();
      visit(slot);
      ++visited;
      last = tag;
    }
    c = Cursor{0, 0, c.prefix + step};
    if (c.prefix >> 30 != 0) return 0;
    if (visited >= count) return c.number();
  }
}

bool Table::for_each(FunctionRef<bool(Slot*)> visit) const {
  constexpr std::size_t ahead = 16;
  for (std::size_t i = 0; i < std::size_t{1} << depth_;) {
    Segment* s = segment_at(i);
    if (s == nullptr) return true;
    for (std::size_t k = 0; k < s->total; ++k) {
      if (k + ahead < s->total) __builtin_prefetch(entry(s->slots() + k + ahead));
      if (s->slots()[k] != 0 && !visit(s->slots() + k)) return false;
    }
    i += std::size_t{1} << (depth_ - s->depth);
  }
  return true;
}

Table::Slot* Table::any(std::uint64_t seed) const noexcept {
  if (size_ == 0) return nullptr;
  // One seed, as many numbers as it takes. A segment has about as many of the entries as it has of
  // the hashes.
  Segment* s = segment_of(splitmix64(seed));
  while (s->size == 0) s = segment_of(splitmix64(seed));
  for (;;) {  // not the neighbour of an empty slot: it would be chosen more often
    Slot* const slot = s->slots() + splitmix64(seed) % s->total;
    if (*slot != 0) return slot;
  }
}

}  // namespace kv
