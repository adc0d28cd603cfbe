// The small tools: --scan, --bigkeys, --latency, --stat, --monitor, named and printing as redis-cli
// does, so that what people know and what scripts read keeps working.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "libkv/base/text.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/console/program.hpp"
#include "libkv/client/convert.hpp"

namespace kv {
namespace {

using client::Access;
using client::Connection;
using client::Value;
using Clock = std::chrono::steady_clock;

template <class... Arguments>
std::string printed(const char* format, Arguments... arguments) {
  std::array<char, 512> text;
  const int n = std::snprintf(text.data(), text.size(), format, arguments...);
  return {text.data(), std::min(text.size() - 1, static_cast<std::size_t>(std::max(n, 0)))};
}

// ---- --scan ----

int run_scan(Connection& connection, const ClientArguments& arguments) {
  Output output(arguments.form, false);
  bool fine = true;
  const auto done = connection.scan(arguments.pattern, [&](const std::string& key) {
    output.reply(Value(key));
    if (arguments.form == OutputForm::raw) output.text("\n");
    if (output.full()) fine = output.flush();
    return fine;
  });
  if (!output.flush() || !fine) return exit_error_reply;
  return done ? 0 : report(done.error());
}

// ---- --bigkeys ----

struct TypeRow {
  const char* type;
  const char* size_command;
  const char* unit;
  std::uint64_t keys = 0, size = 0, biggest = 0;
  std::string biggest_key = {};
};

class BigKeys {
 public:
  explicit BigKeys(Connection& connection) : connection_(connection) {}
  int run();

 private:
  client::Result<void> measure(const std::vector<std::string>& keys);
  void note(TypeRow& row, const std::string& key, std::uint64_t size);
  TypeRow* row_of(std::string_view type);
  void summary();

  Connection& connection_;
  Output output_{OutputForm::plain, false};
  std::array<TypeRow, 6> rows_{{{"string", "STRLEN", "bytes"},
                                {"list", "LLEN", "items"},
                                {"hash", "HLEN", "fields"},
                                {"set", "SCARD", "members"},
                                {"zset", "ZCARD", "members"},
                                {"stream", "XLEN", "entries"}}};
  std::uint64_t sampled_ = 0, key_bytes_ = 0, total_ = 0;
};

TypeRow* BigKeys::row_of(std::string_view type) {
  const auto row =
      std::find_if(rows_.begin(), rows_.end(), [type](const TypeRow& r) { return type == r.type; });
  return row == rows_.end() ? nullptr : &*row;
}

void BigKeys::note(TypeRow& row, const std::string& key, std::uint64_t size) {
  ++row.keys;
  row.size += size;
  if (size < row.biggest || (size == 0 && !row.biggest_key.empty())) return;
  if (row.keys > 1 && size == row.biggest) return;
  row.biggest = size;
  row.biggest_key = quoted(key);
  const double percent = total_ == 0 ? 0.0
                                     : 100.0 * static_cast<double>(sampled_) /
                                           static_cast<double>(std::max(total_, sampled_));
  output_.text(printed("[%05.2f%%] Biggest %-6s found so far '%s' with %llu %s\n", percent,
                       row.type, row.biggest_key.substr(0, 300).c_str(),
                       static_cast<unsigned long long>(size), row.unit));
}

/// Two pipelines a page: what each key is, then how large.
client::Result<void> BigKeys::measure(const std::vector<std::string>& keys) {
  std::vector<std::vector<std::string>> requests;
  for (const std::string& key : keys) requests.push_back({"TYPE", key});
  const auto types = connection_.run(requests);
  if (!types) return types.error();
  requests.clear();
  std::vector<std::pair<TypeRow*, const std::string*>> asked;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    TypeRow* row = row_of((*types)[i].text());
    if (row == nullptr) continue;  // gone meanwhile, or of a type nobody here knows
    requests.push_back({row->size_command, keys[i]});
    asked.emplace_back(row, &keys[i]);
  }
  const auto sizes = connection_.run(requests);
  if (!sizes) return sizes.error();
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if ((*sizes)[i].is_error()) continue;
    ++sampled_;
    key_bytes_ += asked[i].second->size();
    note(*asked[i].first, *asked[i].second, static_cast<std::uint64_t>((*sizes)[i].integer()));
  }
  return {};
}

void BigKeys::summary() {
  const auto average = [](std::uint64_t sum, std::uint64_t n) {
    return n == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(n);
  };
  std::string out = "\n-------- summary -------\n\n";
  out += "Sampled " + std::to_string(sampled_) + " keys in the keyspace!\n";
  out += "Total key length in bytes is " + std::to_string(key_bytes_) +
         printed(" (avg len %.2f)\n\n", average(key_bytes_, sampled_));
  for (const TypeRow& row : rows_) {
    if (row.keys == 0) continue;
    out += printed("Biggest %6s found '%s' has %llu %s\n", row.type,
                   row.biggest_key.substr(0, 300).c_str(),
                   static_cast<unsigned long long>(row.biggest), row.unit);
  }
  out += "\n";
  for (const TypeRow& row : rows_) {
    out += printed("%llu %ss with %llu %s (%05.2f%% of keys, avg size %.2f)\n",
                   static_cast<unsigned long long>(row.keys), row.type,
                   static_cast<unsigned long long>(row.size), row.unit,
                   100.0 * average(row.keys, sampled_), average(row.size, row.keys));
  }
  output_.text(out);
}

int BigKeys::run() {
  output_.text(
      "\n# Scanning the entire keyspace to find biggest keys as well as\n"
      "# average sizes per key type.\n\n");
  if (const auto size = connection_.call({"DBSIZE"}); size) {
    total_ = static_cast<std::uint64_t>(size->integer());
  }
  std::string cursor = "0";
  do {
    const auto keys = Access::scan_page(connection_, cursor, "*");
    if (!keys) return report(keys.error());
    if (auto done = measure(*keys); !done) return report(done.error());
    if (!output_.flush()) return exit_error_reply;
  } while (cursor != "0");
  summary();
  return output_.flush() ? 0 : exit_error_reply;
}

// ---- --latency ----

// On a terminal for ever, on one line; else one second, and the four figures alone.
int run_latency(Connection& connection) {
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  const auto start = Clock::now();
  double least = 1e9, most = 0, sum = 0;
  std::uint64_t n = 0;
  while (terminal || Clock::now() - start < std::chrono::seconds(1)) {
    const auto before = Clock::now();
    if (const auto pong = connection.ping(); !pong) return report(pong.error());
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - before).count();
    least = std::min(least, ms);
    most = std::max(most, ms);
    sum += ms;
    ++n;
    if (terminal) {
      std::printf("\r\033[Kmin: %.2f, max: %.2f, avg: %.2f (%llu samples)", least, most,
                  sum / static_cast<double>(n), static_cast<unsigned long long>(n));
      std::fflush(stdout);
    }
    sleep_s(0.01);
  }
  Output output(OutputForm::plain, false);
  output.text(printed("%.2f %.2f %.2f %llu\n", least, most, sum / static_cast<double>(n),
                      static_cast<unsigned long long>(n)));
  return output.flush() ? 0 : exit_error_reply;
}

// ---- --stat ----

/// The number after "name:" in INFO's text, 0 if it is not there.
std::uint64_t info_number(std::string_view info, std::string_view name) {
  const std::string wanted = "\n" + std::string(name) + ":";
  const std::size_t at = info.find(wanted);
  if (at == info.npos) return 0;
  std::string_view rest = info.substr(at + wanted.size());
  rest = rest.substr(0, rest.find_first_not_of("0123456789"));
  std::uint64_t n = 0;
  return parse_unsigned(rest, n) ? n : 0;
}

/// Keys of all databases: the sum over "dbN:keys=...".
std::uint64_t info_keys(std::string_view info) {
  std::uint64_t sum = 0;
  for (std::size_t at = info.find(":keys="); at != info.npos; at = info.find(":keys=", at + 1)) {
    std::string_view rest = info.substr(at + 6);
    rest = rest.substr(0, rest.find_first_not_of("0123456789"));
    std::uint64_t n = 0;
    if (parse_unsigned(rest, n)) sum += n;
  }
  return sum;
}

int run_stat(Connection& connection) {
  Output output(OutputForm::plain, false);
  std::uint64_t commands_before = 0;
  for (unsigned row = 0;; ++row) {
    const auto reply = connection.call({"INFO"});
    if (!reply) return report(reply.error());
    const std::string& info = reply->text();
    if (row % 20 == 0) {
      output.text(
          "------- data ------ --------------------- load -------------------- - child -\n"
          "keys       mem      clients blocked requests            connections          \n");
    }
    const std::uint64_t commands = info_number(info, "total_commands_processed");
    const std::string requests = std::to_string(commands) + " (+" +
                                 std::to_string(row == 0 ? 0 : commands - commands_before) + ")";
    commands_before = commands;
    const auto number = [&info](std::string_view name) {
      return std::to_string(info_number(info, name));
    };
    std::string child;
    if (info_number(info, "rdb_bgsave_in_progress") != 0) child += "SAVE ";
    if (info_number(info, "aof_rewrite_in_progress") != 0) child += "AOF ";
    output.text(
        printed("%-10s %-8s %-7s %-7s %-19s %-12s%s\n", std::to_string(info_keys(info)).c_str(),
                human_bytes(info_number(info, "used_memory")).c_str(),
                number("connected_clients").c_str(), number("blocked_clients").c_str(),
                requests.c_str(), number("total_connections_received").c_str(), child.c_str()));
    if (!output.flush()) return exit_error_reply;
    sleep_s(1);
  }
}

// ---- --monitor ----

// The one command whose replies never end, so it goes past the calls, to the link itself.
int run_monitor(Connection& connection) {
  client::Link& link = Access::of(connection).link;
  link.add(std::array<std::string_view, 1>{"MONITOR"});
  Output output(OutputForm::plain, false);
  for (;;) {
    Value line;
    bool more = true;
    if (auto status = link.read(line, client::Deadline::max()); !status) return report(status);
    while (more) {
      if (line.is_error()) return report(client::error_of_reply(line.text()));
      output.reply(line);
      if (auto status = link.read_buffered(line, more); !status) return report(status);
    }
    if (!output.flush()) return exit_error_reply;
  }
}

}  // namespace

int run_tool(ClientArguments& arguments) {
  auto connection = Connection::open(arguments.connection);
  if (!connection) return report(connection.error());
  switch (arguments.task) {
    case ClientTask::big_keys: return BigKeys(*connection).run();
    case ClientTask::latency: return run_latency(*connection);
    case ClientTask::stat: return run_stat(*connection);
    case ClientTask::monitor: return run_monitor(*connection);
    default: return run_scan(*connection, arguments);
  }
}

}  // namespace kv
