// Replies from the sibling's form (RESP3 and three private forms) to what a client is sent.
//
// RESP says how many values follow but never where a container ends, so a translation goes token
// by token and needs no stack. Runs of bytes that stay as they are get copied at once.
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/reply.hpp"
#include "libkv/wire/resp.hpp"
#include "libkv/wire/resp_token.hpp"

namespace kv {
namespace {

void append_header(std::string& out, char sigil, std::uint64_t n) {
  out.push_back(sigil);
  out.append(std::to_string(n)).append("\r\n");
}

void append_bulk(std::string& out, std::string_view bytes) {
  append_header(out, '$', bytes.size());
  out.append(bytes).append("\r\n");
}

/// The text of =, where kv's private formats become what a RESP client can read.
void append_verbatim_as_bulk(std::string& out, const RespToken& token) {
  if (token.text.starts_with("pli:")) append_bulk(out, lisp_text(token.plain()));
  else append_bulk(out, token.plain());
}

bool changes_for_resp2(const RespToken& token) noexcept {
  return std::string_view("%~>,(#_=!").find(token.sigil) != std::string_view::npos;
}

bool changes_for_resp3(const RespToken& token) noexcept {
  return token.n < 0 ||
         (token.sigil == '=' && (token.text.starts_with("sym:") || token.text.starts_with("pli:")));
}

void append_for_resp2(const RespToken& token, std::string& out) {
  switch (token.sigil) {
    case '%':
    case '~':
    case '>': return append_header(out, '*', token.children());
    case '#': out.append(token.text == "t" ? ":1\r\n" : ":0\r\n"); return;
    case '_': out.append("$-1\r\n"); return;
    case '=': return append_verbatim_as_bulk(out, token);
    case '!': return Reply(out, Dialect::resp).error(token.text);
    default: return append_bulk(out, token.text);  // doubles and big numbers
  }
}

void append_for_resp3(const RespToken& token, std::string& out) {
  if (token.n < 0) out.append("_\r\n");
  else append_verbatim_as_bulk(out, token);
}

template <class Changes, class Append>
bool translate(std::string_view data, std::string& out, Changes changes, Append append) {
  std::size_t copied = 0;     // data before this is in out
  std::uint64_t missing = 0;  // values announced that have not come
  for (std::size_t position = 0; position < data.size();) {
    RespToken token;
    if (token.read(data, position) != RespToken::Outcome::whole || token.sigil == '|') return false;
    if (changes(token)) {
      out.append(data.substr(copied, position - copied));
      append(token, out);
      copied = token.end;
    }
    missing = (missing > 0 ? missing - 1 : 0) + token.children();
    position = token.end;
  }
  out.append(data.substr(copied));
  return missing == 0;
}

}  // namespace

bool to_resp2(std::string_view resp3, std::string& out) {
  return translate(resp3, out, changes_for_resp2, append_for_resp2);
}

bool to_resp3(std::string_view resp3, std::string& out) {
  return translate(resp3, out, changes_for_resp3, append_for_resp3);
}

std::size_t reply_length(std::string_view data) noexcept {
  std::uint64_t missing = 1;
  for (std::size_t position = 0;;) {
    RespToken token;
    const RespToken::Outcome outcome = token.read(data, position);
    if (outcome == RespToken::Outcome::bad) return std::string_view::npos;
    if (outcome == RespToken::Outcome::incomplete) return 0;
    position = token.end;
    // An attribute comes before the value it belongs to and does not stand for it.
    missing += token.children();
    if (token.sigil != '|') --missing;
    if (missing == 0) return position;
    if (missing > limits::request_bytes_max * 4) return std::string_view::npos;
  }
}

void append_request(std::string& out, std::span<const std::string_view> args) {
  append_header(out, '*', args.size());
  for (const std::string_view arg : args) append_bulk(out, arg);
}

}  // namespace kv
