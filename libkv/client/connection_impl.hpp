// What is behind a Connection: the link, what has to be set up again after a loss, and the rule of
// what may be sent twice.
//
// Internal: the library's own files and the client program use it. One thread at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/client/kv/client.hpp"
#include "libkv/client/link.hpp"

namespace kv::client {

class Sealing;  // sealing.hpp

struct Connection::Impl {
  explicit Impl(Options o);
  ~Impl();

  /// Opens the link and shakes hands; with quick_start the handshake is only queued.
  Status connect(Deadline deadline);
  /// Reads what the handshake owes. Nothing to do if that is done.
  Status finish_handshake(Deadline deadline);
  /// The reply to one command, error replies included; repeats what may be repeated.
  Result<Value> exchange(Arguments arguments);
  /// The next reply that is no push message; those are kept.
  Status read_reply(Value& reply, Deadline deadline);
  /// The link is of no more use; what its session held is gone.
  void drop() noexcept;
  void keep_push(Value&& message);
  void note_confirmed(const Value& message) noexcept;

  /// Many requests without waiting. next_request gives the next one's arguments, which are read at
  /// once; on_reply gets every reply in order, error replies included, and ends it all by
  /// returning false. Never repeats. On failure sent and answered tell whose fate is unknown.
  struct Flow {
    enum class Next { request, wait, end };
    std::function<Next(std::vector<std::string_view>& arguments)> next_request;
    std::function<bool(Value&& reply)> on_reply;
    int input_fd = -1;                           // becomes readable after Next::wait
    std::size_t window = 4096;                   // requests under way at most
    std::size_t window_bytes = 4 * 1024 * 1024;  // and bytes of them not yet sent, about
    std::uint64_t sent = 0, answered = 0;
  };
  Status stream(Flow& flow);
  /// The reply with its values opened.
  Result<Value> open_reply(Sealing& opener, Arguments arguments, Value&& reply);
  /// Remembers what a command did to the session, from its reply.
  void note_state(Arguments arguments, const Value& reply);
  void note_queued(Arguments arguments);
  void note_login(std::string_view user, std::string_view password);
  void note_hello(Arguments arguments);

  Options options;
  Link link;
  unsigned handshake_replies = 0;  // still to come
  // What the session holds that a new one would not have.
  bool in_multi = false, watching = false, subscribed = false;
  std::array<std::int64_t, 2> listens_to{};  // channels and patterns; shard channels
  struct Queued {
    std::size_t index;  // among what MULTI has queued
    std::vector<std::string> arguments;
  };
  std::vector<Queued> queued_changes;  // of the session, if EXEC carries them out
  std::size_t queued = 0;              // of all since MULTI
  bool changed_session = false;        // it differs from what the options said at first
  bool session_over = false;           // QUIT or RESET: to be closed when its replies are in
  std::uint64_t reconnects = 0;
  bool was_connected = false;
  std::deque<Value> pushes;
  std::unique_ptr<Sealing> sealing;  // made when first needed, for the options used last
  /// Told before a lost connection is opened again; for the console.
  std::function<void(const Error& why)> on_reconnect;

  /// Drops the link when something is thrown, which can only be std::bad_alloc: the reply that is
  /// still to come would be taken for that of the next call.
  class DropOnThrow {
   public:
    explicit DropOnThrow(Impl& impl) noexcept
        : impl_(impl), thrown_before_(std::uncaught_exceptions()) {}
    ~DropOnThrow() {
      if (std::uncaught_exceptions() > thrown_before_) impl_.drop();
    }
    DropOnThrow(const DropOnThrow&) = delete;
    DropOnThrow& operator=(const DropOnThrow&) = delete;

   private:
    Impl& impl_;
    int thrown_before_;
  };

 private:
  struct Attempt;
  /// Notices that the link was lost while idle. Fails if it must not be opened again by itself.
  Status notice_loss();
  Status attempt(Arguments arguments, Attempt& attempt);
  /// Until when to wait for an answer the server may take so long for: time_to_wait().
  Deadline answer_by(std::chrono::milliseconds server_waits) const noexcept;
};

/// The door of the program and the library's other files to a connection's inside.
struct Access {
  using Impl = Connection::Impl;
  static Connection::Impl& of(Connection& connection) noexcept { return *connection.impl_; }
  static Connection make(std::unique_ptr<Connection::Impl> impl) noexcept {
    return Connection(std::move(impl));
  }
  /// The keys of the next page of SCAN; cursor is "0" at first, and again behind the last page.
  static Result<std::vector<std::string>> scan_page(Connection& connection, std::string& cursor,
                                                    std::string_view pattern);
};

/// What a login without a password fails with; how to give one is for the program to say.
inline constexpr std::string_view password_wanted = "the server wants a password";

/// True if the command is known to change nothing, so that sending it twice does no harm.
bool only_reads(Arguments arguments) noexcept;

/// How long the server shall wait before it answers this request: what BLPOP and its kin are told.
/// milliseconds::max(): for ever.
std::chrono::milliseconds time_to_wait(Arguments arguments) noexcept;

/// True for SUBSCRIBE and its like, whose only answer over RESP3 is a push message.
bool answers_by_push(std::string_view word) noexcept;

/// What a Connection says whose inside was moved to another one.
Status moved_away();
/// ok, or why these arguments cannot be sent.
Status check_arguments(Arguments arguments);
/// The same for one of several commands that are sent without waiting in between.
Status check_pipelined(Arguments arguments);

}  // namespace kv::client
