// The log's lines: how they are written and read, and what every kind of damage to a file looks
// like (D3 to D8, D14, D20).
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "persistence/aof_reader.hpp"
#include "persistence/check.hpp"
#include "persistence/checksum.hpp"
#include "persistence/folder.hpp"
#include "persistence/repair.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

constexpr std::int64_t t0 = 1'596'099'036'281'142'829;

std::string header(const LogPosition& after = {}) {
  std::string out;
  append_sealed(out, after.chain, log_header_text(after));
  return out;
}

/// A log of SETs and RPUSHes: header and lines.
std::string make_log(int lines, std::vector<std::size_t>* starts = nullptr) {
  std::string out;
  std::uint32_t chain = append_sealed(out, 0, log_header_text({}));
  for (int i = 0; i < lines; ++i) {
    if (starts != nullptr) starts->push_back(out.size());
    const std::string n = std::to_string(i);
    const Scalar args[] = {"RPUSH", "list", Scalar(n), "text \"with\" ^ and \\ \n."};
    chain = append_record(out, chain, t0 + i, 0, Dialect::resp, args);
  }
  return out;
}

LogScan scan(const std::string& bytes) {
  LogScan result;
  REQUIRE(scan_log(
              bytes, [](const Record&, std::uint64_t) { return Status{}; }, result)
              .ok());
  return result;
}

/// Check and start must say the same of a folder with this log. Returns what the start found.
Start check_and_start(const std::string& log) {
  FaultEnv env;
  env.put("data/kv.aof", log);
  TestData data;
  const CheckReport report = check_folder(env, "data", data.replay(), 16);
  const std::unique_ptr<FaultEnv> again = env.copy();
  const Start start = start_from(*again, with(Fsync::no));
  CHECK(report.start.ok() == start.status.ok());
  if (start.status.ok()) CHECK(report.digest == start.digest);
  else CHECK(report.start.message() == start.status.message());
  CHECK(env.contents("data/kv.aof") == log);  // the check changed nothing
  return start;
}

}  // namespace

TEST_CASE("persistence/record: the line is the one that FORMAT.md shows") {
  std::string out;
  const Scalar args[] = {"RPUSH", "mytestlist", "four", "five", "six"};
  append_record(out, 0, t0, 0, Dialect::resp, args);
  const std::string rest = " (\"RPUSH\" (\"mytestlist\" \"four\" \"five\" \"six\")))\n";
  const std::uint32_t sum = crc32(rest, crc32("(\"1596099036.281142829\" "));
  const std::string digits = std::to_string(sum);
  CHECK(out == "(\"1596099036.281142829\" " + std::string(10 - digits.size(), '0') + digits + rest);
}

TEST_CASE("persistence/record: short and long commands are written alike") {
  for (std::size_t count = 0; count < 7; ++count) {
    for (const std::size_t size : {0, 1, 15, 16, 17, 63, 64, 65, 200}) {
      for (const bool number_last : {false, true}) {
        const std::string text(size, 'v');
        std::vector<Scalar> args(1 + count, Scalar(text));
        args[0] = "LPUSH";
        std::vector<std::string> elements(count, '"' + text + '"');
        if (number_last) args.emplace_back("-12", Kind::number), elements.push_back("-12");
        std::string list;
        for (const std::string& one : elements) list += (list.empty() ? "(" : " ") + one;
        const std::string rest = " (\"LPUSH\" " + (list.empty() ? "NIL" : list + ")") + "))\n";
        std::string line;
        append_record(line, 7, t0, 0, Dialect::resp, args);
        INFO(count << " of " << size);
        REQUIRE(line.substr(0, 24) == "(\"1596099036.281142829\" ");
        REQUIRE(line.substr(34) == rest);
        RecordReader reader;
        REQUIRE(reader.parse(line) == LineKind::record);
        REQUIRE(reader.record().args == args);
        REQUIRE(reader.checksum() == reader.chain_after(line, 7));
      }
    }
  }
}

TEST_CASE("persistence/record: every byte comes back from every place in a text") {
  for (int c = 0; c < 256; ++c) {
    for (std::size_t at = 0; at < 40; ++at) {
      std::string text(40, 'a');
      text[at] = static_cast<char>(c);
      const Scalar args[] = {"SET", Scalar(text)};
      std::string line;
      append_record(line, 0, t0, 0, Dialect::resp, args);
      INFO("byte " << c << " at " << at);
      REQUIRE(std::none_of(line.begin(), line.end() - 1, [](unsigned char b) { return b < 32; }));
      RecordReader reader;
      REQUIRE(reader.parse(line) == LineKind::record);
      REQUIRE(reader.record().args[1].bytes == text);
    }
  }
}

TEST_CASE("persistence/record: every byte and kind comes back, one line each") {
  std::vector<std::string> texts = {"",
                                    "plain",
                                    "quote\" back\\ caret^",
                                    "\n\r\t\x1b\x7f",
                                    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                                    "# ( ) ' ` ~ , . "};
  std::string all, high;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  for (int c = 128; c < 256; ++c) high.push_back(static_cast<char>(c));
  texts.push_back(all);
  texts.push_back(high);
  std::vector<Scalar> args = {"SET"};
  for (const std::string& text : texts) args.emplace_back(text);
  args.emplace_back("-42", Kind::number);
  args.emplace_back("123456789012345678901234567890", Kind::number);
  args.emplace_back("foo", Kind::symbol);
  args.emplace_back("", Kind::nil);
  args.emplace_back(std::string_view("\x01\x06\x61\x04\x02\x03", 6), Kind::list);
  for (const unsigned database : {0u, 7u}) {
    for (const Dialect dialect : {Dialect::resp, Dialect::plio}) {
      std::string line;
      const std::uint32_t chain = append_record(line, 99, t0, database, dialect, args);
      CHECK(std::count(line.begin(), line.end(), '\n') == 1);
      RecordReader reader;
      REQUIRE(reader.parse(line) == LineKind::record);
      CHECK(reader.chain_after(line, 99) == chain);
      CHECK(reader.checksum() == chain);
      CHECK(reader.record().database == database);
      CHECK(reader.record().dialect == dialect);
      CHECK(reader.record().time_ns == t0);
      REQUIRE(reader.record().args.size() == args.size());
      for (std::size_t i = 0; i < args.size(); ++i) {
        INFO("argument " << i);
        CHECK(reader.record().args[i] == args[i]);
      }
    }
  }
}

TEST_CASE("persistence/record: lines that are not of the grammar are refused with a reason") {
  RecordReader reader;
  const std::string good = "(\"1596099036.281142829\" 0000000000 (\"SET\" (\"a\" \"b\")))\n";
  REQUIRE(reader.parse(good) == LineKind::record);
  const std::string head = good.substr(0, 35);
  for (const std::string& bad :
       {good.substr(0, good.size() - 1), std::string("x\n"), head + "\n",
        head + "(\"SET\" (\"a\" \"b)))\n", head + "(\"SET\" (\"a\" `(quit))))\n",
        head + "(\"SET\" (\"a\" \"b\")) 99999)\n", head + "(\"SET\" (\"a\" \"b\")) 1 resp)\n",
        head + "(SET (\"a\" \"b\")))\n", head + "(\"SET\" \"a\"))\n",
        std::string("(\"159609903.2811428290\" 0000000000 (\"SET\" NIL))\n"),
        std::string("# kv log 1\n")}) {
    INFO(bad);
    CHECK(reader.parse(bad) == LineKind::bad);
    CHECK(std::string(reader.error()) != "");
  }
  CHECK(reader.parse("# a remark\n") == LineKind::comment);
  CHECK(reader.parse("\n") == LineKind::comment);
}

TEST_CASE("persistence: D3 a log cut at every byte starts with a prefix or is refused") {
  std::vector<std::size_t> starts;
  const std::string log = make_log(6, &starts);
  std::vector<std::string> digests = {check_and_start(header()).digest};
  for (int n = 1; n <= 6; ++n) {
    const std::size_t end = n < 6 ? starts[static_cast<std::size_t>(n)] : log.size();
    digests.push_back(check_and_start(log.substr(0, end)).digest);
  }
  for (std::size_t size = 0; size <= log.size(); ++size) {
    const Start start = check_and_start(log.substr(0, size));
    const auto lines =
        std::count_if(starts.begin(), starts.end(), [&](std::size_t at) { return at < size; });
    INFO("cut at " << size);
    if (size < starts[0]) {
      // Not even a whole header: no crash of ours leaves that. (Nothing at all, and no snapshot
      // beside it, is what picolisp-kv starts with.)
      CHECK(start.status.ok() == (size == 0));
      continue;
    }
    REQUIRE(start.status.ok());
    const bool at_a_line =
        size == log.size() || std::find(starts.begin(), starts.end(), size) != starts.end();
    const auto whole = static_cast<std::size_t>(at_a_line ? lines : lines - 1);
    CHECK(start.digest == digests[whole]);
    CHECK(start.notes.empty() == at_a_line);
  }
}

TEST_CASE("persistence: D2 a torn line stays one, whatever text of ours its value holds") {
  const Words trailer = {"SET", "doc", "# kv end at 1596099036.281142829, 3 lines: 0719023601\n"};
  const Words header = {"SET", "doc", "see # kv log 1, after 0000000000.000000000, chain 0: 1"};
  const std::string log = make_log(3);
  for (const Words& words : {trailer, header}) {
    const std::vector<Scalar> args(words.begin(), words.end());
    std::string line;
    append_record(line, scan(log).end.chain, scan(log).end.time_ns + 1, 0, Dialect::resp, args);
    for (std::size_t size = 1; size < line.size(); ++size) {
      INFO("cut after byte " << size);
      REQUIRE(scan(log + line.substr(0, size)).tail_only());
    }
    CHECK(scan(log + line).verdict == Verdict::clean);
  }
}

TEST_CASE("persistence: D7 a line that lost its end before another one is damage, not torn") {
  std::vector<std::size_t> s;
  const std::string log = make_log(3, &s);
  std::string trailer;
  append_sealed(trailer, scan(log).end.chain, log_trailer_text(scan(log).end.time_ns, 3));
  std::string fused = log + trailer;
  fused[log.size() - 1] = ' ';
  CHECK(scan(fused).verdict == Verdict::corrupt_middle);
  fused = log;
  fused[s[2] - 1] = ' ';
  CHECK(scan(fused).verdict == Verdict::corrupt_middle);
}

TEST_CASE("persistence: D4 zeros at the end are set aside, not deleted") {
  for (const std::size_t zeros : {1u, 512u, 4096u, 65536u}) {
    for (const std::string& begun : {std::string(), std::string("(\"1596099036.28")}) {
      FaultEnv env;
      const std::string log = make_log(3);
      env.put("data/kv.aof", log + begun + std::string(zeros, '\0'));
      CHECK(scan(env.contents("data/kv.aof")).verdict == Verdict::zero_tail);
      const Start start = start_from(env, with(Fsync::no));
      REQUIRE(start.status.ok());
      CHECK(start.lines == 3);
      REQUIRE(start.notes.size() == 2);
      CHECK(start.notes[0].find("zero_tail") != std::string::npos);
      CHECK(env.contents("data/kv.aof") == log);
      std::string aside;
      for (const auto& [path, node] : env.entries()) {
        if (path.starts_with("data/kv.aof.torn-")) aside = node->data;
      }
      CHECK(aside == begun + std::string(zeros, '\0'));
    }
  }
}

TEST_CASE("persistence: D5 a little garbage at the end is set aside, much is refused") {
  std::mt19937_64 random(Catch::rngSeed());
  const std::string log = make_log(3);
  for (const std::size_t size : {1u, 7u, 100u, 5000u}) {
    std::string garbage;
    for (std::size_t i = 0; i < size; ++i) {
      garbage.push_back(i % 50 == 49 ? '\n' : static_cast<char>(1 + random() % 255));
    }
    const LogScan found = scan(log + garbage);
    CHECK(found.tail_only());
    const Start start = check_and_start(log + garbage);
    REQUIRE(start.status.ok());
    CHECK(start.lines == 3);
  }
  std::string much(garbage_bytes_max + 1, 'x');
  for (std::size_t at = 0; at < much.size(); at += 60) much[at] = '\n';
  CHECK(scan(log + much).verdict == Verdict::corrupt_middle);
  const Start start = check_and_start(log + much);
  CHECK_FALSE(start.status.ok());
  CHECK(start.status.message().find("--repair") != std::string::npos);
}

TEST_CASE("persistence: D17 a large line of which a block was not written is torn, as any other") {
  const std::string log = make_log(3);
  const std::string value(garbage_bytes_max * 2, 'v');
  const Scalar args[] = {Scalar("SET"), Scalar("large"), Scalar(value)};
  std::string line;
  append_record(line, scan(log).end.chain, scan(log).end.time_ns + 1, 0, Dialect::resp, args);
  for (const std::size_t at : {std::size_t{0}, std::size_t{4096}, line.size() - 4096}) {
    std::string holed = line;
    holed.replace(at, 4096, 4096, '\0');
    INFO("zeros from byte " << at << " on");
    const Start start = check_and_start(log + holed);
    INFO(start.status.message());
    CHECK(start.status.ok());
    CHECK(start.lines == 3);
  }
}

TEST_CASE("persistence: D17 blocks missing from what was written last are a crash's doing") {
  std::string log, batch;
  std::uint32_t chain = 0;
  std::int64_t last_ns = t0 + 100;
  const auto add = [&](std::int64_t later_ns, std::size_t bytes = 70) {
    const std::string value(bytes, 'v');
    const Scalar args[] = {Scalar("RPUSH"), Scalar("list"), Scalar(value)};
    last_ns += later_ns;
    chain = append_record(batch, chain, last_ns, 0, Dialect::resp, args);
  };
  // Zeros in the place of blocks; the first of them begins behind what was synced.
  const auto holed = [&](std::size_t block, std::size_t blocks, std::size_t askew = 0) {
    std::string bytes = log + batch;
    const std::size_t from = std::max(block * 512, log.size());
    const std::size_t end = std::min((block + blocks) * 512 + askew, bytes.size());
    return bytes.replace(from, end - from, end - from, '\0');
  };
  const int lines = GENERATE(0, 3);
  log = make_log(lines);
  chain = scan(log).end.chain;
  const bool idle = GENERATE(false, true);  // for an hour, and then a batch
  add(idle ? 3600 * ns_per_second : 1, 2000);
  for (int i = 0; i < 12; ++i) add(1);
  const std::size_t first = log.size() / 512, blocks = (log.size() + batch.size()) / 512;
  SECTION("any block of them") {
    for (std::size_t block = first; block < blocks; ++block) {
      for (const std::size_t count : {1u, 2u}) {
        INFO(count << " blocks are missing from " << block << " on");
        const Start start = check_and_start(holed(block, count));
        INFO(start.status.message());
        REQUIRE(start.status.ok());
        CHECK(start.lines >= static_cast<std::uint64_t>(lines));
        CHECK(start.lines < static_cast<std::uint64_t>(lines) + 13);
      }
    }
  }
  SECTION("zeros that end in the middle of a block are something else") {
    CHECK(scan(holed(blocks - 2, 1, 7)).verdict == Verdict::corrupt_middle);
  }
  SECTION("what is behind them was written too late to have been lost with them") {
    add(3 * ns_per_second);
    CHECK(scan(holed(blocks - 2, 1)).verdict == Verdict::corrupt_middle);
    CHECK_FALSE(check_and_start(holed(blocks - 2, 1)).status.ok());
  }
  SECTION("a trailer follows a sync") {
    append_sealed(batch, chain, log_trailer_text(last_ns, 13));
    for (const std::size_t block : {first, blocks - 2}) {
      CHECK(scan(holed(block, 1)).verdict == Verdict::corrupt_middle);
    }
  }
}

TEST_CASE("persistence: D6 every bit flipped: the last line is torn, anything else is refused") {
  std::vector<std::size_t> starts;
  const std::string log = make_log(3, &starts);
  for (std::size_t bit = 0; bit < log.size() * 8; ++bit) {
    std::string damaged = log;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    INFO("bit " << bit % 8 << " of byte " << bit / 8);
    const LogScan found = scan(damaged);
    REQUIRE(found.verdict != Verdict::clean);
    if (bit / 8 >= starts[2]) {
      CHECK(found.tail_only());
      CHECK(found.lines == 2);
      continue;
    }
    CHECK_FALSE(found.tail_only());
    if (bit / 8 < starts[0]) continue;  // the header
    const auto line = static_cast<std::uint64_t>(
        1 + std::count_if(starts.begin(), starts.end(), [&](auto at) { return at <= bit / 8; }));
    CHECK(found.bad_line == line);
    CHECK(found.good_bytes == starts[line - 2]);
    CHECK(found.lines_after > 0);
  }
  std::string damaged = log;
  damaged[starts[1] + 50] = static_cast<char>(damaged[starts[1] + 50] ^ 4);
  const Start start = check_and_start(damaged);
  REQUIRE_FALSE(start.status.ok());
  const std::string& message = start.status.message();
  INFO(message);
  CHECK(message.find("line 3 (byte " + std::to_string(starts[1]) + ")") != std::string::npos);
  CHECK(message.find("lost") != std::string::npos);
  CHECK(message.find("--repair --dir data") != std::string::npos);
}

TEST_CASE("persistence: D7 a line lost, doubled or swapped is found") {
  std::vector<std::size_t> s;
  const std::string log = make_log(5, &s);
  s.push_back(log.size());
  const auto line = [&](std::size_t i) { return log.substr(s[i], s[i + 1] - s[i]); };
  const std::string head = log.substr(0, s[0]);
  for (const std::string& damaged :
       {head + line(0) + line(2) + line(3) + line(4),
        head + line(0) + line(1) + line(1) + line(2) + line(3) + line(4),
        head + line(0) + line(2) + line(1) + line(3) + line(4), head + line(1) + line(2),
        // The last line is whole, so it is not what a crash leaves.
        head + line(0) + line(1) + line(2) + line(4), log + line(4),
        head + line(0) + line(1) + line(2) + line(4) + line(3)}) {
    const Start start = check_and_start(damaged);
    CHECK_FALSE(start.status.ok());
    CHECK(start.status.message().find("kv.aof line ") != std::string::npos);
  }
}

TEST_CASE("persistence: a remark in the log is inside a checksum as well") {
  std::vector<std::size_t> s;
  const std::string log = make_log(2, &s);
  std::string with_remark = log;
  with_remark.insert(s[1], "# by hand\n");
  CHECK(scan(with_remark).bad_line == 4);
  FaultEnv env;
  env.put("data/kv.aof", with_remark);
  REQUIRE(reseal_folder(env, "data").ok());
  const std::string sealed = env.contents("data/kv.aof");
  CHECK(scan(sealed).verdict == Verdict::clean);
  CHECK(sealed.find("# by hand\n") != std::string::npos);
  std::string changed = sealed;
  changed[changed.find("# by") + 2] = 'B';
  CHECK(scan(changed).verdict != Verdict::clean);
}

TEST_CASE("persistence: D8 an edit by hand is refused until it is resealed") {
  FaultEnv env;
  std::string expected;
  {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"SET", "name", "Jon"}).ok());
    REQUIRE(server.save().ok());
    REQUIRE(server.write({"SET", "town", "Rome"}).ok());
    REQUIRE(server.write({"SET", "last", "1"}).ok());
    REQUIRE(server.data().apply(t0, 0, std::vector<Scalar>{"SET", "name", "John"}).ok());
    REQUIRE(server.data().apply(t0, 0, std::vector<Scalar>{"SET", "town", "Roma!"}).ok());
    expected = server.digest();
  }
  const auto edit = [&](const std::string& path, std::string_view from, std::string_view to) {
    std::string& text = env.contents(path);
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  };
  edit("data/kv.aof", "Rome", "Roma!");
  edit("data/kv.db", "Jon", "John");
  for (auto& [path, node] : env.entries()) {
    if (path.starts_with("data/kv.aof.1") || path.starts_with("data/kv.aof.2")) {
      edit(path, "Jon", "John");  // the finished log too, so that the chain is carried over
    }
  }
  CHECK_FALSE(start_from(*env.copy(), with(Fsync::no)).status.ok());
  const Result<std::vector<std::string>> done = reseal_folder(env, "data");
  INFO(done.status().message());
  REQUIRE(done.ok());
  const Start start = start_from(env, with(Fsync::no));
  INFO(start.status.message());
  REQUIRE(start.status.ok());
  CHECK(start.digest == expected);
  TestData data;
  CHECK(check_folder(env, "data", data.replay(), 16).ok());
  CHECK(reseal_folder(env, "data")->front() == "every checksum is right already");
}

TEST_CASE("persistence: D14 a huge line, and offsets beyond 32 bits") {
  const std::string big(8 << 20, 'b');
  FaultEnv env;
  TestServer server(env, with(Fsync::no));
  REQUIRE(server.start().ok());
  REQUIRE(server.write({"SET", "big", big}).ok());
  REQUIRE(server.write({"SET", "small", "s"}).ok());
  env.restart();
  const Start start = start_from(env, with(Fsync::no));
  REQUIRE(start.status.ok());
  CHECK(start.digest == server.digest());
  // Zeros without end: a sparse file of 5 GiB is read to its end, and its size told right.
  const std::string path = "sparse-" + std::to_string(::getpid()) + ".test";
  {
    Result<std::unique_ptr<File>> file = posix_env().create_temporary(path);
    REQUIRE(file.ok());
    REQUIRE((*file)->write(make_log(2)).ok());
    REQUIRE((*file)->truncate(std::uint64_t{5} << 30) == 0);
  }
  Result<std::unique_ptr<Mapping>> mapping = posix_env().map(path);
  REQUIRE(posix_env().remove(path).ok());
  REQUIRE(mapping.ok());
  LogScan found;
  REQUIRE(
      scan_log((*mapping)->bytes(), [](const Record&, std::uint64_t) { return Status{}; }, found)
          .ok());
  CHECK(found.verdict == Verdict::zero_tail);
  CHECK(found.file_bytes == std::uint64_t{5} << 30);
  CHECK(found.lines == 2);
}

TEST_CASE("persistence: D20 files of version 1 load and give the same data") {
  // As the first version wrote them; a change that cannot read these needs a new version number.
  FaultEnv env;
  env.put("data/kv.db",
          "# kv snapshot 1, as of 1795177223.052408643, chain 187337959, log follows: 3302920648\n"
          "(\"l\" (\"a\" \"b\" \"c\\\"d\"))\n"
          "(\"a\" \"hello\")\n"
          "(\"bin2\" \"SET bin \\56575\\\\56320\\\\56448\\^J\")\n"
          "(\"h\" ((\"f\" . \"v\") (\"g\" . \"w^Jx\")))\n"
          "(\"k\" \"5\" (expires 1795178223023))\n"
          "(\"z\" \"1\" (db 3))\n"
          "# kv end, 6 keys: 3007850572\n");
  env.put("data/kv.aof", "# kv log 1, after 1795177223.052408643, chain 187337959: 4289803421\n");
  const Start start = start_from(env, with(Fsync::no));
  INFO(start.status.message());
  REQUIRE(start.status.ok());
  CHECK(start.keys == 6);
  CHECK(start.digest == "02cff8153c1bec3457c642f0cf4736f56febbfd9");
}

TEST_CASE("persistence: a log of a newer version is left alone") {
  FaultEnv env;
  std::string log;
  append_sealed(log, 0, "log 2, after something else");
  env.put("data/kv.aof", log);
  const Start start = start_from(env, with(Fsync::no));
  CHECK(start.status.code() == Code::unsupported);
  CHECK(env.contents("data/kv.aof") == log);
}

TEST_CASE("persistence: a missing log is an error, not a smaller database") {
  FaultEnv env;
  {
    TestServer server(env, with(Fsync::no));
    REQUIRE(server.start().ok());
    REQUIRE(server.write({"INCR", "counter"}).ok());
    if (GENERATE(false, true)) REQUIRE(server.save().ok());
  }
  REQUIRE(env.remove("data/kv.aof").ok());
  const Start start = start_from(env, with(Fsync::no));
  REQUIRE_FALSE(start.status.ok());
  CHECK(start.status.message().find("kv.aof is missing") != std::string::npos);
}

}  // namespace kv::test
