// See options.hpp.
#include "libkv/client/options.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/client/address.hpp"
#include "libkv/client/command_docs.hpp"

namespace kv {
namespace {

using Apply = Status (*)(ClientArguments&, std::string_view);

void wipe(std::string& secret) noexcept {
  explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

// ---- what the options do ----

Status bad(std::string_view option, std::string_view value, std::string_view wanted) {
  return {Code::usage, std::string(option) + " wants " + std::string(wanted) + ", not '" +
                           shown(value, 40) + "'"};
}

Status seconds_of(std::string_view option, std::string_view value, double& seconds) {
  constexpr double seconds_max = 1e9;
  if (!parse_decimal(value, seconds) || seconds < 0 || seconds > seconds_max) {
    return bad(option, value, "a number of seconds");
  }
  return {};
}

std::string named(const std::string& path) { return path == "-" ? "standard input" : shown(path); }

/// The whole of a file, or of standard input for "-". One trailing newline is dropped.
Status read_argument_file(const std::string& path, std::size_t bytes_max, std::string& content) {
  const bool standard_input = path == "-";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      standard_input ? stdin : std::fopen(path.c_str(), "rbe"),
      standard_input ? [](std::FILE*) { return 0; } : std::fclose);
  if (file == nullptr) {
    return {Code::usage, "cannot open " + shown(path) + ": " + std::strerror(errno)};
  }
  content.clear();
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (content.size() + n > bytes_max + 1) {
      return {Code::usage, named(path) + " is over " + human_bytes(bytes_max)};
    }
    // Grown by hand: what a growing string leaves behind could be a secret.
    if (content.capacity() - content.size() < n) {
      std::string larger;
      larger.reserve(std::max(content.size() + n, content.capacity() * 2));
      larger = content;
      larger.swap(content);
      wipe(larger);
    }
    content.append(buffer.data(), n);
    if (n < buffer.size()) break;
  }
  explicit_bzero(buffer.data(), buffer.size());
  if (std::ferror(file.get()) != 0) {
    const Code code = standard_input ? Code::io : Code::usage;  // as for piped lines
    return {code, "cannot read " + named(path) + ": " + std::strerror(errno)};
  }
  if (!content.empty() && content.back() == '\n') content.pop_back();
  return {};
}

Status read_password_file(const std::string& path, std::string& password) {
  struct stat info {};
  if (path != "-" && stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
      (info.st_mode & 077) != 0) {
    return {Code::usage, shown(path) + " can be read by others: chmod 600 it"};
  }
  if (auto status = read_argument_file(path, limits::password_bytes_max, password); !status) {
    return status;
  }
  while (password.ends_with('\n') || password.ends_with('\r')) password.pop_back();
  if (password.empty()) return {Code::usage, named(path) + " holds no password"};
  if (password.find('\n') == password.npos) return {};
  return {Code::usage, named(path) + " must hold one line, the password"};
}

Status set_host(ClientArguments& a, std::string_view value) {
  if (value.empty()) return bad("--host", value, "a name or address");
  a.connection.host = value;
  a.connection.socket.clear();
  return {};
}

Status set_port(ClientArguments& a, std::string_view value) {
  std::uint64_t n = 0;
  if (!parse_unsigned(value, n) || n == 0 || n > 65535) return bad("--port", value, "1 to 65535");
  a.connection.port = static_cast<std::uint16_t>(n);
  a.connection.socket.clear();
  return {};
}

/// An empty one, say of a variable that is not set, must not become the usual host and port.
Status set_socket(ClientArguments& a, std::string_view value) {
  if (value.empty()) return bad("--socket", value, "a path");
  a.connection.socket = value;
  return {};
}

Status set_name(ClientArguments& a, std::string_view value) {
  const bool fine =
      std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (value.empty() || !fine || value.size() > limits::client_name_bytes_max) {
    return bad("--name", value, "printable ASCII without blanks");
  }
  a.connection.name = value;
  return {};
}

Status set_database(ClientArguments& a, std::string_view value) {
  std::uint64_t n = 0;
  if (!parse_unsigned(value, n) || n >= limits::databases_max) {
    return bad("--database", value, "0 to " + std::to_string(limits::databases_max - 1));
  }
  a.connection.database = static_cast<unsigned>(n);
  return {};
}

/// An empty one, say of a variable that is not set, must not become "whoever else is named".
Status add_recipient(ClientArguments& a, std::string_view value) {
  if (value.find_first_not_of(" \t\n,") == value.npos) return bad("--recipient", value, "a key");
  a.seal.recipients.emplace_back(value);
  return {};
}

Status set_timeout(ClientArguments& a, std::string_view value) {
  double seconds = 0;
  if (auto status = seconds_of("--timeout", value, seconds); !status) return status;
  // 0 is for ever; what is over 0 must not become it.
  const double ms = seconds > 0 ? std::max(seconds * 1000, 1.0) : 0;
  a.connection.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(ms));
  a.connection.connect_timeout = a.connection.timeout;
  return {};
}

Status set_poll(ClientArguments& a, std::string_view value) {
  return seconds_of("--poll", value, a.poll_s.emplace());
}

Status set_watch(ClientArguments& a, std::string_view value) {
  return seconds_of("--watch", value, a.watch_s.emplace());
}

template <OutputForm form>
Status set_form(ClientArguments& a, std::string_view) {
  a.form = form;
  return {};
}

/// Of two tasks the last would win, and --keys may be there to look before --reencrypt.
template <ClientTask task>
Status set_task(ClientArguments& a, std::string_view value) {
  if (a.task == ClientTask::help) return {};
  if (a.task != ClientTask::command && a.task != task && task != ClientTask::help) {
    return {Code::usage,
            "two options that each do something else than a command cannot go together"};
  }
  a.task = task;
  a.pattern = value;
  return {};
}

template <bool ClientArguments::*flag>
Status set_flag(ClientArguments& a, std::string_view) {
  a.*flag = true;
  return {};
}

template <bool client::SealOptions::*flag>
Status set_seal_flag(ClientArguments& a, std::string_view) {
  a.seal.*flag = true;
  return {};
}

// ---- the table ----

constexpr OptionRow rows[] = {
    {"--pass", "PASSWORD", "", "the server's password; better in KV_PASS or --pass-file"},
    {"--pass-file", "FILE", "",
     "read the password from FILE, which others must not be able to read"},
    {"--host", "HOST", "localhost", "the server's name or address"},
    {"--port", "PORT", "6378", "the server's port"},
    {"--socket", "PATH", "", "connect to this Unix socket instead"},
    {"--url", "URL", "",
     "all of it in one: kv://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] or unix://PATH"},
    {"--user", "USER", "", "log in as this user, where the server has several"},
    {"--name", "NAME", "", "the connection's name in CLIENT LIST"},
    {"--database", "NUMBER", "0", "which of the numbered databases"},
    {"--timeout", "SECONDS", "60",
     "how long to wait for a reply, or to connect (else 10); 0: for ever. What the server is told "
     "to "
     "wait (BLPOP) comes on top"},
    {"--poll", "SECONDS", "", "repeat the command after a pause until its reply is nil"},
    {"--watch", "SECONDS", "", "repeat the command after a pause until interrupted"},
    {"--json", "", "", "write replies as JSON, one a line"},
    {"--lines", "", "", "write each element on a line of its own"},
    {"-0", "", "", "end each element with a NUL byte"},
    {"--raw", "", "", "write the bytes of the reply, newlines between a list's elements"},
    {"--quiet", "", "", "write no replies, only errors"},
    {"--fail-nil", "", "", "end with status 6 when a reply is nil"},
    {"--encrypt", "", "", "seal every value before it is sent"},
    {"--decrypt", "", "", "open every sealed element of the reply"},
    {"--recipient", "KEY", "", "seal for this key; may be given several times"},
    {"--sign", "", "", "sign what is sealed"},
    {"--require-sealed", "", "", "with --decrypt: an element that is not sealed is an error"},
    {"--require-signed", "", "",
     "with --decrypt: what is not signed, or not by a key you trust, is an error"},
    {"--allow-moved", "", "", "with --decrypt: accept a value stored under another name"},
    {"--reencrypt", "PREFIX", "", "seal everything under PREFIX again for today's recipients"},
    {"--keys", "", "", "say which keys would be used, and why one cannot be"},
    {"--bigkeys", "", "", "look through all keys for the largest of each type"},
    {"--latency", "", "", "measure the time of a PING, again and again"},
    {"--stat", "", "", "a line of figures about the server each second"},
    {"--scan", "PATTERN", "", "list the keys that match, without stopping the server"},
    {"--monitor", "", "", "show every command the server is given, if it can"},
    {"--commands", "", "", "list the commands"},
    {"--version", "", "", "say which version this is"},
    {"--help", "", "", "say this"},
    {"--", "FILE", "",
     "take the next argument from FILE, or from standard input if FILE is - or left out"},
};

// In the rows' order.
constexpr Apply applies[] = {
    [](ClientArguments& a, std::string_view v) { return a.connection.password = v, Status{}; },
    [](ClientArguments& a, std::string_view v) {
      return read_password_file(std::string(v), a.connection.password);
    },
    set_host,
    set_port,
    set_socket,
    [](ClientArguments& a, std::string_view v) { return client::apply_url(v, a.connection); },
    [](ClientArguments& a, std::string_view v) { return a.connection.user = v, Status{}; },
    set_name,
    set_database,
    set_timeout,
    set_poll,
    set_watch,
    set_form<OutputForm::json>,
    set_form<OutputForm::lines>,
    set_form<OutputForm::nul>,
    set_form<OutputForm::raw>,
    set_flag<&ClientArguments::quiet>,
    set_flag<&ClientArguments::fail_nil>,
    set_seal_flag<&client::SealOptions::seal>,
    set_seal_flag<&client::SealOptions::open>,
    add_recipient,
    set_seal_flag<&client::SealOptions::sign>,
    set_seal_flag<&client::SealOptions::require_sealed>,
    set_seal_flag<&client::SealOptions::require_signed>,
    set_seal_flag<&client::SealOptions::allow_moved>,
    set_task<ClientTask::reencrypt>,
    set_task<ClientTask::keys>,
    set_task<ClientTask::big_keys>,
    set_task<ClientTask::latency>,
    set_task<ClientTask::stat>,
    set_task<ClientTask::scan>,
    set_task<ClientTask::monitor>,
    set_task<ClientTask::commands>,
    set_task<ClientTask::version>,
    set_task<ClientTask::help>,
    nullptr,  // "--": parse_client_arguments itself
};
static_assert(std::size(applies) == std::size(rows));

// ---- the command line ----

/// An option's secret stays readable in /proc/PID/cmdline for everybody, unless overwritten there.
void wipe_argument(char* text) noexcept { explicit_bzero(text, std::strlen(text)); }

bool is_secret(std::string_view option) noexcept { return option == "--pass" || option == "--url"; }

/// One option at argv[i]; i moves to the last word it used.
Status take_option(int argc, char** argv, int& i, ClientArguments& out) {
  const std::string_view word = argv[i];
  const std::size_t equals = word.starts_with("--") ? word.find('=') : word.npos;
  const std::string name(word.substr(0, equals));
  const auto row = std::find_if(std::begin(rows), std::end(rows),
                                [&](const OptionRow& r) { return r.name == name; });
  if (row == std::end(rows)) {
    return {Code::usage, "unknown option " + shown(name, 60) + "; --help lists them"};
  }
  char* value = nullptr;
  if (row->argument.empty()) {
    if (equals != word.npos) return {Code::usage, name + " takes no value"};
  } else if (equals != word.npos) {
    value = argv[i] + equals + 1;
  } else if (i + 1 < argc) {
    value = argv[++i];
  } else {
    return {Code::usage, name + " wants " + std::string(row->argument)};
  }
  const Apply apply = applies[row - std::begin(rows)];
  const Status status = apply(out, value == nullptr ? std::string_view{} : value);
  if (value != nullptr && is_secret(name)) wipe_argument(value);
  return status;
}

/// The command word and its arguments, from argv[i] on.
Status take_command(int argc, char** argv, int i, ClientArguments& out) {
  for (; i < argc; ++i) {
    std::string& argument = out.command.emplace_back();
    if (std::string_view(argv[i]) != "--") {
      argument = argv[i];
      continue;
    }
    const std::string path = i + 1 < argc ? argv[++i] : "-";
    if (auto status = read_argument_file(path, limits::value_bytes_max, argument); !status) {
      return status;
    }
  }
  return {};
}

/// What would show a secret in ps: a value to be sealed, the password of AUTH and its like.
void wipe_command(int argc, char** argv, int i, const ClientArguments& a) {
  const bool secret = a.seal.seal || equals_ignoring_case(a.command[0], "auth") ||
                      equals_ignoring_case(a.command[0], "hello") ||
                      equals_ignoring_case(a.command[0], "config");
  if (!secret) return;
  for (++i; i < argc; ++i) wipe_argument(argv[i]);
}

void wipe_environment() noexcept {
  for (const char* name : {"KV_PASS", "KV_URL"}) {
    if (char* text = std::getenv(name); text != nullptr) wipe_argument(text);
  }
}

/// Who says how to seal and forgets to say that would otherwise store what everybody can read.
Status check_sealing(const ClientArguments& a) {
  const bool again = a.task == ClientTask::reencrypt, opens = a.seal.open;
  const bool seals = a.seal.seal || again;
  const auto wants = [](std::string_view option, std::string_view other) {
    return Status(Code::usage, std::string(option) + " does nothing without " + std::string(other));
  };
  if (a.seal.sign && !seals) return wants("--sign", "--encrypt");
  if (!a.seal.recipients.empty() && !seals && a.task != ClientTask::keys) {
    return wants("--recipient", "--encrypt");
  }
  if (a.seal.require_sealed && !opens) return wants("--require-sealed", "--decrypt");
  if (a.seal.require_signed && !opens && !again) return wants("--require-signed", "--decrypt");
  if (a.seal.allow_moved && !opens && !again) return wants("--allow-moved", "--decrypt");
  return {};
}

Status check_together(const ClientArguments& a) {
  const bool runs_command = a.task == ClientTask::command;
  if (!runs_command && !a.command.empty() && a.task != ClientTask::help) {
    return {Code::usage, "a command and an option that does something else cannot go together: " +
                             shown(a.command[0], 40)};
  }
  if (a.poll_s && a.watch_s) return {Code::usage, "--poll and --watch cannot go together"};
  if ((a.poll_s || a.watch_s) && a.command.empty()) {
    return {Code::usage, "--poll and --watch want a command"};
  }
  if (!a.command.empty() && a.command[0].empty()) return {Code::usage, "the command is empty"};
  if (a.task == ClientTask::help || a.task == ClientTask::version) return {};
  return check_sealing(a);
}

}  // namespace

ClientArguments::~ClientArguments() {
  for (std::string& argument : command) wipe(argument);
}

std::span<const OptionRow> client_options() noexcept { return rows; }

Result<ClientArguments> parse_client_arguments(int argc, char** argv) {
  ClientArguments out;
  const Status environment = client::apply_environment(out.connection);
  wipe_environment();
  int i = 1;
  for (; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--" || word.size() < 2 || word[0] != '-') break;
    if (auto status = take_option(argc, argv, i, out); !status) return status;
  }
  if (i < argc) {
    if (auto status = take_command(argc, argv, i, out); !status) return status;
    wipe_command(argc, argv, i, out);
  }
  if (auto status = check_together(out); !status) return status;
  if (!environment && out.task != ClientTask::help && out.task != ClientTask::version) {
    return environment;
  }
  return out;
}

std::string client_help() {
  std::string out =
      "kv's client: runs commands on a kv or Redis server.\n\n"
      "  client [options] COMMAND [arguments]   run one command\n"
      "  client [options] < FILE                run one command a line\n"
      "  client [options]                       the console, on a terminal\n\n"
      "After the command word everything is data, except -- FILE.\n\nOptions:\n";
  out += options_help(rows);
  out +=
      "\nEnvironment: KV_PASS, KV_HOST, KV_PORT, KV_SOCKET, KV_URL, KV_RECIPIENTS, KV_HISTORY.\n"
      "Exit status: 0 success, 1 error reply or output not written, 2 usage, 3 cannot connect,\n"
      "connection lost or input not read, 4 not logged in, 5 encryption, 6 nil with --fail-nil.\n"
      "client --commands lists the commands; client(1) is the manual.\n";
  return out;
}

std::string client_command_list() {
  std::string out;
  for (const CommandDoc& doc : command_docs()) {
    if (doc.hidden) continue;
    std::string left = to_upper(doc.name);
    if (!doc.syntax.empty()) left += " " + std::string(doc.syntax);
    left.resize(std::max<std::size_t>(left.size() + 2, 42), ' ');
    out += left + std::string(doc.summary) + "\n";
  }
  return out;
}

}  // namespace kv
