// The first rounds of the mutation loop, with a fixed seed; tests/shell/wire_fuzz.sh runs more.
#include "tests/fuzz/wire_fuzz.hpp"

#include <catch2/catch.hpp>

namespace kv {

TEST_CASE("wire: N1 N2 N3 N4 N10 mutated bytes do no harm to parsers and translators") {
  CHECK(fuzz::Fuzzer(20261120).run(20'000) == "");
}

TEST_CASE("wire: N1 every piece of the corpus, cut at every byte") {
  std::size_t refused = 0;
  for (const std::string& seed : fuzz::corpus()) {
    for (std::size_t n = 0; n <= seed.size(); ++n) {
      RespRequestParser resp;
      PlioRequestParser plio;
      const std::string part = seed.substr(0, n);
      const test::Parsed whole = test::parse(resp, part);
      RespRequestParser again;
      if (test::parse(again, part, 1) != whole) FAIL(test::to_hex(part));
      refused += whole.error.empty() ? 0 : 1;
      refused += test::parse(plio, part).error.empty() ? 0 : 1;
    }
  }
  CHECK(refused > 1000);
}

}  // namespace kv
