// A tiny server for the tests of persistence: sixteen databases, a handful of commands, the log and
// an oracle that remembers what was acknowledged. No protocol, no process.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "libkv/base/clock.hpp"
#include "libkv/keyspace/digest.hpp"
#include "libkv/keyspace/keyspace.hpp"
#include "persistence/persistence.hpp"
#include "tests/unit/fault_env.hpp"

namespace kv::test {

using Words = std::vector<std::string>;

/// The databases and the commands SET, INCR, RPUSH, HSET, DEL, EXPIREAT (milliseconds).
class TestData {
 public:
  TestData() {
    for (auto& database : databases_) database = std::make_unique<Keyspace>();
  }
  Replay replay() {
    Replay r;
    r.database = [this](unsigned n) {
      return n < databases_.size() ? databases_[n].get() : nullptr;
    };
    r.apply = [this](std::int64_t time_ns, unsigned database, Dialect,
                     std::span<const Scalar> args) {
      ++applied;
      return apply(time_ns, database, args);
    };
    return r;
  }
  Status apply(std::int64_t time_ns, unsigned database, std::span<const Scalar> args);
  std::vector<Keyspace*> pointers() {
    std::vector<Keyspace*> all;
    for (auto& database : databases_) all.push_back(database.get());
    return all;
  }
  std::string digest() { return dataset_digest(pointers()); }
  std::string get(std::string_view key, unsigned database = 0);
  Keyspace& database(unsigned n) { return *databases_[n]; }
  std::size_t keys() const;
  std::uint64_t applied = 0;

 private:
  std::array<std::unique_ptr<Keyspace>, 16> databases_;
};

/// A server with its data. write() says whether it was acknowledged.
class TestServer {
 public:
  TestServer(Env& env, PersistenceSettings settings = {}) : env_(env), settings_(settings) {
    if (settings_.folder == ".") settings_.folder = "data";
  }
  Status start();
  Status write(const Words& words, unsigned database = 0, std::int64_t wall_ns = 0);
  Status save();
  Persistence& store() { return *store_; }
  TestData& data() { return data_; }
  std::string digest() { return data_.digest(); }
  /// Digests after each acknowledged write, the first one before any: what a restart may find.
  const std::vector<std::string>& history() const { return history_; }
  std::size_t acknowledged() const { return acknowledged_; }

 private:
  Env& env_;
  PersistenceSettings settings_;
  TestData data_;
  std::unique_ptr<Persistence> store_;
  std::vector<std::string> history_;
  std::size_t acknowledged_ = 0;
};

/// What a start from a folder gives: its digest, or the sentence of its refusal.
struct Start {
  Status status;
  std::string digest;
  std::uint64_t lines = 0, keys = 0;
  std::vector<std::string> notes;
  std::size_t keys_there = 0;
};
Start start_from(Env& env, PersistenceSettings settings = {});

PersistenceSettings with(Fsync fsync, SnapshotFormat format = SnapshotFormat::text);

}  // namespace kv::test
