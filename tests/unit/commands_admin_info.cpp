// INFO and the keys below %stats%/: the server's figures. Names and shapes are those of
// Redis 7.0.15, the PLIO answers picolisp-kv's.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/fake_services.hpp"

using namespace kv;
using kv::test::FakeClient;
using kv::test::FakeServices;
using kv::test::has;
using kv::test::text_of;

// --- INFO ---

TEST_CASE("commands/info: the sections asked for, in Redis's order, each once") {
  FakeServices server;
  FakeClient client(server);
  const std::string all = text_of(client("INFO"));
  CHECK(all.starts_with("# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n"));
  std::size_t at = 0;
  for (const char* title :
       {"# Server", "# Clients", "# Memory", "# Persistence", "# Stats", "# Replication", "# CPU",
        "# Modules", "# Errorstats", "# Cluster", "# Keyspace"}) {
    CAPTURE(title);
    const std::size_t next = all.find(title, at);
    REQUIRE(next != std::string::npos);
    at = next;
  }
  CHECK_FALSE(has(all, "# Commandstats"));
  CHECK(has(text_of(client("INFO all")), "# Commandstats"));
  CHECK(has(text_of(client("INFO everything")), "# Commandstats"));
  CHECK(has(text_of(client("INFO default commandstats")), "# Commandstats"));
  CHECK(text_of(client("INFO keyspace")) == "# Keyspace\r\n");
  CHECK(text_of(client("INFO CLUSTER Keyspace cluster")) ==
        "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n");
  CHECK(text_of(client("INFO foo")).empty());
}

TEST_CASE("commands/info: each line is name:value, and tools find what they read") {
  FakeServices server;
  server.counters_.ops_per_second = 12;
  FakeClient client(server);
  client("SET k v");
  const std::string all = text_of(client("INFO everything"));
  for (const char* name : {"app_version",
                           "os",
                           "arch_bits",
                           "process_id",
                           "run_id",
                           "tcp_port",
                           "uptime_in_seconds",
                           "uptime_in_days",
                           "executable",
                           "connected_clients",
                           "blocked_clients",
                           "maxclients",
                           "total_keys",
                           "used_memory",
                           "used_memory_human",
                           "used_memory_rss",
                           "used_memory_peak",
                           "used_memory_startup",
                           "total_system_memory",
                           "total_system_memory_human",
                           "maxmemory",
                           "mem_fragmentation_ratio",
                           "db_format",
                           "loading",
                           "rdb_changes_since_last_save",
                           "rdb_bgsave_in_progress",
                           "rdb_last_save_time",
                           "rdb_last_bgsave_status",
                           "aof_enabled",
                           "aof_rewrite_in_progress",
                           "aof_last_write_status",
                           "total_connections_received",
                           "total_commands_processed",
                           "instantaneous_ops_per_sec",
                           "total_net_input_bytes",
                           "total_net_output_bytes",
                           "rejected_connections",
                           "expired_keys",
                           "evicted_keys",
                           "keyspace_hits",
                           "keyspace_misses",
                           "role",
                           "connected_slaves",
                           "used_cpu_sys",
                           "used_cpu_user",
                           "cluster_enabled",
                           "db0"}) {
    CAPTURE(name);
    CHECK(has(all, "\r\n" + std::string(name) + ":"));
  }
  CHECK(has(all, "\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n"));
  CHECK(has(all, "\r\ninstantaneous_ops_per_sec:12\r\n"));
  CHECK(has(all, "\r\nexecutable:/usr/bin/kv-server\r\n"));
  CHECK(has(all, "\r\nconnected_clients:1\r\n"));
}

TEST_CASE("commands/info: memory figures are real and agree with each other") {
  FakeServices server;
  FakeClient client(server);
  const auto figure = [&](const std::string& text, const std::string& name) {
    const std::size_t at = text.find("\r\n" + name + ":");
    REQUIRE(at != std::string::npos);
    return std::stoull(text.substr(at + name.size() + 3));
  };
  const std::string before = text_of(client("INFO memory"));
  const std::string large(8 << 20, 'v');
  client.run({"SET", "k", Scalar(large)});
  const std::string after = text_of(client("INFO memory"));
  CHECK(figure(after, "used_memory") > figure(before, "used_memory"));  // malloc's, or no less
  CHECK(figure(after, "used_memory") >= large.size());                  // than the data's own
  CHECK(figure(after, "used_memory_dataset") >= large.size());
  CHECK(figure(after, "used_memory_peak") >= figure(after, "used_memory"));
  CHECK(figure(after, "used_memory_dataset") + figure(after, "used_memory_overhead") ==
        figure(after, "used_memory"));
  CHECK(figure(after, "used_memory_rss") > large.size());
  CHECK(figure(after, "total_keys") == 1);
}

TEST_CASE("commands/info: saving and commands are told as they are") {
  FakeServices server;
  server.persistence_.aof_enabled = true;
  server.persistence_.saving = true;
  server.persistence_.last_save_status = "err";
  server.persistence_.aof_bytes = 99;
  server.counters_.commands["get"] = {.calls = 4, .micros = 10, .rejected = 1, .failed = 3};
  server.counters_.commands["set"] = {};
  server.counters_.commands["type"] = {.rejected = 7};
  FakeClient client(server);
  const std::string saving = text_of(client("INFO persistence"));
  CHECK(has(saving, "rdb_bgsave_in_progress:1\r\n"));
  CHECK(has(saving, "rdb_last_bgsave_status:err\r\n"));
  CHECK(has(saving, "aof_current_size:99\r\n"));
  CHECK(text_of(client("INFO commandstats")) ==
        "# Commandstats\r\n"
        "cmdstat_get:calls=4,usec=10,usec_per_call=2.50,rejected_calls=1,failed_calls=3\r\n"
        "cmdstat_type:calls=0,usec=0,usec_per_call=0.00,rejected_calls=7,failed_calls=0\r\n");
}

TEST_CASE("commands/info: errors are counted by their first word, and words are bounded (N2)") {
  FakeServices server;
  ErrorCounts& errors = server.counters_.errors;
  FakeClient client(server);
  for (const char* text : {"WRONGTYPE x", "ERR a", "ERR b", "OOM", "lower case", "", "A:1 x"})
    errors.note(text);
  CHECK(text_of(client("INFO errorstats")) ==
        "# Errorstats\r\nerrorstat_ERR:count=5\r\nerrorstat_OOM:count=1\r\n"
        "errorstat_WRONGTYPE:count=1\r\n");
  errors.clear();
  errors.note(std::string(limits::error_word_bytes_max, 'L') + " fits");
  errors.note(std::string(limits::error_word_bytes_max + 1, 'M') + " does not");
  CHECK(text_of(client("INFO errorstats")) ==
        "# Errorstats\r\nerrorstat_ERR:count=1\r\nerrorstat_" +
            std::string(limits::error_word_bytes_max, 'L') + ":count=1\r\n");
  std::string word = "AAA";
  for (int i = 0; i < 1000; ++i) {
    for (std::size_t at = 2; ++word[at] > 'Z'; --at) word[at] = 'A';
    errors.note(word + " x");
  }
  const std::string text = text_of(client("INFO errorstats"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 1 + limits::error_words_max);
  CHECK(has(text, "errorstat_ERR:count=" +
                      std::to_string(1 + 1000 - (limits::error_words_max - 2)) + "\r\n"));
}

TEST_CASE("commands/info: over PLIO picolisp-kv's five sections, each after an empty line") {
  FakeServices server;
  FakeClient lisp(server, Dialect::plio);
  CHECK(lisp("INFO clients") == "$31\r\n\n# Clients\nconnected_clients:1\n\r\n");
  CHECK(text_of(lisp("INFO CLIENTS")) == "\n# Clients\nconnected_clients:1\n");
  const std::string all = text_of(lisp("INFO"));
  CHECK(text_of(lisp("INFO nonesuch")).starts_with("\n# Server\napp_version:"));
  std::vector<std::string> names;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = all.find('\n', at);
    const std::string line = all.substr(at, end - at);
    names.push_back(line.substr(0, line.find(':')));
    at = end + 1;
  }
  CHECK(names == std::vector<std::string>{"",
                                          "# Server",
                                          "app_version",
                                          "os",
                                          "arch_bits",
                                          "process_id",
                                          "tcp_port",
                                          "uptime_in_seconds",
                                          "uptime_in_days",
                                          "executable",
                                          "",
                                          "# Clients",
                                          "connected_clients",
                                          "",
                                          "# Memory",
                                          "total_keys",
                                          "used_memory",
                                          "used_memory_human",
                                          "used_memory_startup",
                                          "total_system_memory",
                                          "total_system_memory_human",
                                          "",
                                          "# Persistence",
                                          "db_format",
                                          "loading",
                                          "rdb_changes_since_last_save",
                                          "rdb_bgsave_in_progress",
                                          "rdb_last_save_time",
                                          "rdb_last_bgsave_status",
                                          "rdb_last_cow_size",
                                          "aof_enabled",
                                          "aof_rewrite_in_progress",
                                          "aof_last_write_status",
                                          "aof_current_size",
                                          "aof_base_size",
                                          "",
                                          "# Stats",
                                          "total_connections_received",
                                          "total_commands_processed",
                                          "total_net_input_bytes",
                                          "total_net_output_bytes",
                                          "rejected_connections",
                                          "keyspace_hits",
                                          "keyspace_misses"});
  CHECK(has(all, "\nrdb_last_bgsave_status:\n"));
  CHECK(has(all, "\naof_last_write_status:\n"));
  CHECK(has(all, "\ndb_format:plaintext\n"));
}

// --- %stats% ---

TEST_CASE("commands/stats: counters are numbers to PLIO and bytes to RESP") {
  FakeServices server;
  server.counters_.net_output_bytes = 3970;
  server.counters_.last_client = "cli1";
  FakeClient client(server), lisp(server, Dialect::plio);
  CHECK(lisp("GET %stats%/total_net_output_bytes") == ":3970\r\n");
  CHECK(client("GET %stats%/total_net_output_bytes") == "$4\r\n3970\r\n");
  CHECK(lisp("GET %stats%/last_client") == "$4\r\ncli1\r\n");
  CHECK(lisp("GET %stats%/loading") == ":0\r\n");
  CHECK(lisp("GET %stats%/rdb_last_bgsave_status") == "_\r\n");
  CHECK(lisp("GET %stats%/nonesuch") == "_\r\n");
  CHECK(client("GET %stats%/nonesuch") == "_\r\n");
}

TEST_CASE("commands/stats: the two lists are lists to PLIO and counts to RESP") {
  FakeServices server;
  FakeClient client(server), lisp(server, Dialect::plio);
  lisp.session.child_pid = 71;
  lisp.session.fd = 6;
  client("SET k v");
  CHECK(lisp("GET %stats%/keys") == "*1\r\n$1\r\nk\r\n");
  CHECK(client("GET %stats%/keys") == "$1\r\n1\r\n");
  CHECK(client("GET %stats%/connected_clients") == "$1\r\n2\r\n");
  CHECK(lisp("GET %stats%/connected_clients")
            .starts_with("*2\r\n*2\r\n:71\r\n%6\r\n$2\r\nid\r\n:2\r\n$3\r\npid\r\n:71\r\n"
                         "$4\r\nname\r\n$4\r\ntest\r\n$4\r\naddr\r\n$9\r\n127.0.0.1\r\n"
                         "$4\r\nport\r\n:40312\r\n$2\r\nfd\r\n:6\r\n"));
}
