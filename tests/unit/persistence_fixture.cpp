// See persistence_fixture.hpp.
#include "tests/unit/persistence_fixture.hpp"

#include "libkv/base/text.hpp"

namespace kv::test {

Status TestData::apply(std::int64_t time_ns, unsigned number, std::span<const Scalar> args) {
  Keyspace& keys = *databases_.at(number);
  const std::string_view command = args[0].bytes;
  Place place = keys.locate(args[1].bytes, time_ns / 1'000'000);
  if (command == "SET") {
    keys.set_string(place, args[2]);
  } else if (command == "INCR") {
    std::int64_t n = 0;
    if (place.found()) parse_integer(keys.string(place).bytes, n);
    keys.set_string(place, Scalar(std::to_string(n + 1)));
  } else if (command == "RPUSH") {
    List list = place.found() ? keys.list(place) : keys.make_list(place);
    for (const Scalar& element : args.subspan(2)) list.push_back(element);
  } else if (command == "HSET") {
    Hash hash = place.found() ? keys.hash(place) : keys.make_hash(place);
    for (std::size_t i = 2; i + 1 < args.size(); i += 2) hash.set(args[i], args[i + 1]);
  } else if (command == "DEL") {
    if (place.found()) keys.erase(place);
  } else if (command == "EXPIREAT") {
    std::int64_t at_ms = 0;
    parse_integer(args[2].bytes, at_ms);
    if (place.found()) keys.set_expiry(place, at_ms);
  } else {
    return {Code::unsupported, "unknown command"};
  }
  return {};
}

std::string TestData::get(std::string_view key, unsigned number) {
  Keyspace& keys = *databases_.at(number);
  const Place place = keys.peek(key, 0);
  return place.found() && keys.type(place) == Type::string ? std::string(keys.string(place).bytes)
                                                           : std::string("(none)");
}

std::size_t TestData::keys() const {
  std::size_t all = 0;
  for (const auto& database : databases_) all += database->size();
  return all;
}

Status TestServer::start() {
  Result<std::unique_ptr<Persistence>> opened = Persistence::open(env_, settings_, data_.replay());
  if (!opened) return opened.status();
  store_ = std::move(*opened);
  history_.push_back(digest());
  return {};
}

Status TestServer::write(const Words& words, unsigned database, std::int64_t wall) {
  std::vector<Scalar> args(words.begin(), words.end());
  WriteLog& log = store_->log();
  const std::int64_t time_ns = log.next_time(wall != 0 ? wall : wall_ns());
  log.add(time_ns, database, Dialect::resp, args);
  if (Status s = log.write(); !s) return s;
  ++acknowledged_;
  if (Status s = data_.apply(time_ns, database, args); !s) return s;
  history_.push_back(digest());
  return {};
}

Status TestServer::save() {
  Result<SaveJob> job = store_->begin_save();
  if (!job) return job.status();
  const Status status = job->run(env_, data_.pointers());
  store_->save_finished(status);
  return status;
}

Start start_from(Env& env, PersistenceSettings settings) {
  Start result;
  if (settings.folder == ".") settings.folder = "data";
  TestData data;
  Result<std::unique_ptr<Persistence>> opened = Persistence::open(env, settings, data.replay());
  result.status = opened.status();
  result.digest = data.digest();
  result.keys_there = data.keys();
  if (!opened) return result;
  result.lines = (*opened)->recovery().lines;
  result.keys = (*opened)->recovery().keys;
  result.notes = (*opened)->recovery().notes;
  return result;
}

PersistenceSettings with(Fsync fsync, SnapshotFormat format) {
  PersistenceSettings settings;
  settings.folder = "data";
  settings.fsync = fsync;
  settings.format = format;
  return settings;
}

}  // namespace kv::test
