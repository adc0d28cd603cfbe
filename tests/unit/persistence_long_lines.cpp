// S11: what a line of kv.db needs of memory does not grow with the line.
#include <catch2/catch.hpp>
#include <random>

#include "persistence/checksum.hpp"
#include "persistence/snapshot.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

/// Keeps what is written, in memory that was there before.
class MemoryFile final : public File {
 public:
  MemoryFile() : File("memory") { bytes.reserve(std::size_t{64} << 20); }
  std::int64_t write_some(const char* from, std::size_t size) noexcept override {
    bytes.append(from, size);
    return static_cast<std::int64_t>(size);
  }
  std::int64_t read_some(char*, std::size_t) noexcept override { return -1; }
  int sync_data() noexcept override { return 0; }
  int truncate(std::uint64_t) noexcept override { return -1; }
  int allocate(std::uint64_t, std::uint64_t) noexcept override { return 0; }
  int info(FileInfo&) const noexcept override { return -1; }
  std::string bytes;
};

/// Lists, a hash, a set and a sorted set whose lines are of some MiB, of bytes that need many
/// escapes.
void fill_with_long_lines(TestData& data) {
  std::mt19937 random(7);
  const auto some = [&random](std::size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random());
    return text;
  };
  const std::string_view pair("\x01\x06\x61\x02\x06\x62", 6);  // ("a" . "b")
  Keyspace& keys = data.database(3);
  Place plain = keys.peek("plain", 0), pairs = keys.peek("begins with a pair", 0);
  Place fields = keys.peek("hash", 0), members = keys.peek("set", 0), sorted = keys.peek("zset", 0);
  keys.make_list(pairs).push_back({pair, Kind::list});
  for (int i = 0; i < 2000; ++i) {
    keys.make_list(plain).push_back(Scalar(some(1000)));
    keys.make_list(pairs).push_back({std::to_string(random()), Kind::number});
    keys.make_list(pairs).push_back(Scalar(some(1000)));
    keys.make_hash(fields).set(Scalar(some(300)), Scalar(some(700)));
    keys.make_set(members).add(Scalar(some(900)));
    keys.make_sorted_set(sorted).set(Scalar(some(900)), i / 7.0);
  }
  std::string text = some(2'000'000);
  for (int i = 0; i < 500'000; ++i) {
    text += i % 8 == 0   ? "\xE2\x82\xAC"
            : i % 9 == 0 ? "^"
            : i % 5 == 0 ? "\xF0\x9F\x98\x80"
                         : "\xBF";
  }
  Place string = keys.peek("string", 0);
  keys.set_string(string, Scalar(text));
  keys.make_hash(fields).set("long", Scalar(text));
  keys.set_expiry(plain, 4'102'444'800'123);
}

}  // namespace

TEST_CASE("persistence: S11 a long line is never in memory whole, neither written nor read") {
  constexpr std::size_t most = std::size_t{3} << 20;
  TestData data;
  fill_with_long_lines(data);
  std::string wanted;
  std::uint32_t chain = append_sealed(wanted, 0, text_header({}, true));
  const std::size_t body_at = wanted.size();
  data.database(3).for_each([&](const Keyspace::Item& item) {
    const std::size_t line_at = wanted.size();
    append_key_line(wanted, data.database(3), item, 3);
    CHECK(wanted.size() - line_at > most);
    return true;
  });
  append_sealed(wanted, crc32(std::string_view(wanted).substr(body_at), chain), text_trailer(6));
  std::string text;
  append_element(text, data.database(3).string(data.database(3).peek("string", 0)));
  CHECK(wanted.find(text) != wanted.npos);  // no character is cut
  MemoryFile file;
  SaveJob job;
  job.log_follows = true;
  std::vector<Keyspace*> databases = data.pointers();
  const Allocations of_writer;
  REQUIRE(write_text_snapshot(file, job, databases, {}).ok());
  CHECK(of_writer.largest() < most);
  CHECK(file.bytes == wanted);
  TestData loaded;
  const Allocations of_reader;
  SnapshotLoad load;
  const Status status =
      load_snapshot(file.bytes, SnapshotFormat::text, "kv.db", loaded.replay(), load);
  CHECK(of_reader.largest() < most);
  INFO(status.message());
  REQUIRE(status.ok());
  CHECK(loaded.digest() == data.digest());
}

}  // namespace kv::test
