// Between kv's own types and the public ones of kv/client.hpp, which must stand alone.
#pragma once

#include "libkv/base/status.hpp"
#include "libkv/client/kv/client.hpp"
#include "libkv/value/value.hpp"

namespace kv::client {

/// The public form of a reply. Strings are moved, not copied.
Value converted(kv::Value&& value);

Error error_of(const Status& status);
/// An error reply as an Error: denied if it says so (NOAUTH, WRONGPASS, NOPERM ...), else reply.
Error error_of_reply(const std::string& text);

/// What the client program ends with after this error (server(1) and client(1), EXIT STATUS).
int exit_code_of(ErrorCode code) noexcept;

}  // namespace kv::client
