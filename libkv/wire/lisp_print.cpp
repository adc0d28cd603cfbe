// See lisp_text.hpp: printing.
#include <array>

#include "libkv/wire/lisp_string.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"

namespace kv {
namespace {

void print_symbol(std::string_view name, std::string& out) {
  constexpr std::string_view escaped = " \t\n\r\"'(),[]`{}~\\";
  if (name == "." || name.starts_with('#')) out.push_back('\\');
  for (const char c : name) {
    if (escaped.find(c) != escaped.npos) out.push_back('\\');
    out.push_back(c);
  }
}

void print_atom(const Scalar& atom, std::string& out) {
  switch (atom.kind) {
    case Kind::number: out.append(atom.bytes); return;
    case Kind::symbol: return print_symbol(atom.bytes, out);
    case Kind::nil: out.append("NIL"); return;
    default: return append_lisp_string(out, atom.bytes);
  }
}

/// Prints the pieces of a list. A list that begins with the symbol quote is ' and the rest, so its
/// parenthesis can only be written when the element after it is known.
class ListPrinter {
 public:
  explicit ListPrinter(std::string& out) noexcept : out_(&out) {}
  bool outside() const noexcept { return depth_ == 0; }

  void open() {
    if (depth_ > 0) begin_element();
    levels_[depth_++] = {};
  }
  void atom(const Scalar& value) {
    Level& level = levels_[depth_ - 1];
    const bool at_start = !level.opened && !level.direct;
    if (at_start && value == Scalar("quote", Kind::symbol)) {
      out_->push_back('\'');
      level.quoted = true;
      return;
    }
    begin_element();
    print_atom(value, *out_);
  }
  void dot() {
    Level& level = levels_[depth_ - 1];
    if (level.opened) out_->append(" . ");
    level.direct = true;
  }
  void close() {
    if (!levels_[depth_ - 1].opened) out_->append("NIL");  // (quote) is 'NIL
  }
  /// The innermost lists are over, down to this depth.
  void leave(std::size_t depth) {
    for (; depth_ > depth; --depth_) {
      if (levels_[depth_ - 1].opened) out_->push_back(')');
    }
  }

 private:
  struct Level {
    bool opened = false;  // its parenthesis is written
    bool quoted = false;  // a ' stands for its beginning
    bool direct = false;  // the next value is the tail: no blank and no parenthesis before it
  };
  void begin_element() {
    Level& level = levels_[depth_ - 1];
    if (level.direct) return;
    out_->push_back(level.opened ? ' ' : '(');
    level.opened = true;
  }

  std::string* out_;
  std::array<Level, plio_depth_max> levels_{};
  std::size_t depth_ = 0;
};

}  // namespace

void print_lisp(const Scalar& value, std::string& out) {
  if (value.kind != Kind::list) return print_atom(value, out);
  PlioReader reader(value.bytes);
  ListPrinter printer(out);
  for (auto token = reader.next(); token > PlioReader::Token::error; token = reader.next()) {
    switch (token) {
      case PlioReader::Token::open: printer.open(); break;
      case PlioReader::Token::dot: printer.dot(); break;
      case PlioReader::Token::close: printer.close(); break;
      default:
        if (printer.outside()) return print_atom(reader.atom(), out);
        printer.atom(reader.atom());
    }
    printer.leave(reader.depth());
    if (reader.depth() == 0) return;
  }
}

std::string lisp_text(std::string_view plio) {
  std::string out;
  print_lisp({plio, Kind::list}, out);
  return out;
}

}  // namespace kv
