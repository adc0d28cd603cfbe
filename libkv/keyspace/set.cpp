// Sets: hashes without values (fields.hpp), and what makes one more than an intset.
#include "libkv/base/text.hpp"
#include "libkv/keyspace/fields.hpp"

namespace kv {

std::size_t Set::size() const {
  return Keyspace::Impl::Fields<false>(*owner_->impl_, *place_).size();
}

bool Set::contains(std::string_view member) const {
  return Keyspace::Impl::Fields<false>(*owner_->impl_, *place_).find(member).has_value();
}

std::optional<Scalar> Set::find(std::string_view member) const {
  const auto found = Keyspace::Impl::Fields<false>(*owner_->impl_, *place_).find(member);
  return found ? std::optional(found->field) : std::nullopt;
}

bool Set::add(const Scalar& member) {
  std::int64_t n = 0;
  const bool number = parse_integer(member.bytes, n);  // before its bytes may move
  Keyspace::Impl::Fields<false> members(*owner_->impl_, *place_);
  if (!members.set(member, {})) return false;
  if (!number || members.size() > intset_members_max) {
    Keyspace::Impl::entry(*place_).set_appended(true);
  }
  return true;
}

bool Set::erase(std::string_view member) {
  return Keyspace::Impl::Fields<false>(*owner_->impl_, *place_).erase(member);
}

void Set::visit(FunctionRef<bool(const Scalar&)> visitor) const {
  Keyspace::Impl::Fields<false>(*owner_->impl_, *place_).visit([&visitor](const Hash::Pair& pair) {
    return visitor(pair.field);
  });
}

void Set::assign(const Set& other) {
  other.visit([this](const Scalar& member) {
    add(member);
    return true;
  });
  const Entry* e = other.owner_->impl_->seen(*other.place_);
  if (e != nullptr && e->appended()) Keyspace::Impl::entry(*place_).set_appended(true);
}

Scalar Set::at(std::size_t index) const {
  return Keyspace::Impl::Fields<false>(*owner_->impl_, *place_).at(index);
}

std::uint64_t Set::scan(std::uint64_t cursor, std::size_t count,
                        FunctionRef<void(const Scalar&)> visitor) const {
  return Keyspace::Impl::Fields<false>(*owner_->impl_, *place_)
      .scan(cursor, count, [&visitor](const Hash::Pair& pair) { visitor(pair.field); });
}

}  // namespace kv
