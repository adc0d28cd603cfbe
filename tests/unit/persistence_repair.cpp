// What --repair makes of damage, and whether it says all that is lost: nothing is applied twice,
// nothing is lost in silence.
#include <catch2/catch.hpp>
#include <optional>
#include <random>

#include "persistence/aof_reader.hpp"
#include "persistence/check.hpp"
#include "persistence/repair.hpp"
#include "tests/unit/persistence_fixture.hpp"
#include "tests/unit/persistence_run_tool.hpp"

namespace kv::test {
namespace {

/// A folder of two saves with lines before, between and behind them, and the digest of its data.
/// The logs do not reach back to the first start.
std::string make_folder(FaultEnv& env, SnapshotFormat format = SnapshotFormat::text) {
  TestServer server(env, with(Fsync::no, format));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"RPUSH", "list", "a"}).ok());
  REQUIRE(server.save().ok());
  REQUIRE(server.write({"RPUSH", "list", "b", "c"}).ok());
  for (int i = 0; i < 3; ++i) REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.write({"SET", "key", "value1"}).ok());
  REQUIRE(server.save().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.write({"SET", "after", "1"}).ok());
  env.settle();
  return server.digest();
}

/// The same of one save: the logs hold everything.
std::string make_young_folder(FaultEnv& env) {
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"RPUSH", "list", "a", "b"}).ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.write({"SET", "key", "value1"}).ok());
  REQUIRE(server.save().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  env.settle();
  return server.digest();
}

void replace(std::string& text, std::string_view old, std::string_view by) {
  const std::size_t at = text.find(old);
  REQUIRE(at != std::string::npos);
  text.replace(at, old.size(), by);
}

struct Repaired {
  RepairReport report;
  std::string notes;
};

Repaired repair(FaultEnv& env) {
  TestData data;
  Result<RepairReport> report = repair_folder(env, "data", SnapshotFormat::text, data.replay(), 16);
  INFO(report.status().message());
  REQUIRE(report.ok());
  Repaired result{*report, ""};
  for (const std::string& note : report->notes) result.notes += note + "\n";
  return result;
}

bool nothing_lost(const RepairReport& report) {
  return report.lost_lines == 0 && report.lost_keys == 0 && !report.lost_more;
}

std::string check_of(FaultEnv& env) {
  TestData data;
  return as_text(check_folder(env, "data", data.replay(), 16));
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "persistence/repair: S3 any byte of the only snapshot's header, and nothing comes twice") {
  FaultEnv before;
  const std::string expected = make_folder(before);
  REQUIRE(before.remove("data/kv.db.old").ok());
  const std::size_t header = before.contents("data/kv.db").find('\n');
  for (std::size_t at = 0; at < header; ++at) {
    const auto env = before.copy();
    env->contents("data/kv.db")[at] ^= 1;
    const Repaired repaired = repair(*env);
    INFO("byte " << at << "\n" << repaired.notes);
    REQUIRE(start_from(*env, with(Fsync::no)).digest == expected);
    CHECK(nothing_lost(repaired.report));
  }
}

TEST_CASE("persistence/repair: S4 a wrong value is not taken where the logs hold everything") {
  FaultEnv env;
  const std::string expected = make_young_folder(env);
  const std::string old = GENERATE("missing", "damaged");
  if (old == "missing") REQUIRE(env.remove("data/kv.db.old").ok());
  else env.contents("data/kv.db.old")[5] ^= 1;
  const auto [part, by] =
      GENERATE(std::pair("value1", "valuf1"), std::pair("# kv snap", "# kv snip"),
               std::pair("(\"key\" \"value1\")\n", ""));
  replace(env.contents("data/kv.db"), part, by);
  const Repaired repaired = repair(env);
  INFO(old << ", " << part << "\n" << repaired.notes);
  CHECK(start_from(env, with(Fsync::no)).digest == expected);
  CHECK(nothing_lost(repaired.report));
}

TEST_CASE("persistence/repair: S4 a snapshot whose checksum is wrong is not told to be right") {
  FaultEnv env;
  make_folder(env);
  REQUIRE(env.remove("data/kv.db.old").ok());
  replace(env.contents("data/kv.db"), "value1", "valuf1");
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_more);
  CHECK(has(repaired.notes, "what was read may be too"));
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  CHECK(server.data().get("counter") == "4");
  CHECK(server.data().get("after") == "1");
}

TEST_CASE("persistence/repair: S3 logs that may be older than the snapshot are not replayed") {
  FaultEnv env;
  make_folder(env);
  REQUIRE(env.remove("data/kv.db.old").ok());
  std::string& snapshot = env.contents("data/kv.db");
  const std::string header = GENERATE("# gone", "# kv snapsh0t 1, as of 1, chain 2, no log: 1");
  snapshot.replace(0, snapshot.find('\n'), header);
  replace(snapshot, "(\"key\" \"value1\")\n", "");
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_more);
  CHECK(repaired.report.lost_keys == 1);
  CHECK(has(repaired.notes, "logs that may be older are not replayed"));
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  Keyspace& keys = server.data().database(0);
  Place list = keys.peek("list", 0);
  CHECK(keys.list(list).size() == 3);
  // A log that lies beside a snapshot taken without one is older.
  const bool no_log = header != "# gone";
  CHECK(server.data().get("counter") == (no_log ? "3" : "4"));
  CHECK(has(repaired.notes, "\nkv.aof is not replayed") == no_log);
}

TEST_CASE("persistence/repair: S4 of a snapshot cut to nothing the logs are left, all of them") {
  FaultEnv env;
  make_folder(env);
  REQUIRE(env.remove("data/kv.db.old").ok());
  env.contents("data/kv.db").clear();
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_more);
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  CHECK(server.data().get("counter") == "4");
}

TEST_CASE("persistence/repair: S4 a key's line that is missing is counted by the trailer") {
  FaultEnv env;
  make_folder(env);
  REQUIRE(env.remove("data/kv.db.old").ok());
  std::string& snapshot = env.contents("data/kv.db");
  const bool trailer_too = GENERATE(false, true);
  replace(snapshot, "(\"key\" \"value1\")\n", "");
  if (trailer_too) snapshot.resize(snapshot.rfind("# kv end"));
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_keys == (trailer_too ? 0 : 1));
  CHECK(has(repaired.notes, "how many keys it held is not known") == trailer_too);
  CHECK(repaired.report.lost_more);
}

TEST_CASE("persistence/repair: D15 kv.aof is missed also where the snapshot's header is damaged") {
  FaultEnv env;
  make_folder(env);
  REQUIRE(env.remove("data/kv.db.old").ok());
  REQUIRE(env.remove("data/kv.aof").ok());
  env.contents("data/kv.db")[8] ^= 1;
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_more);
  CHECK(has(repaired.notes, "kv.aof is missing: what was written after "));
}

TEST_CASE(
    "persistence/repair: D4 a log that is empty, zeros or behind a mark of an editor is ours") {
  FaultEnv env;
  const bool young = GENERATE(false, true);
  young ? make_young_folder(env) : make_folder(env);
  std::string& log = env.contents("data/kv.aof");
  const int damage = GENERATE(0, 1, 2);
  if (damage == 0) log.clear();
  if (damage == 1) log.assign(log.size(), '\0');
  if (damage == 2) log.insert(0, "\xef\xbb\xbf");
  const Start start = start_from(*env.copy(), with(Fsync::no));
  INFO(start.status.message());
  CHECK(start.status.code() == Code::corrupt);
  CHECK(has(start.status.message(), damage == 0 ? "data/kv.aof is empty" : "data/kv.aof line 1: "));
  CHECK(has(start.status.message(), "; run: ./server --repair --dir data"));
  const std::string checked = check_of(env);
  INFO(checked);
  CHECK(has(checked, "kv.aof: log, no_header, "));
  CHECK_FALSE(has(checked, "picolisp-kv"));
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_more);
  CHECK_FALSE(has(repaired.notes, "picolisp-kv"));
  if (damage == 0) CHECK(has(repaired.notes, "kv.aof is empty: what was in it is lost"));
  if (damage == 1) CHECK(has(repaired.notes, "kv.aof holds no whole line: "));
  CHECK(start_from(env, with(Fsync::no)).status.ok());
}

TEST_CASE("persistence/repair: D20 the lost lines of a log of picolisp-kv are counted") {
  const auto line = [](int n) {
    return "(\"179516736" + std::to_string(n) + ".731108251\" 8854 (\"SET\" (\"s\" \"plain\")))\n";
  };
  FaultEnv env;
  env.put("data/kv.db", "(\"k\" \"v\")\n(5 \"five\")\n");
  env.put("data/kv.aof", line(1) + "(bad)\n" + line(3));
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_lines == 2);
  CHECK(repaired.report.lost_keys == 0);
  CHECK_FALSE(repaired.report.lost_more);
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  CHECK(server.data().get("s") == "plain");
  CHECK(server.data().get("k") == "v");
  CHECK(server.data().get("5") == "five");
}

TEST_CASE("persistence/repair: D20 an empty log beside picolisp-kv's snapshot is all well") {
  FaultEnv env;
  env.put("data/kv.db", "(\"k\" \"v\")\n");
  env.put("data/kv.aof", "");
  CHECK(has(check_of(env), "kv.aof: log of picolisp-kv, clean, 0 lines"));
  CHECK(start_from(env, with(Fsync::no)).status.ok());
}

TEST_CASE("persistence/repair: D20 what is restored from picolisp-kv is not in the logs alone") {
  FaultEnv env;
  env.put("before/kv.db", "(\"k\" \"value1\")\n");
  const ToolOptions restore{
      .verb = Verb::restore, .folder = "before", .until_ns = INT64_MAX - 1, .into = "data"};
  REQUIRE(run_tool(env, restore).exit_code == 0);
  replace(env.contents("data/kv.db"), "value1", "valuf1");
  const Repaired repaired = repair(env);
  INFO(repaired.notes);
  CHECK(repaired.report.lost_more);
  CHECK(repaired.report.keys == 1);
}

TEST_CASE("persistence/repair: S5 a long line of many heads takes no square of its length") {
  std::string bytes;
  append_sealed(bytes, 0, log_header_text({}));
  constexpr std::string_view head = "(\"1795983117.600000000\" 1234567890 (\"SET\" ";
  while (bytes.size() < 8'000'000) bytes += head;
  bytes += "\n";
  const std::int64_t before_ns = monotonic_ns();
  LogScan scan;
  CHECK(scan_log(
            bytes, [](const Record&, std::uint64_t) { return Status{}; }, scan)
            .ok());
  CHECK(scan.verdict == Verdict::corrupt_middle);
  CHECK(monotonic_ns() - before_ns < 2 * ns_per_second);
}

TEST_CASE("persistence/repair: what a check finds and a repair leaves alone, both say") {
  for (const std::string_view which : {"data/kv.aof.", "data/kv.db.old"}) {
    FaultEnv env;
    const std::string expected = make_folder(env);
    std::string path;
    for (const auto& [entry, node] : env.entries()) {
      if (entry.starts_with(which)) path = entry;
    }
    REQUIRE_FALSE(path.empty());
    std::string& bytes = env.contents(path);
    bytes[bytes.size() / 2] ^= 1;
    const std::string damaged = bytes;
    const std::string sentence = path.substr(5) + " is damaged, but no start needs it";
    const Output checked = run_tool(env, {.verb = Verb::check});
    CHECK(checked.exit_code == 1);
    CHECK(has(checked.out, sentence));
    const Output repaired = run_tool(env, {.verb = Verb::repair});
    CHECK(repaired.exit_code == 0);
    CHECK(has(repaired.out, "nothing to repair\n"));
    CHECK(has(repaired.out, sentence));
    CHECK(env.contents(path) == damaged);
    CHECK(start_from(env, with(Fsync::no)).digest == expected);
  }
  FaultEnv env;  // a log that a start mends is no such file
  make_folder(env);
  env.contents("data/kv.aof").back() ^= 1;
  const Output checked = run_tool(env, {.verb = Verb::check});
  CHECK(checked.exit_code == 1);
  CHECK_FALSE(has(checked.out, "no start needs it"));
}

TEST_CASE("persistence/repair: D8 a command that is not known is refused with what to do") {
  FaultEnv env;
  {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    CHECK(server.write({"FOO", "a"}).code() == Code::unsupported);
  }
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  INFO(start.status.message());
  CHECK(start.status.code() == Code::unsupported);
  CHECK(has(start.status.message(), "data/kv.aof line 2: unknown command; "));
  CHECK(has(start.status.message(), "run: ./server --reseal --dir data"));
}

namespace {

/// None where the damage makes a file look as if a newer kv had written it, which is refused.
std::optional<Repaired> repair_or_refuse(FaultEnv& env) {
  TestData data;
  const std::unique_ptr<FaultEnv> copy = env.copy();
  const Result<RepairReport> report =
      repair_folder(*copy, "data", SnapshotFormat::text, data.replay(), 16);
  if (report.status().code() == Code::unsupported) return {};
  return repair(env);
}

/// One damage of a kind that disks, editors and people do.
void damage(FaultEnv& env, std::mt19937_64& random) {
  std::vector<std::string> names;
  for (const auto& [path, node] : env.entries()) {
    if (path.starts_with("data/kv.") && !path.ends_with(".lock")) names.push_back(path);
  }
  const std::string& name = names.at(random() % names.size());
  std::string& bytes = env.contents(name);
  const std::size_t at = bytes.empty() ? 0 : random() % bytes.size();
  const std::size_t count = 1 + random() % 150;
  switch (random() % 8) {
    case 0: bytes.clear(); return;
    case 1: bytes.resize(at); return;
    case 2: bytes.erase(at, count); return;
    case 3:
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min(count, bytes.size() - at), '\0');
      return;
    case 4: static_cast<void>(env.remove(name)); return;
    case 5: bytes.insert(at, bytes.substr(random() % (at + 1), count)); return;
    default:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
  }
}

}  // namespace

TEST_CASE("persistence/repair: D7 after any damage all is there, or a loss is told") {
  std::mt19937_64 random(Catch::rngSeed());
  for (const std::string kind : {"young", "text", "binary"}) {
    FaultEnv before;
    const std::string expected =
        kind == "young"
            ? make_young_folder(before)
            : make_folder(before, kind == "text" ? SnapshotFormat::text : SnapshotFormat::binary);
    const std::string old = kind == "binary" ? "data/kv.bin.old" : "data/kv.db.old";
    for (int i = 0; i < 1000; ++i) {
      const auto env = before.copy();
      if (random() % 2 == 0) REQUIRE(env->remove(old).ok());
      for (std::uint64_t n = 1 + random() % 3; n > 0; --n) damage(*env, random);
      // Whole lines lost from the end look like lines that were never written: FORMAT.md says so.
      const std::string rest = env->has("data/kv.aof") ? env->contents("data/kv.aof") : "";
      const std::string& log = before.contents("data/kv.aof");
      if (rest != log && rest.ends_with('\n') && log.starts_with(rest)) continue;
      const auto damaged = env->copy();
      const std::optional<Repaired> repaired = repair_or_refuse(*env);
      if (!repaired) continue;
      const Start start = start_from(*env, with(Fsync::no));
      std::string was;
      for (const auto& [path, node] : damaged->entries()) was += path + "\n" + node->data + "\n";
      INFO(kind << " " << i << "\n" << repaired->notes << "was\n" << was);
      REQUIRE(start.status.ok());
      if (repaired->report.needed && nothing_lost(repaired->report))
        CHECK(start.digest == expected);
    }
  }
}

TEST_CASE("persistence/repair: D7 where lines left no trace, the loss is not told to be counted") {
  FaultEnv before;
  make_folder(before);
  TestServer server(before, with(Fsync::no));
  REQUIRE(server.start().ok());
  for (int i = 0; i < 8; ++i) REQUIRE(server.write({"INCR", "n"}).ok());
  const std::string& log = before.contents("data/kv.aof");
  std::vector<std::size_t> starts = {0};
  while (starts.back() < log.size()) starts.push_back(log.find('\n', starts.back()) + 1);
  for (std::size_t from = starts[3]; from < starts[4]; ++from) {
    const auto env = before.copy();  // bytes of four lines, from the middle of one to another's
    env->contents("data/kv.aof").erase(from, starts[6] - starts[3] + 5);
    const Repaired repaired = repair(*env);
    INFO("cut at " << from - starts[3] << "\n" << repaired.notes);
    CHECK(repaired.report.lost_more);
  }
  const auto zeros = before.copy();
  std::fill_n(zeros->contents("data/kv.aof").begin() + static_cast<int>(starts[3]) + 3, 100, '\0');
  CHECK(repair(*zeros).report.lost_more);
  for (std::size_t at = starts[3]; at < starts[4] - 1; ++at) {
    const auto env = before.copy();
    env->contents("data/kv.aof")[at] ^= 1;
    const Repaired repaired = repair(*env);
    INFO("byte " << at - starts[3] << "\n" << repaired.notes);
    CHECK(repaired.report.lost_lines >= 1);
    CHECK((repaired.report.lost_lines == 1 || repaired.report.lost_more));
    CHECK((repaired.report.lost_lines == 1) == !repaired.report.lost_more);
  }
}

}  // namespace kv::test
