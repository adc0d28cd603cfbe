// The engine's forecasts: pipelines that hammer a few keys are answered, logged and stored exactly
// as the same requests sent one by one, in fewer log writes.
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/engine_fixture.hpp"

namespace kv::test {
namespace {

using Words = std::vector<std::string>;

/// Two clients, each of a database of its own.
struct Side : Bench {
  std::vector<Session*> clients{&session, &another(1)};
  /// What both were answered since the last time.
  Words answers() { return {take(*clients[0]), take(*clients[1])}; }
};

Words random_request(std::mt19937& random) {
  const auto pick = [&](unsigned n) { return random() % n; };
  const std::string key = "k" + std::to_string(pick(3));
  switch (pick(24)) {
    case 0: return {"LPUSH", key, "a"};
    case 1: return {"RPUSH", key, "b", "c"};
    case 2:
    case 3: return {"RPOP", key};
    case 4:
    case 5: return {"LPOP", key};
    case 6: return {"LPOP", key, "2"};
    case 7: return {"HSET", key, "f" + std::to_string(pick(3)), "v"};
    case 8: return {"HSET", key, "f"};
    case 9: return {"HMSET", key, "f", "1", "g", "2"};
    case 10: return {"SET", key, std::to_string(pick(50))};
    case 11: return {"SET", key, pick(2) == 0 ? "word" : "9223372036854775807"};
    case 12: return {"SET", key, "5", pick(2) == 0 ? "NX" : "XX"};
    case 13:
    case 14: return {"INCR", key};
    case 15: return {"INCRBY", key, "7"};
    case 16: return {"DEL", key};
    case 17: return {"PEXPIREAT", key, "9999999999999"};
    case 18: return {"RPOPLPUSH", key, "k" + std::to_string(pick(3))};
    case 19: return {"MSET", key, "1", "k0", "x"};
    case 20: return {"GET", key};
    case 21: return {"LMPOP", "1", key, "LEFT"};
    case 22: return {"LMPOP", "2", key, "k" + std::to_string(pick(3)), "RIGHT", "COUNT", "2"};
    default: return {"LLEN", key};
  }
}

TEST_CASE("engine/forecast: any pipeline is answered, logged and stored as if sent one by one") {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Side together, apart;
    for (int round = 0; round < 20; ++round) {
      const unsigned length = 1 + static_cast<unsigned>(random() % 30);
      for (unsigned i = 0; i < length; ++i) {
        const Words request = random_request(random);
        const std::size_t from = random() % 4 == 0 ? 1 : 0;
        together.submit(*together.clients[from], request);
        apart.submit(*apart.clients[from], request);
        apart.engine.finish();
      }
      REQUIRE(together.answers() == apart.answers());
      REQUIRE(together.log.texts() == apart.log.texts());
      REQUIRE(together.digest() == apart.digest());
    }
    CHECK(together.log.writes < apart.log.writes);
    CHECK(replayed(together.log) == together.digest());
  }
}

TEST_CASE("engine/forecast: a pipeline on one queue, counter or hash takes one log write") {
  const std::vector<std::pair<Words, Words>> pipelines = {
      {{"RPUSH", "k", "a", "b"}, {"LPUSH", "k", "c"}},
      {{"SET", "k", "1"}, {"INCR", "k"}},
      {{"HSET", "k", "f", "v"}, {"HSET", "k", "g", "w"}},
      {{"RPUSH", "k", "a"}, {"RPOP", "k"}}};
  for (const auto& [first, second] : pipelines) {
    CAPTURE(second[0]);
    Side side;
    side.submit(first);
    for (int i = 0; i < 500; ++i) side.submit(second);
    (void)side.take();
    CHECK(side.log.writes == 1);
  }
}

TEST_CASE("engine/forecast: what a list holds before the batch counts") {
  Side side;
  side.submit({"RPUSH", "k", "a", "b"});
  (void)side.take();
  for (int i = 0; i < 4; ++i) side.submit({"RPOP", "k"});
  CHECK(side.take() == "$1\r\nb\r\n$1\r\na\r\n_\r\n_\r\n");
  CHECK(side.log.writes == 2);
  CHECK(side.log.texts() == Words{"RPUSH k a b", "RPOP k", "RPOP k"});
}

TEST_CASE("engine/forecast: if the log write fails, what was foreseen is refused as well") {
  Side side;
  side.submit({"RPUSH", "k", "a"});
  (void)side.take();
  const std::string before = side.digest();
  side.log.next_status = {Code::no_space, "the disk is full"};
  side.submit({"RPOP", "k"});
  side.submit({"RPOP", "k"});  // nothing would be left for it
  side.submit({"RPUSH", "k", "b"});
  const std::string refusal = "-MISCONF the disk is full\r\n";
  CHECK(side.take() == refusal + refusal + refusal);
  CHECK(side.digest() == before);
}

TEST_CASE("engine/forecast: another database's key of the same name is another key") {
  Side side;
  side.submit({"RPUSH", "k", "a"});
  side.submit(*side.clients[1], {"RPOP", "k"});
  side.submit({"RPOP", "k"});
  CHECK(side.answers() == Words{":1\r\n$1\r\na\r\n", "_\r\n"});
  CHECK(side.log.texts() == Words{"RPUSH k a", "RPOP k"});
}

}  // namespace
}  // namespace kv::test
