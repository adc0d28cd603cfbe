// MEMORY: what the data and the server around it take, in bytes.
#include <algorithm>
#include <cstdio>
#include <string>

#include "libkv/base/machine.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"
#include "libkv/keyspace/arena.hpp"

namespace kv {
namespace {

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

void usage(Call& call) {
  // SAMPLES is accepted; nothing is estimated, so there is nothing to sample.
  std::int64_t samples = 0;
  if (call.argc() != 3 && (call.argc() != 5 || !call.is(3, "SAMPLES"))) return call.syntax_error();
  if (call.argc() == 5) {
    if (!call.integer(4, samples)) return;
    if (samples < 0) return call.syntax_error();
  }
  const Place place = call.keys().peek(call.arg(2), call.now_ms());
  if (!place.found()) return call.reply.nil();
  call.reply.integer(static_cast<std::int64_t>(call.keys().memory_usage(place)));
}

void whole(Reply& reply, std::string_view name, std::uint64_t value) {
  reply.bulk(name);
  reply.integer(static_cast<std::int64_t>(value));
}
void fraction(Reply& reply, std::string_view name, double value) {
  reply.bulk(name);
  reply.decimal(value);
}

void stats(Call& call) {
  const MemoryFigures memory = memory_figures(call.server);
  const std::uint64_t since_start = memory.used - memory.at_start;
  Reply& reply = call.reply;
  reply.map(13);
  whole(reply, "peak.allocated", memory.peak);
  whole(reply, "total.allocated", memory.used);
  whole(reply, "startup.allocated", memory.at_start);
  whole(reply, "overhead.total", memory.used - memory.data);
  whole(reply, "keys.count", memory.keys);
  whole(reply, "keys.bytes-per-key", memory.keys == 0 ? 0 : since_start / memory.keys);
  whole(reply, "dataset.bytes", memory.data);
  fraction(reply, "dataset.percentage", std::min(100.0, percent(memory.data, since_start)));
  fraction(reply, "peak.percentage", percent(memory.used, memory.peak));
  whole(reply, "allocator.allocated", memory.used);
  whole(reply, "allocator.active", memory.held);
  whole(reply, "allocator.resident", memory.resident);
  fraction(reply, "fragmentation", percent(memory.resident, memory.used) / 100);
}

// A sentence about each thing that is out of proportion.
void doctor(Call& call) {
  const MemoryFigures memory = memory_figures(call.server);
  constexpr std::uint64_t little = 5u << 20;  // below this every proportion is noise
  std::string text;
  const auto say = [&](const char* form, double figure) {
    char line[256];
    std::snprintf(line, sizeof line, form, figure);
    text += line;
  };
  if (memory.used < little) {
    text = "There is too little data here to judge: less than 5 MiB are in use.\n";
  } else {
    if (memory.peak > memory.used + memory.used / 2)
      say("The most ever used is %.1f times what is used now: MEMORY PURGE may give pages back.\n",
          percent(memory.peak, memory.used) / 100);
    if (memory.resident > memory.used + memory.used / 2)
      say("The process holds %.1f times what is in use: the heap has holes, or data was deleted "
          "lately.\n",
          percent(memory.resident, memory.used) / 100);
    if (memory.resident > machine().memory_bytes / 2)
      say("The data takes %.0f percent of the machine's memory: while a snapshot is written under "
          "many writes it can take twice as much.\n",
          percent(memory.resident, machine().memory_bytes));
    if (text.empty()) text = "Nothing is out of proportion.\n";
  }
  call.reply.verbatim(text);
}

void malloc_stats(Call& call) {
  const ProcessUse use = process_use();
  call.reply.verbatim("libc: " + std::to_string(use.allocated_bytes) + " bytes allocated of " +
                      std::to_string(use.heap_bytes) + " held\nkeyspaces: " +
                      std::to_string(arena().block_bytes()) + " bytes in blocks\n");
}

void purge(Call& call) {
  trim_heap();
  call.reply.ok();
}

constexpr Subcommand kRows[] = {
    {"doctor", 2, 0, {}, doctor, "", "Says in sentences what is out of proportion"},
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"malloc-stats", 2, 0, {}, malloc_stats, "", "Shows the allocators' own figures"},
    {"purge", 2, 0, {}, purge, "", "Gives free memory back to the system"},
    {"stats", 2, 0, {}, stats, "", "Shows what takes how much memory"},
    {"usage",
     -3,
     kReadonly,
     {2, 2, 1},
     usage,
     "key [SAMPLES count]",
     "Counts the bytes that a key and its value take"},
};

}  // namespace

MemoryFigures memory_figures(Services& server) {
  MemoryFigures figures;
  for (unsigned i = 0; i < server.databases(); ++i) {
    figures.keys += server.database(i).size();
    figures.data += server.database(i).memory_bytes();
  }
  const ProcessUse use = process_use();
  const std::uint64_t blocks = arena().block_bytes();  // mapped apart from libc's heap
  figures.used = std::max(use.allocated_bytes + blocks, figures.data);
  figures.held = use.heap_bytes + blocks;
  figures.resident = use.resident_bytes;
  Counters& counters = server.counters();
  counters.memory_peak = std::max(counters.memory_peak, figures.used);
  figures.peak = counters.memory_peak;
  figures.at_start = std::min(counters.memory_at_start, figures.used);
  return figures;
}

std::span<const Subcommand> memory_subcommands() noexcept { return kRows; }

}  // namespace kv
