// One execution of a command: its arguments, its database, its clock, its reply.
//
// The shape of every write command is: look, refuse or answer "nothing to do" and return;
//     if (!call.commit()) return;
// then change and answer. Up to commit() the function must not change anything; after it, it must
// not fail. The engine runs a write twice: once to learn whether it gets as far as commit() (only
// then is a line logged), and, after the log is written, to do it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "libkv/commands/command.hpp"
#include "libkv/commands/services.hpp"
#include "libkv/commands/session.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "libkv/value/scalar.hpp"
#include "libkv/wire/reply.hpp"

namespace kv {

/// hash_of() of arguments of a request, where somebody has needed them before; 0: nobody has.
struct KnownHashes {
  std::uint64_t key = 0;    // of args[1]
  std::uint64_t field = 0;  // of args[2]
};

class Call {
 public:
  Call(Services& server_, Session& session_, const Command& command_, std::span<const Scalar> args,
       std::int64_t now_ns, std::string& out, const KnownHashes& hashes = {})
      : reply(out, session_.dialect),
        server(server_),
        session(session_),
        command(command_),
        args_(args),
        now_ns_(now_ns),
        hashes_(hashes) {}

  // --- arguments; 0 is the command word ---
  std::size_t argc() const noexcept { return args_.size(); }
  std::string_view arg(std::size_t i) const noexcept { return args_[i].bytes; }
  const Scalar& scalar(std::size_t i) const noexcept { return args_[i]; }
  std::span<const Scalar> args() const noexcept { return args_; }
  /// True if argument i is this word, in any case.
  bool is(std::size_t i, std::string_view word) const noexcept;
  /// Argument i as a 64-bit integer by Redis's strict rules; otherwise answers
  /// "ERR value is not an integer or out of range" and returns false. Over PLIO, for an index or
  /// count, use plio_number() instead where picolisp-kv's rules differ.
  bool integer(std::size_t i, std::int64_t& n);

  // --- the keyspace ---
  /// Of the session's database.
  Keyspace& keys() noexcept {
    if (keys_ == nullptr || keys_of_ != session.database) [[unlikely]] {
      keys_of_ = session.database;
      keys_ = &server.database(keys_of_);
    }
    return *keys_;
  }
  /// The key at argument i, with the access noted unless this is the trial run.
  Place locate(std::size_t i);
  /// As locate; if something of another type is there, answers WRONGTYPE and returns false.
  bool locate(std::size_t i, Type type, Place& place);
  /// Of the field at argument i, if it is known; else 0.
  std::uint64_t field_hash(std::size_t i) const noexcept { return i == 2 ? hashes_.field : 0; }
  void wrong_type();  ///< answers WRONGTYPE (PLIO: NIL or 0, as the row says)

  // --- the clock: the log line's own time, never the wall ---
  std::int64_t now_ns() const noexcept { return now_ns_; }
  std::int64_t now_ms() const noexcept { return now_ns_ / 1'000'000; }

  /// The point of no return of a write. False in the trial run: return at once.
  bool commit() noexcept {
    committed_ = true;
    return !trial_;
  }
  bool committed() const noexcept { return committed_; }
  void set_trial() noexcept { trial_ = true; }
  bool trial() const noexcept { return trial_; }

  // --- waiting, for a row with kBlocking ---
  /// The keys args[first] to args[last] hold nothing of that type; timeout_ms 0: for ever.
  struct Wait {
    std::size_t first, last;
    std::int64_t timeout_ms;
    Type type;
  };
  /// There is nothing to commit() yet: the request is to be tried again when one of the keys has
  /// become one, or answered null after that time. What is replied all the same is for where
  /// nobody waits: in a transaction, or a replay of the log.
  void wait_for(const Wait& wait) noexcept { wait_ = wait; }
  const std::optional<Wait>& waits() const noexcept { return wait_; }

  Reply reply;
  bool plio() const noexcept { return reply.plio(); }
  /// Answers an error: to RESP clients as it is; over PLIO as the row says (NIL, 0, or a string).
  void fail(std::string_view text);
  void syntax_error() { fail("ERR syntax error"); }
  /// The same where nothing has been run: INFO counts it as rejected, not as a call.
  void reject(std::string_view text) { fail(text), rejected_ = reply.failed(); }
  bool rejected() const noexcept { return rejected_; }
  /// It names a database that only a server with more of them has: there it may do something.
  void note_missing_database(std::int64_t number) noexcept { missing_database_ = number; }
  /// -1: it does not.
  std::int64_t missing_database() const noexcept { return missing_database_; }

  Services& server;
  Session& session;
  const Command& command;

 private:
  std::span<const Scalar> args_;
  std::int64_t now_ns_;
  KnownHashes hashes_;
  Keyspace* keys_ = nullptr;  // of the database keys_of_, once they were asked for
  unsigned keys_of_ = 0;
  bool trial_ = false;
  bool committed_ = false;
  bool rejected_ = false;
  std::int64_t missing_database_ = -1;
  std::optional<Wait> wait_;
};

}  // namespace kv
