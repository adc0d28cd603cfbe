// See scan.hpp.
#include "libkv/commands/scan.hpp"

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <string>

#include "libkv/base/text.hpp"
#include "libkv/commands/support.hpp"

namespace kv {

bool ScanOptions::takes(std::string_view name) const noexcept {
  return pattern == "*" || glob_match(pattern, name);
}

bool read_cursor(Call& call, std::size_t i, std::uint64_t& cursor) {
  // What strtoul takes is what Redis takes: a sign, zeros in front, even nothing at all.
  const std::string text(call.arg(i));
  char* end = nullptr;
  errno = 0;
  cursor = std::strtoull(text.c_str(), &end, 10);
  const bool blank = std::isspace(static_cast<unsigned char>(text[0])) != 0;
  if (!blank && *end == '\0' && errno != ERANGE) return true;
  call.fail("ERR invalid cursor");
  return false;
}

bool read_scan_options(Call& call, std::size_t i, bool with_type, ScanOptions& options) {
  for (; i < call.argc(); i += 2) {
    if (i + 1 == call.argc()) return call.syntax_error(), false;
    if (call.is(i, "COUNT")) {
      std::int64_t count = 0;
      if (!call.integer(i + 1, count)) return false;
      if (count < 1) return call.syntax_error(), false;
      options.count = static_cast<std::size_t>(count);
    } else if (call.is(i, "MATCH")) {
      options.pattern = call.arg(i + 1);
    } else if (with_type && call.is(i, "TYPE")) {
      options.type = call.arg(i + 1);
    } else {
      return call.syntax_error(), false;
    }
  }
  return true;
}

void reply_scan(Call& call, std::uint64_t cursor, std::size_t elements) {
  call.reply.array(2);
  call.reply.bulk(std::to_string(cursor));
  call.reply.array(elements);
}

}  // namespace kv
