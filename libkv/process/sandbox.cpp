// See sandbox.hpp. libseccomp writes the filter; a call that is not on the list kills the child.
#include "libkv/process/sandbox.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "libkv/base/fd.hpp"

namespace kv {
namespace {

using Filter = std::vector<sock_filter>;
Filter child_filter, pipe_filter;

// Sanitizers read /proc and start threads of their own; their build has no filter to speak of.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool filtered = false;
#else
constexpr bool filtered = true;
#endif

constexpr int allowed_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(close),
    SCMP_SYS(shutdown),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getpid),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(futex),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(sched_yield),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
};

bool add_rules(scmp_filter_ctx context, bool may_open) {
  for (const int call : allowed_calls) {
    if (seccomp_rule_add(context, SCMP_ACT_ALLOW, call, 0) != 0) return false;
  }
  // Memory, but never memory to run code from.
  const auto no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  if (seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_code) != 0) return false;
  if (seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_code) != 0) return false;
  // Advice may be refused and nothing is lost. Other advice than this one could take memory away
  // that the sibling shares with the child.
  const auto give_back = SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED);
  const auto other = SCMP_A2(SCMP_CMP_NE, MADV_DONTNEED);
  if (seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(madvise), 1, give_back) != 0 ||
      seccomp_rule_add(context, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(madvise), 1, other) != 0) {
    return false;
  }
  // Its own name, for ps; nothing else of prctl.
  const auto set_name = SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME);
  if (seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, set_name) != 0) return false;
  return !may_open || seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(openat), 0) == 0;
}

/// Writes the compiled filter to memory: a fork then only has to hand it to the kernel.
Status compile(bool may_open, Filter& filter) {
  const Fd memory(::memfd_create("kv-filter", MFD_CLOEXEC));
  if (!memory) return Status::from_errno(errno, "cannot make the system call filter");
  const scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
  bool good = context != nullptr && add_rules(context, may_open) &&
              seccomp_export_bpf(context, memory.get()) == 0;
  const off_t bytes = good ? ::lseek(memory.get(), 0, SEEK_END) : 0;
  filter.resize(static_cast<std::size_t>(bytes) / sizeof(sock_filter));
  good = good && ::pread(memory.get(), filter.data(), static_cast<std::size_t>(bytes), 0) == bytes;
  if (context != nullptr) seccomp_release(context);
  if (!good) return {Code::io, "cannot compile the system call filter"};
  return {};
}

void limit(__rlimit_resource_t resource, rlim_t most) noexcept {
  rlimit value{};
  if (::getrlimit(resource, &value) == 0)
    most = std::min(most, value.rlim_max);  // root could raise
  value = {most, most};
  ::setrlimit(resource, &value);
}

Status enter(Filter& filter) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Status::from_errno(errno, "cannot give up new privileges");
  }
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NPROC, 0);
  if (!filtered) return {};
  limit(RLIMIT_AS, rlim_t{8} << 30);
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
    return Status::from_errno(errno, "cannot install the system call filter");
  }
  return {};
}

}  // namespace

Status prepare_sandbox() {
  if (!filtered) return {};
  if (Status status = compile(false, child_filter); !status.ok()) return status;
  return compile(true, pipe_filter);
}

Status enter_sandbox() { return enter(child_filter); }
Status enter_pipe_sandbox() { return enter(pipe_filter); }

}  // namespace kv
