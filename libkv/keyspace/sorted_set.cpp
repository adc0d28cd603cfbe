// Sorted sets: packed into the entry in their order while small, a LargeSortedSet beyond that.
//
// Packed: the 8 bytes of a score, then the member, for each.
#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "libkv/keyspace/impl.hpp"

namespace kv {
namespace {

using Element = SortedSet::Element;

Element read(const unsigned char*& p) noexcept {
  Element element;
  element.score = load<double>(p);
  p += sizeof(double);
  element.member = packed::read_element(p);
  return element;
}

void write(unsigned char* p, const Element& element) noexcept {
  store(p, element.score);
  packed::write_element(p + sizeof(double), element.member);
}

std::size_t bytes_of(const Scalar& member) noexcept {
  return sizeof(double) + packed::element_bytes(member);
}

Element element_of(const Entry& entry) noexcept {
  return {{entry.key(), entry.key_kind()}, score_of(entry)};
}

ScoreKey key_of(const Element& element) noexcept { return {element.score, element.member.bytes}; }

bool is_packed(const Place& place) noexcept {
  return Table::entry(place.slot)->form() == Form::zset_packed;
}

/// Where a packed member lies; its start is null if it is absent.
struct Found {
  const unsigned char* start = nullptr;
  const unsigned char* end = nullptr;
  std::size_t rank = 0;
  Element element;
};

Found find_packed(const packed::Run& all, std::string_view member) noexcept {
  Found found;
  for (const unsigned char* p = all.begin; p != all.end; ++found.rank) {
    found.start = p;
    found.element = read(p);
    found.end = p;
    if (found.element.member.bytes == member) return found;
  }
  return {};
}

/// Where in a run the first element not before key is.
const unsigned char* place_for(const packed::Run& all, const ScoreKey& key) noexcept {
  for (const unsigned char* p = all.begin; p != all.end;) {
    const unsigned char* const start = p;
    if (!(key_of(read(p)) < key)) return start;
  }
  return all.end;
}

/// The start of the element of this rank.
const unsigned char* at_rank(const packed::Run& all, std::size_t rank) noexcept {
  const unsigned char* p = all.begin;
  for (; rank > 0; --rank) read(p);
  return p;
}

/// Gives a packed member another score: its bytes go to their place in the order, those between
/// make room.
void move_packed(const packed::Run& all, const Found& found, double score) noexcept {
  const unsigned char* const to = place_for(all, {score, found.element.member.bytes});
  auto* const start = const_cast<unsigned char*>(found.start);
  auto* const end = const_cast<unsigned char*>(found.end);
  auto* const target = const_cast<unsigned char*>(to);
  store(start, score);
  if (target > end) std::rotate(start, end, target);
  else if (target < start) std::rotate(target, start, end);
}

}  // namespace

/// Creates the sorted set at an absent place with its first member.
void Keyspace::Impl::create_sorted_set(Place& place, const Scalar& member, double score) {
  if (member.bytes.size() <= hash_packed_value_max && place.key.size() <= packed_key_max) {
    const std::size_t bytes = bytes_of(member);
    const Entry::Head head = head_for(place, Form::zset_packed, Kind::string);
    Entry* created = Entry::create(pool, head, place.key, sizeof(PackedHead) + bytes);
    store(created->payload(), PackedHead{1, static_cast<std::uint16_t>(bytes)});
    write(elements(*created), {member, score});
    return insert(place, created);
  }
  LargeSortedSet* created = LargeSortedSet::create(pool);
  try {
    created->set(member, score);
    put_large(place, Form::zset_large, created);
  } catch (...) {
    LargeSortedSet::destroy(created, pool);
    throw;
  }
}

/// Makes a packed sorted set a large one, with the same members and one that is new to it.
void Keyspace::Impl::unpack_sorted_set(Place& place, const Scalar& member, double score) {
  LargeSortedSet* created = LargeSortedSet::create(pool);
  try {
    const packed::Run all = run(entry(place));
    for (const unsigned char* p = all.begin; p != all.end;) {
      const Element element = read(p);
      created->set(element.member, element.score);
    }
    created->set(member, score);
    put_large(place, Form::zset_large, created);
  } catch (...) {
    LargeSortedSet::destroy(created, pool);
    throw;
  }
}

std::size_t SortedSet::size() const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return 0;
  if (is_packed(*place_)) return Keyspace::Impl::run(Keyspace::Impl::entry(*place_)).count;
  return Keyspace::Impl::large_sorted_set(*place_).table.size();
}

std::optional<double> SortedSet::score(std::string_view member) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return std::nullopt;
  if (is_packed(*place_)) {
    const Found found = find_packed(Keyspace::Impl::run(Keyspace::Impl::entry(*place_)), member);
    return found.start != nullptr ? std::optional(found.element.score) : std::nullopt;
  }
  const Entry* const entry = Keyspace::Impl::large_sorted_set(*place_).find(member);
  return entry != nullptr ? std::optional(score_of(*entry)) : std::nullopt;
}

bool SortedSet::set(const Scalar& member, double score) {
  score += 0.0;  // -0 becomes 0
  owner_->impl_->refresh(*place_);
  Keyspace::Impl& impl = *owner_->impl_;
  if (!place_->found()) return impl.create_sorted_set(*place_, member, score), true;
  if (!is_packed(*place_)) return Keyspace::Impl::large_sorted_set(*place_).set(member, score);
  if (Keyspace::Impl::entry(*place_).contains(member.bytes.data())) {
    // A view of this one's own content, which is about to move.
    const std::string own(member.bytes);
    return set({own, member.kind}, score);
  }
  const packed::Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  const Found found = find_packed(all, member.bytes);
  if (found.start != nullptr) return move_packed(all, found, score), false;
  if (member.bytes.size() > hash_packed_value_max || all.count >= zset_packed_members_max) {
    impl.unpack_sorted_set(*place_, member, score);
    return true;
  }
  const auto offset = static_cast<std::size_t>(place_for(all, {score, member.bytes}) - all.begin);
  write(impl.splice(*place_, offset, 0, bytes_of(member)), {member, score});
  Keyspace::Impl::count(Keyspace::Impl::entry(*place_), 1);
  return true;
}

bool SortedSet::erase(std::string_view member) {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return false;
  if (!is_packed(*place_)) return Keyspace::Impl::large_sorted_set(*place_).erase(member);
  const Found found = find_packed(Keyspace::Impl::run(Keyspace::Impl::entry(*place_)), member);
  if (found.start == nullptr) return false;
  erase(found.rank, 1);
  return true;
}

void SortedSet::erase(std::size_t rank, std::size_t count) {
  owner_->impl_->refresh(*place_);
  if (count == 0) return;
  if (!is_packed(*place_)) {
    LargeSortedSet& set = Keyspace::Impl::large_sorted_set(*place_);
    for (; count > 0; --count) set.erase(set.order.at(rank)->key());
    return;
  }
  const packed::Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  const unsigned char* const start = at_rank(all, rank);
  const unsigned char* end = start;
  for (std::size_t i = 0; i < count; ++i) read(end);
  owner_->impl_->splice(*place_, static_cast<std::size_t>(start - all.begin),
                        static_cast<std::size_t>(end - start), 0);
  Keyspace::Impl::count(Keyspace::Impl::entry(*place_), -static_cast<int>(count));
}

std::optional<std::size_t> SortedSet::rank(std::string_view member) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return std::nullopt;
  if (is_packed(*place_)) {
    const Found found = find_packed(Keyspace::Impl::run(Keyspace::Impl::entry(*place_)), member);
    return found.start != nullptr ? std::optional(found.rank) : std::nullopt;
  }
  const Entry* const entry = Keyspace::Impl::large_sorted_set(*place_).find(member);
  if (entry == nullptr) return std::nullopt;
  const ScoreKey key = score_key_of(*entry);
  return Keyspace::Impl::large_sorted_set(*place_).order.count_while(
      [&key](const Entry& other) { return score_key_of(other) < key; });
}

std::size_t SortedSet::count_while(FunctionRef<bool(const Element&)> before) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return 0;
  if (!is_packed(*place_)) {
    return Keyspace::Impl::large_sorted_set(*place_).order.count_while(
        [&before](const Entry& entry) { return before(element_of(entry)); });
  }
  const packed::Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  std::size_t count = 0;
  for (const unsigned char* p = all.begin; p != all.end && before(read(p)); ++count) {
  }
  return count;
}

SortedSet::Element SortedSet::at(std::size_t rank) const {
  owner_->impl_->refresh(*place_);
  if (!is_packed(*place_))
    return element_of(*Keyspace::Impl::large_sorted_set(*place_).order.at(rank));
  const unsigned char* p = at_rank(Keyspace::Impl::run(Keyspace::Impl::entry(*place_)), rank);
  return read(p);
}

void SortedSet::visit(std::size_t rank, std::size_t count, Direction direction,
                      FunctionRef<bool(const Element&)> visitor) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found() || count == 0) return;
  const bool down = direction == Direction::down;
  if (!is_packed(*place_)) {
    return Keyspace::Impl::large_sorted_set(*place_).order.visit(
        rank, count, down, [&visitor](const Entry& entry) { return visitor(element_of(entry)); });
  }
  const packed::Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  if (rank >= all.count) return;
  if (!down) {
    const unsigned char* p = at_rank(all, rank);
    for (; p != all.end && count > 0; --count) {
      if (!visitor(read(p))) return;
    }
    return;
  }
  const unsigned char* starts[zset_packed_members_max];
  const unsigned char* p = all.begin;
  for (std::size_t i = 0; i <= rank; ++i) {
    starts[i] = p;
    read(p);
  }
  for (std::size_t i = rank + 1; i > 0 && count > 0; --i, --count) {
    const unsigned char* one = starts[i - 1];
    if (!visitor(read(one))) return;
  }
}

std::uint64_t SortedSet::scan(std::uint64_t cursor, std::size_t count,
                              FunctionRef<void(const Element&)> visitor) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return 0;
  if (!is_packed(*place_)) {
    return Keyspace::Impl::large_sorted_set(*place_).table.scan(
        cursor, count,
        [&visitor](const Table::Slot* slot) { visitor(element_of(*Table::entry(slot))); });
  }
  visit(0, SIZE_MAX, Direction::up, [&visitor](const Element& element) {  // all, as Redis does
    visitor(element);
    return true;
  });
  return 0;
}

}  // namespace kv
