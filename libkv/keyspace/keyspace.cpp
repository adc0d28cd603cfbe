// Keys, strings and expiry of one database. Lists are in list.cpp, hashes in hash.cpp, sets in
// set.cpp, sorted sets in sorted_set.cpp, what only looks in inspect.cpp.
#include "libkv/keyspace/keyspace.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <new>
#include <utility>

#include "libkv/keyspace/impl.hpp"

namespace kv {

namespace {

// The access note: seconds (24 bits, they wrap after 194 days) and above them Redis's logarithmic
// counter (redis.conf's lfu-log-factor 10, lfu-decay-time 1, new keys start at 5).
constexpr std::uint32_t clock_mask = 0xffffff;
constexpr unsigned frequency_start = 5;
constexpr unsigned frequency_factor = 10;

std::uint32_t clock_of(std::int64_t now_ms) noexcept {
  return static_cast<std::uint32_t>(now_ms / 1000) & clock_mask;
}

/// Room for a string that is being appended to: doubled while small, a quarter more when large.
std::size_t capacity_for(std::size_t size) noexcept {
  constexpr std::size_t small = std::size_t{1} << 20;
  return Arena::rounded(size < small ? size * 2 : size + size / 4);
}

}  // namespace

// --- Impl ---

void Keyspace::Impl::clear() noexcept {
  table.for_each([this](Table::Slot* slot) {
    destroy_entry(pool, Table::entry(slot));
    return true;
  });
  table.clear();
  expiries.clear();
}

void Keyspace::Impl::note_access(Entry& e, std::int64_t now_ms) noexcept {
  const std::uint32_t note = e.access();
  const std::uint32_t clock = clock_of(now_ms);
  const std::uint32_t idle = (clock - note) & clock_mask;
  unsigned frequency = note >> 24;
  const unsigned decay = idle > clock_mask / 2 ? 0 : idle / 60;  // a clock that stepped back: none
  frequency -= std::min(frequency, decay);
  random ^= random << 13;  // xorshift64
  random ^= random >> 7;
  random ^= random << 17;
  const unsigned above = frequency > frequency_start ? frequency - frequency_start : 0;
  // One time in above * factor + 1: a product's upper half, since a division costs as much as all
  // the rest of this.
  if (frequency < 255 && ((random >> 32) * (above * frequency_factor + 1)) >> 32 == 0) ++frequency;
  const std::uint32_t noted = (frequency << 24) | clock;
  if (noted != note) e.set_access(noted);
}

Place Keyspace::Impl::look_up(std::string_view key, std::int64_t now_ms, std::uint64_t hash) {
  Place place{key, hash_of(key, hash), nullptr, now_ms, table.version()};
  place.slot = table.find(place.hash, key);
  if (place.slot != nullptr) {
    const Entry& e = entry(place);
    if (e.has_expiry() && e.expiry() <= now_ms) [[unlikely]]
      remove(place);
  }
  return place;
}

void Keyspace::Impl::find_again(Place& place) const noexcept {
  place.slot = table.find(hash(place), place.key);
  place.version = table.version();
}

const Entry* Keyspace::Impl::seen_again(Place place) const noexcept {
  find_again(place);
  return place.slot != nullptr ? Table::entry(place.slot) : nullptr;
}

Entry::Head Keyspace::Impl::head_for(const Place& place, Form form, Kind kind) noexcept {
  Entry::Head head;
  head.form = form;
  head.kind = kind;
  head.access =
      place.found() ? entry(place).access() : (frequency_start << 24) | clock_of(place.seen_ms);
  return head;
}

void Keyspace::Impl::insert(Place& place, Entry* created) {
  try {
    set_slot(place, table.insert(hash(place), created));
  } catch (...) {
    destroy_entry(pool, created);
    throw;
  }
}

/// As insert, but leaves a created entry that found no room to the caller.
void Keyspace::Impl::insert_raw(Place& place, Entry* created, std::optional<std::int64_t> indexed) {
  try {
    set_slot(place, table.insert(hash(place), created));
  } catch (...) {
    if (indexed) expiries.erase({*indexed, hash(place)});
    throw;
  }
}

void Keyspace::Impl::replace(Place& place, Entry* created) noexcept {
  Entry* old = &entry(place);
  if (old->has_expiry()) expiries.erase({old->expiry(), hash(place)});
  exchange(place, created);
  destroy_entry(pool, old);
}

unsigned char* Keyspace::Impl::lengthen(Place& place, std::size_t size) {
  Entry& e = entry(place);
  unsigned char* const data =
      e.form() == Form::string_large ? lengthen_large(pool, e, size) : lengthen_inline(place, size);
  entry(place).set_appended(true);
  return data;
}

unsigned char* Keyspace::Impl::lengthen_large(Pool& pool, Entry& entry, std::size_t size) {
  auto large = load<LargeString>(entry.payload());
  if (size > large.capacity) {
    const std::size_t capacity = capacity_for(size);
    large.data = static_cast<unsigned char*>(pool.reallocate(large.data, large.capacity, capacity));
    large.capacity = capacity;
  }
  large.size = size;
  store(entry.payload(), large);
  return large.data;
}

unsigned char* Keyspace::Impl::lengthen_inline(Place& place, std::size_t size) {
  Entry& e = entry(place);
  const std::string_view old = e.string().bytes;
  const std::size_t payload = varint_bytes(size) + size;
  const std::size_t total = e.bytes() - e.payload_bytes() + payload;
  Entry* target = &e;
  Entry::Head head = e.head();
  LargeString large{nullptr, size, capacity_for(size)};
  unsigned char* to = nullptr;
  if (size > inline_value_max) {
    large.data = static_cast<unsigned char*>(pool.allocate(large.capacity));
    head.form = Form::string_large;
    try {
      target = Entry::create(pool, head, place.key, sizeof large);
    } catch (...) {
      pool.deallocate(large.data, large.capacity);
      throw;
    }
    store(target->payload(), large);
    to = large.data;
    copy_bytes(to, old.data(), old.size());
  } else {
    if (Arena::rounded(total) != Arena::rounded(e.allocated())) {
      target = Entry::create(pool, head, place.key, payload);
    }
    to = target->payload() + varint_bytes(size);
    if (!old.empty()) std::memmove(to, old.data(), old.size());
    write_varint(target->payload(), size);
    target->unpad();
  }
  if (target == &e) return to;
  exchange(place, target);
  free_entry(pool, &e);
  return to;
}

void Keyspace::Impl::exchange(Place& place, Entry* created) noexcept {
  // The key of a place from a walk lies in the entry that goes.
  if (entry(place).contains(place.key.data())) place.key = created->key();
  Table::set_entry(place.slot, created);
}

Entry* Keyspace::Impl::take_out(Place& place) noexcept {
  const Entry& e = entry(place);
  if (e.has_expiry()) expiries.erase({e.expiry(), hash(place)});
  Entry* gone = table.erase(hash(place), place.slot);
  set_slot(place, nullptr);
  return gone;
}

unsigned char* Keyspace::Impl::splice(Place& place, std::size_t offset, std::size_t gone,
                                      std::size_t added) {
  Entry& old = entry(place);
  const std::size_t allocation = old.allocated();
  const std::size_t bytes = old.bytes() - gone + added;
  PackedHead head = packed_head(old);
  unsigned char* at = elements(old) + offset;
  const std::size_t behind = head.bytes - offset - gone;
  head.bytes = static_cast<std::uint16_t>(head.bytes - gone + added);
  Entry* moved = nullptr;
  if (Arena::rounded(bytes) != Arena::rounded(allocation)) {
    moved = static_cast<Entry*>(added > gone ? pool.allocate(bytes) : pool.try_allocate(bytes));
  }
  if (moved == nullptr) {  // in place
    std::memmove(at + added, at + gone, behind);
    store(old.payload(), head);
    old.unpad();
    if (Arena::rounded(bytes) != Arena::rounded(allocation)) old.pad(allocation);
    return at;
  }
  const auto before = static_cast<std::size_t>(at - reinterpret_cast<unsigned char*>(&old));
  std::memcpy(reinterpret_cast<unsigned char*>(moved), &old, before);
  unsigned char* to = reinterpret_cast<unsigned char*>(moved) + before;
  std::memcpy(to + added, at + gone, behind);
  moved->unpad();
  store(moved->payload(), head);
  exchange(place, moved);
  pool.deallocate(&old, allocation);
  return to;
}

void Keyspace::Impl::count(Entry& e, int change) noexcept {
  PackedHead head = packed_head(e);
  head.count = static_cast<std::uint16_t>(head.count + change);
  store(e.payload(), head);
}

packed::Run Keyspace::Impl::run(Entry& e) noexcept {
  const PackedHead head = packed_head(e);
  return {elements(e), elements(e) + head.bytes, head.count};
}

void Keyspace::Impl::put_large(Place& place, Form form, void* object) {
  Entry::Head head = head_for(place, form, Kind::string);
  if (place.found()) {
    head.appended = entry(place).appended();
    if (entry(place).has_expiry()) head.expiry = entry(place).expiry();
  }
  Entry* created = Entry::create(pool, head, place.key, sizeof object);
  store(created->payload(), object);
  if (!place.found()) {
    try {
      insert_raw(place, created, std::nullopt);
    } catch (...) {
      free_entry(pool, created);
      throw;
    }
    return;
  }
  Entry* old = &entry(place);
  exchange(place, created);
  free_entry(pool, old);
}

// --- keys ---

Keyspace::Keyspace() : impl_(std::make_unique<Impl>()) {}
Keyspace::~Keyspace() = default;

Place Keyspace::locate(std::string_view key, std::int64_t now_ms, std::uint64_t hash) {
  Place place = impl_->look_up(key, now_ms, hash);
  if (place.found() && impl_->tracking) impl_->note_access(Impl::entry(place), now_ms);
  return place;
}

Place Keyspace::peek(std::string_view key, std::int64_t now_ms, std::uint64_t hash) {
  return impl_->look_up(key, now_ms, hash);
}

void Keyspace::prefetch(std::uint64_t hash) const noexcept {
  Impl& impl = *impl_;
  impl.table.prefetch(hash);
  // The slots of a key asked for some keys ago have arrived by now: go on to its entry.
  std::uint64_t& earlier = impl.prefetched[impl.prefetches++ % Impl::prefetch_distance];
  if (earlier != 0) impl.table.prefetch_entry(earlier);
  earlier = hash;
}

LargeHash* Keyspace::Impl::likely_hash(std::uint64_t key_hash) const noexcept {
  Table::Slot* const slot =
      table.find_if(key_hash, [](const Entry& entry) { return entry.form() == Form::hash_large; });
  return slot != nullptr ? load<LargeHash*>(Table::entry(slot)->payload()) : nullptr;
}

void Keyspace::prefetch_field(std::uint64_t key_hash, std::uint64_t field_hash) const noexcept {
  Impl& impl = *impl_;
  const LargeHash* const hash = impl.likely_hash(key_hash);
  if (hash != nullptr) hash->table.prefetch(field_hash);
  Impl::FieldHashes& earlier =
      impl.prefetched_fields[impl.field_prefetches++ % Impl::prefetch_distance];
  const LargeHash* const before = earlier.key == key_hash ? hash
                                  : earlier.key != 0      ? impl.likely_hash(earlier.key)
                                                          : nullptr;
  if (before != nullptr) before->table.prefetch_entry(earlier.field);
  earlier = {key_hash, field_hash};
}

std::size_t Keyspace::size() const noexcept { return impl_->table.size(); }
std::size_t Keyspace::expiring() const noexcept { return impl_->expiries.size(); }

Type Keyspace::type(const Place& place) const noexcept {
  const Entry* e = impl_->seen(place);
  if (e == nullptr) return Type::none;
  switch (e->form()) {
    case Form::string_inline:
    case Form::string_large: return Type::string;
    case Form::list_packed:
    case Form::list_large: return Type::list;
    case Form::hash_packed:
    case Form::hash_large: return Type::hash;
    case Form::set_packed:
    case Form::set_large: return Type::set;
    case Form::zset_packed:
    case Form::zset_large: return Type::zset;
    case Form::member: break;  // never a key
  }
  return Type::none;
}

void Keyspace::erase(Place& place) {
  impl_->refresh(place);
  if (!place.found()) return;
  // A key that lies in the entry itself ends with it.
  const bool inside = Impl::entry(place).contains(place.key.data());
  impl_->remove(place);
  if (inside) place.key = {};
}

void Keyspace::clear() { impl_->clear(); }
void Keyspace::expect(std::size_t keys) noexcept {
  impl_->expecting = true;
  impl_->table.reserve(keys);
}

void Keyspace::settle() noexcept {
  if (std::exchange(impl_->expecting, false)) impl_->table.trim();
}

void Keyspace::swap(Keyspace& other) noexcept {
  // Whoever expected keys here would not find the room again.
  settle();
  other.settle();
  impl_.swap(other.impl_);
}

void Keyspace::move(Place& from, Keyspace& target, Place& to) {
  Impl& here = *impl_;
  Impl& there = *target.impl_;
  here.refresh(from);
  there.refresh(to);
  if (!from.found() || from.slot == to.slot) return;
  Entry* old = &Impl::entry(from);
  const std::optional<std::int64_t> expiry = old->head().expiry;
  const std::uint64_t from_hash = Impl::hash(from), to_hash = Impl::hash(to);
  Entry* created = recreate(there.pool, *old, old->head(), to.key);
  try {
    if (expiry) there.expiries.insert({*expiry, to_hash});
    if (!to.found()) {
      there.insert_raw(to, created, expiry);
    } else {
      there.replace(to, created);
    }
  } catch (...) {
    free_entry(there.pool, created);
    throw;
  }
  hand_over_payload(*old, here.pool, there.pool);
  here.set_slot(from, here.table.find_if(from_hash, [old](const Entry& e) { return &e == old; }));
  const bool inside = old->contains(from.key.data());
  free_entry(here.pool, here.take_out(from));
  if (inside) from.key = {};
  // Taking one out may have shifted the other.
  there.set_slot(to,
                 there.table.find_if(to_hash, [created](const Entry& e) { return &e == created; }));
}

// --- strings ---

Scalar Keyspace::string(const Place& place) const { return impl_->seen(place)->string(); }

bool Keyspace::string(const Place& place, Scalar& value) const {
  const Entry* const e = impl_->seen(place);
  if (e == nullptr) return false;
  if (e->form() != Form::string_inline && e->form() != Form::string_large) return false;
  value = e->string();
  return true;
}

void Keyspace::set_string(Place& place, const Scalar& value) {
  Impl& impl = *impl_;
  impl.refresh(place);
  if (place.found()) {
    Entry& e = Impl::entry(place);
    if (!e.has_expiry() && overwrite_string(e, value.bytes)) {
      e.set_kind(value.kind);
      e.set_appended(false);
      return;
    }
  }
  const Entry::Head head = Impl::head_for(place, Form::string_inline, value.kind);
  Entry* created = create_string(impl.pool, head, place.key, value.bytes);
  if (place.found()) {
    impl.replace(place, created);
  } else {
    impl.insert(place, created);
  }
}

void Keyspace::replace_string(Place& place, const Scalar& value) {
  Impl& impl = *impl_;
  impl.refresh(place);
  Entry& e = Impl::entry(place);
  if (overwrite_string(e, value.bytes)) {
    e.set_kind(value.kind);
    e.set_appended(false);
    return;
  }
  Entry::Head head = Impl::head_for(place, Form::string_inline, value.kind);
  if (e.has_expiry()) head.expiry = e.expiry();
  Entry* created = create_string(impl.pool, head, place.key, value.bytes);
  Impl::exchange(place, created);
  destroy_entry(impl.pool, &e);
}

std::size_t Keyspace::append(Place& place, std::string_view bytes) {
  impl_->refresh(place);
  return overwrite(place, place.found() ? string(place).bytes.size() : 0, bytes);
}

std::size_t Keyspace::overwrite(Place& place, std::size_t offset, std::string_view bytes) {
  Impl& impl = *impl_;
  impl.refresh(place);
  if (!place.found()) {
    if (offset == 0) return set_string(place, bytes), bytes.size();
    std::string whole;
    whole.reserve(offset + bytes.size());  // it may be large: neither moved nor twice the size
    whole.append(offset, '\0').append(bytes);
    set_string(place, Scalar(whole));
    return whole.size();
  }
  const std::string_view old = Impl::entry(place).string().bytes;
  const std::less<const char*> before;
  if (!before(bytes.data(), old.data()) && before(bytes.data(), old.data() + old.size())) {
    return overwrite(place, offset, std::string(bytes));  // a view of the value itself
  }
  const std::size_t old_size = old.size(), size = std::max(old_size, offset + bytes.size());
  unsigned char* const data = impl.lengthen(place, size);
  if (offset > old_size) std::memset(data + old_size, 0, offset - old_size);
  copy_bytes(data + offset, bytes.data(), bytes.size());
  Impl::entry(place).set_kind(Kind::string);
  return size;
}

// --- expiry ---

std::optional<std::int64_t> Keyspace::expiry(const Place& place) const noexcept {
  const Entry* e = impl_->seen(place);
  return e != nullptr && e->has_expiry() ? std::optional(e->expiry()) : std::nullopt;
}

void Keyspace::set_expiry(Place& place, std::optional<std::int64_t> at_ms) {
  Impl& impl = *impl_;
  impl.refresh(place);
  Entry& e = Impl::entry(place);
  const std::optional<std::int64_t> old = expiry(place);
  if (old == at_ms) return;
  const std::uint64_t hash = Impl::hash(place);
  if (old && at_ms) {
    impl.expiries.insert({*at_ms, hash});
    impl.expiries.erase({*old, hash});
    e.set_expiry(*at_ms);
    return;
  }
  Entry::Head head = e.head();
  head.expiry = at_ms;
  Entry* created = recreate(impl.pool, e, head, place.key);
  if (old) {
    impl.expiries.erase({*old, hash});
  } else {
    try {
      impl.expiries.insert({*at_ms, hash});
    } catch (...) {
      free_entry(impl.pool, created);
      throw;
    }
  }
  Impl::exchange(place, created);
  free_entry(impl.pool, &e);
}

std::size_t Keyspace::expire_some(std::int64_t now_ms, std::size_t limit) {
  Impl& impl = *impl_;
  std::size_t gone = 0;
  while (gone < limit) {
    const ExpiryIndex::Item* first = impl.expiries.first();
    if (first == nullptr || first->at_ms > now_ms) break;
    const ExpiryIndex::Item item = *first;
    Table::Slot* slot = impl.table.find_if(item.hash, [&item](const Entry& e) {
      return e.has_expiry() && e.expiry() == item.at_ms && hash_of(e.key()) == item.hash;
    });
    impl.expiries.erase(item);
    destroy_entry(impl.pool, impl.table.erase(item.hash, slot));
    ++gone;
  }
  return gone;
}

}  // namespace kv
