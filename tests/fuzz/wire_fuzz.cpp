// Runs the mutation loop of wire_fuzz.hpp as long as wanted:
//   wire_fuzz [ROUNDS [SEED]]      1,000,000 rounds and a new seed unless told; the seed is printed
// Built and run with sanitizers by tests/shell/wire_fuzz.sh.
#include "tests/fuzz/wire_fuzz.hpp"

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  const std::uint64_t rounds = argc > 1 ? std::stoull(argv[1]) : 1'000'000;
  const std::uint64_t seed = argc > 2 ? std::stoull(argv[2]) : std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  const std::string wrong = kv::fuzz::Fuzzer(seed).run(rounds);
  std::puts(wrong.empty() ? "ok" : wrong.c_str());
  return wrong.empty() ? 0 : 1;
}
