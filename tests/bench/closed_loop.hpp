// A closed loop: so many clients, each with so many requests under way, until all are answered.
//
// The generator shares the processors with the servers, so what it does itself is measured with
// them: its requests are written once and only the digits of the key change, and replies of a known
// size are counted, not read. Never goes on after a wrong answer.
#pragma once

#include <fcntl.h>
#include <sys/epoll.h>

#include "tests/bench/load.hpp"

namespace bench {

struct Closed {
  Target target;
  std::string verb;  // get set incr lpush rpop hset; memcached: get set
  std::size_t clients = 1, depth = 1, requests = 1, keys = 1, bytes = 32;
};

/// One request, with a key of 16 bytes and more, the last 12 of which are its number: where those
/// begin. The same requests as redis-benchmark's tests send.
struct Template {
  std::string request;
  std::size_t digits = std::string::npos;  // none: always the same key

  static Template of(const Closed& c) {
    const std::string value(c.bytes, 'x'), zeros(12, '0');
    Template t;
    if (c.target.memcached && c.verb == "get") {
      t.request = "get key:" + zeros + "\r\n";
    } else if (c.target.memcached && c.verb == "set") {
      t.request = "set key:" + zeros + " 0 0 " + std::to_string(c.bytes) + "\r\n" + value + "\r\n";
    } else if (!c.target.memcached) {
      t.request = resp(words(c.verb, zeros, value));
    } else {
      fail("memcached is only asked to get and set");
    }
    t.digits = t.request.find(":" + zeros);
    if (t.digits != std::string::npos) ++t.digits;
    return t;
  }

  /// The number of a key, where the digits of a request begin.
  static void write_key(char* digits, std::uint64_t key) {
    for (int i = 11; i >= 0; --i, key /= 10) digits[i] = static_cast<char>('0' + key % 10);
  }

 private:
  static std::vector<std::string> words(const std::string& verb, const std::string& zeros,
                                        const std::string& value) {
    if (verb == "get") return {"GET", "key:" + zeros};
    if (verb == "set") return {"SET", "key:" + zeros, value};
    if (verb == "incr") return {"INCR", "counter:" + zeros};
    if (verb == "lpush") return {"LPUSH", "mylist", value};
    if (verb == "rpop") return {"RPOP", "mylist"};
    if (verb == "hset") return {"HSET", "myhash", "element:" + zeros, value};
    fail("unknown request: " + verb);
  }
};

/// Counts whole RESP replies of one line, or of one line and so many bytes, as they arrive.
class ReplyCounter {
 public:
  /// How many replies end within these bytes, the next of the stream.
  std::size_t count(std::string_view bytes) {
    std::size_t done = 0;
    while (!bytes.empty()) {
      if (payload_ > 0) {
        const std::size_t n = std::min(payload_, bytes.size());
        bytes.remove_prefix(n);
        payload_ -= n;
        done += payload_ == 0;
        continue;
      }
      const std::size_t end = bytes.find('\n');
      if (end == std::string_view::npos) {
        line_.append(bytes);
        return done;
      }
      line_.append(bytes.substr(0, end));
      bytes.remove_prefix(end + 1);
      if (line_[0] == '-') fail("an error: " + line_);
      const long size = line_[0] == '$' ? std::atol(line_.c_str() + 1) : -1;
      if (size >= 0) payload_ = static_cast<std::size_t>(size) + 2;
      else ++done;
      line_.clear();
    }
    return done;
  }

 private:
  std::size_t payload_ = 0;  // bytes of a value still to come
  std::string line_;
};

class ClosedLoop {
 public:
  explicit ClosedLoop(const Closed& c)
      : c_(c), one_(Template::of(c)), epoll_(::epoll_create1(EPOLL_CLOEXEC)), left_(c.requests) {
    if (c.verb == "get" || c.verb == "set") {  // every reply is as long
      Link first(c.target);
      reply_bytes_ = first.ask(one_.request).size();
    }
    std::string whole;
    for (std::size_t i = 0; i < c.depth; ++i) whole += one_.request;
    for (std::size_t i = 0; i < c.clients; ++i) {
      clients_.push_back(Client{Link(c.target), whole, {}});
      ::fcntl(clients_.back().link.fd(), F_SETFL, O_NONBLOCK);
    }
  }

  void run() {
    const std::int64_t start = now_ns();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      watch(i, EPOLL_CTL_ADD, EPOLLIN);
      next_batch(clients_[i], i);
    }
    epoll_event events[256];
    while (busy_ > 0) {
      const int count = ::epoll_wait(epoll_, events, 256, 30'000);
      if (count == 0) fail("no reply within thirty seconds");
      for (int e = 0; e < count; ++e) {
        const std::size_t i = events[e].data.u64;
        if ((events[e].events & EPOLLOUT) != 0) push(clients_[i], i);
        if ((events[e].events & ~std::uint32_t{EPOLLOUT}) != 0) take(clients_[i], i);
      }
    }
    const double seconds = static_cast<double>(now_ns() - start) / 1e9;
    std::printf("rps=%.1f p50_us=%.1f p99_us=%.1f max_us=%.1f\n",
                static_cast<double>(c_.requests) / seconds, latencies_.at(0.5), latencies_.at(0.99),
                latencies_.at(1));
  }

 private:
  struct Client {
    Link link;
    std::string out;  // depth requests
    ReplyCounter replies;
    std::size_t unsent = 0;   // bytes of the batch still to send
    std::size_t batch = 0;    // its bytes
    std::size_t missing = 0;  // replies still to come, or their bytes if all are as long
    std::int64_t started = 0;
  };

  void watch(std::size_t i, int operation, std::uint32_t what) {
    epoll_event event{};
    event.events = what;
    event.data.u64 = i;
    ::epoll_ctl(epoll_, operation, clients_[i].link.fd(), &event);
  }

  void next_batch(Client& client, std::size_t i) {
    const std::size_t requests = std::min(c_.depth, left_);
    if (requests == 0) return;
    left_ -= requests;
    ++busy_;
    for (std::size_t n = 0; one_.digits != std::string::npos && n < requests; ++n)
      Template::write_key(client.out.data() + n * one_.request.size() + one_.digits,
                          random_.below(c_.keys));
    client.batch = client.unsent = requests * one_.request.size();
    client.missing = reply_bytes_ > 0 ? requests * reply_bytes_ : requests;
    client.started = now_ns();
    push(client, i);
  }

  void push(Client& client, std::size_t i) {
    const bool was_waiting = client.unsent < client.batch;
    while (client.unsent > 0) {
      const char* from = client.out.data() + client.batch - client.unsent;
      const ssize_t n = ::send(client.link.fd(), from, client.unsent, MSG_NOSIGNAL);
      if (n > 0) client.unsent -= static_cast<std::size_t>(n);
      else if (errno == EAGAIN) break;
      else if (errno != EINTR) fail(std::string("cannot send: ") + std::strerror(errno));
    }
    if (client.unsent == 0 && !was_waiting) return;
    watch(i, EPOLL_CTL_MOD, EPOLLIN | (client.unsent > 0 ? std::uint32_t{EPOLLOUT} : 0));
  }

  void take(Client& client, std::size_t i) {
    const ssize_t n = ::recv(client.link.fd(), buffer_, sizeof buffer_, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) fail("the server hung up");
    const std::string_view got(buffer_, static_cast<std::size_t>(n));
    if (reply_bytes_ > 0 && got[0] == '-') fail("an error: " + std::string(got.substr(0, 100)));
    const std::size_t done = reply_bytes_ > 0 ? got.size() : client.replies.count(got);
    if (done > client.missing) fail("more was answered than was asked");
    client.missing -= done;
    if (client.missing > 0) return;
    latencies_.add(now_ns() - client.started);
    --busy_;
    next_batch(client, i);
  }

  Closed c_;
  Template one_;
  int epoll_;
  std::size_t left_, reply_bytes_ = 0, busy_ = 0;
  std::vector<Client> clients_;
  Latencies latencies_;
  Random random_;
  char buffer_[256 * 1024];
};

}  // namespace bench
