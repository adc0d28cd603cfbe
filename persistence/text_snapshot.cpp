// kv.db, the text snapshot: a header comment, a line a key, a trailer comment. See snapshot.hpp.
//
//   # kv snapshot 1, as of 1596099036.281142829, chain 2768625435, log follows: 0123456789
//   ("name" "value")
//   ("jobs" ("a" "b"))
//   ("tags" ("a" "b") (type set))
//   ("board" (("Ann" . "7.5") ("Bob" . "12")) (type zset))
//   ("user:1" (("name" . "Ann") ("age" . 7)) (expires 1795167368731) (db 3))
//   # kv end, 5 keys: 0123456789
//
// Both checksums are of every byte before them, the checksums left out (record.hpp's chain).
#include <algorithm>
#include <charconv>
#include <cstring>

#include "libkv/base/clock.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_string.hpp"
#include "libkv/wire/plio.hpp"
#include "persistence/checksum.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

constexpr std::size_t write_bytes = std::size_t{1} << 20;  // written at a time
constexpr std::uint64_t keys_between_progress = 32 * 1024;

void append_number(std::string& out, std::int64_t n) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, n).ptr);
}

bool is_pair_like(const Scalar& element) noexcept { return element.kind == Kind::list; }

/// Called between elements, so that a long line need not be in memory whole. False: stop.
using Pause = FunctionRef<bool()>;

constexpr std::size_t piece_bytes = std::size_t{64} << 10;  // of a long text, without escapes

/// Where to cut a text so that no character is cut: before the last byte that may begin one.
std::size_t piece_of(std::string_view text) noexcept {
  if (text.size() <= piece_bytes) return text.size();
  const auto goes_on = [text](std::size_t at) { return (text[at] & '\xC0') == '\x80'; };
  std::size_t end = piece_bytes;
  while (end > piece_bytes - 3 && goes_on(end)) --end;
  return goes_on(end) ? piece_bytes : end;  // so many in a row are no character
}

/// As append_element, but a long text comes in pieces.
void append_in_pieces(std::string& out, const Scalar& element, Pause pause) {
  std::string_view text = element.bytes;
  if (element.kind != Kind::string || text.size() <= piece_bytes)
    return append_element(out, element);
  out.push_back('"');
  while (!text.empty() && pause()) {
    const std::string_view piece = text.substr(0, piece_of(text));
    const std::size_t at = out.size();
    append_lisp_string(out, piece);
    out.pop_back();
    out.erase(at, 1);  // the quotes of a piece
    text.remove_prefix(piece.size());
  }
  out.push_back('"');
}

/// A reader takes a list whose first element is a list for a hash, unless it is told.
void append_list(std::string& out, Keyspace& keys, const Keyspace::Item& item, bool& ambiguous,
                 Pause pause) {
  Place place = item.place;
  const List list = keys.list(place);
  char before = '(';
  list.visit(0, list.size(), [&](const Scalar& element) {
    if (before == '(') ambiguous = is_pair_like(element);
    out.push_back(before);
    append_in_pieces(out, element, pause);
    before = ' ';
    return pause();
  });
  out.push_back(')');
}

/// (field . value), as PicoLisp writes it: (field) if the value is NIL, (field a b) if it is (a b).
void append_pair(std::string& out, const Hash::Pair& pair, Pause pause) {
  out.push_back('(');
  append_in_pieces(out, pair.field, pause);
  const bool is_list = pair.value.kind == Kind::list;
  if (pair.value.kind != Kind::nil && !is_list) {
    out.append(" . ");
    append_in_pieces(out, pair.value, pause);
  }
  const std::size_t at = out.size();
  if (is_list) append_element(out, pair.value);
  if (is_list && out[at] == '(') {
    out[at] = ' ';  // its own end is the pair's
    return;
  }
  if (is_list) out.insert(at, " . ");
  out.push_back(')');
}

void append_set(std::string& out, Keyspace& keys, const Keyspace::Item& item, Pause pause) {
  Place place = item.place;
  char before = '(';
  keys.set(place).visit([&](const Scalar& member) {
    out.push_back(before);
    append_in_pieces(out, member, pause);
    before = ' ';
    return pause();
  });
  out.push_back(')');
}

void append_sorted_set(std::string& out, Keyspace& keys, const Keyspace::Item& item, Pause pause) {
  Place place = item.place;
  char before = '(';
  keys.sorted_set(place).visit(0, SIZE_MAX, Direction::up, [&](const auto& element) {
    out.push_back(before);
    append_pair(out, {element.member, Scalar(format_decimal(element.score))}, pause);
    before = ' ';
    return pause();
  });
  out.push_back(')');
}

void append_hash(std::string& out, Keyspace& keys, const Keyspace::Item& item, Pause pause) {
  Place place = item.place;
  char before = '(';
  keys.hash(place).visit([&](const Hash::Pair& pair) {
    out.push_back(before);
    append_pair(out, pair, pause);
    before = ' ';
    return pause();
  });
  out.push_back(')');
}

/// Collects text, checks it on the way, and writes it in large pieces.
class TextWriter {
 public:
  explicit TextWriter(File& file) : file_(file) { text_.reserve(write_bytes + write_bytes / 4); }
  std::string& text() { return text_; }
  Status flush_if_large() { return text_.size() < write_bytes ? Status{} : flush(); }
  Status flush() {
    chain_ = crc32(std::string_view(text_).substr(chained_), chain_);
    Status status = file_.write(text_);
    written_ += text_.size();
    text_.clear();
    chained_ = 0;
    return status;
  }
  void seal(std::string_view sealed_text) {
    chain_ = crc32(std::string_view(text_).substr(chained_), chain_);
    chain_ = append_sealed(text_, chain_, sealed_text);
    chained_ = text_.size();
  }
  std::uint64_t written() const { return written_; }

 private:
  File& file_;
  std::string text_;
  std::uint32_t chain_ = 0;
  std::size_t chained_ = 0;  // so much of text_ is in the chain already
  std::uint64_t written_ = 0;
};

void append_line(std::string& out, Keyspace& keys, const Keyspace::Item& item, unsigned database,
                 Pause pause) {
  out.push_back('(');
  append_lisp_string(out, item.key);
  out.push_back(' ');
  std::string_view stated_type;
  if (item.type == Type::string) {
    const Scalar value = keys.string(item.place);
    append_in_pieces(out, value, pause);
    if (value.kind == Kind::list) stated_type = "string";
  } else if (item.type == Type::list) {
    bool ambiguous = false;
    append_list(out, keys, item, ambiguous, pause);
    if (ambiguous) stated_type = "list";
  } else if (item.type == Type::set) {
    append_set(out, keys, item, pause);
    stated_type = "set";
  } else if (item.type == Type::zset) {
    append_sorted_set(out, keys, item, pause);
    stated_type = "zset";
  } else {
    append_hash(out, keys, item, pause);
  }
  if (!stated_type.empty()) out.append(" (type ").append(stated_type).push_back(')');
  if (item.expiry_ms) {
    out.append(" (expires ");
    append_number(out, *item.expiry_ms);
    out.push_back(')');
  }
  if (database != 0) {
    out.append(" (db ");
    append_number(out, database);
    out.push_back(')');
  }
  out.append(")\n", 2);
}

}  // namespace

void append_key_line(std::string& out, Keyspace& keys, const Keyspace::Item& item,
                     unsigned database) {
  append_line(out, keys, item, database, [] { return true; });
}

Status write_text_snapshot(File& file, const SaveJob& job, std::span<Keyspace* const> databases,
                           const ProgressFunction& progress) {
  TextWriter writer(file);
  writer.seal(text_header({job.as_of_ns, job.chain}, job.log_follows));
  std::uint64_t keys = 0;
  Status status;
  for (unsigned number = 0; number < databases.size() && status; ++number) {
    if (databases[number] == nullptr) continue;
    Keyspace& database = *databases[number];
    database.for_each([&](const Keyspace::Item& item) {
      const std::uint64_t before = writer.written();
      append_line(writer.text(), database, item, number, [&] {
        status = writer.flush_if_large();
        return status.ok();
      });
      if (status) status = writer.flush_if_large();
      ++keys;
      if ((keys % keys_between_progress == 0 || writer.written() != before) && progress) {
        progress(
            {.what = "kv.db", .done_bytes = writer.written(), .total_bytes = 0, .items = keys});
      }
      return status.ok();
    });
  }
  if (!status) return status;
  if (status = writer.flush(); !status) return status;
  writer.seal(text_trailer(keys));
  status = writer.flush();
  if (progress) {
    progress({.what = "kv.db",
              .done_bytes = writer.written(),
              .total_bytes = writer.written(),
              .items = keys});
  }
  return status;
}

// --- reading one line ---

bool KeyLineReader::read_pair() {
  Pair pair;
  if (!in_.take('(') || !in_.element(pair.field)) return fail("a pair is not well-formed");
  if (in_.take(" . ")) {
    if (!in_.element(pair.value)) return fail(in_.error());
  } else if (in_.peek(')')) {
    pair.value = {{}, Kind::nil};
  } else if (!in_.rest_of_list(pair.value)) {
    return fail(in_.error());
  }
  if (!in_.take(')')) return fail("a pair does not end");
  if (to_hash_ || to_zset_) return store_pair(pair);
  if (!long_) pairs_.push_back(pair);
  return true;
}

bool KeyLineReader::store_pair(const Pair& pair) {
  if (to_hash_) return to_hash_->set(pair.field, pair.value), true;
  double score = 0;
  const Kind kind = pair.value.kind;
  const bool number =
      (kind == Kind::string || kind == Kind::number) && parse_decimal(pair.value.bytes, score);
  if (!number) return fail("a score is no number");
  return to_zset_->set(pair.field, score) || fail("a member is there twice");
}

bool KeyLineReader::read_list_element() {
  Scalar element;
  if (!in_.element(element)) return fail(in_.error());
  if (to_list_) to_list_->push_back(element);
  else if (to_set_ && !to_set_->add(element)) return fail("a member is there twice");
  else if (!long_) elements_.push_back(element);
  return true;
}

/// As a string, a list or a hash as it looks, unless it is to be a list or a set of either kind.
bool KeyLineReader::read_value(Type as) {
  elements_.clear();
  pairs_.clear();
  if (!in_.peek('(')) {
    type_ = Type::string;
    return in_.element(scalar_) || fail(in_.error());
  }
  in_.take('(');
  const bool of_pairs = (as == Type::hash || as == Type::zset) && in_.peek('(');
  type_ = of_pairs || as == Type::set ? as : Type::list;
  do {
    if (!(of_pairs ? read_pair() : read_list_element())) return false;
    if (long_) in_.forget();
  } while (in_.take(' '));
  return in_.take(')') || fail("the value does not end");
}

bool KeyLineReader::read_items() {
  stated_type_ = Type::none;
  expiry_ms_.reset();
  database_ = 0;
  while (in_.take(" (")) {
    std::uint64_t n = 0;
    if (in_.take("type string")) {
      stated_type_ = Type::string;
    } else if (in_.take("type list")) {
      stated_type_ = Type::list;
    } else if (in_.take("type hash")) {
      stated_type_ = Type::hash;
    } else if (in_.take("type set")) {
      stated_type_ = Type::set;
    } else if (in_.take("type zset")) {
      stated_type_ = Type::zset;
    } else if (in_.take("expires ")) {
      const bool before_1970 = in_.take('-');
      if (!in_.number(n) || n > INT64_MAX) return fail("the expiry is not a number");
      expiry_ms_ = before_1970 ? -static_cast<std::int64_t>(n) : static_cast<std::int64_t>(n);
    } else if (in_.take("db ")) {
      if (!in_.number(n) || n >= limits::databases_max) return fail("the database is no number");
      database_ = static_cast<unsigned>(n);
    } else {
      return fail("an item after the value is not known");
    }
    if (!in_.take(')')) return fail("an item does not end");
  }
  return in_.take(")\n") && in_.done() ? true : fail("the line does not end");
}

/// Of a list, hash or set of either kind: as they were kept or, from a long line, as they are read
/// again.
bool KeyLineReader::store_elements() {
  for (const Scalar& element : elements_) {
    if (to_list_) to_list_->push_back(element);
    else if (!to_set_->add(element)) return fail("a member is there twice");
  }
  for (const Pair& pair : pairs_) {
    if (!store_pair(pair)) return false;
  }
  if (!long_) return true;
  in_.clear(line_);
  in_.skip(value_at_);
  return read_value(type_);
}

bool KeyLineReader::store() {
  Keyspace* const keys = replay_.database(database_);
  if (keys == nullptr) {
    code_ = Code::limit;
    return fail(needs_database(database_));
  }
  Place place = keys->peek(key_, 0);
  place.seen_ms = loaded_ms_;
  if (replace_ && place.found()) keys->erase(place);
  if (type_ == Type::string) {
    keys->set_string(place, scalar_);
  } else {
    if (place.found()) return fail("the key is there twice");
    if (type_ == Type::list) to_list_ = keys->make_list(place);
    else if (type_ == Type::set) to_set_ = keys->make_set(place);
    else if (type_ == Type::zset) to_zset_ = keys->make_sorted_set(place);
    else to_hash_ = keys->make_hash(place);
    const bool good = store_elements();
    to_list_.reset();
    to_hash_.reset();
    to_set_.reset();
    to_zset_.reset();
    if (!good) return keys->erase(place), false;
  }
  if (expiry_ms_) keys->set_expiry(place, expiry_ms_);
  return true;
}

/// The value read as this type, and the items after it.
bool KeyLineReader::read_as(Type type) {
  in_.clear(line_);
  in_.skip(value_at_);
  stated_type_ = Type::none;
  if (type != Type::string) return read_value(type) && read_items();
  type_ = Type::string;
  return (in_.element(scalar_) || fail(in_.error())) && read_items();
}

bool KeyLineReader::read(std::string_view line) {
  in_.clear(line);
  if (!in_.take('(') || !in_.string(key_) || !in_.take(' ')) return fail("the key is missing");
  line_ = line;
  value_at_ = in_.position();
  long_ = line.size() > limits::kept_line_bytes;
  key_ = kept_key_.assign(key_);
  // As it looks first, which is nearly always right; then as the line itself says. A list with a
  // dot is none for a list key: it is one element. A set looks like a list, a sorted set like a
  // hash.
  bool good = read_as(Type::hash);
  if (!good) {
    const std::string why = error_;
    for (const Type type : {Type::list, Type::string}) {
      good = good || (read_as(type) && stated_type_ != Type::none);
    }
    if (!good) return fail(why);
  }
  if (stated_type_ == Type::set && type_ == Type::list) type_ = Type::set;
  if (stated_type_ == Type::zset && type_ == Type::hash) type_ = Type::zset;
  if (stated_type_ != Type::none && stated_type_ != type_) {
    good = read_as(stated_type_) && stated_type_ == type_;
    if (!good) return fail("the value is not of the type the line states");
  }
  return true;
}

// --- the file ---

std::string text_header(const LogPosition& as_of, bool log_follows) {
  return "snapshot " + std::to_string(snapshot_version) + ", as of " +
         format_seconds(as_of.time_ns) + ", chain " + std::to_string(as_of.chain) +
         (log_follows ? ", log follows" : ", no log");
}

std::string text_trailer(std::uint64_t keys) { return "end, " + std::to_string(keys) + " keys"; }

bool parse_text_header(std::string_view sealed, SnapshotHeader& header) {
  ElementReader in;
  in.clear(sealed);
  std::uint64_t version = 0, seconds = 0, nanoseconds = 0, chain = 0;
  if (!in.take("snapshot ") || !in.number(version) || version != snapshot_version ||
      !in.take(", as of ") || !in.digits(10, seconds) || !in.take('.') ||
      !in.digits(9, nanoseconds) || !in.take(", chain ") || !in.number(chain) ||
      chain > UINT32_MAX || seconds > static_cast<std::uint64_t>(INT64_MAX / ns_per_second) - 1) {
    return false;
  }
  header.version = snapshot_version;
  header.as_of.time_ns =
      static_cast<std::int64_t>(seconds) * ns_per_second + static_cast<std::int64_t>(nanoseconds);
  header.as_of.chain = static_cast<std::uint32_t>(chain);
  header.log_follows = in.take(", log follows");
  return (header.log_follows || in.take(", no log")) && in.done();
}

Result<SnapshotHeader> read_text_header(std::string_view bytes, std::string_view name) {
  SnapshotHeader header;
  if (!has_our_marks(bytes)) return header;
  const std::string_view line = bytes.substr(0, std::min(bytes.find('\n'), bytes.size() - 1) + 1);
  const Status corrupt{Code::corrupt, std::string(name) + " line 1: the header is damaged"};
  RecordReader reader;
  if (reader.parse(line) != LineKind::sealed) return corrupt;
  ElementReader in;
  in.clear(reader.sealed_text());
  std::uint64_t version = 0;
  if (!in.take("snapshot ") || !in.number(version)) return corrupt;
  if (reader.chain_after(line, 0) != reader.checksum()) return corrupt;
  if (version != snapshot_version) {
    return Status{Code::unsupported, std::string(name) + " has version " + std::to_string(version) +
                                         ", which this kv does not know; start a newer one"};
  }
  if (!parse_text_header(reader.sealed_text(), header)) return corrupt;
  return header;
}

namespace {

/// One look at a whole file before anything of it is loaded: every byte is right, or where not.
class TextCheck {
 public:
  TextCheck(std::string_view bytes, std::string_view name, SnapshotLoad& load)
      : bytes_(bytes), name_(name), load_(load) {}
  Status run();
  std::string_view body() const { return body_; }  // between header and trailer
  std::uint64_t keys() const { return keys_; }     // as the trailer says

 private:
  Status corrupt(std::string_view why) const {
    return {Code::corrupt, std::string(name_) + ": " + std::string(why)};
  }
  Status corrupt_at(std::size_t byte, std::string_view why);
  Status find_damage(std::uint32_t difference);
  bool find_unreadable(Status& status);

  std::string_view bytes_, name_, body_;
  SnapshotLoad& load_;
  std::size_t trailer_at_ = 0;
  std::uint64_t keys_ = 0, lines_with_keys_ = 0;
};

constexpr std::string_view changed_or_damaged =
    "the file was changed or damaged (after an edit by hand run: ./server --reseal)";
/// In a longer text a chance hit of changed_byte is too likely.
constexpr std::size_t one_byte_search_max = std::size_t{1} << 20;

Status TextCheck::corrupt_at(std::size_t byte, std::string_view why) {
  const std::string_view before = bytes_.substr(0, byte);
  load_.bad_line = static_cast<std::uint64_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const std::size_t line_at = before.rfind('\n');
  load_.bad_byte = line_at == std::string_view::npos ? 0 : line_at + 1;
  return {Code::corrupt, std::string(name_) + " line " + std::to_string(load_.bad_line) +
                             " (byte " + std::to_string(load_.bad_byte) + "): " + std::string(why)};
}

bool TextCheck::find_unreadable(Status& status) {
  const Replay nowhere;
  KeyLineReader reader(nowhere, false);
  for (std::size_t at = 0; at < body_.size();) {
    const std::string_view line = body_.substr(at, body_.find('\n', at) + 1 - at);
    if (line[0] != '#' && line.size() > 1) {
      if (!reader.read(line)) {
        const auto byte = static_cast<std::size_t>(line.data() - bytes_.data());
        status = corrupt_at(byte, reader.error() + ": " + std::string(changed_or_damaged));
        return true;
      }
      ++lines_with_keys_;
    }
    at += line.size();
  }
  return false;
}

/// The checksum covers the whole file, so it does not say where; the lines may.
Status TextCheck::find_damage(std::uint32_t difference) {
  Status status;
  if (find_unreadable(status)) return status;
  const std::string wrong = "the checksum is wrong";
  if (lines_with_keys_ != keys_) {
    return corrupt(wrong + ", the trailer counts " + std::to_string(keys_) +
                   " keys and the file holds " + std::to_string(lines_with_keys_) + ": " +
                   std::string(changed_or_damaged));
  }
  const std::size_t trailer_bytes = bytes_.size() - trailer_at_ - checksum_digits;
  if (body_.size() <= one_byte_search_max) {
    const auto behind = changed_byte(difference, body_.size() + trailer_bytes);
    if (behind && *behind >= trailer_bytes) {
      const std::size_t byte = trailer_at_ - 1 - (*behind - trailer_bytes);
      return corrupt_at(byte, wrong + ", most likely because of one byte of this line: " +
                                  std::string(changed_or_damaged));
    }
  }
  return corrupt(wrong + ", though every line can be read: " + std::string(changed_or_damaged));
}

Status TextCheck::run() {
  const std::size_t body_at = std::min(bytes_.find('\n'), bytes_.size() - 1) + 1;
  const std::size_t break_at =
      bytes_.size() < 2 ? std::string_view::npos : bytes_.rfind('\n', bytes_.size() - 2);
  trailer_at_ = break_at == std::string_view::npos ? 0 : break_at + 1;
  if (trailer_at_ < body_at) return corrupt("the trailer is missing, so the file is not whole");
  const std::string_view header = bytes_.substr(0, body_at);
  const std::string_view trailer = bytes_.substr(trailer_at_);
  RecordReader reader;
  if (reader.parse(header) != LineKind::sealed) return corrupt("the header is damaged");
  body_ = bytes_.substr(body_at, trailer_at_ - body_at);
  const std::uint32_t chain = crc32(body_, reader.chain_after(header, 0));
  if (reader.parse(trailer) != LineKind::sealed) {
    return corrupt_at(trailer_at_, "the trailer is missing, so the file is not whole");
  }
  if (!parse_text_trailer(reader.sealed_text(), keys_)) {
    return corrupt_at(trailer_at_, "the trailer is damaged");
  }
  const std::uint32_t right = reader.chain_after(trailer, chain);
  return right == reader.checksum() ? Status{} : find_damage(right ^ reader.checksum());
}

}  // namespace

Status load_text_snapshot(std::string_view bytes, std::string_view name, const Replay& replay,
                          SnapshotLoad& load) {
  TextCheck check(bytes, name, load);
  if (Status s = check.run(); !s) return s;
  const std::string_view body = check.body();
  const Expected expected(replay, check.keys());
  KeyLineReader reader(replay, load.replace);
  std::uint64_t line_number = 1;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = body.find('\n', at) + 1;  // the body ends with a line break
    const std::string_view line = body.substr(at, end - at);
    at = end;
    ++line_number;
    if (line[0] == '#' || line.size() == 1) continue;
    if (!reader.load(line)) {
      return {reader.code(),
              std::string(name) + " line " + std::to_string(line_number) + ": " + reader.error()};
    }
    if (++load.keys % keys_between_progress == 0 && replay.progress) {
      replay.progress(
          {.what = name, .done_bytes = at, .total_bytes = bytes.size(), .items = load.keys});
    }
  }
  if (load.keys != check.keys()) {
    return {Code::corrupt, std::string(name) + ": the trailer counts " +
                               std::to_string(check.keys()) + " keys, the file holds " +
                               std::to_string(load.keys)};
  }
  return {};
}

}  // namespace kv
