// What a child may still ask of the kernel: a process that enters the sandbox tries it.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "libkv/process/bulk.hpp"
#include "libkv/process/sandbox.hpp"

namespace kv::test {
namespace {

// A build with sanitizers has no filter (sandbox.cpp): there only the rest of it can be entered.
#if !defined(__SANITIZE_ADDRESS__)

/// The wait status of a process that does this inside the sandbox and then ends well.
int inside(const std::function<void()>& what) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!enter_sandbox().ok()) ::_exit(1);
    what();
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

bool is_fine(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
bool is_killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS; }

TEST_CASE("process/sandbox: a child can take no memory from the sibling and signal nobody") {
  REQUIRE(prepare_sandbox().ok());
  constexpr std::size_t bytes = 64 * 1024;
  void* shared = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  const pid_t parent = ::getpid();  // asking inside would be a call of its own
  const auto advise = [&](int advice, bool taken) {
    if ((::madvise(shared, bytes, advice) == 0) != taken) ::_exit(2);
  };
  CHECK(is_fine(inside([] {})));
  CHECK(is_fine(inside([&] { advise(MADV_DONTNEED, true); })));
  CHECK(is_fine(inside([&] { advise(MADV_REMOVE, false); })));
  CHECK(is_fine(inside([&] { advise(MADV_HUGEPAGE, false); })));  // GLIBC_TUNABLES may ask for it
  CHECK(is_killed(inside([&] { ::tgkill(parent, parent, 0); })));
  CHECK(is_killed(inside([&] { ::kill(parent, 0); })));
  CHECK(is_killed(inside([] { (void)::open("/dev/null", O_RDONLY); })));
  CHECK(is_killed(inside([] { ::fork(); })));
  ::munmap(shared, bytes);
}

TEST_CASE("process/sandbox: a child cannot make its segment grow") {
  REQUIRE(prepare_sandbox().ok());
  const std::string name = "kv-test." + std::to_string(::getpid());
  Result<Fd> segment = BulkSegment::create(name);
  BulkSegment::remove(name);
  REQUIRE(segment.ok());
  const int fd = segment->get();
  CHECK(is_fine(inside([&] {
    for (const std::size_t bytes : {1, 4096}) {
      if (::write(fd, std::string(bytes, 'x').data(), bytes) != -1) ::_exit(2);
    }
  })));
  CHECK(is_fine(inside([&] {  // it is of use all the same
    auto mapped = BulkSegment::map(Fd(fd), true);
    if (!mapped.ok()) ::_exit(2);
    (*mapped)->at(0)[bulk_segment_bytes - 1] = 'x';
  })));
  CHECK(is_killed(inside([&] { ::lseek(fd, 0, SEEK_SET); })));
  CHECK(is_killed(inside([&] { (void)::pwrite(fd, "x", 1, bulk_segment_bytes); })));
  CHECK(is_killed(inside([&] { (void)::ftruncate(fd, 2 * bulk_segment_bytes); })));
  struct stat facts {};
  REQUIRE(::fstat(fd, &facts) == 0);
  CHECK(facts.st_size == static_cast<off_t>(bulk_segment_bytes));
}

#endif

}  // namespace
}  // namespace kv::test
