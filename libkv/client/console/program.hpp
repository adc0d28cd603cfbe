// The parts of the client program that are no part of the library: what to run, where to write.
//
// Each run_ function is one way to use the program and returns its exit status. Replies go to
// standard output, everything else to standard error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libkv/client/kv/client.hpp"
#include "libkv/client/options.hpp"

namespace kv {

inline constexpr int exit_error_reply = 1;  // also: standard output cannot be written
inline constexpr int exit_usage = 2;
inline constexpr int exit_lost = 3;
inline constexpr int exit_nil = 6;

int run_command(ClientArguments& arguments);  ///< one command, once or again and again
int run_lines(ClientArguments& arguments);    ///< a command a line from standard input
int run_console(ClientArguments& arguments);  ///< a person at a terminal
int run_keys(ClientArguments& arguments);     ///< --keys
int run_reencrypt(ClientArguments& arguments);
int run_tool(ClientArguments& arguments);  ///< --bigkeys, --latency, --stat, --scan, --monitor

/// Says why on standard error; the exit status for it.
int report(const client::Error& error);
int report(const Status& status);
/// One line on standard error, without what could steer a terminal.
void complain(std::string_view sentence);

/// True for SHUTDOWN, but for SHUTDOWN ABORT: its answer is that the connection ends.
bool ends_server(const std::vector<std::string>& words);
/// Whether this failure is that answer.
bool is_shut_down(const std::vector<std::string>& words, const client::Error& error);

/// Standard output. Remembers its first failure, which flush() reports.
class Output {
 public:
  Output(OutputForm form, bool quiet);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool terminal() const noexcept { return terminal_; }
  void reply(const client::Value& reply);
  void text(std::string_view text);
  /// Writes what has gathered. False, after a complaint, when it could not be written.
  bool flush();
  bool full() const noexcept { return buffer_.size() >= 64 * 1024; }
  bool empty() const noexcept { return buffer_.empty(); }

 private:
  OutputForm form_;
  bool quiet_, terminal_;
  std::string buffer_;
};

/// The views of some strings, as calls want them.
std::vector<std::string_view> views_of(const std::vector<std::string>& strings);

void sleep_s(double seconds);

}  // namespace kv
