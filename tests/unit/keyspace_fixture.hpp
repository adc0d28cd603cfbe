// What the keyspace tests share: short ways to fill a Keyspace and to read it back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/keyspace/keyspace.hpp"

namespace kv::keyspace_test {

inline constexpr std::int64_t t0 = 1'700'000'000'000;

inline std::string big(std::size_t bytes, char c = 'x') { return std::string(bytes, c); }

inline void set(Keyspace& db, std::string_view key, const Scalar& value) {
  Place p = db.locate(key, t0);
  db.set_string(p, value);
}
inline std::string get(Keyspace& db, std::string_view key, std::int64_t now = t0) {
  const Place p = db.locate(key, now);
  return p.found() ? std::string(db.string(p).bytes) : "(absent)";
}
inline void rpush(Keyspace& db, std::string_view key, const std::vector<std::string>& elements) {
  Place p = db.locate(key, t0);
  List list = db.make_list(p);
  for (const std::string& e : elements) list.push_back(Scalar(e));
}
inline void hset(Keyspace& db, std::string_view key, std::string_view field,
                 std::string_view value) {
  Place p = db.locate(key, t0);
  db.make_hash(p).set(Scalar(field), Scalar(value));
}
inline void sadd(Keyspace& db, std::string_view key, const std::vector<std::string>& members) {
  Place p = db.locate(key, t0);
  for (const std::string& member : members) db.make_set(p).add(Scalar(member));
}
inline std::vector<std::string> elements(Keyspace& db, std::string_view key) {
  Place p = db.locate(key, t0);
  std::vector<std::string> all;
  db.list(p).visit(0, SIZE_MAX, [&all](const Scalar& s) {
    all.emplace_back(s.bytes);
    return true;
  });
  return all;
}
inline std::string encoding(Keyspace& db, std::string_view key) {
  return std::string(db.encoding(db.peek(key, t0)));
}

}  // namespace kv::keyspace_test
