// The promise under fire: killed, failed or unplugged at every single call to the disk, the next
// start finds what was acknowledged, nothing twice, nothing invented.
#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "persistence/folder.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

constexpr SnapshotFormat forms[] = {SnapshotFormat::text, SnapshotFormat::binary};

/// Writes and saves that show a line lost, doubled or out of order. True if the disk let it finish.
struct Script {
  std::vector<std::string> history;
  std::size_t acknowledged = 0;
  bool started = false;
};

Script run_script(FaultEnv& env, const PersistenceSettings& settings) {
  Script script;
  TestServer server(env, settings);
  script.started = server.start().ok();
  if (!script.started) return script;
  for (int i = 0; i < 24; ++i) {
    const std::string n = std::to_string(i);
    if (i % 8 == 5) static_cast<void>(server.save().ok());
    Status s = i % 3 == 0   ? server.write({"INCR", "counter"})
               : i % 3 == 1 ? server.write({"RPUSH", "list", n, std::string(40, 'x')}, i % 2)
                            : server.write({"HSET", "hash", "field " + n, "v\n" + n});
    if (env.dead) break;
    if (!s) FAIL(s.message());
  }
  script.history = server.history();
  script.acknowledged = server.acknowledged();
  return script;
}

/// The digests of the script without any fault: every state it goes through.
std::vector<std::string> states(const PersistenceSettings& settings) {
  FaultEnv env;
  return run_script(env, settings).history;
}

/// Starts after a fault and checks the oracle: at least `least` of the states, none invented,
/// stable over one more start.
void check_start(FaultEnv& env, const std::vector<std::string>& all, std::size_t least,
                 const PersistenceSettings& settings) {
  const Start first = start_from(env, settings);
  INFO(first.status.message());
  REQUIRE(first.status.ok());
  const auto at =
      std::find(all.begin() + static_cast<std::ptrdiff_t>(least), all.end(), first.digest);
  REQUIRE(at != all.end());
  const Start second = start_from(env, settings);
  REQUIRE(second.status.ok());
  CHECK(second.digest == first.digest);
}

template <class Crash>
void kill_everywhere(Fault fault, const PersistenceSettings& settings, Crash crash) {
  const std::vector<std::string> all = states(settings);
  std::uint64_t n = 1;
  for (;; ++n) {
    FaultEnv env;
    env.fault = fault;
    env.fault_at = n;
    const Script script = run_script(env, settings);
    if (!env.dead) break;
    INFO("killed at call " << n << ": " << env.trace.back());
    crash(env);
    check_start(env, all, script.acknowledged, settings);
  }
  CHECK(n > 60);  // the script really makes calls
}

}  // namespace

TEST_CASE("persistence: D1 killed before every call to the disk, nothing acknowledged is lost") {
  for (const SnapshotFormat form : forms) {
    kill_everywhere(Fault::die, with(Fsync::no, form), [](FaultEnv& env) { env.restart(); });
  }
}

TEST_CASE("persistence: D2 killed in the middle of every write, the torn line is cut off") {
  for (const SnapshotFormat form : forms) {
    kill_everywhere(Fault::die_halfway, with(Fsync::no, form),
                    [](FaultEnv& env) { env.restart(); });
  }
}

TEST_CASE(
    "persistence: D16 S3 unplugged at every call under always, nothing acknowledged is lost") {
  for (const SnapshotFormat form : forms) {
    kill_everywhere(Fault::die, with(Fsync::always, form),
                    [](FaultEnv& env) { env.power_failure(); });
  }
}

TEST_CASE("persistence: D2 unplugged in the middle of every write under always") {
  kill_everywhere(Fault::die_halfway, with(Fsync::always),
                  [](FaultEnv& env) { env.power_failure(); });
}

TEST_CASE("persistence: D17 some of the blocks that were not synced, in any order") {
  const PersistenceSettings settings = with(Fsync::always);
  const std::vector<std::string> all = states(settings);
  const std::uint64_t seed = Catch::rngSeed() != 0 ? Catch::rngSeed() : 17;
  std::mt19937_64 random(seed);
  for (std::uint64_t n = 1;; ++n) {
    FaultEnv env;
    env.fault = Fault::die;
    env.fault_at = n;
    const Script script = run_script(env, settings);
    if (!env.dead) break;
    env.power_failure_with_some_blocks(random);
    INFO("seed " << seed << ", killed at call " << n);
    const Start start = start_from(env, settings);
    INFO(start.status.message());
    REQUIRE(start.status.ok());
    CHECK(std::find(all.begin() + static_cast<std::ptrdiff_t>(script.acknowledged), all.end(),
                    start.digest) != all.end());
  }
}

TEST_CASE("persistence: D10 a disk whose sync lies loses the end, never invents or corrupts") {
  FaultEnv env;
  const PersistenceSettings settings = with(Fsync::always);
  const std::vector<std::string> all = states(settings);
  {
    TestServer server(env, settings);
    REQUIRE(server.start().ok());
    env.settle();
    env.sync_lies = true;
    for (int i = 0; i < 10; ++i) REQUIRE(server.write({"INCR", "counter"}).ok());
  }
  env.power_failure();
  env.sync_lies = false;
  const Start start = start_from(env, settings);
  REQUIRE(start.status.ok());
  CHECK(start.lines == 0);
}

TEST_CASE("persistence: D11 a torn line on a full disk: what is there is served, and then mended") {
  FaultEnv env;
  std::string whole;
  {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"SET", "a", "1"}).ok());
    whole = env.contents("data/kv.aof");
  }
  const std::string torn = "(\"1596099036.2811";
  env.contents("data/kv.aof") += torn;
  env.settle();
  env.room = env.used();
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  CHECK(server.data().get("a") == "1");
  CHECK(server.store().recovery().notes.size() == 2);
  const Status refused = server.write({"SET", "b", "2"});
  CHECK(refused.code() == Code::no_space);
  CHECK(refused.message().find("no room") != std::string::npos);
  server.store().tick(2 * ns_per_second);
  CHECK_FALSE(server.write({"SET", "b", "2"}).ok());
  CHECK_FALSE(server.save().ok());
  CHECK(env.contents("data/kv.aof") == whole + torn);  // nothing was lost meanwhile
  SECTION("ended like this, the next start finds the same") {
    REQUIRE(server.store().close().ok());
    CHECK(env.contents("data/kv.aof") == whole + torn);
  }
  SECTION("room comes back: the line is kept aside and writes resume") {
    env.room = UINT64_MAX;
    server.store().tick(4 * ns_per_second);
    CHECK(server.write({"SET", "b", "2"}).ok());
    CHECK(env.contents("data/kv.aof").starts_with(whole + "(\""));
    CHECK(env.contents("data/kv.aof").find("2811(") == std::string::npos);
    std::string aside;
    for (const auto& [path, node] : env.entries()) {
      if (path.starts_with("data/kv.aof.torn-")) aside = node->data;
    }
    CHECK(aside == torn);
    REQUIRE(server.store().close().ok());
    const Start start = start_from(env, with(Fsync::no));
    CHECK(start.status.ok());
    CHECK(start.lines == 2);
  }
  SECTION("a save needs the room as well, and makes it") {
    env.room = UINT64_MAX;
    CHECK(server.save().ok());
    CHECK(server.write({"SET", "b", "2"}).ok());
    CHECK(start_from(env, with(Fsync::no)).status.ok());
  }
}

TEST_CASE(
    "persistence: D11 a half-made snapshot that fills the disk is removed before a torn line") {
  FaultEnv env;
  {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"SET", "a", "1"}).ok());
  }
  env.contents("data/kv.aof") += "(\"1596099036.2811";
  env.put("data/kv.db.tmp", std::string(1000, 'x'));
  env.settle();
  env.room = env.used();
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  CHECK_FALSE(env.has("data/kv.db.tmp"));
  CHECK(server.write({"SET", "b", "2"}).ok());
}

TEST_CASE("persistence: D18 killed at every call while recovering from a torn line") {
  FaultEnv before;
  std::string expected;
  {
    TestServer server(before, with(Fsync::no));
    REQUIRE(server.start().ok());
    for (int i = 0; i < 5; ++i) REQUIRE(server.write({"RPUSH", "list", std::to_string(i)}).ok());
    expected = server.digest();
  }
  before.contents("data/kv.aof") += "(\"1596099036.2811";
  for (std::uint64_t n = 1;; ++n) {
    const std::unique_ptr<FaultEnv> env = before.copy();
    env->fault = Fault::die_halfway;
    env->fault_at = n;
    const Start killed = start_from(*env, with(Fsync::no));
    const bool done = !env->dead;
    env->restart();
    const Start start = start_from(*env, with(Fsync::no));
    INFO("killed at call " << n << ": " << start.status.message());
    REQUIRE(start.status.ok());
    CHECK(start.digest == expected);
    if (done) {
      CHECK(n > 4);
      CHECK(killed.notes.size() == 2);
      break;
    }
  }
}

TEST_CASE("persistence: S1 S2 every call of a save fails once, the old snapshot stays") {
  for (const SnapshotFormat form : forms) {
    const PersistenceSettings settings = with(Fsync::everysec, form);
    const std::string name = "data/" + std::string(snapshot_name(form));
    for (std::uint64_t n = 1;; ++n) {
      FaultEnv env;
      TestServer server(env, settings);
      REQUIRE(server.start().ok());
      REQUIRE(server.write({"INCR", "counter"}).ok());
      REQUIRE(server.save().ok());
      REQUIRE(server.write({"INCR", "counter"}).ok());
      const std::string old_snapshot = env.contents(name);
      env.calls = 0;
      env.trace.clear();
      env.fault = Fault::error;
      env.error_number = n % 2 == 0 ? ENOSPC : EIO;
      env.fault_at = n;
      const Status saved = server.save();
      const bool fired = env.calls >= n;
      INFO("failed at call " << n << " " << (fired ? env.trace[n - 1] : "") << ": "
                             << saved.message());
      env.fault = Fault::none;
      if (!saved.ok()) {
        CHECK_FALSE(server.store().saving());
        if (env.contents(name) != old_snapshot) {
          CHECK(env.trace[n - 1] == "sync_directory data");  // it was in place already
        }
      }
      // The server goes on, unless a sync of its log failed.
      if (!server.store().log_failed()) {
        REQUIRE(server.write({"INCR", "counter"}).ok());
        CHECK(server.save().ok());
        CHECK(server.data().get("counter") == "3");
      }
      const std::string expected = server.digest();
      env.restart();
      const Start start = start_from(env, settings);
      REQUIRE(start.status.ok());
      CHECK(start.digest == expected);
      if (!fired) break;
    }
  }
}

TEST_CASE("persistence: a switch of the log that fails leaves nothing that a later start refuses") {
  const bool torn = GENERATE(false, true);
  const bool saved_again = GENERATE(false, true);
  for (std::uint64_t n = 1;; ++n) {
    FaultEnv env;
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
    env.calls = 0;
    env.fault = Fault::error;
    env.fault_at = n;
    const Result<SaveJob> failed = server.store().begin_save();
    const bool fired = env.calls >= n;
    env.fault = Fault::none;
    INFO("failed at call " << n << " " << (fired ? env.trace[env.trace.size() - 1] : ""));
    if (failed) server.store().save_finished({Code::io, "the writer was killed"});
    if (server.store().log_failed()) continue;  // a sync: that is another test
    REQUIRE(server.write({"INCR", "counter"}).ok());
    if (saved_again) {
      REQUIRE(server.store().begin_save().ok());
      server.store().save_finished({Code::io, "the writer was killed"});
      REQUIRE(server.write({"INCR", "counter"}).ok());
    }
    if (torn) env.contents("data/kv.aof") += "(\"159";
    env.restart();
    const Start start = start_from(env, with(Fsync::no));
    INFO(start.status.message());
    REQUIRE(start.status.ok());
    CHECK(start.digest == server.digest());
    if (!fired) break;
  }
}

TEST_CASE("persistence: a log's second name that could not be removed is no reason to refuse") {
  const bool saved_again = GENERATE(false, true);
  const bool half_made = GENERATE(false, true);
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  const std::string finished = "data/" + finished_log_name(server.store().written_ns());
  REQUIRE(env.link("data/kv.aof", finished + (half_made ? ".tmp" : "")).ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  if (saved_again) {
    REQUIRE(server.store().begin_save().ok());
    server.store().save_finished({Code::io, "the writer was killed"});
    REQUIRE(server.write({"INCR", "counter"}).ok());
  }
  env.contents("data/kv.aof") += "(\"159";
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  INFO(start.status.message());
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
  const std::vector<std::string> names = *env.list("data");
  CHECK(std::count_if(names.begin(), names.end(), [](const std::string& name) {
          return name.starts_with("kv.aof.torn-");
        }) == 1);
  CHECK(std::count_if(names.begin(), names.end(), is_finished_log) == (saved_again ? 1 : 0));
}

TEST_CASE("persistence: D13 short writes and interruptions give the same file") {
  const auto run = [](bool calm) {
    FaultEnv env;
    if (!calm) env.write_max = 7, env.interrupts = true;
    TestServer server(env, with(Fsync::always));
    REQUIRE(server.start().ok());
    for (int i = 0; i < 20; ++i) {
      const std::int64_t wall = 1'700'000'000'000'000'000 + i;
      REQUIRE(
          server.write({"RPUSH", "list", std::string(static_cast<std::size_t>(i), 'x')}, 0, wall)
              .ok());
    }
    return env.contents("data/kv.aof");
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("persistence: D9 a failed sync is never acknowledged and never tried again") {
  for (const Fsync policy : {Fsync::always, Fsync::everysec}) {
    FaultEnv env;
    TestServer server(env, with(policy));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
    env.only = "sync";
    env.fault = Fault::error;
    env.fault_at = env.calls = 0;
    env.fault_at = 1;
    if (policy == Fsync::always) {
      CHECK_FALSE(server.write({"INCR", "counter"}).ok());
    } else {
      REQUIRE(server.write({"INCR", "counter"}).ok());
      server.store().tick(monotonic_ns());
      while (!server.store().log_failed()) std::this_thread::yield();
    }
    CHECK(server.store().log_failed());
    const std::uint64_t syncs = env.calls;
    env.fault = Fault::none;  // the next one would be told all is well
    const Status refused = server.write({"INCR", "counter"});
    CHECK_FALSE(refused.ok());
    CHECK(refused.message().find("sync") != std::string::npos);
    CHECK(env.calls == syncs);
    CHECK_FALSE(server.store().log_status().ok());
    env.power_failure();
    const Start start = start_from(env, with(policy));
    REQUIRE(start.status.ok());
    CHECK(std::find(server.history().begin(), server.history().end(), start.digest) !=
          server.history().end());
  }
}

TEST_CASE("persistence: D11 a full disk refuses writes, and they resume by themselves") {
  FaultEnv env;
  TestServer server(env, with(Fsync::always));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  const std::string before = env.contents("data/kv.aof");
  env.room = env.used() + 30;  // not enough for a line
  const Status refused = server.write({"INCR", "counter"});
  CHECK(refused.code() == Code::no_space);
  CHECK(env.contents("data/kv.aof") == before);
  CHECK_FALSE(server.store().log_status().ok());
  CHECK_FALSE(server.store().log_failed());
  CHECK_FALSE(server.write({"INCR", "counter"}).ok());
  env.room = UINT64_MAX;
  REQUIRE(server.write({"INCR", "counter"}).ok());
  CHECK(server.store().log_status().ok());
  env.power_failure();
  const Start start = start_from(env, with(Fsync::always));
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
  CHECK(start.lines == 2);
}

TEST_CASE("persistence: D12 a short write that cannot be undone closes the log") {
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  const std::string expected = server.digest();
  env.room = env.used() + 30;
  env.only = "truncate";
  env.calls = 0;
  env.fault = Fault::error;
  env.fault_at = 1;
  CHECK_FALSE(server.write({"INCR", "counter"}).ok());
  CHECK(server.store().log_failed());
  env.room = UINT64_MAX;
  CHECK_FALSE(server.write({"INCR", "counter"}).ok());
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  REQUIRE(start.status.ok());
  CHECK(start.digest == expected);
  REQUIRE(start.notes.size() == 2);
  CHECK(start.notes[0].find("torn_tail") != std::string::npos);
}

TEST_CASE("persistence: a line taken back is synced away, though all before it was synced") {
  FaultEnv env;
  TestServer server(env, with(Fsync::always));
  REQUIRE(server.start().ok());
  server.store().defer_syncs(true);
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.store().sync_now().ok());
  const std::string before = env.contents("kv.aof");
  WriteLog& log = server.store().log();
  const std::vector<Scalar> line{"INCR", "counter"};
  log.add(log.next_time(monotonic_ns()), 0, Dialect::resp, line);
  REQUIRE(log.write().ok());
  const bool was_on_the_disk = GENERATE(true, false);
  if (was_on_the_disk) env.settle();  // the kernel wrote it by itself
  REQUIRE(log.take_back(1).ok());
  REQUIRE(server.store().sync_now().ok());
  CHECK(env.on_disk("kv.aof") == before);
}

TEST_CASE(
    "persistence: D15 a log removed or changed while in use is noticed, and a save heals it") {
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  SECTION("removed") { REQUIRE(env.remove("data/kv.aof").ok()); }
  SECTION("replaced") {
    REQUIRE(env.remove("data/kv.aof").ok());
    env.put("data/kv.aof", "something else");
  }
  SECTION("cut in place") { env.contents("data/kv.aof").clear(); }
  SECTION("added to") { env.contents("data/kv.aof") += "something"; }
  server.store().tick(monotonic_ns() + ns_per_second);
  const Status refused = server.write({"INCR", "counter"});
  CHECK_FALSE(refused.ok());
  CHECK(refused.message().find("removed or replaced") != std::string::npos);
  REQUIRE(server.save().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  INFO(start.status.message());
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
}

TEST_CASE("persistence: D15 a log that is not ours any more gets no trailer") {
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  CHECK(server.store().log_intact());
  std::string& log = env.contents("data/kv.aof");
  const std::string added = GENERATE("", "# my comment\n", "(\"15");
  if (added.empty()) log.resize(log.size() / 2);
  log += added;
  const std::string before = log;
  const bool noticed = GENERATE(true, false);
  if (noticed) server.store().tick(monotonic_ns() + ns_per_second);
  SECTION("closed") {
    const Status closed = server.store().close();
    CHECK_FALSE(closed.ok());
    CHECK(closed.message().find("no save has succeeded since") != std::string::npos);
    CHECK(env.contents("data/kv.aof") == before);
  }
  SECTION("closed after a save that failed when the log was already a new one") {
    REQUIRE(server.store().begin_save().ok());
    server.store().save_finished({Code::no_space, "no room"});
    CHECK_FALSE(server.store().close().ok());
  }
  SECTION("closed after a save") {
    REQUIRE(server.save().ok());
    CHECK(server.store().close().ok());
    env.restart();
    CHECK(start_from(env, with(Fsync::no)).digest == server.digest());
  }
}

TEST_CASE("persistence: P3 a restart does not begin anew where there was data") {
  FaultEnv env;
  PersistenceSettings settings = with(Fsync::no);
  settings.log = GENERATE(true, false);
  {
    TestServer server(env, settings);
    REQUIRE(server.start().ok());
    CHECK(server.store().has_data() == settings.log);
    REQUIRE(server.save().ok());
    CHECK(server.store().has_data());
  }
  settings.had_data = true;
  REQUIRE(start_from(env, settings).status.ok());
  const std::vector<std::string> names = *env.list("data");
  for (const std::string& name : names) REQUIRE(env.remove("data/" + name).ok());
  const Start start = start_from(env, settings);
  CHECK(start.status.code() == Code::corrupt);
  CHECK(start.status.message().find("put the folder back") != std::string::npos);
  CHECK_FALSE(env.exists("data/kv.db"));
  CHECK_FALSE(env.exists("data/kv.aof"));
}

TEST_CASE("persistence: D19 a clock that steps back, and times that replay as they were") {
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  const std::int64_t wall = 1'700'000'000'000'000'000;
  REQUIRE(server.write({"SET", "a", "1"}, 0, wall).ok());
  REQUIRE(server.write({"EXPIREAT", "a", "1700000000500"}, 0, wall - ns_per_second).ok());
  CHECK(server.store().written_ns() == wall + 1);
  REQUIRE(server.write({"RPUSH", "b", "1"}, 0, wall - 5 * ns_per_second).ok());
  // Past a's end by the log's clock: INCR starts anew, whatever the wall says at replay.
  REQUIRE(server.write({"INCR", "a"}, 0, wall + ns_per_second).ok());
  CHECK(server.data().get("a") == "1");
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
}

}  // namespace kv::test
