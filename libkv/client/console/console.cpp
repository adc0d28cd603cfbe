// The console: a person types commands at a terminal and sees the replies.
//
// ^C ends the command that runs, never the session. What logs in, or is to be sealed, is kept out
// of the history.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "libkv/base/text.hpp"
#include "libkv/client/address.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/console/line_editor.hpp"
#include "libkv/client/console/program.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/hints.hpp"
#include "libkv/client/output.hpp"
#include "libkv/wire/inline.hpp"

namespace kv {
namespace {

using client::Access;
using client::Connection;
using client::Value;
using Clock = std::chrono::steady_clock;

// The connection whose command ^C ends; null while none runs.
std::atomic<Connection*> running{nullptr};

void on_interrupt(int) {
  if (Connection* connection = running; connection != nullptr) connection->cancel();
}

void handle_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
}

std::string history_path() {
  if (const char* path = std::getenv("KV_HISTORY"); path != nullptr) return path;
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == 0 ? std::string() : std::string(home) + "/.kv_history";
}

/// True for what can be typed as it is.
bool is_plain_word(std::string_view text) {
  return !text.empty() && quoted(text).size() == text.size() + 2 &&
         text.find_first_of(" '") == text.npos;
}

std::string glob_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

class Console {
 public:
  Console(ClientArguments& arguments, Connection connection)
      : arguments_(arguments),
        connection_(std::move(connection)),
        editor_({.complete = [this](std::string_view line) { return complete(line); },
                 .hint = [](std::string_view line) { return argument_hint(line); }},
                history_path()) {
    Access::of(connection_).on_reconnect = [](const client::Error& why) {
      complain(why.message + "; connecting again");
    };
  }

  int run();

 private:
  Access::Impl& inside() { return Access::of(connection_); }
  std::string prompt();
  Completions complete(std::string_view line);
  void add_keys(std::string_view start, std::vector<std::string>& words);
  bool take_own_word(const std::vector<std::string>& words);
  void help(const std::vector<std::string>& words) const;
  void execute(const std::vector<std::string>& words);
  void append_shown(std::string& out, const Value& reply) const;
  void show_pushes();
  static void print(std::string_view text);

  ClientArguments& arguments_;
  Connection connection_;
  LineEditor editor_;
  bool timing_ = false;
  bool ended_ = false;
};

void Console::print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::string Console::prompt() {
  const client::Options& options = inside().options;
  if (!connection_.connected()) return "not connected> ";
  std::string out = client::endpoint_text(options);
  if (options.database != 0) out += "[" + std::to_string(options.database) + "]";
  if (inside().in_multi) out += "(TX)";
  return out + "> ";
}

/// Keys that start so, as many as can be had cheaply: never more than a fraction of a second.
void Console::add_keys(std::string_view start, std::vector<std::string>& words) {
  if (!connection_.connected() || inside().in_multi || inside().subscribed) return;
  const auto end = Clock::now() + std::chrono::milliseconds(100);
  const std::string pattern = glob_escaped(start) + "*";
  std::string cursor = "0";
  do {
    const auto keys = client::Access::scan_page(connection_, cursor, pattern);
    if (!keys) return;
    std::copy_if(keys->begin(), keys->end(), std::back_inserter(words), is_plain_word);
  } while (cursor != "0" && Clock::now() < end && words.size() < 1000);
}

Completions Console::complete(std::string_view line) {
  Completions out = completions(line);
  if (out.key_wanted) {
    add_keys(out.typed, out.words);
    std::sort(out.words.begin(), out.words.end());
    out.words.erase(std::unique(out.words.begin(), out.words.end()), out.words.end());
  }
  return out;
}

void Console::help(const std::vector<std::string>& words) const {
  if (words.size() > 1) {
    const std::string text = command_help(words[1]);
    return print(text.empty() ? "there is no command " + shown(words[1], 60) + "\n" : text);
  }
  print(
      "  help COMMAND     what a command does; Tab completes commands and keys\n"
      "  timing on|off    show how long each command took\n"
      "  clear            clear the screen\n"
      "  exit             leave (also ^D); ^C ends a running command\n");
}

/// Words that are the console's and not the server's.
bool Console::take_own_word(const std::vector<std::string>& words) {
  const auto is = [&words](std::string_view word) { return equals_ignoring_case(words[0], word); };
  if (is("exit") || is("quit")) return ended_ = true;
  if (is("help") || is("?")) return help(words), true;
  if (is("clear")) return print("\033[H\033[2J"), true;
  if (!is("timing")) return false;
  timing_ = words.size() > 1 ? equals_ignoring_case(words[1], "on") : !timing_;
  print(timing_ ? "timing is on\n" : "timing is off\n");
  return true;
}

/// Messages of a subscription, until ^C.
void Console::show_pushes() {
  print("waiting for messages; ^C ends it\n");
  for (;;) {
    running = &connection_;
    const auto message = connection_.next_push(std::chrono::hours(24));
    running = nullptr;
    if (!message) {
      const bool interrupted = message.error().code == client::ErrorCode::timeout;
      if (!interrupted) print("(error) " + for_terminal(message.error().message));
      break;
    }
    if (!message->has_value()) continue;
    std::string out;
    append_shown(out, **message);
    print(out);
  }
  connection_.close();
  print("\n");
}

/// As the options say, and as a person has it where they say nothing.
void Console::append_shown(std::string& out, const Value& reply) const {
  if (arguments_.quiet) return;
  if (arguments_.form == OutputForm::plain) return append_console_reply(out, reply);
  std::string text;
  append_reply(text, reply, arguments_.form);
  if (arguments_.form == OutputForm::raw) text.push_back('\n');  // the prompt begins a line
  out += for_terminal(text);
  explicit_bzero(text.data(), text.size());
}

void Console::execute(const std::vector<std::string>& words) {
  const auto start = Clock::now();
  running = &connection_;
  const auto reply = connection_.call(views_of(words), arguments_.seal);
  running = nullptr;
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::string out;
  if (reply) {
    append_shown(out, *reply);
  } else if (!is_shut_down(words, reply.error())) {
    out = "(error) " + for_terminal(reply.error().message) + "\n";
  }
  char time[32];
  std::snprintf(time, sizeof time, timing_ ? "(%.6f s)\n" : "(%.2f s)\n", seconds);
  if (timing_ || seconds >= 0.5) out += time;
  print(out);
  explicit_bzero(out.data(), out.size());
  if (reply && inside().subscribed) show_pushes();
}

int Console::run() {
  std::string line;
  std::vector<std::string> words;
  while (!ended_) {
    const LineEditor::Event event = editor_.read(prompt(), line);
    if (event == LineEditor::Event::end) break;
    if (event == LineEditor::Event::cancelled) {
      print("\n");
      continue;
    }
    words.clear();
    const bool understood = split_quoted(line, words);
    if (understood && words.empty()) continue;
    if (may_be_kept(line) && !arguments_.seal.seal) editor_.keep(line);
    if (!understood) print("the quotes do not match\n");
    else if (!take_own_word(words)) execute(words);
    explicit_bzero(line.data(), line.size());
    for (std::string& word : words) explicit_bzero(word.data(), word.size());
  }
  if (!ended_) print("\n");
  return 0;
}

}  // namespace

int run_console(ClientArguments& arguments) {
  for (const auto& [given, option] : {std::pair(arguments.fail_nil, "--fail-nil"),
                                      std::pair(arguments.form == OutputForm::nul, "-0")}) {
    if (given) return report(Status(Code::usage, std::string(option) + " is not for the console"));
  }
  auto connection = Connection::open(arguments.connection);
  if (!connection) return report(connection.error());
  handle_interrupts();
  return Console(arguments, *std::move(connection)).run();
}

}  // namespace kv
