// kv's server program: a table of contents. The work is in libkv/process and persistence.
#include <sys/stat.h>

#include "libkv/base/fd.hpp"
#include "libkv/base/log.hpp"
#include "libkv/process/auth.hpp"
#include "libkv/process/command_pipe.hpp"
#include "libkv/process/listener.hpp"
#include "libkv/process/options.hpp"
#include "libkv/process/parent.hpp"
#include "libkv/process/run_folder.hpp"
#include "libkv/process/title.hpp"
#include "libkv/process/tools.hpp"

namespace {

int refuse(const kv::Status& status, int exit_status) {
  kv::log::refuse(status.message());
  return exit_status;
}

int serve(kv::Options& options) {
  kv::log::never_wait();
  kv::Result<std::string> password = kv::take_password(options);
  if (!password.ok()) return refuse(password.status(), 2);
  kv::Gatekeeper gatekeeper(*password);
  kv::wipe(*password);

  int port = static_cast<int>(options.port);
  kv::Result<std::vector<kv::Listener>> listeners = kv::listen_tcp(options.bind, port);
  if (!listeners.ok()) return refuse(listeners.status(), 1);
  if (!options.unix_socket.empty()) {
    kv::Result<kv::Listener> local = kv::listen_unix(options.unix_socket);
    if (!local.ok()) return refuse(local.status(), 1);
    listeners->push_back(*std::move(local));
  }
  kv::Fd pipe_lock;
  if (!options.command_pipe.empty()) {
    kv::Result<kv::Fd> pipe = kv::prepare_command_pipe(options.command_pipe);
    if (!pipe.ok()) return refuse(pipe.status(), 1);
    pipe_lock = *std::move(pipe);
  }
  kv::Result<kv::RunFolder> folder = kv::RunFolder::create();
  if (!folder.ok()) return refuse(folder.status(), 1);
  kv::Parent parent(options, std::move(gatekeeper), *std::move(folder), *std::move(listeners),
                    port);
  return parent.run();
}

}  // namespace

int main(int argc, char** argv) {
  kv::fill_standard_descriptors();
  ::umask(077);  // whatever is created from here on is this user's alone
  kv::Options options;
  const kv::ParsedOptions parsed = kv::parse_options(argc, argv, options);
  if (!parsed.go_on) return parsed.exit_status;
  kv::claim_title(argc, argv);
  kv::log::set_verbose(options.verbose);
  if (kv::wants_tool(options)) return kv::run_tool(options);
  return serve(options);
}
