// The syntax of a row ("key value [NX | XX] [EX seconds]") as a tree, for COMMAND DOCS.
//
// The notation is Redis's: [optional], a | b with blanks for alternatives of several words, a|b
// without for single words, CAPITALS for words typed as they are, "..." for "as often as you like".
// It is only ever given kv's own rows, so it asks for no limits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libkv/wire/reply.hpp"

namespace kv {

struct SyntaxArg {
  std::string name;   // lower case
  std::string type;   // Redis's words: key, pattern, string, pure-token, oneof, block
  std::string token;  // the word typed as it is, if there is one
  bool optional = false, multiple = false;
  std::vector<SyntaxArg> parts;  // of a oneof or block
};
using SyntaxTree = std::vector<SyntaxArg>;

SyntaxTree parse_syntax(std::string_view syntax);
/// As COMMAND DOCS has them: an array of maps.
void tell_arguments(Reply& reply, const SyntaxTree& arguments);

}  // namespace kv
