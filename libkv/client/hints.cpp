// See hints.hpp.
#include "libkv/client/hints.hpp"

#include <algorithm>

#include "libkv/base/text.hpp"
#include "libkv/client/command_docs.hpp"
#include "libkv/wire/inline.hpp"

namespace kv {
namespace {

/// Words of the console itself.
constexpr std::string_view own_words[] = {"clear", "exit", "help", "quit", "timing"};

bool has_lower(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

bool starts_ignoring_case(std::string_view text, std::string_view start) noexcept {
  return text.size() >= start.size() && equals_ignoring_case(text.substr(0, start.size()), start);
}

/// Who types small letters gets small letters.
std::string in_case_of(std::string_view typed, std::string_view word) {
  return has_lower(typed) ? to_lower(word) : to_upper(word);
}

void add_command_names(std::string_view typed, std::vector<std::string>& out) {
  for (const CommandDoc& doc : command_docs()) {
    if (!doc.hidden && starts_ignoring_case(doc.name, typed)) {
      out.push_back(in_case_of(typed, doc.name));
    }
  }
}

void add_subcommands(const CommandDoc& doc, std::string_view typed, std::vector<std::string>& out) {
  std::string_view rest = doc.subcommands;
  std::string word;
  bool found = true;
  while (word.clear(), next_word(rest, word, found) && found) {
    if (starts_ignoring_case(word, typed)) out.push_back(in_case_of(typed, word));
  }
}

bool is_key_position(const CommandDoc& doc, std::size_t i) noexcept {
  const auto n = static_cast<int>(i);
  if (doc.key_first <= 0 || n < doc.key_first) return false;
  if (doc.key_last > 0 && n > doc.key_last) return false;
  return (n - doc.key_first) % std::max(doc.key_step, 1) == 0;
}

/// The parts of a syntax line: blanks inside brackets do not separate.
std::vector<std::string_view> syntax_parts(std::string_view syntax) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= syntax.size(); ++i) {
    const char c = i < syntax.size() ? syntax[i] : ' ';
    if (c == '[' || c == '<') ++depth;
    if (c == ']' || c == '>') --depth;
    if (c != ' ' || depth > 0) continue;
    if (i > start) parts.push_back(syntax.substr(start, i - start));
    start = i + 1;
  }
  return parts;
}

bool repeats(std::string_view part) noexcept { return part.find("...") != part.npos; }

}  // namespace

Completions completions(std::string_view line) {
  Completions out;
  const std::size_t blank = line.find_last_of(" \t");
  out.typed = blank == line.npos ? line : line.substr(blank + 1);
  std::vector<std::string> before;
  if (blank != line.npos && !split_quoted(line.substr(0, blank), before)) return out;
  if (before.empty()) {
    add_command_names(out.typed, out.words);
    for (const std::string_view word : own_words) {
      if (!out.typed.empty() && word.starts_with(to_lower(out.typed))) {
        out.words.push_back(in_case_of(out.typed, word));
      }
    }
  } else if (equals_ignoring_case(before[0], "help")) {
    if (before.size() == 1) add_command_names(out.typed, out.words);
  } else if (const CommandDoc* doc = find_command_doc(before[0]); doc != nullptr) {
    if (before.size() == 1) add_subcommands(*doc, out.typed, out.words);
    out.key_wanted = is_key_position(*doc, before.size());
  }
  std::sort(out.words.begin(), out.words.end());
  out.words.erase(std::unique(out.words.begin(), out.words.end()), out.words.end());
  return out;
}

std::string common_start(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::string_view start = words[0];
  for (const std::string& word : words) {
    const auto [end, other] = std::mismatch(start.begin(), start.end(), word.begin(), word.end());
    start = start.substr(0, static_cast<std::size_t>(end - start.begin()));
  }
  // Never half a character.
  while (!start.empty() && start.size() < words[0].size() &&
         (static_cast<unsigned char>(words[0][start.size()]) & 0xC0) == 0x80) {
    start.remove_suffix(1);
  }
  return std::string(start);
}

std::string argument_hint(std::string_view line) {
  if (line.empty() || (line.back() != ' ' && line.back() != '\t')) return {};
  std::vector<std::string> words;
  if (!split_quoted(line, words) || words.empty()) return {};
  const CommandDoc* doc = find_command_doc(words[0]);
  if (doc == nullptr) return {};
  const auto parts = syntax_parts(doc->syntax);
  std::string hint;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool given = i + 1 < words.size();
    if (given && !repeats(parts[i])) continue;
    hint += (hint.empty() ? "" : " ") + std::string(parts[i]);
  }
  return hint;
}

std::string command_help(std::string_view word) {
  const CommandDoc* doc = find_command_doc(word);
  if (doc == nullptr) return {};
  std::string out = "\n  " + to_upper(doc->name) + " " + std::string(doc->syntax) + "\n";
  const auto line = [&out](std::string_view title, std::string_view text) {
    if (!text.empty()) out += "  " + std::string(title) + ": " + std::string(text) + "\n";
  };
  line("summary", doc->summary);
  line("time", doc->complexity);
  line("since", doc->since);
  line("group", doc->group);
  line("subcommands", doc->subcommands);
  return out + "\n";
}

bool may_be_kept(std::string_view line) {
  if (line.empty() || line[0] == ' ') return false;  // as in bash: a leading blank is a wish
  std::vector<std::string> words;
  // What cannot be understood could be a mistyped login.
  if (!split_quoted(line, words) || words.empty()) return false;
  const auto has = [&words](std::string_view word) {
    return std::any_of(words.begin() + 1, words.end(),
                       [word](const std::string& w) { return equals_ignoring_case(w, word); });
  };
  if (starts_ignoring_case(words[0], "auth") || equals_ignoring_case(words[0], "acl")) return false;
  if (equals_ignoring_case(words[0], "hello") && has("auth")) return false;
  if (equals_ignoring_case(words[0], "migrate") && (has("auth") || has("auth2"))) return false;
  return !(equals_ignoring_case(words[0], "config") && (has("requirepass") || has("masterauth")));
}

}  // namespace kv
