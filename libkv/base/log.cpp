// See log.hpp.
#include "libkv/base/log.hpp"

#include <unistd.h>

#include <ctime>
#include <string>

namespace kv::log {
namespace {

bool verbose_on = false;

void put_line(int fd, std::string_view prefix, std::string_view text) noexcept {
  std::string line;
  line.reserve(prefix.size() + text.size() + 1);
  line.append(prefix).append(text).push_back('\n');
  // A full or closed terminal must not stop a server: what cannot be written is not.
  [[maybe_unused]] const ssize_t n = ::write(fd, line.data(), line.size());
}

std::string stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  const std::size_t n = std::strftime(text, sizeof text, "[%Y-%m-%dT%H:%M:%S] ", &parts);
  return {text, n};
}

}  // namespace

void set_verbose(bool on) noexcept { verbose_on = on; }
bool verbose() noexcept { return verbose_on; }
void note(std::string_view text) noexcept {
  if (verbose_on) put_line(STDOUT_FILENO, stamp(), text);
}
void warn(std::string_view text) noexcept { put_line(STDERR_FILENO, stamp(), text); }
void say(std::string_view text) noexcept { put_line(STDOUT_FILENO, "", text); }
void refuse(std::string_view text) noexcept { put_line(STDERR_FILENO, "kv: ", text); }

}  // namespace kv::log
