// Replies for PLIO connections: RESP3 bytes to ("message" . RESULT).
#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_counted.hpp"
#include "libkv/wire/resp_token.hpp"

namespace kv {
namespace {

/// "WRONGTYPE Operation ..." as picolisp-kv would say it: "Error: Operation ...".
std::string error_text(std::string_view text) {
  const std::size_t blank = text.find(' ');
  return "Error: " + std::string(blank == text.npos ? text : text.substr(blank + 1));
}

bool append_verbatim(const RespToken& token, PlioCounted& out) {
  const std::string_view format = token.text.substr(0, 3), text = token.text.substr(4);
  if (format == "sym") return out.value({text, Kind::symbol});
  if (format != "pli") return out.value(text);
  return out.value(text.empty() ? Scalar({}, Kind::nil) : Scalar(text, Kind::list));
}

bool append_token(const RespToken& token, PlioCounted& out) {
  if (token.n < 0) return out.value({{}, Kind::nil});
  switch (token.sigil) {
    case '*':
    case '~':
    case '>': return out.open(static_cast<std::uint64_t>(token.n), false);
    case '%': return out.open(static_cast<std::uint64_t>(token.n), true);
    case ':':
    case '(': return out.value({token.text, Kind::number});
    case '#':
      return out.value(token.text == "t" ? Scalar("T", Kind::symbol) : Scalar({}, Kind::nil));
    case '_': return out.value({{}, Kind::nil});
    case '-':
    case '!': return out.value(Scalar(error_text(token.text)));
    case '=': return append_verbatim(token, out);
    case '|': return false;  // kv has no attributes
    default: return out.value(token.text);
  }
}

/// One whole reply, from position on, into an open list.
bool append_reply(std::string_view data, std::size_t& position, PlioCounted& out, RespToken token) {
  for (;;) {
    if (!append_token(token, out)) return false;
    position = token.end;
    if (out.complete()) return true;
    token = {};
    if (token.read(data, position) != RespToken::Outcome::whole) return false;
  }
}

}  // namespace

bool to_plio(std::string_view resp3, std::string& out) {
  for (std::size_t position = 0; position < resp3.size();) {
    RespToken token;
    if (token.read(resp3, position) != RespToken::Outcome::whole) return false;
    PlioCounted list(out);
    PlioWriter& writer = list.writer();
    writer.open();
    if (token.sigil == '>' && token.n == 2) {  // its own tag instead of "message"
      position = token.end;
      for (int i = 0; i < 2; ++i) {
        RespToken part;
        if (part.read(resp3, position) != RespToken::Outcome::whole) return false;
        if (!append_reply(resp3, position, list, part)) return false;
        if (i == 0) writer.dot();
      }
    } else {
      writer.value("message");
      writer.dot();
      if (!append_reply(resp3, position, list, token)) return false;
    }
    writer.close();
  }
  return true;
}

}  // namespace kv
