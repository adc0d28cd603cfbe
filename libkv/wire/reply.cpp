// The rarer replies; the common ones are inline in reply.hpp.
#include "libkv/wire/reply.hpp"

#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_text.hpp"

namespace kv {
namespace {

constexpr std::size_t reply_ends_bytes = 64;

}  // namespace

void Reply::error(std::string_view text) {
  failed_ = true;
  if (!fits(text.size())) return;
  out_->push_back('-');
  for (const char c : text) out_->push_back(c == '\r' || c == '\n' ? ' ' : c);
  out_->append("\r\n", 2);
}

void Reply::decimal(double d) {
  special();
  line(',', format_decimal(d));
}

void Reply::verbatim(std::string_view text) {
  special();
  number('=', static_cast<std::int64_t>(text.size() + 4));
  if (fits(text.size() + 4)) out_->append("txt:").append(text).append("\r\n", 2);
}

void Reply::scalar(const Scalar& s) {
  if (s.kind == Kind::string) return bulk(s.bytes);
  if (!plio()) return s.kind == Kind::list ? bulk(lisp_text(s.bytes)) : bulk(s.bytes);
  special();
  switch (s.kind) {
    case Kind::number: return line('(', s.bytes);
    case Kind::nil: return nil();
    default: break;
  }
  number('=', static_cast<std::int64_t>(s.bytes.size() + 4));
  if (!fits(s.bytes.size() + 4)) return;
  out_->append(s.kind == Kind::list ? "pli:" : "sym:").append(s.bytes).append("\r\n", 2);
}

/// Of another kind or large.
void Reply::last_unusual(const Scalar& s) {
  if (s.kind != Kind::string) return scalar(s);
  number('$', static_cast<std::int64_t>(s.bytes.size()));
  if (!fits(s.bytes.size())) return;
  // Whoever sends it may have to put it here after all, with a head and a line break; if memory
  // ends, that must show now.
  out_->reserve(out_->size() + s.bytes.size() + reply_ends_bytes);
  rest_ = s.bytes;
}

}  // namespace kv
