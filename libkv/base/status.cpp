// Words and numbers for the codes of status.hpp; the table is the only place that maps them.
#include "libkv/base/status.hpp"

#include <cerrno>
#include <cstring>

namespace kv {
namespace {

struct CodeRow {
  std::string_view name;
  int exit_code;
};

// In the order of the enumeration.
constexpr CodeRow code_rows[] = {
    {"ok", 0},     {"usage", 2},    {"not_found", 1}, {"protocol", 3}, {"limit", 1},
    {"denied", 4}, {"no_space", 1}, {"io", 1},        {"corrupt", 1},  {"unsupported", 1},
    {"lost", 3},   {"timeout", 3},  {"crypto", 5},    {"reply", 1},    {"busy", 1},
};
static_assert(std::size(code_rows) == static_cast<std::size_t>(Code::busy) + 1);

Code code_of_errno(int error) noexcept {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM: return Code::no_space;
    case EMFILE:
    case ENFILE: return Code::limit;
    case ENOENT: return Code::not_found;
    case EACCES:
    case EPERM: return Code::denied;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED: return Code::lost;
    case ETIMEDOUT: return Code::timeout;
    case EADDRINUSE:
    case EBUSY: return Code::busy;
    default: return Code::io;
  }
}

}  // namespace

std::string_view code_name(Code code) noexcept {
  return code_rows[static_cast<std::size_t>(code)].name;
}

int exit_code(Code code) noexcept { return code_rows[static_cast<std::size_t>(code)].exit_code; }

Status Status::from_errno(int error, std::string_view what) {
  std::string text = std::string(what) + ": " + std::strerror(error);
  if (error == EMFILE) text.append(" (ulimit -n allows too few)");
  return {code_of_errno(error), std::move(text)};
}

}  // namespace kv
