// Frames taken apart ahead of their turn: the same requests as without, and of a child's bytes
// nothing is believed (P14).
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "libkv/process/frames_ahead.hpp"

namespace kv {
namespace {

std::string random_bytes(std::mt19937& random, std::size_t bytes_max) {
  std::string bytes(random() % (bytes_max + 1), '\0');
  for (char& c : bytes) c = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
  return bytes;
}

void append_frame(std::string& out, FrameKind kind, std::string_view payload) {
  append_header(out, {static_cast<std::uint32_t>(payload.size()), 9, kind, 0, 0});
  out.append(payload);
}

std::string payload_of(const std::vector<Scalar>& args) {
  std::string payload;
  append_arguments(payload, args);
  return payload;
}

/// What it says of one payload behind another frame, in memory that ends with it.
struct Seen {
  std::vector<Scalar> args;
  std::uint64_t key_hash, field_hash;
};
Seen seen(Keyspace& keys, std::string_view payload, std::string& bytes) {
  bytes.clear();
  append_frame(bytes, FrameKind::request, payload_of({"PING"}));
  append_frame(bytes, FrameKind::request, payload);
  bytes.shrink_to_fit();
  FramesAhead frames(keys, bytes);
  REQUIRE(frames.next() != nullptr);
  const FramesAhead::Frame* const frame = frames.next();
  REQUIRE(frame != nullptr);
  CHECK(frame->payload == payload);
  return {{frame->args().begin(), frame->args().end()}, frame->hashes.key, frame->hashes.field};
}

TEST_CASE("process/frames_ahead: requests come in order, with what read_arguments() reads (P14)") {
  Keyspace keys;
  std::mt19937 random(7);
  std::vector<std::string> payloads;
  std::string bytes;
  for (int i = 0; i < 500; ++i) {
    std::vector<std::string> words(1 + random() % 7);
    for (std::string& word : words) word = random_bytes(random, 20);
    payloads.push_back(payload_of({words.begin(), words.end()}));
    append_frame(bytes, random() % 5 == 0 ? FrameKind::part : FrameKind::request, payloads.back());
  }
  FramesAhead frames(keys, bytes);
  std::size_t taken = 0, in_place = 0;
  for (const std::string& payload : payloads) {
    const FramesAhead::Frame* const frame = frames.next();
    REQUIRE(frame != nullptr);
    CHECK(frame->header.connection == 9);
    REQUIRE(frame->payload == payload);
    taken += frame_header_bytes + payload.size();
    CHECK(frames.taken() == taken);
    std::vector<Scalar> args;
    REQUIRE(read_arguments(frame->payload, args));
    const bool few = args.size() <= frame->argv.size();
    REQUIRE((frame->argc != 0) == (few && frame->header.kind == FrameKind::request));
    if (frame->argc == 0) continue;
    ++in_place;
    CHECK(args == std::vector<Scalar>(frame->args().begin(), frame->args().end()));
  }
  CHECK(in_place > 100);
  CHECK(frames.next() == nullptr);
  CHECK_FALSE(frames.bad());
}

TEST_CASE("process/frames_ahead: a payload that is not right has no arguments (P14)") {
  Keyspace keys;
  std::string bytes;
  const std::string whole = payload_of({"HSET", "key", "field", "value"});
  CHECK(seen(keys, whole, bytes).args.size() == 4);
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    CHECK(seen(keys, std::string_view(whole).substr(0, cut), bytes).args.empty());
  }
  CHECK(seen(keys, whole + "x", bytes).args.empty());
  std::mt19937 random(1);
  std::size_t good = 0, bad = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::vector<std::string> words(random() % 6);
    for (std::string& word : words) word = random_bytes(random, 8);
    std::string payload = payload_of({words.begin(), words.end()});
    const std::size_t changed = random() % (2 * payload.size());
    if (changed < payload.size()) payload[changed] = static_cast<char>(random() % 12);
    std::vector<Scalar> args;
    const bool fine = read_arguments(payload, args) && !args.empty() && args.size() <= 4;
    const Seen got = seen(keys, payload, bytes);
    REQUIRE(got.args == (fine ? args : std::vector<Scalar>()));
    ++(fine ? good : bad);
  }
  CHECK(good > 10'000);
  CHECK(bad > 10'000);
}

TEST_CASE("process/frames_ahead: hashes are those of the second and third argument, or none") {
  Keyspace keys;
  std::string bytes;
  const auto of = [&](const std::vector<Scalar>& args) {
    return seen(keys, payload_of(args), bytes);
  };
  CHECK(of({"GET", "k"}).key_hash == hash_of("k"));
  CHECK(of({"SET", "", "v"}).key_hash == hash_of(""));
  CHECK(of({"PING"}).key_hash == 0);
  CHECK(of({"DEL", "a", "b", "c", "d"}).key_hash == 0);
  CHECK(of({"HSET", "k", "field", "v"}).field_hash == hash_of("field"));
  CHECK(of({"hget", "k", "f"}).field_hash == hash_of("f"));
  for (const std::vector<Scalar>& args :
       {std::vector<Scalar>{"HLEN", "k"}, {"SET", "k", "v"}, {"", "k", "v"}}) {
    CHECK(of(args).field_hash == 0);
  }
}

TEST_CASE("process/frames_ahead: requests on different keys do not share a hash") {
  Keyspace keys;
  std::string bytes;
  const std::vector<Scalar> names{"a", "a", "b", "a", "", "", "b"};
  for (const Scalar& name : names) {
    append_frame(bytes, FrameKind::request, payload_of({"GET", name}));
  }
  FramesAhead frames(keys, bytes);
  for (const Scalar& name : names) CHECK(frames.next()->hashes.key == hash_of(name.bytes));
}

TEST_CASE("process/frames_ahead: what is cut off waits, what is too large is bad (P14)") {
  Keyspace keys;
  std::string bytes;
  append_frame(bytes, FrameKind::request, payload_of({"GET", "k"}));
  const std::size_t first = bytes.size();
  append_frame(bytes, FrameKind::request, payload_of({"GET", "l"}));
  FramesAhead frames(keys, std::string_view(bytes).substr(0, bytes.size() - 1));
  REQUIRE(frames.next() != nullptr);
  CHECK(frames.next() == nullptr);
  CHECK(frames.taken() == first);
  CHECK_FALSE(frames.bad());
  bytes.resize(first);
  append_header(bytes, {limits::frame_bytes_max + 1, 1, FrameKind::request, 0, 0});
  FramesAhead bad(keys, bytes);
  REQUIRE(bad.next() != nullptr);
  CHECK(bad.next() == nullptr);
  CHECK(bad.bad());
}

}  // namespace
}  // namespace kv
