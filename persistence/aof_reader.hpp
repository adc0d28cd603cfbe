// The log's reader: goes through a log in memory, line by line, checks each and hands it on; then
// says how the file ends, or where and how it is damaged. Changes nothing.
//
// What a crash can leave at the end of the file (an unfinished line, zeros, a little garbage) is
// told apart from damage: only the former may be cut off without asking. A line is handed on only
// after its checksum was found right.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "libkv/base/status.hpp"
#include "persistence/record.hpp"

namespace kv {

enum class Verdict : std::uint8_t {
  clean,            // every byte is accounted for
  torn_tail,        // the last line is not finished, or one byte of it is wrong
  zero_tail,        // zeros follow the last good line (with or without the beginning of a line,
                    // and with what was written just behind a block that was not)
  garbage_tail,     // at most garbage_bytes_max bytes follow that hold no line
  corrupt_middle,   // damage with lines after it, a line before the last is missing, much garbage
  no_header,        // does not begin as a log of kv
  unknown_version,  // of a newer kv
};
std::string_view verdict_name(Verdict verdict) noexcept;

/// More garbage than this after the last good line is not a crash's doing.
inline constexpr std::uint64_t garbage_bytes_max = std::uint64_t{1} << 20;

struct LogScan {
  Verdict verdict = Verdict::clean;
  LogPosition after;             // from the header: what this log continues
  LogPosition end;               // at the end of the last good line
  std::uint64_t lines = 0;       // good records
  std::uint64_t good_bytes = 0;  // up to the end of the last good line
  std::uint64_t file_bytes = 0;
  bool sealed = false;            // the last good line is a trailer
  std::uint64_t bad_line = 0;     // number of the first bad line, 1-based; 0: none
  std::string reason;             // what is wrong with it
  std::uint64_t lines_after = 0;  // that look like lines, after the bad one
  unsigned version = 0;

  /// May the rest be cut off without asking?
  bool tail_only() const noexcept {
    return verdict == Verdict::torn_tail || verdict == Verdict::zero_tail ||
           verdict == Verdict::garbage_tail;
  }
};

/// Called for every good record, with the number of its line. An error stops the scan.
using RecordFunction = std::function<Status(const Record&, std::uint64_t line)>;
/// Called now and then with the bytes read.
using ScanProgress = std::function<void(std::uint64_t bytes, std::uint64_t lines)>;

/// Reads a log of kv. The scan tells what was found; the Status is visit's own failure.
Status scan_log(std::string_view bytes, const RecordFunction& visit, LogScan& scan,
                const ScanProgress& progress = {});

/// What mending a damaged log keeps: every record that can be shown to be whole, because its
/// checksum fits the one stated just before it. lost: the numbers of lines that do not.
struct Salvage {
  LogPosition after;
  bool has_header = false;  // and it is whole
  std::uint64_t kept = 0;
  std::vector<std::uint64_t> lost_lines;
  bool hides_lines = false;  // perhaps more are lost, of which nothing is left
};
Status salvage_log(std::string_view bytes, const RecordFunction& visit, Salvage& salvage);

}  // namespace kv
