// LOLWUT: a picture, and the version at the end.
//
// The picture is one path through a maze, drawn from its version and size alone, so that the same
// request always gives the same picture: four versions, four tempers of the maze.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

constexpr std::int64_t kColumnsDefault = 30, kColumnsMax = 120;
constexpr std::int64_t kRowsDefault = 8, kRowsMax = 60;

// A 64-bit step of Marsaglia's xorshift (Journal of Statistical Software 8/14, 2003).
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t roll(std::uint64_t sides) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % sides;
  }

 private:
  std::uint64_t state_;
};

// A maze as rooms whose doors are bits: up 1, right 2, down 4, left 8.
class Maze {
 public:
  Maze(std::size_t columns, std::size_t rows, std::uint64_t temper)
      : columns_(columns), rows_(rows), doors_(columns * rows), dice_(temper), temper_(temper % 4) {
    dig();
  }

  std::string picture() const {
    // One glyph for each set of doors, 0 to 15.
    static constexpr std::string_view kGlyphs[16] = {" ", "╵", "╶", "└", "╷", "│", "┌", "├",
                                                     "╴", "┘", "─", "┴", "┐", "┤", "┬", "┼"};
    std::string text;
    for (std::size_t row = 0; row < rows_; ++row) {
      for (std::size_t column = 0; column < columns_; ++column)
        text += kGlyphs[doors_[row * columns_ + column]];
      text += '\n';
    }
    return text;
  }

 private:
  // Opens a door to a room not yet seen until none is left. The temper says which of the open rooms
  // goes on: the last one (long corridors), the first (bushes), any, or mostly the last.
  void dig() {
    std::vector<std::size_t> open{dice_.roll(doors_.size())};
    while (!open.empty()) {
      const std::size_t chosen = choose(open.size());
      const std::size_t room = open[chosen];
      const std::size_t next = open_door(room);
      if (next == room) open.erase(open.begin() + static_cast<std::ptrdiff_t>(chosen));
      else open.push_back(next);
    }
  }

  std::size_t choose(std::size_t count) {
    switch (temper_) {
      case 0: return count - 1;
      case 1: return dice_.roll(std::min<std::size_t>(count, 3));
      case 2: return dice_.roll(count);
      default: return dice_.roll(6) == 0 ? dice_.roll(count) : count - 1;
    }
  }

  // The room behind the new door, or the same room if every neighbour has been seen.
  std::size_t open_door(std::size_t room) {
    const std::size_t row = room / columns_, column = room % columns_;
    const std::size_t first = dice_.roll(4);
    for (std::size_t turn = 0; turn < 4; ++turn) {
      const std::size_t side = (first + turn) % 4;
      const bool wall = (side == 0 && row == 0) || (side == 1 && column + 1 == columns_) ||
                        (side == 2 && row + 1 == rows_) || (side == 3 && column == 0);
      if (wall) continue;
      const std::size_t next = side == 0   ? room - columns_
                               : side == 1 ? room + 1
                               : side == 2 ? room + columns_
                                           : room - 1;
      if (doors_[next] != 0) continue;
      doors_[room] = static_cast<std::uint8_t>(doors_[room] | 1u << side);
      doors_[next] = static_cast<std::uint8_t>(doors_[next] | 1u << (side + 2) % 4);
      return next;
    }
    return room;
  }

  std::size_t columns_, rows_;
  std::vector<std::uint8_t> doors_;
  Dice dice_;
  std::uint64_t temper_;
};

}  // namespace

void run_lolwut(Call& call) {
  std::int64_t version = 1, columns = kColumnsDefault, rows = kRowsDefault;
  std::size_t next = 1;
  if (call.argc() >= 3 && call.is(1, "VERSION")) {
    if (!call.integer(2, version)) return;
    next = 3;
  }
  if (call.argc() > next && !call.integer(next, columns)) return;
  if (call.argc() > next + 1 && !call.integer(next + 1, rows)) return;
  columns = std::clamp<std::int64_t>(columns, 1, kColumnsMax);
  rows = std::clamp<std::int64_t>(rows, 1, kRowsMax);
  const Maze maze(static_cast<std::size_t>(columns), static_cast<std::size_t>(rows),
                  static_cast<std::uint64_t>(version));
  call.reply.verbatim(maze.picture() + "\nkv ver. " KV_VERSION "\n");
}

}  // namespace kv
