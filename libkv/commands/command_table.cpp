// The one command table: all families' rows together, found by name.
//
// A name is found with three loads, a multiplication and one comparison: the table is built once so
// that no two names share a place in its index. Who adds a command adds a row to its family;
// nothing is to be done here, unless the family is new.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/commands/command.hpp"

namespace kv {
namespace {

/// A name in lower case as two overlapping words of at most eight bytes, and its length. Names of
/// up to 16 letters are equal exactly if these are.
struct NameWords {
  std::uint64_t head = 0, tail = 0;
  std::size_t size = 0;
  friend bool operator==(const NameWords&, const NameWords&) = default;
};

constexpr std::size_t exact_size_max = 16;
// Sets the bit that tells small letters from capital ones in ASCII.
constexpr std::uint64_t small_letters = 0x2020202020202020u;

template <class Word>
std::uint64_t load(const char* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

NameWords words_of(std::string_view name) noexcept {
  const char* first = name.data();
  const char* end = first + name.size();
  NameWords words{.size = name.size()};
  if (name.size() >= 8) {
    words.head = load<std::uint64_t>(first), words.tail = load<std::uint64_t>(end - 8);
  } else if (name.size() >= 4) {
    words.head = load<std::uint32_t>(first), words.tail = load<std::uint32_t>(end - 4);
  } else if (!name.empty()) {  // first, middle and last: with the size, all of them
    for (const char c : {name.front(), name[name.size() / 2], name.back()}) {
      words.head = words.head << 8 | static_cast<unsigned char>(c);
    }
  }
  words.head |= small_letters, words.tail |= small_letters;
  return words;
}

class CommandTable {
 public:
  CommandTable() {
    for (const auto family : {string_commands(),
                              string_range_commands(),
                              number_commands(),
                              list_commands(),
                              list_edit_commands(),
                              list_move_commands(),
                              hash_commands(),
                              hash_more_commands(),
                              set_commands(),
                              set_combine_commands(),
                              sorted_set_commands(),
                              sorted_set_range_commands(),
                              sorted_set_pop_commands(),
                              sorted_set_combine_commands(),
                              bit_commands(),
                              bitfield_commands(),
                              generic_commands(),
                              serialised_commands(),
                              keyspace_commands(),
                              expiry_commands(),
                              connection_commands(),
                              transaction_commands(),
                              pubsub_commands(),
                              server_commands(),
                              introspection_commands()}) {
      for (const Command& row : family) rows_.push_back(&row);
    }
    std::sort(rows_.begin(), rows_.end(),
              [](const Command* a, const Command* b) { return a->name < b->name; });
    make_slots();
    while (!place_all()) factor_ += 2 * first_factor;  // stays odd
  }

  const Command* find(std::string_view name) const noexcept {
    const NameWords words = words_of(name);
    const Slot& slot = slots_[index_[index_of(words)]];
    if (slot.row == nullptr || !(slot.words == words)) return nullptr;
    if (slot.exact || equals_ignoring_case(name, slot.row->name)) return slot.row;
    return nullptr;
  }

  std::span<const Command* const> rows() const noexcept { return rows_; }

 private:
  struct Slot {
    NameWords words;
    const Command* row = nullptr;
    bool exact = false;  // letters alone, so that equal words mean equal names
  };
  // Sparse, so that a factor without clashes is near: 350 names find one after some thousand tries.
  static constexpr unsigned index_bits = 13;
  static constexpr std::uint64_t first_factor = 0x9E3779B97F4A7C15u;

  std::size_t index_of(const NameWords& words) const noexcept {
    const std::uint64_t mixed = words.head + words.tail * 31 + words.size;
    return static_cast<std::size_t>((mixed ^ (mixed >> 29)) * factor_ >> (64 - index_bits));
  }

  void make_slots() {
    slots_.assign(1, {});  // where the index leads that has no name
    for (const Command* row : rows_) {
      const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
      slots_.push_back({words_of(row->name), row,
                        row->name.size() <= exact_size_max &&
                            std::all_of(row->name.begin(), row->name.end(), is_letter)});
    }
  }

  /// False if two names share a place with this factor.
  bool place_all() {
    index_.fill(0);
    for (std::uint16_t i = 1; i < slots_.size(); ++i) {
      std::uint16_t& place = index_[index_of(slots_[i].words)];
      if (place != 0) return false;
      place = i;
    }
    return true;
  }

  std::vector<const Command*> rows_;
  std::vector<Slot> slots_;  // the first one has no row
  std::array<std::uint16_t, std::size_t{1} << index_bits> index_;
  std::uint64_t factor_ = first_factor;
};

const CommandTable& table() noexcept {
  static const CommandTable table;
  return table;
}

}  // namespace

const Command* find_command(std::string_view name) noexcept { return table().find(name); }

std::span<const Command* const> all_commands() noexcept { return table().rows(); }

std::string_view group_name(Group group) noexcept {
  constexpr std::array<std::string_view, 11> names = {
      "string",  "list",       "hash",   "set",          "sorted-set", "bitmap",
      "generic", "connection", "server", "transactions", "pubsub"};
  return names[static_cast<std::size_t>(group)];
}

}  // namespace kv
