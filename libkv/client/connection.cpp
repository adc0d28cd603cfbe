// Connecting, shaking hands, calling, and what happens when the connection is lost.
//
// Must never send a write twice. See kv/client.hpp for the promise and connection_impl.hpp.
#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"
#include "libkv/client/command_docs.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/sealing.hpp"

namespace kv::client {
namespace {

// With the handshake still unanswered a server takes only small requests (limits.hpp).
bool fits_before_login(Arguments arguments) noexcept {
  std::size_t bytes = 0;
  for (const std::string_view argument : arguments) bytes += argument.size();
  return arguments.size() <= limits::guest_args_max && bytes <= limits::guest_bulk_bytes_max / 4;
}

bool is_word(std::string_view text, std::string_view word) noexcept {
  return equals_ignoring_case(text, word);
}

}  // namespace

bool answers_by_push(std::string_view word) noexcept {
  constexpr std::string_view words[] = {"subscribe",    "unsubscribe", "psubscribe",
                                        "punsubscribe", "ssubscribe",  "sunsubscribe"};
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view w) { return is_word(word, w); });
}

namespace {

Status handshake_failure(const Value& reply, bool gave_password) {
  const Error error = error_of_reply(reply.text());
  if (error.code == ErrorCode::denied) {
    return {Code::denied, gave_password ? error.message : std::string(password_wanted)};
  }
  if (reply.text().starts_with("ERR unknown command") || reply.text().starts_with("NOPROTO")) {
    return {Code::protocol, "the server does not speak RESP3: " + shown(reply.text(), 200)};
  }
  return {Code::reply, error.message};
}

}  // namespace

bool only_reads(Arguments arguments) noexcept {
  // Commands without a key are left out but for these: SAVE, CONFIG SET or DEBUG write no key
  // either, and doing them twice is not the same as once.
  constexpr std::string_view keyless[] = {"command", "dbsize", "echo", "info",      "keys",
                                          "lolwut",  "ping",   "scan", "randomkey", "time"};
  const CommandDoc* doc = arguments.empty() ? nullptr : find_command_doc(arguments[0]);
  if (doc == nullptr || doc->write) return false;
  return doc->key_first > 0 ||
         std::find(std::begin(keyless), std::end(keyless), doc->name) != std::end(keyless);
}

std::chrono::milliseconds time_to_wait(Arguments arguments) noexcept {
  using std::chrono::milliseconds;
  // Asked of each request of a bulk load: only names with a b are looked up.
  if (arguments.size() < 2 || arguments[0].empty() || (arguments[0][0] | 0x20) != 'b') return {};
  const CommandDoc* doc = find_command_doc(arguments[0]);
  if (doc == nullptr || !doc->waits) return {};
  double seconds = 0;
  const bool first = doc->syntax.starts_with("timeout");
  if (!parse_decimal(first ? arguments[1] : arguments.back(), seconds) || seconds < 0) return {};
  constexpr double longest_s = 1e9;
  if (seconds == 0 || seconds > longest_s) return milliseconds::max();
  return milliseconds(static_cast<std::int64_t>(seconds * 1000) + 1);
}

Status moved_away() { return {Code::usage, "this connection was moved to another object"}; }

Status check_arguments(Arguments arguments) {
  if (arguments.empty() || arguments[0].empty()) return {Code::usage, "no command given"};
  if (arguments.size() > limits::args_max) return {Code::limit, "too many arguments"};
  std::size_t bytes = 0;
  for (const std::string_view argument : arguments) {
    if (argument.size() > limits::value_bytes_max) {
      return {Code::limit, "an argument is over " + human_bytes(limits::value_bytes_max)};
    }
    bytes += argument.size();
    if (bytes > limits::request_bytes_max) {
      return {Code::limit, "the arguments are over " + human_bytes(limits::request_bytes_max)};
    }
  }
  if (is_word(arguments[0], "monitor") ||
      (is_word(arguments[0], "client") && arguments.size() > 2 && is_word(arguments[1], "reply") &&
       !is_word(arguments[2], "on"))) {
    return {Code::usage, to_upper(arguments[0]) + " would leave calls without their replies"};
  }
  return {};
}

Status check_pipelined(Arguments arguments) {
  if (auto status = check_arguments(arguments); !status) return status;
  if (!answers_by_push(arguments[0])) return {};
  return {Code::usage, to_upper(arguments[0]) + " has no place in a pipeline"};
}

// One try of one command: how far it got.
struct Connection::Impl::Attempt {
  Value reply;
  bool fully_sent = false;  // the kernel has taken every byte: the server may carry it out
};

Connection::Impl::Impl(Options o) : options(std::move(o)) {}
Connection::Impl::~Impl() = default;

Status Connection::Impl::connect(Deadline deadline) {
  drop();
  const Deadline connecting = std::min(deadline, deadline_after(options.connect_timeout));
  if (auto status = link.open(options, connecting); !status) return status;
  if (was_connected) ++reconnects;
  was_connected = true;
  std::vector<std::string_view> hello{"HELLO", "3"};
  if (!options.password.empty()) {
    const std::string_view user = options.user.empty() ? "default" : std::string_view(options.user);
    hello.insert(hello.end(), {"AUTH", user, options.password});
  }
  if (!options.name.empty()) hello.insert(hello.end(), {"SETNAME", options.name});
  link.add(hello);
  handshake_replies = 1;
  if (options.database != 0) {
    const std::string number = std::to_string(options.database);
    link.add(std::array<std::string_view, 2>{"SELECT", number});
    ++handshake_replies;
  }
  // Not with a database to select: were that refused, the first call would hit another one.
  if (options.quick_start && options.database == 0) return {};
  Status status = finish_handshake(connecting);
  if (!status) drop();
  return status;
}

Status Connection::Impl::finish_handshake(Deadline deadline) {
  Status failure;
  while (handshake_replies > 0) {
    Value reply;
    if (auto status = read_reply(reply, deadline); !status) return failure.ok() ? status : failure;
    --handshake_replies;
    if (reply.is_error() && failure.ok()) {
      failure = handshake_failure(reply, !options.password.empty());
    }
  }
  return failure;
}

Status Connection::Impl::read_reply(Value& reply, Deadline deadline) {
  for (;;) {
    if (auto status = link.read(reply, deadline); !status) return status;
    if (reply.form() != Form::push) return {};
    keep_push(std::move(reply));
  }
}

void Connection::Impl::drop() noexcept {
  link.close();
  handshake_replies = 0;
  in_multi = watching = subscribed = session_over = false;
  listens_to = {};
  queued_changes.clear();
}

/// SUBSCRIBE and its like are confirmed name by name, with how many there are then: those of shard
/// channels by themselves.
void Connection::Impl::note_confirmed(const Value& message) noexcept {
  const Value::List& items = message.list();
  if (items.size() != 3 || !answers_by_push(items[0].text())) return;
  const std::string_view word = items[0].text();
  const bool of_shard = is_word(word, "ssubscribe") || is_word(word, "sunsubscribe");
  listens_to[of_shard ? 1 : 0] = items[2].integer();
  subscribed = listens_to[0] > 0 || listens_to[1] > 0;
}

void Connection::Impl::keep_push(Value&& message) {
  constexpr std::size_t pushes_max = 1024;
  note_confirmed(message);
  if (pushes.size() >= pushes_max) pushes.pop_front();
  pushes.push_back(std::move(message));
}

Deadline Connection::Impl::answer_by(std::chrono::milliseconds server_waits) const noexcept {
  constexpr auto for_ever = std::chrono::milliseconds::max();
  const bool ends = options.timeout.count() > 0 && options.timeout < for_ever - server_waits;
  return ends ? deadline_after(options.timeout + server_waits) : Deadline::max();
}

Status Connection::Impl::attempt(Arguments arguments, Attempt& attempt) {
  const Deadline deadline = deadline_after(options.timeout);
  if (!link.is_open()) {
    if (auto status = connect(deadline); !status) return status;
  }
  if (handshake_replies > 0 && !fits_before_login(arguments)) {
    if (auto status = finish_handshake(deadline); !status) return status;
  }
  link.add(arguments);
  const std::uint64_t end = link.queued();
  Status status = finish_handshake(deadline);
  const bool refused = !status && status.code() != Code::lost && status.code() != Code::timeout;
  // Its answers: one for each name. All of them are awaited, or the next SUBSCRIBE would take one
  // of them for its own, and its own, perhaps an error, would be that of the call behind it.
  std::size_t confirmations = 0;
  if (answers_by_push(arguments[0])) confirmations = std::max<std::size_t>(arguments.size(), 2) - 1;
  bool confirmed = false;
  const auto server_waits = time_to_wait(arguments);
  const Deadline answered_by = server_waits.count() > 0 ? answer_by(server_waits) : deadline;
  while (status.ok()) {
    Value next;
    status = link.read(next, answered_by);
    if (!status) break;
    const bool pushed = next.form() == Form::push;
    const bool confirms = pushed && confirmations > 0 && !next.list().empty() &&
                          is_word(next.list()[0].text(), arguments[0]);
    if (confirms) note_confirmed(next);
    if (!pushed || (confirms && !std::exchange(confirmed, true))) attempt.reply = std::move(next);
    else keep_push(std::move(next));
    // A server that sends messages without end must not put off the end of the wait.
    if (pushed && Clock::now() >= answered_by) status = no_answer_in_time();
    if (!pushed || (confirms && --confirmations == 0)) break;
  }
  attempt.fully_sent = !refused && link.taken() >= end;
  return status;
}

Status Connection::Impl::notice_loss() {
  if (link.is_open() && handshake_replies == 0 && link.gone()) {
    // What a lost session held cannot be set up again, so nothing goes on behind its back.
    const bool held = in_multi || watching, listened = subscribed;
    drop();
    if (listened) {
      return {Code::lost, "the connection was lost, and its subscriptions with it"};
    }
    if (held) {
      return {Code::lost,
              "the connection was lost, and its transaction with it; nothing of it "
              "was carried out"};
    }
    const Status closed{Code::lost, "the server closed the connection"};
    if (!options.reconnect) return closed;
    if (on_reconnect) on_reconnect(error_of(closed));
  }
  if (!link.is_open() && was_connected && !options.reconnect) {
    return {Code::lost, "not connected"};
  }
  return {};
}

Result<Value> Connection::Impl::exchange(Arguments arguments) {
  if (auto status = check_arguments(arguments); !status) return error_of(status);
  const DropOnThrow guard(*this);
  link.begin();
  const bool held = in_multi || watching || subscribed;
  if (auto status = notice_loss(); !status) return error_of(status);
  for (int tries = 1;; ++tries) {
    Attempt attempt_made;
    const Status status = attempt(arguments, attempt_made);
    if (status.ok()) {
      note_state(arguments, attempt_made.reply);
      if (session_over) drop();
      return std::move(attempt_made.reply);
    }
    const bool harmless = !attempt_made.fully_sent || only_reads(arguments);
    const bool had_link = link.is_open();
    drop();
    if (status.code() == Code::lost && had_link && harmless && tries == 1 && options.reconnect &&
        !held) {
      if (on_reconnect) on_reconnect(error_of(status));
      continue;
    }
    Error error = error_of(status);
    if (harmless) return error;
    const std::string word = to_upper(shown(arguments[0], 40));
    if (status.code() == Code::timeout) {
      error.message += "; " + word + " was sent and may still be carried out";
    } else {
      error.code = ErrorCode::fate_unknown;
      error.message += " before it answered; whether " + word +
                       " was carried out is unknown, it was not sent again";
    }
    return error;
  }
}

/// The session is what it was until EXEC has carried it out.
void Connection::Impl::note_queued(Arguments arguments) {
  const bool changes = is_word(arguments[0], "select") || is_word(arguments[0], "client") ||
                       is_word(arguments[0], "auth") || is_word(arguments[0], "hello") ||
                       answers_by_push(arguments[0]);
  if (changes) queued_changes.push_back({queued, {arguments.begin(), arguments.end()}});
  ++queued;
}

void Connection::Impl::note_state(Arguments arguments, const Value& reply) {
  const std::string_view word = arguments[0];
  // A transaction that EXEC refuses (EXECABORT) has ended, too.
  if (is_word(word, "exec")) {
    in_multi = watching = false;
    for (const Queued& change : std::exchange(queued_changes, {})) {
      if (change.index >= reply.list().size()) break;  // nothing was carried out
      const std::vector<std::string_view> views(change.arguments.begin(), change.arguments.end());
      const Value& answer = reply.list()[change.index];
      if (answers_by_push(views[0])) note_confirmed(answer);
      note_state(views, answer);
    }
  }
  if (reply.is_error()) return;
  if (is_word(word, "multi")) in_multi = true, queued = 0, queued_changes.clear();
  if (is_word(word, "watch")) watching = true;
  if (is_word(word, "discard")) in_multi = watching = false;
  if (is_word(word, "unwatch")) watching = false;
  if (is_word(word, "quit") || is_word(word, "reset")) session_over = true;
  if (reply.form() == Form::status && reply.text() == "QUEUED") return note_queued(arguments);
  if (is_word(word, "reset")) {  // but who to log in as: without that it would be of no use
    options.database = 0;
    options.name.clear();
    changed_session = true;
  }
  std::uint64_t number = 0;
  if (is_word(word, "select") && arguments.size() == 2 && parse_unsigned(arguments[1], number)) {
    options.database = static_cast<unsigned>(number);
    changed_session = true;
  }
  if (is_word(word, "client") && arguments.size() == 3 && is_word(arguments[1], "setname")) {
    options.name = arguments[2];
    changed_session = true;
  }
  if (is_word(word, "auth") && arguments.size() >= 2) {
    note_login(arguments.size() == 3 ? arguments[1] : std::string_view{}, arguments.back());
  }
  if (is_word(word, "hello") && arguments.size() >= 2) note_hello(arguments);
}

void Connection::Impl::note_login(std::string_view user, std::string_view password) {
  options.user = user;
  options.password = password;
  changed_session = true;
}

/// HELLO protover [AUTH user password] [SETNAME name], which the server has taken.
void Connection::Impl::note_hello(Arguments arguments) {
  changed_session = true;  // perhaps RESP2 is spoken now
  for (std::size_t i = 2; i + 1 < arguments.size(); i += 2) {
    if (is_word(arguments[i], "setname")) {
      options.name = arguments[i + 1];
    } else if (i + 2 < arguments.size()) {
      note_login(arguments[i + 1], arguments[i + 2]);
      ++i;
    }
  }
}

Status Connection::Impl::stream(Flow& flow) {
  const DropOnThrow guard(*this);
  link.begin();
  if (auto status = notice_loss(); !status) return status;
  if (!link.is_open()) {
    if (auto status = connect(deadline_after(options.timeout)); !status) return status;
  }
  if (auto status = finish_handshake(deadline_after(options.timeout)); !status) return status;
  std::vector<std::string_view> arguments;
  Deadline deadline = deadline_after(options.timeout);
  bool ended = false, waiting = false;
  std::chrono::milliseconds server_waits{0};  // at most, for any of them
  for (;;) {
    while (!ended && flow.sent - flow.answered < flow.window &&
           link.queued() - link.taken() < flow.window_bytes) {
      const Flow::Next next = flow.next_request(arguments);
      ended = next == Flow::Next::end;
      waiting = next == Flow::Next::wait;
      if (next != Flow::Next::request) break;
      link.add(arguments);
      ++flow.sent;
      if (const auto waits = time_to_wait(arguments); waits > server_waits) {
        server_waits = waits;
        deadline = answer_by(waits);
      }
    }
    Value reply;
    bool have = false, any = false, pushed = false;
    for (;;) {
      if (auto status = link.read_buffered(reply, have); !status) return status;
      if (!have) break;
      if (reply.form() == Form::push) {
        pushed = true;
        keep_push(std::move(reply));
        continue;
      }
      any = true;
      if (flow.answered == flow.sent) return {Code::protocol, "the server sent a reply to nothing"};
      ++flow.answered;
      if (!flow.on_reply(std::move(reply))) return {};
    }
    if (flow.answered == flow.sent && ended) {
      if (session_over) drop();
      return {};
    }
    if (any) {
      deadline = answer_by(server_waits);
      continue;
    }
    const bool idle = flow.answered == flow.sent;
    // With enough messages there would always be something to read.
    if (pushed && !idle && Clock::now() >= deadline) return no_answer_in_time();
    const bool room = flow.sent - flow.answered < flow.window;
    const int input = waiting && room ? flow.input_fd : -1;
    if (auto status = link.step(idle ? Deadline::max() : deadline, input); !status) return status;
    if (idle) deadline = answer_by(server_waits);
  }
}

Connection::Connection(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::open(const Options& options) {
  if (options.name.size() > limits::client_name_bytes_max ||
      std::any_of(options.name.begin(), options.name.end(),
                  [](char c) { return c < '!' || c > '~'; })) {
    return Error{ErrorCode::usage, "a connection's name is printable ASCII without blanks"};
  }
  auto impl = std::make_unique<Impl>(options);
  if (auto status = impl->connect(deadline_after(options.connect_timeout)); !status) {
    return error_of(status);
  }
  return Connection(std::move(impl));
}

Result<Value> Connection::Impl::open_reply(Sealing& opener, Arguments arguments, Value&& reply) {
  if (in_multi) opener.enter_transaction();
  if (auto status = opener.open(arguments, reply); !status) return error_of(status);
  return std::move(reply);
}

Result<Value> Connection::call(Arguments arguments) {
  if (impl_ == nullptr) return error_of(moved_away());
  auto reply = impl_->exchange(arguments);
  if (reply && reply->is_error()) return error_of_reply(reply->text());
  return reply;
}

Result<Value> Connection::call(std::initializer_list<std::string_view> arguments) {
  return call(Arguments(arguments.begin(), arguments.size()));
}

Result<Value> Connection::call(Arguments arguments, const SealOptions& options) {
  if (impl_ == nullptr || (!options.seal && !options.open)) return call(arguments);
  if (auto status = check_arguments(arguments); !status) return error_of(status);
  auto sealing = sealing_of_today(*impl_, options);
  if (!sealing) return sealing.error();
  if (!options.seal) {
    auto reply = call(arguments);
    if (!reply) return reply;
    return impl_->open_reply(**sealing, arguments, *std::move(reply));
  }
  std::vector<std::string> words(arguments.begin(), arguments.end());
  if (auto status = (*sealing)->seal(words); !status) return error_of(status);
  const std::vector<std::string_view> views(words.begin(), words.end());
  auto reply = call(views);
  if (!reply || !options.open) return reply;
  return impl_->open_reply(**sealing, arguments, *std::move(reply));
}

Result<Value> Connection::call(std::initializer_list<std::string_view> arguments,
                               const SealOptions& options) {
  return call(Arguments(arguments.begin(), arguments.size()), options);
}

// One that was moved away is as one that is not connected.
bool Connection::connected() const noexcept { return impl_ != nullptr && impl_->link.is_open(); }
std::uint64_t Connection::reconnects() const noexcept {
  return impl_ == nullptr ? 0 : impl_->reconnects;
}
void Connection::close() noexcept {
  if (impl_ != nullptr) impl_->drop();
}
void Connection::set_timeout(std::chrono::milliseconds timeout) noexcept {
  if (impl_ != nullptr) impl_->options.timeout = timeout;
}
int Connection::descriptor() const noexcept { return impl_ == nullptr ? -1 : impl_->link.fd(); }
void Connection::cancel() noexcept {
  if (impl_ != nullptr) impl_->link.cancel();
}

}  // namespace kv::client
