// picolisp-kv's own files: kv.aof with a 16-bit hash in each line, kv.db, kv.bin. Read as they are.
//
// Every entry is executed as the command that the original would execute, with its dialect: a line
// of the log as it stands, an entry of a snapshot as SET. Text is only data here: what PicoLisp
// would run while reading (a backquote) is refused by the reader.
#include <algorithm>
#include <cstring>

#include "libkv/base/clock.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"
#include "persistence/recovery.hpp"

namespace kv {
namespace {

constexpr std::uint64_t entries_between_progress = 8 * 1024;

std::string_view line_at(std::string_view bytes, std::size_t offset) noexcept {
  return bytes.substr(offset, std::min(bytes.find('\n', offset), bytes.size() - 1) + 1 - offset);
}

bool is_empty_line(std::string_view line) noexcept {
  const std::size_t start = line.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos || line[start] == '#';
}

/// "1596099036.281142829" to nanoseconds. The original's date gives nine digits.
bool read_seconds(std::string_view text, std::int64_t& ns) {
  Result<std::int64_t> time = parse_time(text);
  if (!time || text.find('-') != std::string_view::npos) return false;
  ns = *time;
  return true;
}

/// A command in PLIO, ("CMD" (args)) or ("CMD" NIL), taken apart.
class OriginalCommand {
 public:
  bool read(std::string_view plio) {
    args_.clear();
    kept_.clear();
    PlioReader in(plio);
    Scalar element;
    if (in.next() != PlioReader::Token::open || !in.value(element)) return false;
    keep(element);
    PlioReader::Token token = in.next();
    if (token == PlioReader::Token::close) return true;
    if (token == PlioReader::Token::atom) return in.atom().kind == Kind::nil;
    if (token != PlioReader::Token::open) return false;
    while (in.value(element)) keep(element);
    return in.error() == nullptr;
  }
  const std::vector<Scalar>& args() const { return args_; }

 private:
  void keep(const Scalar& element) {
    kept_.emplace_back(element.bytes);
    args_.emplace_back(kept_.back(), element.kind);
  }
  std::vector<Scalar> args_;
  std::deque<std::string> kept_;
};

struct OriginalLine {
  std::int64_t time_ns = 0;
  std::string command;  // PLIO
};

/// One line of the original's log. Null, or what is wrong with it.
const char* read_line(std::string_view text, OriginalLine& line) {
  LispReader in(text);
  if (in.next() != LispReader::Token::open) return "the line is no list";
  if (in.next() != LispReader::Token::atom || !read_seconds(in.atom().bytes, line.time_ns)) {
    return "the time is not well-formed";
  }
  std::uint64_t hash = 0;
  if (in.next() != LispReader::Token::atom || in.atom().kind != Kind::number ||
      !parse_unsigned(in.atom().bytes, hash)) {
    return "the hash is not well-formed";
  }
  Scalar command;
  if (!in.value(command) || command.kind != Kind::list) return "the command is no list";
  if (in.next() != LispReader::Token::close) return "the line does not end";
  if (in.next() != LispReader::Token::end) return "something follows the line";
  if (plio_hash(command) != hash) return "the hash is wrong";
  line.command = command.bytes;
  return nullptr;
}

Status load_entry(const Replay& replay, const Scalar& key, const Scalar& value) {
  const Scalar args[] = {"SET", key, value};
  const Status s = replay.apply(0, 0, Dialect::plio, args);
  return s.code() == Code::reply ? Status{} : s;
}

void report(const Replay& replay, std::string_view name, std::size_t at, std::size_t total,
            std::uint64_t items) {
  if (!replay.progress || items % entries_between_progress != 0) return;
  replay.progress({.what = name, .done_bytes = at, .total_bytes = total, .items = items});
}

Status load_text(const SnapshotFile& file, const Replay& replay, std::uint64_t& keys) {
  const std::string_view bytes = file.mapping->bytes();
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view line = line_at(bytes, at);
    at += line.size();
    ++number;
    if (is_empty_line(line)) continue;
    LispReader in(line);
    Scalar key, value;
    const bool good = in.next() == LispReader::Token::open && in.value(key) && in.value(value) &&
                      in.next() == LispReader::Token::close &&
                      in.next() == LispReader::Token::end && line.back() == '\n';
    if (!good) {
      return {Code::corrupt, file.name + " line " + std::to_string(number) +
                                 ": not (KEY VALUE), the form of picolisp-kv" +
                                 (in.status().ok() ? "" : ": " + in.status().message())};
    }
    if (Status s = load_entry(replay, key, value); !s) return s;
    report(replay, file.name, at, bytes.size(), ++keys);
  }
  return {};
}

Status load_binary(const SnapshotFile& file, const Replay& replay, std::uint64_t& keys) {
  const std::string_view bytes = file.mapping->bytes();
  PlioReader in(bytes);
  while (in.position() < bytes.size()) {
    const std::size_t at = in.position();
    Scalar element;
    std::string key_bytes;
    Kind key_kind = Kind::nil;
    bool good = in.next() == PlioReader::Token::open && in.value(element);
    if (good) key_bytes = element.bytes, key_kind = element.kind;
    good = good && in.value(element);
    const std::string value_bytes(element.bytes);
    const Kind value_kind = element.kind;
    if (!good || in.next() != PlioReader::Token::close) {
      return {Code::corrupt, file.name + " at byte " + std::to_string(at) +
                                 ": not (KEY VALUE) in PLIO, the form of picolisp-kv"};
    }
    const Status s = load_entry(replay, {key_bytes, key_kind}, {value_bytes, value_kind});
    if (!s) return s;
    report(replay, file.name, in.position(), bytes.size(), ++keys);
  }
  return {};
}

}  // namespace

Status load_original_snapshot(const SnapshotFile& file, const Replay& replay, std::uint64_t& keys) {
  return file.format == SnapshotFormat::text ? load_text(file, replay, keys)
                                             : load_binary(file, replay, keys);
}

Status replay_original_log(std::string_view bytes, std::string_view name,
                           std::int64_t skip_until_ns, std::int64_t until_ns, const Replay& replay,
                           OriginalScan& scan) {
  std::uint64_t number = 0;
  OriginalLine line;
  OriginalCommand command;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view text = line_at(bytes, at);
    ++number;
    if (!is_empty_line(text)) {
      const char* why = text.back() == '\n' ? read_line(text, line) : "the line does not end";
      if (why == nullptr && !command.read(line.command)) why = "the command is not well-formed";
      if (why != nullptr) {
        scan.bad_line = number;
        scan.reason = why;
        scan.torn = at + text.size() == bytes.size();
        return {};
      }
      if (line.time_ns > until_ns) return {};
      scan.last_ns = std::max(scan.last_ns, line.time_ns);
      if (line.time_ns > skip_until_ns) {
        Status s = replay.apply(line.time_ns, 0, Dialect::plio, command.args());
        // What only gets an error here is left out: nothing says that the original logs no such
        // line.
        if (!s && s.code() != Code::reply) {
          return {s.code(),
                  std::string(name) + " line " + std::to_string(number) + ": " + s.message()};
        }
        ++scan.lines;
        report(replay, name, at, bytes.size(), scan.lines);
      }
    }
    at += text.size();
    scan.good_bytes = at;
  }
  return {};
}

}  // namespace kv
