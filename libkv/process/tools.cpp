// See tools.hpp: turns options into one call of persistence_tool.
#include "libkv/process/tools.hpp"

#include <cstdio>

#include "libkv/base/clock.hpp"
#include "libkv/base/env.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/log.hpp"
#include "libkv/engine/offline.hpp"
#include "persistence/tool.hpp"

namespace kv {
namespace {

int verbs(const Options& o) {
  return o.check + o.repair + o.reseal + !o.dump.empty() + !o.load.empty() + !o.until.empty();
}

Verb verb_of(const Options& o) {
  if (o.check) return Verb::check;
  if (o.repair) return Verb::repair;
  if (o.reseal) return Verb::reseal;
  if (!o.dump.empty()) return Verb::dump;
  return o.until.empty() ? Verb::load : Verb::restore;
}

int misuse(std::string_view why) { return log::refuse(why), 2; }

}  // namespace

bool wants_tool(const Options& options) noexcept { return verbs(options) > 0; }

int run_tool(const Options& options) {
  if (verbs(options) > 1) {
    return misuse("one of --check, --repair, --reseal, --dump, --load, --until at a time");
  }
  ToolOptions tool;
  tool.verb = verb_of(options);
  tool.folder = options.folder;
  tool.json = options.json;
  if (!options.dump.empty()) tool.dump_form = options.dump;
  tool.file = options.load;
  tool.into = options.into;
  tool.format = options.binary ? SnapshotFormat::binary : SnapshotFormat::text;
  if (!options.until.empty()) {
    if (options.into.empty())
      return misuse("--until needs --into FOLDER, a new folder to restore to");
    const Result<std::int64_t> until = parse_time(options.until);
    if (!until.ok()) return misuse(until.status().message());
    tool.until_ns = *until;
  }
  // As many as there can be: a tool must not find a file damaged because --databases was not said.
  Offline offline(limits::databases_max);
  Replay replay;
  replay.database = [&offline](unsigned number) -> Keyspace* {
    return number < offline.databases() ? &offline.database(number) : nullptr;
  };
  replay.apply = [&offline](std::int64_t time_ns, unsigned number, Dialect dialect,
                            std::span<const Scalar> args) {
    return offline.replay(time_ns, number, dialect, args);
  };
  return persistence_tool(posix_env(), tool, replay, stdout, stderr);
}

}  // namespace kv
