// Hashes: see fields.hpp.
#include "libkv/keyspace/fields.hpp"

namespace kv {

std::size_t Hash::size() const {
  return Keyspace::Impl::Fields<true>(*owner_->impl_, *place_).size();
}

std::optional<Scalar> Hash::get(std::string_view field, std::uint64_t hash) const {
  const auto pair = Keyspace::Impl::Fields<true>(*owner_->impl_, *place_).find(field, hash);
  return pair ? std::optional(pair->value) : std::nullopt;
}

bool Hash::set(const Scalar& field, const Scalar& value, std::uint64_t hash) {
  return Keyspace::Impl::Fields<true>(*owner_->impl_, *place_).set(field, value, hash);
}

bool Hash::erase(std::string_view field) {
  return Keyspace::Impl::Fields<true>(*owner_->impl_, *place_).erase(field);
}

void Hash::visit(FunctionRef<bool(const Pair&)> visitor) const {
  Keyspace::Impl::Fields<true>(*owner_->impl_, *place_).visit(visitor);
}

Hash::Pair Hash::any(std::uint64_t seed) const {
  return Keyspace::Impl::Fields<true>(*owner_->impl_, *place_).any(seed);
}

std::uint64_t Hash::scan(std::uint64_t cursor, std::size_t count,
                         FunctionRef<void(const Pair&)> visitor) const {
  return Keyspace::Impl::Fields<true>(*owner_->impl_, *place_).scan(cursor, count, visitor);
}

}  // namespace kv
