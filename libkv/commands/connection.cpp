// Commands about the connection itself: logging in, choosing a protocol, a database, leaving.
//
// Passwords pass through here once and are never kept, counted by length, or put into a reply. The
// comparing and the slowing down of guesses are the server's (Services::check_password).
#include <algorithm>

#include "libkv/base/clock.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"
#include "libkv/commands/dialect.hpp"
#include "libkv/commands/support.hpp"
#include "libkv/wire/plio.hpp"

namespace kv {
namespace {

constexpr std::string_view kWrongPassword =
    "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kHelloNeedsAuth =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH "
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
    "version at the same time";
constexpr std::string_view kOnlyUser = "default";
// What clients take us for: the protocol and commands of this version of Redis.
constexpr std::string_view kServerName = "redis";
constexpr std::string_view kCompatibleVersion = "7.0.0";

void admit(Call& call) {
  Counters& counters = call.server.counters();
  if (!call.session.authenticated) ++counters.connections_received;
  call.session.authenticated = true;
  counters.last_client = call.session.name;
}

// Answers the error itself. There is one user; with another name no password is right, and the
// server is asked to compare with none, so that this path neither is quicker nor tells anything.
bool log_in(Call& call, std::string_view user, std::string_view password) {
  const std::string_view offered = user == kOnlyUser ? password : std::string_view{};
  if (!call.server.check_password(call.session, offered)) {
    call.fail(kWrongPassword);
    return false;
  }
  admit(call);
  return true;
}

// In a line of CLIENT LIST a name must not look like a second field.
std::string listed_name(std::string_view name) {
  std::string listed(name.substr(0, limits::client_name_bytes_max));
  std::replace_if(
      listed.begin(), listed.end(),
      [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; }, '_');
  return listed;
}

void refuse_plio(Call& call) {
  call.session.close_after_reply = true;
  call.reply.push(2);
  call.reply.bulk("error");
  call.reply.bulk("NOAUTH");
}

// ("AUTH" name hash). The answer is two messages: ("auth" . proof) and "OK name".
void log_in_plio(Call& call) {
  Session& session = call.session;
  std::uint64_t hash = 0;  // never a right one: hashes are 1 to 65536
  if (call.argc() >= 3 && call.scalar(2).kind == Kind::number &&
      (!parse_unsigned(call.arg(2), hash) || hash > 65536))
    hash = 0;
  if (!session.local && !call.server.plio_remote()) {
    ++call.server.counters().connections_rejected;
    return refuse_plio(call);
  }
  if (!call.server.check_password_hash(session, static_cast<std::uint32_t>(hash)))
    return refuse_plio(call);
  std::string buffer;  // a name may be any value; of a list its elements, put together
  const std::string name(call.argc() >= 2 ? packed(call.scalar(1), buffer) : std::string_view());
  session.name = listed_name(name);
  admit(call);
  call.reply.push(2);
  call.reply.bulk("auth");
  call.reply.integer(plio_proof(name));
  call.reply.bulk("OK " + name);
}

void auth(Call& call) {
  if (call.plio()) return log_in_plio(call);
  if (call.argc() > 3) return call.syntax_error();
  if (call.argc() == 2) log_in(call, kOnlyUser, call.arg(1)) ? call.reply.ok() : void();
  if (call.argc() == 3) log_in(call, call.arg(1), call.arg(2)) ? call.reply.ok() : void();
}

// HELLO's options from argument 2 on; false if one was answered with an error.
bool hello_options(Call& call) {
  for (std::size_t i = 2; i < call.argc(); ++i) {
    const std::size_t more = call.argc() - i - 1;
    if (call.is(i, "AUTH") && more >= 2) {
      if (!log_in(call, call.arg(i + 1), call.arg(i + 2))) return false;
      i += 2;
    } else if (call.is(i, "SETNAME") && more >= 1) {
      if (!name_session(call, call.arg(i + 1))) return false;
      ++i;
    } else {
      call.fail("ERR Syntax error in HELLO option '" + std::string(as_c_text(call.arg(i))) + "'");
      return false;
    }
  }
  return true;
}

void hello(Call& call) {
  if (call.plio()) return call.fail("ERR HELLO chooses a RESP protocol, this is PLIO");
  std::int64_t protocol = call.session.protocol;
  if (call.argc() >= 2) {
    if (!parse_integer(call.arg(1), protocol))
      return call.fail("ERR Protocol version is not an integer or out of range");
    if (protocol < 2 || protocol > 3) return call.fail("NOPROTO unsupported protocol version");
    if (!hello_options(call)) return;
  }
  if (!call.session.authenticated) return call.fail(kHelloNeedsAuth);
  call.session.protocol = static_cast<std::uint8_t>(protocol);
  Reply& reply = call.reply;
  reply.map(7);
  reply.bulk("server"), reply.bulk(kServerName);
  reply.bulk("version"), reply.bulk(kCompatibleVersion);
  reply.bulk("proto"), reply.integer(protocol);
  reply.bulk("id"), reply.integer(static_cast<std::int64_t>(call.session.id));
  reply.bulk("mode"), reply.bulk("standalone");
  reply.bulk("role"), reply.bulk("master");
  reply.bulk("modules"), reply.array(0);
}

void ping(Call& call) {
  if (call.argc() > 2 && !call.plio())
    return call.fail("ERR wrong number of arguments for 'ping' command");
  if (call.session.subscriber && call.session.protocol == 2) {  // only messages, or what looks so
    call.reply.array(2);
    call.reply.bulk("pong");
    return call.reply.bulk(call.argc() >= 2 ? call.arg(1) : std::string_view{});
  }
  if (call.argc() >= 2 && call.scalar(1).kind != Kind::nil)
    return call.reply.scalar(call.scalar(1));
  call.reply.simple("PONG");
}

void echo(Call& call) { call.reply.scalar(call.scalar(1)); }

void quit(Call& call) {
  call.session.close_after_reply = true;
  call.reply.ok();
}

// Everything a connection has chosen, back to how it came in; it must log in again.
void reset(Call& call) {
  Session& session = call.session;
  if (session.authenticated) session.guest_since_ms = monotonic_ms();
  session.authenticated = false;
  session.protocol = 2;
  session.database = 0;
  session.name.clear();
  session.reply_mode = Session::ReplyMode::on;
  session.no_evict = session.no_touch = false;
  session.transaction.reset();
  call.server.unwatch_keys(session);
  call.server.subscriptions().forget(session);
  call.server.monitor(session, false);
  call.reply.simple("RESET");
}

void select(Call& call) {
  std::int64_t number = 0;
  unsigned database = 0;
  if (!database_integer(call, 1, number) || !database_exists(call, number, database)) return;
  call.session.database = database;
  call.reply.ok();
}

// picolisp-kv's children announce themselves with it; a client may, and learns nothing new.
void ident(Call& call) { call.reply.bulk("OK " + call.session.name); }

constexpr std::uint32_t kDoor = kNoScript | kLoading | kStale | kFast | kNoAuth;

constexpr Command kRows[] = {
    {"auth",
     -2,
     kDoor | kPlioNil | kNoMulti,
     {},
     {},
     Group::connection,
     auth,
     "[username] password",
     "Logs the connection in",
     "O(1)",
     "0.18"},
    {"client",
     -2,
     kLoading | kStale | kPlioNil | kNoMulti,
     {},
     {},
     Group::connection,
     run_client,
     "subcommand [argument ...]",
     "Lists, names, configures and closes connections",
     "O(1); LIST and KILL O(N), N the number of connections",
     "0.18",
     "getname getredir help id info kill list no-evict no-touch reply setinfo setname tracking "
     "trackinginfo unblock unpause"},
    {"echo",
     2,
     kLoading | kStale | kFast,
     {},
     {},
     Group::connection,
     echo,
     "message",
     "Answers the message",
     "O(1)",
     "1.0"},
    {"hello",
     -1,
     kDoor | kNoMulti,
     {},
     {},
     Group::connection,
     hello,
     "[protover [AUTH username password] [SETNAME clientname]]",
     "Chooses RESP2 or RESP3, optionally logging in and naming the connection",
     "O(1)",
     "1.0"},
    {"ident",
     -1,
     kFast | kLoading | kHidden | kPlioNil,
     {},
     {},
     Group::connection,
     ident,
     "[argument ...]",
     "Answers the connection's name, for clients of picolisp-kv",
     "O(1)",
     "0.18"},
    {"ping",
     -1,
     kFast | kPlioNil | kWhileListening,
     {},
     {},
     Group::connection,
     ping,
     "[message]",
     "Answers PONG or the message",
     "O(1)",
     "0.18"},
    {"quit",
     -1,
     kDoor | kNeverQueued | kWhileListening,
     {},
     {},
     Group::connection,
     quit,
     "",
     "Closes the connection",
     "O(1)",
     "1.0"},
    {"reset",
     1,
     kDoor | kNeverQueued | kWhileListening,
     {},
     {},
     Group::connection,
     reset,
     "",
     "Forgets what the connection has chosen and logs it out",
     "O(1)",
     "1.0"},
    {"select",
     2,
     kLoading | kStale | kFast,
     {},
     {},
     Group::connection,
     select,
     "index",
     "Chooses the database for the commands that follow",
     "O(1)",
     "1.0"},
};

}  // namespace

std::span<const Command> connection_commands() noexcept { return kRows; }

}  // namespace kv
