// Commands about the server as a whole: saving, ending, time, roles, the slow log, users.
//
// The work is the server's (Services); here are the words, and the answers of both dialects.
#include <string>

#include "libkv/base/machine.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

// --- saving ---

constexpr std::string_view kSavingStarted = "Background saving started";

void save_in_background(Call& call, std::string_view answer) {
  const Status status = call.server.save_in_background();
  if (status.ok()) return call.reply.simple(answer);
  if (status.code() == Code::busy) return call.fail("ERR Background save already in progress");
  call.fail("ERR " + status.message());
}

// picolisp-kv says that it started whatever happened; how it went is in INFO.
void plio_save(Call& call) {
  static_cast<void>(call.server.save_in_background());
  call.reply.simple(kSavingStarted);
}

// SCHEDULE waits for a rewrite of the log that runs; here that is a save like any other.
void bgsave(Call& call) {
  if (call.plio()) return plio_save(call);
  if (call.argc() > 2 || (call.argc() == 2 && !call.is(1, "SCHEDULE"))) return call.syntax_error();
  save_in_background(call, kSavingStarted);
}

void bgrewriteaof(Call& call) {
  save_in_background(call, "Background append only file rewriting started");
}

void save(Call& call) {
  if (call.plio()) return plio_save(call);
  const Status status = call.server.save_now();
  if (status.ok()) return call.reply.ok();
  if (status.code() == Code::busy) return call.fail("ERR Background save already in progress");
  call.fail("ERR " + status.message());
}

void lastsave(Call& call) {
  call.reply.integer(last_save_or_start_s(call.server.persistence(), call.server.counters()));
}

void convert(Call& call) {
  const Status status = call.server.convert_format();
  if (status.ok()) return call.reply.ok();
  call.fail("ERR " + status.message());
}

// --- ending ---

// Ends without an answer, as Redis: the connection closes. Without a word it saves if saving is on;
// then the log has everything, so a save that fails is no reason to stay. One asked for is.
void shutdown(Call& call) {
  SaveAtEnd save = call.server.persistence().aof_enabled ? SaveAtEnd::yes : SaveAtEnd::no;
  bool chosen = false, abort = false, force = false;
  for (std::size_t i = 1; i < call.argc(); ++i) {
    if ((call.is(i, "SAVE") || call.is(i, "NOSAVE")) && !chosen) {
      chosen = true;
      save = call.is(i, "SAVE") ? SaveAtEnd::must : SaveAtEnd::no;
    } else if (call.is(i, "ABORT") && !abort) {
      abort = true;
    } else if (call.is(i, "FORCE")) {
      force = true;
    } else if (!call.is(i, "NOW")) {
      return call.syntax_error();
    }
  }
  if (abort && call.argc() > 2) return call.syntax_error();
  if (abort) return call.fail("ERR No shutdown in progress.");
  if (force && save == SaveAtEnd::must) save = SaveAtEnd::yes;
  if (!call.server.shutdown(save).ok()) call.fail("ERR Errors trying to SHUTDOWN. Check logs.");
}

// --- small facts ---

void time(Call& call) {
  const std::int64_t micros = call.now_ns() / 1000;
  call.reply.array(2);
  call.reply.bulk(std::to_string(micros / 1'000'000));
  call.reply.bulk(std::to_string(micros % 1'000'000));
}

/// The argument at is a time to wait, in milliseconds; false after an error.
bool timeout_is_fine(Call& call, std::size_t at) {
  std::int64_t timeout_ms = 0;
  if (!parse_integer(call.arg(at), timeout_ms)) {
    call.fail("ERR timeout is not an integer or out of range");
  } else if (timeout_ms < 0) {
    call.fail("ERR timeout is negative");
  } else {
    return true;
  }
  return false;
}

// There are no replicas to wait for, so it is over at once.
void wait(Call& call) {
  std::int64_t replicas = 0;
  if (call.integer(1, replicas) && timeout_is_fine(call, 2)) call.reply.integer(0);
}

// Redis 7.2. The log is forced to the disk here and now, so the timeout is never reached; of
// replicas there are none, and none is waited for.
void waitaof(Call& call) {
  std::int64_t local = 0, replicas = 0;
  if (!call.integer(1, local)) return;
  if (local < 0 || local > 1)
    return call.fail("ERR value is out of range, must be between 0 and 1");
  if (!call.integer(2, replicas)) return;
  if (replicas < 0) return call.fail("ERR value is out of range, must be positive");
  if (!timeout_is_fine(call, 3)) return;
  if (local == 1 && !call.server.persistence().aof_enabled) {
    return call.fail("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  }
  if (local == 1) {
    if (const Status synced = call.server.sync_log(); !synced)
      return call.fail("MISCONF " + synced.message());
  }
  call.reply.array(2);
  call.reply.integer(local == 1 || call.server.persistence().aof_synced ? 1 : 0);
  call.reply.integer(0);
}

void role(Call& call) {
  call.reply.array(3);
  call.reply.bulk("master");
  call.reply.integer(0);
  call.reply.array(0);
}

// --- the slow log ---

void slow_entry(Reply& reply, const SlowEntry& entry) {
  reply.array(6);
  reply.integer(static_cast<std::int64_t>(entry.id));
  reply.integer(entry.time_s);
  reply.integer(entry.micros);
  reply.array(entry.args.size());
  for (const std::string& arg : entry.args) reply.bulk(arg);
  reply.bulk(entry.address);
  reply.bulk(entry.name);
}

void slowlog_get(Call& call) {
  std::int64_t count = 10;
  if (call.argc() > 3)
    return call.fail(
        "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG "
        "HELP.");
  if (call.argc() == 3 && (!parse_integer(call.arg(2), count) || count < -1))
    return call.fail("ERR count should be greater than or equal to -1");
  const auto& entries = call.server.counters().slow.entries();
  const auto all = static_cast<std::int64_t>(entries.size());
  if (count < 0 || count > all) count = all;
  call.reply.array(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    slow_entry(call.reply, entries[static_cast<std::size_t>(i)]);
}

void slowlog_len(Call& call) {
  call.reply.integer(static_cast<std::int64_t>(call.server.counters().slow.entries().size()));
}

void slowlog_reset(Call& call) {
  call.server.counters().slow.clear();
  call.reply.ok();
}

constexpr Subcommand kSlowlogRows[] = {
    {"get",
     -2,
     kAdmin | kLoading | kStale,
     {},
     slowlog_get,
     "[count]",
     "Shows the newest entries, 10 unless told otherwise, all with -1"},
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"len", 2, kAdmin | kLoading | kStale, {}, slowlog_len, "", "Counts the entries"},
    {"reset", 2, kAdmin | kLoading | kStale, {}, slowlog_reset, "", "Forgets the entries"},
};

// --- users: there is one ---

void acl_whoami(Call& call) { call.reply.bulk("default"); }

void acl_users(Call& call) {
  call.reply.array(1);
  call.reply.bulk("default");
}

void acl_cat(Call& call) {
  const std::span<const std::string_view> all = all_acl_categories();
  if (call.argc() > 3) return call.fail("ERR wrong number of arguments for 'acl|cat' command");
  if (call.argc() == 2) {
    call.reply.array(all.size());
    for (const std::string_view category : all) call.reply.bulk(category);
    return;
  }
  bool known = false;
  for (const std::string_view category : all) known |= call.is(2, category);
  if (!known)
    return call.fail("ERR Unknown category '" +
                     std::string(as_c_text(call.arg(2), c_text_bytes_max)) + "'");
  const std::vector<std::string> names = commands_of_category(call.arg(2));
  call.reply.array(names.size());
  for (const std::string& name : names) call.reply.bulk(name);
}

constexpr std::uint32_t kAsk = kNoScript | kLoading | kStale;

constexpr Subcommand kAclRows[] = {
    {"cat",
     -2,
     kAsk,
     {},
     acl_cat,
     "[category]",
     "Lists the categories of commands, or the commands of one"},
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"users", 2, kAsk | kAdmin, {}, acl_users, "", "Lists the users: there is one"},
    {"whoami", 2, kAsk, {}, acl_whoami, "", "Answers the name of the user logged in"},
};

// --- rows ---

constexpr std::uint32_t kOperator = kAdmin | kNoScript;

constexpr Command kRows[] = {
    {"acl",
     -2,
     kLoading | kStale,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Tells about users and categories of commands",
     "O(N)",
     "1.0",
     "cat help users whoami"},
    {"bgrewriteaof",
     1,
     kOperator | kNoMulti,
     {},
     {},
     Group::server,
     bgrewriteaof,
     "",
     "Saves in the background and starts a new log, as BGSAVE does",
     "O(1); O(N) in the background",
     "1.0"},
    {"bgsave",
     -1,
     kOperator | kPlioNil | kNoMulti,
     {},
     {},
     Group::server,
     bgsave,
     "[SCHEDULE]",
     "Saves all data in the background",
     "O(1); O(N) in the background",
     "0.18"},
    {"config",
     -2,
     kLoading | kStale,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Shows and changes the server's settings",
     "O(N)",
     "1.0",
     "get help resetstat set"},
    {"convert",
     1,
     kOperator | kPlioNil | kNoMulti,
     {},
     {},
     Group::server,
     convert,
     "",
     "Switches between text and binary snapshots until the server ends, and saves in the new form",
     "O(N)",
     "0.18"},
    {"info",
     -1,
     kLoading | kStale | kPlioNil,
     {},
     {},
     Group::server,
     run_info,
     "[section [section ...]]",
     "Shows the server's figures",
     "O(1)",
     "0.18"},
    {"lastsave",
     1,
     kLoading | kStale | kFast,
     {},
     {},
     Group::server,
     lastsave,
     "",
     "The time of the last successful save, or of the start, in seconds since 1970",
     "O(1)",
     "1.0"},
    {"lolwut",
     -1,
     kReadonly | kFast,
     {},
     {},
     Group::server,
     run_lolwut,
     "[VERSION version] [columns [rows]]",
     "Draws a picture and tells the version",
     "O(N), N the size of the picture",
     "1.0"},
    {"role",
     1,
     kNoScript | kLoading | kStale | kFast,
     {},
     {},
     Group::server,
     role,
     "",
     "Answers the role of this server in a replication: always master",
     "O(1)",
     "1.0"},
    {"save",
     1,
     kOperator | kPlioNil | kNoMulti,
     {},
     {},
     Group::server,
     save,
     "",
     "Saves all data and answers when it is on disk",
     "O(N)",
     "0.18"},
    {"shutdown",
     -1,
     kOperator | kLoading | kStale | kNoMulti,
     {},
     {},
     Group::server,
     shutdown,
     "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
     "Ends the server, saving first if saving is on or SAVE says so",
     "O(N) when saving, else O(1)",
     "1.0"},
    {"slowlog",
     -2,
     kLoading | kStale,
     {},
     {},
     Group::server,
     run_container,
     "subcommand [argument ...]",
     "Shows the requests that took long",
     "O(N)",
     "1.0",
     "get help len reset"},
    {"time",
     1,
     kLoading | kStale | kFast,
     {},
     {},
     Group::server,
     time,
     "",
     "Answers the server's time, in seconds and microseconds since 1970",
     "O(1)",
     "1.0"},
    {"wait",
     3,
     kNoScript,
     {},
     {},
     Group::connection,
     wait,
     "numreplicas timeout",
     "Answers how many replicas have the writes so far: always 0",
     "O(1)",
     "1.0"},
    {"waitaof",
     4,
     kNoScript,
     {},
     {},
     Group::connection,
     waitaof,
     "numlocal numreplicas timeout",
     "Forces the log to the disk if numlocal is 1; answers whether it is there, and 0 replicas",
     "O(1)",
     "1.0"},
};

}  // namespace

std::span<const Subcommand> slowlog_subcommands() noexcept { return kSlowlogRows; }
std::span<const Subcommand> acl_subcommands() noexcept { return kAclRows; }
std::span<const Command> server_commands() noexcept { return kRows; }

}  // namespace kv
