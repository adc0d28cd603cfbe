// What the sibling knows of one connection. Lives from the parent's announcement to the child's
// close; commands read and change it, the child never sees it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libkv/commands/transaction.hpp"
#include "libkv/wire/reply.hpp"

namespace kv {

class Channel;  // process/channel.hpp

struct Session {
  std::uint64_t id = 0;      // CLIENT ID: counts up, never reused
  std::uint32_t number = 0;  // of the connection inside its child
  std::int32_t child_pid = 0;
  std::int32_t fd = 0;        // CLIENT LIST's fd: the descriptor's number in the child
  std::string address;        // "127.0.0.1:40312", "/run/kv.sock:0", as the parent saw it
  std::string local_address;  // the end it came in at: "127.0.0.1:6378"; may be empty
  bool local = true;          // loopback, Unix socket or command pipe, as the parent saw it

  bool opened = false;  // its child has said what it speaks
  bool lost = false;    // a reply of it found no memory: it gets no further one
  bool authenticated = false;
  bool was_authenticated = false;  // and its child has been told so: RESET takes no limit back
  Dialect dialect = Dialect::resp;
  std::uint8_t protocol = 2;  // 2 or 3, chosen by HELLO
  unsigned database = 0;
  std::string name, library_name, library_version;
  // Names from the command table, which stays: CLIENT LIST's cmd=.
  std::string_view last_command = "NULL", last_subcommand;

  std::int64_t created_ms = 0;
  std::int64_t guest_since_ms = 0;  // by the clock that never steps: --login-grace begins here
  std::int64_t last_ms = 0;         // of the last request
  std::uint64_t commands = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  unsigned failed_logins = 0;  // in a row

  enum class ReplyMode : std::uint8_t { on, off, skip_next, skipping } reply_mode = ReplyMode::on;
  bool no_evict = false, no_touch = false;
  bool monitor = false;            // is told of every request
  bool close_after_reply = false;  // set by QUIT, CLIENT KILL of itself, a failed PLIO login
  std::uint64_t unread = 0;        // bytes of replies its client has not taken yet
  std::size_t last_reply = 0;      // bytes of the reply before
  bool dead = false;               // its socket is gone; kept until its last request is answered

  // By Topic, how many it listens to; subscriber: any (commands/subscriptions.hpp keeps both).
  std::array<std::uint32_t, 3> subscriptions{};
  bool subscriber = false;
  std::uint64_t unread_messages = 0;  // of unread, about: what was published to it
  std::int64_t behind_since_ms = 0;   // they are many since then, by the clock that never steps

  bool waiting = false;  // its last request waits for a list: those behind it wait for its answer
  std::unique_ptr<Transaction> transaction;  // since MULTI; else null
  bool watched_changed = false;              // a key it watches has: the next EXEC does nothing
  bool no_room = false;                      // for the request that is coming in pieces

  Channel* channel = nullptr;  // where replies go; not owned
};

}  // namespace kv
