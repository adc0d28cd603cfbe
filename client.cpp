// The kv client: one command, piped commands, a console or a tool. See client(1).
//
// Reads the command line, chooses how to run, and turns the outcome into an exit status. Must never
// load what a plain GET does not need: GnuPG and line editing come in when first used.
#include <unistd.h>

#include <exception>
#include <string>

#include "libkv/base/fd.hpp"
#include "libkv/client/console/program.hpp"

namespace {

int print(const std::string& text) {
  kv::Output output(kv::OutputForm::plain, false);
  output.text(text);
  return output.flush() ? 0 : kv::exit_error_reply;
}

int run(kv::ClientArguments& arguments) {
  using Task = kv::ClientTask;
  switch (arguments.task) {
    case Task::help: return print(kv::client_help());
    case Task::version: return print("kv client " KV_VERSION "\n");
    case Task::commands: return print(kv::client_command_list());
    case Task::keys: return kv::run_keys(arguments);
    case Task::reencrypt: return kv::run_reencrypt(arguments);
    case Task::big_keys:
    case Task::latency:
    case Task::stat:
    case Task::scan:
    case Task::monitor: return kv::run_tool(arguments);
    case Task::command: break;
  }
  if (!arguments.command.empty()) return kv::run_command(arguments);
  const bool person = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  return person ? kv::run_console(arguments) : kv::run_lines(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  kv::fill_standard_descriptors();
  try {
    auto arguments = kv::parse_client_arguments(argc, argv);
    if (!arguments) return kv::report(arguments.status());
    arguments->seal.on_note = [](const std::string& sentence) { kv::complain(sentence); };
    return run(*arguments);
  } catch (const std::exception& error) {
    kv::complain(std::string("out of memory or worse: ") + error.what());
    return kv::exit_error_reply;
  }
}
