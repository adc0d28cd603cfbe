// See aof_reader.hpp.
#include "persistence/aof_reader.hpp"

#include <algorithm>
#include <cstring>

#include "libkv/base/clock.hpp"
#include "persistence/checksum.hpp"

namespace kv {
namespace {

constexpr std::uint64_t lines_between_progress = 16 * 1024;
/// What a disk writes at once, at least.
constexpr std::size_t sector_bytes = 512;
/// A line so much later than another was written after a sync of that, but for --fsync no:
/// everysec's second, and one for the sync itself.
constexpr std::int64_t unsynced_most_ns = 2 * ns_per_second;

/// The line at offset with its line break; without one if the file ends first.
std::string_view line_at(std::string_view bytes, std::size_t offset) noexcept {
  const char* const start = bytes.data() + offset;
  const std::size_t left = bytes.size() - offset;
  if (left == 0) return {};  // an empty file has no address
  const void* const end = std::memchr(start, '\n', left);
  return {start, end == nullptr
                     ? left
                     : static_cast<std::size_t>(static_cast<const char*>(end) - start) + 1};
}

bool all_zero(std::string_view bytes) noexcept {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

/// Heads of lines in one line that are looked at without a whole line behind them. Each look may go
/// to the end of the line, so all of many would take the square of its length.
constexpr std::uint64_t heads_looked_at = 64;

/// How many lines of ours stand inside a line, whole to its end: those before them lost theirs. A
/// value may hold any text, but not the end of its own line. Too many heads count as one: that is
/// no line that a crash cut short.
std::uint64_t count_lines_inside(std::string_view line, RecordReader& reader) {
  std::uint64_t count = 0, heads = 0;
  for (std::size_t at = 1; (at = line.find_first_of("(#", at)) != line.npos; ++at) {
    const std::string_view rest = line.substr(at);
    if (!looks_like_line(rest)) continue;
    if (reader.parse(rest) != LineKind::bad) ++count;
    else if (rest.front() == '(' && ++heads == heads_looked_at) return count + 1;
  }
  return count;
}

/// How many lines in text look like ours. first: also the one it begins with.
std::uint64_t count_lines_in(std::string_view text, bool first) {
  RecordReader reader;
  std::uint64_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = line_at(text, at);
    if ((first || at > 0) && looks_like_line(line)) ++count;
    count += count_lines_inside(line, reader);
    at += line.size();
  }
  return count;
}

int digits_that_differ(std::uint32_t a, std::uint32_t b) noexcept {
  int count = 0;
  for (; a != b; a /= 10, b /= 10) count += a % 10 != b % 10 ? 1 : 0;
  return count;
}

/// One pass over a log.
class Scanner {
 public:
  Scanner(std::string_view bytes, const RecordFunction& visit, LogScan& scan)
      : bytes_(bytes), visit_(visit), scan_(scan) {}

  Status run(const ScanProgress& progress);

 private:
  bool read_header();
  bool check_line(std::string_view line);
  void refuse(std::string reason) {
    scan_.bad_line = line_number_;
    scan_.reason = std::move(reason);
  }
  bool whole_but_wrong(std::string_view line) const;
  bool is_unwritten(std::string_view bad) const;
  void classify_rest();

  std::string_view bytes_;
  const RecordFunction& visit_;
  LogScan& scan_;
  RecordReader reader_;
  std::uint32_t chain_ = 0;  // the present line included
  LineKind kind_ = LineKind::bad;
  std::uint64_t line_number_ = 1;
  std::size_t at_ = 0;
};

/// The first line must be the header: it says with what the chain begins.
bool Scanner::read_header() {
  const std::string_view line = line_at(bytes_, 0);
  LogPosition after;
  if (reader_.parse(line) != LineKind::sealed ||
      !read_log_header(reader_.sealed_text(), after, scan_.version)) {
    scan_.verdict = Verdict::no_header;
    refuse(bytes_.empty() ? "the file is empty: the header of a log of kv is missing"
                          : "the first line is not the header of a log of kv");
    return false;
  }
  if (scan_.version != log_version) {
    scan_.verdict = Verdict::unknown_version;
    refuse("version " + std::to_string(scan_.version) + " of the log is not known here");
    return false;
  }
  chain_ = reader_.chain_after(line, after.chain);
  if (chain_ != reader_.checksum()) {
    scan_.verdict = Verdict::corrupt_middle;
    refuse("the header's checksum is wrong");
    scan_.lines_after = count_lines_in(bytes_.substr(line.size()), true);
    return false;
  }
  scan_.after = after;
  scan_.end = {after.time_ns, chain_};
  at_ = line.size();
  scan_.good_bytes = at_;
  return true;
}

/// True if the line is right as far as can be told before the next checksum.
bool Scanner::check_line(std::string_view line) {
  kind_ = reader_.parse(line);
  if (kind_ == LineKind::bad) {
    refuse(reader_.error());
    return false;
  }
  chain_ = reader_.chain_after(line, chain_);
  if (kind_ == LineKind::comment) return true;
  if (chain_ != reader_.checksum()) {
    refuse(
        "the checksum is wrong (this line, or the comments before it, were changed, or a line "
        "before it is missing)");
    return false;
  }
  if (kind_ == LineKind::record && reader_.record().time_ns <= scan_.end.time_ns) {
    refuse("the time is not later than the line before");
    return false;
  }
  return true;
}

Status Scanner::run(const ScanProgress& progress) {
  scan_ = {};
  scan_.file_bytes = bytes_.size();
  if (!read_header()) return {};
  while (at_ < bytes_.size()) {
    ++line_number_;
    const std::string_view line = line_at(bytes_, at_);
    if (!check_line(line)) {
      classify_rest();
      return {};
    }
    at_ += line.size();
    if (kind_ == LineKind::comment) continue;  // good only once a checksum covers it
    if (kind_ == LineKind::record) {
      if (Status s = visit_(reader_.record(), line_number_); !s) return s;
      ++scan_.lines;
      scan_.end.time_ns = reader_.record().time_ns;
    }
    scan_.end.chain = chain_;
    scan_.sealed = kind_ == LineKind::sealed;
    scan_.good_bytes = at_;
    if (progress && scan_.lines % lines_between_progress == 0) progress(at_, scan_.lines);
  }
  if (scan_.good_bytes != at_) {
    refuse("a comment at the end has no checksum after it");
    scan_.verdict = Verdict::garbage_tail;
  }
  if (progress) progress(at_, scan_.lines);
  return {};
}

/// A last line that ends and can be read is not what a crash leaves, whatever its checksum says:
/// the line before it is missing, or somebody changed it. One changed byte is let pass as torn:
/// nobody can tell a damaged last line from one that was not finished.
bool Scanner::whole_but_wrong(std::string_view line) const {
  if (kind_ != LineKind::record && kind_ != LineKind::sealed) return false;
  if (line.find('\0') != std::string_view::npos) return false;
  const std::uint32_t stated = reader_.checksum();
  if (chain_ == stated || changed_byte(chain_ ^ stated, line.size() - checksum_digits)) {
    return false;
  }
  return digits_that_differ(chain_, stated) > 1;
}

/// What was not synced when the power failed reached the disk in any order: some blocks of it are
/// missing and read as zeros, though lines behind them are there. No line holds a NUL. It is
/// nothing else only if the zeros end where a block can, if no trailer is behind them, which
/// follows a sync, and if they begin behind a line and inside a block, or if what is behind them
/// was written within the time that can be lost.
bool Scanner::is_unwritten(std::string_view bad) const {
  const std::size_t hole = bad.find('\0');
  if (hole >= line_at(bad, 0).size()) return false;
  std::size_t at = std::min(bad.find_first_not_of('\0', hole), bad.size());
  if (at < bad.size() && (at_ + at) % sector_bytes != 0) return false;
  std::int64_t since_ns = scan_.end.time_ns;
  if (looks_like_line(bad)) {
    if (const Result<std::int64_t> time = parse_time(bad.substr(2, 20)); time) since_ns = *time;
  }
  const bool any_time = hole == 0 && at_ % sector_bytes != 0;
  RecordReader reader;
  while (at < bad.size()) {
    const std::string_view line = line_at(bad, at);
    at += line.size();
    const LineKind kind = reader.parse(line);
    if (kind == LineKind::sealed) return false;
    const bool late =
        kind == LineKind::record && reader.record().time_ns > since_ns + unsynced_most_ns;
    if (late && !any_time) return false;
  }
  return true;
}

/// The rest begins with the first bad line: what a crash leaves, or damage?
void Scanner::classify_rest() {
  const std::string_view rest = bytes_.substr(scan_.good_bytes);
  const std::string_view bad = bytes_.substr(at_);
  const std::size_t text = std::min(bad.find('\0'), bad.size());
  const bool last = line_at(bytes_, at_).size() == bad.size();
  scan_.lines_after = count_lines_in(bad, false);
  if (text < bad.size() && all_zero(bad.substr(text)) &&
      bad.substr(0, text).find('\n') == std::string_view::npos && scan_.lines_after == 0) {
    scan_.verdict = Verdict::zero_tail;
  } else if (is_unwritten(bad)) {
    scan_.verdict = Verdict::zero_tail;
    scan_.reason = "a block of it was not written";
  } else if (scan_.lines_after != 0) {
    scan_.verdict = Verdict::corrupt_middle;
  } else if (last && whole_but_wrong(bad)) {
    scan_.verdict = Verdict::corrupt_middle;
  } else if (last && (looks_like_line(bad) || text < bad.size())) {
    scan_.verdict = Verdict::torn_tail;  // NUL is in no line: a block of it was not written
  } else if (rest.size() <= garbage_bytes_max) {
    scan_.verdict = last ? Verdict::torn_tail : Verdict::garbage_tail;
  } else {
    scan_.verdict = Verdict::corrupt_middle;
  }
}

}  // namespace

std::string_view verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::clean: return "clean";
    case Verdict::torn_tail: return "torn_tail";
    case Verdict::zero_tail: return "zero_tail";
    case Verdict::garbage_tail: return "garbage_tail";
    case Verdict::corrupt_middle: return "corrupt_middle";
    case Verdict::no_header: return "no_header";
    case Verdict::unknown_version: return "unknown_version";
  }
  return "?";
}

Status scan_log(std::string_view bytes, const RecordFunction& visit, LogScan& scan,
                const ScanProgress& progress) {
  return Scanner(bytes, visit, scan).run(progress);
}

namespace {

/// What the chain may have been before a line: as the line before states it, or as its bytes give
/// it. They differ only behind damage; then the next good line fits one of the two.
struct Candidates {
  std::uint32_t stated = 0, computed = 0;
};

/// True if the line's checksum fits. Moves the candidates past the line.
bool fits(const RecordReader& reader, LineKind kind, std::string_view line, Candidates& chain) {
  const Candidates after = {reader.chain_after(line, chain.stated),
                            reader.chain_after(line, chain.computed)};
  if (kind == LineKind::comment) {
    chain = after;
    return true;
  }
  if (!reader.has_checksum()) {
    chain.computed = after.stated;
    return false;
  }
  const std::uint32_t sum = reader.checksum();
  const bool whole = kind != LineKind::bad && (sum == after.stated || sum == after.computed);
  chain = {sum, whole ? sum : after.stated};
  return whole;
}

/// Does the damage of this line leave open whether there were more lines before it? One changed
/// byte explains itself. Of a line without a checksum the next one tells.
bool may_hide_lines(const RecordReader& reader, std::string_view line, const Candidates& before) {
  if (line.find('\0') != std::string_view::npos) return true;  // blocks are gone
  if (!reader.has_checksum()) return false;
  const std::uint32_t stated = reader.checksum();
  for (const std::uint32_t chain : {before.stated, before.computed}) {
    const std::uint32_t right = reader.chain_after(line, chain);
    if (changed_byte(right ^ stated, line.size() - checksum_digits)) return false;
    if (digits_that_differ(right, stated) <= 1) return false;
  }
  return true;
}

}  // namespace

Status salvage_log(std::string_view bytes, const RecordFunction& visit, Salvage& salvage) {
  RecordReader reader;
  Candidates chain;
  std::int64_t last_ns = 0;
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view line = line_at(bytes, at);
    at += line.size();
    ++number;
    const LineKind kind = reader.parse(line);
    unsigned version = 0;
    if (kind == LineKind::sealed && number == 1 &&
        read_log_header(reader.sealed_text(), salvage.after, version)) {
      last_ns = salvage.after.time_ns;
      chain = {salvage.after.chain, salvage.after.chain};
    }
    const Candidates before = chain;
    const bool whole = fits(reader, kind, line, chain);
    if (number == 1) salvage.has_header = whole && kind == LineKind::sealed;
    else if (!whole && may_hide_lines(reader, line, before)) salvage.hides_lines = true;
    if (!whole || (kind == LineKind::record && reader.record().time_ns <= last_ns)) {
      salvage.lost_lines.push_back(number);
      continue;
    }
    if (kind != LineKind::record) continue;
    if (Status s = visit(reader.record(), number); !s) return s;
    last_ns = reader.record().time_ns;
    ++salvage.kept;
  }
  return {};
}

}  // namespace kv
