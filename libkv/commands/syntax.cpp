// See syntax.hpp.
#include "libkv/commands/syntax.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "libkv/base/text.hpp"

namespace kv {
namespace {

class SyntaxParser {
 public:
  explicit SyntaxParser(std::string_view text) : rest_(text) {}

  // Up to a ']' or the end. One alternative is a sequence; several are a single oneof.
  SyntaxTree sequence() {
    std::vector<SyntaxTree> alternatives(1);
    for (std::string_view word = next(); !word.empty() && word != "]"; word = next()) {
      SyntaxTree& current = alternatives.back();
      if (word == "|") alternatives.emplace_back();
      else if (word == "..." && !current.empty()) current.back().multiple = true;
      else if (word == "[") current.push_back(optional());
      else current.push_back(words(word));
      if (word == "..." && current.size() > 1 && at_close()) repeats_ = true;
    }
    if (alternatives.size() == 1) return std::move(alternatives.front());
    return {oneof(std::move(alternatives))};
  }

 private:
  // A blank, a bracket or a bar that stands alone ends a word; "a|b" stays together.
  std::string_view next() {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    std::size_t size = std::min(rest_.size(), std::size_t{1});
    if (!rest_.starts_with('[') && !rest_.starts_with(']'))
      size = std::min(rest_.find_first_of(" []"), rest_.size());
    const std::string_view word = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return word;
  }

  bool at_close() const {
    const std::size_t at = rest_.find_first_not_of(' ');
    return at != rest_.npos && rest_[at] == ']';
  }

  static bool is_token(std::string_view word) {
    return std::none_of(word.begin(), word.end(), [](unsigned char c) { return std::islower(c); });
  }

  static SyntaxArg single(std::string_view word) {
    SyntaxArg arg;
    arg.name = to_lower(word);
    if (is_token(word)) {
      arg.type = "pure-token";
      arg.token = word;
    } else {
      arg.type = word == "key" || word == "pattern" ? word : "string";
    }
    return arg;
  }

  static SyntaxArg words(std::string_view word) {
    std::vector<SyntaxTree> choices;
    for (std::size_t bar = word.find('|'); bar != word.npos; bar = word.find('|')) {
      choices.push_back({single(word.substr(0, bar))});
      word.remove_prefix(bar + 1);
    }
    if (choices.empty()) return single(word);
    choices.push_back({single(word)});
    return oneof(std::move(choices));
  }

  // "EX seconds" is one argument with a token; other sequences are blocks.
  static SyntaxArg joined(SyntaxTree parts) {
    if (parts.size() == 1) return std::move(parts.front());
    if (parts.size() == 2 && parts[0].type == "pure-token" && parts[1].parts.empty() &&
        parts[1].token.empty()) {
      parts[1].token = parts[0].token;
      return std::move(parts[1]);
    }
    SyntaxArg block;
    block.name = parts.empty() ? "" : parts.front().name;
    block.type = "block";
    block.parts = std::move(parts);
    return block;
  }

  static SyntaxArg oneof(std::vector<SyntaxTree> alternatives) {
    SyntaxArg arg;
    arg.type = "oneof";
    for (SyntaxTree& alternative : alternatives)
      arg.parts.push_back(joined(std::move(alternative)));
    arg.name = arg.parts.front().name;
    return arg;
  }

  SyntaxArg optional() {
    repeats_ = false;
    SyntaxTree parts = sequence();
    const bool repeats = std::exchange(repeats_, false);
    if (repeats && !parts.empty()) parts.back().multiple = false;
    SyntaxArg arg = joined(std::move(parts));
    arg.optional = true;
    arg.multiple |= repeats;
    return arg;
  }

  std::string_view rest_;
  bool repeats_ = false;  // the bracket just read ended in "...": all of it repeats
};

void tell_argument(Reply& reply, const SyntaxArg& arg) {
  const bool flags = arg.optional || arg.multiple;
  reply.map(2 + !arg.token.empty() + flags + !arg.parts.empty());
  reply.bulk("name"), reply.bulk(arg.name);
  reply.bulk("type"), reply.bulk(arg.type);
  if (!arg.token.empty()) reply.bulk("token"), reply.bulk(arg.token);
  if (flags) {
    reply.bulk("flags");
    reply.array(std::size_t{arg.optional} + std::size_t{arg.multiple});
    if (arg.optional) reply.simple("optional");
    if (arg.multiple) reply.simple("multiple");
  }
  if (arg.parts.empty()) return;
  reply.bulk("arguments");
  tell_arguments(reply, arg.parts);
}

}  // namespace

SyntaxTree parse_syntax(std::string_view syntax) { return SyntaxParser(syntax).sequence(); }

void tell_arguments(Reply& reply, const SyntaxTree& arguments) {
  reply.array(arguments.size());
  for (const SyntaxArg& arg : arguments) tell_argument(reply, arg);
}

}  // namespace kv
