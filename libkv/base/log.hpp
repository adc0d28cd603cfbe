// Lines for the operator: what happens on stdout with --verbose, what went wrong on stderr.
//
// One write a line, so lines of several processes never mix. Never a password, never a whole value.
// Must never wait for a reader: a line that finds no room is dropped, counted, and told of later.
#pragma once

#include <string_view>

namespace kv::log {

/// Makes stdout and stderr such that a line for which there is no room is dropped. Before forking.
void never_wait() noexcept;
void set_verbose(bool on) noexcept;
namespace detail {
inline bool verbose_on = false;
}
inline bool verbose() noexcept { return detail::verbose_on; }

/// "[2026-11-20T10:00:00] text" on stdout, only with --verbose.
void note(std::string_view text) noexcept;
/// The same form on stderr, always.
void warn(std::string_view text) noexcept;
/// Plain text on stdout: the ready line.
void say(std::string_view text) noexcept;
/// "kv: text" on stderr: why the server does not start.
void refuse(std::string_view text) noexcept;

}  // namespace kv::log
