// What the log relies on, checked for every write command over random states: a write reaches
// commit() if and only if it changes something, its trial run changes nothing, and running the
// committed ones again, without a trial, gives the same state.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "libkv/keyspace/digest.hpp"
#include "tests/unit/command_talk.hpp"

namespace {

using namespace std::string_view_literals;

using kv::Command;
using kv::Dialect;
using kv::Keyspace;
using kv::Scalar;
using kv::test::FakeClient;
using kv::test::FakeServices;

// %k a key, %v a value never used before, %e an element used lately, %w a string used lately, %n a
// small number, %t a time never used before (seconds). Shapes that store use %v, so that a stored
// value is always another one. The fields of a BITFIELD lie apart: what its operations undo is
// still a write.
// "!" in front: PLIO alone. "?" in front: rarely, because it empties everything.
// clang-format off
constexpr std::string_view shapes[] = {
    "SET %k %v", "SET %k %v NX", "SET %k %v XX GET", "SET %k %v EX %t", "SET %k %v KEEPTTL",
    "SET %k N:%t000", "SET %k", "!SET %k NIL", "SETNX %k %v", "SETEX %k %t %v", "SETEX %k 0 %v",
    "PSETEX %k %t000 %v", "PSETEX %k x %v", "GETSET %k %v", "!GETSET %k NIL", "GETDEL %k",
    "SET %k %v IFEQ %w", "DELIFEQ %k %w",
    "GETEX %k", "GETEX %k PERSIST", "GETEX %k EX %t", "GETEX %k PXAT 1", "MSET %k %v %k %v",
    "MSET %stats%/x %v", "MSETNX %k %v %k %v", "APPEND %k %v", "APPEND %k ''",
    "SETRANGE %k %n %v", "SETRANGE %k %n ''", "INCR %k", "INCRBY %k %n", "DECR %k",
    "DECRBY %k %n", "INCRBYFLOAT %k 0.5", "INCRBYFLOAT %k 0",
    "SETBIT %k %n 1", "SETBIT %k %n 0", "SETBIT %k 9%n 1", "BITOP AND %k %k %k",
    "BITOP XOR %k %k %k", "BITOP NOT %k %k", "BITFIELD %k SET u5 %n %n INCRBY i9 40 %n",
    "BITFIELD %k GET u8 0", "BITFIELD %k OVERFLOW FAIL INCRBY u2 %n 3 GET u4 1",
    "BITFIELD %k OVERFLOW SAT SET i4 %n 99 INCRBY u3 #30 -9",
    "LPUSH %k %v %v %v", "RPUSH %k %v %v %v", "LPUSH %k %v", "RPUSH %k %v", "LPUSHX %k %v",
    "RPUSHX %k %v", "LPOP %k", "RPOP %k", "LPOP %k %n", "RPOP %k %n", "LSET %k %n %v",
    "LSET %k -1 %v", "LREM %k 0 %e", "LREM %k %n %e", "LTRIM %k %n %n", "LTRIM %k 0 -1",
    "LTRIM %k 0 2", "LTRIM %k 1 9", "LINSERT %k BEFORE %e %v", "LINSERT %k AFTER %e %v",
    "RPOPLPUSH %k %k", "RPOLRPUSH %k %k", "LPOPRPUSH %k %k", "LMOVE %k %k LEFT RIGHT",
    "LMOVE %k %k LEFT LEFT", "LMPOP 2 %k %k LEFT COUNT %n", "LMPOP 2 %k %k RIGHT",
    "BLPOP %k %k 0", "BRPOP %k 0", "BLMOVE %k %k LEFT RIGHT 0", "BRPOPLPUSH %k %k 0",
    "BLMPOP 0 2 %k %k LEFT",
    "HSET %k f%n %v", "HSET %k f%n %v f%n %v", "HMSET %k f%n %v", "HSETNX %k f%n %v",
    "HDEL %k f%n", "HDEL %k f%n f%n f%n", "HINCRBY %k n %n", "HINCRBYFLOAT %k d 0.25",
    "HINCRBYFLOAT %k d 0", "HINCRBY %k f%n 1",
    "SADD %k m%n", "SADD %k m%n m%n %v", "SADD %k m0 m1 m2 m3", "SREM %k m%n", "SREM %k m%n m%n",
    "SMOVE %k %k m%n", "SPOP %k", "SPOP %k %n", "SINTERSTORE %k %k %k", "SUNIONSTORE %k %k %k",
    "SDIFFSTORE %k %k %k", "SINTERSTORE %k %k", "SPOP %k 99",
    "ZADD %k %t m%n", "ZADD %k %n m%n", "ZADD %k NX %n m%n", "ZADD %k CH %t m%n %t m%n",
    "ZADD %k XX GT %t m%n", "ZADD %k LT CH 1 m%n", "ZADD %k INCR %n m%n", "ZADD %k 0 m%n 0 x%n",
    "ZINCRBY %k %n m%n", "ZREM %k m%n m%n", "ZREM %k m%n", "ZPOPMIN %k", "ZPOPMAX %k %n",
    "ZMPOP 2 %k %k MIN", "ZMPOP 2 %k %k MAX COUNT 2", "BZPOPMIN %k %k 0", "BZPOPMAX %k 0",
    "BZMPOP 0 2 %k %k MAX", "ZREMRANGEBYRANK %k %n %n", "ZREMRANGEBYSCORE %k %n %n",
    "ZREMRANGEBYLEX %k [m1 [m%n", "ZRANGESTORE %k %k %n 9", "ZRANGESTORE %k %k 1 inf BYSCORE",
    "ZUNIONSTORE %k 2 %k %k", "ZINTERSTORE %k 2 %k %k", "ZDIFFSTORE %k 2 %k %k",
    "DEL %k", "DEL %k %k %k", "DEL %stats%/x %k", "SET %stats%/x %v", "UNLINK %k %k",
    "RENAME %k %k", "RENAMENX %k %k", "COPY %k %k", "COPY %k %k REPLACE", "COPY %k %k DB 1",
    "MOVE %k 1", "?SWAPDB 0 1", "SWAPDB 0 0", "?FLUSHDB", "?FLUSHALL", "FLUSHDB x", "FLUSHALL x",
    "EXPIRE %k %t", "EXPIRE %k %t GT", "EXPIRE %k %t XX", "EXPIRE %k -1", "PEXPIRE %k 1 LT",
    "PEXPIRE %k %t000", "EXPIREAT %k 1", "EXPIREAT %k 1800000%t", "PEXPIREAT %k 1800000%t000",
    "PEXPIREAT %k 5", "PERSIST %k", "INCR %stats%/x", "RESTORE %k 0 %v REPLACE",
    "RESTORE %k %t \0\5hello\b\0\xda_3\xc9\xcc-\xaa" "2 REPLACE"sv,
    "RESTORE %k %t \0\5hello\b\0\xda_3\xc9\xcc-\xaa" "2"sv,
    "RESTORE %k 1 \0\5hello\b\0\xda_3\xc9\xcc-\xaa" "2 ABSTTL REPLACE"sv,
};
// clang-format on

/// Everything a server holds as of now, as text: keys, types, kinds, values, ends, in order.
std::string state_of(FakeServices& server, std::int64_t now_ms) {
  std::map<std::string, std::string> lines;
  for (unsigned n = 0; n < server.databases(); ++n) {
    Keyspace& keys = server.database(n);
    keys.for_each([&](const Keyspace::Item& item) {
      if (item.expiry_ms && *item.expiry_ms <= now_ms) return true;
      kv::Place place = item.place;
      std::string text(kv::type_name(item.type));
      if (item.expiry_ms) text += " until " + std::to_string(*item.expiry_ms);
      const auto add = [&](const Scalar& s) {
        text += " " + std::to_string(static_cast<int>(s.kind)) + kv::quoted(s.bytes);
      };
      if (item.type == kv::Type::zset) {
        keys.sorted_set(place).visit(0, SIZE_MAX, kv::Direction::up, [&](const auto& element) {
          return add(element.member), add(Scalar(kv::format_decimal(element.score))), true;
        });
      }
      std::set<std::string> fields;  // their order is not part of the state
      if (item.type == kv::Type::string) add(keys.string(place));
      if (item.type == kv::Type::list) {
        const kv::List list = keys.list(place);
        list.visit(0, list.size(), [&](const Scalar& s) { return add(s), true; });
      }
      if (item.type == kv::Type::hash) {
        keys.hash(place).visit([&](const kv::Hash::Pair& pair) {
          const std::string head = text;
          text.clear();
          add(pair.field), add(pair.value);
          fields.insert(text);
          text = head;
          return true;
        });
      }
      if (item.type == kv::Type::set) {  // their order is: SPOP draws by it
        keys.set(place).visit([&](const Scalar& s) { return add(s), true; });
      }
      for (const std::string& field : fields) text += field;
      lines[std::to_string(n) + " " + std::string(item.key)] = text;
      return true;
    });
  }
  std::string all;
  for (const auto& [key, text] : lines) all += key + ": " + text + "\n";
  return all;
}

std::string digest_of(FakeServices& server) {
  std::vector<Keyspace*> databases;
  for (unsigned n = 0; n < server.databases(); ++n) databases.push_back(&server.database(n));
  return kv::dataset_digest(databases);
}

/// A stream of requests, the same for the same seed.
class Requests {
 public:
  explicit Requests(unsigned seed) : dice_(seed) {}

  std::string next(Dialect dialect) {
    std::string_view shape = shapes[roll(std::size(shapes))];
    const bool other = shape[0] == '!' && dialect == Dialect::resp;
    const bool rare = shape[0] == '?' && roll(20) != 0;
    if (other || rare) return next(dialect);
    if (shape[0] == '!' || shape[0] == '?') shape.remove_prefix(1);
    std::string line;
    const bool of_zset = shape[0] == 'Z' || shape.starts_with("BZ");
    const bool of_list = shape[0] == 'L' || shape.starts_with("BL") || shape.starts_with("BR") ||
                         shape.starts_with("RP");
    family_ = of_zset ? 'z' : of_list ? 'l' : shape[0] == 'H' ? 'h' : is_of_set(shape) ? 't' : 's';
    while (!shape.empty()) {
      const bool mark = shape.size() > 1 && shape[0] == '%' &&
                        std::string_view("kventw").find(shape[1]) != shape.npos;
      if (mark) line += fill(shape[1]);
      else line += shape[0];
      shape.remove_prefix(mark ? 2 : 1);
    }
    return line;
  }
  std::size_t roll(std::size_t sides) { return dice_() % sides; }

 private:
  static bool is_of_set(std::string_view shape) {
    constexpr std::string_view words[] = {"SA", "SREM", "SM", "SP", "SI", "SU", "SD"};
    return std::any_of(std::begin(words), std::end(words),
                       [shape](std::string_view word) { return shape.starts_with(word); });
  }
  std::string fill(char what) {
    switch (what) {
      case 'k': return key();
      case 'n': return std::to_string(roll(4));
      case 't': return std::to_string(1000 + ++times_);
      case 'e': return pushed_[roll(pushed_.size())];
      case 'w': return set_[roll(set_.size())];
      default: break;
    }
    std::string value = "v" + std::to_string(10000 + ++values_);
    if (family_ == 'l') pushed_[roll(pushed_.size())] = value;
    if (family_ == 's') set_[values_ % set_.size()] = value;
    return value;
  }
  /// Mostly one that holds what the command is for.
  std::string key() {
    const char family = roll(4) == 0 ? "slhtz"[roll(5)] : family_;
    return family + std::to_string(roll(3));
  }

  std::mt19937 dice_;
  char family_ = 's';
  std::size_t values_ = 0, times_ = 0;
  std::vector<std::string> pushed_ = std::vector<std::string>(8, "v1");
  std::array<std::string, 6> set_;
};

struct Logged {
  std::int64_t now_ns;
  Dialect dialect;
  std::string line;
};

/// A key that is past its time may still be counted, and equal values may be copied or stored: for
/// these a commit may change nothing that can be seen.
const std::set<std::string_view> may_change_nothing = {
    "copy",       "flushdb",     "flushall",    "swapdb",      "sinterstore", "sunionstore",
    "sdiffstore", "zrangestore", "zunionstore", "zinterstore", "zdiffstore"};

bool is_data_write(const Command& command) {
  static const std::set<std::string_view> whole = {"flushdb", "flushall", "swapdb"};
  const bool data = command.group <= kv::Group::generic || whole.count(command.name) != 0;
  return data && (command.flags & kv::kWrite) != 0;
}

void check_one(FakeServices& server, FakeClient& client, const std::string& line) {
  INFO(line << (client.session.dialect == Dialect::plio ? " (PLIO)" : " (RESP)"));
  const std::int64_t now_ms = client.now_ns / 1'000'000;
  // Keys past their time would be in the digest; half of the requests find some, the others none.
  const bool tidy = client.now_ns % 2 == 0;
  for (unsigned n = 0; tidy && n < server.databases(); ++n) {
    server.database(n).expire_some(now_ms, SIZE_MAX);
  }
  const std::string before = state_of(server, now_ms);
  const std::string digest = digest_of(server);
  client.trial_only = true;
  client(line);
  const bool would = client.committed;
  REQUIRE(state_of(server, now_ms) == before);
  if (tidy) CHECK(digest_of(server) == digest);
  client.trial_only = false;
  client(line);
  const std::string after = state_of(server, now_ms);
  REQUIRE(client.committed == would);
  if (!client.committed) REQUIRE(after == before);
  const std::string_view word = std::string_view(line).substr(0, line.find(' '));
  if (client.committed && may_change_nothing.count(kv::find_command(word)->name) == 0) {
    REQUIRE(after != before);
  }
}

TEST_CASE("commands/writes: commit if and only if something changes; the log replays exactly") {
  const unsigned seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  FakeServices server(2), again(2);
  FakeClient resp(server), plio(server, Dialect::plio);
  Requests requests(seed);
  std::vector<Logged> log;
  std::map<std::string_view, std::pair<int, int>> seen;  // committed, not committed
  for (int i = 0; i < 30'000; ++i) {
    FakeClient& client = requests.roll(2) == 0 ? resp : plio;
    resp.now_ns = plio.now_ns += static_cast<std::int64_t>(requests.roll(400'000'000));
    const std::string line = requests.next(client.session.dialect);
    check_one(server, client, line);
    const Command* command = kv::find_command(line.substr(0, line.find(' ')));
    ++(client.committed ? seen[command->name].first : seen[command->name].second);
    if (client.committed) log.push_back({client.now_ns, client.session.dialect, line});
  }
  for (const Command* row : kv::all_commands()) {
    INFO(row->name << " needs shapes that change something and shapes that do not");
    if (is_data_write(*row)) CHECK((seen[row->name].first > 0 && seen[row->name].second > 0));
  }
  FakeClient resp2(again), plio2(again, Dialect::plio);
  for (const Logged& entry : log) {
    FakeClient& client = entry.dialect == Dialect::plio ? plio2 : resp2;
    client.now_ns = entry.now_ns;
    client.without_trial = true;
    client(entry.line);
  }
  CHECK(state_of(again, resp.now_ns / 1'000'000) == state_of(server, resp.now_ns / 1'000'000));
}

}  // namespace
