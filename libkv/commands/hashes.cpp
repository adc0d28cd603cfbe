// Commands on the fields of a hash.
//
// In picolisp-kv a hash is a list of pairs, so over PLIO the reading commands also take a list that
// holds pairs: see visit_pairs. Numbers, random fields and HSCAN are in hashes_more.cpp.
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/plio_list.hpp"
#include "libkv/commands/support.hpp"
#include "libkv/keyspace/siphash.hpp"

namespace kv {
namespace {

/// Finds the hash at argument 1 for reading; over PLIO a list will do.
bool find_pairs(Call& call, Place& place) {
  place = find(call, 1);
  const Type type = call.keys().type(place);
  if (type == Type::none || type == Type::hash || (type == Type::list && call.plio())) return true;
  call.wrong_type();
  return false;
}

/// Looks up the first count of the fields that argument 2 and those after it name, in a hash or in
/// a list's pairs. A list is walked once, until all are found: it and the names may be long.
class Fields {
 public:
  Fields(Call& call, Place& place, std::size_t count = 1) : call_(call), place_(place) {
    if (call.keys().type(place) == Type::list) search_list(call.args().subspan(2, count));
  }

  /// Of the field that argument i names.
  std::optional<Scalar> get(std::size_t i) {
    if (!place_.found()) return std::nullopt;
    if (call_.keys().type(place_) == Type::hash) {
      return call_.keys().hash(place_).get(call_.arg(i), call_.field_hash(i));
    }
    const auto found = wanted_.find(call_.arg(i));
    return found->second ? std::optional(found->second->scalar()) : std::nullopt;
  }

 private:
  void search_list(std::span<const Scalar> names) {
    for (const Scalar& name : names) wanted_.try_emplace(name.bytes);
    std::size_t missing = wanted_.size();
    visit_pairs(call_, place_, [&](const Scalar& name, const Scalar& value) {
      const auto found = wanted_.find(name.bytes);
      if (found == wanted_.end() || found->second) return true;
      found->second = PlioItem{std::string(value.bytes), value.kind};
      return --missing > 0;
    });
  }

  Call& call_;
  Place& place_;
  std::unordered_map<std::string_view, std::optional<PlioItem>, KeyedHash> wanted_;  // of a list
};

void reply_optional(Call& call, const std::optional<Scalar>& value) {
  if (value) call.reply.scalar(*value);
  else call.reply.nil();
}

/// Over PLIO a pair without a value is skipped.
bool settable(const Call& call, std::size_t i) {
  return i + 1 < call.argc() && (!call.plio() || !is_nil(call.scalar(i + 1)));
}

/// Stores the pairs from argument 2 on. RESP is told how many fields are new, PLIO how many pairs
/// were stored.
std::int64_t assign(Call& call, Place& place) {
  Hash hash = hash_at(call, place);
  std::int64_t count = 0;
  for (std::size_t i = 2; i < call.argc(); i += 2) {
    if (!settable(call, i)) continue;
    const bool added = hash.set(call.scalar(i), call.scalar(i + 1), call.field_hash(i));
    count += added || call.plio() ? 1 : 0;
  }
  return count;
}

/// What HSET and HMSET share. Sets count; false: answered already.
bool set_fields(Call& call, std::int64_t& count) {
  Place place;
  count = 0;
  if (!enough(call, 3) || !writable(call, 1)) return false;
  if (!call.plio() && call.argc() % 2 == 1) return wrong_arity(call), false;
  if (call.plio() && is_nil(call.scalar(2))) return call.fail("ERR NIL is no field"), false;
  if (!call.locate(1, Type::hash, place)) return false;
  bool any = false;
  for (std::size_t i = 2; i < call.argc() && !any; i += 2) any = settable(call, i);
  if (!any) return true;
  if (!call.commit()) return false;
  count = assign(call, place);
  return true;
}

void set(Call& call) {
  std::int64_t count = 0;
  if (set_fields(call, count)) call.reply.integer(count);
}

void set_quietly(Call& call) {
  std::int64_t count = 0;
  if (set_fields(call, count)) call.reply.ok();
}

void set_if_absent(Call& call) {
  Place place;
  if (!writable(call, 1) || !call.locate(1, Type::hash, place)) return;
  if (place.found() && call.keys().hash(place).get(call.arg(2), call.field_hash(2))) {
    return call.reply.integer(0);
  }
  if (!call.commit()) return;
  hash_at(call, place).set(call.scalar(2), call.scalar(3), call.field_hash(2));
  call.reply.integer(1);
}

void get(Call& call) {
  Place place;
  if (!enough(call, 3) || !find_pairs(call, place)) return;
  reply_optional(call, Fields(call, place).get(2));
}

void get_many(Call& call) {
  Place place;
  if (!enough(call, 3) || !find_pairs(call, place)) return;
  Fields fields(call, place, call.argc() - 2);
  call.reply.array(call.argc() - 2);
  for (std::size_t i = 2; i < call.argc(); ++i) reply_optional(call, fields.get(i));
}

void remove(Call& call) {
  Place place;
  if (!enough(call, 3) || !writable(call, 1) || !call.locate(1, Type::hash, place)) return;
  if (!place.found()) return call.reply.integer(0);
  Hash hash = call.keys().hash(place);
  std::size_t i = 2;
  while (i < call.argc() && !hash.get(call.arg(i))) ++i;
  if (i == call.argc()) return call.reply.integer(0);
  if (!call.commit()) return;
  std::int64_t removed = 0;
  for (; i < call.argc(); ++i) removed += hash.erase(call.arg(i)) ? 1 : 0;
  call.keys().drop_if_empty(place);
  call.reply.integer(removed);
}

void length(Call& call) {
  Place place;
  if (!enough(call, 2)) return;
  if (call.plio() && is_nil(call.scalar(1))) return call.reply.nil();
  if (!find_pairs(call, place)) return;
  Keyspace& keys = call.keys();
  std::size_t size = 0;
  if (keys.type(place) == Type::hash) size = keys.hash(place).size();
  if (keys.type(place) == Type::list) size = keys.list(place).size();
  call.reply.integer(static_cast<std::int64_t>(size));
}

void exists(Call& call) {
  Place place;
  if (!enough(call, 3) || !find_pairs(call, place)) return;
  call.reply.integer(Fields(call, place).get(2) ? 1 : 0);
}

void value_length(Call& call) {
  Place place;
  if (!enough(call, 3) || !find_pairs(call, place)) return;
  const auto value = Fields(call, place).get(2);
  call.reply.integer(value ? length_of(call, *value) : 0);
}

// --- the whole hash ---

enum Parts : unsigned { fields_only = 1, values_only = 2, both = 3 };

void reply_header(Call& call, std::size_t pairs, Parts parts) {
  if (parts == both) call.reply.map(pairs);
  else call.reply.array(pairs);
}

void reply_pair(Call& call, const Scalar& field, const Scalar& value, Parts parts) {
  if ((parts & fields_only) != 0) call.reply.scalar(field);
  if ((parts & values_only) != 0) call.reply.scalar(value);
}

void get_parts(Call& call, Parts parts) {
  Place place;
  if (!enough(call, 2) || !find_pairs(call, place)) return;
  if (!place.found()) return reply_header(call, 0, parts);
  std::size_t pairs = 0;
  if (call.keys().type(place) == Type::hash) pairs = call.keys().hash(place).size();
  else visit_pairs(call, place, [&](const Scalar&, const Scalar&) { return ++pairs, true; });
  reply_header(call, pairs, parts);
  visit_pairs(call, place, [&](const Scalar& field, const Scalar& value) {
    reply_pair(call, field, value, parts);
    return true;
  });
}

void get_all(Call& call) { get_parts(call, both); }
void get_fields(Call& call) { get_parts(call, fields_only); }
void get_values(Call& call) { get_parts(call, values_only); }

/// Over PLIO a plain list is searched as well: its elements count as fields.
void find_fields(Call& call) {
  Place place;
  if (!enough(call, 3) || !find_pairs(call, place)) return;
  std::vector<PlioItem> found;
  const auto keep = [&](const Scalar& field) {
    if (field.kind == Kind::list || field.bytes.find(call.arg(2)) == field.bytes.npos) return;
    found.push_back({std::string(field.bytes), field.kind});
  };
  if (place.found()) {
    visit_pairs(
        call, place, [&](const Scalar& field, const Scalar&) { return keep(field), true; }, keep);
  }
  call.reply.array(found.size());
  for (const PlioItem& field : found) call.reply.scalar(field.scalar());
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"hset", -4, kWrite | kDenyOom | kFast | kPlioNil, {1, 1, 1}, {3, -1, 2}, Group::hash, set,
     "key field value [field value ...]",
     "Stores fields of a hash, which is created if absent",
     "O(N) where N is the number of fields stored", "0.18"},
    {"hmset", -4, kWrite | kDenyOom | kFast, {1, 1, 1}, {3, -1, 2}, Group::hash, set_quietly,
     "key field value [field value ...]",
     "HSET with the answer OK",
     "O(N) where N is the number of fields stored", "1.0"},
    {"hsetnx", 4, kWrite | kDenyOom | kFast, {1, 1, 1}, {3, 3, 1}, Group::hash, set_if_absent,
     "key field value",
     "Stores a field of a hash only if it does not exist",
     "O(1)", "1.0"},
    {"hget", 3, kReadonly | kFast | kPlioNil, {1, 1, 1}, {}, Group::hash, get,
     "key field",
     "The value of a field",
     "O(1)", "0.18"},
    {"hmget", -3, kReadonly | kFast | kPlioNil, {1, 1, 1}, {}, Group::hash, get_many,
     "key field [field ...]",
     "The values of several fields, nil for those absent",
     "O(N) where N is the number of fields asked for", "0.18"},
    {"hdel", -3, kWrite | kFast | kPlioNil, {1, 1, 1}, {}, Group::hash, remove,
     "key field [field ...]",
     "Removes fields, and the hash when none is left",
     "O(N) where N is the number of fields removed", "0.18"},
    {"hlen", 2, kReadonly | kFast | kPlioNil, {1, 1, 1}, {}, Group::hash, length,
     "key",
     "The number of fields of a hash",
     "O(1)", "0.18"},
    {"hexists", 3, kReadonly | kFast | kPlioZero, {1, 1, 1}, {}, Group::hash, exists,
     "key field",
     "Whether a hash has a field",
     "O(1)", "0.18"},
    {"hstrlen", 3, kReadonly | kFast | kPlioNil, {1, 1, 1}, {}, Group::hash, value_length,
     "key field",
     "The length of a field's value in bytes",
     "O(1)", "0.18"},
    {"hgetall", 2, kReadonly | kPlioNil, {1, 1, 1}, {}, Group::hash, get_all,
     "key",
     "All fields and values of a hash",
     "O(N) where N is the number of fields", "0.18"},
    {"hkeys", 2, kReadonly | kPlioNil, {1, 1, 1}, {}, Group::hash, get_fields,
     "key",
     "All fields of a hash",
     "O(N) where N is the number of fields", "0.18"},
    {"hvals", 2, kReadonly | kPlioNil, {1, 1, 1}, {}, Group::hash, get_values,
     "key",
     "All values of a hash",
     "O(N) where N is the number of fields", "0.18"},
    {"hfind", 3, kReadonly | kPlioNil, {1, 1, 1}, {}, Group::hash, find_fields,
     "key substring",
     "The fields of a hash whose names contain a text",
     "O(N) where N is the number of fields", "0.18"},
};
// clang-format on

}  // namespace

std::span<const Command> hash_commands() noexcept { return rows; }

}  // namespace kv
