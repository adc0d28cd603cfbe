// Fills the generated parts of the manual pages and writes the shell completions.
//
//   pages server man/server.1   the page, its generated parts made from the tables
//   pages client man/client.1
//   pages bash                  completion for bash
//   pages zsh                   completion for zsh
//
// Everything goes to standard output; files are only read. A generated part lies between the lines
//   .\" generated: NAME         and         .\" end
// with NAME one of options, commands, names; what was there before is replaced.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "libkv/client/options.hpp"
#include "libkv/process/options.hpp"
#include "man/writing.hpp"

namespace kv {
namespace {

constexpr std::string_view kBegin = ".\\\" generated: ";
constexpr std::string_view kEnd = ".\\\" end";

// --- troff ---

std::string options_as_troff(std::span<const OptionRow> options) {
  std::string text;
  for (const OptionRow& option : options) {
    text += ".TP\n\\fB" + troff(option.name) + "\\fR";
    if (!option.argument.empty()) text += " \\fI" + troff(option.argument) + "\\fR";
    std::string sentence(option.help);
    if (!sentence.empty() && sentence[0] >= 'a' && sentence[0] <= 'z')
      sentence[0] = static_cast<char>(sentence[0] - 32);
    text += "\n" + troff(sentence) + ".\n";
    if (!option.default_value.empty())
      text += "Default:\n.B \"" + troff(option.default_value) + "\"\n";
  }
  return text;
}

// Only the words: for the page that points to the other one for the rest.
std::string names_as_troff() {
  std::string text;
  for (const Group group : kGroups) {
    std::string names;
    for_each_listed(group, [&](const Command& row) {
      names += (names.empty() ? "" : ", ") + troff(upper(row.name));
    });
    text.append(".TP\n").append(group_title(group)).append("\n").append(names).append("\n");
  }
  return text;
}

// False if a part is unknown or not closed.
bool fill(std::istream& page, std::span<const OptionRow> options, std::string& text) {
  std::string line;
  while (std::getline(page, line)) {
    text += line + "\n";
    if (!line.starts_with(kBegin)) continue;
    const std::string name = line.substr(kBegin.size());
    if (name == "options") text += options_as_troff(options);
    else if (name == "commands") text += commands_as_troff();
    else if (name == "names") text += names_as_troff();
    else return false;
    while (std::getline(page, line) && line != kEnd) {
    }
    if (line != kEnd) return false;
    text += line + "\n";
  }
  return true;
}

// --- shell completion ---

std::string names_of(std::span<const OptionRow> options) {
  std::string words;
  for (const OptionRow& option : options)
    if (option.name != "--") words.append(words.empty() ? "" : " ").append(option.name);
  return words;
}

// Options whose next word is a file, a folder, or anything else that cannot be completed.
std::string taking(std::span<const OptionRow> options, bool paths) {
  std::string words;
  for (const OptionRow& option : options) {
    const bool path =
        option.argument == "FILE" || option.argument == "FOLDER" || option.argument == "PATH";
    if (option.argument.empty() || path != paths || option.name == "--") continue;
    words.append(words.empty() ? "" : "|").append(option.name);
  }
  return words;
}

std::string command_words() {
  std::string words;
  for (const Command* row : all_commands())
    if ((row->flags & kHidden) == 0) words += (words.empty() ? "" : " ") + upper(row->name);
  return words;
}

std::string subcommand_cases(std::string_view variable) {
  std::string text;
  for (const Command* row : all_commands()) {
    if (row->subcommands.empty() || (row->flags & kHidden) != 0) continue;
    text += "      " + upper(row->name) + ") " + std::string(variable) + "='" +
            upper(row->subcommands) + "' ;;\n";
  }
  return text;
}

// What both programs' completions begin and end with. bash hands over words that it has also split
// at ':' and '=' (COMP_WORDBREAKS), and replaces only the last of those parts: a URL would count as
// several words, and the option's value as the command.
constexpr std::string_view kBashWords =
    R"(# Sets the caller's words, cword, word and before: what no blank separates is one word, and
# --option=value two. The caller's kept is what bash keeps of the last word.
_kv_words() {
  local rest=$COMP_LINE part blanks i
  words=() cword=0
  for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
    part=${COMP_WORDS[i]} blanks=${rest%%[![:blank:]]*}
    if [ "$i" -eq 0 ] || [ -n "$blanks" ]; then words+=("$part"); else words[-1]+=$part; fi
    rest=${rest#"$blanks$part"}
    [ "$i" -ne "$COMP_CWORD" ] || cword=$((${#words[@]} - 1))
  done
  word=${words[cword]} before=${words[cword-1]}
  [[ $word != --*=* ]] || { before=${word%%=*} word=${word#*=}; }
  part=${COMP_WORDS[COMP_CWORD]}
  [[ $part == *[!:=]* ]] || part=''
  kept=${word%"$part"}
}
# Offers those of the caller's words, or files, that begin with its word.
_kv_offer() {
  mapfile -t COMPREPLY < <(compgen "$@" -- "$word")
  COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
)";

std::string bash() {
  const std::span<const OptionRow> client = client_options(), server = server_options();
  return "# Completion of kv-client and kv-server for bash.\n"
         "# Written by man/pages.cpp from the tables of options and commands. Do not edit.\n" +
         std::string(kBashWords) +
         "_kv_client() {\n"
         "  local words cword word before kept i=1 command='' offered=''\n"
         "  COMPREPLY=()\n"
         "  _kv_words\n"
         "  case $before in\n"
         "    --|" +
         taking(client, true) +
         ") compopt -o filenames; _kv_offer -f; return ;;\n"
         "  esac\n"
         "  while [ \"$i\" -lt \"$cword\" ] && [ -z \"$command\" ]; do\n"
         "    case ${words[i]} in\n"
         "      " +
         taking(client, true) + "|" + taking(client, false) +
         ") i=$((i + 1)) ;;\n"
         "      -*) ;;\n"
         "      *) command=${words[i]} ;;\n"
         "    esac\n"
         "    i=$((i + 1))\n"
         "  done\n"
         "  if [ -z \"$command\" ]; then\n"
         "    case $before in " +
         taking(client, false) +
         ") return ;; esac\n"
         "    if [[ $word == -* ]]; then offered='" +
         names_of(client) +
         "'\n"
         "    else offered='" +
         command_words() +
         "'; fi\n"
         "  elif [ \"$i\" -eq \"$cword\" ]; then\n"
         "    case ${command^^} in\n" +
         subcommand_cases("offered") +
         "    esac\n"
         "  fi\n"
         "  case $word in\n"
         "    -*) ;;\n"
         "    *) word=${word^^} ;;\n"
         "  esac\n"
         "  _kv_offer -W \"$offered\"\n"
         "}\n"
         "complete -F _kv_client kv-client\n"
         "\n"
         "_kv_server() {\n"
         "  local words cword word before kept\n"
         "  COMPREPLY=()\n"
         "  _kv_words\n"
         "  case $before in\n"
         "    " +
         taking(server, true) +
         ") compopt -o filenames; _kv_offer -f; return ;;\n"
         "    --fsync) _kv_offer -W 'always everysec no'; return ;;\n"
         "    --dump) _kv_offer -W 'text json resp'; return ;;\n"
         "    " +
         taking(server, false) +
         ") return ;;\n"
         "  esac\n"
         "  _kv_offer -W '" +
         names_of(server) +
         "'\n"
         "}\n"
         "complete -F _kv_server kv-server\n";
}

// Within '...': a quote ends the quoting, is said, and begins it again; brackets and colons mean
// something to _arguments.
std::string zsh_text(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\'') safe += "'\\''";
    else if (c == '[' || c == ']' || c == ':') safe.append("\\").append(1, c);
    else safe += c;
  }
  return safe;
}

std::string zsh_options(std::span<const OptionRow> options) {
  std::string text;
  for (const OptionRow& option : options) {
    if (option.name == "--") continue;
    text.append("    '*").append(option.name).append("[" + zsh_text(option.help) + "]");
    const std::string argument(option.argument);
    if (argument == "FILE" || argument == "PATH") text += ":" + argument + ":_files";
    else if (argument == "FOLDER") text += ":" + argument + ":_files -/";
    else if (option.name == "--fsync") text += ":" + argument + ":(always everysec no)";
    else if (option.name == "--dump") text += ":" + argument + ":(text json resp)";
    else if (!argument.empty()) text += ":" + argument + ": ";
    text += "' \\\n";
  }
  return text;
}

std::string zsh() {
  std::string text =
      "#compdef kv-client kv-server\n"
      "# Completion of kv-client and kv-server for zsh.\n"
      "# Written by man/pages.cpp from the tables of options and commands. Do not edit.\n"
      "_kv_commands() {\n  local -a commands\n  commands=(\n";
  for (const Command* row : all_commands()) {
    if ((row->flags & kHidden) != 0) continue;
    text += "    '" + upper(row->name) + ":" + zsh_text(row->summary) + "'\n";
  }
  text +=
      "  )\n  _describe -t commands 'command' commands -M 'm:{a-z}={A-Z}'\n}\n"
      "_kv_words() {\n  local subs=''\n  case ${(U)words[1]} in\n" +
      subcommand_cases("subs") +
      "  esac\n  if [[ -n $subs && $CURRENT -eq 2 ]]; then\n"
      "    compadd -M 'm:{a-z}={A-Z}' -- ${=subs}\n"
      "  elif [[ ${words[CURRENT-1]} == -- ]]; then _files\n  fi\n}\n"
      "if [[ $service == kv-server ]]; then\n  _arguments \\\n" +
      zsh_options(server_options()) + "    && return 0\nelse\n  _arguments -C \\\n" +
      zsh_options(client_options()) +
      "    '1:command:_kv_commands' \\\n    '*::argument:_kv_words' && return 0\nfi\n";
  return text;
}

int run(const std::vector<std::string>& words) {
  std::string text;
  if (words.size() == 2 && (words[0] == "server" || words[0] == "client")) {
    std::ifstream page(words[1]);
    if (!page) return std::cerr << "pages: cannot read " << words[1] << "\n", 1;
    const bool server = words[0] == "server";
    if (!fill(page, server ? server_options() : client_options(), text))
      return std::cerr << "pages: a generated part of " << words[1] << " is not closed\n", 1;
  } else if (words.size() == 1 && words[0] == "bash") {
    text = bash();
  } else if (words.size() == 1 && words[0] == "zsh") {
    text = zsh();
  } else {
    return std::cerr << "usage: pages server|client FILE | bash | zsh\n", 2;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}

}  // namespace
}  // namespace kv

int main(int argc, char** argv) { return kv::run({argv + 1, argv + argc}); }
