// --check: reads everything in a data folder, changes nothing, says of every file whether each of
// its bytes is accounted for, and whether a server would start from it and with what.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libkv/base/env.hpp"
#include "persistence/persistence.hpp"

namespace kv {

struct FileReport {
  std::string name;
  std::string kind;     // "log", "finished log", "snapshot", "old snapshot", "set aside", "other"
  std::string verdict;  // "clean", "torn_tail", ..., "damaged"; "not read" for what is not data
  std::string reason;   // when not clean
  std::uint64_t bytes = 0, lines = 0, keys = 0;
  std::uint64_t bad_line = 0, bad_byte = 0;  // of the first bad one; 0: none
  bool counts = true;                        // part of the data, so it must be clean
};

struct CheckReport {
  std::string folder;
  std::vector<FileReport> files;
  Status start;  // what a server would say at its start
  std::vector<std::string> notes;
  std::uint64_t keys = 0, lines = 0;  // that it would have, and replay
  std::string digest;                 // of the data it would have (DEBUG DIGEST)
  bool ok() const;
};

/// replay's databases must be empty and hold the data afterwards, if the start would succeed.
CheckReport check_folder(Env& env, const std::string& folder, const Replay& replay,
                         unsigned databases);
std::string as_text(const CheckReport& report);
/// Of files that are not clean though no start needs them: that a repair leaves them alone, and
/// what they are good for. Empty if there are none.
std::vector<std::string> spare_damage(const CheckReport& report);
std::string as_json(const CheckReport& report);

}  // namespace kv
