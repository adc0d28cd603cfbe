// The server's options: one table from which the command line, --help and the manual are made.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/base/option_row.hpp"
#include "libkv/base/status.hpp"

namespace kv {

std::span<const OptionRow> server_options() noexcept;

/// What the command line, the configuration file and the environment say. Plain data.
struct Options {
  std::string password, password_file;
  std::uint32_t port = 6378;
  std::vector<std::string> bind;  // addresses; empty: loopback
  std::string unix_socket, command_pipe;
  std::string folder = ".";
  std::uint32_t persist_seconds = 0;  // 0: no log, no timer
  bool persist = false;
  bool binary = false;
  std::string fsync = "everysec";
  std::uint32_t keep_logs = 0;
  std::uint32_t children = 0;  // a process each up to this many, then shared; 0: a process each
  std::uint64_t max_clients = 0;
  std::uint32_t databases = 0;
  std::uint32_t login_grace_s = 120;  // a connection must have logged in by then; 0: any time
  bool plio_remote = false;
  bool verbose = false;
  std::string config_file;

  // The tools: one of them instead of serving.
  bool check = false, repair = false, reseal = false, json = false;
  std::string dump, load, until, into;

  /// Children share clients and are so few that each may have more memory for its exchange with
  /// the sibling.
  bool few_children() const noexcept {
    return children != 0 && children <= limits::few_children_max;
  }
};

/// Reads the command line into options. What to do next: serve, or end with this exit status
/// (--help and --version have printed; a mistake has been explained in one line on stderr).
struct ParsedOptions {
  bool go_on = false;
  int exit_status = 0;
};
ParsedOptions parse_options(int argc, const char* const* argv, Options& options);

/// The password by the rules: --pass, else --pass-file (refused if others can read it), else
/// KV_PASS. Wipes the copies in options and the environment.
Result<std::string> take_password(Options& options);

}  // namespace kv
