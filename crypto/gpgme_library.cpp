// See gpgme_library.hpp.
#include "crypto/gpgme_library.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "libkv/base/fd.hpp"
#include "libkv/base/text.hpp"

namespace kv::crypto {
namespace {

constexpr const char* library_name = "libgpgme.so.11";
constexpr const char* version_wanted = "1.16.0";  // Debian 11's; sensitive data objects
constexpr const char* how_to_install = ": install it with apt-get install libgpgme11 gnupg";

/// Kept for the life of the process: GPGME keeps state of its own behind these functions.
Gpgme loaded;

/// Whether the program has no dynamic loader. dlopen would succeed even then, but the second C
/// library it brings along is not set up, and GPGME crashes in it.
bool is_static_program() {
  bool loader = false;
  // The first object is the program itself; a result that is not 0 ends the walk.
  ::dl_iterate_phdr(
      [](struct dl_phdr_info* program, std::size_t, void* found) {
        for (int i = 0; i < program->dlpi_phnum; ++i) {
          if (program->dlpi_phdr[i].p_type == PT_INTERP) *static_cast<bool*>(found) = true;
        }
        return 1;
      },
      &loader);
  return !loader;
}

/// Whether the shortage of descriptors is why something failed: gpg is talked to through pipes.
bool short_of_descriptors() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return true;
  ::close(ends[0]);
  ::close(ends[1]);
  return false;
}

Status too_few_descriptors() {
  return {Code::crypto, "there are too few file descriptors to run gpg: raise ulimit -n"};
}

Status load() {
  if (is_static_program()) {
    return {Code::crypto,
            "sealing and opening need GPGME, which a program linked with -static can't load: link "
            "libkvclient.a without -static"};
  }
  void* library = ::dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    if (short_of_descriptors()) return too_few_descriptors();
    return {Code::crypto, "sealing and opening need GPGME, and " + std::string(library_name) +
                              " can't be loaded (" + ::dlerror() + ")" + how_to_install};
  }
#define KV_LOOK_UP(name)                                                            \
  loaded.name = reinterpret_cast<decltype(loaded.name)>(::dlsym(library, #name));   \
  if (loaded.name == nullptr) {                                                     \
    return {Code::crypto, "GPGME is too old: it has no " #name " (kv needs 1.16)"}; \
  }
  KV_GPGME_FUNCTIONS(KV_LOOK_UP)
#undef KV_LOOK_UP
  if (loaded.gpgme_check_version_internal(version_wanted,
                                          offsetof(struct _gpgme_signature, validity)) == nullptr) {
    return {Code::crypto, std::string("GPGME is too old, kv needs ") + version_wanted};
  }
  // What pinentry shows is in the user's language; kv's own messages do not depend on it.
  loaded.gpgme_set_locale(nullptr, LC_CTYPE, std::setlocale(LC_CTYPE, nullptr));
  loaded.gpgme_set_locale(nullptr, LC_MESSAGES, std::setlocale(LC_MESSAGES, nullptr));
  return {};
}

bool is_set(const char* variable) noexcept {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

/// Whether a pinentry could reach a person. One that needs the terminal finds it by GPG_TTY, which
/// GPGME only fills in while standard output is a terminal, so `client ... > file` needs help.
bool somebody_can_be_asked() {
  const int terminal = ::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
  ::close(terminal);
  if (is_set("GPG_TTY")) return true;
  for (const int fd : {STDIN_FILENO, STDERR_FILENO, STDOUT_FILENO}) {
    char name[256];
    if (::ttyname_r(fd, name, sizeof name) == 0) {
      ::setenv("GPG_TTY", name, 1);
      return true;
    }
  }
  return is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
}

/// Whether there is a gpg behind the context: without one, GPGME would list an empty keyring.
bool has_gpg(const Gpgme& gpgme, gpgme_ctx_t context) {
  for (auto* info = gpgme.gpgme_ctx_get_engine_info(context); info != nullptr; info = info->next) {
    if (info->protocol != GPGME_PROTOCOL_OpenPGP) continue;
    return info->file_name != nullptr && ::access(info->file_name, X_OK) == 0;
  }
  return false;
}

/// gpg makes ~/.gnupg where it is missing. Where it cannot, GPGME would tell of a damaged message.
Status check_usual_home() {
  if (!is_set("HOME")) return {};  // gpg asks the system then
  const std::string home = std::getenv("HOME"), folder = home + "/.gnupg";
  const bool there = ::access(folder.c_str(), F_OK) == 0;
  const std::string& wanted = there ? folder : home;
  if (::access(wanted.c_str(), X_OK | (there ? R_OK : W_OK)) == 0) return {};
  const int error = errno;
  return {Code::crypto, "the folder of gpg's keys " + shown(folder) +
                            (there ? ": " : " is not there and can't be made: ") +
                            std::strerror(error) + "; HOME or GNUPGHOME may name another"};
}

/// gpg makes no folder that somebody named; GPGME would list an empty keyring.
Status check_home(const Engine& engine) {
  const bool named = engine.home.empty() && is_set("GNUPGHOME");
  const std::string home = named ? std::getenv("GNUPGHOME") : engine.home;
  if (home.empty()) return check_usual_home();
  if (::access(home.c_str(), R_OK | X_OK) == 0) return {};
  const int error = errno;
  return {Code::crypto, "the folder of gpg's keys " + shown(home) + (named ? " (GNUPGHOME)" : "") +
                            ": " + std::strerror(error)};
}

}  // namespace

Result<const Gpgme*> gpgme_library() {
  static const Status status = load();
  if (!status) return status;
  return &loaded;
}

void KeyRelease::operator()(gpgme_key_t key) const noexcept { loaded.gpgme_key_unref(key); }

void Context::Release::operator()(gpgme_ctx_t context) const noexcept {
  loaded.gpgme_release(context);
}

Result<Context> Context::open(const Engine& engine) {
  auto library = gpgme_library();
  if (!library) return library.status();
  if (auto status = check_home(engine); !status) return status;
  const Gpgme& gpgme = **library;
  gpgme_ctx_t raw = nullptr;
  if (const auto error = gpgme.gpgme_new(&raw)) {
    return Status{Code::crypto, std::string("can't start GPGME: ") + gpgme.gpgme_strerror(error)};
  }
  Context context(&gpgme, raw);
  auto error = gpgme.gpgme_set_protocol(raw, GPGME_PROTOCOL_OpenPGP);
  if (!error && !(engine.program.empty() && engine.home.empty())) {
    error = gpgme.gpgme_ctx_set_engine_info(
        raw, GPGME_PROTOCOL_OpenPGP, engine.program.empty() ? nullptr : engine.program.c_str(),
        engine.home.empty() ? nullptr : engine.home.c_str());
  }
  if (error || !has_gpg(gpgme, raw)) {
    if (short_of_descriptors()) return too_few_descriptors();
    return Status{Code::crypto, "gpg can't be run" +
                                    (engine.program.empty() ? "" : " from " + engine.program) +
                                    how_to_install};
  }
  gpgme.gpgme_set_armor(raw, 1);
  gpgme.gpgme_set_offline(raw, 1);
  context.usual_home_ = engine.home.empty();
  context.may_ask_ = engine.prompt == Engine::Prompt::automatic && somebody_can_be_asked();
  gpgme.gpgme_set_pinentry_mode(
      raw, context.may_ask_ ? GPGME_PINENTRY_MODE_DEFAULT : GPGME_PINENTRY_MODE_ERROR);
  return context;
}

bool Context::agent_answers() const {
  const char* path = gpgme_->gpgme_get_dirinfo("agent-socket");
  // Where another folder was asked for, GPGME does not know the place.
  if (!usual_home_ || path == nullptr) return true;
  struct stat info {};
  if (::stat(path, &info) != 0) return false;
  if (!S_ISSOCK(info.st_mode)) return true;  // a file that names another place
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path, std::strlen(path));
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Status Context::failure(gpgme_error_t error, std::string_view doing) const {
  return {Code::crypto, std::string(doing) + ": " + gpgme_->gpgme_strerror(error)};
}

}  // namespace kv::crypto
