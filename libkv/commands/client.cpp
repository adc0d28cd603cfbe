// CLIENT: what the sibling knows of the connections, and how to close them.
//
// Over RESP as Redis 7 (with 7.2's SETINFO and NO-TOUCH, which libraries send); over PLIO the three
// subcommands that picolisp-kv has, in its form. Nothing here may delete a session: a closed one is
// taken away by its owner later.
#include <algorithm>
#include <optional>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

using Sessions = std::map<std::uint64_t, Session*>;

// --- how a connection is shown ---

void field(std::string& line, std::string_view name, std::string_view value) {
  if (!line.empty()) line += ' ';
  line.append(name).append("=").append(value);
}
void field(std::string& line, std::string_view name, std::int64_t value) {
  field(line, name, std::to_string(value));
}

std::string flag_letters(const Session& session) {
  std::string letters;
  if (session.monitor) letters += 'O';
  if (session.subscriber) letters += 'P';
  if (session.transaction != nullptr) letters += 'x';
  if (session.waiting) letters += 'b';
  if (session.watched_changed) letters += 'd';
  if (session.close_after_reply) letters += 'c';
  if (session.address.starts_with('/')) letters += 'U';
  if (session.no_evict) letters += 'e';
  if (session.no_touch) letters += 'T';
  return letters.empty() ? "N" : letters;
}

std::string last_command(const Session& session) {
  std::string name(session.last_command);
  if (!session.last_subcommand.empty()) name.append("|").append(session.last_subcommand);
  return name;
}

// Redis's line. Buffers are the child's business, so their sizes are 0 here.
std::string resp_line(const Session& session, std::int64_t now_ms) {
  std::string line;
  field(line, "id", static_cast<std::int64_t>(session.id));
  field(line, "addr", session.address);
  field(line, "laddr", session.local_address);
  field(line, "fd", session.fd);
  field(line, "name", session.name);
  field(line, "age", std::max<std::int64_t>(0, now_ms - session.created_ms) / 1000);
  field(line, "idle", std::max<std::int64_t>(0, now_ms - session.last_ms) / 1000);
  field(line, "flags", flag_letters(session));
  field(line, "db", session.database);
  const auto listens_to = [&](Topic topic) {
    return session.subscriptions[static_cast<std::size_t>(topic)];
  };
  field(line, "sub", listens_to(Topic::channel));
  field(line, "psub", listens_to(Topic::pattern));
  field(line, "ssub", listens_to(Topic::shard));
  const auto* const transaction = session.transaction.get();
  const auto queued = transaction != nullptr ? transaction->requests.size() : 0;
  const std::size_t queued_bytes =
      transaction != nullptr ? transaction->bytes + transaction->words * sizeof(Scalar) : 0;
  field(line, "multi", transaction != nullptr ? static_cast<std::int64_t>(queued) : -1);
  line += " qbuf=0 qbuf-free=0 argv-mem=0";
  field(line, "multi-mem", static_cast<std::int64_t>(queued_bytes));
  line += " rbs=0 rbp=0 obl=0 oll=0 omem=0";
  field(line, "tot-mem",
        static_cast<std::int64_t>(sizeof(Session) + session.name.capacity() + queued_bytes));
  field(line, "events", "r");
  field(line, "cmd", last_command(session));
  field(line, "user", "default");
  field(line, "redir", "-1");
  field(line, "resp", session.protocol);
  field(line, "lib-name", session.library_name);
  field(line, "lib-ver", session.library_version);
  return line;
}

// picolisp-kv's line: the address and the port apart.
std::string plio_line(const Session& session) {
  const std::size_t colon = session.address.rfind(':');
  const bool has_port = colon != std::string::npos;
  std::string line;
  field(line, "id", static_cast<std::int64_t>(session.id));
  field(line, "pid", session.child_pid);
  field(line, "name", session.name);
  field(line, "addr", session.address.substr(0, colon));
  field(line, "port", has_port ? std::string_view(session.address).substr(colon + 1) : "0");
  field(line, "fd", session.fd);
  return line;
}

// --- types and numbers in arguments ---

// The other types exist and are empty.
enum class ClientType { normal, pubsub, other };

std::optional<ClientType> client_type(std::string_view word) {
  if (equals_ignoring_case(word, "normal")) return ClientType::normal;
  if (equals_ignoring_case(word, "pubsub")) return ClientType::pubsub;
  for (const std::string_view other : {"master", "replica", "slave"})
    if (equals_ignoring_case(word, other)) return ClientType::other;
  return std::nullopt;
}

ClientType type_of(const Session& session) noexcept {
  return session.subscriber ? ClientType::pubsub : ClientType::normal;
}

void unknown_type(Call& call, std::string_view word) {
  call.fail("ERR Unknown client type '" + std::string(as_c_text(word)) + "'");
}

// --- subcommands ---

void id(Call& call) { call.reply.integer(static_cast<std::int64_t>(call.session.id)); }

void info(Call& call) { call.reply.verbatim(resp_line(call.session, call.now_ms()) + "\n"); }

void list_some(Call& call, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < call.argc(); ++i) {
    std::int64_t number = 0;
    if (!parse_integer(call.arg(i), number)) return call.fail("ERR Invalid client ID");
    const auto found = call.server.sessions().find(static_cast<std::uint64_t>(number));
    if (found != call.server.sessions().end() && !found->second->dead)
      text += resp_line(*found->second, call.now_ms()) + "\n";
  }
  call.reply.verbatim(text);
}

void list(Call& call) {
  std::optional<ClientType> type;
  if (call.argc() == 4 && call.is(2, "TYPE")) {
    type = client_type(call.arg(3));
    if (!type) return unknown_type(call, call.arg(3));
  } else if (call.argc() > 3 && call.is(2, "ID")) {
    return list_some(call, 3);
  } else if (call.argc() != 2) {
    return call.syntax_error();
  }
  std::string text;
  for (const auto& [number, session] : call.server.sessions())
    if (!session->dead && (!type || *type == type_of(*session)))
      text += resp_line(*session, call.now_ms()) + "\n";
  call.reply.verbatim(text);
}

// Which connections CLIENT KILL means; all that are set must hold.
struct Victims {
  std::optional<std::uint64_t> id;
  std::optional<std::string_view> address, local_address;
  std::optional<ClientType> type;
  bool skip_me = true;

  bool mean(const Session& session, const Session& me) const {
    if (session.dead || (skip_me && &session == &me)) return false;
    if (id && session.id != *id) return false;
    if (address && session.address != *address) return false;
    if (local_address && session.local_address != *local_address) return false;
    return !type || *type == type_of(session);
  }
};

// Hangs up. The caller's own connection first gets its answer.
std::int64_t close_all(Call& call, const Victims& victims) {
  std::vector<Session*> chosen;
  for (const auto& [number, session] : call.server.sessions())
    if (victims.mean(*session, call.session)) chosen.push_back(session);
  for (Session* session : chosen) {
    if (session == &call.session) session->close_after_reply = true;
    else call.server.close_session(*session);
  }
  return static_cast<std::int64_t>(chosen.size());
}

// One "option value" pair of CLIENT KILL at argument i; false if answered with an error.
bool kill_option(Call& call, std::size_t i, Victims& victims) {
  const std::string_view value = call.arg(i + 1);
  if (call.is(i, "ID")) {
    std::int64_t number = 0;
    if (!parse_integer(value, number) || number < 1)
      return call.fail("ERR client-id should be greater than 0"), false;
    victims.id = static_cast<std::uint64_t>(number);
  } else if (call.is(i, "TYPE")) {
    victims.type = client_type(value);
    if (!victims.type) return unknown_type(call, value), false;
  } else if (call.is(i, "ADDR")) {
    victims.address = value;
  } else if (call.is(i, "LADDR")) {
    victims.local_address = value;
  } else if (call.is(i, "USER")) {
    if (value != "default")
      return call.fail("ERR No such user '" + std::string(as_c_text(value)) + "'"), false;
  } else if (call.is(i, "SKIPME") && (call.is(i + 1, "yes") || call.is(i + 1, "no"))) {
    victims.skip_me = call.is(i + 1, "yes");
  } else {
    return call.syntax_error(), false;
  }
  return true;
}

void kill(Call& call) {
  Victims victims;
  if (call.argc() == 3) {  // the old form: one address, oneself included
    victims.address = call.arg(2);
    victims.skip_me = false;
    if (close_all(call, victims) == 0) return call.fail("ERR No such client");
    return call.reply.ok();
  }
  for (std::size_t i = 2; i < call.argc(); i += 2) {
    if (i + 1 == call.argc()) return call.syntax_error();
    if (!kill_option(call, i, victims)) return;
  }
  call.reply.integer(close_all(call, victims));
}

void get_name(Call& call) {
  if (call.session.name.empty()) return call.reply.nil();
  call.reply.bulk(call.session.name);
}

// Redis's rule: printable ASCII without blanks.
bool is_plain(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

bool check_name(Call& call, std::string_view name, std::string_view what) {
  if (!is_plain(name)) {
    call.fail("ERR " + std::string(what) +
              " cannot contain spaces, newlines or special characters.");
    return false;
  }
  if (name.size() > limits::client_name_bytes_max) {
    call.fail("ERR " + std::string(what) + " cannot be longer than " +
              std::to_string(limits::client_name_bytes_max) + " bytes");
    return false;
  }
  return true;
}

void set_name(Call& call) {
  if (name_session(call, call.arg(2))) call.reply.ok();
}

void set_info(Call& call) {
  const bool name = call.is(2, "LIB-NAME");
  if (!name && !call.is(2, "LIB-VER"))
    return call.fail("ERR Unrecognized option '" +
                     std::string(as_c_text(call.arg(2), c_text_bytes_max)) + "'");
  if (!check_name(call, call.arg(3), name ? "lib-name" : "lib-ver")) return;
  (name ? call.session.library_name : call.session.library_version) = call.arg(3);
  call.reply.ok();
}

// OFF and SKIP answer nothing; the engine drops the replies that follow.
void reply_mode(Call& call) {
  using Mode = Session::ReplyMode;
  if (call.is(2, "ON")) {
    call.session.reply_mode = Mode::on;
    return call.reply.ok();
  }
  if (call.is(2, "OFF")) call.session.reply_mode = Mode::off;
  else if (!call.is(2, "SKIP")) return call.syntax_error();
  else if (call.session.reply_mode != Mode::off) call.session.reply_mode = Mode::skip_next;
}

void on_or_off(Call& call, bool& flag) {
  if (!call.is(2, "ON") && !call.is(2, "OFF")) return call.syntax_error();
  flag = call.is(2, "ON");
  call.reply.ok();
}
void no_evict(Call& call) { on_or_off(call, call.session.no_evict); }
void no_touch(Call& call) { on_or_off(call, call.session.no_touch); }

void unblock(Call& call) {
  std::int64_t number = 0;
  if (call.argc() > 4) return call.syntax_error();
  const bool with_error = call.argc() == 4 && call.is(3, "ERROR");
  if (call.argc() == 4 && !with_error && !call.is(3, "TIMEOUT")) {
    return call.fail("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  if (!call.integer(2, number)) return;
  const auto found = call.server.sessions().find(static_cast<std::uint64_t>(number));
  const bool waited =
      found != call.server.sessions().end() && call.server.unblock(*found->second, with_error);
  call.reply.integer(waited ? 1 : 0);
}

// --- what there is none of: tracking and pauses ---

// The options of CLIENT TRACKING, which change nothing; false if one was answered with an error.
bool tracking_options(Call& call) {
  for (std::size_t i = 3; i < call.argc(); ++i) {
    const bool more = i + 1 < call.argc();
    if (call.is(i, "BCAST") || call.is(i, "OPTIN") || call.is(i, "OPTOUT") || call.is(i, "NOLOOP"))
      continue;
    if (call.is(i, "PREFIX") && more) {
      ++i;
    } else if (call.is(i, "REDIRECT") && more) {
      std::int64_t number = 0;
      if (!call.integer(++i, number)) return false;
      if (!call.server.sessions().contains(static_cast<std::uint64_t>(number)))
        return call.fail("ERR The client ID you want redirect to does not exist"), false;
    } else {
      return call.syntax_error(), false;
    }
  }
  return true;
}

void tracking(Call& call) {
  if (call.is(2, "ON"))
    return call.fail(
        "ERR CLIENT TRACKING ON is not supported: kv does not tell clients what has changed");
  if (!tracking_options(call)) return;
  if (!call.is(2, "OFF")) return call.syntax_error();
  call.reply.ok();
}

void tracking_info(Call& call) {
  call.reply.map(3);
  call.reply.bulk("flags"), call.reply.set(1), call.reply.bulk("off");
  call.reply.bulk("redirect"), call.reply.integer(-1);
  call.reply.bulk("prefixes"), call.reply.array(0);
}

void get_redirection(Call& call) { call.reply.integer(-1); }
void end_pause(Call& call) { call.reply.ok(); }

// --- PLIO ---

void plio_list(Call& call) {
  const Sessions& sessions = call.server.sessions();
  std::string text;
  for (auto at = sessions.rbegin(); at != sessions.rend(); ++at) {
    if (at->second->dead) continue;
    if (!text.empty()) text += '\n';
    text += plio_line(*at->second);
  }
  call.reply.bulk(text);
}

// Only ID and one number, as the original; any other filter closes nobody.
void plio_kill(Call& call) {
  std::int64_t number = 0;
  if (call.argc() < 4 || !call.is(2, "ID") || !parse_integer(call.arg(3), number) || number < 1)
    return call.reply.integer(0);
  Victims victims;
  victims.id = static_cast<std::uint64_t>(number);
  victims.skip_me = false;
  call.reply.integer(close_all(call, victims));
}

constexpr std::uint32_t kOwn = kNoScript | kLoading | kStale;

constexpr Subcommand kRows[] = {
    {"getname", 2, kOwn, {}, get_name, "", "Answers the name of this connection"},
    {"getredir",
     2,
     kOwn,
     {},
     get_redirection,
     "",
     "Answers where the news of tracked keys goes: always -1, nowhere"},
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"id", 2, kOwn, {}, id, "", "Answers the number of this connection"},
    {"info", 2, kOwn, {}, info, "", "Shows the line of CLIENT LIST for this connection"},
    {"kill",
     -3,
     kOwn | kAdmin,
     {},
     kill,
     "addr:port | ID id | TYPE type | ADDR addr:port | LADDR addr:port | USER user | SKIPME yes|no",
     "Closes the connections that match; several option pairs must all match"},
    {"list",
     -2,
     kOwn | kAdmin,
     {},
     list,
     "[TYPE normal|master|replica|pubsub | ID id ...]",
     "Shows a line about each connection"},
    {"no-evict",
     3,
     kOwn | kAdmin,
     {},
     no_evict,
     "ON|OFF",
     "Notes that this connection should be spared when memory is short"},
    {"no-touch",
     3,
     kOwn,
     {},
     no_touch,
     "ON|OFF",
     "Lets this connection read keys without it counting as a use of them"},
    {"reply",
     3,
     kOwn,
     {},
     reply_mode,
     "ON|OFF|SKIP",
     "Chooses whether this connection gets replies"},
    {"setinfo",
     4,
     kOwn,
     {},
     set_info,
     "LIB-NAME|LIB-VER value",
     "Notes the client library and its version"},
    {"setname",
     3,
     kOwn,
     {},
     set_name,
     "name",
     "Names this connection; an empty name takes it away"},
    {"tracking",
     -3,
     kOwn,
     {},
     tracking,
     "ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
     "Refuses ON, as there is no tracking of keys; takes OFF"},
    {"trackinginfo", 2, kOwn, {}, tracking_info, "", "Tells how keys are tracked: not at all"},
    {"unblock",
     -3,
     kOwn | kAdmin,
     {},
     unblock,
     "client-id [TIMEOUT|ERROR]",
     "Ends the wait of a connection that waits for a list, as if its time were up or with an "
     "error"},
    {"unpause", 2, kOwn | kAdmin, {}, end_pause, "", "Ends a pause, of which there is none"},
};

}  // namespace

void run_client(Call& call) {
  // A word about it, and no row: whoever looks for it must not find it.
  if (!call.plio() && call.is(1, "PAUSE"))
    return call.reject("ERR CLIENT PAUSE is not supported: kv pauses no clients");
  if (!call.plio()) return run_container(call);
  const std::string_view word = call.argc() > 1 ? call.arg(1) : std::string_view{};
  if (equals_ignoring_case(word, "ID")) return id(call);
  if (equals_ignoring_case(word, "LIST")) return plio_list(call);
  if (equals_ignoring_case(word, "KILL")) return plio_kill(call);
  call.reply.bulk("Error: Unknown client command");
}

bool name_session(Call& call, std::string_view name) {
  if (!check_name(call, name, "Client names")) return false;
  call.session.name = name;
  return true;
}

std::span<const Subcommand> client_subcommands() noexcept { return kRows; }

}  // namespace kv
