// What hashes and sets have in common: packed into the entry while small, a Table of entries beyond
// that. A set is a hash whose fields have no values, neither packed nor in the table, but numbers:
// its order is the same in both forms (member_order.hpp). For hash.cpp and set.cpp alone.
#pragma once

#include <new>
#include <string>

#include "libkv/keyspace/impl.hpp"

namespace kv {

/// The hash or set at a place, as Hash and Set are; a set's Pair has no value.
template <bool with_values>
class Keyspace::Impl::Fields {
 public:
  using Pair = Hash::Pair;
  static constexpr Form packed_form = with_values ? Form::hash_packed : Form::set_packed;
  static constexpr Form large_form = with_values ? Form::hash_large : Form::set_large;

  Fields(Impl& impl, Place& place) : impl_(impl), place_(place) { impl.refresh(place); }

  bool is_packed() const noexcept { return entry(place_).form() == packed_form; }
  std::size_t size() const noexcept;
  // hash: hash_of(field) if the caller has it, else 0.
  std::optional<Pair> find(std::string_view field, std::uint64_t hash = 0) const;
  /// True if the field is new. Else its value is replaced; of a set nothing is changed.
  bool set(const Scalar& field, const Scalar& value, std::uint64_t hash = 0);
  bool erase(std::string_view field);
  void visit(FunctionRef<bool(const Pair&)> visitor) const;
  Pair any(std::uint64_t seed) const;
  /// Of a set: a member by its number.
  Scalar at(std::size_t index) const noexcept;
  std::uint64_t scan(std::uint64_t cursor, std::size_t count,
                     FunctionRef<void(const Pair&)> visitor) const;

 private:
  /// Where a field lies among the packed ones; its start is null if it is absent.
  struct Found {
    const unsigned char* start = nullptr;
    const unsigned char* value_start = nullptr;
    const unsigned char* end = nullptr;
    Pair pair;
  };

  static Pair read_pair(const unsigned char*& p) noexcept {
    Pair pair;
    pair.field = packed::read_element(p);
    if constexpr (with_values) pair.value = packed::read_element(p);
    return pair;
  }
  static Pair pair_of(const Table::Slot* slot) noexcept {
    const Entry& e = *Table::entry(slot);
    if constexpr (with_values) return {{e.key(), e.key_kind()}, e.string()};
    return {{e.key(), e.key_kind()}, {}};
  }
  static std::size_t pair_bytes(const Scalar& field, const Scalar& value) noexcept {
    return packed::element_bytes(field) + (with_values ? packed::element_bytes(value) : 0);
  }
  static void write_pair(unsigned char* p, const Scalar& field, const Scalar& value) noexcept {
    p = packed::write_element(p, field);
    if constexpr (with_values) packed::write_element(p, value);
  }
  static bool fits_packed(const Scalar& s) noexcept {
    return s.bytes.size() <= hash_packed_value_max;
  }
  static Found find_packed(const packed::Run& all, std::string_view field) noexcept;
  static Entry* create_field(Pool& pool, const Scalar& field, const Scalar& value);
  static void note_size(LargeHash& hash, const Scalar& field, const Scalar& value) noexcept;
  static bool set_large(LargeHash& hash, const Scalar& field, const Scalar& value,
                        std::uint64_t field_hash = 0);
  static void replace_value(LargeHash& hash, Table::Slot* slot, const Scalar& value);

  packed::Run run() const noexcept { return Impl::run(entry(place_)); }
  LargeHash& large() const noexcept { return large_hash(place_); }
  void create(const Scalar& field, const Scalar& value);
  void unpack();
  bool set_packed(const Scalar& field, const Scalar& value, bool& is_new);
  void erase_packed(const Found& found);

  Impl& impl_;
  Place& place_;
};

template <bool with_values>
auto Keyspace::Impl::Fields<with_values>::find_packed(const packed::Run& all,
                                                      std::string_view field) noexcept -> Found {
  for (const unsigned char* p = all.begin; p != all.end;) {
    Found found;
    found.start = p;
    found.pair.field = packed::read_element(p);
    found.value_start = p;
    if constexpr (with_values) found.pair.value = packed::read_element(p);
    found.end = p;
    if (found.pair.field.bytes == field) return found;
  }
  return {};
}

template <bool with_values>
Entry* Keyspace::Impl::Fields<with_values>::create_field(Pool& pool, const Scalar& field,
                                                         const Scalar& value) {
  Entry::Head head;
  head.field = true;
  head.key_kind = field.kind;
  head.kind = value.kind;
  if constexpr (with_values) return create_string(pool, head, field.bytes, value.bytes);
  head.form = Form::member;
  return Entry::create(pool, head, field.bytes, sizeof(std::uint32_t));
}

template <bool with_values>
void Keyspace::Impl::Fields<with_values>::note_size(LargeHash& hash, const Scalar& field,
                                                    const Scalar& value) noexcept {
  if constexpr (!with_values) return;
  hash.beyond_listpack |= hash.table.size() > listpack_pairs_max ||
                          field.bytes.size() > listpack_value_max ||
                          value.bytes.size() > listpack_value_max;
}

template <bool with_values>
void Keyspace::Impl::Fields<with_values>::replace_value(LargeHash& hash, Table::Slot* slot,
                                                        const Scalar& value) {
  Entry* old = Table::entry(slot);
  if (overwrite_string(*old, value.bytes)) return old->set_kind(value.kind);
  Table::set_entry(slot, create_field(hash.pool, {old->key(), old->key_kind()}, value));
  destroy_entry(hash.pool, old);
}

/// Sets a field of a large hash. True if it is new.
template <bool with_values>
bool Keyspace::Impl::Fields<with_values>::set_large(LargeHash& hash, const Scalar& field,
                                                    const Scalar& value, std::uint64_t field_hash) {
  const std::uint64_t h = hash_of(field.bytes, field_hash);
  Table::Slot* slot = hash.table.find(h, field.bytes);
  if (slot != nullptr) {
    if constexpr (with_values) replace_value(hash, slot, value);
    note_size(hash, field, value);
    return false;
  }
  if constexpr (!with_values) hash.members.make_room();
  Entry* created = create_field(hash.pool, field, value);
  try {
    hash.table.insert(h, created);
  } catch (...) {
    destroy_entry(hash.pool, created);
    throw;
  }
  if constexpr (!with_values) hash.members.add(created);
  note_size(hash, field, value);
  return true;
}

/// Creates it at an absent place with its first field.
template <bool with_values>
void Keyspace::Impl::Fields<with_values>::create(const Scalar& field, const Scalar& value) {
  if (fits_packed(field) && fits_packed(value) && place_.key.size() <= packed_key_max) {
    const std::size_t bytes = pair_bytes(field, value);
    const Entry::Head head = head_for(place_, packed_form, Kind::string);
    Entry* created = Entry::create(impl_.pool, head, place_.key, sizeof(PackedHead) + bytes);
    store(created->payload(), PackedHead{1, static_cast<std::uint16_t>(bytes)});
    write_pair(elements(*created), field, value);
    return impl_.insert(place_, created);
  }
  LargeHash* created = LargeHash::create(impl_.pool);
  try {
    set_large(*created, field, value);
    impl_.put_large(place_, large_form, created);
  } catch (...) {
    LargeHash::destroy(created, impl_.pool);
    throw;
  }
}

/// Makes a packed one a large one, with the same fields.
template <bool with_values>
void Keyspace::Impl::Fields<with_values>::unpack() {
  LargeHash* created = LargeHash::create(impl_.pool);
  try {
    const packed::Run all = run();
    for (const unsigned char* p = all.begin; p != all.end;) {
      const Pair pair = read_pair(p);
      set_large(*created, pair.field, pair.value);
    }
    impl_.put_large(place_, large_form, created);
  } catch (...) {
    LargeHash::destroy(created, impl_.pool);
    throw;
  }
}

/// Sets a packed field if the result may be packed; else false, nothing done.
template <bool with_values>
bool Keyspace::Impl::Fields<with_values>::set_packed(const Scalar& field, const Scalar& value,
                                                     bool& is_new) {
  const packed::Run all = run();
  const Found found = find_packed(all, field.bytes);
  is_new = found.start == nullptr;
  if (!with_values && !is_new) return true;
  if (!fits_packed(field) || !fits_packed(value)) return false;
  if (is_new && all.count >= hash_packed_pairs_max) return false;
  if (!is_new) {
    const auto offset = static_cast<std::size_t>(found.value_start - all.begin);
    const auto gone = static_cast<std::size_t>(found.end - found.value_start);
    const std::size_t bytes = packed::element_bytes(value);
    packed::write_element(impl_.splice(place_, offset, gone, bytes), value);
    return true;
  }
  const auto end = static_cast<std::size_t>(all.end - all.begin);
  write_pair(impl_.splice(place_, end, 0, pair_bytes(field, value)), field, value);
  count(entry(place_), 1);
  return true;
}

template <bool with_values>
std::size_t Keyspace::Impl::Fields<with_values>::size() const noexcept {
  if (!place_.found()) return 0;
  return is_packed() ? packed_head(entry(place_)).count : large().table.size();
}

template <bool with_values>
auto Keyspace::Impl::Fields<with_values>::find(std::string_view field, std::uint64_t hash) const
    -> std::optional<Pair> {
  if (!place_.found()) return std::nullopt;
  if (is_packed()) {
    const Found found = find_packed(run(), field);
    return found.start != nullptr ? std::optional(found.pair) : std::nullopt;
  }
  const Table::Slot* slot = large().table.find(hash_of(field, hash), field);
  return slot != nullptr ? std::optional(pair_of(slot)) : std::nullopt;
}

template <bool with_values>
bool Keyspace::Impl::Fields<with_values>::set(const Scalar& field, const Scalar& value,
                                              std::uint64_t hash) {
  if (!place_.found()) {
    create(field, value);
    return true;
  }
  if (is_packed()) {
    const Entry& e = entry(place_);
    if (e.contains(field.bytes.data()) || e.contains(value.bytes.data())) {
      // Views of its own content, which is about to move.
      const std::string own_field(field.bytes), own_value(value.bytes);
      return set({own_field, field.kind}, {own_value, value.kind});
    }
    bool is_new;
    if (set_packed(field, value, is_new)) return is_new;
    unpack();
  }
  return set_large(large(), field, value, hash);
}

template <bool with_values>
bool Keyspace::Impl::Fields<with_values>::erase(std::string_view field) {
  if (!place_.found()) return false;
  if (!is_packed()) {
    LargeHash& hash = large();
    const std::uint64_t h = hash_of(field);
    Table::Slot* slot = hash.table.find(h, field);
    if (slot == nullptr) return false;
    Entry* gone = hash.table.erase(h, slot);
    if constexpr (!with_values) hash.members.erase(gone);
    destroy_entry(hash.pool, gone);
    return true;
  }
  const Found found = find_packed(run(), field);
  if (found.start == nullptr) return false;
  erase_packed(found);
  return true;
}

/// Takes it out. Of a set, the last member takes its place.
template <bool with_values>
void Keyspace::Impl::Fields<with_values>::erase_packed(const Found& found) {
  const packed::Run all = run();
  const auto gone = static_cast<std::size_t>(found.end - found.start);
  auto at = static_cast<std::size_t>(found.start - all.begin);
  if (!with_values && found.end != all.end) {
    const unsigned char* last = found.end;
    for (const unsigned char* p = last; p != all.end;) {
      last = p;
      packed::read_element(p);
    }
    unsigned char kept[hash_packed_value_max + 2];
    const auto bytes = static_cast<std::size_t>(all.end - last);
    std::memcpy(kept, last, bytes);
    std::memmove(all.begin + at + bytes, found.end, static_cast<std::size_t>(last - found.end));
    std::memcpy(all.begin + at, kept, bytes);
    at = static_cast<std::size_t>(all.end - all.begin) - gone;
  }
  impl_.splice(place_, at, gone, 0);
  count(entry(place_), -1);
}

template <bool with_values>
void Keyspace::Impl::Fields<with_values>::visit(FunctionRef<bool(const Pair&)> visitor) const {
  if (!place_.found()) return;
  if (is_packed()) {
    const packed::Run all = run();
    for (const unsigned char* p = all.begin; p != all.end;) {
      if (!visitor(read_pair(p))) return;
    }
  } else if constexpr (with_values) {
    large().table.for_each([&visitor](const Table::Slot* slot) { return visitor(pair_of(slot)); });
  } else {
    constexpr std::size_t ahead = 16;
    const MemberOrder& members = large().members;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i + ahead < members.size()) __builtin_prefetch(members.at(i + ahead));
      const Entry& e = *members.at(i);
      if (!visitor({{e.key(), e.key_kind()}, {}})) return;
    }
  }
}

template <bool with_values>
auto Keyspace::Impl::Fields<with_values>::any(std::uint64_t seed) const -> Pair {
  if (!is_packed()) return pair_of(large().table.any(seed));
  const packed::Run all = run();
  const unsigned char* p = all.begin;
  for (std::size_t i = seed % all.count; i != 0; --i) read_pair(p);
  return read_pair(p);
}

template <bool with_values>
Scalar Keyspace::Impl::Fields<with_values>::at(std::size_t index) const noexcept {
  static_assert(!with_values);
  if (!is_packed()) {
    const Entry& e = *large().members.at(index);
    return {e.key(), e.key_kind()};
  }
  const unsigned char* p = run().begin;
  for (; index != 0; --index) packed::read_element(p);
  return packed::read_element(p);
}

template <bool with_values>
std::uint64_t Keyspace::Impl::Fields<with_values>::scan(
    std::uint64_t cursor, std::size_t count, FunctionRef<void(const Pair&)> visitor) const {
  if (!place_.found()) return 0;
  if (is_packed()) {  // all of it at once, as Redis does
    visit([&visitor](const Pair& pair) {
      visitor(pair);
      return true;
    });
    return 0;
  }
  return large().table.scan(cursor, count,
                            [&visitor](const Table::Slot* slot) { visitor(pair_of(slot)); });
}

}  // namespace kv
