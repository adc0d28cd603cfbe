// Inline requests: a line of words, as typed into netcat, a command pipe or the console.
//
// The rules are redis-server's: words between blanks; "..." with \n \r \t \b \a \xHH and \c for any
// other c; '...' with \' only; a closing quote must be followed by a blank or the end. Unlike
// there, a NUL is a byte like any other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kv {

/// Takes the next word from the front of line and appends it, unquoted, to out.
/// found: false at the end of the line. The result is false where quotes do not match.
bool next_word(std::string_view& line, std::string& out, bool& found);

/// All words of a line (its end may be there or not). False: quotes do not match.
bool split_quoted(std::string_view line, std::vector<std::string>& words);

}  // namespace kv
