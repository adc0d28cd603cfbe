// See tool.hpp: one function a verb, and the table that finds it.
#include "persistence/tool.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "libkv/base/clock.hpp"
#include "libkv/base/limits.hpp"
#include "persistence/anew.hpp"
#include "persistence/check.hpp"
#include "persistence/dump.hpp"
#include "persistence/recovery.hpp"
#include "persistence/repair.hpp"

namespace kv {
namespace {

struct Tool {
  Env& env;
  const ToolOptions& options;
  const Replay& replay;
  std::FILE* out;
  std::FILE* err;

  std::vector<Keyspace*> databases() const {
    std::vector<Keyspace*> all;
    for (unsigned i = 0; i < limits::databases_max; ++i) {
      Keyspace* const database = replay.database(i);
      if (database == nullptr) break;
      all.push_back(database);
    }
    return all;
  }
  CheckReport check() const {
    return check_folder(env, options.folder, replay, static_cast<unsigned>(databases().size()));
  }
  void say(const std::string& sentence) const { std::fprintf(err, "%s\n", sentence.c_str()); }
  int fail(const Status& status) const {
    say("ERROR: " + status.message());
    return status.code() == Code::usage ? 2 : 1;
  }
};

SaveJob job_in(const std::string& folder, SnapshotFormat format, const LogPosition& as_of) {
  SaveJob job;
  job.folder = folder;
  job.format = format;
  job.as_of_ns = as_of.time_ns;
  job.chain = as_of.chain;
  job.owner_pid = ::getpid();
  return job;
}

int run_check(const Tool& tool) {
  const CheckReport report = tool.check();
  const std::string text = tool.options.json ? as_json(report) : as_text(report);
  std::fputs(text.c_str(), tool.out);
  return report.ok() ? 0 : 1;
}

/// What a check calls wrong and a repair has no reason to touch: who was sent here by the one must
/// hear it from the other.
void say_what_is_spare(const Tool& tool) {
  for (Keyspace* database : tool.databases()) database->clear();
  for (const std::string& sentence : spare_damage(tool.check())) {
    std::fprintf(tool.out, "%s\n", sentence.c_str());
  }
}

int run_repair(const Tool& tool) {
  Result<std::unique_ptr<DirectoryLock>> lock = tool.env.lock_directory(tool.options.folder);
  if (!lock) return tool.fail(lock.status());
  const Result<RepairReport> report =
      repair_folder(tool.env, tool.options.folder, tool.options.format, tool.replay,
                    static_cast<unsigned>(tool.databases().size()));
  if (!report) return tool.fail(report.status());
  for (const std::string& note : report->notes) std::fprintf(tool.out, "%s\n", note.c_str());
  if (report->needed) {
    std::fprintf(tool.out, "repaired: %llu keys; lost: %llu lines of logs, %llu keys%s\n",
                 static_cast<unsigned long long>(report->keys),
                 static_cast<unsigned long long>(report->lost_lines),
                 static_cast<unsigned long long>(report->lost_keys),
                 report->lost_more ? ", and what cannot be counted" : "");
  } else {
    say_what_is_spare(tool);
  }
  return 0;
}

int run_reseal(const Tool& tool) {
  Result<std::unique_ptr<DirectoryLock>> lock = tool.env.lock_directory(tool.options.folder);
  if (!lock) return tool.fail(lock.status());
  const Result<std::vector<std::string>> done = reseal_folder(tool.env, tool.options.folder);
  if (!done) return tool.fail(done.status());
  for (const std::string& sentence : *done) std::fprintf(tool.out, "%s\n", sentence.c_str());
  // Right checksums do not make an edit right: what a start would say is better known now.
  const Result<Recovered> found = recover(tool.env, tool.options.folder, {}, tool.replay);
  if (!found) tool.say("note: a server does not start from this: " + found.status().message());
  else
    for (const std::string& note : found->report.notes) tool.say("note: " + note);
  return 0;
}

int run_dump(const Tool& tool) {
  const Result<Recovered> found = recover(tool.env, tool.options.folder, {}, tool.replay);
  if (!found) return tool.fail(found.status());
  for (const std::string& note : found->report.notes) tool.say("note: " + note);
  SaveJob job = job_in(tool.options.folder, SnapshotFormat::text, found->position);
  job.log_follows = false;
  const Status s = dump(tool.databases(), tool.options.dump_form, job, tool.out);
  return s ? 0 : tool.fail(s);
}

/// The whole of a file, or of standard input.
Result<std::string> read_input(const Tool& tool) {
  if (tool.options.file != "-") {
    Result<std::unique_ptr<Mapping>> mapping = tool.env.map(tool.options.file);
    if (!mapping) return mapping.status();
    return std::string((*mapping)->bytes());
  }
  std::string all;
  char part[64 * 1024];
  while (const std::size_t n = std::fread(part, 1, sizeof part, stdin)) all.append(part, n);
  if (std::ferror(stdin) != 0) return Status{Code::io, "cannot read standard input"};
  return all;
}

int run_load(const Tool& tool) {
  const std::string& folder = tool.options.folder;
  const Result<std::string> input = read_input(tool);
  if (!input) return tool.fail(input.status());
  if (!tool.env.exists(folder)) {
    if (Status s = tool.env.make_folder(folder); !s) return tool.fail(s);
  }
  Result<std::unique_ptr<DirectoryLock>> lock = tool.env.lock_directory(folder);
  if (!lock) return tool.fail(lock.status());
  const Result<Recovered> found = recover(tool.env, folder, {.mend = true}, tool.replay);
  if (!found) return tool.fail(found.status());
  const std::int64_t time_ns = std::max(wall_ns(), found->position.time_ns + 1);
  LoadReport load;
  if (Status s = load_dump(*input, time_ns, tool.replay, load); !s) {
    return tool.fail({s.code(), tool.options.file + ": " + s.message() + "; nothing was changed"});
  }
  // The log that waits is needed until the new snapshot is there.
  if (found->new_log_waits) {
    if (Status s = finish_switch(tool.env, folder); !s) return tool.fail(s);
  }
  const SaveJob job = job_in(folder, tool.options.format, {time_ns, found->position.chain});
  if (Status s = begin_anew(tool.env, job, tool.databases(), tool.replay.progress); !s) {
    return tool.fail(s);
  }
  std::fprintf(tool.out, "loaded %llu entries\n", static_cast<unsigned long long>(load.loaded));
  if (load.refused.empty()) return 0;
  for (const std::string& why : load.refused) tool.say(tool.options.file + ": " + why);
  return tool.fail({Code::protocol, std::to_string(load.refused.size()) + " entries of " +
                                        tool.options.file + " were not loaded, for these reasons"});
}

int run_restore(const Tool& tool) {
  const std::string& into = tool.options.into;
  if (into.empty()) return tool.fail({Code::usage, "--until needs a new folder: --into FOLDER"});
  if (!tool.env.exists(into)) {
    if (Status s = tool.env.make_folder(into); !s) return tool.fail(s);
  }
  Result<std::unique_ptr<DirectoryLock>> lock = tool.env.lock_directory(into);
  if (!lock) return tool.fail(lock.status());
  const Result<std::vector<std::string>> names = tool.env.list(into);
  if (!names) return tool.fail(names.status());
  if (std::any_of(names->begin(), names->end(), [](const auto& n) { return n != "kv.lock"; })) {
    return tool.fail({Code::usage, into + " is not empty; restoring needs a new folder"});
  }
  const Result<Recovered> found =
      recover(tool.env, tool.options.folder, {.until_ns = tool.options.until_ns}, tool.replay);
  if (!found) return tool.fail(found.status());
  LogPosition as_of = found->position;
  // At 0 begins what holds nothing yet; a snapshot of picolisp-kv says no time.
  if (found->report.from_original) as_of.time_ns = std::max<std::int64_t>(as_of.time_ns, 1);
  const SaveJob job = job_in(into, tool.options.format, as_of);
  if (Status s = begin_anew(tool.env, job, tool.databases(), tool.replay.progress); !s) {
    return tool.fail(s);
  }
  std::uint64_t keys = 0;
  for (Keyspace* database : tool.databases()) keys += database->size();
  std::fprintf(tool.out, "restored %llu keys as of %s into %s\n",
               static_cast<unsigned long long>(keys), format_local(found->position.time_ns).c_str(),
               into.c_str());
  return 0;
}

int run(const Tool& tool) {
  switch (tool.options.verb) {
    case Verb::check: return run_check(tool);
    case Verb::repair: return run_repair(tool);
    case Verb::reseal: return run_reseal(tool);
    case Verb::dump: return run_dump(tool);
    case Verb::load: return run_load(tool);
    case Verb::restore: return run_restore(tool);
  }
  return 2;
}

}  // namespace

int persistence_tool(Env& env, const ToolOptions& options, const Replay& replay, std::FILE* out,
                     std::FILE* err) {
  const Tool tool{env, options, replay, out, err};
  try {
    const int status = run(tool);
    if (options.verb == Verb::dump) return status;  // which has looked itself
    if (std::fflush(out) == 0 && std::ferror(out) == 0) return status;
    return tool.fail(Status::from_errno(errno, "cannot write to standard output"));
  } catch (const std::bad_alloc&) {
    return tool.fail(no_memory_for(options.folder));
  }
}

}  // namespace kv
