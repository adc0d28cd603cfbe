// Dispatch of subcommands: CLIENT LIST, CONFIG GET and the like, and HELP for all of them.
#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"

namespace kv {
namespace {

struct Container {
  std::string_view name;
  std::span<const Subcommand> (*table)() noexcept;
};

constexpr Container kContainers[] = {
    {"acl", acl_subcommands},         {"client", client_subcommands},
    {"command", command_subcommands}, {"config", config_subcommands},
    {"debug", debug_subcommands},     {"latency", latency_subcommands},
    {"memory", memory_subcommands},   {"module", module_subcommands},
    {"object", object_subcommands},   {"pubsub", pubsub_subcommands},
    {"slowlog", slowlog_subcommands},
};

// Redis has its subcommands in no table: they are no commands of their own.
bool is_debug(const Command& command) noexcept { return command.name == "debug"; }

std::string try_help(const Call& call) { return "Try " + to_upper(call.command.name) + " HELP."; }

// DEBUG and SLOWLOG GET answer both mistakes with one sentence, as Redis does.
void unknown_or_arity(Call& call) {
  call.fail("ERR unknown subcommand or wrong number of arguments for '" +
            std::string(as_c_text(call.arg(1), c_text_bytes_max)) + "'. " + try_help(call));
}

}  // namespace

std::span<const Subcommand> subcommands_of(std::string_view container) noexcept {
  for (const Container& c : kContainers)
    if (equals_ignoring_case(c.name, container)) return c.table();
  return {};
}

const Subcommand* find_subcommand(std::span<const Subcommand> table,
                                  std::string_view name) noexcept {
  for (const Subcommand& row : table)
    if (equals_ignoring_case(row.name, name)) return &row;
  return nullptr;
}

bool arity_allows(int arity, std::size_t argc) noexcept {
  return arity >= 0 ? argc == static_cast<std::size_t>(arity)
                    : argc >= static_cast<std::size_t>(-arity);
}

std::string_view subcommand_name(const Command& command, std::string_view word) noexcept {
  if (is_debug(command)) return {};
  const Subcommand* row = find_subcommand(subcommands_of(command.name), word);
  return row != nullptr ? row->name : std::string_view{};
}

std::uint32_t flags_with(const Command& command, std::string_view word) noexcept {
  const bool container = !command.subcommands.empty();
  const Subcommand* row = container ? find_subcommand(subcommands_of(command.name), word) : nullptr;
  return command.flags | (row != nullptr ? row->flags : 0);
}

void run_container(Call& call) {
  const bool debug = is_debug(call.command);
  const Subcommand* row = find_subcommand(subcommands_of(call.command.name), call.arg(1));
  if (row == nullptr) {
    if (debug) return unknown_or_arity(call);
    return call.reject("ERR unknown subcommand '" +
                       std::string(as_c_text(call.arg(1), c_text_bytes_max)) + "'. " +
                       try_help(call));
  }
  if (!debug) call.session.last_subcommand = row->name;
  if (arity_allows(row->arity, call.argc())) return row->run(call);
  if (debug) return unknown_or_arity(call);
  call.reject("ERR wrong number of arguments for '" + std::string(call.command.name) + "|" +
              std::string(row->name) + "' command");
}

void run_help(Call& call) {
  const std::span<const Subcommand> table = subcommands_of(call.command.name);
  call.reply.array(1 + 2 * table.size());
  const std::string name = to_upper(call.command.name);
  call.reply.simple(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Subcommand& row : table) {
    std::string line = to_upper(row.name);
    if (!row.syntax.empty()) line.append(" ").append(row.syntax);
    call.reply.simple(line);
    call.reply.simple("    " + std::string(row.summary) + ".");
  }
}

}  // namespace kv
