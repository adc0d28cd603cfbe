// Writes the command table in the forms others need: C++ for the client, troff, Markdown.
//
//   tables docs           the source of libkv/client/command_docs.hpp's functions
//   tables man-commands   the commands as a part of a manual page
//   tables markdown       the commands as tables for the README
//
// Everything goes to standard output. It is linked with the server's library alone, because the
// client's is built from what it writes; what needs both tables of options is man/pages.cpp.
#include <cstdio>
#include <string>

#include "libkv/commands/command.hpp"
#include "man/writing.hpp"

namespace kv {
namespace {

std::string quoted_cpp(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string numbers(const ArgSpan& span) {
  return std::to_string(span.first) + ", " + std::to_string(span.last) + ", " +
         std::to_string(span.step);
}

std::string doc_row(const Command& row) {
  std::string text = "    {";
  for (const std::string_view field : {row.name, row.syntax, row.summary, row.complexity, row.since,
                                       group_name(row.group), row.subcommands})
    text += quoted_cpp(field) + ", ";
  text += std::to_string(row.arity) + ", " + numbers(row.keys) + ", " + numbers(row.values);
  text += (row.flags & kWrite) != 0 ? ", true" : ", false";
  for (const std::uint32_t flag : {kHidden, kBlocking}) {
    text += (row.flags & flag) != 0 ? ", true" : ", false";
  }
  return text + "},\n";
}

std::string docs() {
  std::string text =
      "// Written by man/tables.cpp from the command table. Do not edit.\n"
      "#include \"libkv/client/command_docs.hpp\"\n\n"
      "#include <algorithm>\n#include <iterator>\n\n"
      "#include \"libkv/base/text.hpp\"\n\n"
      "namespace kv {\nnamespace {\n\nconstexpr CommandDoc kDocs[] = {\n";
  for (const Command* row : all_commands()) text += doc_row(*row);
  text +=
      "};\n\n}  // namespace\n\n"
      "std::span<const CommandDoc> command_docs() noexcept { return kDocs; }\n\n"
      "const CommandDoc* find_command_doc(std::string_view name) noexcept {\n"
      "  const auto before = [](const CommandDoc& doc, std::string_view word) {\n"
      "    return std::lexicographical_compare(\n"
      "        doc.name.begin(), doc.name.end(), word.begin(), word.end(), [](char a, char b) {\n"
      "          const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : +c; };\n"
      "          return lower(a) < lower(b);\n"
      "        });\n"
      "  };\n"
      "  const auto* doc = std::lower_bound(std::begin(kDocs), std::end(kDocs), name, before);\n"
      "  return doc != std::end(kDocs) && equals_ignoring_case(doc->name, name) ? doc : nullptr;\n"
      "}\n\n}  // namespace kv\n";
  return text;
}

}  // namespace
}  // namespace kv

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  std::string text;
  if (what == "docs") text = kv::docs();
  else if (what == "man-commands") text = kv::commands_as_troff();
  else if (what == "markdown") text = kv::commands_as_markdown();
  if (text.empty()) {
    std::fputs("usage: tables docs | man-commands | markdown\n", stderr);
    return 2;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
