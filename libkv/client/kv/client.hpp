// libkvclient for C++20: talk to a kv server, or any server that speaks RESP3 (Redis 6 and later).
//
//     auto kv = kv::client::Connection::open(*kv::client::Options::from_environment());
//     if (!kv) return fail(kv.error().message);
//     kv->set("greeting", "hello");
//     std::optional<std::string> text = *kv->get("greeting");
//
// Nothing here throws but std::bad_alloc; what can fail returns Result<T>. A Connection belongs to
// one thread at a time; a Pool to any number. Strings hold any bytes. Includes nothing else of kv.
// Manual: libkvclient(3). C: kv/client.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#define KV_API __attribute__((visibility("default")))

namespace kv::client {

struct Access;  // the library's own

/// Why a call failed. The numbers are those of kv_code in kv/client.h and never change.
enum class ErrorCode : int {
  usage = 1,         // the caller's own words are wrong; nothing was sent
  connect = 2,       // cannot connect, or the connection was lost: nothing was carried out
  fate_unknown = 3,  // lost after a write had been sent: it may or may not have been carried out
  timeout = 4,       // no answer in time; a write may still be carried out
  denied = 5,        // wrong or missing password
  protocol = 6,      // the server sent what is not RESP, or a reply over the limits
  limit = 7,         // arguments over the limits; nothing was sent
  crypto = 8,        // sealing or opening failed; nothing was sent, or nothing is given out
  reply = 9,         // the server answered with an error: the message is its text
  memory = 10,       // out of memory (C only)
};

struct Error {
  ErrorCode code = ErrorCode::usage;
  std::string message;  // one sentence
};

/// A T or the Error that explains its absence. operator* needs ok().
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  bool ok() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  T& operator*() & { return *std::get_if<0>(&content_); }
  const T& operator*() const& { return *std::get_if<0>(&content_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&content_)); }
  T* operator->() { return std::get_if<0>(&content_); }
  const T* operator->() const { return std::get_if<0>(&content_); }
  const Error& error() const { return *std::get_if<1>(&content_); }  ///< needs !ok()

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: meant to convert
  bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

enum class Kind : std::uint8_t { nil, text, integer, decimal, boolean, list, map, error };

/// How the server gave a value, where its kind has several ways. For those who display replies.
enum class Form : std::uint8_t { plain, status, verbatim, big_number, set, push };

/// One reply, or one element of a reply. Copies deeply.
class KV_API Value {
 public:
  struct Pair;
  using List = std::vector<Value>;
  using Map = std::vector<Pair>;  // in the order the server sent

  Value() noexcept;
  Value(std::string text, Form form = Form::plain);  // NOLINT: meant to convert
  Value(const char* text);                           // NOLINT
  Value(std::int64_t n);                             // NOLINT
  Value(double d);                                   // NOLINT
  Value(List list, Form form = Form::plain);         // NOLINT
  Value(Map map);                                    // NOLINT
  static Value boolean_of(bool b);
  static Value error_of(std::string message);
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();

  Kind kind() const noexcept { return kind_; }
  Form form() const noexcept { return form_; }
  bool is_nil() const noexcept { return kind_ == Kind::nil; }
  bool is_error() const noexcept { return kind_ == Kind::error; }

  // What it holds. Of another kind: empty, 0 or false.
  const std::string& text() const noexcept;  ///< bytes of a text, message of an error
  std::int64_t integer() const noexcept;
  double decimal() const noexcept;
  bool boolean() const noexcept;
  const List& list() const noexcept;
  const Map& map() const noexcept;
  std::string& mutable_text() noexcept;  ///< needs Kind::text or Kind::error
  List& mutable_list() noexcept;         ///< needs Kind::list
  Map& mutable_map() noexcept;           ///< needs Kind::map

  /// Elements of a list, pairs of a map, else 0.
  std::size_t size() const noexcept;
  /// The value of a map's text key; null if it has none or this is no map.
  const Value* find(std::string_view key) const noexcept;
  /// Makes this value overwrite its text before giving the memory back.
  void mark_secret() noexcept { secret_ = true; }
  /// Text as it is; numbers in decimal; true or false; nothing for nil, lists and maps.
  std::string to_text() const;

  friend KV_API bool operator==(const Value& a, const Value& b) noexcept;

 private:
  void wipe_if_secret() noexcept;

  Kind kind_ = Kind::nil;
  Form form_ = Form::plain;
  bool secret_ = false;
  std::variant<std::monostate, std::string, std::int64_t, double, bool, List, Map> content_;
};

struct Value::Pair {
  Value key, value;
  friend bool operator==(const Pair& a, const Pair& b) noexcept {
    return a.key == b.key && a.value == b.value;
  }
};

/// Where and how to connect. Copy it, change it, open with it.
struct KV_API Options {
  std::string host = "localhost";
  std::uint16_t port = 6378;
  std::string socket;    // path of a Unix socket; used instead of host and port if not empty
  std::string user;      // empty: the default user
  std::string password;  // empty: none is sent
  std::string name;      // the connection's name (CLIENT SETNAME); empty: none
  unsigned database = 0;
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds timeout{60'000};  // of one call; 0: wait for ever
  bool reconnect = true;                      // see Connection
  bool quick_start = false;  // the handshake travels with the first call; open() then reports less
  // Of one reply, 2 GiB at most, and of one string in it, 1 GiB at most; a reply may hold as many
  // elements as this has 64 bytes. Over it: ErrorCode::protocol, and the connection is closed.
  std::size_t reply_bytes_max = std::size_t{1} << 30;

  Options();
  Options(const Options&);
  Options(Options&&) noexcept;
  Options& operator=(const Options&);
  Options& operator=(Options&&) noexcept;
  ~Options();  ///< wipes the password

  /// KV_URL, then what KV_SOCKET or KV_HOST and KV_PORT, KV_PASS say; else the values above.
  static Result<Options> from_environment();
  /// kv://[[user]:password@]host[:port][/database]; redis:// alike, its port being 6379
  /// unless said; unix:///path/of/socket.
  /// Percent escapes are undone in user, password, host and path; a broken one is an error.
  static Result<Options> from_url(std::string_view url);
};

/// How a call seals the values it sends and opens those it gets, with the GnuPG keys of the user
/// this process runs as. The server never sees a plain value. See libkvclient(3), SEALING.
struct KV_API SealOptions {
  bool seal = false;                    // seal every value argument, or refuse the call
  bool open = false;                    // open every sealed element of the reply
  std::vector<std::string> recipients;  // key ids; empty: key secrets/gpg-id, then KV_RECIPIENTS
  bool sign = false;                    // add the sender's signature
  bool require_sealed = false;          // opening: an element that is not sealed is an error
  bool require_signed = false;          // opening: only with a good signature by a trusted key
  bool allow_moved = false;             // opening: accept a value found under another name
  /// Told what the caller should know of a value that was opened nevertheless: a signature that
  /// could not be checked, another name it was sealed for. One sentence.
  std::function<void(const std::string& sentence)> on_note;

  SealOptions();
  SealOptions(const SealOptions&);
  SealOptions(SealOptions&&) noexcept;
  SealOptions& operator=(const SealOptions&);
  SealOptions& operator=(SealOptions&&) noexcept;
  ~SealOptions();
};

using Arguments = std::span<const std::string_view>;

/// One connection. Calls block until the reply or the timeout; what BLPOP and its kin tell the
/// server to wait comes on top of that.
///
/// When the connection turns out lost and Options::reconnect is set, the next step depends on what
/// was under way. A command that only reads, and any command of which not all bytes had been
/// handed to the kernel, is sent again over a new connection, once. A write that had been sent is
/// never sent again: the call fails with fate_unknown, and the next call reconnects.
/// Name, database and password are set up again. A connection inside MULTI, or that WATCHes, never
/// repeats anything: what it held is gone, and the call says so. Nor does one that has called
/// SUBSCRIBE or its like: messages may have been missed, and it has to subscribe again.
class KV_API Connection {
 public:
  static Result<Connection> open(const Options& options);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  /// Any command. The server's error reply is an Error with code reply.
  Result<Value> call(Arguments arguments);
  Result<Value> call(std::initializer_list<std::string_view> arguments);

  /// The same with values sealed, opened or both. Opened values are wiped when destroyed.
  Result<Value> call(Arguments arguments, const SealOptions& options);
  Result<Value> call(std::initializer_list<std::string_view> arguments, const SealOptions& options);

  /// Many commands without waiting in between; replies in order, errors among them as values of
  /// Kind::error. If the connection is lost the Error's message says how many were answered.
  Result<std::vector<Value>> run(std::span<const std::vector<std::string>> requests);

  // The common commands with their types. A missing key is std::nullopt, 0 or an empty container.
  Result<std::optional<std::string>> get(std::string_view key);
  Result<void> set(std::string_view key, std::string_view value);
  Result<std::int64_t> del(std::string_view key);
  Result<bool> exists(std::string_view key);
  Result<std::int64_t> incrby(std::string_view key, std::int64_t by = 1);
  Result<std::int64_t> rpush(std::string_view key, std::string_view element);
  Result<std::int64_t> lpush(std::string_view key, std::string_view element);
  Result<std::optional<std::string>> lpop(std::string_view key);
  Result<std::optional<std::string>> rpop(std::string_view key);
  /// As lpop and rpop, but they wait for an element: so long, 0 for ever.
  Result<std::optional<std::string>> blpop(std::string_view key, std::chrono::milliseconds wait);
  Result<std::optional<std::string>> brpop(std::string_view key, std::chrono::milliseconds wait);
  Result<std::vector<std::string>> lrange(std::string_view key, std::int64_t first = 0,
                                          std::int64_t last = -1);
  Result<bool> hset(std::string_view key, std::string_view field, std::string_view value);
  Result<std::optional<std::string>> hget(std::string_view key, std::string_view field);
  Result<std::vector<std::pair<std::string, std::string>>> hgetall(std::string_view key);
  Result<void> ping();
  /// Calls visit with every key that matches (SCAN's guarantees) until it returns false.
  Result<void> scan(std::string_view pattern, const std::function<bool(const std::string&)>& visit);

  /// Waits for what the server pushes after SUBSCRIBE or its like (none, if the time is up): a
  /// list, of "message", the channel and the text; of "pmessage", the pattern, the channel and the
  /// text; or, after SUBSCRIBE of several, of "subscribe", the next channel and a number. What
  /// arrives during calls is kept for it, the newest 1024 of them. A connection that subscribes may
  /// be asked everything else, too. Fails when it is lost: connect and subscribe again.
  Result<std::optional<Value>> next_push(std::chrono::milliseconds timeout);

  bool connected() const noexcept;  ///< as far as is known without asking
  std::uint64_t reconnects() const noexcept;
  void close() noexcept;  ///< the next call reconnects, if Options::reconnect
  void set_timeout(std::chrono::milliseconds timeout) noexcept;
  /// The descriptor, for poll(2); -1 if not connected. Never read or write it.
  int descriptor() const noexcept;
  /// Asks a call of this connection that another thread or a signal handler interrupts to end with
  /// Code timeout; the connection is closed, since its reply would come later. Async-signal-safe.
  void cancel() noexcept;

 private:
  friend class Pool;
  friend struct Access;
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// Connections for threads: opened when needed, kept for the next one. All functions may be called
/// from any thread. Must outlive its leases.
class KV_API Pool {
 public:
  /// At most connections_max at a time; who comes later waits, up to Options::timeout.
  explicit Pool(Options options, std::size_t connections_max = 16);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// A borrowed connection; goes back when destroyed. One that was lost is not kept.
  class KV_API Lease {
   public:
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) noexcept;
    ~Lease();
    Connection& operator*() noexcept { return *connection_; }
    Connection* operator->() noexcept { return &*connection_; }

   private:
    friend class Pool;
    Lease(Pool* pool, Connection connection) noexcept;
    Pool* pool_;
    std::optional<Connection> connection_;
  };
  Result<Lease> lease();
  Result<Value> call(Arguments arguments);
  Result<Value> call(std::initializer_list<std::string_view> arguments);
  std::size_t open_connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Version of the library, "1.0.0".
KV_API const char* version() noexcept;

}  // namespace kv::client
