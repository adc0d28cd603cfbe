// See config_file.hpp.
#include "libkv/process/config_file.hpp"

#include <algorithm>

#include "libkv/base/text.hpp"

namespace kv {
namespace {

constexpr std::size_t shown_bytes_max = 60;
constexpr std::string_view repeatable = "bind";

std::string_view without_blanks(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

bool in_quotes(std::string_view text) noexcept {
  return text.size() >= 2 && text.front() == text.back() &&
         (text.front() == '"' || text.front() == '\'');
}

}  // namespace

std::size_t ConfigFile::line_of(std::string_view name) const {
  const auto found = lines_.find(name);
  return found == lines_.end() ? 0 : found->second;
}

CLI::ConfigItem ConfigFile::item(std::string_view line) const {
  const std::size_t sign = line.find('=');
  const std::string_view name = without_blanks(line.substr(0, sign));
  const auto row = std::find_if(rows_.begin(), rows_.end(), [name](const OptionRow& option) {
    return option.name.substr(2) == name;
  });
  // Not the rest of the line: it may be a password.
  if (row == rows_.end()) {
    throw CLI::ConfigError(shown(name, shown_bytes_max) + " is not an option");
  }
  if (name == "config") throw CLI::ConfigError("config is not for a configuration file");
  const bool flag = row->argument.empty();
  std::string_view value = without_blanks(sign == line.npos ? "" : line.substr(sign + 1));
  const bool quotes = in_quotes(value);
  if (quotes) value = value.substr(1, value.size() - 2);
  if (value.empty() && !quotes && (!flag || sign != line.npos)) {
    throw CLI::ConfigError(std::string(name) + " wants " +
                           (flag ? "true or false" : std::string(row->argument)));
  }
  if (flag && sign == line.npos) value = "true";
  if (flag && value != "true" && value != "false") {
    throw CLI::ConfigError(std::string(name) + " is true or false, nothing else");
  }
  return {{}, std::string(name), {std::string(value)}};
}

std::vector<CLI::ConfigItem> ConfigFile::from_config(std::istream& input) const {
  std::vector<CLI::ConfigItem> found;
  std::size_t number = 0;
  for (std::string line; std::getline(input, line);) {
    ++number;
    const std::string_view text = without_blanks(line);
    if (text.empty() || text[0] == '#' || text[0] == ';') continue;
    try {
      if (text.find('\0') != text.npos) throw CLI::ConfigError("a NUL byte");
      CLI::ConfigItem read = item(text);
      const auto same = std::find_if(found.begin(), found.end(),
                                     [&](const auto& other) { return other.name == read.name; });
      if (same == found.end()) {
        lines_[read.name] = number;
        found.push_back(std::move(read));
      } else if (read.name == repeatable) {
        same->inputs.push_back(std::move(read.inputs[0]));
      } else {
        throw CLI::ConfigError(read.name + " may be given only once");
      }
    } catch (const CLI::ConfigError& error) {
      throw CLI::ConfigError("line " + std::to_string(number) + ": " + error.what());
    }
  }
  return found;
}

}  // namespace kv
