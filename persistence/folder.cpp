// See folder.hpp.
#include "persistence/folder.hpp"

#include <algorithm>
#include <tuple>

#include "libkv/base/clock.hpp"
#include "libkv/base/text.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

constexpr std::string_view finished_head = "kv.aof.";
constexpr std::size_t seconds_chars = 20;  // "SECONDS.NANOSECONDS"

bool is_seconds(std::string_view text) noexcept {
  if (text.size() != seconds_chars) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 10 ? text[i] != '.' : text[i] < '0' || text[i] > '9') return false;
  }
  return true;
}

/// Snapshot name to form. False: it is none.
bool is_snapshot_name(std::string_view name, SnapshotFormat& format, bool& old) noexcept {
  old = name.ends_with(".old");
  if (old) name.remove_suffix(4);
  for (const SnapshotFormat one : {SnapshotFormat::text, SnapshotFormat::binary}) {
    if (name == snapshot_name(one)) {
      format = one;
      return true;
    }
  }
  return false;
}

/// Why a start is refused, and what to run.
Status unreadable(const Status& why, const std::string& folder) {
  std::string advice;
  if (why.code() == Code::corrupt) {
    advice = std::string(snapshot_loss) + "; run: ./server --repair --dir " + shown(folder);
  }
  return {why.code(), join_path(folder, why.message()) + advice};
}

Result<SnapshotFile> read_snapshot_file(Env& env, const std::string& folder,
                                        const std::string& name, SnapshotFormat format) {
  Result<std::unique_ptr<Mapping>> mapping = env.map(join_path(folder, name));
  if (!mapping) return mapping.status();
  Result<FileInfo> info = env.stat(join_path(folder, name));
  if (!info) return info.status();
  SnapshotFile file;
  file.name = name;
  file.format = format;
  file.mapping = std::move(*mapping);
  file.info = *info;
  Result<SnapshotHeader> header = read_snapshot_header(file.mapping->bytes(), format, name);
  if (!header) return unreadable(header.status(), folder);
  file.header = *header;
  return file;
}

/// A switch of logs that stops between its two steps leaves kv.aof under both names, and a copy of
/// such a folder has two files of the same bytes. If the log grew on and was switched again, it has
/// two names of finished logs; the later one is right.
void drop_doubled(Folder& folder) {
  auto& logs = folder.logs;
  for (std::size_t i = 0; i + 1 < logs.size();) {
    const LogFile &log = logs[i], &next = logs[i + 1];
    if (log.original || next.original || log.after != next.after ||
        log.mapping->bytes() != next.mapping->bytes()) {
      ++i;
      continue;
    }
    folder.doubled_logs.push_back(log.name);
    logs.erase(logs.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void sort_files(Folder& folder) {
  std::sort(folder.logs.begin(), folder.logs.end(), [](const LogFile& a, const LogFile& b) {
    if ((a.name == log_name) != (b.name == log_name)) return b.name == log_name;
    return std::tie(a.after.time_ns, a.name) < std::tie(b.after.time_ns, b.name);
  });
  // Files of ours before picolisp-kv's; the newest first.
  const auto newer = [](const SnapshotFile& a, const SnapshotFile& b) {
    if ((a.header.version == 0) != (b.header.version == 0)) return a.header.version != 0;
    if (a.header.version == 0) return a.info.modified_ns > b.info.modified_ns;
    return a.header.as_of.time_ns > b.header.as_of.time_ns;
  };
  std::stable_sort(folder.snapshots.begin(), folder.snapshots.end(), newer);
  std::stable_sort(folder.old_snapshots.begin(), folder.old_snapshots.end(), newer);
}

}  // namespace

std::string_view snapshot_name(SnapshotFormat format) noexcept {
  return format == SnapshotFormat::text ? "kv.db" : "kv.bin";
}

std::string finished_log_name(std::int64_t last_ns) {
  return std::string(finished_head) + format_seconds(last_ns);
}

bool is_finished_log(std::string_view name) noexcept {
  return name.starts_with(finished_head) && is_seconds(name.substr(finished_head.size()));
}

bool is_half_made(std::string_view name) noexcept {
  return name.starts_with("kv.") && (name.ends_with(".tmp") || name.ends_with(".new"));
}

std::string aside_name(std::string_view why, std::int64_t now_ns) {
  return std::string(finished_head) + std::string(why) + "-" + format_seconds(now_ns);
}

Result<LogFile> read_log_file(Env& env, const std::string& folder, const std::string& name) {
  const std::string path = join_path(folder, name);
  Result<std::unique_ptr<Mapping>> mapping = env.map(path);
  if (!mapping) return mapping.status();
  LogFile file;
  file.name = name;
  file.mapping = std::move(*mapping);
  const std::string_view bytes = file.mapping->bytes();
  constexpr std::string_view head = "# kv log ";
  if (!bytes.starts_with(head.substr(0, std::max<std::size_t>(bytes.size(), 1)))) {
    file.original = true;  // or damaged: whoever reads it finds out
    return file;
  }
  LogScan scan;
  const std::string_view header = bytes.substr(0, std::min(bytes.find('\n'), bytes.size() - 1) + 1);
  static_cast<void>(scan_log(
      header, [](const Record&, std::uint64_t) { return Status{}; }, scan));
  if (scan.verdict != Verdict::clean) {
    const Code code = scan.verdict == Verdict::unknown_version ? Code::unsupported : Code::corrupt;
    return Status{code, path + " line 1: " + scan.reason +
                            (code == Code::corrupt ? "; run: ./server --repair --dir " + folder
                                                   : "; start a newer kv")};
  }
  file.after = scan.after;
  return file;
}

Result<Folder> read_folder(Env& env, const std::string& path, bool with_old) {
  Result<std::vector<std::string>> names = env.list(path);
  if (!names) return names.status();
  Folder folder;
  folder.path = path;
  for (const std::string& name : *names) {
    SnapshotFormat format{};
    bool old = false;
    if (name == log_name || is_finished_log(name)) {
      Result<LogFile> log = read_log_file(env, path, name);
      if (!log) return log.status();
      folder.logs.push_back(std::move(*log));
    } else if (is_snapshot_name(name, format, old)) {
      if (old && !with_old) continue;
      Result<SnapshotFile> snapshot = read_snapshot_file(env, path, name, format);
      if (!snapshot && old) continue;
      if (!snapshot) return snapshot.status();
      (old ? folder.old_snapshots : folder.snapshots).push_back(std::move(*snapshot));
    } else if (is_half_made(name)) {
      folder.half_made.push_back(name);
    }
  }
  sort_files(folder);
  drop_doubled(folder);
  return folder;
}

}  // namespace kv
