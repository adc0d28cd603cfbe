// What ps shows: the memory of the command line, written over. Also takes the password out of it.
#pragma once

#include <string_view>

namespace kv {

/// Call first thing in main: notes where the command line and the environment lie and moves the
/// environment away, so that titles have room. The original command line is gone afterwards.
void claim_title(int argc, char** argv) noexcept;

/// Shows title in ps and top ("kv sibling"). Cut to the room there is.
void set_title(std::string_view title) noexcept;

}  // namespace kv
