// What goes over pipe_sibling: fixed-size announcements, each written with one atomic write.
//
// The parent announces connections and the ends of children; a new child announces itself before
// its first client byte. After that no child holds the pipe, so an announcement can be believed.
#pragma once

#include <cstdint>
#include <type_traits>

#include "libkv/base/limits.hpp"

namespace kv {

enum class AnnouncementKind : std::uint32_t {
  child = 1,       // pid: its pipes wait to be opened
  connection = 2,  // pid, connection, local, trusted, address: handed to that child
  gone = 3,        // pid: has ended
  segment = 4,     // pid: its bulk segment is there
  rejected = 5,    // the parent has turned a client away
  withdrawn = 6,   // pid, connection: announced, but that child did not get it
};

struct Announcement {
  AnnouncementKind kind{};
  std::int32_t pid = 0;
  std::uint32_t connection = 0;
  std::uint8_t local = 0;       // loopback, Unix socket or command pipe
  std::uint8_t trusted = 0;     // the command pipe: authenticated by the file's permissions
  char address[57] = {};        // "127.0.0.1:40312", zero-terminated
  char local_address[57] = {};  // of our end
};
static_assert(sizeof(Announcement) == limits::announcement_bytes);
static_assert(std::is_trivially_copyable_v<Announcement>);

}  // namespace kv
