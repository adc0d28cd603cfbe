// --fsync everysec under a clock that the test turns: at no moment more than a second of what was
// acknowledged is not on the disk, however slow the disk is. Nothing here measures real time.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

constexpr std::int64_t ms = 1'000'000, t0 = 1'700'000'000 * ns_per_second;
std::atomic<std::int64_t> now{t0};
std::int64_t turned_clock() noexcept { return now.load(); }

PersistenceSettings everysec() {
  PersistenceSettings settings = with(Fsync::everysec);
  settings.clock = turned_clock;
  return settings;
}

/// Writes a line every 10 ms and looks, each time one was acknowledged, at what a power failure
/// would leave. The line's number is its element of the list.
class Writer {
 public:
  explicit Writer(FaultEnv& env) : env_(env), server_(env, everysec()) {}
  Status start() { return server_.start(); }
  /// False: refused, or lines older than a second are not on the disk.
  bool write_line() {
    now += 10 * ms;
    const std::string number = std::to_string(times_.size());
    if (!server_.write({"RPUSH", "list", "#" + number + "#"}, 0, now)) return false;
    times_.push_back(now);
    acknowledged = times_.size();
    server_.store().tick(now);
    return within_a_second();
  }
  bool within_a_second() {
    const std::string disk = env_.on_disk("data/kv.aof");
    while (on_disk_ < times_.size() &&
           disk.find("\"#" + std::to_string(on_disk_) + "#\"") != std::string::npos) {
      ++on_disk_;
    }
    return on_disk_ == times_.size() || now - times_[on_disk_] <= ns_per_second;
  }
  Persistence& store() { return server_.store(); }
  const std::vector<std::string>& history() const { return server_.history(); }
  std::size_t on_disk() const { return on_disk_; }
  std::atomic<std::size_t> acknowledged{0};

 private:
  FaultEnv& env_;
  TestServer server_;
  std::vector<std::int64_t> times_;
  std::size_t on_disk_ = 0;
};

}  // namespace

TEST_CASE(
    "persistence: everysec asks for a sync in time, and the last lines reach the disk alone") {
  now = t0;
  FaultEnv env;
  Writer writer(env);
  REQUIRE(writer.start().ok());
  for (int i = 0; i < 500; ++i) REQUIRE(writer.write_line());
  // Nobody writes any more: ticking alone brings the rest to the disk.
  now += 500 * ms;
  writer.store().tick(now);
  while (writer.store().synced_ns() < writer.store().written_ns()) {
    now += 100 * ms;
    writer.store().tick(now);
    std::this_thread::yield();
  }
  CHECK(env.on_disk("data/kv.aof") == env.contents("data/kv.aof"));
}

TEST_CASE("persistence: everysec lets writes wait for a disk that hangs, a second is kept") {
  now = t0;
  FaultEnv env;
  Writer writer(env);
  REQUIRE(writer.start().ok());
  for (int i = 0; i < 20; ++i) REQUIRE(writer.write_line());
  env.sync_hangs = true;
  std::atomic<bool> kept{true}, ended{false};
  std::thread thread([&] {
    for (int i = 0; i < 1000 && kept; ++i) kept = writer.write_line();
    ended = true;
  });
  while (writer.store().delayed_syncs() == 0 && !ended) std::this_thread::yield();
  const std::size_t acknowledged = writer.acknowledged;
  CHECK(acknowledged >= 100);  // it went on for the second it may
  CHECK(acknowledged <= 20 + 200);
  env.sync_hangs = false;
  thread.join();
  CHECK(kept);
  CHECK(writer.acknowledged == 1020);
  const std::size_t least = writer.on_disk();
  env.power_failure();
  const Start start = start_from(env, everysec());
  REQUIRE(start.status.ok());
  const auto& all = writer.history();
  CHECK(std::find(all.begin() + static_cast<std::ptrdiff_t>(least), all.end(), start.digest) !=
        all.end());
}

TEST_CASE(
    "persistence: everysec a sync that fails while a write waits for it is not acknowledged") {
  now = t0;
  FaultEnv env;
  Writer writer(env);
  REQUIRE(writer.start().ok());
  REQUIRE(writer.write_line());
  while (writer.store().synced_ns() < writer.store().written_ns()) std::this_thread::yield();
  env.sync_hangs = true;
  env.only = "sync";
  env.fault = Fault::error;
  env.calls = 0;
  env.fault_at = 1;
  std::atomic<bool> ended{false};
  std::thread thread([&] {
    while (writer.write_line()) {
    }
    ended = true;
  });
  while (writer.store().delayed_syncs() == 0 && !ended) std::this_thread::yield();
  const std::size_t acknowledged = writer.acknowledged;
  env.sync_hangs = false;
  thread.join();
  CHECK(writer.acknowledged == acknowledged);
  CHECK(writer.store().log_failed());
}

}  // namespace kv::test
