// What SLOWLOG keeps of a request: enough to find it, nothing that is secret.
#include "libkv/commands/slow_log.hpp"

#include "libkv/commands/command.hpp"
#include "libkv/commands/session.hpp"

namespace kv {
namespace {

constexpr std::string_view kRedacted = "(redacted)";

// Passwords and settings are secret whole; of other commands only what the row calls values is.
bool is_secret(const Command& command, std::size_t i, std::size_t argc) {
  if (i == 0) return false;
  if ((command.flags & kNoAuth) != 0) return true;
  if (command.name == "config") return i >= 3;
  const ArgSpan span = command.values;
  if (span.step <= 0 || span.first <= 0) return false;
  const auto first = static_cast<std::size_t>(span.first);
  const std::size_t last = span.last >= 0 ? static_cast<std::size_t>(span.last)
                           : static_cast<std::size_t>(-span.last) > argc
                               ? 0
                               : argc - static_cast<std::size_t>(-span.last);
  return i >= first && i <= last && (i - first) % static_cast<std::size_t>(span.step) == 0;
}

std::string shortened(std::string_view bytes) {
  if (bytes.size() <= SlowLog::arg_bytes_max) return std::string(bytes);
  return std::string(bytes.substr(0, SlowLog::arg_bytes_max)) + "... (" +
         std::to_string(bytes.size() - SlowLog::arg_bytes_max) + " more bytes)";
}

}  // namespace

void SlowLog::note(const Session& session, const Command& command, std::span<const Scalar> args,
                   std::int64_t now_ms, std::int64_t micros) {
  if (!is_slow(micros) || length_max == 0) return;
  SlowEntry entry;
  entry.id = next_id_++;
  entry.time_s = now_ms / 1000;
  entry.micros = micros;
  entry.address = session.address;
  entry.name = session.name;
  // The last place tells how many were left out.
  const std::size_t shown = args.size() > args_max ? args_max - 1 : args.size();
  for (std::size_t i = 0; i < shown; ++i) {
    entry.args.push_back(is_secret(command, i, args.size()) ? std::string(kRedacted)
                                                            : shortened(args[i].bytes));
  }
  if (shown < args.size())
    entry.args.push_back("... (" + std::to_string(args.size() - shown) + " more arguments)");
  entries_.push_front(std::move(entry));
  while (entries_.size() > length_max) entries_.pop_back();
}

}  // namespace kv
