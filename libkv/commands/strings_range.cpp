// Commands on parts of a string value: APPEND, STRLEN, GETRANGE, SETRANGE, LCS.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "libkv/base/limits.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/stats.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

std::int64_t size_of(std::string_view bytes) noexcept {
  return static_cast<std::int64_t>(bytes.size());
}

/// Would a string of that many bytes be one too long?
bool too_long(Call& call, std::uint64_t size, std::uint64_t more) {
  if (size <= limits::value_bytes_max && more <= limits::value_bytes_max - size) return false;
  call.fail("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return true;
}

/// picolisp-kv appends to a string that is there and not empty, and to nothing else.
bool appendable_over_plio(Call& call, const Place& place) {
  const bool fine = place.found() && call.keys().string(place).kind == Kind::string &&
                    !is_nil(call.keys().string(place)) && !is_nil(call.scalar(2));
  if (!fine) call.fail("ERR nothing to append to");
  return fine;
}

void append(Call& call) {
  Place place;
  if (!enough(call, 3) || !writable(call, 1) || !call.locate(1, Type::string, place)) return;
  if (call.plio() && !appendable_over_plio(call, place)) return;
  std::string buffer;
  const std::string_view more = packed(call.scalar(2), buffer);
  const std::string_view old = place.found() ? call.keys().string(place).bytes : "";
  if (too_long(call, old.size(), more.size())) return;
  if (place.found() && more.empty()) return call.reply.integer(length_of(call, old));
  if (!call.commit()) return;
  call.keys().append(place, more);
  call.reply.integer(length_of(call, call.keys().string(place).bytes));
}

/// STRLEN; over PLIO also the number of elements.
void string_length(Call& call) {
  if (!enough(call, 2)) return;
  if (is_stats_key(call.arg(1))) return reply_stats_length(call, call.arg(1));
  if (call.plio() && is_nil(call.scalar(1))) return call.reply.nil();
  Place place = find(call, 1);
  Keyspace& keys = call.keys();
  const Type type = keys.type(place);
  if (type == Type::none) return call.reply.integer(0);
  if (type == Type::string) return call.reply.integer(length_of(call, keys.string(place)));
  if (!call.plio()) return call.wrong_type();
  call.reply.integer(static_cast<std::int64_t>(element_count(keys, place)));
}

void get_range(Call& call) {
  std::int64_t start = 0, stop = 0;
  Place place;
  if (!call.integer(2, start) || !call.integer(3, stop)) return;
  if (!find(call, 1, Type::string, place)) return;
  if (!place.found()) return call.reply.bulk("");
  const std::string_view text = call.keys().string(place).bytes;
  // A stop before the beginning still means the first byte, unless start is behind it.
  if (start < 0 && stop < 0 && start > stop) return call.reply.bulk("");
  if (stop < 0) stop = std::max<std::int64_t>(0, stop + size_of(text));
  const Slice part = slice(start, stop, text.size());
  call.reply.bulk(text.substr(part.first, part.count));
}

void set_range(Call& call) {
  std::int64_t offset = 0;
  Place place;
  if (!writable(call, 1) || !call.integer(2, offset)) return;
  if (offset < 0) return call.fail("ERR offset is out of range");
  if (!call.locate(1, Type::string, place)) return;
  const std::string_view part = call.arg(3);
  const std::string_view old = place.found() ? call.keys().string(place).bytes : "";
  if (part.empty()) return call.reply.integer(size_of(old));
  if (too_long(call, static_cast<std::uint64_t>(offset), part.size())) return;
  if (!call.commit()) return;
  const std::size_t size = call.keys().overwrite(place, static_cast<std::size_t>(offset), part);
  call.reply.integer(static_cast<std::int64_t>(size));
}

// --- LCS: the longest common subsequence of two strings, by the usual table ---

struct LcsOptions {
  bool length = false, matches = false, match_lengths = false;
  std::int64_t shortest = 0;
};

/// lengths(i, j): of the longest common subsequence of a's first i and b's first j bytes.
class LcsTable {
 public:
  LcsTable(std::string_view a, std::string_view b) : a_(a), b_(b), width_(b.size() + 1) {}

  static std::uint64_t bytes_needed(std::string_view a, std::string_view b) noexcept {
    return std::uint64_t{a.size() + 1} * (b.size() + 1) * sizeof(std::uint32_t);
  }
  bool fill() {
    cells_.reset(new (std::nothrow) std::uint32_t[(a_.size() + 1) * width_]);
    if (!cells_) return false;
    std::memset(cells_.get(), 0, width_ * sizeof(std::uint32_t));
    for (std::size_t i = 1; i <= a_.size(); ++i) {
      cell(i, 0) = 0;
      for (std::size_t j = 1; j <= b_.size(); ++j) {
        cell(i, j) =
            a_[i - 1] == b_[j - 1] ? at(i - 1, j - 1) + 1 : std::max(at(i - 1, j), at(i, j - 1));
      }
    }
    return true;
  }
  std::uint32_t at(std::size_t i, std::size_t j) const noexcept { return cells_[i * width_ + j]; }
  std::uint32_t length() const noexcept { return at(a_.size(), b_.size()); }

  /// Walks back from the ends; calls pair(i, j) for each pair of equal bytes of the subsequence.
  template <class Pair>
  void walk_back(Pair pair) const {
    std::size_t i = a_.size(), j = b_.size();
    while (i > 0 && j > 0) {
      if (a_[i - 1] == b_[j - 1]) pair(--i, --j);
      else if (at(i - 1, j) > at(i, j - 1)) --i;
      else --j;
    }
  }

 private:
  std::uint32_t& cell(std::size_t i, std::size_t j) noexcept { return cells_[i * width_ + j]; }
  std::string_view a_, b_;
  std::size_t width_;
  std::unique_ptr<std::uint32_t[]> cells_;
};

/// Runs of bytes that follow each other in both strings, from the last to the first.
struct LcsRun {
  std::size_t a = 0, b = 0, length = 0;
};

std::vector<LcsRun> lcs_runs(const LcsTable& table) {
  std::vector<LcsRun> runs;
  table.walk_back([&](std::size_t i, std::size_t j) {
    const bool goes_on = !runs.empty() && runs.back().a == i + 1 && runs.back().b == j + 1;
    if (goes_on) runs.back() = {i, j, runs.back().length + 1};
    else runs.push_back({i, j, 1});
  });
  return runs;
}

void reply_span(Call& call, std::size_t first, std::size_t length) {
  call.reply.array(2);
  call.reply.integer(static_cast<std::int64_t>(first));
  call.reply.integer(static_cast<std::int64_t>(first + length - 1));
}

void reply_runs(Call& call, const LcsTable& table, const LcsOptions& options) {
  std::vector<LcsRun> runs = lcs_runs(table);
  std::erase_if(runs, [&](const LcsRun& run) {
    return static_cast<std::int64_t>(run.length) < options.shortest;
  });
  call.reply.map(2);
  call.reply.bulk("matches");
  call.reply.array(runs.size());
  for (const LcsRun& run : runs) {
    call.reply.array(options.match_lengths ? 3 : 2);
    reply_span(call, run.a, run.length);
    reply_span(call, run.b, run.length);
    if (options.match_lengths) call.reply.integer(static_cast<std::int64_t>(run.length));
  }
  call.reply.bulk("len");
  call.reply.integer(table.length());
}

bool read_lcs_options(Call& call, LcsOptions& options) {
  for (std::size_t i = 3; i < call.argc(); ++i) {
    if (call.is(i, "IDX")) options.matches = true;
    else if (call.is(i, "LEN")) options.length = true;
    else if (call.is(i, "WITHMATCHLEN")) options.match_lengths = true;
    else if (!call.is(i, "MINMATCHLEN") || i + 1 == call.argc()) return call.syntax_error(), false;
    else if (!call.integer(++i, options.shortest)) return false;
  }
  if (!options.matches || !options.length) return true;
  call.fail("ERR If you want both the length and indexes, please just use IDX.");
  return false;
}

void longest_common_subsequence(Call& call) {
  const Place first = find(call, 1), second = find(call, 2);
  Keyspace& keys = call.keys();
  for (const Place& place : {first, second}) {
    if (place.found() && keys.type(place) != Type::string)
      return call.fail("ERR The specified keys must contain string values");
  }
  LcsOptions options;
  if (!read_lcs_options(call, options)) return;
  const std::string_view a = first.found() ? keys.string(first).bytes : "";
  const std::string_view b = second.found() ? keys.string(second).bytes : "";
  if (LcsTable::bytes_needed(a, b) > limits::value_bytes_max) {
    return call.fail(
        "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  }
  LcsTable table(a, b);
  if (!table.fill()) {
    return call.fail("ERR Insufficient memory, failed allocating transient memory for LCS");
  }
  if (options.matches) return reply_runs(call, table, options);
  if (options.length) return call.reply.integer(table.length());
  std::string common(table.length(), '\0');
  std::size_t end = common.size();
  table.walk_back([&](std::size_t i, std::size_t) { common[--end] = a[i]; });
  call.reply.bulk(common);
}

// A row is read as a row:
// clang-format off
constexpr Command rows[] = {
    {"append", 3, kWrite | kDenyOom | kFast | kPlioNil, {1, 1, 1}, {}, Group::string, append,
     "key value",
     "Appends to a string, which is created if absent",
     "O(N) where N is the number of bytes appended, amortised", "0.18"},
    {"strlen", 2, kReadonly | kFast | kPlioNil, {1, 1, 1}, {}, Group::string, string_length,
     "key",
     "The length of a string in bytes",
     "O(1)", "0.18"},
    {"getrange", 4, kReadonly, {1, 1, 1}, {}, Group::string, get_range,
     "key start end",
     "A part of a string, both ends included",
     "O(N) where N is the length of the part", "1.0"},
    {"substr", 4, kReadonly, {1, 1, 1}, {}, Group::string, get_range,
     "key start end",
     "An older name of GETRANGE",
     "O(N) where N is the length of the part", "1.0"},
    {"setrange", 4, kWrite | kDenyOom, {1, 1, 1}, {}, Group::string, set_range,
     "key offset value",
     "Overwrites a part of a string, padding with zero bytes",
     "O(N) where N is the number of bytes written, amortised", "1.0"},
    {"lcs", -3, kReadonly, {1, 2, 1}, {}, Group::string, longest_common_subsequence,
     "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
     "The longest common subsequence of two strings",
     "O(N*M) where N and M are the lengths of the strings", "1.0"},
};
// clang-format on

}  // namespace

std::span<const Command> string_range_commands() noexcept { return rows; }

}  // namespace kv
