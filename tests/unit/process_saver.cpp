// When the saver wants to save: by a clock that the test turns, over a disk in memory that can
// fail.
#include <catch2/catch.hpp>

#include "libkv/process/saver.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

std::int64_t turned_ns = 0;
void pass(std::int64_t seconds) { turned_ns += seconds * ns_per_second; }

struct Bench {
  Bench() {
    turned_ns = 1000 * ns_per_second;
    databases.push_back(std::make_unique<Keyspace>());
    PersistenceSettings settings;
    settings.folder = "data";
    store = *Persistence::open(env, settings, data.replay());
    saver = std::make_unique<Saver>(
        env, *store, counters, [] {}, []() noexcept { return turned_ns; });
    counters.changes_since_save = 1;
  }
  FaultEnv env;
  TestData data;
  Counters counters;
  std::vector<std::unique_ptr<Keyspace>> databases;
  std::unique_ptr<Persistence> store;
  std::unique_ptr<Saver> saver;
};

TEST_CASE("saver: it is time when the interval has passed since the last save") {
  Bench b;
  CHECK_FALSE(b.saver->due(60));
  pass(59);
  CHECK_FALSE(b.saver->due(60));
  pass(1);
  CHECK(b.saver->due(60));
  CHECK_FALSE(b.saver->due(0));
  REQUIRE(b.saver->save_here(b.databases).ok());
  b.counters.changes_since_save = 1;
  CHECK_FALSE(b.saver->due(60));
  pass(60);
  CHECK(b.saver->due(60));
}

TEST_CASE("saver: after a failure it tries again soon, and later each time") {
  Bench b;
  b.env.fault = Fault::error;
  b.env.fault_stays = true;
  b.env.fault_at = b.env.calls + 1;
  for (const int wait_s : {2, 4, 8}) {
    REQUIRE_FALSE(b.saver->save_here(b.databases).ok());
    pass(wait_s - 1);
    CHECK_FALSE(b.saver->due(3600));
    pass(1);
    CHECK(b.saver->due(3600));
  }
  PersistenceState state;
  b.saver->fill(state);
  CHECK(state.last_save_duration_s == 0);  // by the same clock
}

}  // namespace
}  // namespace kv::test
