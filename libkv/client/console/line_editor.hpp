// One edited line after another from a terminal, with history, completion and a hint at the right.
//
// The work is libedit's, loaded when the first editor is made, so that nobody else pays for it.
// Without the library (or a terminal that can be edited on) lines are read as they come.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "libkv/client/hints.hpp"

namespace kv {

class LineEditor {
 public:
  struct Hooks {
    std::function<Completions(std::string_view line)> complete;
    std::function<std::string(std::string_view line)> hint;
  };

  /// history_path: where lines are kept, mode 0600; empty: nowhere.
  LineEditor(Hooks hooks, std::string history_path);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  enum class Event : unsigned char { line, cancelled, end };  // cancelled: by ^C
  Event read(const std::string& prompt, std::string& line);
  /// Adds a line to the history and its file.
  void keep(const std::string& line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kv
