// What the commands on sorted sets share: scores as text, bounds of ranges, elements as replies.
//
// Functions that return bool answer the client themselves before they return false. None of them
// changes the keyspace.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/commands/call.hpp"

namespace kv {

/// Redis's rule for scores and weights: what strtod takes whole, without a blank in front; never
/// NaN, nor what a double can only have as infinite or zero.
bool parse_score(std::string_view text, double& score);
/// Argument i as a score; otherwise answers with the text, "ERR value is not a valid float".
bool read_score(Call& call, std::size_t i, double& score,
                std::string_view error = "ERR value is not a valid float");
/// "%.17g", as Redis 7.0 prints scores; "inf", "-inf".
std::string score_text(double score);
/// As Redis's double: RESP3 has a type for it, else it is a string.
void reply_score(Call& call, double score);

/// Members with their scores, each pair in an array of its own or all in one.
enum class Pairs { flat, nested };
/// What Redis does where pairs are nested in RESP3 alone.
Pairs pairs_for(const Call& call) noexcept;
void reply_element(Call& call, const SortedSet::Element& element, Pairs pairs);
/// So many elements, with scores or without, as ZRANGE answers them. What follows are the elements.
void reply_range_header(Call& call, std::size_t count, bool with_scores);
void reply_range_element(Call& call, const SortedSet::Element& element, bool with_scores);

/// A run of ranks in one of two directions.
struct RankRange {
  std::size_t first = 0, count = 0;
  Direction direction = Direction::up;
  /// The least of its ranks; not of an empty one.
  std::size_t lowest() const noexcept {
    return direction == Direction::up ? first : first + 1 - count;
  }
};

/// The part of a sorted set that two arguments name, by ranks, scores or members.
class RangeBounds {
 public:
  enum class By { rank, score, lex };

  /// From arguments low and high. Answers Redis's error for what cannot be read.
  bool read(Call& call, By by, std::size_t low, std::size_t high);
  /// The elements of the set within, counted from that end of it; a negative limit is none. offset
  /// and limit are not for ranks.
  RankRange find(const SortedSet& set, Direction direction, std::int64_t offset = 0,
                 std::int64_t limit = -1) const;

 private:
  struct ScoreBound {
    double score = 0;
    bool exclusive = false;
  };
  struct LexBound {
    enum { lowest, member, highest } kind = lowest;
    std::string_view bytes;
    bool exclusive = false;
  };
  static bool parse(std::string_view text, ScoreBound& bound);
  static bool parse(std::string_view text, LexBound& bound) noexcept;
  bool before(const SortedSet::Element& element) const noexcept;
  bool up_to(const SortedSet::Element& element) const noexcept;

  By by_ = By::rank;
  std::int64_t start_ = 0, stop_ = -1;
  ScoreBound least_score_, last_score_;
  LexBound least_member_, last_member_;
};

/// The sorted set at place, made if nothing is there. The type has been checked.
SortedSet sorted_set_at(Call& call, Place& place);

/// Puts a new sorted set of these elements at the key, which is argument 1, in the place of
/// whatever is there; none removes the key. They are of different members, sorted by score and
/// member, and may be views of what is there. Only after commit(); memory that ends leaves what was
/// there.
void store_sorted_set(Call& call, const std::vector<SortedSet::Element>& elements);

}  // namespace kv
