// Databases that are thrown away: for reading files that do not count at the moment.
#pragma once

#include <map>
#include <memory>

#include "libkv/keyspace/keyspace.hpp"
#include "persistence/persistence.hpp"

namespace kv {

class Scratch {
 public:
  /// Valid while this object lives. Commands are not executed.
  Replay replay() {
    Replay r;
    r.database = [this](unsigned number) {
      auto& database = databases_[number];
      if (database == nullptr) database = std::make_unique<Keyspace>();
      return database.get();
    };
    r.apply = [](std::int64_t, unsigned, Dialect, std::span<const Scalar>) { return Status{}; };
    return r;
  }
  std::uint64_t keys() const {
    std::uint64_t all = 0;
    for (const auto& [number, database] : databases_) all += database->size();
    return all;
  }

 private:
  std::map<unsigned, std::unique_ptr<Keyspace>> databases_;
};

}  // namespace kv
