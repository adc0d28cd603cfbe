// kv/client.h over kv/client.hpp. Holds no logic; must let no exception out.
#include <cstdarg>
#include <cstring>
#include <new>
#include <utility>

#include "crypto/keys.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/client/address.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/kv/client.h"
#include "libkv/client/kv/client.hpp"

using namespace kv::client;

struct kv_options {
  Options connection;
  SealOptions seal;
  std::string error;        // of the last call
  std::string environment;  // what is wrong with it: then nothing of it is in these options

  /// Why nobody may connect with these options; empty if they are fine.
  const std::string& refusal() const noexcept { return environment.empty() ? error : environment; }
};

struct kv_connection {
  std::optional<Connection> connection;
  std::optional<Pool::Lease> lease;
  SealOptions seal;
  std::vector<std::vector<std::string>> queue;
  kv_code code = KV_OK;
  std::string message;

  Connection* get() noexcept {
    if (lease) return &**lease;
    return connection ? &*connection : nullptr;
  }
  void set(kv_code c, std::string m) noexcept {
    code = c;
    message = std::move(m);
  }
  void set(const Error& error) { set(static_cast<kv_code>(error.code), error.message); }
};

struct kv_pool {
  kv_pool(const kv_options& options, std::size_t n)
      : pool(options.connection, n), seal(options.seal), error(options.refusal()) {}
  Pool pool;
  SealOptions seal;
  std::string error;  // of the options
};

namespace {

static_assert(static_cast<int>(ErrorCode::memory) == KV_MEMORY);
static_assert(static_cast<int>(ErrorCode::reply) == KV_REPLY);
static_assert(static_cast<int>(Kind::error) == KV_ERROR);
static_assert(static_cast<int>(Kind::boolean) == KV_BOOLEAN);

// A kv_reply is a Value by another name: it has no members of its own.
const Value& value_of(const kv_reply* reply) noexcept {
  static const Value nil;
  return reply == nullptr ? nil : *reinterpret_cast<const Value*>(reply);
}
const kv_reply* reply_of(const Value& value) noexcept {
  return reinterpret_cast<const kv_reply*>(&value);
}
kv_reply* new_reply(Value&& value) {
  return reinterpret_cast<kv_reply*>(new Value(std::move(value)));
}

/// Runs function; what it throws becomes the connection's error.
template <class Function>
kv_reply* guarded(kv_connection* connection, Function function) noexcept {
  if (connection == nullptr) return nullptr;
  try {
    connection->set(KV_OK, {});
    return function();
  } catch (const std::bad_alloc&) {
    connection->set(KV_MEMORY, {});
  } catch (...) {
    connection->set(KV_USAGE, {});
  }
  return nullptr;
}

kv_reply* finish(kv_connection* connection, Result<Value>&& reply) {
  if (reply) return new_reply(*std::move(reply));
  connection->set(reply.error());
  return nullptr;
}

/// The arguments as views. False, with the connection's error set, if one of them is NULL.
bool take_views(kv_connection* connection, std::size_t count, const char* const* arguments,
                const std::size_t* lengths, std::vector<std::string_view>& out) {
  if (count > kv::limits::args_max) {
    connection->set(KV_LIMIT, "too many arguments");
    return false;
  }
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* text = arguments == nullptr ? nullptr : arguments[i];
    const bool empty = lengths != nullptr && lengths[i] == 0;
    if (text == nullptr && !empty) {
      connection->set(KV_USAGE, "argument " + std::to_string(i) + " is NULL");
      return false;
    }
    if (empty) out.emplace_back();
    else if (lengths != nullptr) out.emplace_back(text, lengths[i]);
    else out.emplace_back(text);
  }
  return true;
}

kv_reply* call(kv_connection* connection, unsigned flags, Arguments arguments) {
  Connection* open = connection->get();
  if (open == nullptr) {
    connection->set(KV_CONNECT, "not connected");
    return nullptr;
  }
  if ((flags & (KV_SEAL | KV_OPEN)) == 0) return finish(connection, open->call(arguments));
  SealOptions seal = connection->seal;
  seal.seal = (flags & KV_SEAL) != 0;
  seal.open = (flags & KV_OPEN) != 0;
  return finish(connection, open->call(arguments, seal));
}

// ---- options by name ----

bool set_flag(bool& flag, std::string_view value) {
  if (value != "0" && value != "1") return false;
  flag = value == "1";
  return true;
}

template <class Number>
bool set_number(Number& number, std::string_view value, std::uint64_t max, std::uint64_t min = 0) {
  std::uint64_t n = 0;
  if (!kv::parse_unsigned(value, n) || n < min || n > max) return false;
  number = static_cast<Number>(n);
  return true;
}

bool set_time(std::chrono::milliseconds& time, std::string_view value) {
  std::int64_t ms = 0;
  if (!set_number(ms, value, std::uint64_t{1} << 40)) return false;
  time = std::chrono::milliseconds(ms);
  return true;
}

bool set_text(std::string& text, std::string_view value) {
  text = value;
  return true;
}

/// False: no such name, or the value does not fit.
bool set_plain_option(kv_options& o, std::string_view name, std::string_view value) {
  Options& c = o.connection;
  if (name == "host") return c.socket.clear(), set_text(c.host, value);
  if (name == "port") return set_number(c.port, value, 65535, 1);
  if (name == "socket") return set_text(c.socket, value);
  if (name == "user") return set_text(c.user, value);
  if (name == "password") return set_text(c.password, value);
  if (name == "name") return set_text(c.name, value);
  if (name == "database") return set_number(c.database, value, kv::limits::databases_max - 1);
  if (name == "timeout-ms") return set_time(c.timeout, value);
  if (name == "connect-timeout-ms") return set_time(c.connect_timeout, value);
  if (name == "reconnect") return set_flag(c.reconnect, value);
  if (name == "reply-bytes-max") return set_number(c.reply_bytes_max, value, SIZE_MAX / 2);
  if (name == "sign") return set_flag(o.seal.sign, value);
  if (name == "require-sealed") return set_flag(o.seal.require_sealed, value);
  if (name == "require-signed") return set_flag(o.seal.require_signed, value);
  if (name == "allow-moved") return set_flag(o.seal.allow_moved, value);
  return false;
}

kv::Status set_option(kv_options& o, std::string_view name, const char* value) {
  if (value == nullptr) {
    return {kv::Code::usage, "the value of " + kv::shown(name, 40) + " is NULL"};
  }
  if (name == "url") {
    Options changed = o.connection;  // half a URL must not be left in them
    auto status = apply_url(value, changed);
    if (status.ok()) o.connection = std::move(changed);
    return status;
  }
  if (name == "recipients") {
    auto ids = kv::crypto::parse_recipients(value);
    if (ids) o.seal.recipients = *std::move(ids);
    return ids.status();
  }
  if (set_plain_option(o, name, value)) return {};
  // The value may be a password, so only its name is repeated.
  return {kv::Code::usage, "no such option, or its value does not fit: " + kv::shown(name, 40)};
}

/// options, or what the environment says. Throws.
kv_options options_or_environment(const kv_options* options) {
  if (options != nullptr) return *options;
  kv_options out;
  auto connection = Options::from_environment();
  if (connection) out.connection = *std::move(connection);
  else out.error = out.environment = connection.error().message;
  return out;
}

}  // namespace

extern "C" {

kv_options* kv_options_new(void) {
  try {
    return new kv_options(options_or_environment(nullptr));
  } catch (...) {
    return nullptr;
  }
}

kv_code kv_options_set(kv_options* options, const char* name, const char* value) {
  if (options == nullptr) return KV_USAGE;
  try {
    const kv::Status status = set_option(*options, name == nullptr ? "" : name, value);
    options->error = status.message();
    return status.ok() ? KV_OK : KV_USAGE;
  } catch (...) {
    return KV_MEMORY;
  }
}

const char* kv_options_error(const kv_options* options) {
  return options == nullptr ? "" : options->error.c_str();
}

void kv_options_free(kv_options* options) { delete options; }

kv_connection* kv_connect(const kv_options* options) {
  auto* out = new (std::nothrow) kv_connection;
  guarded(out, [&]() -> kv_reply* {
    const kv_options chosen = options_or_environment(options);
    out->seal = chosen.seal;
    if (!chosen.refusal().empty()) {
      out->set(KV_USAGE, chosen.refusal());
      return nullptr;
    }
    auto connection = Connection::open(chosen.connection);
    if (connection) out->connection.emplace(*std::move(connection));
    else out->set(connection.error());
    return nullptr;
  });
  return out;
}

void kv_close(kv_connection* connection) { delete connection; }

kv_code kv_error_code(const kv_connection* connection) {
  return connection == nullptr ? KV_MEMORY : connection->code;
}

const char* kv_error_message(const kv_connection* connection) {
  if (connection == nullptr || connection->code == KV_MEMORY) return "out of memory";
  return connection->message.c_str();
}

kv_reply* kv_call(kv_connection* connection, size_t count, const char* const* arguments,
                  const size_t* lengths) {
  return kv_call_sealed(connection, 0, count, arguments, lengths);
}

kv_reply* kv_command(kv_connection* connection, const char* word, ...) {
  std::va_list list;
  va_start(list, word);
  kv_reply* reply = guarded(connection, [&] {
    std::vector<std::string_view> arguments;
    for (const char* text = word; text != nullptr; text = va_arg(list, const char*)) {
      arguments.emplace_back(text);
    }
    return call(connection, 0, arguments);
  });
  va_end(list);
  return reply;
}

kv_reply* kv_call_sealed(kv_connection* connection, unsigned flags, size_t count,
                         const char* const* arguments, const size_t* lengths) {
  return guarded(connection, [&]() -> kv_reply* {
    std::vector<std::string_view> views;
    if (!take_views(connection, count, arguments, lengths, views)) return nullptr;
    return call(connection, flags, views);
  });
}

kv_code kv_queue(kv_connection* connection, size_t count, const char* const* arguments,
                 const size_t* lengths) {
  guarded(connection, [&]() -> kv_reply* {
    std::vector<std::string_view> views;
    if (!take_views(connection, count, arguments, lengths, views)) return nullptr;
    // What kv_run would refuse is refused here, where the rest of the queue is not lost with it.
    if (auto status = check_pipelined(views); !status) return finish(connection, error_of(status));
    connection->queue.emplace_back(views.begin(), views.end());
    return nullptr;
  });
  return kv_error_code(connection);
}

kv_reply* kv_run(kv_connection* connection) {
  return guarded(connection, [&]() -> kv_reply* {
    const auto queue = std::exchange(connection->queue, {});
    Connection* open = connection->get();
    if (open == nullptr) return finish(connection, Error{ErrorCode::connect, "not connected"});
    auto replies = open->run(queue);
    if (!replies) return finish(connection, replies.error());
    return new_reply(Value(*std::move(replies)));
  });
}

kv_reply* kv_next_push(kv_connection* connection, int64_t timeout_ms) {
  return guarded(connection, [&]() -> kv_reply* {
    Connection* open = connection->get();
    if (open == nullptr) return finish(connection, Error{ErrorCode::connect, "not connected"});
    auto message = open->next_push(std::chrono::milliseconds(timeout_ms));
    if (!message) return finish(connection, message.error());
    if (!message->has_value()) {
      return finish(connection, Error{ErrorCode::timeout, "no message came"});
    }
    return new_reply(std::move(**message));
  });
}

void kv_set_timeout(kv_connection* connection, int64_t timeout_ms) {
  Connection* open = connection == nullptr ? nullptr : connection->get();
  if (open != nullptr) open->set_timeout(std::chrono::milliseconds(timeout_ms));
}

void kv_cancel(kv_connection* connection) {
  Connection* open = connection == nullptr ? nullptr : connection->get();
  if (open != nullptr) open->cancel();
}

int kv_descriptor(const kv_connection* connection) {
  if (connection == nullptr) return -1;
  Connection* open = const_cast<kv_connection*>(connection)->get();
  return open == nullptr ? -1 : open->descriptor();
}

kv_kind kv_reply_kind(const kv_reply* reply) {
  return static_cast<kv_kind>(value_of(reply).kind());
}

const char* kv_reply_text(const kv_reply* reply, size_t* length) {
  const std::string& text = value_of(reply).text();
  if (length != nullptr) *length = text.size();
  return text.c_str();
}

int64_t kv_reply_integer(const kv_reply* reply) { return value_of(reply).integer(); }
double kv_reply_decimal(const kv_reply* reply) { return value_of(reply).decimal(); }
int kv_reply_boolean(const kv_reply* reply) { return value_of(reply).boolean() ? 1 : 0; }
size_t kv_reply_count(const kv_reply* reply) { return value_of(reply).size(); }

const kv_reply* kv_reply_item(const kv_reply* reply, size_t i) {
  const Value& value = value_of(reply);
  if (i >= value.size()) return nullptr;
  return reply_of(value.kind() == Kind::map ? value.map()[i].value : value.list()[i]);
}

const kv_reply* kv_reply_key(const kv_reply* reply, size_t i) {
  const Value::Map& map = value_of(reply).map();
  return i < map.size() ? reply_of(map[i].key) : nullptr;
}

const kv_reply* kv_reply_find(const kv_reply* reply, const char* key) {
  const Value* found = key == nullptr ? nullptr : value_of(reply).find(key);
  return found == nullptr ? nullptr : reply_of(*found);
}

void kv_reply_free(kv_reply* reply) { delete reinterpret_cast<Value*>(reply); }

kv_pool* kv_pool_new(const kv_options* options, size_t connections_max) {
  try {
    return new kv_pool(options_or_environment(options), connections_max);
  } catch (...) {
    return nullptr;
  }
}

kv_connection* kv_pool_take(kv_pool* pool) {
  if (pool == nullptr) return nullptr;
  auto* out = new (std::nothrow) kv_connection;
  guarded(out, [&]() -> kv_reply* {
    out->seal = pool->seal;
    if (!pool->error.empty()) {
      out->set(KV_USAGE, pool->error);
      return nullptr;
    }
    auto lease = pool->pool.lease();
    if (lease) out->lease.emplace(*std::move(lease));
    else out->set(lease.error());
    return nullptr;
  });
  return out;
}

void kv_pool_return(kv_pool*, kv_connection* connection) { delete connection; }
void kv_pool_free(kv_pool* pool) { delete pool; }

const char* kv_version(void) { return version(); }

}  // extern "C"
