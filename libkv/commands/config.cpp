// CONFIG: the server's settings while it runs. Only what is true here is listed.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

const Setting* find_setting(const Call& call, std::string_view name) {
  for (const Setting& setting : call.server.settings())
    if (equals_ignoring_case(setting.name, name)) return &setting;
  return nullptr;
}

// Every setting that one of the patterns means, once. One named in full is called as the client
// calls it, as Redis does.
void get(Call& call) {
  std::vector<std::pair<std::string_view, const Setting*>> found;
  for (const Setting& setting : call.server.settings()) {
    for (std::size_t i = 2; i < call.argc(); ++i) {
      if (!glob_match(call.arg(i), setting.name, true)) continue;
      found.emplace_back(call.is(i, setting.name) ? call.arg(i) : setting.name, &setting);
      break;
    }
  }
  call.reply.map(found.size());
  for (const auto& [name, setting] : found) {
    call.reply.bulk(name);
    call.reply.bulk(setting->get());
  }
}

void refuse(Call& call, std::string_view name, std::string_view why) {
  call.fail("ERR CONFIG SET failed (possibly related to argument '" + std::string(name) + "') - " +
            std::string(why));
}

// The settings named by the pairs, in order; false if one was answered with an error.
bool settings_of(Call& call, std::vector<const Setting*>& settings) {
  for (std::size_t i = 2; i < call.argc(); i += 2) {
    const Setting* setting = find_setting(call, call.arg(i));
    if (setting == nullptr) {
      call.fail("ERR Unknown option or number of arguments for CONFIG SET - '" +
                std::string(as_c_text(call.arg(i))) + "'");
      return false;
    }
    if (!setting->set) return refuse(call, setting->name, "can't set immutable config"), false;
    if (std::find(settings.begin(), settings.end(), setting) != settings.end())
      return refuse(call, setting->name, "duplicate parameter"), false;
    settings.push_back(setting);
  }
  return true;
}

// All or nothing: when one is refused, those before it get their old values back.
void set(Call& call) {
  if (call.argc() % 2 != 0) return call.syntax_error();
  std::vector<const Setting*> settings;
  if (!settings_of(call, settings)) return;
  std::vector<std::string> before;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    before.push_back(settings[i]->get());
    const Status status = settings[i]->set(call.arg(3 + 2 * i));
    if (status.ok()) continue;
    while (i-- > 0) static_cast<void>(settings[i]->set(before[i]));  // it was accepted once
    return refuse(call, settings[before.size() - 1]->name, status.message());
  }
  call.reply.ok();
}

// Figures of the past. What describes the present (sizes, changes not yet saved) stays, and so do
// the places of the command counters: the engine keeps pointers to them.
void reset_stat(Call& call) {
  Counters& counters = call.server.counters();
  counters.connections_received = counters.connections_rejected = 0;
  counters.commands_processed = counters.error_replies = 0;
  counters.net_input_bytes = counters.net_output_bytes = 0;
  counters.keyspace_hits = counters.keyspace_misses = counters.expired_keys = 0;
  counters.child_crashes = 0;
  counters.memory_peak = 0;
  counters.errors.clear();
  for (auto& [name, stats] : counters.commands) stats = {};
  call.reply.ok();
}

constexpr std::uint32_t kOperator = kAdmin | kNoScript | kLoading | kStale;

constexpr Subcommand kRows[] = {
    {"get",
     -3,
     kOperator,
     {},
     get,
     "pattern [pattern ...]",
     "Shows the settings whose names match a pattern"},
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"resetstat", 2, kOperator, {}, reset_stat, "", "Sets the counters shown by INFO to 0"},
    {"set",
     -4,
     kOperator,
     {},
     set,
     "setting value [setting value ...]",
     "Changes settings, all of those named or none"},
};

}  // namespace

std::span<const Subcommand> config_subcommands() noexcept { return kRows; }

}  // namespace kv
