// How long the hot paths of wire take. Hidden: run with `.build/release/unit "[bench]"`; prints
// nanoseconds a request, the best of several rounds. The figures in comments come from here.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_request.hpp"
#include "libkv/wire/resp.hpp"

namespace kv {
namespace {

double best_ns(std::size_t operations, const std::function<void()>& work) {
  double best = 1e18;
  for (int round = 0; round < 15; ++round) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / static_cast<double>(operations));
  }
  return best;
}

template <class Parser>
std::size_t parse_all(Parser& parser, std::string_view data) {
  std::size_t bytes = 0;
  while (!data.empty() && parser.next(data) == ParseState::request) {
    for (const Scalar& arg : parser.args()) bytes += arg.bytes.size();
    data.remove_prefix(parser.consumed());
  }
  return bytes;
}

template <class Parser>
void bench(const char* name, std::string_view request) {
  constexpr std::size_t count = 1000;
  std::string data;
  for (std::size_t i = 0; i < count; ++i) data += request;
  Parser parser;
  std::size_t bytes = 0;
  const double ns = best_ns(100 * count, [&] {
    for (int i = 0; i < 100; ++i) bytes += parse_all(parser, data);
  });
  CHECK(bytes > 0);
  std::printf("%-32s %7.1f ns\n", name, ns);
}

}  // namespace

TEST_CASE("wire: time of the hot paths", "[.][bench]") {
  bench<RespRequestParser>("RESP SET key value", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n");
  const std::string value(32, 'v');
  bench<RespRequestParser>(
      "RESP SET, 16 and 32 bytes",
      "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$32\r\n" + value + "\r\n");
  bench<RespRequestParser>("RESP GET key", "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
  bench<RespRequestParser>("RESP typed SET key :12", "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n:12\r\n");
  bench<RespRequestParser>("inline PING", "PING\r\n");
  bench<PlioRequestParser>("PLIO SET mykey hello",
                           std::string_view("\x01\x0eSET\x01\x16mykey\x16hello\x03\x03", 20));
  const std::string reply = "$5\r\nhello\r\n";
  std::string out;
  std::printf("%-32s %7.1f ns\n", "to_plio of a bulk string", best_ns(100'000, [&] {
                for (int i = 0; i < 100'000; ++i) out.clear(), to_plio(reply, out);
              }));
  std::string map = "%3\r\n";
  for (int i = 0; i < 6; ++i) map += reply;
  std::printf("%-32s %7.1f ns\n", "to_resp2 of a map of 3", best_ns(100'000, [&] {
                for (int i = 0; i < 100'000; ++i) out.clear(), to_resp2(map, out);
              }));
  std::string digits;
  for (int i = 0; i < 4096; ++i) digits.push_back(static_cast<char>('1' + i % 9));
  std::printf("%-32s %7.1f ns\n", "number of 4096 digits to PLIO", best_ns(100, [&] {
                for (int i = 0; i < 100; ++i) out.clear(), append_plio_number(out, digits);
              }));
}

}  // namespace kv
