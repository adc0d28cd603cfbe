// Requests in pieces: whatever the pieces, the arguments are the same; lies are refused, and cost
// no more memory than has come (P11, P14).
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "libkv/keyspace/arena.hpp"
#include "libkv/process/assembly.hpp"
#include "libkv/process/bulk.hpp"
#include "libkv/process/frame.hpp"

namespace kv {
namespace {

/// Adds the arguments as a child does: heads and small ones as they are, large ones in pieces.
void add(Assembly& to, const std::vector<Scalar>& args, std::size_t piece) {
  std::string words;
  append_count(words, args);
  for (const Scalar& arg : args) {
    append_argument_head(words, arg);
    if (arg.bytes.size() < bulk_worth_bytes) {
      words.append(arg.bytes);
      continue;
    }
    to.add(words);
    words.clear();
    for (std::string_view rest = arg.bytes; !rest.empty();) {
      to.add_to_argument(rest.substr(0, piece));
      rest.remove_prefix(std::min(piece, rest.size()));
    }
  }
  to.add(words);
}

TEST_CASE("process/assembly: arguments come back from pieces of any size") {
  std::string large(3'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 11 + i / 256);
  const std::string edge(bulk_worth_bytes, 'e'), below(bulk_worth_bytes - 1, 'b');
  const std::vector<std::vector<Scalar>> requests{
      {"SET", "k", Scalar(large)},
      {Scalar(large)},
      {"SET", Scalar(edge), Scalar(edge)},
      {"MSET", "", Scalar(below), "", Scalar(edge), "k", Scalar(large, Kind::list), "x", ""},
      {"PING"}};
  for (const auto& request : requests) {
    for (const std::size_t piece : {bulk_worth_bytes, bulk_slot_bytes, large.size()}) {
      Assembly assembly;
      add(assembly, request, piece);
      std::vector<Scalar> got;
      REQUIRE(assembly.read(got));
      CHECK(got == request);
      CHECK(assembly.size() == arguments_bytes(request));
      for (const OfferedBlock& block : assembly.blocks()) CHECK(block.capacity == block.size);
    }
  }
}

TEST_CASE("process/assembly: small pieces of an argument take no block each") {
  Assembly assembly;
  const std::vector<Scalar> request{"SET", "key", "value"};
  std::string words;
  append_arguments(words, request);
  for (const char c : words) assembly.add_to_argument({&c, 1});
  std::vector<Scalar> got;
  REQUIRE(assembly.read(got));
  CHECK(got == request);
  CHECK(assembly.blocks().empty());
}

TEST_CASE("process/assembly: bytes that belong to no argument, or not to its length, are refused") {
  const std::string large(100'000, 'x');
  const std::vector<Scalar> whole{"SET", "k", Scalar(large)};
  std::string head;
  append_count(head, whole);
  for (const Scalar& arg : whole) {
    append_argument_head(head, arg);
    if (arg.bytes.size() < 10) head.append(arg.bytes);
  }
  const auto refused = [&](std::string_view before, std::size_t bytes, std::string_view after) {
    Assembly assembly;
    assembly.add(before);
    assembly.add_to_argument(std::string_view(large).substr(0, bytes));
    assembly.add(after);
    std::vector<Scalar> args;
    return !assembly.read(args);
  };
  CHECK_FALSE(refused(head, large.size(), ""));
  CHECK(refused(head, large.size() - 1, ""));                         // too few
  CHECK(refused(head, large.size() - 1, "x"));                        // the rest elsewhere
  CHECK(refused(head, large.size(), "x"));                            // something behind it
  CHECK(refused(head.substr(0, head.size() - 1), large.size(), ""));  // inside a head
  CHECK(refused("", large.size(), head));                             // before everything
  CHECK(refused(head.substr(0, 4), large.size(), head.substr(4)));
  for (std::size_t cut = 0; cut < head.size(); ++cut)
    CHECK(refused(head.substr(0, cut), large.size(), head.substr(cut)));
}

TEST_CASE("process/assembly: pieces of all kinds in any order never read outside (P14)") {
  std::mt19937 random(20261122);
  const std::string large(70'000, '\1');
  std::size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    Assembly assembly;
    for (auto pieces = random() % 4; pieces > 0; --pieces) {
      std::string piece(random() % 24, '\0');
      for (char& c : piece) c = static_cast<char>(random() % 8 == 0 ? random() : random() % 3);
      assembly.add(piece);
      const std::size_t bytes = random() % 3 == 0 ? 65'793 : random() % large.size();  // 0x010101
      if (random() % 4 == 0) assembly.add_to_argument({large.data(), bytes});
    }
    std::vector<Scalar> args;
    if (!assembly.read(args)) continue;
    ++accepted;
    std::size_t total = 0;
    for (const Scalar& arg : args) {
      for (const char c : arg.bytes) total += static_cast<unsigned char>(c) != 0xA5;
    }
    CHECK(total <= assembly.size());
  }
  CHECK(accepted > 0);
}

TEST_CASE("process/assembly: where memory ends, nothing is lost and nothing stays") {
  struct Faults {
    ~Faults() { arena().fail_at(0); }
  } faults;
  const std::string large(100'000, 'x');
  Assembly assembly;
  assembly.add("head");
  arena().fail_at(1);
  CHECK_THROWS_AS(assembly.add_to_argument(large), std::bad_alloc);
  assembly.clear();
  CHECK(assembly.size() == 0);
  const std::vector<Scalar> request{"SET", "k", Scalar(large)};
  add(assembly, request, large.size());
  std::vector<Scalar> got;
  REQUIRE(assembly.read(got));
  CHECK(got == request);
}

}  // namespace
}  // namespace kv
