// See check.hpp.
#include "persistence/check.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "libkv/base/text.hpp"
#include "libkv/keyspace/digest.hpp"
#include "persistence/aof_reader.hpp"
#include "persistence/folder.hpp"
#include "persistence/json.hpp"
#include "persistence/recovery.hpp"
#include "persistence/scratch.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

/// original_folder: it is picolisp-kv's, which begins with an empty log.
void check_log(std::string_view bytes, bool original_folder, FileReport& file) {
  LogScan scan;
  static_cast<void>(scan_log(
      bytes, [](const Record&, std::uint64_t) { return Status{}; }, scan));
  if (scan.verdict == Verdict::no_header) {
    OriginalScan original;
    const Status s =
        replay_original_log(bytes, file.name, INT64_MIN, INT64_MAX, Scratch().replay(), original);
    if (s && original.bad_line == 0 && (original.lines != 0 || original_folder)) {
      file.verdict = "clean";
      file.lines = original.lines;
      file.kind += " of picolisp-kv";
      return;
    }
  }
  file.verdict = verdict_name(scan.verdict);
  file.reason = scan.reason;
  file.lines = scan.lines;
  file.bad_line = scan.bad_line;
  if (scan.bad_line != 0) file.bad_byte = scan.good_bytes;
}

void check_snapshot(std::unique_ptr<Mapping> mapping, SnapshotFormat format, FileReport& file) {
  Scratch scratch;
  const std::string_view bytes = mapping->bytes();
  const Result<SnapshotHeader> header = read_snapshot_header(bytes, format, file.name);
  Status status = header.status();
  if (header && header->version == 0) {
    file.kind += " of picolisp-kv";
    // It has no checksum: reading it is all that can be done.
    SnapshotFile original;
    original.name = file.name;
    original.format = format;
    original.mapping = std::move(mapping);
    status = load_original_snapshot(original, scratch.replay(), file.keys);
    file.verdict = status ? "clean" : "damaged";
    file.reason = status.message();
    return;
  }
  SnapshotLoad load;
  if (header) status = load_snapshot(bytes, format, file.name, scratch.replay(), load);
  file.keys = load.keys;
  file.verdict = status ? "clean" : "damaged";
  file.reason = status.message();  // names the line itself, where it can be known
  file.bad_line = load.bad_line;
  file.bad_byte = load.bad_byte;
}

FileReport check_file(Env& env, const std::string& folder, const std::string& name,
                      bool original_folder) {
  FileReport file;
  file.name = name;
  const std::string path = join_path(folder, name);
  const Result<FileInfo> info = env.stat(path);
  file.bytes = info ? info->size : 0;
  const bool binary = name.starts_with(snapshot_name(SnapshotFormat::binary));
  const bool snapshot = name == "kv.db" || name == "kv.bin";
  const bool old_snapshot = name == "kv.db.old" || name == "kv.bin.old";
  const bool log = name == log_name, finished = is_finished_log(name);
  if (!snapshot && !old_snapshot && !log && !finished) {
    file.kind = name == "kv.lock" ? "lock" : name.starts_with("kv.") ? "set aside" : "other";
    file.verdict = "not read";
    file.counts = false;
    return file;
  }
  file.kind = snapshot ? "snapshot" : old_snapshot ? "old snapshot" : log ? "log" : "finished log";
  Result<std::unique_ptr<Mapping>> mapping = env.map(path);
  if (!mapping) {
    file.verdict = "damaged";
    file.reason = mapping.status().message();
  } else if (log || finished) {
    check_log((*mapping)->bytes(), original_folder, file);
  } else {
    check_snapshot(std::move(*mapping), binary ? SnapshotFormat::binary : SnapshotFormat::text,
                   file);
  }
  return file;
}

/// A log with a second name is not written to: with --persist no start goes on with it. Names that
/// a crash left in the folder do not count, they are removed first.
Status check_names(Env& env, const std::string& folder, const std::vector<std::string>& names) {
  const std::string log = join_path(folder, log_name);
  const Result<FileInfo> info = env.stat(log);
  if (!info || info->links <= 1) return {};
  std::uint64_t ours = 1;
  for (const std::string& name : names) {
    if (!is_finished_log(name) && !is_half_made(name)) continue;
    const Result<FileInfo> other = env.stat(join_path(folder, name));
    if (other && other->inode == info->inode && other->device == info->device) ++ours;
  }
  return info->links == ours ? Status{} : env.open(log, Open::append).status();
}

/// A start is refused a file that it writes to and that is another user's, or whose mode forbids it
/// (not to root). What a read-only disk would say is no fault of the files.
Status check_writable(Env& env, const std::string& path) {
  const Result<FileInfo> info = env.stat(path);
  const uid_t me = ::geteuid();
  if (!info || (info->owner == me && (me == 0 || (info->mode & S_IWUSR) != 0))) return {};
  return env.open(path, Open::append).status();
}

/// With --persist a start removes what is half-made, which it cannot if that is a folder.
Status check_half_made(Env& env, const std::string& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::string path = join_path(folder, name);
    const Result<FileInfo> info = env.stat(path);
    if (!is_half_made(name) || !info || !info->directory) continue;
    return {Code::usage, path +
                             " is a folder, and a start removes files of that name, which it "
                             "cannot here; move the folder away"};
  }
  return {};
}

/// What reading the files does not show: whether a start may write where it has to.
Status check_rights(Env& env, const std::string& folder, const std::vector<std::string>& names,
                    bool log_is_ours) {
  if (Status s = check_names(env, folder, names); !s) return s;
  if (Status s = check_half_made(env, folder, names); !s) return s;
  // Root looks at a folder whose server is another user's: that one's rights are not known here.
  const Result<FileInfo> info = env.stat(folder);
  if (!info || info->owner != ::geteuid()) return {};
  if (Status s = check_writable(env, join_path(folder, "kv.lock")); !s) return s;
  return log_is_ours ? check_writable(env, join_path(folder, log_name)) : Status{};
}

/// A start that succeeds and has nothing to say of a finished log or an old snapshot did without
/// it. What it mends or goes round it tells, by the file's name.
bool is_spare(const FileReport& file, const CheckReport& report) {
  if (!report.start || !file.counts || file.verdict == "clean") return false;
  if (!is_finished_log(file.name) && !file.name.ends_with(".old")) return false;
  return std::none_of(report.notes.begin(), report.notes.end(), [&](const std::string& note) {
    return note.find(file.name) != std::string::npos;
  });
}

std::string count_of(const FileReport& file) {
  if (file.kind.find("log") != std::string::npos) return std::to_string(file.lines) + " lines";
  if (!file.counts) return "";
  return std::to_string(file.keys) + " keys";
}

}  // namespace

bool CheckReport::ok() const {
  for (const FileReport& file : files) {
    if (file.counts && file.verdict != "clean") return false;
  }
  return start.ok() && notes.empty();
}

CheckReport check_folder(Env& env, const std::string& folder, const Replay& replay,
                         unsigned databases) {
  CheckReport report;
  report.folder = folder;
  Result<std::vector<std::string>> names = env.list(folder);
  if (!names) {
    report.start = names.status();
    return report;
  }
  const Result<Recovered> found = recover(env, folder, {}, replay);
  const bool original = found && found->report.from_original;
  for (const std::string& name : *names) {
    const Result<FileInfo> info = env.stat(join_path(folder, name));
    if (info && info->regular) report.files.push_back(check_file(env, folder, name, original));
  }
  report.start = found.status();
  if (!found) return report;
  report.start = check_rights(env, folder, *names, found->log_is_ours);
  report.notes = found->report.notes;
  report.lines = found->report.lines;
  std::vector<Keyspace*> all;
  for (unsigned i = 0; i < databases && replay.database(i) != nullptr; ++i) {
    all.push_back(replay.database(i));
    report.keys += all.back()->size();
  }
  report.digest = dataset_digest(all);
  return report;
}

std::vector<std::string> spare_damage(const CheckReport& report) {
  std::vector<std::string> out;
  for (const FileReport& file : report.files) {
    if (!is_spare(file, report)) continue;
    out.push_back(file.name +
                  " is damaged, but no start needs it, so --repair leaves it alone; it serves "
                  "--until and later repairs as far as it can be read");
  }
  return out;
}

std::string as_text(const CheckReport& report) {
  std::string out;
  for (const FileReport& file : report.files) {
    out += file.name + ": " + file.kind + ", " + file.verdict;
    if (const std::string count = count_of(file); !count.empty()) out += ", " + count;
    out += ", " + std::to_string(file.bytes) + " bytes\n";
    if (file.bad_line != 0 && file.kind.find("log") != std::string::npos) {
      out += "  line " + std::to_string(file.bad_line) + " (byte " + std::to_string(file.bad_byte) +
             "): " + file.reason + "\n";
    } else if (!file.reason.empty()) {
      out += "  " + file.reason + "\n";
    }
  }
  for (const std::string& note : report.notes) out += "note: " + note + "\n";
  for (const std::string& sentence : spare_damage(report)) out += "note: " + sentence + "\n";
  if (report.start) {
    out += "a server starts from this with " + std::to_string(report.keys) + " keys (" +
           std::to_string(report.lines) + " lines replayed), digest " + report.digest + "\n";
  } else {
    out += "a server does not start from this: " + report.start.message() + "\n";
  }
  out += report.ok() ? "all is well\n" : "something is wrong\n";
  return out;
}

std::string as_json(const CheckReport& report) {
  JsonWriter json;
  json.begin_object();
  json.member("folder", report.folder);
  json.member("ok", report.ok());
  json.key("files");
  json.begin_array();
  for (const FileReport& file : report.files) {
    json.begin_object();
    json.member("name", file.name);
    json.member("kind", file.kind);
    json.member("verdict", file.verdict);
    json.member("bytes", file.bytes);
    json.member("lines", file.lines);
    json.member("keys", file.keys);
    if (!file.reason.empty()) json.member("reason", file.reason);
    if (is_spare(file, report)) json.member("spare", true);
    if (file.bad_line != 0) json.member("line", file.bad_line), json.member("byte", file.bad_byte);
    json.end_object();
  }
  json.end_array();
  json.key("notes");
  json.begin_array();
  for (const std::string& note : report.notes) json.string(note);
  json.end_array();
  json.key("start");
  json.begin_object();
  json.member("ok", report.start.ok());
  if (!report.start.ok()) json.member("message", report.start.message());
  json.member("keys", report.keys);
  json.member("lines", report.lines);
  json.member("digest", report.digest);
  json.end_object();
  json.end_object();
  return json.text() + "\n";
}

}  // namespace kv
