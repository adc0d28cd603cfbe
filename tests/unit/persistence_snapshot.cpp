// Snapshots in both forms: what goes in comes out, damage is refused, nothing is believed before it
// is checked (S4, S5, S6, S11).
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "persistence/binary_form.hpp"
#include "persistence/check.hpp"
#include "persistence/checksum.hpp"
#include "persistence/repair.hpp"
#include "persistence/snapshot.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

constexpr SnapshotFormat forms[] = {SnapshotFormat::text, SnapshotFormat::binary};

/// Scores of every size, members of every kind.
void fill_sorted_sets(Keyspace& keys) {
  for (const char* name : {"zset", "long zset"}) {
    Place place = keys.peek(name, 0);
    SortedSet members = keys.make_sorted_set(place);
    members.set("half", 0.5);
    members.set("third", 1.0 / 3);
    members.set("least", 5e-324);
    members.set("most", 1.7976931348623157e308);
    members.set("first", -std::numeric_limits<double>::infinity());
    members.set("last", std::numeric_limits<double>::infinity());
    members.set({"7", Kind::number}, 7);
    members.set({"", Kind::nil}, -1e-7);
    members.set({"\x01\x06\x61\x02\x06\x62", Kind::list}, 1.2345678901234568e17);
    members.set({std::string_view("\x01\x15quote\x04\x02\x03", 10), Kind::list}, 0);
    if (std::string_view(name) != "long zset") continue;
    for (int i = 0; i < 20'000; ++i) members.set(Scalar(std::to_string(i + 10)), i % 1000);
  }
}

/// Every type, kind, size and item.
void fill(TestData& data) {
  std::string all_bytes;
  for (int c = 0; c < 256; ++c) all_bytes.push_back(static_cast<char>(c));
  Keyspace& keys = data.database(0);
  const auto set = [&](std::string_view key, const Scalar& value) {
    Place place = keys.peek(key, 0);
    keys.set_string(place, value);
  };
  set("", "empty key");
  set("empty", "");
  set("plain", "value");
  set(all_bytes, Scalar(all_bytes));
  set("number", {"-17", Kind::number});
  set("big", {"1180591620717411303424", Kind::number});
  set("symbol", {"foo", Kind::symbol});
  set("a list as a string", {std::string_view("\x01\x06\x61\x04\x02\x03", 6), Kind::list});
  // ((a . b)) as a string: looks like a hash, and is none.
  set("pairs as a string", {std::string_view("\x01\x01\x06\x61\x02\x06\x62\x03", 8), Kind::list});
  // ("a" . "b"), ((1) . "b") and (1 2 . T): what PLIO's SET keeps as a string.
  set("a pair as a string", {std::string_view("\x01\x06\x61\x02\x06\x62", 6), Kind::list});
  set("a list and a dot", {std::string_view("\x01\x01\x04\x02\x03\x02\x06\x62", 8), Kind::list});
  set("two and a dot", {std::string_view("\x01\x04\x02\x04\x04\x02\x05T", 8), Kind::list});
  set("large", Scalar(std::string(700'000, 'L')));
  const std::string_view pair("\x01\x06\x61\x02\x06\x62", 6);     // ("a" . "b")
  const std::string_view quote("\x01\x15quote\x04\x02\x03", 10);  // (quote 1)
  for (const char* name : {"list", "list of lists", "long list"}) {
    Place place = keys.peek(name, 0);
    List list = keys.make_list(place);
    if (std::string_view(name) != "list") list.push_back({pair, Kind::list});
    list.push_back("one");
    list.push_back({"2", Kind::number});
    list.push_back({"", Kind::nil});
    list.push_back({quote, Kind::list});
    if (std::string_view(name) != "long list") continue;
    for (int i = 0; i < 20'000; ++i) list.push_back(Scalar(std::to_string(i)));
  }
  for (const char* name : {"hash", "long hash"}) {
    Place place = keys.peek(name, 0);
    Hash hash = keys.make_hash(place);
    hash.set("f", "v");
    hash.set({"7", Kind::number}, {"8", Kind::number});
    hash.set("nil", {"", Kind::nil});
    hash.set("empty", "");
    hash.set("list", {pair, Kind::list});
    hash.set("quote", {quote, Kind::list});
    if (std::string_view(name) != "long hash") continue;
    for (int i = 0; i < 20'000; ++i) hash.set(Scalar(std::to_string(i)), "x");
  }
  for (const char* name : {"set", "set of lists", "long set"}) {
    Place place = keys.peek(name, 0);
    Set members = keys.make_set(place);
    if (std::string_view(name) == "set of lists") members.add({pair, Kind::list});
    members.add("m");
    members.add({"7", Kind::number});
    members.add({"", Kind::nil});
    members.add({quote, Kind::list});
    if (std::string_view(name) != "long set") continue;
    for (int i = 0; i < 20'000; ++i) members.add(Scalar(std::to_string(i)));
    for (int i = 0; i < 9000; ++i) members.erase(std::to_string(i * 2));
  }
  fill_sorted_sets(keys);
  Place place = data.database(5).peek("elsewhere", 0);
  data.database(5).set_string(place, "db 5");
  data.database(5).set_expiry(place, 4'102'444'800'123);
}

/// Everything of a keyspace, kinds and expiries included, as text lines in a stable order.
std::vector<std::string> lines_of(TestData& data) {
  std::vector<std::string> lines;
  for (unsigned n = 0; n < 16; ++n) {
    data.database(n).for_each([&](const Keyspace::Item& item) {
      append_key_line(lines.emplace_back(), data.database(n), item, n);
      return true;
    });
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string snapshot_of(TestData& data, SnapshotFormat form, const LogPosition& as_of = {},
                        bool log_follows = true) {
  FaultEnv env;
  SaveJob job;
  job.folder = "data";
  job.format = form;
  job.as_of_ns = as_of.time_ns;
  job.chain = as_of.chain;
  job.log_follows = log_follows;
  REQUIRE(job.run(env, data.pointers()).ok());
  return env.contents("data/" + job.file_name());
}

Status load(const std::string& bytes, SnapshotFormat form, TestData& data) {
  SnapshotLoad load;
  return load_snapshot(bytes, form, "kv", data.replay(), load);
}

TestData& small_data() {
  static TestData data;
  if (data.keys() == 0) {
    for (const char* name : {"a", "b", "c"}) {
      REQUIRE(data.apply(1, 0, std::vector<Scalar>{"SET", name, "v"}).ok());
    }
    REQUIRE(data.apply(1, 3, std::vector<Scalar>{"RPUSH", "l", "1", "2"}).ok());
    REQUIRE(data.apply(1, 0, std::vector<Scalar>{"HSET", "h", "f", "g"}).ok());
    Place place = data.database(2).peek("s", 0);
    data.database(2).make_set(place).add("m");
    data.database(2).make_set(place).add("n");
  }
  return data;
}

}  // namespace

TEST_CASE("persistence: S7 S11 both forms give back every key, kind, expiry and database") {
  TestData data;
  fill(data);
  for (const SnapshotFormat form : forms) {
    INFO(snapshot_name(form));
    const std::string bytes = snapshot_of(data, form);
    TestData loaded;
    const Status status = load(bytes, form, loaded);
    INFO(status.message());
    REQUIRE(status.ok());
    CHECK(loaded.digest() == data.digest());
    // Text lines of hashes, lists and sets show order and kinds, which the digest leaves out.
    TestData again;
    REQUIRE(load(snapshot_of(loaded, form), form, again).ok());
    CHECK(lines_of(again) == lines_of(loaded));
    std::vector<std::string> before = lines_of(data), after = lines_of(loaded);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i].size() < 1000 || before[i].starts_with("(\"long set\"") ||
          before[i].starts_with("(\"long zset\"")) {
        CHECK(before[i] == after[i]);
      }
    }
  }
}

TEST_CASE("persistence: S4 a snapshot cut at every byte is refused") {
  for (const SnapshotFormat form : forms) {
    const std::string bytes = snapshot_of(small_data(), form);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      FaultEnv env;
      std::string log;
      append_sealed(log, 0, log_header_text({}));
      env.put("data/kv.aof", log);
      env.put("data/" + std::string(snapshot_name(form)), bytes.substr(0, size));
      INFO(snapshot_name(form) << " cut at " << size);
      const Start start = start_from(env, with(Fsync::no));
      CHECK_FALSE(start.status.ok());
    }
  }
}

TEST_CASE("persistence: S4 an empty file is refused where a snapshot of kv was, and told by name") {
  for (const SnapshotFormat form : forms) {
    const std::string name = "data/" + std::string(snapshot_name(form));
    for (const bool with_log : {true, false}) {
      FaultEnv env;
      TestServer server(env, with(Fsync::no, form));
      REQUIRE(server.start().ok());
      REQUIRE(server.write({"INCR", "counter"}).ok());
      REQUIRE(server.save().ok());
      env.restart();
      env.contents(name).clear();
      if (!with_log) {
        for (const auto& [path, node] : FaultEnv::Entries(env.entries())) {
          if (path.starts_with("data/kv.aof")) REQUIRE(env.remove(path).ok());
        }
      }
      const Start start = start_from(env, with(Fsync::no, form));
      INFO(start.status.message());
      CHECK(start.status.message().find(name + " is empty") == 0);
    }
    // picolisp-kv's empty database is such a file.
    FaultEnv env;
    env.put(name, "");
    CHECK(start_from(env, with(Fsync::no, form)).status.ok());
  }
}

TEST_CASE("persistence: S4 every bit of a snapshot flipped is refused") {
  for (const SnapshotFormat form : forms) {
    const std::string bytes = snapshot_of(small_data(), form);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      INFO(snapshot_name(form) << " bit " << bit % 8 << " of byte " << bit / 8);
      TestData data;
      const Result<SnapshotHeader> header = read_snapshot_header(damaged, form, "kv");
      if (!header) continue;
      if (header->version == 0) {
        // No longer looks like ours: then it must not read as picolisp-kv's either.
        FaultEnv env;
        env.put("data/" + std::string(snapshot_name(form)), damaged);
        PersistenceSettings without_log = with(Fsync::no);
        without_log.log = false;
        CHECK_FALSE(start_from(env, without_log).status.ok());
        CHECK_FALSE(start_from(env, with(Fsync::no)).status.ok());
        continue;
      }
      CHECK_FALSE(load(damaged, form, data).ok());
    }
  }
}

TEST_CASE("persistence: S4 a damaged kv.db names the line, where it can be known") {
  const std::string good = snapshot_of(small_data(), SnapshotFormat::text);
  const auto why = [](const std::string& bytes) {
    FaultEnv env;
    std::string log;
    append_sealed(log, 0, log_header_text({}));
    env.put("data/kv.aof", log);
    env.put("data/kv.db", bytes);
    const Start start = start_from(env, with(Fsync::no));
    CHECK(start.status.code() == Code::corrupt);
    CHECK(start.status.message().find("would be lost; run: ./server --repair --dir data") !=
          std::string::npos);
    return start.status.message();
  };
  std::vector<std::size_t> starts = {0};
  while (starts.back() < good.size()) starts.push_back(good.find('\n', starts.back()) + 1);
  for (std::size_t line = 2; line < starts.size() - 1; ++line) {
    // Any one byte of a line of data changed: this line is named.
    for (std::size_t at = starts[line - 1]; at < starts[line] - 1; ++at) {
      std::string damaged = good;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x15);
      const std::string message = why(damaged);
      INFO(message);
      CHECK(message.starts_with("data/kv.db line " + std::to_string(line) + " (byte " +
                                std::to_string(starts[line - 1]) + "): "));
    }
    const std::string lost = why(good.substr(0, starts[line - 1]) + good.substr(starts[line]));
    CHECK(lost.find("the trailer counts 6 keys and the file holds 5") != std::string::npos);
  }
  std::string swapped = good.substr(0, starts[1]) + good.substr(starts[2], starts[3] - starts[2]) +
                        good.substr(starts[1], starts[2] - starts[1]) + good.substr(starts[3]);
  CHECK(why(swapped).find("though every line can be read") != std::string::npos);
  CHECK(why(good.substr(0, starts[3])).find("data/kv.db line 3 ") == 0);
  CHECK(why("# kv snapshot 9" + good.substr(15)).find("data/kv.db line 1: ") == 0);
}

TEST_CASE("persistence: S4 other content under the name, and a newer version") {
  for (const SnapshotFormat form : forms) {
    for (const std::string& bytes :
         {std::string(1, '\0'), std::string("GIF89a"), std::string(5000, '\xff'),
          std::string("(\"a\" . 1)\n"), std::string("NIL\n")}) {
      FaultEnv env;
      env.put("data/" + std::string(snapshot_name(form)), bytes);
      CHECK_FALSE(start_from(env, with(Fsync::no)).status.ok());
    }
  }
  std::string newer;
  append_sealed(newer, 0, "snapshot 2, as of nothing");
  const Result<SnapshotHeader> header = read_snapshot_header(newer, SnapshotFormat::text, "kv.db");
  CHECK(header.status().code() == Code::unsupported);
  // A newer kv can read it, so nobody is told to repair it.
  FaultEnv env;
  env.put("data/kv.db", newer);
  const Start start = start_from(env, with(Fsync::no));
  CHECK(start.status.code() == Code::unsupported);
  CHECK(start.status.message().find("data/kv.db has version 2") == 0);
  CHECK(start.status.message().find("--repair") == std::string::npos);
}

namespace {

using namespace binary_form;  // NOLINT: this file makes its own blocks

/// A kv.bin of one block with right checksums, so that only the lengths can be refused.
std::string binary_file(BlockHead block, std::string_view content) {
  FileHead head{};
  std::memcpy(head.magic_bytes, magic.data(), magic.size());
  head.version = 1;
  head.flags = 1;
  head.checksum = crc32(bytes_of(head).substr(0, offsetof(FileHead, checksum)));
  block.checksum = block_checksum(block, content, head.checksum);
  BlockHead end{Method::end, 0, block.items, 0, 0};
  end.checksum = block_checksum(end, {}, block.checksum);
  std::string file(bytes_of(head));
  file.append(bytes_of(block)).append(content).append(bytes_of(end));
  return file;
}

std::string item(std::string_view key, std::string_view value_bytes) {
  std::string out;
  out.push_back(1);  // a string
  out.push_back(static_cast<char>(key.size()));
  out.append(key);
  return out.append(value_bytes);
}

}  // namespace

TEST_CASE("persistence: S5 lengths that lie are refused before memory is asked for") {
  const auto refused = [](const std::string& file) {
    TestData data;
    const Status status = load(file, SnapshotFormat::binary, data);
    INFO(status.message());
    CHECK(status.code() == Code::corrupt);
    return status.message();
  };
  const auto stored = [](const std::string& content, std::uint32_t items = 1) {
    const auto size = static_cast<std::uint32_t>(content.size());
    return binary_file({Method::stored, items, size, size, 0}, content);
  };
  const std::string kind_string(1, '\0');
  // The good one first, or the others prove nothing.
  TestData data;
  REQUIRE(load(stored(item("k", kind_string + "\x01v")), SnapshotFormat::binary, data).ok());
  for (const std::string& length : {std::string("\xff\xff\xff\xff\xff", 5),
                                    std::string("\xff\x00\x00\x00\x80", 5), std::string("\xfe")}) {
    refused(stored(item("k", kind_string + length + "v")));
  }
  // Counts of a list, a hash and both kinds of sets.
  for (const char type : {'\x02', '\x03', '\x20', '\x21'}) {
    std::string list(1, type);
    list += "\x01k";
    refused(stored(list + std::string("\xff\xff\xff\xff", 4)));
    refused(stored(list + std::string(4, '\0')));
  }
  const std::string set_of_two("\x20\x01k\x02\0\0\0\0\x01x", 10);
  TestData other;
  REQUIRE(load(stored(set_of_two + std::string("\0\x01y", 3)), SnapshotFormat::binary, other).ok());
  CHECK(refused(stored(set_of_two + std::string("\1\x01x", 3))).find("twice") != std::string::npos);
  const auto sorted = [&](const std::string& second, double score) {
    std::string item("\x21\x01k\x02\0\0\0\0\x01x", 10);
    item.append(reinterpret_cast<const char*>(&score), sizeof score).append(second);
    return stored(item.append(reinterpret_cast<const char*>(&score), sizeof score));
  };
  const std::string y("\0\x01y", 3), x("\0\x01x", 3);
  TestData equal;
  REQUIRE(load(sorted(y, 1), SnapshotFormat::binary, equal).ok());
  CHECK(refused(sorted(x, 1)).find("twice") != std::string::npos);
  CHECK(refused(sorted(y, std::nan(""))).find("no number") != std::string::npos);
  for (const char type : {'\x22', '\x23'}) {  // types of later versions
    refused(stored(std::string(1, type) + std::string("\x01k\x01\0\0\0\0\x01x", 9)));
  }
  refused(stored(item("k", std::string("\x09\x01v", 3))));  // an unknown kind
  refused(stored(std::string("\x00\x01k\x00\x01v", 6)));    // no type
  refused(stored(std::string("\x81\x01k\x00\x01v", 6)));    // unknown flags
  refused(stored(item("k", kind_string + "\x01v"), 2));     // another count
  refused(stored(item("k", kind_string + "\x01v") + item("k", kind_string + "\x01v"), 2));
  refused(binary_file({Method::stored, 1, 1u << 31, 3, 0}, "abc"));
  refused(binary_file({static_cast<Method>(7), 1, 3, 3, 0}, "abc"));
  // A small block that unpacks to 1 GiB: the head may not even say so.
  std::string zeros(1 << 20, '\0'), packed(::compressBound(zeros.size()), '\0');
  uLongf size = packed.size();
  REQUIRE(::compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(zeros.data()), zeros.size()) == Z_OK);
  packed.resize(size);
  const auto packed_size = static_cast<std::uint32_t>(size);
  CHECK(
      refused(binary_file({Method::zlib, 1, 1u << 30, packed_size, 0}, packed)).find("too large") !=
      std::string::npos);
  // It says 100 bytes and holds 1 MiB: unpacking stops at what it says.
  CHECK(refused(binary_file({Method::zlib, 1, 100, packed_size, 0}, packed)).find("unpacked") !=
        std::string::npos);
}

TEST_CASE("persistence: room made in advance does not stay where SWAPDB takes it") {
  TestData data;
  const Replay replay = data.replay();
  {
    const Expected expected(replay, 1'000'000);
    CHECK(data.database(0).memory_bytes() > 1'000'000);
    data.database(0).swap(data.database(5));
  }
  CHECK(data.database(5).memory_bytes() < 1'000'000);
}

TEST_CASE("persistence: S6 files of two runs do not belong together") {
  const auto run = [](FaultEnv& env) {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
    REQUIRE(server.save().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
  };
  FaultEnv one, two;
  run(one);
  run(two);
  SECTION("the snapshot of another run") { one.put("data/kv.db", two.contents("data/kv.db")); }
  SECTION("the log of another run") { one.put("data/kv.aof", two.contents("data/kv.aof")); }
  const auto forget_finished_logs = [&] {
    std::erase_if(one.entries(),
                  [](const auto& entry) { return entry.first.starts_with("data/kv.aof."); });
  };
  SECTION("the snapshot before") {
    one.put("data/kv.db", one.contents("data/kv.db.old"));
    forget_finished_logs();
  }
  SECTION("no snapshot, and the log before it is gone") {
    REQUIRE(one.remove("data/kv.db").ok());
    forget_finished_logs();
  }
  SECTION("the log emptied") { one.put("data/kv.aof", ""); }
  const Start start = start_from(one, with(Fsync::no));
  REQUIRE_FALSE(start.status.ok());
  INFO(start.status.message());
  CHECK(start.status.message().find("lost") != std::string::npos);
}

TEST_CASE("persistence: a lost snapshot is made up for by the one before and the kept log") {
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.save().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.save().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  env.put("data/kv.db", env.contents("data/kv.db.old"));
  const Start start = start_from(env, with(Fsync::no));
  INFO(start.status.message());
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
}

TEST_CASE("persistence: every log since the .old snapshot stays, however many saves failed") {
  const SnapshotFormat form = GENERATE(SnapshotFormat::text, SnapshotFormat::binary);
  const unsigned keep_logs = GENERATE(0U, 2U);
  FaultEnv env;
  PersistenceSettings settings = with(Fsync::no, form);
  settings.keep_logs = keep_logs;
  TestServer server(env, settings);
  REQUIRE(server.start().ok());
  const auto finished_logs = [&] {
    const std::vector<std::string> names = *env.list("data");
    return std::count_if(names.begin(), names.end(), is_finished_log);
  };
  for (int i = 0; i < 4; ++i) {
    REQUIRE(server.write({"INCR", "counter"}).ok());
    REQUIRE(server.save().ok());
  }
  CHECK(finished_logs() == 1 + keep_logs);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(server.write({"INCR", "counter"}).ok());
    REQUIRE(server.store().begin_save().ok());
    server.store().save_finished({Code::io, "the writer was killed"});
  }
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.save().ok());
  CHECK(finished_logs() == 4 + keep_logs);
  const std::string name = "data/" + std::string(snapshot_name(form));
  const auto copy = env.copy();
  copy->put(name, copy->contents(name + ".old"));
  const Start start = start_from(*copy, settings);
  INFO(start.status.message());
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.save().ok());
  CHECK(finished_logs() == 1 + keep_logs);
}

TEST_CASE("persistence: S6 an old snapshot alone is no first start, and repair takes it") {
  for (const SnapshotFormat form : forms) {
    const std::string name = "data/" + std::string(snapshot_name(form));
    FaultEnv env;
    env.put(name + ".old", snapshot_of(small_data(), form));
    const Start start = start_from(env, with(Fsync::no, form));
    INFO(start.status.message());
    CHECK(start.status.code() == Code::corrupt);
    CHECK(start.status.message().find(name + " is missing, only ") == 0);
    TestData repaired;
    REQUIRE(repair_folder(env, "data", form, repaired.replay(), 16).ok());
    CHECK(start_from(env, with(Fsync::no, form)).digest == small_data().digest());
  }
}

TEST_CASE("persistence: CONVERT: the newer of two snapshots counts, the other becomes .old") {
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.save().ok());
  server.store().set_format(SnapshotFormat::binary);
  REQUIRE(server.write({"INCR", "counter"}).ok());
  REQUIRE(server.save().ok());
  CHECK(env.has("data/kv.bin"));
  CHECK_FALSE(env.has("data/kv.db"));
  CHECK(env.has("data/kv.db.old"));
  REQUIRE(server.write({"INCR", "counter"}).ok());
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
}

TEST_CASE("persistence: without a log data is loaded, saved, and taken over by a log later") {
  FaultEnv env;
  PersistenceSettings no_log = with(Fsync::no);
  no_log.log = false;
  std::string expected;
  {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
  }
  {
    TestServer server(env, no_log);
    REQUIRE(server.start().ok());
    CHECK(server.data().get("counter") == "1");
    REQUIRE(server.write({"INCR", "counter"}).ok());
    REQUIRE(server.save().ok());
    REQUIRE(server.write({"INCR", "lost"}).ok());
  }
  env.restart();
  {
    TestServer server(env, with(Fsync::no));
    const Status started = server.start();
    INFO(started.message());
    REQUIRE(started.ok());
    CHECK(server.data().get("counter") == "2");
    CHECK(server.data().get("lost") == "(none)");
    REQUIRE(server.write({"INCR", "counter"}).ok());
    expected = server.digest();
  }
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  INFO(start.status.message());
  REQUIRE(start.status.ok());
  CHECK(start.digest == expected);
}

}  // namespace kv::test
