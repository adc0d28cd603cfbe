// The real disk behind Env, checksums and clocks.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "libkv/base/clock.hpp"
#include "libkv/base/env.hpp"
#include "persistence/checksum.hpp"

namespace kv {
namespace {

/// A folder of its own, gone afterwards.
class ScratchFolder {
 public:
  ScratchFolder() {
    const char* parent = std::getenv("TMPDIR");
    path_ = std::string(parent == nullptr ? "/tmp" : parent) + "/kv-env-XXXXXX";
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  ~ScratchFolder() {
    Result<std::vector<std::string>> names = posix_env().list(path_);
    if (names) {
      for (const std::string& name : *names) ::unlink((path_ + "/" + name).c_str());
    }
    ::rmdir(path_.c_str());
  }
  std::string operator()(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

unsigned mode_of(const std::string& path) {
  struct stat s {};
  return ::stat(path.c_str(), &s) == 0 ? s.st_mode & 07777 : 0;
}

}  // namespace

TEST_CASE("base/env: F1 files are made with mode 0600 whatever the umask") {
  ScratchFolder folder;
  const mode_t before = ::umask(0);
  REQUIRE(posix_env().write_file(folder("a"), "content").ok());
  Result<std::unique_ptr<DirectoryLock>> lock = posix_env().lock_directory(folder.path());
  ::umask(before);
  REQUIRE(lock.ok());
  CHECK(mode_of(folder("a")) == 0600);
  CHECK(mode_of(folder("kv.lock")) == 0600);
  CHECK(*posix_env().read_file(folder("a"), 100) == "content");
  CHECK(posix_env().read_file(folder("a"), 3).status().code() == Code::limit);
  CHECK_FALSE(posix_env().exists(folder("a.tmp")));
}

TEST_CASE("base/env: F2 planted links are refused and their targets untouched") {
  ScratchFolder folder;
  Env& env = posix_env();
  REQUIRE(env.write_file(folder("target"), "precious").ok());
  REQUIRE(::symlink(folder("target").c_str(), folder("link").c_str()) == 0);
  CHECK_FALSE(env.open(folder("link"), Open::append).ok());
  CHECK_FALSE(env.open(folder("link"), Open::read).ok());
  CHECK_FALSE(env.open(folder("link"), Open::create_new).ok());
  CHECK_FALSE(env.map(folder("link")).ok());
  REQUIRE(env.link(folder("target"), folder("second")).ok());
  CHECK_FALSE(env.open(folder("second"), Open::append).ok());
  // A temporary's name with a link behind it: the link goes, the target stays.
  REQUIRE(::symlink(folder("target").c_str(), folder("new.tmp").c_str()) == 0);
  REQUIRE(env.write_file(folder("new"), "mine").ok());
  CHECK(*env.read_file(folder("target"), 100) == "precious");
  REQUIRE(::mkfifo(folder("fifo").c_str(), 0600) == 0);
  CHECK_FALSE(env.open(folder("fifo"), Open::append).ok());
  CHECK_FALSE(env.map(folder("fifo")).ok());
}

TEST_CASE("base/env: P8 a folder whose lock file was removed is still locked") {
  ScratchFolder folder;
  const Result<std::unique_ptr<DirectoryLock>> first = posix_env().lock_directory(folder.path());
  REQUIRE(first.ok());
  REQUIRE(posix_env().remove(folder("kv.lock")).ok());
  CHECK(posix_env().lock_directory(folder.path()).status().code() == Code::busy);
  CHECK_FALSE(posix_env().exists(folder("kv.lock")));
}

TEST_CASE("base/env: P8 a lock that is about to be given up is waited for") {
  ScratchFolder folder;
  Result<std::unique_ptr<DirectoryLock>> first = posix_env().lock_directory(folder.path());
  REQUIRE(first.ok());
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    first->reset();
  });
  const Result<std::unique_ptr<DirectoryLock>> second = posix_env().lock_directory(folder.path());
  later.join();
  CHECK(second.ok());
}

TEST_CASE("base/env: P8 a folder is locked once, and says by whom") {
  ScratchFolder folder;
  Result<std::unique_ptr<DirectoryLock>> first = posix_env().lock_directory(folder.path());
  REQUIRE(first.ok());
  const Result<std::unique_ptr<DirectoryLock>> second = posix_env().lock_directory(
      folder.path() + "/../" + folder.path().substr(folder.path().rfind('/') + 1));
  CHECK(second.status().code() == Code::busy);
  CHECK(second.status().message().find("already in use by pid " + std::to_string(::getpid())) !=
        std::string::npos);
  first = Status{Code::io, "given up"};
  CHECK(posix_env().lock_directory(folder.path()).ok());
}

TEST_CASE("base/env: a lock file with a second name locks, and is not written to") {
  ScratchFolder folder;
  REQUIRE(posix_env().write_file(folder("other"), "precious").ok());
  REQUIRE(posix_env().link(folder("other"), folder("kv.lock")).ok());
  const Result<std::unique_ptr<DirectoryLock>> lock = posix_env().lock_directory(folder.path());
  INFO(lock.status().message());
  REQUIRE(lock.ok());
  const Status second = posix_env().lock_directory(folder.path()).status();
  CHECK(second.code() == Code::busy);
  CHECK(second.message().ends_with("already in use by another process"));
  CHECK(*posix_env().read_file(folder("other"), 100) == "precious");
}

TEST_CASE("base/env: F4 a folder that everybody may write to is refused") {
  ScratchFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  const Status status = posix_env().lock_directory(folder.path()).status();
  CHECK(status.code() == Code::denied);
  CHECK(status.message().find("chmod o-w") != std::string::npos);
}

TEST_CASE("base/env: keep_as keeps the old content under the second name, again and again") {
  ScratchFolder folder;
  Env& env = posix_env();
  CHECK(env.keep_as(folder("a"), folder("a.old")).code() == Code::not_found);
  for (const char* content : {"1", "2", "3"}) {
    const bool had = env.exists(folder("a"));
    const std::string before = had ? *env.read_file(folder("a"), 10) : "";
    if (had) {
      REQUIRE(env.keep_as(folder("a"), folder("a.old")).ok());
      REQUIRE(env.keep_as(folder("a"), folder("a.old")).ok());
      CHECK_FALSE(env.exists(folder("a.old.tmp")));
    }
    REQUIRE(env.write_file(folder("a"), content).ok());
    if (had) CHECK(*env.read_file(folder("a.old"), 10) == before);
  }
}

TEST_CASE("base/env: a deleted open file shows no names; a mapping survives its file") {
  ScratchFolder folder;
  Env& env = posix_env();
  REQUIRE(env.write_file(folder("a"), "content").ok());
  Result<std::unique_ptr<File>> file = env.open(folder("a"), Open::append);
  Result<std::unique_ptr<Mapping>> mapping = env.map(folder("a"));
  REQUIRE(file.ok());
  REQUIRE(mapping.ok());
  CHECK((*file)->info()->links == 1);
  REQUIRE(env.remove(folder("a")).ok());
  CHECK((*file)->info()->links == 0);
  CHECK((*mapping)->bytes() == "content");
  REQUIRE(env.write_file(folder("empty"), "").ok());
  CHECK((*env.map(folder("empty")))->bytes().empty());
}

TEST_CASE("base/checksum: CRC-32's check value, and continuing at any place") {
  CHECK(crc32("123456789") == 0xCBF43926);
  CHECK(crc32("") == 0);
  std::string text;
  for (int i = 0; i < 3000; ++i) text.push_back(static_cast<char>(i * 7 + i / 13));
  CHECK_FALSE(changed_byte(0, text.size()));
  for (std::size_t at = 0; at < text.size(); at += 7) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ static_cast<char>(1 + at % 255));
    CHECK(changed_byte(crc32(text) ^ crc32(changed), text.size()) == text.size() - 1 - at);
    changed[(at + 20) % text.size()] ^= 1;
    CHECK_FALSE(changed_byte(crc32(text) ^ crc32(changed), text.size()));
  }
  const std::uint32_t whole = crc32(text);
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const std::string_view view = text;
    REQUIRE(crc32(view.substr(at), crc32(view.substr(0, at))) == whole);
  }
}

TEST_CASE("base/clock: times in the forms people write") {
  REQUIRE(::setenv("TZ", "Europe/Berlin", 1) == 0);
  ::tzset();
  const auto seconds = [](std::string_view text) { return *parse_time(text) / ns_per_second; };
  CHECK(seconds("2026-11-20T10:00:00Z") == 1795168800);
  CHECK(seconds("2026-11-20 10:00Z") == 1795168800);
  CHECK(seconds("2026-11-20T11:00:00+01:00") == 1795168800);
  CHECK(seconds("2026-11-20T04:30:00-0530") == 1795168800);
  CHECK(*parse_time("2026-11-20T10:00:00.5Z") == 1795168800'500'000'000);
  CHECK(*parse_time("1596099036.281142829") == 1596099036'281'142'829);
  CHECK(format_utc(1795168800'000'000'000) == "2026-11-20T10:00:00Z");
  CHECK(format_utc(1795168800'000'000'001) == "2026-11-20T10:00:00.000000001Z");
  CHECK(format_seconds(1596099036'281'142'829) == "1596099036.281142829");
  const std::int64_t now = 1795168800'000'000'000;
  CHECK(*parse_time(format_local(now)) == now);
  for (const char* bad :
       {"", "now", "2026-13-01", "2026-11-31", "2026-11-20T25:00:00", "20.11.2026",
        "2026-11-20T10:00:00X", "2026-11-20T10:00:00+99:00", "-5"}) {
    INFO(bad);
    CHECK(parse_time(bad).status().code() == Code::usage);
  }
  ::unsetenv("TZ");
  ::tzset();
}

}  // namespace kv
