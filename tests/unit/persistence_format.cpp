// FORMAT.md and kv.aof(5) show files; these tests read them from there, so the pages cannot drift.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "persistence/aof_reader.hpp"
#include "persistence/snapshot.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

std::string page(const std::string& name) {
  const char* top = std::getenv("KV_TOP");
  std::ifstream in(std::string(top == nullptr ? "." : top) + "/" + name, std::ios::binary);
  REQUIRE(in.good());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The block of that name: between ```name and ```.
std::string block(const std::string& text, const std::string& name) {
  const std::size_t start = text.find("```" + name + "\n");
  REQUIRE(start != std::string::npos);
  const std::size_t from = text.find('\n', start) + 1;
  return text.substr(from, text.find("```", from) - from);
}

std::string bytes_of_hex(const std::string& hex) {
  std::istringstream in(hex);
  std::string out, word;
  while (in >> word) out.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
  return out;
}

}  // namespace

TEST_CASE("persistence: the log in FORMAT.md is a log, and reads as the page says") {
  const std::string log = block(page("persistence/FORMAT.md"), "kv.aof");
  std::vector<Record> records;
  std::vector<std::string> words;
  LogScan scan;
  const auto visit = [&](const Record& record, std::uint64_t) {
    records.push_back(record);
    for (const Scalar& arg : record.args) words.emplace_back(arg.bytes);
    return Status{};
  };
  REQUIRE(scan_log(log, visit, scan).ok());
  CHECK(scan.verdict == Verdict::clean);
  CHECK(scan.sealed);
  REQUIRE(records.size() == 3);
  CHECK(records[1].database == 3);
  CHECK(records[2].dialect == Dialect::plio);
  CHECK(words == std::vector<std::string>{"RPUSH", "mytestlist", "four", "five", "six", "SET",
                                          "greeting", "he said \"hi\"\n", "HSET", "user:1", "7",
                                          "foo", "none", ""});
}

TEST_CASE("persistence: the snapshots in FORMAT.md hold the same data") {
  const std::string format = page("persistence/FORMAT.md");
  const std::string text = block(format, "kv.db");
  const std::string binary = bytes_of_hex(block(format, "kv.bin"));
  TestData from_text, from_binary;
  SnapshotLoad load;
  REQUIRE(load_text_snapshot(text, "kv.db", from_text.replay(), load).ok());
  CHECK(load.keys == 5);
  load = {};
  const Status status = load_binary_snapshot(binary, "kv.bin", from_binary.replay(), load);
  INFO(status.message());
  REQUIRE(status.ok());
  CHECK(from_text.digest() == from_binary.digest());
  CHECK(from_text.get("name") == "Ann");
  Place tags = from_text.database(0).peek("tags", 0);
  CHECK(from_text.database(0).type(tags) == Type::set);
  Place board = from_binary.database(0).peek("board", 0);
  CHECK(from_binary.database(0).sorted_set(board).score("Ann") == 7.5);
  const Place place = from_text.database(3).peek("user:1", 0);
  REQUIRE(place.found());
  CHECK(from_text.database(3).expiry(place) == 4'102'444'800'000);
  CHECK(read_text_header(text, "kv.db")->as_of == read_binary_header(binary, "kv.bin")->as_of);
}

TEST_CASE("persistence: kv.aof(5) shows the same files as FORMAT.md") {
  std::string manual = page("man/kv.aof.5");
  for (std::size_t at = 0; (at = manual.find("\\e", at)) != std::string::npos;) {
    manual.replace(at, 2, "\\");
  }
  const std::string format = page("persistence/FORMAT.md");
  CHECK(manual.find(block(format, "kv.aof")) != std::string::npos);
  CHECK(manual.find(block(format, "kv.db")) != std::string::npos);
}

}  // namespace kv::test
