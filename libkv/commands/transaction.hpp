// The requests between MULTI and EXEC, as the session has queued them.
#pragma once

#include <cstddef>
#include <vector>

#include "libkv/value/kept_arguments.hpp"

namespace kv {

struct Command;

struct Transaction {
  struct Request {
    const Command* command;
    KeptArguments arguments;
  };
  std::vector<Request> requests;
  std::size_t words = 0, bytes = 0;  // of all of them
  bool refused = false;              // one was: EXEC carries out none
};

}  // namespace kv
