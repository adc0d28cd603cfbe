// LATENCY and MODULE: what tools ask any Redis about and what there is none of here.
//
// Every answer is the one that redis-server gives when nothing was recorded and nothing is loaded.
// What would need a made-up answer (LATENCY DOCTOR, HISTOGRAM) or a refusal in many words (MODULE
// LOAD) is left out: an unknown subcommand says enough.
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

void nothing(Call& call) { call.reply.array(0); }
void none_reset(Call& call) { call.reply.integer(0); }

constexpr std::uint32_t kWatch = kAdmin | kNoScript | kLoading | kStale;

constexpr Subcommand kLatencyRows[] = {
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"history", 3, kWatch, {}, nothing, "event", "Lists the delays of an event: none"},
    {"latest", 2, kWatch, {}, nothing, "", "Lists the last delay of each event: none"},
    {"reset", -2, kWatch, {}, none_reset, "[event ...]", "Forgets what was recorded: nothing"},
};

constexpr Subcommand kModuleRows[] = {
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"list", 2, kAdmin | kNoScript, {}, nothing, "", "Lists the modules: none"},
};

}  // namespace

std::span<const Subcommand> latency_subcommands() noexcept { return kLatencyRows; }
std::span<const Subcommand> module_subcommands() noexcept { return kModuleRows; }

}  // namespace kv
