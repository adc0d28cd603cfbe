// See title.hpp. The kernel reads /proc/PID/cmdline from the memory that exec filled: argv's
// strings, and environ's right behind them. proc(5) describes it.
#include "libkv/process/title.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

namespace kv {
namespace {

char* title_start = nullptr;
std::size_t title_room = 0;

/// End of the strings that follow each other without a gap from end on.
char* extend(char* end, char** strings) noexcept {
  for (char** s = strings; *s != nullptr; ++s) {
    if (*s == end) end = *s + std::strlen(*s) + 1;
  }
  return end;
}

}  // namespace

void claim_title(int argc, char** argv) noexcept {
  if (argc == 0) return;
  title_start = argv[0];
  char* end = argv[0] + std::strlen(argv[0]) + 1;
  end = extend(end, argv + 1);
  char* const arguments_end = end;
  end = extend(end, environ);
  // The environment's strings are copied before their old place is used for the title.
  std::size_t count = 0;
  while (environ[count] != nullptr) ++count;
  auto** copies = static_cast<char**>(std::malloc((count + 1) * sizeof(char*)));
  if (copies == nullptr) end = arguments_end;
  for (std::size_t i = 0; copies != nullptr && i < count; ++i) copies[i] = ::strdup(environ[i]);
  if (copies != nullptr) {
    copies[count] = nullptr;
    environ = copies;
  }
  title_room = static_cast<std::size_t>(end - title_start);
}

void set_title(std::string_view title) noexcept {
  if (title_start == nullptr || title_room < 2) return;
  const std::size_t shown = std::min(title.size(), title_room - 1);
  std::memset(title_start, 0, title_room);
  std::memcpy(title_start, title.data(), shown);
  std::string name(title.substr(0, 15));  // the kernel's limit for a thread's name
  ::prctl(PR_SET_NAME, name.c_str());
}

}  // namespace kv
