// The line a terminal shows while the data is restored or saved.
#include <catch2/catch.hpp>

#include "libkv/base/text.hpp"
#include "libkv/process/loading_bar.hpp"

using namespace kv;

TEST_CASE("process/loading: the bar shows the file, a share, and the time left once it is known") {
  CHECK(loading_line("kv.aof", 0, -1) == "loading kv.aof  [..............................] 0 %");
  CHECK(loading_line("kv.aof", 0.5, 7) ==
        "loading kv.aof  [###############...............] 50 %, 7 s left");
  CHECK(loading_line("kv.db", 1, 0) ==
        "loading kv.db  [##############################] 100 %, 0 s left");
  CHECK(loading_line("kv.db", 0.1, 600) ==
        "loading kv.db  [###...........................] 10 %, 10 min left");
}

TEST_CASE("process/loading: a save's bar shows the file, a share, and the bytes written") {
  CHECK(saving_line("kv.db", 0.5, 3 << 20) ==
        "saving kv.db  [###############...............] 50 %, " + human_bytes(3 << 20));
  CHECK(saving_line("kv.bin", 0, 0) == "saving kv.bin  [..............................] 0 %");
  CHECK(saving_line(std::string(500, 'x'), 7, UINT64_MAX).size() <= 79);
}

TEST_CASE("process/loading: a share out of range and a long name stay within a terminal's line") {
  CHECK(loading_line("kv.db", 7.5, -1) == loading_line("kv.db", 1, -1));
  CHECK(loading_line("kv.db", -1, -1) == loading_line("kv.db", 0, -1));
  CHECK(loading_line(std::string(500, 'x'), 1, 999'999'999).size() <= 79);
}

TEST_CASE("process/loading: INFO's figures follow each step") {
  LoadingBar bar;
  PersistenceState state;
  bar.step({.what = "kv.aof", .done_bytes = 0, .total_bytes = 100, .items = 0}, state);
  CHECK(state.loading_total_bytes == 100);
  CHECK(state.loading_eta_s == -1);
  bar.step({.what = "kv.aof", .done_bytes = 120, .total_bytes = 100, .items = 9}, state);
  CHECK(state.loading_loaded_bytes == 100);
  CHECK(state.loading_eta_s == 0);
  bar.done();
}
