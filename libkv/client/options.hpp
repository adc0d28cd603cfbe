// The client program's options: one table from which parsing, --help, the manual page and shell
// completion come, and the split of a command line into options and command.
//
// Everything after the command word is data, whatever it looks like; only `-- FILE` keeps its
// meaning there. That is why no general option parser is let near the arguments.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/option_row.hpp"
#include "libkv/base/status.hpp"
#include "libkv/client/kv/client.hpp"

namespace kv {

/// In the order --help shows them.
std::span<const OptionRow> client_options() noexcept;

/// How a reply is written (output.hpp).
enum class OutputForm : unsigned char { plain, json, lines, nul, raw };

/// What the program does instead of running one command.
enum class ClientTask : unsigned char {
  command,
  help,
  version,
  commands,
  keys,
  reencrypt,
  big_keys,
  latency,
  stat,
  scan,
  monitor
};

/// A command line, understood.
struct ClientArguments {
  ClientTask task = ClientTask::command;
  client::Options connection;
  client::SealOptions seal;
  OutputForm form = OutputForm::plain;
  bool quiet = false;
  bool fail_nil = false;
  std::optional<double> poll_s, watch_s;
  std::string pattern;               // of --scan, --reencrypt
  std::vector<std::string> command;  // the word and its arguments; empty: none given

  ~ClientArguments();  ///< wipes the command, which may hold a secret
  ClientArguments() = default;
  ClientArguments(ClientArguments&&) = default;
  ClientArguments& operator=(ClientArguments&&) = default;
};

/// Parses argv, reading `-- FILE`s and the password file, over what the environment says. Secrets
/// in argv (and KV_PASS) are overwritten, so that ps does not show them. usage on any mistake.
Result<ClientArguments> parse_client_arguments(int argc, char** argv);

/// What --help prints.
std::string client_help();
/// What --commands prints: a line a command.
std::string client_command_list();

}  // namespace kv
