// INFO: the server's figures as text, for people, redis-cli --stat, exporters and libraries.
//
// Over RESP the sections and field names of Redis 7, with picolisp-kv's own among them (they mean
// the same thing in both); over PLIO exactly picolisp-kv's five sections. A field is only printed
// when it is true: what kv does not have is left out or, where tools insist on it, is 0.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string>

#include "libkv/base/machine.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

constexpr std::string_view kCompatibleVersion = "7.0.0";

// --- facts that both dialects print ---

std::size_t live_clients(Services& server) {
  const auto& sessions = server.sessions();
  return static_cast<std::size_t>(std::count_if(
      sessions.begin(), sessions.end(), [](const auto& item) { return !item.second->dead; }));
}

std::int64_t uptime_s(const Call& call) {
  return std::max<std::int64_t>(0, call.now_ms() - call.server.counters().started_ms) / 1000;
}

// --- writing ---

// "name:value" lines under "# Title" headings, with the dialect's line ends.
class Text {
 public:
  explicit Text(std::string_view line_end) : end_(line_end) {}
  void title(std::string_view title, bool blank_line_first) {
    if (blank_line_first) text_ += end_;
    text_.append("# ").append(title).append(end_);
  }
  Text& line(std::string_view name, std::string_view value) {
    text_.append(name).append(":").append(value).append(end_);
    return *this;
  }
  Text& line(std::string_view name, std::uint64_t value) {
    return line(name, std::to_string(value));
  }
  Text& line(std::string_view name, std::int64_t value) {
    return line(name, std::to_string(value));
  }
  Text& line(std::string_view name, int value) { return line(name, std::to_string(value)); }
  // A literal would rather become a bool than a string_view.
  Text& line(std::string_view name, const char* value) {
    return line(name, std::string_view(value));
  }
  Text& line(std::string_view name, bool value) { return line(name, value ? 1 : 0); }
  Text& decimal(std::string_view name, double value, int places, std::string_view unit = {}) {
    std::array<char, 64> digits{};
    std::snprintf(digits.data(), digits.size(), "%.*f", places, value);
    return line(name, std::string(digits.data()).append(unit));
  }
  /// name and name_human.
  Text& bytes(std::string_view name, std::uint64_t value) {
    line(name, value);
    return line(std::string(name) + "_human", human_bytes(value));
  }
  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string_view end_;
  std::string text_;
};

double ratio(std::uint64_t a, std::uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

// --- the sections over RESP, in Redis's order ---

void server_section(Call& call, Text& out) {
  Services& server = call.server;
  out.line("redis_version", kCompatibleVersion).line("redis_mode", "standalone");
  out.line("app_version", KV_VERSION).line("os", machine().system);
  out.line("arch_bits", static_cast<int>(8 * sizeof(void*))).line("multiplexing_api", "epoll");
  out.line("gcc_version", __VERSION__).line("process_id", static_cast<std::int64_t>(::getpid()));
  out.line("run_id", server.run_id()).line("tcp_port", server.port());
  out.line("server_time_usec", call.now_ns() / 1000).line("uptime_in_seconds", uptime_s(call));
  out.line("uptime_in_days", uptime_s(call) / 86'400);
  out.line("executable", server.executable()).line("config_file", server.config_file());
}

void clients_section(Call& call, Text& out) {
  out.line("connected_clients", live_clients(call.server)).line("cluster_connections", 0);
  const auto& sessions = call.server.sessions();
  const auto waiting = std::count_if(sessions.begin(), sessions.end(), [](const auto& entry) {
    return entry.second->waiting && !entry.second->dead;
  });
  out.line("maxclients", call.server.max_clients());
  out.line("blocked_clients", static_cast<std::int64_t>(waiting));
  out.line("tracking_clients", 0).line("child_processes", call.server.children());
}

void memory_section(Call& call, Text& out) {
  const MemoryFigures memory = memory_figures(call.server);
  out.line("total_keys", memory.keys).bytes("used_memory", memory.used);
  out.bytes("used_memory_rss", memory.resident).bytes("used_memory_peak", memory.peak);
  out.decimal("used_memory_peak_perc", 100 * ratio(memory.used, memory.peak), 2, "%");
  out.line("used_memory_overhead", memory.used - memory.data);
  out.line("used_memory_startup", memory.at_start).line("used_memory_dataset", memory.data);
  const std::uint64_t since_start = memory.used - memory.at_start;
  out.decimal("used_memory_dataset_perc", std::min(100.0, 100 * ratio(memory.data, since_start)), 2,
              "%");
  out.line("allocator_allocated", memory.used).line("allocator_active", memory.held);
  out.line("allocator_resident", memory.resident);
  out.bytes("total_system_memory", machine().memory_bytes);
  out.bytes("maxmemory", 0).line("maxmemory_policy", "noeviction");
  out.decimal("mem_fragmentation_ratio", ratio(memory.resident, memory.used), 2);
  out.line("mem_allocator", "libc");
}

void persistence_section(Call& call, Text& out) {
  const PersistenceState& state = call.server.persistence();
  const std::uint64_t changes = call.server.counters().changes_since_save;
  out.line("loading", state.loading).line("async_loading", 0);
  out.line("db_format", state.binary ? "binary" : "plaintext");
  out.line("rdb_changes_since_last_save", changes).line("rdb_bgsave_in_progress", state.saving);
  out.line("rdb_last_save_time", last_save_or_start_s(state, call.server.counters()));
  out.line("rdb_last_bgsave_status", state.last_save_status);
  out.line("rdb_last_bgsave_time_sec", state.last_save_duration_s);
  out.line("rdb_current_bgsave_time_sec", state.current_save_s).line("rdb_saves", state.saves);
  out.line("current_save_keys_processed", state.save_keys);
  out.line("current_save_keys_total", state.save_keys_total);
  out.line("rdb_last_cow_size", state.last_cow_bytes).line("aof_enabled", state.aof_enabled);
  out.line("aof_rewrite_in_progress", state.saving && state.aof_enabled);
  out.line("aof_rewrite_scheduled", 0).line("aof_last_bgrewrite_status", state.last_save_status);
  out.line("aof_last_write_status", state.aof_status).line("aof_delayed_fsync", state.aof_delayed);
  if (state.loading) {
    out.line("loading_start_time", call.server.counters().started_ms / 1000);
    out.line("loading_total_bytes", state.loading_total_bytes);
    out.line("loading_loaded_bytes", state.loading_loaded_bytes);
    out.decimal("loading_loaded_perc",
                100 * ratio(state.loading_loaded_bytes, state.loading_total_bytes), 2);
    out.line("loading_eta_seconds", state.loading_eta_s);
  }
  if (!state.aof_enabled) return;
  out.line("aof_current_size", state.aof_bytes).line("aof_base_size", state.aof_base_bytes);
}

void stats_section(Call& call, Text& out) {
  const Counters& counters = call.server.counters();
  out.line("total_connections_received", counters.connections_received);
  out.line("total_commands_processed", counters.commands_processed);
  out.line("instantaneous_ops_per_sec", counters.ops_per_second);
  out.line("total_net_input_bytes", counters.net_input_bytes);
  out.line("total_net_output_bytes", counters.net_output_bytes);
  out.decimal("instantaneous_input_kbps", counters.input_kbps, 2);
  out.decimal("instantaneous_output_kbps", counters.output_kbps, 2);
  out.line("rejected_connections", counters.connections_rejected);
  out.line("expired_keys", counters.expired_keys).line("evicted_keys", 0);
  out.line("keyspace_hits", counters.keyspace_hits);
  out.line("keyspace_misses", counters.keyspace_misses);
  const Subscriptions& subscriptions = call.server.subscriptions();
  out.line("pubsub_channels", subscriptions.count(Topic::channel));
  out.line("pubsub_patterns", subscriptions.count(Topic::pattern));
  out.line("pubsubshard_channels", subscriptions.count(Topic::shard));
  out.line("total_error_replies", counters.error_replies);
  out.line("child_crashes", counters.child_crashes);
}

void replication_section(Call& call, Text& out) {
  out.line("role", "master").line("connected_slaves", 0);
  out.line("master_failover_state", "no-failover").line("master_replid", call.server.run_id());
  out.line("master_repl_offset", 0);
}

void cpu_section(Call&, Text& out) {
  const ProcessUse use = process_use();
  out.decimal("used_cpu_sys", use.system_s, 6).decimal("used_cpu_user", use.user_s, 6);
  out.decimal("used_cpu_sys_children", use.children_system_s, 6);
  out.decimal("used_cpu_user_children", use.children_user_s, 6);
}

void commandstats_section(Call& call, Text& out) {
  for (const auto& [name, stats] : call.server.counters().commands) {
    if (stats.empty()) continue;
    std::array<char, 64> average{};
    std::snprintf(average.data(), average.size(), "%.2f", ratio(stats.micros, stats.calls));
    out.line("cmdstat_" + name,
             "calls=" + std::to_string(stats.calls) + ",usec=" + std::to_string(stats.micros) +
                 ",usec_per_call=" + average.data() + ",rejected_calls=" +
                 std::to_string(stats.rejected) + ",failed_calls=" + std::to_string(stats.failed));
  }
}

void errorstats_section(Call& call, Text& out) {
  std::map<std::string_view, std::uint64_t> sorted;
  for (const ErrorCounts::Row& row : call.server.counters().errors) sorted[row.word()] = row.count;
  for (const auto& [word, count] : sorted) {
    if (count == 0) continue;
    out.line("errorstat_" + std::string(word), "count=" + std::to_string(count));
  }
}

void modules_section(Call&, Text&) {}  // there are none

void cluster_section(Call&, Text& out) { out.line("cluster_enabled", 0); }

void keyspace_section(Call& call, Text& out) {
  for (unsigned i = 0; i < call.server.databases(); ++i) {
    const Keyspace& keys = call.server.database(i);
    if (keys.size() == 0) continue;
    out.line("db" + std::to_string(i), "keys=" + std::to_string(keys.size()) + ",expires=" +
                                           std::to_string(keys.expiring()) + ",avg_ttl=0");
  }
}

struct Section {
  std::string_view name, title;
  void (*write)(Call&, Text&);
  bool by_default;
};

constexpr Section kSections[] = {
    {"server", "Server", server_section, true},
    {"clients", "Clients", clients_section, true},
    {"memory", "Memory", memory_section, true},
    {"persistence", "Persistence", persistence_section, true},
    {"stats", "Stats", stats_section, true},
    {"replication", "Replication", replication_section, true},
    {"cpu", "CPU", cpu_section, true},
    {"modules", "Modules", modules_section, true},
    {"commandstats", "Commandstats", commandstats_section, false},
    {"errorstats", "Errorstats", errorstats_section, true},
    {"cluster", "Cluster", cluster_section, true},
    {"keyspace", "Keyspace", keyspace_section, true},
};

bool wanted(const Call& call, const Section& section) {
  if (call.argc() == 1) return section.by_default;
  for (std::size_t i = 1; i < call.argc(); ++i) {
    if (call.is(i, section.name) || call.is(i, "all") || call.is(i, "everything")) return true;
    if (section.by_default && call.is(i, "default")) return true;
  }
  return false;
}

// --- picolisp-kv's sections ---

// It counts in whole mebibytes.
std::string mebibytes(std::uint64_t bytes) {
  return std::to_string((bytes + (1u << 19)) >> 20) + "M";
}
std::string status_word(std::string_view status) {
  return status == "ok" ? "OK" : std::string(status);
}

void plio_server(Call& call, Text& out) {
  out.line("app_version", KV_VERSION).line("os", machine().system);
  out.line("arch_bits", static_cast<int>(8 * sizeof(void*)));
  out.line("process_id", static_cast<std::int64_t>(::getpid()));
  out.line("tcp_port", call.server.port()).line("uptime_in_seconds", uptime_s(call));
  out.line("uptime_in_days", uptime_s(call) / 86'400).line("executable", call.server.executable());
}

void plio_clients(Call& call, Text& out) {
  out.line("connected_clients", live_clients(call.server));
}

void plio_memory(Call& call, Text& out) {
  const MemoryFigures memory = memory_figures(call.server);
  const std::uint64_t all = machine().memory_bytes;
  out.line("total_keys", memory.keys).line("used_memory", memory.used);
  out.line("used_memory_human", mebibytes(memory.used));
  out.line("used_memory_startup", memory.at_start);
  out.line("total_system_memory", all).line("total_system_memory_human", mebibytes(all));
}

void plio_persistence(Call& call, Text& out) {
  const PersistenceState& state = call.server.persistence();
  const bool saved = state.saves > 0 || state.last_save_s > 0;
  out.line("db_format", state.binary ? "binary" : "plaintext").line("loading", state.loading);
  out.line("rdb_changes_since_last_save", call.server.counters().changes_since_save);
  out.line("rdb_bgsave_in_progress", state.saving).line("rdb_last_save_time", state.last_save_s);
  out.line("rdb_last_bgsave_status", saved ? status_word(state.last_save_status) : "");
  out.line("rdb_last_cow_size", state.last_cow_bytes).line("aof_enabled", state.aof_enabled);
  out.line("aof_rewrite_in_progress", state.saving && state.aof_enabled);
  out.line("aof_last_write_status", state.aof_enabled ? status_word(state.aof_status) : "");
  out.line("aof_current_size", state.aof_bytes).line("aof_base_size", state.aof_base_bytes);
}

void plio_stats(Call& call, Text& out) {
  const Counters& counters = call.server.counters();
  out.line("total_connections_received", counters.connections_received);
  out.line("total_commands_processed", counters.commands_processed);
  out.line("total_net_input_bytes", counters.net_input_bytes);
  out.line("total_net_output_bytes", counters.net_output_bytes);
  out.line("rejected_connections", counters.connections_rejected);
  out.line("keyspace_hits", counters.keyspace_hits);
  out.line("keyspace_misses", counters.keyspace_misses);
}

constexpr Section kPlioSections[] = {
    {"server", "Server", plio_server, true}, {"clients", "Clients", plio_clients, true},
    {"memory", "Memory", plio_memory, true}, {"persistence", "Persistence", plio_persistence, true},
    {"stats", "Stats", plio_stats, true},
};

// One section by name, all of them for none or an unknown one.
void plio_info(Call& call) {
  const auto named = [&](const Section& section) {
    return call.argc() > 1 && call.is(1, section.name);
  };
  const bool one = std::any_of(std::begin(kPlioSections), std::end(kPlioSections), named);
  Text out("\n");
  for (const Section& section : kPlioSections) {
    if (one && !named(section)) continue;
    out.title(section.title, true);
    section.write(call, out);
  }
  call.reply.bulk(out.text());
}

}  // namespace

void run_info(Call& call) {
  if (call.plio()) return plio_info(call);
  Text out("\r\n");
  for (const Section& section : kSections) {
    if (!wanted(call, section)) continue;
    out.title(section.title, !out.empty());
    section.write(call, out);
  }
  call.reply.verbatim(out.text());
}

}  // namespace kv
