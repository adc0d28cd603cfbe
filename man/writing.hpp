// How the tables of commands look in troff and Markdown. Only the tools in man/ include this.
#pragma once

#include <string>
#include <string_view>

#include "libkv/commands/command.hpp"

namespace kv {

/// Text that troff prints as it is: backslashes, hyphens, and dots and quotes that begin a line.
inline std::string troff(std::string_view text) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool first = i == 0 || text[i - 1] == '\n';
    if (first && (text[i] == '.' || text[i] == '\'')) safe += "\\&";
    if (text[i] == '\\') safe += "\\e";
    else if (text[i] == '-') safe += "\\-";
    else if (text[i] == '^') safe += "\\(ha";
    else if (text[i] == '~') safe += "\\(ti";
    else if (text[i] == '`') safe += "\\(ga";
    else safe += text[i];
  }
  return safe;
}

inline constexpr Group kGroups[] = {Group::string,     Group::bitmap,      Group::list,
                                    Group::hash,       Group::set,         Group::sorted_set,
                                    Group::generic,    Group::transaction, Group::pubsub,
                                    Group::connection, Group::server};

inline std::string_view group_title(Group group) {
  switch (group) {
    case Group::string: return "Strings";
    case Group::list: return "Lists";
    case Group::hash: return "Hashes";
    case Group::set: return "Sets";
    case Group::sorted_set: return "Sorted sets";
    case Group::bitmap: return "Bits of strings";
    case Group::generic: return "Keys of any type";
    case Group::transaction: return "Transactions";
    case Group::pubsub: return "Publish and subscribe";
    case Group::connection: return "The connection";
    case Group::server: return "The server";
  }
  return {};
}

inline std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return result;
}

/// Calls visit(row) for the listed rows of a group, by name.
template <class Visit>
void for_each_listed(Group group, Visit visit) {
  for (const Command* row : all_commands())
    if (row->group == group && (row->flags & kHidden) == 0) visit(*row);
}

inline std::string subcommands_sentence(const Command& row) {
  std::string words = upper(row.subcommands);
  std::string sentence;
  for (const char c : words) sentence += c == ' ' ? std::string(", ") : std::string(1, c);
  return sentence;
}

/// One .TP paragraph a command, below a .SS heading a group.
inline std::string commands_as_troff() {
  std::string text;
  for (const Group group : kGroups) {
    text.append(".SS ").append(group_title(group)).append("\n");
    for_each_listed(group, [&](const Command& row) {
      text += ".TP\n\\fB" + troff(upper(row.name)) + "\\fR";
      if (!row.syntax.empty()) text += " " + troff(row.syntax);
      text += "\n" + troff(row.summary) + ".\n";
      if (!row.subcommands.empty())
        text += "Subcommands: " + troff(subcommands_sentence(row)) + ".\n";
      text += "Cost: " + troff(row.complexity) + ".\n";
    });
  }
  return text;
}

inline std::string markdown_cell(std::string_view text) {
  std::string safe;
  for (const char c : text) safe += c == '|' ? std::string("\\|") : std::string(1, c);
  return safe;
}

inline std::string commands_as_markdown() {
  std::string text;
  for (const Group group : kGroups) {
    text.append(text.empty() ? "" : "\n").append("**").append(group_title(group)).append("**\n\n");
    text += "| command | |\n|---|---|\n";
    for_each_listed(group, [&](const Command& row) {
      text += "| `" + upper(row.name);
      if (!row.syntax.empty()) text += " " + markdown_cell(row.syntax);
      text += "` | " + markdown_cell(row.summary) + " |\n";
    });
  }
  return text;
}

}  // namespace kv
