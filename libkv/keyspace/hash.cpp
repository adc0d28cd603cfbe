// Hashes: packed into the entry while small, a Table of field entries beyond that.
#include <new>
#include <string>

#include "libkv/keyspace/impl.hpp"

namespace kv {

namespace {

bool is_packed(const Place& place) noexcept {
  return Table::entry(place.slot)->form() == Form::hash_packed;
}

/// Where a field lies in a packed hash; its start is null if it is absent.
struct Found {
  const unsigned char* start = nullptr;
  const unsigned char* value_start = nullptr;
  const unsigned char* end = nullptr;
  Hash::Pair pair;
};

Found find_packed(const packed::Run& all, std::string_view field) noexcept {
  for (const unsigned char* p = all.begin; p != all.end;) {
    Found found;
    found.start = p;
    found.pair.field = packed::read_element(p);
    found.value_start = p;
    found.pair.value = packed::read_element(p);
    found.end = p;
    if (found.pair.field.bytes == field) return found;
  }
  return {};
}

Entry::Head field_head(Kind field, Kind value) noexcept {
  Entry::Head head;
  head.field = true;
  head.key_kind = field;
  head.kind = value;
  return head;
}

Hash::Pair pair_of(const Table::Slot* slot) noexcept {
  const Entry& e = *Table::entry(slot);
  return {{e.key(), e.key_kind()}, e.string()};
}

bool fits_packed(const Scalar& s) noexcept { return s.bytes.size() <= hash_packed_value_max; }

void note_size(LargeHash& hash, const Scalar& field, const Scalar& value) noexcept {
  hash.beyond_listpack |= hash.table.size() > listpack_pairs_max ||
                          field.bytes.size() > listpack_value_max ||
                          value.bytes.size() > listpack_value_max;
}

/// Sets a field of a large hash. True if it is new.
bool set_large(LargeHash& hash, const Scalar& field, const Scalar& value) {
  const std::uint64_t h = hash_of(field.bytes);
  Table::Slot* slot = hash.table.find(h, field.bytes);
  if (slot == nullptr) {
    Entry* created =
        create_string(hash.pool, field_head(field.kind, value.kind), field.bytes, value.bytes);
    try {
      hash.table.insert(h, created);
    } catch (...) {
      destroy_entry(hash.pool, created);
      throw;
    }
    note_size(hash, field, value);
    return true;
  }
  Entry* old = Table::entry(slot);
  if (overwrite_string(*old, value.bytes)) {
    old->set_kind(value.kind);
    note_size(hash, field, value);
    return false;
  }
  Table::set_entry(slot, create_string(hash.pool, field_head(old->key_kind(), value.kind),
                                       old->key(), value.bytes));
  destroy_entry(hash.pool, old);
  note_size(hash, field, value);
  return false;
}

}  // namespace

/// Creates the hash at an absent place with its first field.
void Keyspace::Impl::create_hash(Place& place, const Scalar& field, const Scalar& value) {
  if (fits_packed(field) && fits_packed(value) && place.key.size() <= packed_key_max) {
    const std::size_t bytes = packed::element_bytes(field) + packed::element_bytes(value);
    const Entry::Head head = head_for(place, Form::hash_packed, Kind::string);
    Entry* created = Entry::create(pool, head, place.key, sizeof(PackedHead) + bytes);
    store(created->payload(), PackedHead{1, static_cast<std::uint16_t>(bytes)});
    packed::write_element(packed::write_element(elements(*created), field), value);
    return insert(place, created);
  }
  LargeHash* created = LargeHash::create(pool);
  try {
    set_large(*created, field, value);
    put_large(place, Form::hash_large, created);
  } catch (...) {
    LargeHash::destroy(created, pool);
    throw;
  }
}

/// Makes a packed hash a large one, with the same fields.
void Keyspace::Impl::unpack_hash(Place& place) {
  LargeHash* created = LargeHash::create(pool);
  try {
    const packed::Run all = run(entry(place));
    for (const unsigned char* p = all.begin; p != all.end;) {
      const Scalar field = packed::read_element(p);
      set_large(*created, field, packed::read_element(p));
    }
    put_large(place, Form::hash_large, created);
  } catch (...) {
    LargeHash::destroy(created, pool);
    throw;
  }
}

/// Sets a field of a packed hash if the result may be packed; else false, nothing done.
bool Keyspace::Impl::set_packed(Place& place, const Scalar& field, const Scalar& value,
                                bool& is_new) {
  const packed::Run all = run(entry(place));
  const Found found = find_packed(all, field.bytes);
  is_new = found.start == nullptr;
  if (!fits_packed(field) || !fits_packed(value)) return false;
  if (is_new && all.count >= hash_packed_pairs_max) return false;
  const std::size_t bytes = packed::element_bytes(value);
  if (!is_new) {
    const auto offset = static_cast<std::size_t>(found.value_start - all.begin);
    const auto gone = static_cast<std::size_t>(found.end - found.value_start);
    packed::write_element(splice(place, offset, gone, bytes), value);
    return true;
  }
  const auto end = static_cast<std::size_t>(all.end - all.begin);
  unsigned char* at = splice(place, end, 0, packed::element_bytes(field) + bytes);
  packed::write_element(packed::write_element(at, field), value);
  count(entry(place), 1);
  return true;
}

std::size_t Hash::size() const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return 0;
  if (is_packed(*place_)) return Keyspace::Impl::packed_head(Keyspace::Impl::entry(*place_)).count;
  return Keyspace::Impl::large_hash(*place_).table.size();
}

std::optional<Scalar> Hash::get(std::string_view field) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return std::nullopt;
  if (is_packed(*place_)) {
    const Found found = find_packed(Keyspace::Impl::run(Keyspace::Impl::entry(*place_)), field);
    return found.start != nullptr ? std::optional(found.pair.value) : std::nullopt;
  }
  const Table::Slot* slot = Keyspace::Impl::large_hash(*place_).table.find(hash_of(field), field);
  return slot != nullptr ? std::optional(Table::entry(slot)->string()) : std::nullopt;
}

bool Hash::set(const Scalar& field, const Scalar& value) {
  owner_->impl_->refresh(*place_);
  Keyspace::Impl& impl = *owner_->impl_;
  if (!place_->found()) {
    impl.create_hash(*place_, field, value);
    return true;
  }
  if (is_packed(*place_)) {
    const Entry& e = Keyspace::Impl::entry(*place_);
    if (e.contains(field.bytes.data()) || e.contains(value.bytes.data())) {
      // Views of this hash's own content, which is about to move.
      const std::string own_field(field.bytes), own_value(value.bytes);
      return set({own_field, field.kind}, {own_value, value.kind});
    }
    bool is_new;
    if (impl.set_packed(*place_, field, value, is_new)) return is_new;
    impl.unpack_hash(*place_);
  }
  return set_large(Keyspace::Impl::large_hash(*place_), field, value);
}

bool Hash::erase(std::string_view field) {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return false;
  Keyspace::Impl& impl = *owner_->impl_;
  if (!is_packed(*place_)) {
    LargeHash& large = Keyspace::Impl::large_hash(*place_);
    const std::uint64_t h = hash_of(field);
    Table::Slot* slot = large.table.find(h, field);
    if (slot == nullptr) return false;
    destroy_entry(large.pool, large.table.erase(h, slot));
    return true;
  }
  const packed::Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  const Found found = find_packed(all, field);
  if (found.start == nullptr) return false;
  impl.splice(*place_, static_cast<std::size_t>(found.start - all.begin),
              static_cast<std::size_t>(found.end - found.start), 0);
  Keyspace::Impl::count(Keyspace::Impl::entry(*place_), -1);
  return true;
}

void Hash::visit(FunctionRef<bool(const Pair&)> visitor) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return;
  if (!is_packed(*place_)) {
    Keyspace::Impl::large_hash(*place_).table.for_each(
        [&visitor](const Table::Slot* slot) { return visitor(pair_of(slot)); });
    return;
  }
  const packed::Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  for (const unsigned char* p = all.begin; p != all.end;) {
    Pair pair;
    pair.field = packed::read_element(p);
    pair.value = packed::read_element(p);
    if (!visitor(pair)) return;
  }
}

Hash::Pair Hash::any(std::uint64_t seed) const {
  owner_->impl_->refresh(*place_);
  if (!is_packed(*place_)) return pair_of(Keyspace::Impl::large_hash(*place_).table.any(seed));
  const packed::Run all = Keyspace::Impl::run(Keyspace::Impl::entry(*place_));
  const unsigned char* p = all.begin;
  for (std::size_t i = 2 * (seed % all.count); i != 0; --i) packed::read_element(p);
  Pair pair;
  pair.field = packed::read_element(p);
  pair.value = packed::read_element(p);
  return pair;
}

std::uint64_t Hash::scan(std::uint64_t cursor, std::size_t count,
                         FunctionRef<void(const Pair&)> visitor) const {
  owner_->impl_->refresh(*place_);
  if (!place_->found()) return 0;
  if (is_packed(*place_)) {  // all of it at once, as Redis does
    visit([&visitor](const Pair& pair) {
      visitor(pair);
      return true;
    });
    return 0;
  }
  return Keyspace::Impl::large_hash(*place_).table.scan(
      cursor, count, [&visitor](const Table::Slot* slot) { visitor(pair_of(slot)); });
}

}  // namespace kv
