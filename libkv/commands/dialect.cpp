// See dialect.hpp.
#include "libkv/commands/dialect.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/plio_list.hpp"
#include "libkv/commands/sorted_set_parts.hpp"
#include "libkv/commands/stats.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Digits, saturating at the largest number.
std::int64_t saturating_number(std::string_view digits) noexcept {
  std::int64_t n = 0;
  for (const char c : digits) {
    if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, c - '0', &n)) {
      return std::numeric_limits<std::int64_t>::max();
    }
  }
  return n;
}

void append_packed(std::string& out, std::string_view list_bytes, std::size_t depth) {
  PlioList list;
  if (depth > limits::nesting_max || !read_plio_list(list_bytes, list)) return;
  for (const PlioItem& item : list.items) {
    if (item.kind == Kind::list) append_packed(out, item.bytes, depth + 1);
    else out += item.bytes;
  }
}

void reply_list(Call& call, List list) {
  call.reply.array(list.size());
  list.visit(0, list.size(), [&](const Scalar& element) {
    call.reply.scalar(element);
    return true;
  });
}

void reply_hash(Call& call, Hash hash) {
  call.reply.map(hash.size());
  hash.visit([&](const Hash::Pair& pair) {
    call.reply.scalar(pair.field);
    call.reply.scalar(pair.value);
    return true;
  });
}

void reply_sorted_set(Call& call, SortedSet set) {
  call.reply.map(set.size());
  set.visit(0, SIZE_MAX, Direction::up, [&](const SortedSet::Element& element) {
    call.reply.scalar(element.member);
    reply_score(call, element.score);
    return true;
  });
}

void reply_set(Call& call, Set set) {
  call.reply.array(set.size());
  reply_members(call, set);
}

/// The pairs of a list whose elements are all pairs; empty if some are not.
std::vector<std::pair<PlioItem, PlioItem>> pairs_of(const PlioList& list) {
  std::vector<std::pair<PlioItem, PlioItem>> pairs(list.items.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (!read_plio_pair(list.items[i].scalar(), pairs[i].first, pairs[i].second)) return {};
  }
  return pairs;
}

/// What GET would answer for a counter, taken back from the reply.
std::string stats_reply(Call& call, std::string_view key) {
  std::string& out = call.reply.out();
  const std::size_t start = out.size();
  if (!reply_stats(call, key)) return {};
  std::string text = out.substr(start);
  out.resize(start);
  return text;
}

}  // namespace

bool plio_number(const Scalar& s, std::int64_t& n) noexcept {
  if (s.kind == Kind::number || s.kind == Kind::list) return false;
  std::string_view text = s.bytes;
  while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::string_view digits = text.substr(0, point);
  const std::string_view decimals = text.substr(std::min(point + 1, text.size()));
  if (digits.empty() && decimals.empty()) return false;
  if (!std::all_of(digits.begin(), digits.end(), is_digit)) return false;
  if (!std::all_of(decimals.begin(), decimals.end(), is_digit)) return false;
  n = saturating_number(digits);
  const bool round_up = !decimals.empty() && decimals[0] >= '5';
  if (round_up && n < std::numeric_limits<std::int64_t>::max()) ++n;
  if (negative) n = -n;
  return true;
}

std::size_t character_count(std::string_view text) noexcept {
  std::size_t count = 0;
  while (!text.empty()) {
    text.remove_prefix(std::max<std::size_t>(1, utf8_length(text)));
    ++count;
  }
  return count;
}

std::int64_t length_of(const Call& call, const Scalar& s) {
  if (!call.plio()) return static_cast<std::int64_t>(s.bytes.size());
  if (s.kind != Kind::list) return static_cast<std::int64_t>(character_count(s.bytes));
  PlioList list;
  read_plio_list(s.bytes, list);
  return static_cast<std::int64_t>(list.items.size());
}

std::string_view packed(const Scalar& s, std::string& buffer) {
  if (s.kind != Kind::list) return s.bytes;
  buffer.clear();
  append_packed(buffer, s.bytes, 0);
  return buffer;
}

std::size_t element_count(Keyspace& keys, Place& place) {
  switch (keys.type(place)) {
    case Type::none:
    case Type::string: return 0;
    case Type::list: return keys.list(place).size();
    case Type::hash: return keys.hash(place).size();
    case Type::set: return keys.set(place).size();
    case Type::zset: return keys.sorted_set(place).size();
  }
  return 0;
}

void reply_value(Call& call, Place& place) {
  Keyspace& keys = call.keys();
  switch (keys.type(place)) {
    case Type::none: return call.reply.nil();
    case Type::string: return call.reply.scalar(keys.string(place));
    case Type::list: return reply_list(call, keys.list(place));
    case Type::hash: return reply_hash(call, keys.hash(place));
    case Type::set: return reply_set(call, keys.set(place));
    case Type::zset: return reply_sorted_set(call, keys.sorted_set(place));
  }
}

void store_value(Call& call, Place& place, const Scalar& value) {
  Keyspace& keys = call.keys();
  PlioList list;
  if (value.kind != Kind::list || !read_plio_list(value.bytes, list) || list.dotted) {
    return keys.set_string(place, value);
  }
  if (place.found()) keys.erase(place);
  const auto pairs = pairs_of(list);
  if (pairs.empty()) {
    List stored = keys.make_list(place);
    for (const PlioItem& item : list.items) stored.push_back(item.scalar());
    return;
  }
  Hash stored = keys.make_hash(place);
  for (const auto& [field, field_value] : pairs) stored.set(field.scalar(), field_value.scalar());
}

void visit_pairs(Call& call, Place& place, PairVisitor visit) {
  visit_pairs(call, place, visit, [](const Scalar&) {});
}

void visit_pairs(Call& call, Place& place, PairVisitor visit, PlainVisitor plain) {
  Keyspace& keys = call.keys();
  if (keys.type(place) == Type::hash) {
    keys.hash(place).visit([&](const Hash::Pair& pair) { return visit(pair.field, pair.value); });
    return;
  }
  const List list = keys.list(place);
  PlioItem field, value;
  list.visit(0, list.size(), [&](const Scalar& element) {
    if (read_plio_pair(element, field, value)) return visit(field.scalar(), value.scalar());
    plain(element);
    return true;
  });
}

void reply_stats_length(Call& call, std::string_view key) {
  const std::string text = stats_reply(call, key);
  if (text.empty()) return call.reply.nil();
  const std::string_view line = std::string_view(text).substr(0, text.find('\r'));
  std::int64_t count = 0;
  switch (text[0]) {
    case '*':
    case '%': parse_integer(line.substr(1), count); break;
    case '$': {
      const std::string_view bytes = std::string_view(text).substr(line.size() + 2);
      count = length_of(call, {bytes.substr(0, bytes.size() - 2)});
      break;
    }
    case '_': break;
    default: count = static_cast<std::int64_t>(line.size() - 1);
  }
  call.reply.integer(count);
}

bool stats_exists(Call& call, std::string_view key) {
  const std::string text = stats_reply(call, key);
  return !text.empty() && text[0] != '_';
}

}  // namespace kv
