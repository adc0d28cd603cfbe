// The options of both programs, for the pages. Each program's own table stays with it.
#pragma once

#include <string>
#include <vector>

namespace kv {

struct PageOption {
  std::string name, argument, default_value, help;
};

std::vector<PageOption> server_page_options();  // server_rows.cpp
std::vector<PageOption> client_page_options();  // client_rows.cpp

}  // namespace kv
