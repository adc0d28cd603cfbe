// See options.hpp. CLI11 does the reading; its exit codes and sentences become ours.
#include "libkv/process/options.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "libkv/base/fd.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/log.hpp"
#include "libkv/base/text.hpp"
#include "libkv/process/config_file.hpp"

namespace kv {
namespace {

constexpr OptionRow option_rows[] = {
    {"--pass", "PASSWORD", "", "password that clients must give; wiped from the process title"},
    {"--pass-file", "FILE", "",
     "read the password from FILE, which nobody else may read; --pass goes before it"},
    {"--port", "N", "6378", "TCP port to listen on; 0 picks a free one"},
    {"--bind", "ADDRESS", "127.0.0.1 and ::1",
     "address or host name to listen on; may be given several times"},
    {"--unixsocket", "PATH", "", "also listen on this Unix socket, for this user only"},
    {"--pipe", "PATH", "", "take one request a line from this named pipe"},
    {"--dir", "FOLDER", ".", "folder of kv.aof and kv.db, made if it is not there"},
    {"--persist", "SECONDS", "",
     "log every write and save a snapshot this often if anything changed"},
    {"--binary", "", "", "write snapshots as kv.bin instead of kv.db"},
    {"--fsync", "POLICY", "everysec", "when the log is forced to the disk: always, everysec or no"},
    {"--keep-logs", "N", "0", "keep this many older logs for --until"},
    {"--children", "N", "1 a core, at least 2",
     "a process a connection up to N, then shared; 0: a process each, always"},
    {"--max-clients", "N", "10000", "connections at a time; more are turned away with an error"},
    {"--login-grace", "SECONDS", "120",
     "hang up on who has not logged in by then; 0 waits for ever"},
    {"--databases", "N", "16", "numbered databases, chosen with SELECT"},
    {"--plio-remote", "", "",
     "take PLIO logins from other machines too, though their hash is 16 bits"},
    {"--config", "FILE", "", "read options from FILE, as name=value lines"},
    {"--verbose", "", "", "print what happens, values shortened"},
    {"--check", "", "", "read every file in --dir, change nothing, say what is found"},
    {"--repair", "", "", "write mended files in --dir and keep the old ones"},
    {"--reseal", "", "", "compute the checksums again after an edit by hand"},
    {"--dump", "FORMAT", "", "write the data to standard output: text, json or resp"},
    {"--load", "FILE", "",
     "take the data from FILE (text, json, resp, or Redis's RDB or AOF) into --dir, in place of "
     "what is there, which is kept beside it"},
    {"--until", "TIME", "", "restore the state of --dir as of TIME into the new folder --into"},
    {"--into", "FOLDER", "", "with --until: where to; must not exist or be empty"},
    {"--json", "", "", "with --check: print the findings as JSON"},
    {"--version", "", "", "print the version and end"},
    {"--help", "", "", "print this and end; so does -h"},
};

constexpr int usage_status = 2;

std::string_view help_of(std::string_view name) {
  for (const OptionRow& row : option_rows) {
    if (row.name == name) return row.help;
  }
  return {};
}

template <class Target>
CLI::Option* option(CLI::App& app, const char* name, Target& target) {
  return app.add_option(name, target, std::string(help_of(name)));
}

/// Decimal digits alone: CLI11 reads 010 as 8 and 0x10 as 16.
CLI::Validator number(std::uint64_t least, std::uint64_t most) {
  const auto why_not = [least, most](const std::string& text) -> std::string {
    std::uint64_t n = 0;
    if (parse_unsigned(text, n) && n >= least && n <= most) return {};
    return shown(text, 60) + " is not a decimal number from " + std::to_string(least) + " to " +
           std::to_string(most);
  };
  return {why_not, "", "number"};
}

void flag(CLI::App& app, const char* name, bool& target) {
  app.add_flag(name, target, std::string(help_of(name)));
}

void declare(CLI::App& app, Options& o) {
  option(app, "--pass", o.password);
  option(app, "--pass-file", o.password_file);
  option(app, "--port", o.port)->check(number(0, 65535));
  option(app, "--bind", o.bind);
  option(app, "--unixsocket", o.unix_socket);
  option(app, "--pipe", o.command_pipe);
  option(app, "--dir", o.folder);
  option(app, "--persist", o.persist_seconds)->check(number(1, 1'000'000'000));
  flag(app, "--binary", o.binary);
  option(app, "--fsync", o.fsync)->check(CLI::IsMember({"always", "everysec", "no"}));
  option(app, "--keep-logs", o.keep_logs)->check(number(0, 1'000'000));
  option(app, "--children", o.children)->check(number(0, limits::children_max));
  option(app, "--max-clients", o.max_clients)->check(number(1, 1'000'000));
  option(app, "--databases", o.databases)->check(number(1, limits::databases_max));
  option(app, "--login-grace", o.login_grace_s)->check(number(0, 1'000'000));
  flag(app, "--plio-remote", o.plio_remote);
  flag(app, "--verbose", o.verbose);
  flag(app, "--check", o.check);
  flag(app, "--repair", o.repair);
  flag(app, "--reseal", o.reseal);
  flag(app, "--json", o.json);
  option(app, "--dump", o.dump)->check(CLI::IsMember({"text", "json", "resp"}));
  option(app, "--load", o.load);
  option(app, "--until", o.until);
  option(app, "--into", o.into);
}

/// An answer that could not be written is no success.
ParsedOptions print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return {};
  log::refuse(Status::from_errno(errno, "cannot write to standard output").message());
  return {false, 1};
}

ParsedOptions refused(std::string_view why) {
  std::string line = "kv: ";
  line.append(why).append(" (see server --help)\n");
  std::fputs(line.c_str(), stderr);
  return {false, usage_status};
}

/// CLI11 counts and names types; people want to know what is missing.
std::string mismatch(const std::string& theirs) {
  const std::string name = theirs.substr(0, theirs.find(':'));
  if (theirs.find("At Most") != theirs.npos) return name + " may be given only once";
  for (const OptionRow& row : option_rows) {
    if (row.name == name && !row.argument.empty())
      return name + " wants " + std::string(row.argument);
  }
  return theirs;
}

/// What CLI11 could not place, of which the first is enough: what follows may be a password.
std::string unexpected(const std::vector<std::string>& words) {
  const std::string word = words.empty() ? std::string() : words.front();
  const bool option = word.starts_with("-");
  return shown(option ? word.substr(0, word.find('=')) : word, 60) +
         (option ? " is not an option" : " is not expected: options begin with --");
}

/// What would do nothing is a misunderstanding, and not passed over.
std::string_view useless(const Options& o) {
  if (!o.into.empty() && o.until.empty()) return "--into goes with --until";
  if (o.json && !o.check) return "--json goes with --check";
  return {};
}

void fill_defaults(Options& o) {
  // More children share out the clients' requests, and each then carries fewer at a time: with 50
  // clients on two cores 16 children need 1.65 of Redis's processor time at depth 1, four 1.1, two
  // 1.0; and two need a tenth less than four in pipelines.
  if (o.children == UINT32_MAX) o.children = std::max(2U, std::thread::hardware_concurrency());
  if (o.max_clients == 0) o.max_clients = limits::clients_max_default;
  if (o.databases == 0) o.databases = static_cast<std::uint32_t>(limits::databases_default);
  o.persist = o.persist_seconds > 0;
}

/// CLI11 does not tell where a value came from: if not from a word of the command line, then from
/// the file.
bool on_command_line(std::string_view name, int argc, const char* const* argv) {
  return std::any_of(argv + std::min(1, argc), argv + argc, [name](std::string_view word) {
    return word.substr(0, word.find('=')) == name;
  });
}

std::string config_path(CLI::App& app) {
  const CLI::Option* config = app.get_config_ptr();
  return config->count() > 0 ? config->as<std::string>() : std::string();
}

/// Of a mistake in the file, where it is: error begins with the option's name and a colon.
std::string origin(CLI::App& app, const ConfigFile& file, std::string_view error, int argc,
                   const char* const* argv) {
  const std::string_view name = error.substr(0, error.find(':'));
  if (!name.starts_with("--") || on_command_line(name, argc, argv)) return {};
  const std::size_t line = file.line_of(name.substr(2));
  if (line == 0) return {};
  return "--config " + config_path(app) + " line " + std::to_string(line) + ": ";
}

/// A password in the configuration file is kept from others as one in a password file is.
Status check_config_file(const Options& o, int argc, const char* const* argv) {
  if (o.config_file.empty() || o.password.empty()) return {};
  if (on_command_line("--pass", argc, argv)) return {};
  struct stat facts {};
  if (::stat(o.config_file.c_str(), &facts) != 0) return Status::from_errno(errno, o.config_file);
  if (!S_ISREG(facts.st_mode) || (facts.st_mode & 077) == 0) return {};
  return {Code::denied,
          "others can read " + o.config_file + ", which holds the password: chmod 600 it"};
}

bool only_one_line(std::string& text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return !text.empty() && text.find('\n') == std::string::npos;
}

Result<std::string> read_password_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Status::from_errno(errno, "cannot read the password file " + path);
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0) return Status::from_errno(errno, path);
  if (S_ISDIR(facts.st_mode)) {
    return Status(Code::usage, "the password file " + path + " is a folder");
  }
  if (S_ISREG(facts.st_mode) && (facts.st_mode & 077) != 0) {
    return Status(Code::denied, "others can read the password file " + path + ": chmod 600 it");
  }
  if (facts.st_uid != ::geteuid() && facts.st_uid != 0) {
    return Status(Code::denied, "the password file " + path + " belongs to another user");
  }
  std::string text(limits::password_bytes_max + 2, '\0');
  std::size_t got = 0, filled = 0;
  while (filled < text.size() &&
         read_some(fd.get(), text.data() + filled, text.size() - filled, got) == Io::done) {
    filled += got;
  }
  text.resize(filled);
  if (!only_one_line(text)) {
    return Status(Code::usage, "the password file " + path + " must hold one line, the password");
  }
  return text;
}

}  // namespace

std::span<const OptionRow> server_options() noexcept { return option_rows; }

ParsedOptions parse_options(int argc, const char* const* argv, Options& options) {
  CLI::App app("kv");
  app.set_help_flag();
  options.children = UINT32_MAX;
  bool help = false, version = false;
  app.add_flag("-h,--help", help);
  flag(app, "--version", version);
  declare(app, options);
  app.set_config("--config", "", std::string(help_of("--config")));
  const auto file = std::make_shared<ConfigFile>(option_rows);
  app.config_formatter(file);
  // A misspelt name must not silently leave, say, the persistence off.
  app.allow_config_extras(CLI::config_extras_mode::error);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ConfigError& error) {
    return refused("--config " + config_path(app) + " " + error.what());
  } catch (const CLI::ArgumentMismatch& error) {
    return refused(mismatch(error.what()));
  } catch (const CLI::ExtrasError&) {
    return refused(unexpected(app.remaining()));
  } catch (const CLI::ParseError& error) {
    return refused(origin(app, *file, error.what(), argc, argv) + error.what());
  }
  if (help) return print("Usage: server --pass PASSWORD [options]\n\n" + options_help(option_rows));
  if (version) return print("kv " KV_VERSION "\n");
  options.config_file = config_path(app);
  if (const Status status = check_config_file(options, argc, argv); !status.ok()) {
    return refused(status.message());
  }
  if (const std::string_view why = useless(options); !why.empty()) return refused(why);
  fill_defaults(options);
  return {true, 0};
}

Result<std::string> take_password(Options& options) {
  std::string password = std::move(options.password);
  if (password.empty() && !options.password_file.empty()) {
    Result<std::string> read = read_password_file(options.password_file);
    if (!read.ok()) return read.status();
    password = *std::move(read);
  }
  if (password.empty()) {
    if (char* from_environment = std::getenv("KV_PASS"); from_environment != nullptr) {
      password = from_environment;
      ::explicit_bzero(from_environment, std::strlen(from_environment));
      ::unsetenv("KV_PASS");
    }
  }
  if (password.empty()) {
    return Status(Code::usage,
                  "a password is needed: --pass PASSWORD, --pass-file FILE or KV_PASS");
  }
  if (password.size() > limits::password_bytes_max) {
    return Status(Code::usage, "the password is longer than " +
                                   std::to_string(limits::password_bytes_max) + " bytes");
  }
  return password;
}

}  // namespace kv
