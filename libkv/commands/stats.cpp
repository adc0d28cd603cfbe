// %stats%/NAME: picolisp-kv's counters as keys that can be read and never written.
//
// PLIO clients get numbers, strings and lists as the original gave them; RESP clients the same as
// bytes, and for the two lists (connected_clients, keys) how long they are. None of this is in a
// keyspace, in the log or in a snapshot.
#include "libkv/commands/stats.hpp"

#include "libkv/base/text.hpp"
#include "libkv/commands/call.hpp"

namespace kv {
namespace {

void number(Call& call, std::uint64_t n) {
  if (call.plio()) return call.reply.integer(static_cast<std::int64_t>(n));
  call.reply.bulk(std::to_string(n));
}

// Empty text is NIL in PicoLisp.
void text(Call& call, std::string_view bytes) {
  if (call.plio() && bytes.empty()) return call.reply.nil();
  call.reply.bulk(bytes);
}

std::string_view status_word(std::string_view status) { return status == "ok" ? "OK" : status; }

const PersistenceState& saving(Call& call) { return call.server.persistence(); }
const Counters& counters(Call& call) { return call.server.counters(); }

// (PID (("id" . N) ("pid" . N) ("name" . S) ("addr" . S) ("port" . N) ("fd" . N)))
void client_entry(Call& call, const Session& session) {
  const std::size_t colon = session.address.rfind(':');
  std::int64_t port = 0;
  if (colon != std::string::npos) parse_integer(session.address.substr(colon + 1), port);
  Reply& reply = call.reply;
  reply.array(2);
  reply.integer(session.child_pid);
  reply.map(6);
  reply.bulk("id"), reply.integer(static_cast<std::int64_t>(session.id));
  reply.bulk("pid"), reply.integer(session.child_pid);
  reply.bulk("name"), reply.bulk(session.name);
  reply.bulk("addr"), reply.bulk(std::string_view(session.address).substr(0, colon));
  reply.bulk("port"), reply.integer(port);
  reply.bulk("fd"), reply.integer(session.fd);
}

void connected_clients(Call& call) {
  const auto& sessions = call.server.sessions();
  std::size_t live = 0;
  for (const auto& [id, session] : sessions) live += !session->dead;
  if (!call.plio()) return call.reply.bulk(std::to_string(live));
  call.reply.array(live);
  for (auto at = sessions.rbegin(); at != sessions.rend(); ++at)
    if (!at->second->dead) client_entry(call, *at->second);
}

// O(N). The original's order (newest first) is not known to a hash table.
void keys(Call& call) {
  Keyspace& space = call.keys();
  if (!call.plio()) return call.reply.bulk(std::to_string(space.size()));
  call.reply.array(space.size());
  space.for_each([&](const Keyspace::Item& item) {
    call.reply.bulk(item.key);
    return true;
  });
}

struct Statistic {
  std::string_view name;
  void (*answer)(Call&);
};

constexpr Statistic kStatistics[] = {
    {"connected_clients", connected_clients},
    {"keys", keys},
    {"last_client", [](Call& c) { text(c, counters(c).last_client); }},
    {"total_connections_received", [](Call& c) { number(c, counters(c).connections_received); }},
    {"total_commands_processed", [](Call& c) { number(c, counters(c).commands_processed); }},
    {"total_net_input_bytes", [](Call& c) { number(c, counters(c).net_input_bytes); }},
    {"total_net_output_bytes", [](Call& c) { number(c, counters(c).net_output_bytes); }},
    {"rejected_connections", [](Call& c) { number(c, counters(c).connections_rejected); }},
    {"keyspace_hits", [](Call& c) { number(c, counters(c).keyspace_hits); }},
    {"keyspace_misses", [](Call& c) { number(c, counters(c).keyspace_misses); }},
    {"loading", [](Call& c) { number(c, saving(c).loading); }},
    {"loading_aof", [](Call& c) { number(c, saving(c).loading && saving(c).aof_enabled); }},
    {"rdb_changes_since_last_save", [](Call& c) { number(c, counters(c).changes_since_save); }},
    {"rdb_bgsave_in_progress", [](Call& c) { number(c, saving(c).saving); }},
    {"rdb_last_save_time", [](Call& c) { text(c, std::to_string(saving(c).last_save_s)); }},
    {"rdb_last_bgsave_status",
     [](Call& c) {
       const bool saved = saving(c).saves > 0 || saving(c).last_save_s > 0;
       text(c, saved ? status_word(saving(c).last_save_status) : std::string_view{});
     }},
    {"rdb_last_cow_size", [](Call& c) { number(c, saving(c).last_cow_bytes); }},
    {"aof_rewrite_in_progress",
     [](Call& c) { number(c, saving(c).saving && saving(c).aof_enabled); }},
    {"aof_current_size", [](Call& c) { number(c, saving(c).aof_bytes); }},
    {"aof_base_size", [](Call& c) { number(c, saving(c).aof_base_bytes); }},
    {"aof_last_write_status",
     [](Call& c) {
       text(c, saving(c).aof_enabled ? status_word(saving(c).aof_status) : std::string_view{});
     }},
};

}  // namespace

bool reply_stats(Call& call, std::string_view key) {
  key.remove_prefix(stats_prefix.size());
  for (const Statistic& statistic : kStatistics) {
    if (statistic.name != key) continue;
    statistic.answer(call);
    return true;
  }
  return false;
}

}  // namespace kv
