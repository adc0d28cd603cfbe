// The verbs on a folder nobody serves, the files of picolisp-kv, and points in time.
#include <unistd.h>

#include <catch2/catch.hpp>

#include "libkv/wire/plio.hpp"
#include "persistence/json.hpp"
#include "tests/unit/persistence_fixture.hpp"
#include "tests/unit/persistence_run_tool.hpp"

namespace kv::test {
namespace {

void write_some(TestServer& server) {
  REQUIRE(server.write({"SET", "text", "a \"quoted\"\nline"}).ok());
  REQUIRE(server.write({"SET", "bytes", std::string("\x00\xff\x80", 3)}).ok());
  REQUIRE(server.write({"RPUSH", "list", "a", "", "c"}).ok());
  REQUIRE(server.write({"HSET", "hash", "f", "v", "\xff", "w"}, 2).ok());
  REQUIRE(server.write({"SET", "later", "x"}, 3).ok());
  REQUIRE(server.write({"EXPIREAT", "later", "4102444800000"}, 3).ok());
}

/// A folder with a snapshot, a finished log and a log.
std::string make_folder(FaultEnv& env, SnapshotFormat format = SnapshotFormat::text) {
  TestServer server(env, with(Fsync::no, format));
  REQUIRE(server.start().ok());
  write_some(server);
  REQUIRE(server.save().ok());
  for (int i = 0; i < 5; ++i) REQUIRE(server.write({"INCR", "counter"}).ok());
  env.settle();
  return server.digest();
}

std::string original_line(std::string_view time, const std::vector<Scalar>& args) {
  // (TIME HASH ("CMD" (args))), as picolisp-kv writes it; all arguments are strings here.
  std::string plio;
  PlioWriter writer(plio);
  REQUIRE(writer.open());
  REQUIRE(writer.value(args[0]));
  REQUIRE(writer.open());
  std::string text;
  for (std::size_t i = 1; i < args.size(); ++i) {
    REQUIRE(writer.value(args[i]));
    text += (i > 1 ? " \"" : "\"") + std::string(args[i].bytes) + "\"";
  }
  REQUIRE(writer.close());
  REQUIRE(writer.close());
  return "(\"" + std::string(time) + "\" " + std::to_string(plio_hash({plio, Kind::list})) +
         " (\"" + std::string(args[0].bytes) + "\" (" + text + ")))\n";
}

}  // namespace

TEST_CASE("persistence/tool: check of a good folder says so, as text and as JSON") {
  FaultEnv env;
  const std::string expected = make_folder(env);
  const Output text = run_tool(env, {.verb = Verb::check});
  INFO(text.out);
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("all is well") != std::string::npos);
  CHECK(text.out.find("5 lines replayed") != std::string::npos);
  CHECK(text.out.find(expected) != std::string::npos);
  const Output json = run_tool(env, {.verb = Verb::check, .json = true});
  CHECK(json.exit_code == 0);
  const Result<Json> report = read_json(json.out);
  REQUIRE(report.ok());
  CHECK(report->find("ok")->truth);
  CHECK(report->find("start")->find("digest")->text == expected);
  CHECK(report->find("start")->find("lines")->text == "5");
}

TEST_CASE("persistence/tool: check exits 1 for damage anywhere, also in files that only wait") {
  for (const char* name : {"kv.aof", "kv.db", "kv.db.old", "finished"}) {
    FaultEnv env;
    make_folder(env);
    std::string path = "data/" + std::string(name);
    for (const auto& [entry, node] : env.entries()) {
      if (std::string_view(name) == "finished" && entry.starts_with("data/kv.aof.")) path = entry;
    }
    std::string& bytes = env.contents(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    const Output checked = run_tool(env, {.verb = Verb::check});
    INFO(path << "\n" << checked.out);
    CHECK(checked.exit_code == 1);
    CHECK(checked.out.find("something is wrong") != std::string::npos);
  }
}

TEST_CASE("persistence/tool: repair keeps every whole line and the old files") {
  FaultEnv env;
  make_folder(env);
  std::string& log = env.contents("data/kv.aof");
  const std::string damaged_log = [&] {
    std::size_t at = 0;
    for (int i = 0; i < 3; ++i) at = log.find('\n', at) + 1;
    log[at + 40] = static_cast<char>(log[at + 40] ^ 1);  // the third INCR
    return log;
  }();
  CHECK_FALSE(start_from(*env.copy(), with(Fsync::no)).status.ok());
  const Output repaired = run_tool(env, {.verb = Verb::repair});
  INFO(repaired.out << repaired.err);
  CHECK(repaired.exit_code == 0);
  CHECK(repaired.out.find("1 lost (line 4)") != std::string::npos);
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  CHECK(server.data().get("counter") == "4");
  CHECK(server.data().get("text") == "a \"quoted\"\nline");
  bool kept = false;
  for (const auto& [path, node] : env.entries()) {
    if (path.find("before-repair-") != std::string::npos && path.ends_with("/kv.aof")) {
      kept = node->data == damaged_log;
    }
  }
  CHECK(kept);
  CHECK(run_tool(env, {.verb = Verb::check}).exit_code == 0);
}

TEST_CASE("persistence/tool: repair without the log says what is gone") {
  FaultEnv env;
  {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"SET", "kept", "1"}).ok());
    REQUIRE(server.save().ok());
    REQUIRE(server.write({"SET", "gone", "1"}).ok());
  }
  REQUIRE(env.remove("data/kv.aof").ok());
  const Output repaired = run_tool(env, {.verb = Verb::repair});
  INFO(repaired.out << repaired.err);
  CHECK(repaired.exit_code == 0);
  CHECK(repaired.out.find("kv.aof is missing: what was written after 2") != std::string::npos);
  CHECK(run_tool(env, {.verb = Verb::check}).exit_code == 0);
}

TEST_CASE("persistence/tool: repair of a damaged snapshot uses the one before and its log") {
  FaultEnv env;
  const std::string expected = make_folder(env);
  std::string& snapshot = env.contents("data/kv.db");
  snapshot[snapshot.size() / 2] = static_cast<char>(snapshot[snapshot.size() / 2] ^ 1);
  const Output repaired = run_tool(env, {.verb = Verb::repair});
  INFO(repaired.out << repaired.err);
  CHECK(repaired.exit_code == 0);
  CHECK(start_from(env, with(Fsync::no)).digest == expected);
}

TEST_CASE("persistence/tool: repair of a damaged snapshot with nothing before it saves its lines") {
  FaultEnv env;
  make_folder(env);
  std::erase_if(env.entries(), [](const auto& entry) {
    return entry.first == "data/kv.db.old" || entry.first.starts_with("data/kv.aof.");
  });
  std::string& snapshot = env.contents("data/kv.db");
  const std::size_t at = snapshot.find("(\"text\"");
  REQUIRE(at != std::string::npos);
  snapshot[at] = 'X';
  snapshot.insert(snapshot.rfind("# kv end"),
                  "(\"set\" (\"a\" \"b\") (type set))\n(\"twice\" (1 2 1) (type set))\n");
  const Output repaired = run_tool(env, {.verb = Verb::repair});
  INFO(repaired.out << repaired.err);
  CHECK(repaired.exit_code == 0);
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  CHECK(server.data().get("counter") == "5");
  CHECK(server.data().get("text") == "(none)");
  CHECK(server.data().get("later", 3) == "x");
  Keyspace& keys = server.data().database(0);
  Place set = keys.peek("set", 0);
  CHECK(keys.set(set).size() == 2);
  CHECK(!keys.peek("twice", 0).found());  // nor a part of it
}

TEST_CASE("persistence/tool: repair is killed at every call, and nothing is worse than before") {
  FaultEnv before;
  make_folder(before);
  std::string& log = before.contents("data/kv.aof");
  const std::size_t second = log.find('\n', log.find('\n') + 1) + 1;
  log[second + 40] = static_cast<char>(log[second + 40] ^ 1);
  before.settle();
  for (std::uint64_t n = 1;; ++n) {
    const std::unique_ptr<FaultEnv> env = before.copy();
    env->fault = Fault::die_halfway;
    env->fault_at = n;
    static_cast<void>(run_tool(*env, {.verb = Verb::repair}));
    const bool done = !env->dead;
    env->restart();
    const Output again = run_tool(*env, {.verb = Verb::repair});
    INFO("killed at call " << n << "\n" << again.out << again.err);
    CHECK(again.exit_code == 0);
    TestServer server(*env, with(Fsync::no));
    REQUIRE(server.start().ok());
    CHECK(server.data().get("counter") == "4");
    if (done) break;
  }
}

namespace {

void change_a_byte(FaultEnv& env, const std::string& path, std::size_t at) {
  std::string& bytes = env.contents(path);
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
}

std::vector<std::string> data_files(FaultEnv& env) {
  std::vector<std::string> names = *env.list("data");
  std::erase_if(names, [](const std::string& name) { return name.starts_with("before-"); });
  return names;
}

}  // namespace

TEST_CASE("persistence/tool: a repair that did not end comes to the same end the next time") {
  const SnapshotFormat format = GENERATE(SnapshotFormat::text, SnapshotFormat::binary);
  const Fault fault = GENERATE(Fault::die, Fault::error);
  const std::string snapshot = "data/" + std::string(snapshot_name(format));
  const std::string damage = GENERATE("snapshot", "its header", "log's header", "both");
  const SnapshotFormat into = GENERATE(SnapshotFormat::text, SnapshotFormat::binary);
  FaultEnv before;
  make_folder(before, format);
  const std::size_t middle = before.contents(snapshot).size() / 2;
  if (damage == "snapshot" || damage == "both") change_a_byte(before, snapshot, middle);
  if (damage == "its header") change_a_byte(before, snapshot, 20);
  if (damage == "log's header" || damage == "both") change_a_byte(before, "data/kv.aof", 20);
  before.settle();
  const auto undisturbed = before.copy();
  REQUIRE(run_tool(*undisturbed, {.verb = Verb::repair, .format = into}).exit_code == 0);
  const std::string expected = start_from(*undisturbed, with(Fsync::no)).digest;
  REQUIRE_FALSE(expected.empty());
  for (std::uint64_t n = 1;; ++n) {
    const std::unique_ptr<FaultEnv> env = before.copy();
    env->fault = fault;
    env->fault_at = n;
    static_cast<void>(run_tool(*env, {.verb = Verb::repair, .format = into}));
    const bool done = env->calls < n;
    const std::string call = done ? "none" : env->trace[n - 1];
    env->restart();
    const Output again = run_tool(*env, {.verb = Verb::repair, .format = into});
    INFO("damaged: " << damage << ", stopped at " << call << "\n" << again.out << again.err);
    REQUIRE(again.exit_code == 0);
    CHECK(data_files(*env) == data_files(*undisturbed));
    CHECK(run_tool(*env, {.verb = Verb::check}).exit_code == 0);
    CHECK(start_from(*env, with(Fsync::no)).digest == expected);
    if (done) break;
  }
}

TEST_CASE(
    "persistence/tool: a load or repair that is killed twice leaves what a server starts from") {
  const Verb again = GENERATE(Verb::load, Verb::repair);
  FaultEnv before;
  const std::string old_data = make_folder(before);
  before.put("dump", "(\"loaded\" \"1\")\n");
  const auto loaded = before.copy();
  REQUIRE(run_tool(*loaded, {.verb = Verb::load, .file = "dump"}).exit_code == 0);
  const std::string new_data = start_from(*loaded, with(Fsync::no)).digest;
  bool killed = true;
  for (std::uint64_t n = 1; killed; ++n) {
    const std::unique_ptr<FaultEnv> once = before.copy();
    once->fault = Fault::die;
    once->fault_at = n;
    static_cast<void>(run_tool(*once, {.verb = Verb::load, .file = "dump"}));
    killed = once->dead;
    once->power_failure();
    bool killed_again = true;
    for (std::uint64_t m = 1; killed_again; ++m) {
      const std::unique_ptr<FaultEnv> env = once->copy();
      env->fault = Fault::die;
      env->fault_at = m;
      static_cast<void>(run_tool(*env, {.verb = again, .file = "dump"}));
      killed_again = env->dead;
      env->power_failure();
      const Start start = start_from(*env, with(Fsync::no));
      INFO("killed at call " << n << ", then at call " << m << ": " << start.status.message());
      REQUIRE(start.status.ok());
      CHECK((start.digest == old_data || start.digest == new_data));
    }
  }
}

TEST_CASE("persistence/tool: repair says where the loss cannot be counted") {
  FaultEnv env;
  make_folder(env, SnapshotFormat::binary);
  std::erase_if(env.entries(), [](const auto& entry) {
    return entry.first == "data/kv.bin.old" || entry.first.starts_with("data/kv.aof.");
  });
  change_a_byte(env, "data/kv.bin", 60);
  const Output given_up = run_tool(env, {.verb = Verb::repair});
  INFO(given_up.out);
  CHECK(given_up.out.find("0 keys, and what cannot be counted") != std::string::npos);
  FaultEnv counted;
  make_folder(counted, SnapshotFormat::binary);
  change_a_byte(counted, "data/kv.bin", 60);
  const Output whole = run_tool(counted, {.verb = Verb::repair});
  CHECK(whole.out.find("lost: 0 lines of logs, 0 keys\n") != std::string::npos);
}

TEST_CASE("persistence/tool: a file that cannot be read ends the repair, and nothing is changed") {
  const int error = GENERATE(EACCES, EIO, ENOMEM, EMFILE);
  for (const char* damaged : {"none", "data/kv.db", "data/kv.aof"}) {
    FaultEnv env;
    make_folder(env);
    if (env.has(damaged)) env.contents(damaged)[5] ^= 1;
    std::vector<std::string> names;
    for (const auto& [path, node] : env.entries()) {
      if (path.starts_with("data/kv.") && path != damaged) names.push_back(path);
    }
    for (const std::string& name : names) {
      if (name.ends_with(".old") && std::string_view(damaged) == "none") continue;  // not needed
      const auto copy = env.copy();
      copy->unreadable[name] = error;
      const Output repaired = run_tool(*copy, {.verb = Verb::repair});
      INFO(name << " beside damaged " << damaged << "\n" << repaired.out << repaired.err);
      CHECK(repaired.exit_code == 1);
      CHECK(repaired.err.find("cannot map " + name) != std::string::npos);
      REQUIRE(copy->entries().size() == env.entries().size());
      for (const auto& [path, node] : env.entries()) {
        CHECK(copy->contents(path) == node->data);
      }
    }
  }
}

TEST_CASE("persistence/tool: reseal names a line of kv.db it cannot read, and changes nothing") {
  const std::string edit = GENERATE(
      "(\"a\" \"b\n", "(\"a\" \"b\"\n", "(\"a\" `(x))\n", "(a)\n", "x\n", "(\"a\" \"b\") c\n",
      "(\"text\" \"again\")\n", "(\"list\" (\"again\"))\n", "(\"a\" \"b\") (\"c\" \"d\")\n",
      "(\"set\" (\"a\" \"b\" \"a\") (type set))\n", "(\"set\" \"a\" (type set))\n",
      "(\"z\" ((\"a\" . \"1\") (\"a\" . \"2\")) (type zset))\n",
      "(\"z\" ((\"a\" . \"x\")) (type zset))\n", "(\"z\" ((\"a\" . \"nan\")) (type zset))\n",
      "(\"z\" ((\"a\")) (type zset))\n", "(\"z\" (\"a\" \"1\") (type zset))\n");
  FaultEnv env;
  make_folder(env);
  std::string& snapshot = env.contents("data/kv.db");
  const std::size_t trailer = snapshot.rfind("# kv end");
  const auto line = 1 + std::count(snapshot.begin(),
                                   snapshot.begin() + static_cast<std::ptrdiff_t>(trailer), '\n');
  snapshot.insert(trailer, edit);
  const auto before = env.copy();
  const Output resealed = run_tool(env, {.verb = Verb::reseal});
  INFO(edit << resealed.out << resealed.err);
  CHECK(resealed.exit_code == 1);
  CHECK(resealed.err.find("data/kv.db line " + std::to_string(line) + ": ") != std::string::npos);
  REQUIRE(env.entries().size() == before->entries().size());
  CHECK(env.contents("data/kv.db") == before->contents("data/kv.db"));
  CHECK(env.contents("data/kv.aof") == before->contents("data/kv.aof"));
}

TEST_CASE("persistence/tool: a dump in any form gives the data back") {
  FaultEnv env;
  const std::string expected = make_folder(env);
  for (const char* form : {"text", "json", "resp"}) {
    const Output dumped = run_tool(env, {.verb = Verb::dump, .dump_form = form});
    INFO(form << "\n" << dumped.out << dumped.err);
    REQUIRE(dumped.exit_code == 0);
    if (std::string_view(form) == "resp") continue;  // needs all commands: see the shell test
    FaultEnv other;
    other.put("dump", dumped.out);
    for (int twice = 0; twice < 2; ++twice) {
      const Output loaded = run_tool(other, {.verb = Verb::load, .file = "dump"});
      INFO(loaded.err);
      REQUIRE(loaded.exit_code == 0);
      const Start start = start_from(other, with(Fsync::no));
      INFO(start.status.message());
      CHECK(start.digest == expected);
    }
  }
}

TEST_CASE("persistence/tool: a bad line of a load is named, and nothing is changed") {
  FaultEnv env;
  make_folder(env);
  for (const char* bad :
       {"{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\n", "(\"a\" \"b\")\n(\"c\" `(x))\n",
        "(\"a\" \"b\")\n(\"c\" (1 1) (type set))\n",
        "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"c\",\"type\":\"set\",\"value\":[1,1]}\n",
        "(\"a\" \"b\")\n(\"c\" ((1 . \"x\")) (type zset))\n",
        "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"c\",\"type\":\"zset\",\"value\":[[1,\"x\"]]}"
        "\n",
        "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"c\",\"type\":\"zset\",\"value\":[[1,2],[1,3]]}"
        "\n",
        "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"c\",\"type\":\"set\",\"value\":[]}\n"}) {
    env.put("bad", bad);
    const auto before = env.copy();
    const Output loaded = run_tool(env, {.verb = Verb::load, .file = "bad"});
    INFO(loaded.err);
    CHECK(loaded.exit_code == 1);
    CHECK(loaded.err.find("line 2") != std::string::npos);
    CHECK(env.contents("data/kv.db") == before->contents("data/kv.db"));
    CHECK(env.contents("data/kv.aof") == before->contents("data/kv.aof"));
  }
  env.put("rdb", "REDIS0011");
  CHECK(run_tool(env, {.verb = Verb::load, .file = "rdb"}).err.find("RDB") != std::string::npos);
}

TEST_CASE("persistence/tool: a load takes the transactions of a Redis log") {
  FaultEnv env;
  make_folder(env);
  const auto before = env.copy();
  env.put("half", "SET half 1\r\nMULTI\r\nINCR half\r\n");
  const Output refused = run_tool(env, {.verb = Verb::load, .file = "half"});
  CHECK(refused.exit_code == 1);
  CHECK(refused.err.find("byte 12: this MULTI has no EXEC") != std::string::npos);
  CHECK(env.contents("data/kv.db") == before->contents("data/kv.db"));
  env.put("whole",
          "*1\r\n$5\r\nMULTI\r\nSET t 1\r\nSELECT 2\r\nSET u 2\r\n*1\r\n$4\r\nEXEC\r\nSET v 3\r\n");
  const Output loaded = run_tool(env, {.verb = Verb::load, .file = "whole"});
  CHECK(loaded.err.empty());
  CHECK(loaded.exit_code == 0);
  CHECK(loaded.out.find("loaded 3 entries") != std::string::npos);
}

TEST_CASE("persistence/tool: --until gives the state of every moment, across saves") {
  FaultEnv env;
  PersistenceSettings settings = with(Fsync::no);
  settings.keep_logs = 100;
  TestServer server(env, settings);
  REQUIRE(server.start().ok());
  const std::int64_t t0 = 1'700'000'000'000'000'000;
  for (int i = 1; i <= 9; ++i) {
    REQUIRE(server.write({"INCR", "counter"}, 0, t0 + i * ns_per_second).ok());
    if (i % 3 == 0) REQUIRE(server.save().ok());
  }
  for (int i = 1; i <= 9; ++i) {
    const std::string into = "into" + std::to_string(i);
    const Output restored = run_tool(
        env, {.verb = Verb::restore, .until_ns = t0 + i * ns_per_second + 5, .into = into});
    INFO(i << restored.out << restored.err);
    REQUIRE(restored.exit_code == 0);
    PersistenceSettings there = with(Fsync::no);
    there.folder = into;
    TestServer other(env, there);
    REQUIRE(other.start().ok());
    CHECK(other.data().get("counter") == std::to_string(i));
    REQUIRE(other.write({"INCR", "counter"}).ok());
  }
  CHECK(run_tool(env, {.verb = Verb::restore, .until_ns = t0, .into = "data"}).exit_code == 2);
}

TEST_CASE("persistence: picolisp-kv's files are read, and taken over once there is a log") {
  FaultEnv env;
  env.put("data/kv.db", "(\"m2\" \"2\")\n(\"esc\" \"^[[0m^?^A\")\n(5 \"intkey\")\n");
  env.put("data/kv.aof", original_line("1795167368.731108251", {"SET", "s", "plain"}) +
                             original_line("1795167368.731108252", {"INCR", "counter"}));
  PersistenceSettings no_log = with(Fsync::no);
  no_log.log = false;
  const std::string original_log = env.contents("data/kv.aof");
  {
    TestServer server(env, no_log);
    const Status started = server.start();
    INFO(started.message());
    REQUIRE(started.ok());
    CHECK(server.data().get("m2") == "2");
    CHECK(server.data().get("esc") == "\x1b[0m\x7f\x01");
    CHECK(server.data().get("5") == "intkey");
    CHECK(server.data().get("s") == "plain");
    CHECK(server.data().get("counter") == "1");
    CHECK(env.contents("data/kv.aof") == original_log);
  }
  // Killed at every call while they are taken over: the same data, nothing twice.
  for (std::uint64_t n = 1;; ++n) {
    const std::unique_ptr<FaultEnv> copy = env.copy();
    copy->fault = Fault::die_halfway;
    copy->fault_at = n;
    static_cast<void>(start_from(*copy, with(Fsync::always)).status.ok());
    const bool done = !copy->dead;
    done ? copy->restart() : copy->power_failure();
    TestServer server(*copy, with(Fsync::always));
    const Status started = server.start();
    INFO("killed at call " << n << ": " << started.message());
    REQUIRE(started.ok());
    CHECK(server.data().get("counter") == "1");
    CHECK(server.data().get("m2") == "2");
    if (!done) continue;
    CHECK(copy->contents("data/kv.aof.old") == original_log);
    CHECK(copy->contents("data/kv.aof").starts_with("# kv log 1"));
    copy->restart();
    copy->put("dump", "(\"loaded\" \"1\")\n");
    REQUIRE(run_tool(*copy, {.verb = Verb::load, .file = "dump"}).exit_code == 0);
    CHECK(copy->contents("data/kv.aof.old") == original_log);  // not a log without a line
    break;
  }
}

TEST_CASE("persistence: picolisp-kv's log with a wrong hash or a read-macro is refused") {
  const std::string good = original_line("1795167368.731108251", {"SET", "s", "plain"});
  for (const std::string& bad :
       {std::string("(\"1795167368.731108251\" 8855 (\"SET\" (\"s\" \"plain\")))\n"),
        std::string("(\"1795167368.731108251\" 8854 (\"SET\" (\"s\" `(bye))))\n")}) {
    FaultEnv env;
    env.put("data/kv.aof", bad + good);
    const Start start = start_from(env, with(Fsync::no));
    INFO(start.status.message());
    REQUIRE_FALSE(start.status.ok());
    CHECK(start.status.message().find("line 1") != std::string::npos);
    CHECK(env.contents("data/kv.aof") == bad + good);
  }
  // The hash of the README's and of our own reckoning agree.
  CHECK(good.find(" 8854 ") != std::string::npos);
  FaultEnv env;
  env.put("data/kv.aof", good + good.substr(0, 30));
  const Start torn = start_from(env, with(Fsync::no));
  CHECK(torn.status.ok());
  CHECK(torn.lines == 1);
}

TEST_CASE("persistence/json: what is written is read back, bounds hold") {
  JsonWriter json;
  json.begin_array();
  json.string("a\"\\\n\x01\x7f\xc3\xa9");
  json.number("-12");
  json.null();
  json.boolean(true);
  json.begin_object();
  json.member("k", "v");
  json.end_object();
  json.end_array();
  const Result<Json> back = read_json(json.text());
  REQUIRE(back.ok());
  REQUIRE(back->elements.size() == 5);
  CHECK(back->elements[0].text == "a\"\\\n\x01\x7f\xc3\xa9");
  CHECK(back->elements[1].text == "-12");
  CHECK(back->elements[4].find("k")->text == "v");
  CHECK(read_json("\"\\ud83d\\ude00\"")->text == "\xf0\x9f\x98\x80");
  for (const char* bad : {"", "[", "[1,]", "{\"a\"}", "\"\\ud83d\"", "nul", "1 2", "\"a", "+-1"}) {
    INFO(bad);
    CHECK_FALSE(read_json(bad).ok());
  }
  CHECK_FALSE(read_json(std::string(100'000, '[')).ok());
  for (const std::string& bytes : {std::string(), std::string("a"), std::string("ab"),
                                   std::string("abc"), std::string("\x00\xff\x80\x01", 4)}) {
    std::string decoded;
    CHECK(from_base64(to_base64(bytes), decoded));
    CHECK(decoded == bytes);
  }
  std::string unused;
  CHECK_FALSE(from_base64("ab=c", unused));
}

}  // namespace kv::test
