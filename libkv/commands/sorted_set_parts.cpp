// See sorted_set_parts.hpp.
#include "libkv/commands/sorted_set_parts.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "libkv/base/digits.hpp"
#include "libkv/commands/support.hpp"

namespace kv {

// --- scores ---

bool parse_score(std::string_view text, double& score) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0])) != 0) return false;
  const std::string copy(text);  // strtod wants its end marked
  char* end = nullptr;
  errno = 0;
  score = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(score)) return false;
  return errno != ERANGE || (std::isfinite(score) && std::fpclassify(score) != FP_ZERO);
}

bool read_score(Call& call, std::size_t i, double& score, std::string_view error) {
  if (parse_score(call.arg(i), score)) return true;
  call.fail(error);
  return false;
}

std::string score_text(double score) {
  constexpr double whole_max = 1e16;  // up to here %.17g has all digits of an integer
  if (std::isinf(score)) return score > 0 ? "inf" : "-inf";
  if (std::fabs(score) < whole_max && score == std::trunc(score) && score != 0) {
    char digits[decimal_bytes_max];
    return {digits, put_decimal(digits, static_cast<std::int64_t>(score))};
  }
  char text[32];
  const int bytes = std::snprintf(text, sizeof text, "%.17g", score);
  return {text, static_cast<std::size_t>(bytes)};
}

void reply_score(Call& call, double score) {
  if (!call.plio() && call.session.protocol >= 3) call.reply.decimal_text(score_text(score));
  else call.reply.bulk(score_text(score));
}

// --- elements ---

Pairs pairs_for(const Call& call) noexcept {
  return !call.reply.plio() && call.session.protocol >= 3 ? Pairs::nested : Pairs::flat;
}

void reply_element(Call& call, const SortedSet::Element& element, Pairs pairs) {
  if (pairs == Pairs::nested) call.reply.array(2);
  call.reply.scalar(element.member);
  reply_score(call, element.score);
}

void reply_range_header(Call& call, std::size_t count, bool with_scores) {
  const bool flat = with_scores && pairs_for(call) == Pairs::flat;
  call.reply.array(flat ? count * 2 : count);
}

void reply_range_element(Call& call, const SortedSet::Element& element, bool with_scores) {
  if (with_scores) reply_element(call, element, pairs_for(call));
  else call.reply.scalar(element.member);
}

// --- ranges ---

/// As Redis reads it: strtod alone, so that nothing at all is 0 and a blank in front is fine.
bool RangeBounds::parse(std::string_view text, ScoreBound& bound) {
  bound.exclusive = text.starts_with('(');
  if (bound.exclusive) text.remove_prefix(1);
  const std::string copy(text);
  char* end = nullptr;
  bound.score = std::strtod(copy.c_str(), &end);
  return *end == '\0' && !std::isnan(bound.score);
}

bool RangeBounds::parse(std::string_view text, LexBound& bound) noexcept {
  if (text.empty()) return false;
  const bool alone = text.size() == 1 || text[1] == '\0';
  bound.bytes = text.substr(1);
  bound.kind = LexBound::member;
  bound.exclusive = text[0] == '(';
  switch (text[0]) {
    case '(':
    case '[': return true;
    case '-': return bound.kind = LexBound::lowest, alone;
    case '+': return bound.kind = LexBound::highest, alone;
    default: return false;
  }
}

bool RangeBounds::read(Call& call, By by, std::size_t low, std::size_t high) {
  by_ = by;
  if (by == By::rank) return call.integer(low, start_) && call.integer(high, stop_);
  if (by == By::score) {
    if (parse(call.arg(low), least_score_) && parse(call.arg(high), last_score_)) return true;
    call.fail("ERR min or max is not a float");
    return false;
  }
  if (parse(call.arg(low), least_member_) && parse(call.arg(high), last_member_)) return true;
  call.fail("ERR min or max not valid string range item");
  return false;
}

/// Is the element before the range?
bool RangeBounds::before(const SortedSet::Element& element) const noexcept {
  if (by_ == By::score) {
    return element.score < least_score_.score ||
           (least_score_.exclusive && element.score == least_score_.score);
  }
  if (least_member_.kind != LexBound::member) return least_member_.kind == LexBound::highest;
  const int order = element.member.bytes.compare(least_member_.bytes);
  return order < 0 || (least_member_.exclusive && order == 0);
}

/// Is the element not behind the range?
bool RangeBounds::up_to(const SortedSet::Element& element) const noexcept {
  if (by_ == By::score) {
    return element.score < last_score_.score ||
           (!last_score_.exclusive && element.score == last_score_.score);
  }
  if (last_member_.kind != LexBound::member) return last_member_.kind == LexBound::highest;
  const int order = element.member.bytes.compare(last_member_.bytes);
  return order < 0 || (!last_member_.exclusive && order == 0);
}

RankRange RangeBounds::find(const SortedSet& set, Direction direction, std::int64_t offset,
                            std::int64_t limit) const {
  std::size_t low = 0, count = 0;  // of the ranks upwards
  RankRange found{0, 0, direction};
  if (by_ == By::rank) {
    const std::size_t size = set.size();
    const Slice part = slice(start_, stop_, size);
    if (part.count == 0) return found;
    found.first = direction == Direction::up ? part.first : size - 1 - part.first;
    found.count = part.count;
    return found;
  }
  low = set.count_while([this](const SortedSet::Element& e) { return before(e); });
  const std::size_t end = set.count_while([this](const SortedSet::Element& e) { return up_to(e); });
  count = end > low ? end - low : 0;
  if (offset < 0 || static_cast<std::uint64_t>(offset) >= count) return found;
  const auto skipped = static_cast<std::size_t>(offset);
  count -= skipped;
  if (limit >= 0) count = std::min(count, static_cast<std::size_t>(limit));
  found.first = direction == Direction::up ? low + skipped : end - 1 - skipped;
  found.count = count;
  return found;
}

// --- storing ---

SortedSet sorted_set_at(Call& call, Place& place) {
  return place.found() ? call.keys().sorted_set(place) : call.keys().make_sorted_set(place);
}

void store_sorted_set(Call& call, const std::vector<SortedSet::Element>& elements) {
  Place target = call.locate(1);
  if (elements.empty()) return call.keys().erase(target);
  // Made elsewhere, and then put in its place at once.
  Keyspace aside;
  Place made = aside.peek(call.arg(1), call.now_ms());
  SortedSet set = aside.make_sorted_set(made);
  for (const SortedSet::Element& element : elements) set.set(element.member, element.score);
  aside.move(made, call.keys(), target);
}

}  // namespace kv
