// Snapshots: all databases at one instant, as text (kv.db) or binary (kv.bin). FORMAT.md has both
// forms. Written by the snapshot writer through SaveJob::run, read at the start.
//
// A snapshot is read only if every byte of it is right; nothing is ever loaded in part. Lengths
// found in a file never make anything ask for more memory than the file justifies.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "libkv/base/clock.hpp"
#include "persistence/folder.hpp"
#include "persistence/persistence.hpp"

namespace kv {

inline constexpr unsigned snapshot_version = 1;

/// What the beginning says. version 0 (picolisp-kv) if it does not begin as a file of ours; then
/// only the rest can tell. unsupported: a newer version. corrupt: its own checksum is wrong.
Result<SnapshotHeader> read_snapshot_header(std::string_view bytes, SnapshotFormat format,
                                            std::string_view name);

/// True for text that begins or ends as a snapshot of ours does, even if the header is damaged:
/// then it is none of picolisp-kv's, whose snapshots nothing checks.
bool has_our_marks(std::string_view text) noexcept;

/// How a snapshot is loaded, and how many keys were.
struct SnapshotLoad {
  bool replace = false;  // a key that is there already is replaced, not an error
  std::uint64_t keys = 0;
  std::uint64_t bad_line = 0, bad_byte = 0;  // of the text form, where it can be known; 0: not
};

/// Loads a snapshot of ours into the databases. name is for messages. code corrupt: with the line
/// or the offset. What was loaded before the error stays in the databases: the caller must not
/// serve from them.
Status load_snapshot(std::string_view bytes, SnapshotFormat format, std::string_view name,
                     const Replay& replay, SnapshotLoad& load);

/// While it lives, so many keys are expected in database 0, where they mostly are. Without the
/// splits 1,000,000 keys are loaded from kv.bin in 0.31 s instead of 0.46, from kv.db in 0.46
/// instead of 0.57 (medians of nine).
class Expected {
 public:
  Expected(const Replay& replay, std::uint64_t keys) : first_(replay.database(0)) {
    if (first_ != nullptr) first_->expect(keys);
  }
  ~Expected() {
    if (first_ != nullptr) first_->settle();
  }
  Expected(const Expected&) = delete;
  Expected& operator=(const Expected&) = delete;

 private:
  Keyspace* first_;  // not owned
};

/// Writes bytes to file in the form; used by SaveJob::run.
Status write_text_snapshot(File& file, const SaveJob& job, std::span<Keyspace* const> databases,
                           const ProgressFunction& progress);
Status write_binary_snapshot(File& file, const SaveJob& job, std::span<Keyspace* const> databases,
                             const ProgressFunction& progress);

Status load_text_snapshot(std::string_view bytes, std::string_view name, const Replay& replay,
                          SnapshotLoad& load);
Status load_binary_snapshot(std::string_view bytes, std::string_view name, const Replay& replay,
                            SnapshotLoad& load);
Result<SnapshotHeader> read_text_header(std::string_view bytes, std::string_view name);
Result<SnapshotHeader> read_binary_header(std::string_view bytes, std::string_view name);

// The sealed comments of the text form, without "# kv " and checksum.
std::string text_header(const LogPosition& as_of, bool log_follows);
std::string text_trailer(std::uint64_t keys);
/// False if it is none of this version.
bool parse_text_header(std::string_view sealed, SnapshotHeader& header);
bool parse_text_trailer(std::string_view sealed, std::uint64_t& keys);

/// Why a key cannot be loaded: the server was started with too few databases.
std::string needs_database(unsigned number);

/// One key in the text form, with its line break: ("key" value) and the items it needs.
void append_key_line(std::string& out, Keyspace& keys, const Keyspace::Item& item,
                     unsigned database);
/// Reads such a line and puts the key into its database. False with why. The elements of a long
/// line are not kept: it is read a second time, straight into the database.
class KeyLineReader {
 public:
  KeyLineReader(const Replay& replay, bool replace)
      : replay_(replay), replace_(replace), loaded_ms_(wall_ns() / 1'000'000) {}
  bool load(std::string_view line) { return read(line) && store(); }
  /// Reads it only.
  bool read(std::string_view line);
  const std::string& error() const noexcept { return error_; }
  /// Of the error: corrupt, or limit if the server has too few databases.
  Code code() const noexcept { return code_; }

 private:
  struct Pair {
    Scalar field, value;
  };
  bool read_as(Type type);
  bool read_value(Type as);
  bool read_list_element();
  bool read_pair();
  bool store_pair(const Pair& pair);
  bool read_items();
  bool store();
  bool store_elements();
  bool fail(std::string_view why) {
    error_ = why;
    return false;
  }

  const Replay& replay_;
  bool replace_;
  std::int64_t loaded_ms_;  // the first access of every key, for OBJECT IDLETIME
  ElementReader in_;
  std::string_view line_;
  std::size_t value_at_ = 0;
  bool long_ = false;
  std::string error_;
  Code code_ = Code::corrupt;
  std::string_view key_;  // in kept_key_
  std::string kept_key_;
  Type type_ = Type::string;
  Type stated_type_ = Type::none;
  std::optional<std::int64_t> expiry_ms_;
  unsigned database_ = 0;
  Scalar scalar_;
  std::vector<Scalar> elements_;  // of a line that is not long
  std::vector<Pair> pairs_;
  std::optional<List> to_list_;  // while elements are stored
  std::optional<Hash> to_hash_;
  std::optional<Set> to_set_;
  std::optional<SortedSet> to_zset_;
};

}  // namespace kv
