// What only looks: walks over all keys, and OBJECT, MEMORY USAGE, DEBUG's questions.
#include "libkv/base/text.hpp"
#include "libkv/keyspace/impl.hpp"

namespace kv {

namespace {

Keyspace::Item item_of(const Keyspace& keys, const Table& table, Table::Slot* slot) noexcept {
  Keyspace::Item item;
  item.place = Place{Table::entry(slot)->key(), 0, slot, 0, table.version()};
  item.key = item.place.key;
  item.type = keys.type(item.place);
  item.expiry_ms = keys.expiry(item.place);
  return item;
}

}  // namespace

std::string_view type_name(Type type) noexcept {
  switch (type) {
    case Type::none: return "none";
    case Type::string: return "string";
    case Type::list: return "list";
    case Type::hash: return "hash";
    case Type::set: return "set";
    case Type::zset: return "zset";
  }
  return "none";
}

// --- walks ---

std::uint64_t Keyspace::scan(std::uint64_t cursor, std::size_t count,
                             FunctionRef<void(const Item&)> visit) {
  return impl_->table.scan(cursor, count,
                           [&](Table::Slot* slot) { visit(item_of(*this, impl_->table, slot)); });
}

void Keyspace::for_each(FunctionRef<bool(const Item&)> visit) {
  impl_->table.for_each(
      [&](Table::Slot* slot) { return visit(item_of(*this, impl_->table, slot)); });
}

std::optional<std::string> Keyspace::random_key(std::uint64_t seed) const {
  const Table::Slot* slot = impl_->table.any(seed);
  if (slot == nullptr) return std::nullopt;
  return std::string(Table::entry(slot)->key());
}

// --- looking inside ---

std::string_view Keyspace::encoding(const Place& place) const {
  const Entry& e = *impl_->seen(place);
  switch (e.form()) {
    case Form::list_packed:
    case Form::list_large: return "quicklist";  // what Redis 7.0 says of every list
    case Form::hash_packed: return "listpack";
    case Form::hash_large:
      return Impl::large_hash(place).beyond_listpack ? "hashtable" : "listpack";
    case Form::set_packed:
    case Form::set_large: return e.appended() ? "hashtable" : "intset";
    case Form::zset_packed: return "listpack";
    case Form::zset_large:
      return Impl::large_sorted_set(place).beyond_listpack ? "skiplist" : "listpack";
    default: break;
  }
  constexpr std::size_t int_digits_max = 20, embstr_max = 44;  // Redis's object.c
  const std::string_view value = e.string().bytes;
  std::int64_t n;
  if (e.appended()) return "raw";
  if (value.size() <= int_digits_max && parse_integer(value, n)) return "int";
  return value.size() <= embstr_max ? "embstr" : "raw";
}

std::size_t Keyspace::memory_usage(const Place& place) const {
  return total_bytes(*impl_->seen(place)) + sizeof(Table::Slot);
}

std::int64_t Keyspace::idle_seconds(const Place& place, std::int64_t now_ms) const {
  constexpr std::uint32_t mask = 0xffffff;
  const auto clock = static_cast<std::uint32_t>(now_ms / 1000);
  const std::uint32_t idle = (clock - impl_->seen(place)->access()) & mask;
  return idle > mask / 2 ? 0 : idle;  // a clock that stepped back
}

std::uint8_t Keyspace::frequency(const Place& place) const {
  return static_cast<std::uint8_t>(impl_->seen(place)->access() >> 24);
}

std::size_t Keyspace::memory_bytes() const noexcept { return impl_->pool.bytes() + sizeof(Impl); }
void Keyspace::set_access_tracking(bool on) noexcept { impl_->tracking = on; }

}  // namespace kv
