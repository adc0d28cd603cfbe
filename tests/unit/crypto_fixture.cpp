// See crypto_fixture.hpp.
#include "tests/unit/crypto_fixture.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace kv::crypto::test {
namespace {

constexpr const char* in_2020 = "--faked-system-time 20200101T000000 ";
constexpr const char* make_key =
    "--batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key ";

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

std::string shell(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  INFO(command);
  REQUIRE(status == 0);
  return text;
}

Keyrings& Keyrings::get() {
  static Keyrings keyrings;
  return keyrings;
}

Keyrings::Keyrings() {
  char name[] = "/tmp/kv-gpg.XXXXXX";  // short: an agent's socket path has 108 bytes
  REQUIRE(::mkdtemp(name) != nullptr);
  folder_ = name;
  shell("mkdir -m 700 " + folder_ + "/ours " + folder_ + "/others");
  const std::string usual = " future-default default never";
  generate("ours", "alice", "'Alice Able <alice@kv.test>'" + usual);
  generate("ours", "locked", "'Locked <locked@kv.test>'" + usual);
  generate("others", "bob", "'Bob <bob@kv.test>'" + usual);
  generate("others", "twin1", "'Twin One <twin@kv.test>'" + usual);
  generate("others", "twin2", "'Twin Two <twin@kv.test>'" + usual);
  generate("others", "untrusted", "'Mallory <mallory@kv.test>'" + usual);
  generate("others", "revoked", "'Rita <rita@kv.test>'" + usual);
  generate("others", "disabled", "'Dis <dis@kv.test>'" + usual);
  generate("others", "sign_only", "'Signer <signer@kv.test>' ed25519 sign never");
  fingerprints_["subkey_expired"] = in_2020;
  generate("others", "subkey_expired", "'Sub <sub@kv.test>' ed25519 sign never");
  fingerprints_["expired"] = in_2020;
  generate("others", "expired", "'Old <old@kv.test>' future-default default 1d");
  befriend();
}

std::string Keyrings::generate(const std::string& home, const std::string& name,
                               const std::string& words) {
  const std::string clock = fingerprints_[name];
  const std::string passphrase = name == "locked" ? "'open sesame' " : "'' ";
  std::string command = make_key + words;
  command.replace(command.find("'' "), 3, passphrase);
  const std::string status = gpg(home, clock + "--status-fd 1 " + command);
  const std::size_t at = status.find("KEY_CREATED ");
  REQUIRE(at != std::string::npos);
  return fingerprints_[name] = status.substr(at + 14, 40);
}

/// Everybody's public key into our keyring, signed by us except Mallory's.
void Keyrings::befriend() {
  gpg("others",
      "--batch --quiet --faked-system-time 20200101T000000 --pinentry-mode loopback "
      "--passphrase '' --quick-add-key " +
          fingerprint("subkey_expired") + " cv25519 encr 1d");
  const std::string file = folder_ + "/others/openpgp-revocs.d/" + fingerprint("revoked") + ".rev";
  shell("sed 's/^:---/---/' " + file + " > " + folder_ + "/revocation");
  write_file(folder_ + "/public", gpg("others", "--batch --armor --export"));
  gpg("ours", "--batch --quiet --import " + folder_ + "/public");
  for (const char* name :
       {"bob", "twin1", "twin2", "sign_only", "subkey_expired", "disabled", "revoked"}) {
    gpg("ours", "--batch --quiet --default-key " + fingerprint("alice") + " --quick-lsign-key " +
                    fingerprint(name));
  }
  gpg("ours", "--batch --quiet --import " + folder_ + "/revocation");
  gpg("ours", "--quiet --no-tty --command-fd 0 --edit-key " + fingerprint("disabled"),
      "disable\nquit\n");
  forget_passphrases();
}

Keyrings::~Keyrings() {
  for (const char* home : {"ours", "others"}) {
    [[maybe_unused]] const int status = std::system(
        ("gpgconf --homedir " + folder_ + "/" + home + " --kill all >/dev/null 2>&1").c_str());
  }
  [[maybe_unused]] const int status = std::system(("rm -rf " + folder_).c_str());
}

Engine Keyrings::ours() const { return {{}, folder_ + "/ours", Engine::Prompt::never}; }
Engine Keyrings::others() const { return {{}, folder_ + "/others", Engine::Prompt::never}; }

Engine Keyrings::ours_through(const std::string& script) const {
  static int count = 0;
  Engine engine = ours();
  engine.program = folder_ + "/gpg" + std::to_string(++count);
  write_file(engine.program,
             "#!/bin/bash\nGPG=" + shell("command -v gpg | tr -d '\\n'") + "\n" + script + "\n");
  shell("chmod 700 " + engine.program);
  return engine;
}

const std::string& Keyrings::fingerprint(const std::string& name) const {
  return fingerprints_.at(name);
}

std::string Keyrings::gpg(const std::string& home, const std::string& words,
                          const std::string& input) const {
  const std::string file = folder_ + "/input";
  write_file(file, input);
  return shell("gpg --homedir " + folder_ + "/" + home + " " + words + " < " + file + " 2>>" +
               folder_ + "/gpg.log");
}

void Keyrings::forget_passphrases() const {
  shell("gpgconf --homedir " + folder_ + "/ours --kill gpg-agent");
}

int without_terminal(int seconds, const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::setsid();
    ::unsetenv("DISPLAY");
    ::unsetenv("WAYLAND_DISPLAY");
    ::unsetenv("GPG_TTY");
    ::close(STDIN_FILENO);
    ::_exit(body());
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Sealer sealer_for(std::vector<std::string> recipients) {
  auto sealer =
      Sealer::create({.recipients = std::move(recipients), .engine = Keyrings::get().ours()});
  INFO(sealer.status().message());
  REQUIRE(sealer.ok());
  return std::move(*sealer);
}

}  // namespace kv::crypto::test
