// The server's configuration file: lines name=value, and nothing that a value could run into.
//
// CLI11's own reader takes TOML: it ends a password at its # and makes a list of one with a comma.
// Here a value is the rest of its line. Must never guess: a line that is none of the forms in
// kv-server(1) is an error with its number.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/option_row.hpp"

namespace kv {

class ConfigFile final : public CLI::Config {
 public:
  explicit ConfigFile(std::span<const OptionRow> rows) : rows_(rows) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return {}; }

  /// Of the line that gives this option ("port"); 0: none does.
  std::size_t line_of(std::string_view name) const;

 private:
  CLI::ConfigItem item(std::string_view line) const;

  std::span<const OptionRow> rows_;
  mutable std::map<std::string, std::size_t, std::less<>> lines_;  // CLI11 reads with const
};

}  // namespace kv
