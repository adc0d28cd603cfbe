// See snapshot.hpp: what both forms have in common, and the steps that make a snapshot durable.
#include "persistence/snapshot.hpp"

#include <unistd.h>

#include <new>
#include <system_error>

#include "libkv/base/memory.hpp"

namespace kv {

Result<SnapshotHeader> read_snapshot_header(std::string_view bytes, SnapshotFormat format,
                                            std::string_view name) {
  return format == SnapshotFormat::text ? read_text_header(bytes, name)
                                        : read_binary_header(bytes, name);
}

bool parse_text_trailer(std::string_view sealed, std::uint64_t& keys) {
  ElementReader in;
  in.clear(sealed);
  return in.take("end, ") && in.number(keys) && in.take(" keys") && in.done();
}

bool has_our_marks(std::string_view text) noexcept {
  return text.starts_with("# kv") || text.rfind("\n# kv end, ") != text.npos;
}

Status load_snapshot(std::string_view bytes, SnapshotFormat format, std::string_view name,
                     const Replay& replay, SnapshotLoad& load) {
  return format == SnapshotFormat::text ? load_text_snapshot(bytes, name, replay, load)
                                        : load_binary_snapshot(bytes, name, replay, load);
}

std::string SaveJob::file_name() const { return std::string(snapshot_name(format)); }

namespace {

Status no_memory() { return {Code::limit, "there is not enough memory to save"}; }

/// Where memory ends, also for the thread that packs, the file is still there to be removed.
Status write_content(File& file, const SaveJob& job, std::span<Keyspace* const> databases,
                     const ProgressFunction& progress) {
  try {
    return job.format == SnapshotFormat::text
               ? write_text_snapshot(file, job, databases, progress)
               : write_binary_snapshot(file, job, databases, progress);
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const std::system_error& error) {
    return {Code::limit, "cannot save: no thread: " + error.code().message()};
  }
}

Status write_snapshot(Env& env, const SaveJob& job, std::span<Keyspace* const> databases,
                      const ProgressFunction& progress) {
  if (::getpid() != job.owner_pid) env.leave_locks_to_parent();
  const std::string path = join_path(job.folder, job.file_name());
  const std::string temporary = path + ".tmp";
  Result<std::unique_ptr<File>> file = env.create_temporary(temporary);
  if (!file) return file.status();
  Status status = write_content(**file, job, databases, progress);
  // The content first, so that the old snapshot keeps its name until the new one is on the disk.
  if (status) status = (*file)->sync();
  if (status && job.keep_old) {
    status = env.keep_as(path, path + ".old");
    if (status.code() == Code::not_found) status = {};
  }
  if (status) status = env.replace_file(**file, path);
  if (!status) static_cast<void>(env.remove(temporary).ok());
  return status;
}

}  // namespace

Status SaveJob::run(Env& env, std::span<Keyspace* const> databases,
                    const ProgressFunction& progress) const {
  const memory::MayUseReserve may(false);
  try {
    return write_snapshot(env, *this, databases, progress);
  } catch (const std::bad_alloc&) {
    return no_memory();  // for a path or the like
  }
}

std::string needs_database(unsigned number) {
  return "this key is in database " + std::to_string(number) + ": start with --databases " +
         std::to_string(number + 1) + " or more";
}

}  // namespace kv
