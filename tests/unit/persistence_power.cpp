// Names that a power failure takes: a new file, a new folder and a renamed log are only there for
// sure once their folder was synced, whoever made them.
#include <catch2/catch.hpp>

#include "persistence/folder.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

/// Of a server that starts, takes one write and is killed then.
std::string digest_after_a_write(FaultEnv& env, const PersistenceSettings& settings) {
  TestServer server(env, settings);
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  return server.digest();
}

}  // namespace

TEST_CASE("persistence: killed, started again and then unplugged, nothing acknowledged is lost") {
  const PersistenceSettings settings = with(Fsync::always);
  bool killed = true;
  for (std::uint64_t n = 1; killed; ++n) {
    FaultEnv env;
    env.fault = Fault::die;
    env.fault_at = n;
    {
      TestServer server(env, settings);
      if (server.start().ok()) {
        for (int i = 0; i < 6 && server.write({"INCR", "counter"}).ok(); ++i) {
          if (i % 2 == 1) static_cast<void>(server.save().ok());
        }
      }
    }
    killed = env.dead;
    INFO("killed at call " << n << ": " << env.trace.back());
    env.kill();
    const std::string expected = digest_after_a_write(env, settings);
    env.power_failure();
    const Start start = start_from(env, settings);
    INFO(start.status.message());
    REQUIRE(start.status.ok());
    CHECK(start.digest == expected);
  }
}

TEST_CASE("persistence: a folder that the server made is there after the power failed") {
  const bool killed_before = GENERATE(false, true);
  PersistenceSettings settings = with(Fsync::always);
  settings.folder = "new";
  FaultEnv env;
  if (killed_before) {
    env.fault = Fault::die;
    env.fault_at = 2;
    CHECK_FALSE(start_from(env, settings).status.ok());
    env.kill();
  }
  const std::string expected = digest_after_a_write(env, settings);
  env.power_failure();
  const Start start = start_from(env, settings);
  REQUIRE(start.status.ok());
  CHECK(start.digest == expected);
}

TEST_CASE("persistence: a first start that was killed still leaves what misses a removed log") {
  for (std::uint64_t n = 1;; ++n) {
    FaultEnv env;
    env.fault = Fault::die;
    env.fault_at = n;
    static_cast<void>(start_from(env, with(Fsync::always)).status.ok());
    const bool done = !env.dead;
    INFO("killed at call " << n);
    env.restart();
    digest_after_a_write(env, with(Fsync::always));
    REQUIRE(env.remove("data/kv.aof").ok());
    CHECK(start_from(env, with(Fsync::always)).status.code() == Code::corrupt);
    if (done) break;
  }
}

TEST_CASE("persistence: when a trailer is written, all lines before it are on the disk") {
  for (const Fsync policy : {Fsync::always, Fsync::everysec, Fsync::no}) {
    FaultEnv env;
    TestServer server(env, with(policy));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
    env.only = "write";
    env.fault = Fault::die;
    env.calls = 0;
    env.fault_at = 1;
    CHECK_FALSE(server.store().close().ok());
    env.power_failure();
    CHECK(start_from(env, with(policy)).digest == server.digest());
  }
}

TEST_CASE("persistence: where the folder cannot be synced, nothing goes to a log it may not hold") {
  for (std::uint64_t n = 1; n <= 2; ++n) {
    FaultEnv env;
    TestServer server(env, with(Fsync::always));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
    env.only = "sync_directory";
    env.fault = Fault::error;
    env.calls = 0;
    env.fault_at = n;
    CHECK_FALSE(server.store().begin_save().ok());
    env.fault = Fault::none;
    static_cast<void>(server.write({"INCR", "counter"}).ok());
    const std::string expected = server.digest();  // of what was acknowledged
    env.power_failure();
    INFO("sync " << n << " of the folder failed");
    CHECK(start_from(env, with(Fsync::always)).digest == expected);
  }
}

}  // namespace kv::test
