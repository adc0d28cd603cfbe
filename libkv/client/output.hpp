// A reply as text, in the forms the client program offers.
//
//   plain  an atom as it is, nil as nothing, the atoms of a list, of lists inside it and of a map
//          (key, value, key, value) with ',' between, a flat list as picolisp-kv; then a newline
//   json   one JSON value and a newline. Bytes that are no UTF-8 become lone surrogates, \udc80 to
//          \udcff (Python's "surrogateescape"), so that nothing is lost and nothing looks alike
//   lines  every atom and a newline, nil an empty line; a map as key, value, key, value
//   nul    the same with NUL bytes
//   raw    an atom's bytes and nothing else; the atoms of a list with newlines between
#pragma once

#include <string>
#include <string_view>

#include "libkv/client/kv/client.hpp"
#include "libkv/client/options.hpp"

namespace kv {

void append_reply(std::string& out, const client::Value& reply, OutputForm form);

/// As the console shows it: 1) "a", (integer) 3, (nil); several lines, each with its end.
void append_console_reply(std::string& out, const client::Value& reply);

/// For a terminal: control bytes other than newline and tab, and what is no UTF-8, as \xHH.
std::string for_terminal(std::string_view text);

}  // namespace kv
