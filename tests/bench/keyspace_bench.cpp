// What a Keyspace costs: resident bytes and nanoseconds an operation, beside a redis-server that
// holds the same data. Each case runs in a process of its own, so that memory is counted cleanly.
//
//   keyspace_bench [--no-redis] [case ...]     cases: strings hashes list hash growth expiry
//
// Build: g++ -std=c++20 -O2 -I. tests/bench/keyspace_bench.cpp LIBKV.a -lz -ldeflate
//        -o keyspace_bench
//
// Starts redis-server on a free loopback port, without files, and ends it by its
// pid.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "libkv/keyspace/keyspace.hpp"
#include "libkv/keyspace/siphash.hpp"

namespace {

using kv::Keyspace;
using kv::Place;
using kv::Scalar;

constexpr std::int64_t now_ms = 1'700'000'000'000;
constexpr std::size_t million = 1'000'000;

/// Resident bytes of a process's own memory, pages of its program file and libraries excluded.
std::size_t resident(const std::string& pid = "self") {
  std::ifstream file("/proc/" + pid + "/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("RssAnon:", 0) == 0) {
      return std::strtoull(line.c_str() + 8, nullptr, 10) * 1024;
    }
  }
  return 0;
}

/// Processor time of this process: pauses are the keyspace's own then, page faults included, not
/// the turns of other processes.
double cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

/// Numbers 0..n-1 in an order without pattern (n is a power of ten, the factor prime to it).
std::size_t scattered(std::size_t i, std::size_t n) { return (i * 7'368'787 + 12'345) % n; }
std::size_t scattered_again(std::size_t i, std::size_t n) { return (i * 3'141'593 + 271'828) % n; }

std::string key_of(std::size_t i) {  // 16 bytes
  char text[32];
  std::snprintf(text, sizeof text, "key:%012zu", i);
  return text;
}
std::string value_of(std::size_t i) {  // 32 bytes
  char text[48];
  std::snprintf(text, sizeof text, "value:%026zu", i);
  return text;
}
std::string element_of(std::size_t i) { return "element:" + std::to_string(i); }
std::string field_of(std::size_t i) { return "field:" + std::to_string(i); }

/// All keys made beforehand and used in this order, so that neither making nor fetching them is
/// measured.
std::vector<std::string> keys(std::size_t n, std::size_t (*order)(std::size_t, std::size_t)) {
  std::vector<std::string> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = key_of(order(i, n));
  return all;
}

void row(const char* what, double value, const char* unit) {
  std::printf("  %-46s %12.1f %s\n", what, value, unit);
  std::fflush(stdout);
}

template <class F>
void timed(const char* what, std::size_t n, F&& one) {
  const double start = cpu_ns();
  for (std::size_t i = 0; i < n; ++i) one(i);
  row(what, (cpu_ns() - start) / static_cast<double>(n), "ns");
}

// --- the cases ---

void strings(std::size_t n) {
  Keyspace db;
  const std::vector<std::string> names = keys(n, scattered);
  const std::vector<std::string> random = keys(n, scattered_again);  // another order
  std::vector<std::string> others = random;
  for (std::string& name : others) name[2] = 'x';
  const std::string value = value_of(7);
  const std::size_t before = resident();
  timed("SET of a new key", n, [&](std::size_t i) {
    Place p = db.locate(names[i], now_ms);
    db.set_string(p, Scalar(value));
  });
  row("resident bytes a key", static_cast<double>(resident() - before) / static_cast<double>(n),
      "");
  row("counted bytes a key", static_cast<double>(db.memory_bytes()) / static_cast<double>(n), "");
  std::size_t found = 0;
  timed("locate, random key", n,
        [&](std::size_t i) { found += db.locate(random[i], now_ms).found() ? 1 : 0; });
  timed("locate, absent key", n,
        [&](std::size_t i) { found += db.locate(others[i], now_ms).found() ? 1 : 0; });
  constexpr std::size_t batch = 16;
  timed("locate, random key, prefetched 16 ahead", n - batch, [&](std::size_t i) {
    db.prefetch(kv::hash_of(random[i + batch]));
    found += db.locate(random[i], now_ms).found() ? 1 : 0;
  });
  timed("SET over a random key", n, [&](std::size_t i) {
    Place p = db.locate(random[i], now_ms);
    db.set_string(p, Scalar(value));
  });
  std::size_t bytes = 0;
  const double start = cpu_ns();
  db.for_each([&](const Keyspace::Item& item) {
    bytes += item.key.size() + db.string(item.place).bytes.size();
    return true;
  });
  row("walk over all keys, a key", (cpu_ns() - start) / static_cast<double>(n), "ns");
  if (bytes != n * 48 || found == 0) std::abort();
  timed("DEL of a random key", n, [&](std::size_t i) {
    Place p = db.peek(random[i], now_ms);
    db.erase(p);
  });
  row("resident bytes left after all DEL, a key",
      static_cast<double>(resident()) / static_cast<double>(n) -
          static_cast<double>(before) / static_cast<double>(n),
      "");
}

void hashes(std::size_t n) {
  Keyspace db;
  const std::vector<std::string> names = keys(n, scattered);
  const std::vector<std::string> random = keys(n, scattered_again);
  const std::size_t before = resident();
  timed("HSET of 5 fields", n, [&](std::size_t i) {
    Place p = db.locate(names[i], now_ms);
    kv::Hash hash = db.make_hash(p);
    for (std::size_t f = 0; f < 5; ++f)
      hash.set(Scalar(field_of(f)), Scalar("value:" + std::to_string(f)));
  });
  row("resident bytes a hash", static_cast<double>(resident() - before) / static_cast<double>(n),
      "");
  timed("HGET", n, [&](std::size_t i) {
    Place p = db.locate(random[i], now_ms);
    if (!db.hash(p).get("field:3")) std::abort();
  });
}

void list(std::size_t n) {
  Keyspace db;
  const std::size_t before = resident();
  Place p = db.locate("list", now_ms);
  timed("RPUSH", n, [&](std::size_t i) {
    Place place = db.locate("list", now_ms);
    db.make_list(place).push_back(Scalar(element_of(i)));
  });
  p = db.locate("list", now_ms);
  row("resident bytes an element",
      static_cast<double>(resident() - before) / static_cast<double>(n), "");
  kv::List all = db.list(p);
  timed("LINDEX, random", 100'000, [&](std::size_t i) {
    if (all.at(scattered(i, n)).bytes.empty()) std::abort();
  });
  std::size_t bytes = 0;
  const auto add = [&bytes](const Scalar& element) {
    bytes += element.bytes.size();
    return true;
  };
  timed("LRANGE of 100, random", 20'000,
        [&](std::size_t i) { all.visit(scattered(i, n), 100, add); });
  timed("LRANGE of all", 5, [&](std::size_t) { all.visit(0, n, add); });
  if (bytes == 0) std::abort();
  timed("LINSERT at a random index", 100'000,
        [&](std::size_t i) { all.insert(scattered(i, n), Scalar("inserted")); });
  timed("LPUSH + RPOP", n, [&](std::size_t) {
    all.push_front(Scalar("pushed in front"));
    all.pop_back();
  });
  timed("LPOP", all.size(), [&](std::size_t) { all.pop_front(); });
}

void hash(std::size_t n) {
  Keyspace db;
  const std::size_t before = resident();
  timed("HSET of a new field", n, [&](std::size_t i) {
    Place p = db.locate("hash", now_ms);
    db.make_hash(p).set(Scalar(field_of(scattered(i, n))), Scalar(element_of(i)));
  });
  row("resident bytes a field", static_cast<double>(resident() - before) / static_cast<double>(n),
      "");
  timed("HGET, random", n, [&](std::size_t i) {
    Place p = db.locate("hash", now_ms);
    if (!db.hash(p).get(field_of(scattered(i, n)))) std::abort();
  });
}

void growth(std::size_t n) {
  Keyspace db;
  std::vector<double> pauses;
  double longest = 0;
  char key[32];
  for (std::size_t i = 0; i < n; ++i) {
    std::snprintf(key, sizeof key, "key:%012zu", i);
    const double start = cpu_ns();
    Place p = db.locate(key, now_ms);
    db.set_string(p, Scalar("value:00000000000000000000000000"));
    const double ns = cpu_ns() - start;
    longest = std::max(longest, ns);
    if (ns > 50'000) pauses.push_back(ns);
  }
  std::sort(pauses.begin(), pauses.end());
  row("longest single insert, processor time", longest / 1000, "us");
  row("inserts over 50 us", static_cast<double>(pauses.size()), "");
  if (pauses.size() > 10) row("the tenth longest", pauses[pauses.size() - 10] / 1000, "us");
  double walk = 0;
  std::uint64_t cursor = 0;
  std::size_t seen = 0;
  do {
    const double start = cpu_ns();
    cursor = db.scan(cursor, 100, [&](const Keyspace::Item&) { ++seen; });
    walk = std::max(walk, cpu_ns() - start);
  } while (cursor != 0);
  if (seen != n) std::abort();
  row("longest SCAN of 100", walk / 1000, "us");
  row("resident bytes a key", static_cast<double>(resident()) / static_cast<double>(n), "");
}

void expiry(std::size_t n) {
  Keyspace db;
  const std::vector<std::string> names = keys(n, scattered);
  const std::size_t before = resident();
  timed("SET + PEXPIREAT, random times", n, [&](std::size_t i) {
    Place p = db.locate(names[i], now_ms);
    db.set_string(p, Scalar("value:00000000000000000000000000"));
    db.set_expiry(p, now_ms + 1 + static_cast<std::int64_t>(scattered(i * 3, n)));
  });
  row("resident bytes a key", static_cast<double>(resident() - before) / static_cast<double>(n),
      "");
  const double start = cpu_ns();
  std::size_t gone = 0;
  for (std::int64_t t = now_ms; gone < n; t += 100) gone += db.expire_some(t, n);
  row("expire_some, a key", (cpu_ns() - start) / static_cast<double>(n), "ns");
}

// --- the same data in a redis-server ---

class Redis {
 public:
  Redis() {
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(s, reinterpret_cast<sockaddr*>(&address), length) != 0) std::abort();
    getsockname(s, reinterpret_cast<sockaddr*>(&address), &length);
    close(s);
    port_ = std::to_string(ntohs(address.sin_port));
    pid_ = fork();
    if (pid_ == 0) {
      if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(127);
      execlp("redis-server", "redis-server", "--port", port_.c_str(), "--bind", "127.0.0.1",
             "--save", "", "--appendonly", "no", static_cast<char*>(nullptr));
      _exit(127);
    }
    const std::string ping = "redis-cli -p " + port_ + " ping >/dev/null 2>&1";
    for (int i = 0; i < 100 && std::system(ping.c_str()) != 0; ++i) usleep(50'000);
    baseline_ = resident(std::to_string(pid_));
  }
  ~Redis() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  /// Resident bytes more than when it was empty, after the commands that fill() writes.
  std::size_t fill(const std::function<void(FILE*)>& write) {
    FILE* pipe = popen(("redis-cli -p " + port_ + " --pipe >/dev/null").c_str(), "w");
    if (pipe == nullptr) return 0;
    write(pipe);
    pclose(pipe);
    return resident(std::to_string(pid_)) - baseline_;
  }

 private:
  std::string port_;
  pid_t pid_ = -1;
  std::size_t baseline_ = 0;
};

void command(FILE* to, const std::vector<std::string>& words) {
  std::fprintf(to, "*%zu\r\n", words.size());
  for (const std::string& w : words) std::fprintf(to, "$%zu\r\n%s\r\n", w.size(), w.c_str());
}

void redis_row(std::size_t n, const std::function<void(FILE*, std::size_t)>& one) {
  const std::size_t bytes = Redis().fill([&](FILE* to) {
    for (std::size_t i = 0; i < n; ++i) one(to, i);
  });
  row("redis-server: resident bytes each", static_cast<double>(bytes) / static_cast<double>(n), "");
}

struct Case {
  const char* name;
  std::size_t n;
  void (*run)(std::size_t);
  std::function<void(FILE*, std::size_t)> redis;
};

std::vector<Case> all_cases() {
  return {
      {"strings", million, strings,
       [](FILE* to, std::size_t i) {
         command(to, {"SET", key_of(i), value_of(7)});
       }},
      {"hashes", million, hashes,
       [](FILE* to, std::size_t i) {
         std::vector<std::string> words{"HSET", key_of(i)};
         for (std::size_t f = 0; f < 5; ++f) {
           words.push_back(field_of(f));
           words.push_back("value:" + std::to_string(f));
         }
         command(to, words);
       }},
      {"list", million, list,
       [](FILE* to, std::size_t i) {
         command(to, {"RPUSH", "list", element_of(i)});
       }},
      {"hash", million, hash,
       [](FILE* to, std::size_t i) {
         command(to, {"HSET", "hash", field_of(i), element_of(i)});
       }},
      {"growth", 10 * million, growth, nullptr},
      {"expiry", million, expiry,
       [](FILE* to, std::size_t i) {
         command(to, {"SET", key_of(i), value_of(7), "EX", std::to_string(10'000 + i)});
       }},
  };
}

}  // namespace

int main(int argc, char** argv) {
  bool with_redis = true;
  std::vector<std::string> chosen;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--no-redis") == 0) with_redis = false;
    else chosen.emplace_back(argv[i]);
  }
  for (const Case& c : all_cases()) {
    if (!chosen.empty() && std::find(chosen.begin(), chosen.end(), c.name) == chosen.end())
      continue;
    std::printf("%s: %zu\n", c.name, c.n);
    std::fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
      c.run(c.n);
      std::fflush(stdout);
      _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) return 1;
    if (with_redis && c.redis) redis_row(c.n, c.redis);
  }
  return 0;
}
