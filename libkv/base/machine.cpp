// See machine.hpp. glibc's allocator and Linux's /proc are asked directly.
#include "libkv/base/machine.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>

namespace kv {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// The second number of /proc/self/statm: resident pages (proc(5)).
std::uint64_t resident_bytes() {
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128];
  const ssize_t n = ::read(fd, text, sizeof text);
  ::close(fd);
  const char* end = text + (n > 0 ? n : 0);
  const char* at = text;
  while (at < end && *at != ' ') ++at;
  std::uint64_t pages = 0;
  if (at < end) std::from_chars(at + 1, end, pages);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Machine machine() {
  Machine facts;
  utsname names{};
  if (::uname(&names) == 0)
    facts.system = std::string(names.sysname) + " " + names.release + " " + names.machine;
  struct sysinfo info {};
  if (::sysinfo(&info) == 0) facts.memory_bytes = std::uint64_t{info.totalram} * info.mem_unit;
  return facts;
}

ProcessUse process_use() {
  ProcessUse use;
  const struct mallinfo2 heap = ::mallinfo2();
  use.allocated_bytes = heap.uordblks + heap.hblkhd;
  use.heap_bytes = heap.arena + heap.hblkhd;
  use.resident_bytes = resident_bytes();
  rusage self{}, children{};
  ::getrusage(RUSAGE_SELF, &self);
  ::getrusage(RUSAGE_CHILDREN, &children);
  use.user_s = seconds(self.ru_utime);
  use.system_s = seconds(self.ru_stime);
  use.children_user_s = seconds(children.ru_utime);
  use.children_system_s = seconds(children.ru_stime);
  return use;
}

void trim_heap() noexcept { ::malloc_trim(0); }

}  // namespace kv
