// See plio_list.hpp.
#include "libkv/commands/plio_list.hpp"

#include "libkv/wire/plio.hpp"

namespace kv {
namespace {

using Token = PlioReader::Token;

/// The value that begins with token, which reader has just read from position start. False if no
/// value begins there.
bool read_item(PlioReader& reader, Token token, std::size_t start, std::string_view bytes,
               PlioItem& item) {
  if (token == Token::atom) {
    item = {std::string(reader.atom().bytes), reader.atom().kind};
    return true;
  }
  if (token != Token::open) return false;
  const std::size_t depth = reader.depth();
  while (reader.depth() >= depth) {
    if (reader.next() == Token::error) return false;
  }
  item = {std::string(bytes.substr(start, reader.position() - start)), Kind::list};
  return true;
}

}  // namespace

bool read_plio_list(std::string_view bytes, PlioList& list) {
  list = {};
  PlioReader reader(bytes);
  if (reader.next() != Token::open) return false;
  while (reader.depth() > 0) {
    const std::size_t start = reader.position();
    const Token token = reader.next();
    if (token == Token::close) break;
    if (token == Token::dot) {
      list.dotted = true;
      continue;
    }
    PlioItem item;
    if (!read_item(reader, token, start, bytes, item)) return false;
    list.items.push_back(std::move(item));
  }
  return reader.next() == Token::end;
}

bool read_plio_pair(const Scalar& element, PlioItem& field, PlioItem& value) {
  if (element.kind != Kind::list) return false;
  PlioReader reader(element.bytes);
  if (reader.next() != Token::open) return false;
  std::size_t start = reader.position();
  if (!read_item(reader, reader.next(), start, element.bytes, field)) return false;
  if (field.kind == Kind::list) return false;
  start = reader.position();
  switch (reader.next()) {
    case Token::close: value = {{}, Kind::nil}; return true;
    case Token::dot: return read_item(reader, reader.next(), start, element.bytes, value);
    case Token::error:
    case Token::end: return false;
    default: break;
  }
  // The rest of the list is the value, and becomes a list of its own.
  value = {std::string(1, element.bytes[0]), Kind::list};
  value.bytes.append(element.bytes.substr(start));
  return true;
}

}  // namespace kv
