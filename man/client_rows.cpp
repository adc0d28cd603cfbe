// The client's table of options, in a file of its own: both programs call theirs OptionRow.
#include "libkv/client/options.hpp"
#include "man/option_rows.hpp"

namespace kv {

std::vector<PageOption> client_page_options() {
  std::vector<PageOption> options;
  for (const OptionRow& row : client_options())
    options.push_back({std::string(row.name), std::string(row.argument),
                       std::string(row.default_value), std::string(row.help)});
  return options;
}

}  // namespace kv
