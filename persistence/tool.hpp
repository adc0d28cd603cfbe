// The server's verbs on a data folder that no server uses: check, repair, reseal, dump, load,
// restore. One function for all, so that server.cpp only has to pass on what was typed.
//
// Nothing here talks to a running server; each verb that writes takes the folder's lock.
#pragma once

#include <cstdio>
#include <string>

#include "persistence/persistence.hpp"

namespace kv {

enum class Verb : std::uint8_t {
  check,    // --check [--json]: reads everything, changes nothing
  repair,   // --repair: writes new files, keeps the old ones
  reseal,   // --reseal: checksums again after an edit by hand
  dump,     // --dump text|json|resp: the data to out
  load,     // --load FILE: a dump (any form) into the folder, on top of what is there
  restore,  // --until TIME --into FOLDER: the state as of then, into a new folder
};

struct ToolOptions {
  Verb verb = Verb::check;
  std::string folder = ".";
  bool json = false;                             // check: report as one JSON object
  std::string dump_form = "text";                // dump: text, json or resp
  std::string file = {};                         // load: what to read; "-" is standard input
  std::int64_t until_ns = 0;                     // restore
  std::string into = {};                         // restore: the new folder; refused if not empty
  SnapshotFormat format = SnapshotFormat::text;  // repair, load, restore: of the snapshot written
};

/// Does it. replay executes logged commands into databases the caller owns, which must be empty.
/// What was asked for goes to out; notes, progress and errors to err. Returns the exit code: 0 only
/// if all is well (check: every byte accounted for), 1 if not, 2 for wrong options.
int persistence_tool(Env& env, const ToolOptions& options, const Replay& replay, std::FILE* out,
                     std::FILE* err);

}  // namespace kv
