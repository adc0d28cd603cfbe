// Lists: packed into the entry while small, a ListDeque beyond that.
#include <algorithm>
#include <new>
#include <string>

#include "libkv/keyspace/impl.hpp"

namespace kv {

using packed::Run;

namespace {

bool is_packed(const Place& place) noexcept {
  return Table::entry(place.slot)->form() == Form::list_packed;
}

}  // namespace

/// Creates the list at an absent place with its first element.
void Keyspace::Impl::create_list(Place& place, const Scalar& element) {
  const std::size_t bytes = packed::list_element_bytes(element);
  if (bytes <= list_packed_bytes_max && place.key.size() <= packed_key_max) {
    const Entry::Head head = head_for(place, Form::list_packed, Kind::string);
    Entry* created = Entry::create(pool, head, place.key, sizeof(PackedHead) + bytes);
    store(created->payload(), PackedHead{1, static_cast<std::uint16_t>(bytes)});
    packed::write_list_element(elements(*created), element);
    return insert(place, created);
  }
  ListDeque* list = ListDeque::create(pool);
  try {
    list->push_back(element);
    put_large(place, Form::list_large, list);
  } catch (...) {
    ListDeque::destroy(list, pool);
    throw;
  }
}

/// Makes a packed list a large one, with the same elements.
void Keyspace::Impl::unpack_list(Place& place) {
  ListDeque* list = ListDeque::create(pool);
  try {
    list->append_run(run(entry(place)));
    put_large(place, Form::list_large, list);
  } catch (...) {
    ListDeque::destroy(list, pool);
    throw;
  }
}

/// Packs a large list that has become small. Only saves memory, so it need not succeed.
void Keyspace::Impl::repack_list(Place& place) noexcept {
  ListDeque& list = deque(place);
  const Run small = list.small_run(list_repack_bytes);
  if (small.count == 0 || place.key.size() > packed_key_max) return;
  const auto bytes = static_cast<std::size_t>(small.end - small.begin);
  Entry& old = entry(place);
  Entry::Head head = old.head();
  head.form = Form::list_packed;
  Entry* created;
  try {
    created = Entry::create(pool, head, place.key, sizeof(PackedHead) + bytes);
  } catch (const std::bad_alloc&) {
    return;
  }
  store(created->payload(),
        PackedHead{static_cast<std::uint16_t>(small.count), static_cast<std::uint16_t>(bytes)});
  std::memcpy(elements(*created), small.begin, bytes);
  exchange(place, created);
  destroy_entry(pool, &old);
}

/// Adds an element to a packed list before the one at index. False if it does not fit there.
bool Keyspace::Impl::insert_packed(Place& place, std::size_t index, const Scalar& element) {
  Entry& e = entry(place);
  const std::size_t bytes = packed::list_element_bytes(element);
  if (packed_head(e).bytes + bytes > list_packed_bytes_max) return false;
  const Run all = run(e);
  const auto offset = static_cast<std::size_t>(all.find(index) - all.begin);
  packed::write_list_element(splice(place, offset, 0, bytes), element);
  count(entry(place), 1);
  return true;
}

/// Null: it is packed or absent.
ListDeque* List::large_list() const {
  owner_->impl_->refresh(*place_);
  return place_->found() && !is_packed(*place_) ? &Keyspace::Impl::deque(*place_) : nullptr;
}

std::size_t List::size() const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return 0;
  if (is_packed(*place_)) return Keyspace::Impl::packed_head(Keyspace::Impl::entry(*place_)).count;
  return Keyspace::Impl::deque(*place_).size();
}

Scalar List::at(std::size_t index) const {
  owner_->impl_->refresh(*place_);
  if (!is_packed(*place_)) return Keyspace::Impl::deque(*place_).at(index);
  const unsigned char* p = Keyspace::Impl::run(Keyspace::Impl::entry(*place_)).find(index);
  return packed::read_element(p);
}

void List::push_front(const Scalar& element) {
  if (ListDeque* const large = large_list()) large->push_front(element);
  else insert(0, element);
}

void List::push_back(const Scalar& element) {
  if (ListDeque* const large = large_list()) large->push_back(element);
  else insert(size(), element);
}

void List::pop_front() { erase(0, 1); }
void List::pop_back() { erase(size() - 1, 1); }

void List::insert(std::size_t index, const Scalar& element) {
  owner_->impl_->refresh(*place_);
  Keyspace::Impl& impl = *owner_->impl_;
  if (!place_->found()) return impl.create_list(*place_, element);
  if (is_packed(*place_)) {
    if (Keyspace::Impl::entry(*place_).contains(element.bytes.data())) {
      return insert(index, {std::string(element.bytes), element.kind});  // an element of this list
    }
    if (impl.insert_packed(*place_, index, element)) return;
    impl.unpack_list(*place_);
  }
  Keyspace::Impl::deque(*place_).insert(index, element);
}

void List::set(std::size_t index, const Scalar& element) {
  owner_->impl_->refresh(*place_);
  Keyspace::Impl& impl = *owner_->impl_;
  if (is_packed(*place_)) {
    if (Keyspace::Impl::entry(*place_).contains(element.bytes.data())) {
      return set(index, {std::string(element.bytes), element.kind});
    }
    Entry& e = Keyspace::Impl::entry(*place_);
    const Run all = Keyspace::Impl::run(e);
    const unsigned char* start = all.find(index);
    const unsigned char* end = start;
    packed::read_list_element(end);
    const auto old = static_cast<std::size_t>(end - start);
    const std::size_t bytes = packed::list_element_bytes(element);
    if (Keyspace::Impl::packed_head(e).bytes - old + bytes <= list_packed_bytes_max) {
      const auto offset = static_cast<std::size_t>(start - all.begin);
      packed::write_list_element(impl.splice(*place_, offset, old, bytes), element);
      return;
    }
    impl.unpack_list(*place_);
  }
  Keyspace::Impl::deque(*place_).set(index, element);
}

void List::erase(std::size_t index, std::size_t count) {
  owner_->impl_->refresh(*place_);
  if (count == 0) return;
  Keyspace::Impl& impl = *owner_->impl_;
  if (!is_packed(*place_)) {
    Keyspace::Impl::deque(*place_).erase(index, count);
    return impl.repack_list(*place_);
  }
  const Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  const unsigned char* start = all.find(index);
  const unsigned char* end = start;
  if (index + count == all.count) {
    end = all.end;
  } else {
    for (std::size_t i = 0; i < count; ++i) packed::read_list_element(end);
  }
  impl.splice(*place_, static_cast<std::size_t>(start - all.begin),
              static_cast<std::size_t>(end - start), 0);
  Keyspace::Impl::count(Keyspace::Impl::entry(*place_), -static_cast<int>(count));
}

std::size_t List::remove(std::int64_t count, const Scalar& element, bool exact_kind) {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return 0;
  Keyspace::Impl& impl = *owner_->impl_;
  const std::string wanted(element.bytes);  // it may be a view of an element that moves
  const auto match = [&wanted, kind = element.kind, exact_kind](const Scalar& s) {
    return s.bytes == wanted && (!exact_kind || s.kind == kind);
  };
  if (!is_packed(*place_)) {
    const std::size_t gone = Keyspace::Impl::deque(*place_).remove(count, match);
    if (gone != 0) impl.repack_list(*place_);
    return gone;
  }
  Entry& e = Keyspace::Impl::entry(*place_);
  Run all = Keyspace::Impl::run(e);
  const std::size_t before = static_cast<std::size_t>(all.end - all.begin);
  std::size_t limit = SIZE_MAX, skip = 0;
  if (count != 0) {
    const auto n = static_cast<std::uint64_t>(count);
    limit = static_cast<std::size_t>(count < 0 ? 0 - n : n);
    const std::size_t hits = count < 0 ? packed::count_matching(all, match) : 0;
    if (hits > limit) skip = hits - limit;
  }
  const std::size_t gone = packed::remove_matching(all, skip, limit, match);
  // The bytes behind the run's new end are still counted: cut them off.
  const auto after = static_cast<std::size_t>(all.end - all.begin);
  Keyspace::Impl::count(e, -static_cast<int>(gone));
  if (gone != 0) impl.splice(*place_, after, before - after, 0);
  return gone;
}

void List::visit(std::size_t index, std::size_t count,
                 FunctionRef<bool(const Scalar&)> visitor) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found() || count == 0) return;
  if (!is_packed(*place_)) return Keyspace::Impl::deque(*place_).visit(index, count, visitor);
  const Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  if (index >= all.count) return;
  for (const unsigned char* p = all.find(index); p != all.end;) {
    if (!visitor(packed::read_list_element(p)) || --count == 0) return;
  }
}

void Keyspace::drop_if_empty(Place& place) {
  const Type held = type(place);
  const bool empty = (held == Type::list && list(place).size() == 0) ||
                     (held == Type::hash && hash(place).size() == 0) ||
                     (held == Type::set && set(place).size() == 0) ||
                     (held == Type::zset && sorted_set(place).size() == 0);
  if (empty) erase(place);
}

}  // namespace kv
