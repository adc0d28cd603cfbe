// See anew.hpp.
#include "persistence/anew.hpp"

#include "libkv/base/clock.hpp"
#include "persistence/folder.hpp"

namespace kv {

Result<std::unique_ptr<File>> make_log(Env& env, const std::string& path, const LogPosition& after,
                                       LogPosition& end) {
  Result<std::unique_ptr<File>> file = env.create_temporary(path);
  if (!file) return file;
  std::string header;
  end = {after.time_ns, append_sealed(header, after.chain, log_header_text(after))};
  Status status = (*file)->write(header);
  if (status) status = (*file)->sync();
  if (status) return file;
  static_cast<void>(env.remove(path).ok());
  return status;
}

Status begin_anew(Env& env, const SaveJob& job, std::span<Keyspace* const> databases,
                  const ProgressFunction& progress) {
  LogPosition end;
  Result<std::unique_ptr<File>> log =
      make_log(env, join_path(job.folder, new_log_name), {job.as_of_ns, job.chain}, end);
  if (!log) return log.status();
  if (Status s = env.sync_directory(job.folder); !s) return s;
  if (Status s = job.run(env, databases, progress); !s) return s;
  retire_other_format(env, job.folder, job.format);
  return finish_switch(env, job.folder);
}

namespace {

/// A log of ours stays part of the past, for --until; anything else is only kept. Empty: it holds
/// nothing, and must not take the place of one that was kept.
std::string retired_name(Env& env, const std::string& folder) {
  const Result<LogFile> log = read_log_file(env, folder, std::string(log_name));
  if (!log || log->original) return "kv.aof.old";
  LogScan scan;
  static_cast<void>(scan_log(
      log->mapping->bytes(), [](const Record&, std::uint64_t) { return Status{}; }, scan));
  if (scan.verdict != Verdict::clean) return "kv.aof.old";
  if (scan.lines == 0) return {};
  return finished_log_name(scan.end.time_ns);
}

}  // namespace

Status finish_switch(Env& env, const std::string& folder) {
  const std::string log = join_path(folder, log_name);
  const std::string retired = env.exists(log) ? retired_name(env, folder) : "";
  if (!retired.empty()) {
    if (Status s = env.rename(log, join_path(folder, retired)); !s) return s;
  }
  if (Status s = env.rename(join_path(folder, new_log_name), log); !s) return s;
  return env.sync_directory(folder);
}

Result<std::string> keep_files(Env& env, const std::string& folder,
                               const std::vector<std::string>& names, std::string_view why,
                               std::int64_t now_ns) {
  const std::string kept = "before-" + std::string(why) + "-" + format_seconds(now_ns);
  const std::string kept_path = join_path(folder, kept);
  if (Status s = env.make_directory(kept_path); !s) return s;
  for (const std::string& name : names) {
    const std::string path = join_path(folder, name);
    const Status there = env.stat(path).status();
    if (there.code() == Code::not_found) continue;
    if (!there) return there;
    if (Status s = env.link(path, join_path(kept_path, name)); !s) return s;
  }
  if (Status s = env.sync_directory(kept_path); !s) return s;
  if (Status s = env.sync_directory(folder); !s) return s;
  return kept;
}

void retire_other_format(Env& env, const std::string& folder, SnapshotFormat saved) {
  const std::string name = join_path(
      folder,
      snapshot_name(saved == SnapshotFormat::text ? SnapshotFormat::binary : SnapshotFormat::text));
  if (env.exists(name)) static_cast<void>(env.rename(name, name + ".old").ok());
}

}  // namespace kv
