// One row of a program's option table, and what --help makes of the rows. Both programs, the manual
// pages and the completions read such tables; what an option does stays with its program.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kv {

struct OptionRow {
  std::string_view name;           // "--port"
  std::string_view argument;       // "N"; empty: takes none
  std::string_view default_value;  // as shown; empty: none to speak of
  std::string_view help;           // one sentence, no full stop
};

/// A line a row: name and argument, the sentence from one column on, the default in brackets.
std::string options_help(std::span<const OptionRow> rows);

}  // namespace kv
