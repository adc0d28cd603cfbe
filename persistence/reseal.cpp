// See repair.hpp: reseal. Every file is read without its checksums and written again with right
// ones; where one file continues another, the new chain is carried over.
#include <cstring>
#include <map>

#include "libkv/base/clock.hpp"
#include "libkv/base/text.hpp"
#include "persistence/anew.hpp"
#include "persistence/aof_reader.hpp"
#include "persistence/binary_form.hpp"
#include "persistence/repair.hpp"
#include "persistence/scratch.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

std::string_view line_at(std::string_view bytes, std::size_t at) noexcept {
  return bytes.substr(at, std::min(bytes.find('\n', at), bytes.size() - 1) + 1 - at);
}

/// Takes a sealed comment's checksum off, right or wrong: what remains of the text after "# kv ".
std::string_view sealed_text_of(std::string_view line) noexcept {
  if (line.starts_with("# kv ")) line.remove_prefix(5);
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  const std::size_t colon = line.rfind(": ");
  return colon == std::string_view::npos ? line : line.substr(0, colon);
}

class Reseal {
 public:
  Reseal(Env& env, const std::string& folder) : env_(env), folder_(folder) {}
  Result<std::vector<std::string>> run();

 private:
  Status read_logs();
  Status reseal_log(const std::string& name, std::string_view bytes);
  Status reseal_header(const std::string& name, std::string_view line, std::string& out);
  Status reseal_text(const std::string& name, std::string_view bytes);
  Status reseal_binary(const std::string& name, std::string_view bytes);
  void carry_over(LogPosition& as_of) const;
  Status bad(const std::string& name, std::uint64_t line, std::string_view why) const {
    return {Code::corrupt,
            join_path(folder_, name) + " line " + std::to_string(line) + ": " + std::string(why)};
  }

  Env& env_;
  const std::string& folder_;
  LogPosition end_;  // of the log before
  bool first_ = true;
  std::map<std::int64_t, std::uint32_t> starts_;  // where a log begins: time and new chain
  std::map<std::string, std::string> written_;    // name: new content
};

Status Reseal::reseal_header(const std::string& name, std::string_view line, std::string& out) {
  LogPosition after;
  unsigned version = 0;
  if (!line.starts_with("# kv log ") || !read_log_header(sealed_text_of(line), after, version) ||
      version != log_version) {
    return bad(name, 1, "the first line is not a header; only --repair can help");
  }
  if (!first_ && after.time_ns != end_.time_ns) {
    return bad(name, 1, "the log before it does not end where this one begins");
  }
  if (!first_) after.chain = end_.chain;
  first_ = false;
  starts_[after.time_ns] = after.chain;
  end_ = {after.time_ns, append_sealed(out, after.chain, log_header_text(after))};
  return {};
}

Status Reseal::reseal_log(const std::string& name, std::string_view bytes) {
  std::string out;
  RecordReader reader;
  std::uint64_t number = 1, lines = 0;
  const std::string_view header = line_at(bytes, 0);
  if (Status s = reseal_header(name, header, out); !s) return s;
  for (std::size_t at = header.size(); at < bytes.size();) {
    const std::string_view line = line_at(bytes, at);
    at += line.size();
    ++number;
    if (line.starts_with("# kv end ")) {
      end_.chain = append_sealed(out, end_.chain, log_trailer_text(end_.time_ns, lines));
      continue;
    }
    const LineKind kind = reader.parse(line);
    if (kind == LineKind::bad) return bad(name, number, reader.error());
    if (kind != LineKind::record) {
      out += line;
      end_.chain = reader.chain_after(line, end_.chain);
      continue;
    }
    const Record& record = reader.record();
    if (record.time_ns <= end_.time_ns) {
      return bad(name, number, "the time must be later than in the line before");
    }
    end_ = {record.time_ns, append_record(out, end_.chain, record.time_ns, record.database,
                                          record.dialect, record.args)};
    ++lines;
  }
  // A comment at the very end needs a checksum after it.
  RecordReader last;
  const std::size_t last_at = out.rfind('\n', out.size() - 2) + 1;
  if (last.parse(std::string_view(out).substr(last_at)) == LineKind::comment) {
    end_.chain = append_sealed(out, end_.chain, log_trailer_text(end_.time_ns, lines));
  }
  if (out != bytes) written_[name] = std::move(out);
  return {};
}

Status Reseal::read_logs() {
  Result<std::vector<std::string>> names = env_.list(folder_);
  if (!names) return names.status();
  std::vector<std::string> logs;
  for (const std::string& name : *names) {
    if (is_finished_log(name)) logs.push_back(name);
  }
  logs.emplace_back(log_name);
  for (const std::string& name : logs) {
    Result<std::unique_ptr<Mapping>> mapping = env_.map(join_path(folder_, name));
    if (!mapping && mapping.status().code() == Code::not_found) continue;
    if (!mapping) return mapping.status();
    if (!(*mapping)->bytes().starts_with("# kv ")) {
      return bad(name, 1, "not a log of kv with its header; only --repair can help");
    }
    if (Status s = reseal_log(name, (*mapping)->bytes()); !s) return s;
  }
  return {};
}

/// A snapshot's chain is that of the log which follows it.
void Reseal::carry_over(LogPosition& as_of) const {
  if (const auto at = starts_.find(as_of.time_ns); at != starts_.end()) as_of.chain = at->second;
}

Status Reseal::reseal_text(const std::string& name, std::string_view bytes) {
  const std::string_view header_line = line_at(bytes, 0);
  if (!has_our_marks(bytes)) return {};  // picolisp-kv's: has no checksums
  SnapshotHeader header;
  if (!parse_text_header(sealed_text_of(header_line), header)) {
    return bad(name, 1, "the header is damaged; only --repair can help");
  }
  carry_over(header.as_of);
  std::string out;
  std::uint32_t chain = append_sealed(out, 0, text_header(header.as_of, header.log_follows));
  std::uint64_t keys = 0, number = 1;
  std::string body;
  // The keys are loaded too: only so is a line found that no start could read, or a key's second.
  Scratch scratch;
  const Replay replay = scratch.replay();
  KeyLineReader reader(replay, false);
  for (std::size_t at = header_line.size(); at < bytes.size();) {
    const std::string_view line = line_at(bytes, at);
    at += line.size();
    ++number;
    if (line.starts_with("# kv end")) continue;
    if (line.back() != '\n') return bad(name, number, "the line does not end");
    body += line;
    if (line[0] == '#' || line.size() == 1) continue;
    if (line[0] != '(') return bad(name, number, "not a key's line");
    if (!reader.load(line)) return bad(name, number, reader.error());
    if (scratch.keys() != ++keys) return bad(name, number, "the key is there twice");
  }
  out += body;
  chain = crc32(body, chain);
  append_sealed(out, chain, text_trailer(keys));
  if (out != bytes) written_[name] = std::move(out);
  return {};
}

/// Only the chain in its header can have become another; every block's checksum follows from that.
Status Reseal::reseal_binary(const std::string& name, std::string_view bytes) {
  using namespace binary_form;  // NOLINT: as in the reader
  const Result<SnapshotHeader> header = read_binary_header(bytes, name);
  if (!header) return header.status();
  if (header->version == 0) return {};
  LogPosition as_of = header->as_of;
  carry_over(as_of);
  if (as_of == header->as_of) return {};
  std::string out(bytes);
  FileHead head{};
  std::memcpy(&head, out.data(), sizeof head);
  head.chain = as_of.chain;
  head.checksum = crc32(bytes_of(head).substr(0, offsetof(FileHead, checksum)));
  std::memcpy(out.data(), &head, sizeof head);
  std::uint32_t checksum = head.checksum;
  for (std::size_t at = sizeof head; at + sizeof(BlockHead) <= out.size();) {
    BlockHead block{};
    std::memcpy(&block, out.data() + at, sizeof block);
    const std::size_t length = block.method == Method::end ? 0 : block.file_bytes;
    if (length > out.size() - at - sizeof block) return {Code::corrupt, name + " is not whole"};
    block.checksum = checksum =
        block_checksum(block, std::string_view(out).substr(at + sizeof block, length), checksum);
    std::memcpy(out.data() + at, &block, sizeof block);
    at += sizeof block + length;
  }
  written_[name] = std::move(out);
  return {};
}

Result<std::vector<std::string>> Reseal::run() {
  if (Status s = read_logs(); !s) return s;
  for (const char* name : {"kv.db", "kv.bin", "kv.db.old", "kv.bin.old"}) {
    Result<std::unique_ptr<Mapping>> mapping = env_.map(join_path(folder_, name));
    if (!mapping && mapping.status().code() == Code::not_found) continue;
    if (!mapping) return mapping.status();
    const std::string_view bytes = (*mapping)->bytes();
    Status s = std::string_view(name).starts_with("kv.db") ? reseal_text(name, bytes)
                                                           : reseal_binary(name, bytes);
    if (!s) return s;
  }
  std::vector<std::string> done;
  if (written_.empty()) {
    done.emplace_back("every checksum is right already");
    return done;
  }
  std::vector<std::string> names;
  for (const auto& [name, content] : written_) names.push_back(name);
  Result<std::string> kept = keep_files(env_, folder_, names, "reseal", wall_ns());
  if (!kept) return kept.status();
  for (const auto& [name, content] : written_) {
    if (Status s = env_.write_file(join_path(folder_, name), content); !s) return s;
    done.push_back(name + " has new checksums");
  }
  done.push_back("the old files are kept in " + *kept);
  return done;
}

}  // namespace

Result<std::vector<std::string>> reseal_folder(Env& env, const std::string& folder) {
  return Reseal(env, folder).run();
}

}  // namespace kv
