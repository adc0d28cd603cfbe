// See line_editor.hpp.
#include "libkv/client/console/line_editor.hpp"

#include <dlfcn.h>
#include <histedit.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "libkv/client/console/program.hpp"

namespace kv {
namespace {

// Every function of libedit that kv calls.
#define KV_LIBEDIT_FUNCTIONS(X) \
  X(el_init)                    \
  X(el_end)                     \
  X(el_set)                     \
  X(el_gets)                    \
  X(el_line)                    \
  X(el_insertstr)               \
  X(el_source)                  \
  X(history_init)               \
  X(history_end)                \
  X(history)

struct Libedit {
#define KV_DECLARE(name) decltype(&::name) name = nullptr;
  KV_LIBEDIT_FUNCTIONS(KV_DECLARE)
#undef KV_DECLARE
};

/// The library, or null where it is missing.
const Libedit* libedit() {
  static const Libedit* const loaded = []() -> const Libedit* {
    void* handle = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return nullptr;
    static Libedit table;
    bool all = true;
#define KV_LOAD(name)                                                     \
  table.name = reinterpret_cast<decltype(&::name)>(dlsym(handle, #name)); \
  all = all && table.name != nullptr;
    KV_LIBEDIT_FUNCTIONS(KV_LOAD)
#undef KV_LOAD
    return all ? &table : nullptr;
  }();
  return loaded;
}

constexpr int history_lines_max = 1000;
constexpr std::size_t listed_words_max = 200;
constexpr std::size_t hint_margin = 2;        // that libedit wants between a line and its hint
constexpr std::size_t hint_columns_min = 10;  // less says nothing

std::size_t terminal_columns() {
  constexpr std::size_t usual = 80;  // where the terminal does not say, as libedit has it
  struct winsize size {};
  return ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
}

/// libedit drops what the locale has no character for. Where nobody has chosen a locale
/// (containers, cron) that is everything but ASCII, and half a word would be stored.
void choose_characters() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) == "ANSI_X3.4-1968") {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

}  // namespace

struct LineEditor::Impl {
  Hooks hooks;
  std::string history_path;
  const Libedit* lib = nullptr;
  EditLine* editor = nullptr;
  History* lines = nullptr;
  std::string prompt, hint;
  bool cancelled = false;

  void open();
  void load_history();
  void save_history();
  std::string_view left_of_cursor() const;
  void list(const Completions& found) const;

  // libedit gives its callbacks nothing but the editor, and there is one console.
  static inline Impl* current = nullptr;
  static char* prompt_text(EditLine* editor);
  static char* hint_text(EditLine* editor);
  static unsigned char complete(EditLine* editor, int key);
  static unsigned char cancel(EditLine* editor, int key);
  static unsigned char blank(EditLine* editor, int key);
};

char* LineEditor::Impl::prompt_text(EditLine*) { return current->prompt.data(); }

char* LineEditor::Impl::hint_text(EditLine*) {
  Impl* self = current;
  self->hint = self->hooks.hint(self->left_of_cursor());
  // libedit leaves out what does not fit between the line and the edge, so a part is more.
  const LineInfo* info = self->lib->el_line(self->editor);
  const std::size_t used =
      self->prompt.size() + static_cast<std::size_t>(info->lastchar - info->buffer) + hint_margin;
  const std::size_t columns = terminal_columns();
  const std::size_t room = columns > used ? columns - used : 0;
  if (self->hint.size() > room) {
    self->hint.resize(room > hint_columns_min ? room - 3 : 0);
    if (!self->hint.empty()) self->hint += "...";
  }
  return self->hint.data();
}

std::string_view LineEditor::Impl::left_of_cursor() const {
  const LineInfo* info = lib->el_line(editor);
  return {info->buffer, static_cast<std::size_t>(info->cursor - info->buffer)};
}

/// The words below the line, as many as are bearable.
void LineEditor::Impl::list(const Completions& found) const {
  std::string out = "\n";
  for (std::size_t i = 0; i < std::min(found.words.size(), listed_words_max); ++i) {
    out += found.words[i] + (i % 4 == 3 ? "\n" : "  ");
  }
  if (found.words.size() > listed_words_max) out += "...";
  if (!out.ends_with('\n')) out += "\n";
  std::fwrite(out.data(), 1, out.size(), stdout);
}

unsigned char LineEditor::Impl::complete(EditLine* editor, int) {
  Impl* self = current;
  const std::string line(self->left_of_cursor());
  const Completions found = self->hooks.complete(line);
  if (found.words.empty()) return CC_REFRESH_BEEP;
  const std::string start = common_start(found.words);
  std::string more = start.size() > found.typed.size() ? start.substr(found.typed.size()) : "";
  if (found.words.size() == 1) more += " ";
  if (!more.empty()) {
    self->lib->el_insertstr(editor, more.c_str());
    return CC_REFRESH;
  }
  self->list(found);
  return CC_REDISPLAY;
}

unsigned char LineEditor::Impl::cancel(EditLine*, int) {
  current->cancelled = true;
  std::fputs("^C", stdout);
  return CC_NEWLINE;
}

// A word is complete: the hint changes, so the line is drawn anew.
unsigned char LineEditor::Impl::blank(EditLine* editor, int) {
  current->lib->el_insertstr(editor, " ");
  return CC_REFRESH;
}

void LineEditor::Impl::load_history() {
  HistEvent event;
  lines = lib->history_init();
  lib->history(lines, &event, H_SETSIZE, history_lines_max);
  lib->history(lines, &event, H_SETUNIQUE, 1);
  if (!history_path.empty()) lib->history(lines, &event, H_LOAD, history_path.c_str());
}

void LineEditor::Impl::save_history() {
  if (history_path.empty() || lines == nullptr) return;
  const mode_t before = umask(077);
  HistEvent event;
  lib->history(lines, &event, H_SAVE, history_path.c_str());
  umask(before);
  // An older file may have been made by somebody less careful.
  if (chmod(history_path.c_str(), 0600) != 0 && errno != ENOENT) history_path.clear();
}

void LineEditor::Impl::open() {
  lib = libedit();
  if (lib == nullptr) {
    complain("libedit is missing (apt-get install libedit2): lines cannot be edited");
    return;
  }
  choose_characters();
  editor = lib->el_init("kv-client", stdin, stdout, stderr);
  if (editor == nullptr) return;
  current = this;
  load_history();
  lib->el_set(editor, EL_EDITOR, "emacs");
  lib->el_set(editor, EL_PROMPT, &Impl::prompt_text);
  lib->el_set(editor, EL_RPROMPT, &Impl::hint_text);
  lib->el_set(editor, EL_HIST, lib->history, lines);
  // ^C is a key while a line is edited and a signal while a command runs.
  lib->el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
  lib->el_set(editor, EL_ADDFN, "kv-complete", "complete a word", &Impl::complete);
  lib->el_set(editor, EL_ADDFN, "kv-cancel", "forget this line", &Impl::cancel);
  lib->el_set(editor, EL_ADDFN, "kv-blank", "insert a blank", &Impl::blank);
  constexpr const char* keys[][2] = {
      {"^I", "kv-complete"},
      {"^C", "kv-cancel"},
      {" ", "kv-blank"},
      {"^R", "em-inc-search-prev"},
      {"\\e[3~", "ed-delete-next-char"},
      {"\\e[1~", "ed-move-to-beg"},
      {"\\e[4~", "ed-move-to-end"},
  };
  for (const auto& key : keys) lib->el_set(editor, EL_BIND, key[0], key[1], nullptr);
  lib->el_source(editor, nullptr);
}

LineEditor::LineEditor(Hooks hooks, std::string history_path) : impl_(std::make_unique<Impl>()) {
  impl_->hooks = std::move(hooks);
  impl_->history_path = std::move(history_path);
  impl_->open();
}

LineEditor::~LineEditor() {
  if (impl_->lines != nullptr) impl_->lib->history_end(impl_->lines);
  if (impl_->editor != nullptr) impl_->lib->el_end(impl_->editor);
  Impl::current = nullptr;
}

LineEditor::Event LineEditor::read(const std::string& prompt, std::string& line) {
  line.clear();
  if (impl_->editor == nullptr) {
    std::fputs(prompt.c_str(), stdout);
    std::fflush(stdout);
    int c = 0;
    while ((c = std::getchar()) != EOF && c != '\n') line.push_back(static_cast<char>(c));
    return c == EOF && line.empty() ? Event::end : Event::line;
  }
  impl_->prompt = prompt;
  impl_->cancelled = false;
  int count = 0;
  errno = 0;  // it tells an interrupted read from ^D; what a cancelled command left would mislead
  const char* text = impl_->lib->el_gets(impl_->editor, &count);
  if (impl_->cancelled) return Event::cancelled;
  if (text == nullptr || count <= 0) return errno == EINTR ? Event::cancelled : Event::end;
  line.assign(text, static_cast<std::size_t>(count));
  if (line.ends_with('\n')) line.pop_back();
  return Event::line;
}

void LineEditor::keep(const std::string& line) {
  if (impl_->lines == nullptr) return;
  HistEvent event;
  impl_->lib->history(impl_->lines, &event, H_ENTER, line.c_str());
  impl_->save_history();
}

}  // namespace kv
