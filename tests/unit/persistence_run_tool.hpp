// Runs one of the server's tools (--check, --repair, --dump ...) and keeps what it wrote. The
// folder is "data" unless the options say another.
#pragma once

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>

#include "persistence/tool.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {

struct Output {
  int exit_code = 0;
  std::string out, err, digest;
};

inline std::string drain(std::FILE* file) {
  std::string text;
  std::rewind(file);
  char part[4096];
  while (const std::size_t n = std::fread(part, 1, sizeof part, file)) text.append(part, n);
  std::fclose(file);
  return text;
}

inline Output run_tool(Env& env, ToolOptions options) {
  if (options.folder == ".") options.folder = "data";
  std::FILE* const out = std::tmpfile();
  std::FILE* const err = std::tmpfile();
  REQUIRE(out != nullptr);
  REQUIRE(err != nullptr);
  TestData data;
  Output result;
  result.exit_code = persistence_tool(env, options, data.replay(), out, err);
  result.out = drain(out);
  result.err = drain(err);
  result.digest = data.digest();
  return result;
}

}  // namespace kv::test
