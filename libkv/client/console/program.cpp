// What all ways to use the client program share. See program.hpp.
#include "libkv/client/console/program.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include "libkv/base/text.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/output.hpp"

namespace kv {
namespace {

bool ignores_broken_pipes() {
  struct sigaction action {};
  return sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Asked before GPGME has the whole process ignore them, which it needs while gpg runs.
const bool told_to_ignore_broken_pipes = ignores_broken_pipes();

/// Ends the program as a broken pipe ends every other one, unless who started it wants it not to.
void end_by_broken_pipe() {
  if (told_to_ignore_broken_pipes) return;
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
}

}  // namespace

void complain(std::string_view sentence) {
  const std::string line = for_terminal(sentence) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

int report(const client::Error& error) {
  const bool unsaid = error.message == client::password_wanted;
  complain(error.message + (unsaid ? ": --pass, --pass-file or KV_PASS" : ""));
  return client::exit_code_of(error.code);
}

int report(const Status& status) { return report(client::error_of(status)); }

bool ends_server(const std::vector<std::string>& words) {
  return equals_ignoring_case(words[0], "shutdown") && !equals_ignoring_case(words.back(), "abort");
}

bool is_shut_down(const std::vector<std::string>& words, const client::Error& error) {
  return error.code == client::ErrorCode::fate_unknown && ends_server(words);
}

Output::Output(OutputForm form, bool quiet)
    : form_(form), quiet_(quiet), terminal_(isatty(STDOUT_FILENO) == 1) {}

Output::~Output() {
  // Replies may be what was sealed; they must not stay behind in freed memory.
  explicit_bzero(buffer_.data(), buffer_.size());
}

void Output::reply(const client::Value& reply) {
  if (quiet_) return;
  if (!terminal_ || form_ == OutputForm::raw || form_ == OutputForm::nul) {
    return append_reply(buffer_, reply, form_);
  }
  std::string text;
  append_reply(text, reply, form_);
  buffer_ += for_terminal(text);
}

void Output::text(std::string_view text) {
  buffer_ += terminal_ ? for_terminal(text) : std::string(text);
}

bool Output::flush() {
  if (buffer_.empty()) return true;
  const bool fine = std::fwrite(buffer_.data(), 1, buffer_.size(), stdout) == buffer_.size() &&
                    std::fflush(stdout) == 0;
  const int error = errno;
  explicit_bzero(buffer_.data(), buffer_.size());
  buffer_.clear();
  if (!fine && error == EPIPE) end_by_broken_pipe();
  if (!fine) complain("cannot write to standard output: " + std::string(std::strerror(error)));
  return fine;
}

std::vector<std::string_view> views_of(const std::vector<std::string>& strings) {
  return {strings.begin(), strings.end()};
}

void sleep_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace kv
