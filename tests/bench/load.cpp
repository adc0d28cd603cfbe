// The load: requests in a closed loop, at a fixed rate, connections, pauses, whole processes.
//
//   load values resp|memcached PORT PASS KEYS BYTES    a value of so many bytes for every key
//   load closed resp|memcached PORT PASS VERB CLIENTS DEPTH REQUESTS KEYS BYTES
//   load paced PORT PASS RATE SECONDS KEYS BYTES       SETs at a fixed rate, open loop
//   load reader PORT PASS SECONDS                      GETs one at a time: percentiles, the longest
//   load sleeper SECONDS                               sleeps of 100 us: how much longer each took
//   load connects PORT PASS COUNT                      connect, AUTH, PING, close
//   load idle PORT PASS COUNT                          connections that wait until stdin ends
//   load fill PORT PASS strings|hashes|list|hash COUNT [FIRST]
//   load spawn COUNT COMMAND...                        a whole process, from fork to its end
//
// Each prints one line of name=value words. "-" as PASS: none. Build: g++ -std=c++20 -O2 load.cpp
#include <spawn.h>
#include <sys/wait.h>

#include "tests/bench/closed_loop.hpp"

namespace bench {
namespace {

/// Every key gets a value, so that every GET is answered with one.
void values(Closed c) {
  Link link(c.target);
  c.verb = "set";
  Template one = Template::of(c);
  const std::size_t reply_bytes = c.target.memcached ? 8 : 5;  // STORED or +OK, and the line end
  const std::size_t batch = std::clamp<std::size_t>(65536 / (c.bytes + 64), 1, 200);
  for (std::size_t done = 0; done < c.keys;) {
    const std::size_t n = std::min(batch, c.keys - done);
    std::string out;
    for (std::size_t i = 0; i < n; ++i) {
      Template::write_key(one.request.data() + one.digits, done + i);
      out += one.request;
    }
    link.send(out);
    link.receive_exactly(n * reply_bytes);
    done += n;
  }
  std::printf("keys=%zu\n", c.keys);
}

// --- open loop: SETs at a fixed rate, whatever the server does ---

/// Latency counts from when a request was due, not from when it could be sent: a server that stalls
/// cannot hide the requests that would have come meanwhile.
void paced(const Target& target, double rate, double seconds, std::uint64_t keys,
           std::size_t bytes) {
  constexpr std::size_t links_count = 10;
  constexpr std::int64_t tick_ns = 500'000;
  struct Lane {
    Link link;
    std::vector<std::int64_t> due;  // of the requests under way, oldest at taken
    std::size_t taken = 0, spare = 0;
  };
  std::vector<Lane> lanes;
  for (std::size_t i = 0; i < links_count; ++i) lanes.push_back({Link(target), {}, 0, 0});
  const std::string value(bytes, 'y');
  constexpr std::size_t reply_bytes = 5;  // +OK\r\n
  Random random;
  Latencies latencies;
  std::vector<char> buffer(256 * 1024);
  std::uint64_t sent = 0;
  const std::int64_t start = now_ns(), end = start + static_cast<std::int64_t>(seconds * 1e9);
  const auto collect = [&](Lane& lane) {
    const ssize_t n = ::recv(lane.link.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n == 0) fail("the server hung up");
    if (n < 0) return;
    lane.spare += static_cast<std::size_t>(n);
    const std::int64_t now = now_ns();
    for (; lane.spare >= reply_bytes; lane.spare -= reply_bytes)
      latencies.add(now - lane.due[lane.taken++]);
  };
  for (std::int64_t tick = start; tick < end; tick += tick_ns) {
    const auto due = static_cast<std::uint64_t>(rate * static_cast<double>(tick - start) / 1e9);
    for (Lane& lane : lanes) {
      std::string out;
      for (std::uint64_t n = (due - sent) / links_count; n > 0; --n) {
        out += resp({"SET", key_of(random.below(keys)), value});
        lane.due.push_back(tick);
      }
      if (!out.empty()) lane.link.send(out);
    }
    sent += (due - sent) / links_count * links_count;
    while (now_ns() < tick + tick_ns) {
      pollfd waiting[links_count];
      for (std::size_t i = 0; i < links_count; ++i) waiting[i] = {lanes[i].link.fd(), POLLIN, 0};
      timespec pause{0, 200'000};
      if (::ppoll(waiting, links_count, &pause, nullptr) <= 0) continue;
      for (std::size_t i = 0; i < links_count; ++i) {
        if (waiting[i].revents != 0) collect(lanes[i]);
      }
    }
  }
  const std::int64_t deadline = now_ns() + 30'000'000'000;
  while (latencies.count() < sent && now_ns() < deadline) {
    for (Lane& lane : lanes) collect(lane);
    ::usleep(100);
  }
  std::printf(
      "sent=%llu rps=%.1f p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f\n",
      static_cast<unsigned long long>(sent),
      static_cast<double>(latencies.count()) / (static_cast<double>(now_ns() - start) / 1e9),
      latencies.at(0.5), latencies.at(0.99), latencies.at(0.999), latencies.at(1));
}

/// GETs of one key, one at a time, a pause of 100 us between them, until the time is over or stdin
/// ends.
void reader(const Target& target, double seconds) {
  Link link(target);
  const std::string request = resp({"GET", key_of(0)});
  Latencies latencies;
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
  std::vector<char> buffer(65536);
  pollfd input{0, POLLIN, 0};
  while (now_ns() < end && ::poll(&input, 1, 0) == 0) {
    const std::int64_t start = now_ns();
    link.send(request);
    (void)link.receive(buffer.data(), buffer.size());
    latencies.add(now_ns() - start);
    ::usleep(100);
  }
  std::printf("count=%zu p50_us=%.1f p99_us=%.1f max_us=%.1f\n", latencies.count(),
              latencies.at(0.5), latencies.at(0.99), latencies.at(1));
}

/// What the machine alone does to a program that waits: the share of reader()'s times that no
/// server can help. Until the time is over or stdin ends.
void sleeper(double seconds) {
  constexpr std::int64_t nap_ns = 100'000;
  Latencies latencies;
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
  pollfd input{0, POLLIN, 0};
  for (std::int64_t start = now_ns(); start < end && ::poll(&input, 1, 0) == 0; start = now_ns()) {
    ::usleep(nap_ns / 1000);
    latencies.add(now_ns() - start - nap_ns);
  }
  std::printf("count=%zu p50_us=%.1f p99_us=%.1f max_us=%.1f\n", latencies.count(),
              latencies.at(0.5), latencies.at(0.99), latencies.at(1));
}

// --- connections and processes ---

void connects(const Target& target, std::size_t count) {
  Latencies latencies;
  const std::string ping = resp({"PING"});
  const std::int64_t begun = now_ns();
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t start = now_ns();
    Link link(target);
    link.send(ping);
    link.expect("+PONG\r\n");
    latencies.add(now_ns() - start);
  }
  std::printf("rps=%.1f p50_us=%.1f p99_us=%.1f max_us=%.1f\n",
              static_cast<double>(count) / (static_cast<double>(now_ns() - begun) / 1e9),
              latencies.at(0.5), latencies.at(0.99), latencies.at(1));
}

void idle(const Target& target, std::size_t count) {
  std::vector<Link> links;
  links.reserve(count);
  const std::string ping = resp({"PING"});
  for (std::size_t i = 0; i < count; ++i) {
    links.emplace_back(target);
    links.back().send(ping);
    links.back().expect("+PONG\r\n");
  }
  std::printf("open=%zu\n", count);
  std::fflush(stdout);
  char byte;
  while (::read(0, &byte, 1) > 0) {
  }
}

void spawn(std::size_t count, char** command) {
  Latencies latencies;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t start = now_ns();
    pid_t pid = 0;
    int status = 0;
    if (::posix_spawnp(&pid, command[0], &actions, nullptr, command, environ) != 0 ||
        ::waitpid(pid, &status, 0) != pid || status != 0)
      fail(std::string("cannot run ") + command[0]);
    latencies.add(now_ns() - start);
  }
  std::printf("p50_us=%.1f p99_us=%.1f max_us=%.1f\n", latencies.at(0.5), latencies.at(0.99),
              latencies.at(1));
}

// --- data ---

std::string numbered(const char* head, std::uint64_t n) { return head + std::to_string(n); }

std::vector<std::string> row_of(const std::string& kind, std::uint64_t i) {
  if (kind == "strings") return {"SET", key_of(i), "value:" + key_of(i) + "0123456789"};
  if (kind == "list") return {"RPUSH", "biglist", numbered("element:", i)};
  if (kind == "hash") return {"HSET", "bighash", numbered("field:", i), numbered("element:", i)};
  if (kind != "hashes") fail("unknown kind of data: " + kind);
  std::vector<std::string> words = {"HSET", key_of(i)};
  for (std::uint64_t f = 0; f < 5; ++f)
    words.push_back(numbered("field:", f)), words.push_back(numbered("value:", f));
  return words;
}

/// In batches of a hundred, as many replies (a line each) awaited.
void fill(const Target& target, const std::string& kind, std::uint64_t count, std::uint64_t first) {
  Link link(target);
  const std::int64_t start = now_ns();
  std::vector<char> buffer(65536);
  constexpr std::uint64_t batch = 100;
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t n = std::min(batch, count - done);
    std::string out;
    for (std::uint64_t i = 0; i < n; ++i) out += resp(row_of(kind, first + done + i));
    link.send(out);
    for (std::uint64_t lines = 0; lines < n;) {
      const std::string_view got(buffer.data(), link.receive(buffer.data(), buffer.size()));
      if (got[0] == '-') fail("an error: " + std::string(got.substr(0, 100)));
      lines += static_cast<std::uint64_t>(std::count(got.begin(), got.end(), '\n'));
    }
    done += n;
  }
  std::printf("rps=%.1f\n",
              static_cast<double>(count) / (static_cast<double>(now_ns() - start) / 1e9));
}

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

int run(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto target = [&](int at) { return Target{std::atoi(argv[at]), argv[at + 1], false}; };
  if (mode == "closed" && argc == 11) {
    Closed c{target(3),       argv[5],         number(argv[6]), number(argv[7]),
             number(argv[8]), number(argv[9]), number(argv[10])};
    c.target.memcached = argv[2] == std::string("memcached");
    ClosedLoop(c).run();
  } else if (mode == "values" && argc == 7) {
    Closed c{target(3), "set", 1, 1, 1, number(argv[5]), number(argv[6])};
    c.target.memcached = argv[2] == std::string("memcached");
    values(c);
  } else if (mode == "paced" && argc == 8) {
    paced(target(2), std::atof(argv[4]), std::atof(argv[5]), number(argv[6]), number(argv[7]));
  } else if (mode == "reader" && argc == 5) {
    reader(target(2), std::atof(argv[4]));
  } else if (mode == "sleeper" && argc == 3) {
    sleeper(std::atof(argv[2]));
  } else if (mode == "connects" && argc == 5) {
    connects(target(2), number(argv[4]));
  } else if (mode == "idle" && argc == 5) {
    idle(target(2), number(argv[4]));
  } else if (mode == "fill" && (argc == 6 || argc == 7)) {
    fill(target(2), argv[4], number(argv[5]), argc == 7 ? number(argv[6]) : 0);
  } else if (mode == "spawn" && argc > 3) {
    spawn(number(argv[2]), argv + 3);
  } else {
    fail("see the head of load.cpp for how to call it");
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
