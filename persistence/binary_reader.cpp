// The reader of kv.bin. See snapshot.hpp and binary_form.hpp.
//
// The envelope is checked before libdeflate or cereal see a byte: cereal trusts the lengths it
// finds, so every length is compared with what is left before it is believed. A packed block is at
// most packed_bytes_max when unpacked, so a small file cannot ask for much memory.
#include <libdeflate.h>

#include <cereal/archives/binary.hpp>
#include <cmath>
#include <cstring>
#include <future>
#include <istream>
#include <memory>
#include <new>
#include <streambuf>

#include "libkv/base/limits.hpp"
#include "libkv/keyspace/siphash.hpp"
#include "persistence/binary_form.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

using namespace binary_form;  // NOLINT: the two files are one matter

constexpr std::uint64_t blocks_between_progress = 8;

/// Memory as a stream buffer, for cereal to read from.
class MemorySource final : public std::streambuf {
 public:
  explicit MemorySource(std::string_view bytes) {
    char* const start = const_cast<char*>(bytes.data());  // NOLINT: setg wants it; never written
    setg(start, start, start + bytes.size());
  }
  std::size_t left() const { return static_cast<std::size_t>(egptr() - gptr()); }
  /// The next n bytes where they lie; n <= left().
  std::string_view take(std::size_t n) {
    const std::string_view bytes(gptr(), n);
    setg(eback(), gptr() + n, egptr());
    return bytes;
  }

 protected:
  std::streamsize xsgetn(char* to, std::streamsize n) override {
    n = std::min(n, static_cast<std::streamsize>(left()));
    std::memcpy(to, gptr(), static_cast<std::size_t>(n));
    setg(eback(), gptr() + n, egptr());
    return n;
  }
};

/// Runs some items ahead of the reader and has the memory loaded where their keys will go, which is
/// a third of the time of loading. Believes nothing and reports nothing: where it cannot follow, it
/// waits for the reader to come by.
class Scout {
 public:
  Scout(std::string_view raw, const Replay& replay) : raw_(raw), replay_(replay) {}
  /// The reader is at so many bytes, at the start of an item.
  void step(std::size_t reader_at) {
    if (at_ < reader_at) at_ = reader_at, ahead_ = 0;
    if (ahead_ > 0) --ahead_;
    while (ahead_ < distance && look()) ++ahead_;
  }

 private:
  static constexpr unsigned distance = 12;  // Keyspace::prefetch() takes four of them

  bool take(std::size_t& at, std::size_t bytes) const {
    if (bytes > raw_.size() - at) return false;
    at += bytes;
    return true;
  }
  bool take_bytes(std::size_t& at, std::string_view& bytes) const {
    if (at == raw_.size()) return false;
    std::uint32_t length = static_cast<std::uint8_t>(raw_[at++]);
    if (length == 255) {
      if (sizeof length > raw_.size() - at) return false;
      std::memcpy(&length, raw_.data() + at, sizeof length);
      at += sizeof length;
    }
    if (length > raw_.size() - at) return false;
    bytes = raw_.substr(at, length);
    at += length;
    return true;
  }
  /// One string of database 0. False: something else, or the end.
  bool look() {
    if (at_ == raw_.size()) return false;
    const auto flags = static_cast<std::uint8_t>(raw_[at_]);
    std::size_t at = at_ + 1;
    std::string_view key, value;
    if ((flags & ~has_expiry) != static_cast<unsigned>(Type::string)) return false;
    if ((flags & has_expiry) != 0 && !take(at, sizeof(std::int64_t))) return false;
    if (!take_bytes(at, key) || !take(at, 1) || !take_bytes(at, value)) return false;
    if (const Keyspace* database = replay_.database(0); database != nullptr)
      database->prefetch(hash_of(key));
    at_ = at;
    return true;
  }

  std::string_view raw_;
  const Replay& replay_;
  std::size_t at_ = 0;
  unsigned ahead_ = 0;
};

/// Reads the items of one block.
class ItemReader {
 public:
  ItemReader(std::string_view raw, const Replay& replay, bool replace)
      : source_(raw),
        stream_(&source_),
        in_(stream_),
        scout_(raw, replay),
        bytes_(raw.size()),
        replay_(replay),
        replace_(replace) {}
  bool done() const { return source_.left() == 0; }
  /// One item into its database; counts the keys that begin. False with error().
  bool load(std::uint64_t& keys);
  const char* error() const { return error_; }
  /// The number of a database that does not exist, if that was the error.
  std::optional<std::uint32_t> database_needed() const { return database_needed_; }

 private:
  template <class T>
  bool get(T& number) {
    if (source_.left() < sizeof number) return fail("the block ends within an item");
    in_(number);
    return true;
  }
  /// Most of what cereal would be called for are single bytes: 1,000,000 keys took 0.43 s, now 0.37
  /// (each the best of fifteen).
  bool get(std::uint8_t& byte) {
    if (source_.left() == 0) return fail("the block ends within an item");
    byte = static_cast<std::uint8_t>(source_.take(1)[0]);
    return true;
  }
  bool get_bytes(std::string_view& bytes);
  bool get_scalar(Scalar& value);
  bool load_value(Keyspace& keys, Place& place, Type type, bool more);
  bool load_list(Keyspace& keys, Place& place, bool more);
  bool load_hash(Keyspace& keys, Place& place, bool more);
  bool load_set(Keyspace& keys, Place& place, bool more);
  bool load_sorted_set(Keyspace& keys, Place& place, bool more);
  bool fail(const char* why) {
    error_ = why;
    return false;
  }

  MemorySource source_;
  std::istream stream_;
  cereal::BinaryInputArchive in_;
  Scout scout_;
  const std::size_t bytes_;
  const Replay& replay_;
  const bool replace_;
  const std::int64_t loaded_ms_ = wall_ns() / 1'000'000;  // the first access of every key
  const char* error_ = "";
  std::optional<std::uint32_t> database_needed_;
};

bool ItemReader::get_bytes(std::string_view& bytes) {
  std::uint8_t small = 0;
  if (!get(small)) return false;
  std::uint32_t length = small;
  if (small == 255 && !get(length)) return false;
  if (length > source_.left() || length > limits::value_bytes_max) {
    return fail("a length is larger than what is left");
  }
  bytes = source_.take(length);
  return true;
}

bool ItemReader::get_scalar(Scalar& value) {
  std::uint8_t kind = 0;
  if (!get(kind)) return false;
  if (kind > static_cast<std::uint8_t>(Kind::list)) return fail("a kind is not known");
  value.kind = static_cast<Kind>(kind);
  return get_bytes(value.bytes);
}

bool ItemReader::load_list(Keyspace& keys, Place& place, bool more) {
  std::uint32_t count = 0;
  if (!get(count)) return false;
  if (count == 0) return fail("a list is empty");
  List list = more ? keys.list(place) : keys.make_list(place);
  Scalar element;
  for (; count > 0; --count) {
    if (!get_scalar(element)) return false;
    list.push_back(element);
  }
  return true;
}

bool ItemReader::load_hash(Keyspace& keys, Place& place, bool more) {
  std::uint32_t count = 0;
  if (!get(count)) return false;
  if (count == 0) return fail("a hash is empty");
  Hash hash = more ? keys.hash(place) : keys.make_hash(place);
  Hash::Pair pair;
  for (; count > 0; --count) {
    if (!get_scalar(pair.field) || !get_scalar(pair.value)) return false;
    if (!hash.set(pair.field, pair.value)) return fail("a field is there twice");
  }
  return true;
}

bool ItemReader::load_set(Keyspace& keys, Place& place, bool more) {
  std::uint32_t count = 0;
  if (!get(count)) return false;
  if (count == 0) return fail("a set is empty");
  Set set = more ? keys.set(place) : keys.make_set(place);
  Scalar member;
  for (; count > 0; --count) {
    if (!get_scalar(member)) return false;
    if (!set.add(member)) return fail("a member is there twice");
  }
  return true;
}

bool ItemReader::load_sorted_set(Keyspace& keys, Place& place, bool more) {
  std::uint32_t count = 0;
  if (!get(count)) return false;
  if (count == 0) return fail("a sorted set is empty");
  SortedSet set = more ? keys.sorted_set(place) : keys.make_sorted_set(place);
  SortedSet::Element element;
  for (; count > 0; --count) {
    if (!get_scalar(element.member) || !get(element.score)) return false;
    if (std::isnan(element.score)) return fail("a score is no number");
    if (!set.set(element.member, element.score)) return fail("a member is there twice");
  }
  return true;
}

bool ItemReader::load_value(Keyspace& keys, Place& place, Type type, bool more) {
  switch (type) {
    case Type::string: {
      Scalar value;
      if (more) return fail("a string is continued");
      if (!get_scalar(value)) return false;
      keys.set_string(place, value);
      return true;
    }
    case Type::list: return load_list(keys, place, more);
    case Type::hash: return load_hash(keys, place, more);
    case Type::set: return load_set(keys, place, more);
    case Type::zset: return load_sorted_set(keys, place, more);
    case Type::none: break;
  }
  return fail("an item has no type that is known");
}

bool ItemReader::load(std::uint64_t& keys) {
  std::uint8_t flags = 0;
  std::uint32_t number = 0;
  std::int64_t expiry_ms = 0;
  std::string_view key;
  scout_.step(bytes_ - source_.left());
  if (!get(flags)) return false;
  if ((flags & ~known_flags) != 0) return fail("an item has flags that are not known");
  if (((flags & has_database) != 0 && !get(number)) ||
      ((flags & has_expiry) != 0 && !get(expiry_ms)) || !get_bytes(key)) {
    return false;
  }
  Keyspace* const database = replay_.database(number);
  if (database == nullptr) {
    database_needed_ = number;
    return fail("a database does not exist");
  }
  const Type type = type_of(flags);
  const bool more = (flags & continues) != 0;
  Place place = database->peek(key, 0);
  place.seen_ms = loaded_ms_;
  if (more) {
    if (!place.found() || database->type(place) != type) return fail("a continued key is missing");
  } else {
    if (place.found() && !replace_) return fail("a key is there twice");
    if (place.found()) database->erase(place);
    ++keys;
  }
  if (!load_value(*database, place, type, more)) return false;
  if ((flags & has_expiry) != 0) database->set_expiry(place, expiry_ms);
  return true;
}

/// A block of the file, whole and checked, not unpacked yet.
struct Block {
  BlockHead head{};
  std::string_view bytes;
  std::size_t at = 0;  // in the file
};

/// Takes blocks off the file one after the other.
class BlockReader {
 public:
  BlockReader(std::string_view bytes, std::string_view name, std::uint32_t checksum)
      : bytes_(bytes), name_(name), checksum_(checksum), at_(sizeof(FileHead)) {}

  Status next(Block& block) {
    block.at = at_;
    const std::size_t left = bytes_.size() - at_;
    if (left < sizeof(BlockHead)) {
      return corrupt("the end is missing, so the file is not whole", at_);
    }
    std::memcpy(&block.head, bytes_.data() + at_, sizeof(BlockHead));
    const BlockHead& head = block.head;
    const bool end = head.method == Method::end;
    if (!end && head.file_bytes > left - sizeof(BlockHead)) {
      return corrupt("a block is longer than the file", at_);
    }
    block.bytes = bytes_.substr(at_ + sizeof(BlockHead), end ? 0 : head.file_bytes);
    if (block_checksum(head, block.bytes, checksum_) != head.checksum) {
      return corrupt("the checksum of a block is wrong", at_);
    }
    checksum_ = head.checksum;
    if (const char* why = wrong_lengths(head); why != nullptr) return corrupt(why, at_);
    at_ += sizeof(BlockHead) + block.bytes.size();
    if (end && at_ != bytes_.size()) return corrupt("something follows the end", at_);
    return {};
  }
  std::string name() const { return std::string(name_); }
  Status corrupt(std::string_view why, std::size_t at) const {
    return {Code::corrupt,
            std::string(name_) + " at byte " + std::to_string(at) + ": " + std::string(why)};
  }

 private:
  static const char* wrong_lengths(const BlockHead& head) {
    switch (head.method) {
      case Method::stored:
        if (head.raw_bytes == head.file_bytes && head.raw_bytes <= raw_bytes_max) return nullptr;
        return "the lengths of a block contradict each other";
      case Method::zlib:
        return head.raw_bytes <= packed_bytes_max ? nullptr : "a packed block is too large";
      case Method::end: return head.items == 0 ? nullptr : "the end is damaged";
    }
    return "a block is packed in a way that is not known";
  }

  std::string_view bytes_, name_;
  std::uint32_t checksum_;
  std::size_t at_;
};

bool unpack(const Block& block, std::string& raw) {
  raw.resize(block.head.raw_bytes);
  const std::unique_ptr<libdeflate_decompressor, decltype(&::libdeflate_free_decompressor)> tool(
      ::libdeflate_alloc_decompressor(), &::libdeflate_free_decompressor);
  if (!tool) throw std::bad_alloc();
  // Without a place for the size found it must be exactly this one.
  return ::libdeflate_zlib_decompress(tool.get(), block.bytes.data(), block.bytes.size(),
                                      raw.data(), raw.size(), nullptr) == LIBDEFLATE_SUCCESS;
}

/// A block checked and unpacked; made in a second thread while the one before it is loaded.
struct Prepared {
  Status status;
  Block block;
  std::string unpacked;
  std::string_view raw() const {
    return block.head.method == Method::zlib ? std::string_view(unpacked) : block.bytes;
  }
};

Prepared prepare(BlockReader& reader) {
  Prepared next;
  next.status = reader.next(next.block);
  if (next.status && next.block.head.method == Method::zlib && !unpack(next.block, next.unpacked)) {
    next.status = reader.corrupt("a block cannot be unpacked", next.block.at);
  }
  return next;
}

Status load_block(const Prepared& block, const BlockReader& reader, const Replay& replay,
                  SnapshotLoad& load) {
  ItemReader items(block.raw(), replay, load.replace);
  std::uint32_t loaded = 0;
  for (; !items.done(); ++loaded) {
    if (!items.load(load.keys)) {
      if (const auto number = items.database_needed()) {
        return {Code::limit, reader.name() + ": " + needs_database(*number)};
      }
      return reader.corrupt("in the block there: " + std::string(items.error()), block.block.at);
    }
  }
  if (loaded == block.block.head.items) return {};
  return reader.corrupt("a block has another number of items than it says", block.block.at);
}

std::uint64_t keys_of(const BlockHead& end) noexcept {
  return end.raw_bytes + (std::uint64_t{end.file_bytes} << 32);
}

/// What the end says, before anything is checked: hence never more than costs about as much memory
/// as the file has bytes. A file packed tighter than that is loaded with a few splits.
std::uint64_t keys_at_the_end(std::string_view bytes) {
  BlockHead head{};
  if (bytes.size() < sizeof head) return 0;
  std::memcpy(&head, bytes.data() + bytes.size() - sizeof head, sizeof head);
  constexpr std::size_t table_bytes_a_key = 10;  // keyspace/table.hpp
  if (head.method != Method::end) return 0;
  return std::min<std::uint64_t>(keys_of(head), bytes.size() / table_bytes_a_key);
}

}  // namespace

Result<SnapshotHeader> read_binary_header(std::string_view bytes, std::string_view name) {
  SnapshotHeader header;
  if (!bytes.starts_with(magic)) return header;
  const Status corrupt{Code::corrupt, std::string(name) + " at byte 0: the header is damaged"};
  FileHead head{};
  if (bytes.size() < sizeof head) return corrupt;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (crc32(bytes_of(head).substr(0, offsetof(FileHead, checksum))) != head.checksum) {
    return corrupt;
  }
  if (head.version != snapshot_version) {
    return Status{Code::unsupported, std::string(name) + " has version " +
                                         std::to_string(head.version) +
                                         ", which this kv does not know; start a newer one"};
  }
  if (head.flags > 1 || head.as_of_ns < 0) return corrupt;
  header.version = head.version;
  header.as_of = {head.as_of_ns, head.chain};
  header.log_follows = head.flags == 1;
  return header;
}

Status load_binary_snapshot(std::string_view bytes, std::string_view name, const Replay& replay,
                            SnapshotLoad& load) {
  const Result<SnapshotHeader> header = read_binary_header(bytes, name);
  if (!header) return header.status();
  FileHead head{};
  std::memcpy(&head, bytes.data(), sizeof head);
  BlockReader reader(bytes, name, head.checksum);
  const Expected expected(replay, keys_at_the_end(bytes));
  std::future<Prepared> next = std::async(std::launch::async, [&] { return prepare(reader); });
  for (std::uint64_t blocks = 0;; ++blocks) {
    const Prepared block = next.get();
    if (!block.status) return block.status;
    if (block.block.head.method == Method::end) {
      if (keys_of(block.block.head) == load.keys) return {};
      return reader.corrupt("the end counts another number of keys than the file holds",
                            block.block.at);
    }
    next = std::async(std::launch::async, [&] { return prepare(reader); });
    if (Status loaded = load_block(block, reader, replay, load); !loaded) return loaded;
    if (replay.progress && blocks % blocks_between_progress == 0) {
      replay.progress({.what = name,
                       .done_bytes = block.block.at,
                       .total_bytes = bytes.size(),
                       .items = load.keys});
    }
  }
}

}  // namespace kv
