// Where a server is, and a connected socket to it within a time limit.
//
// Internal to the client. Must never read or write a byte of the protocol.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

#include "libkv/base/status.hpp"
#include "libkv/client/kv/client.hpp"

namespace kv::client {

using Clock = std::chrono::steady_clock;

/// Clock::time_point::max() never comes.
using Deadline = Clock::time_point;

/// Now plus the time, or never if it is 0.
Deadline deadline_after(std::chrono::milliseconds time) noexcept;
/// What poll(2) wants: milliseconds left, rounded up, 0 if it has passed, -1 if it never comes.
int poll_time(Deadline deadline) noexcept;

/// "127.0.0.1:6378" or the socket's path, for messages.
std::string endpoint_text(const Options& options);

/// Connects a non-blocking socket (close-on-exec, no delay, keepalive) and hands it over; the
/// caller closes it. Tries every address of a host name. Fails with lost or timeout, which it also
/// is soon after cancelled was set.
kv::Result<int> open_socket(const Options& options, Deadline deadline,
                            const std::atomic<bool>& cancelled);

/// kv://[[user]:password@]host[:port][/database], redis:// alike (port 6379), unix://PATH; onto
/// options.
kv::Status apply_url(std::string_view url, Options& options);
/// KV_URL, KV_SOCKET, KV_HOST, KV_PORT, KV_PASS; onto options. Unset or empty ones change nothing.
kv::Status apply_environment(Options& options);

}  // namespace kv::client
