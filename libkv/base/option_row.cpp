// See option_row.hpp.
#include "libkv/base/option_row.hpp"

#include <algorithm>

namespace kv {

std::string options_help(std::span<const OptionRow> rows) {
  constexpr std::size_t help_column = 24;
  std::string out;
  for (const OptionRow& row : rows) {
    std::string left = "  " + std::string(row.name);
    if (!row.argument.empty()) left.append(" ").append(row.argument);
    left.resize(std::max(left.size() + 1, help_column), ' ');
    out.append(left).append(row.help);
    if (!row.default_value.empty()) out.append(" (").append(row.default_value).append(")");
    out.push_back('\n');
  }
  return out;
}

}  // namespace kv
