// Preloaded into a server by the suite of steps and deaths: what a test cannot wait for. The file
// that KV_MEDDLE names has two numbers, which the test may change at any time: seconds that are
// added to the wall clock, and milliseconds that a process takes before it asks to be killed with
// its parent.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct Meddle {
  int64_t wall_s, prctl_ms;
};
static volatile struct Meddle* meddle;
static int (*real_gettime)(clockid_t, struct timespec*);

// Before the sandbox, which forbids all of it.
__attribute__((constructor)) static void begin(void) {
  real_gettime = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int file = open(getenv("KV_MEDDLE"), O_RDONLY | O_CLOEXEC);
  void* const shared = mmap(NULL, sizeof(struct Meddle), PROT_READ, MAP_SHARED, file, 0);
  if (file < 0 || shared == MAP_FAILED) abort();
  close(file);
  meddle = shared;
}

int clock_gettime(clockid_t id, struct timespec* now) {
  if (real_gettime == NULL) return (int)syscall(SYS_clock_gettime, id, now);
  const int result = real_gettime(id, now);
  if (id == CLOCK_REALTIME && meddle != NULL) now->tv_sec += meddle->wall_s;
  return result;
}

int prctl(int option, ...) {
  unsigned long a[4];
  va_list args;
  va_start(args, option);
  for (int i = 0; i < 4; ++i) a[i] = va_arg(args, unsigned long);
  va_end(args);
  if (option == PR_SET_PDEATHSIG && a[0] == SIGKILL && meddle->prctl_ms > 0) {
    usleep((useconds_t)meddle->prctl_ms * 1000);
  }
  return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}
