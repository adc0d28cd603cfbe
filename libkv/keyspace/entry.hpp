// The layout of one entry: a key and its value in one allocation, or a field of a large hash, or a
// member of a large set or sorted set.
//
//   byte 0    form (4 bits), has expiry, is a field, was appended to, is padded
//   byte 1    kind of the value (3 bits), kind of the field (3 bits)
//   4 bytes   last access: seconds (24 bits), logarithmic frequency (8 bits); not in fields
//   8 bytes   expiry, milliseconds since 1970; only if there is one
//   varint    length of the key, then its bytes
//   payload   as the form says:
//     string_inline   varint length, bytes
//     string_large    LargeString
//     list_packed     PackedHead, elements            hash_packed   PackedHead, field, value, ...
//     list_large      ListDeque*                      hash_large    LargeHash*
//     set_packed      PackedHead, members             set_large     LargeHash* of members
//     member          4 bytes: its number in a large set (member_order.hpp)
//     zset_packed     PackedHead, score, member, ...  zset_large    LargeSortedSet*
//
// A 16-byte key with a 32-byte value takes 2 + 4 + 1 + 16 + 1 + 32 = 56 bytes, a size class of the
// arena; with the table and everything else a million of them take 67.7 resident bytes each
// (redis-server 7.0.15: 148.7), a million hashes of five small fields 124 (210). The size of the
// allocation follows from the content (bytes()), so it is nowhere stored; only when an entry should
// shrink and there is no memory for the smaller one, it stays where it is, is marked as padded and
// has the size of its allocation behind its content. Nothing here is aligned; numbers go through
// memcpy. Never written to disk.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/varint.hpp"
#include "libkv/value/scalar.hpp"

namespace kv {

enum class Form : std::uint8_t {
  string_inline,
  string_large,
  list_packed,
  list_large,
  hash_packed,
  hash_large,
  set_packed,
  set_large,
  member,
  zset_packed,
  zset_large,
};

/// A value too big for its entry: an allocation of its own, with room to append.
struct LargeString {
  unsigned char* data;
  std::uint64_t size;      // bytes of the value
  std::uint64_t capacity;  // bytes of the allocation
};

/// What a packed list, hash, set or sorted set begins with. 16 bits are enough: see
/// packed_bytes_max.
struct PackedHead {
  std::uint16_t count;  // elements; of a hash: pairs; of a sorted set: members
  std::uint16_t bytes;  // of all elements, this head excluded
};

class ListDeque;
struct LargeHash;
struct LargeSortedSet;

/// Strings up to this many bytes lie inside the entry. Beyond it a copy of the whole entry for each
/// change costs more than a second allocation.
inline constexpr std::size_t inline_value_max = 4000;
/// Lists, hashes and all sets whose key is longer than this are never packed, for the same reason.
inline constexpr std::size_t packed_key_max = 4096;

/// Reads an unaligned T.
template <class T>
T load(const unsigned char* p) noexcept {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
template <class T>
void store(unsigned char* p, const T& value) noexcept {
  std::memcpy(p, &value, sizeof value);
}

inline const unsigned char* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline std::string_view text_of(const unsigned char* p, std::size_t bytes) noexcept {
  return {reinterpret_cast<const char*>(p), bytes};
}
/// memcpy that takes a null source of no bytes.
inline void copy_bytes(unsigned char* to, const void* from, std::size_t bytes) noexcept {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

class Entry {
 public:
  /// What everything before the payload depends on.
  struct Head {
    Form form = Form::string_inline;
    bool field = false;
    bool appended = false;         // of a set: is more than what Redis keeps as an intset
    Kind kind = Kind::string;      // of a string value
    Kind key_kind = Kind::string;  // of a field's name
    std::uint32_t access = 0;
    std::optional<std::int64_t> expiry;
  };

  Form form() const noexcept { return static_cast<Form>(at()[0] & 15u); }
  bool has_expiry() const noexcept { return (at()[0] & expiry_bit_) != 0; }
  bool is_field() const noexcept { return (at()[0] & field_bit_) != 0; }
  bool appended() const noexcept { return (at()[0] & appended_bit_) != 0; }
  bool padded() const noexcept { return (at()[0] & padded_bit_) != 0; }
  Kind kind() const noexcept { return static_cast<Kind>(at()[1] & 7u); }
  Kind key_kind() const noexcept { return static_cast<Kind>((at()[1] >> 3) & 7u); }
  void set_appended(bool on) noexcept {
    at()[0] = static_cast<unsigned char>(on ? at()[0] | appended_bit_ : at()[0] & ~appended_bit_);
  }
  void set_kind(Kind kind) noexcept {
    at()[1] = static_cast<unsigned char>((at()[1] & ~7u) | static_cast<unsigned>(kind));
  }

  std::uint32_t access() const noexcept { return load<std::uint32_t>(at() + 2); }
  void set_access(std::uint32_t access) noexcept { store(at() + 2, access); }
  /// Only if has_expiry().
  std::int64_t expiry() const noexcept { return load<std::int64_t>(at() + 6); }
  void set_expiry(std::int64_t ms) noexcept { store(at() + 6, ms); }

  std::string_view key() const noexcept {
    const unsigned char* p = at() + prefix_bytes();
    const auto bytes = static_cast<std::size_t>(read_varint(p));
    return text_of(p, bytes);
  }
  unsigned char* payload() noexcept { return const_cast<unsigned char*>(end_of_key()); }
  const unsigned char* payload() const noexcept { return end_of_key(); }

  /// Bytes of the payload, from its own content.
  std::size_t payload_bytes() const noexcept {
    const unsigned char* p = payload();
    switch (form()) {
      case Form::string_inline: {
        const unsigned char* start = p;
        const auto bytes = static_cast<std::size_t>(read_varint(p));
        return static_cast<std::size_t>(p - start) + bytes;
      }
      case Form::string_large: return sizeof(LargeString);
      case Form::list_packed:
      case Form::hash_packed:
      case Form::set_packed:
      case Form::zset_packed: return sizeof(PackedHead) + load<PackedHead>(p).bytes;
      case Form::list_large:
      case Form::hash_large:
      case Form::set_large:
      case Form::zset_large: return sizeof(void*);
      case Form::member: return sizeof(std::uint32_t);
    }
    return 0;
  }
  /// Bytes of the content.
  std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(payload() - at()) + payload_bytes();
  }
  /// Bytes to give to Pool::deallocate.
  std::size_t allocated() const noexcept {
    const std::size_t content = bytes();
    return padded() ? static_cast<std::size_t>(load<std::uint64_t>(at() + content)) : content;
  }
  /// After the content has shrunk in place to less than the allocation's class.
  void pad(std::size_t allocation) noexcept {
    at()[0] |= padded_bit_;
    store(at() + bytes(), std::uint64_t{allocation});
  }
  void unpad() noexcept { at()[0] &= static_cast<unsigned char>(~padded_bit_); }
  bool contains(const char* p) const noexcept {
    const auto* byte = reinterpret_cast<const unsigned char*>(p);
    return byte >= at() && byte < at() + bytes();
  }

  Head head() const noexcept {
    Head head{form(), is_field(), appended(), kind(), key_kind(), 0, std::nullopt};
    if (!head.field) head.access = access();
    if (has_expiry()) head.expiry = expiry();
    return head;
  }

  /// The value of a string form.
  Scalar string() const noexcept {
    const unsigned char* p = payload();
    if (form() == Form::string_large) {
      const auto large = load<LargeString>(p);
      return {text_of(large.data, large.size), kind()};
    }
    const auto bytes = static_cast<std::size_t>(read_varint(p));
    return {text_of(p, bytes), kind()};
  }

  static std::size_t bytes_for(const Head& head, std::string_view key,
                               std::size_t payload) noexcept {
    const std::size_t fixed = head.field ? 2u : (head.expiry ? 14u : 6u);
    return fixed + varint_bytes(key.size()) + key.size() + payload;
  }
  /// A new entry with room for a payload of that many bytes, which the caller writes. Throws
  /// std::bad_alloc. Free it with free_entry() once the payload is there.
  static Entry* create(Pool& pool, const Head& head, std::string_view key, std::size_t payload);
  /// Writes everything but the payload to memory of bytes_for() bytes; returns the payload's place.
  static unsigned char* write_head(unsigned char* p, const Head& head,
                                   std::string_view key) noexcept;

 private:
  static constexpr unsigned expiry_bit_ = 16, field_bit_ = 32, appended_bit_ = 64,
                            padded_bit_ = 128;

  unsigned char* at() noexcept { return reinterpret_cast<unsigned char*>(this); }
  const unsigned char* at() const noexcept { return reinterpret_cast<const unsigned char*>(this); }
  std::size_t prefix_bytes() const noexcept { return is_field() ? 2u : (has_expiry() ? 14u : 6u); }
  const unsigned char* end_of_key() const noexcept {
    const unsigned char* p = at() + prefix_bytes();
    const auto bytes = static_cast<std::size_t>(read_varint(p));
    return p + bytes;
  }
};

/// Frees the entry alone.
void free_entry(Pool& pool, Entry* entry) noexcept;
/// Frees the entry and what its payload points to.
void destroy_entry(Pool& pool, Entry* entry) noexcept;

/// A string entry (of a key or a field) with this value, inline or large by its size.
Entry* create_string(Pool& pool, Entry::Head head, std::string_view key, std::string_view value);
/// The same content and payload under another head and key. The old entry is still there: free it
/// with free_entry(), since what the payload points to now belongs to the new one.
Entry* recreate(Pool& pool, const Entry& old, const Entry::Head& head, std::string_view key);
/// Counts what the payload points to as the other owner's.
void hand_over_payload(const Entry& entry, Pool& from, Pool& to) noexcept;
/// Puts another value into a string entry without a new allocation, if it fits. The head stays.
bool overwrite_string(Entry& entry, std::string_view value) noexcept;
/// Bytes the entry holds, everything its payload points to included.
std::size_t total_bytes(const Entry& entry) noexcept;

}  // namespace kv
