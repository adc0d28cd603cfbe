// The typed commands of a Connection, pipelines, walking the keys and pushed messages.
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "libkv/base/text.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/kv/client.hpp"

namespace kv::client {
namespace {

Error unexpected(std::string_view command, const Value& reply) {
  static constexpr std::string_view names[] = {"nil",     "text",   "an integer", "a decimal",
                                               "boolean", "a list", "a map",      "an error"};
  return {ErrorCode::protocol, "the server answered " + std::string(command) + " with " +
                                   std::string(names[static_cast<std::size_t>(reply.kind())])};
}

class Number {
 public:
  explicit Number(std::int64_t n) noexcept
      : end_(std::to_chars(text_.data(), text_.data() + text_.size(), n).ptr) {}
  std::string_view text() const noexcept {
    return {text_.data(), static_cast<std::size_t>(end_ - text_.data())};
  }

 private:
  std::array<char, 24> text_{};
  char* end_;
};

Result<std::int64_t> as_integer(std::string_view command, Result<Value> reply) {
  if (!reply) return reply.error();
  if (reply->kind() == Kind::integer) return reply->integer();
  if (reply->kind() == Kind::boolean) return std::int64_t{reply->boolean()};
  return unexpected(command, *reply);
}

Result<bool> as_bool(std::string_view command, Result<Value> reply) {
  auto n = as_integer(command, std::move(reply));
  if (!n) return n.error();
  return *n != 0;
}

Result<std::optional<std::string>> as_text(std::string_view command, Result<Value> reply) {
  if (!reply) return reply.error();
  if (reply->is_nil()) return std::optional<std::string>{};
  if (reply->kind() != Kind::text) return unexpected(command, *reply);
  return std::optional<std::string>(std::move(reply->mutable_text()));
}

/// The element of BLPOP's answer, which is the list's name and it, or nil.
Result<std::optional<std::string>> as_popped(std::string_view word, Result<Value> reply) {
  if (!reply) return reply.error();
  if (reply->is_nil()) return std::optional<std::string>{};
  if (reply->size() != 2 || reply->kind() != Kind::list) return unexpected(word, *reply);
  return as_text(word, std::move(reply->mutable_list()[1]));
}

/// In seconds, as the server reads it; it says itself what is wrong with a negative time.
std::string seconds_of(std::chrono::milliseconds time) {
  std::string digits = std::to_string(std::abs(time.count() % 1000));
  digits.insert(0, 3 - digits.size(), '0');
  const std::string sign = time.count() < 0 ? "-" : "";
  return sign + std::to_string(std::abs(time.count() / 1000)) + "." + digits;
}

Result<void> as_done(Result<Value> reply) {
  if (!reply) return reply.error();
  return {};
}

}  // namespace

Result<std::optional<std::string>> Connection::get(std::string_view key) {
  return as_text("GET", call({"GET", key}));
}

Result<void> Connection::set(std::string_view key, std::string_view value) {
  return as_done(call({"SET", key, value}));
}

Result<std::int64_t> Connection::del(std::string_view key) {
  return as_integer("DEL", call({"DEL", key}));
}

Result<bool> Connection::exists(std::string_view key) {
  return as_bool("EXISTS", call({"EXISTS", key}));
}

Result<std::int64_t> Connection::incrby(std::string_view key, std::int64_t by) {
  return as_integer("INCRBY", call({"INCRBY", key, Number(by).text()}));
}

Result<std::int64_t> Connection::rpush(std::string_view key, std::string_view element) {
  return as_integer("RPUSH", call({"RPUSH", key, element}));
}

Result<std::int64_t> Connection::lpush(std::string_view key, std::string_view element) {
  return as_integer("LPUSH", call({"LPUSH", key, element}));
}

Result<std::optional<std::string>> Connection::lpop(std::string_view key) {
  return as_text("LPOP", call({"LPOP", key}));
}

Result<std::optional<std::string>> Connection::rpop(std::string_view key) {
  return as_text("RPOP", call({"RPOP", key}));
}

Result<std::optional<std::string>> Connection::blpop(std::string_view key,
                                                     std::chrono::milliseconds wait) {
  return as_popped("BLPOP", call({"BLPOP", key, seconds_of(wait)}));
}

Result<std::optional<std::string>> Connection::brpop(std::string_view key,
                                                     std::chrono::milliseconds wait) {
  return as_popped("BRPOP", call({"BRPOP", key, seconds_of(wait)}));
}

Result<std::vector<std::string>> Connection::lrange(std::string_view key, std::int64_t first,
                                                    std::int64_t last) {
  auto reply = call({"LRANGE", key, Number(first).text(), Number(last).text()});
  if (!reply) return reply.error();
  if (reply->kind() != Kind::list) return unexpected("LRANGE", *reply);
  std::vector<std::string> out;
  out.reserve(reply->size());
  for (Value& item : reply->mutable_list()) {
    if (item.kind() != Kind::text) return unexpected("LRANGE", item);
    out.push_back(std::move(item.mutable_text()));
  }
  return out;
}

Result<bool> Connection::hset(std::string_view key, std::string_view field,
                              std::string_view value) {
  return as_bool("HSET", call({"HSET", key, field, value}));
}

Result<std::optional<std::string>> Connection::hget(std::string_view key, std::string_view field) {
  return as_text("HGET", call({"HGET", key, field}));
}

Result<std::vector<std::pair<std::string, std::string>>> Connection::hgetall(std::string_view key) {
  auto reply = call({"HGETALL", key});
  if (!reply) return reply.error();
  if (reply->kind() != Kind::map) return unexpected("HGETALL", *reply);
  std::vector<std::pair<std::string, std::string>> out;
  out.reserve(reply->size());
  for (const Value::Pair& pair : reply->map()) {
    out.emplace_back(pair.key.to_text(), pair.value.to_text());
  }
  return out;
}

Result<void> Connection::ping() { return as_done(call({"PING"})); }

Result<void> Connection::scan(std::string_view pattern,
                              const std::function<bool(const std::string&)>& visit) {
  std::string cursor = "0";
  do {
    auto keys = Access::scan_page(*this, cursor, pattern);
    if (!keys) return keys.error();
    for (const std::string& key : *keys) {
      if (!visit(key)) return {};
    }
  } while (cursor != "0");
  return {};
}

Result<std::vector<std::string>> Access::scan_page(Connection& connection, std::string& cursor,
                                                   std::string_view pattern) {
  auto reply = connection.call({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"});
  if (!reply) return reply.error();
  const Value::List& page = reply->list();
  if (page.size() != 2 || page[1].kind() != Kind::list) return unexpected("SCAN", *reply);
  std::vector<std::string> keys;
  for (const Value& key : page[1].list()) keys.push_back(key.text());
  cursor = page[0].to_text();
  return keys;
}

Result<std::vector<Value>> Connection::run(std::span<const std::vector<std::string>> requests) {
  if (impl_ == nullptr) return error_of(moved_away());
  for (const auto& request : requests) {
    const std::vector<std::string_view> views(request.begin(), request.end());
    if (auto status = check_pipelined(views); !status) return error_of(status);
  }
  std::vector<Value> replies;
  replies.reserve(requests.size());
  std::size_t next = 0;
  Impl::Flow flow;
  flow.next_request = [&](std::vector<std::string_view>& arguments) {
    if (next == requests.size()) return Impl::Flow::Next::end;
    const std::vector<std::string>& request = requests[next++];
    arguments.assign(request.begin(), request.end());
    return Impl::Flow::Next::request;
  };
  flow.on_reply = [&](Value&& reply) {
    const std::vector<std::string>& request = requests[replies.size()];
    const std::vector<std::string_view> views(request.begin(), request.end());
    impl_->note_state(views, reply);
    replies.push_back(std::move(reply));
    return true;
  };
  const Status status = impl_->stream(flow);
  if (status.ok()) return replies;
  impl_->drop();
  Error error = error_of(status);
  bool in_doubt = false;
  for (std::size_t i = replies.size(); i < flow.sent && !in_doubt; ++i) {
    in_doubt = !only_reads(std::vector<std::string_view>(requests[i].begin(), requests[i].end()));
  }
  error.message += "; " + std::to_string(replies.size()) + " of " +
                   std::to_string(requests.size()) + " requests were answered";
  if (in_doubt) {
    error.message += ", the next " + std::to_string(flow.sent - replies.size()) +
                     " may or may not have been carried out, none was sent again";
    if (error.code == ErrorCode::connect) error.code = ErrorCode::fate_unknown;
  }
  return error;
}

Result<std::optional<Value>> Connection::next_push(std::chrono::milliseconds timeout) {
  if (impl_ == nullptr) return error_of(moved_away());
  const Impl::DropOnThrow guard(*impl_);
  const Deadline deadline = timeout.count() > 0 ? deadline_after(timeout) : Clock::now();
  while (impl_->pushes.empty()) {
    Value message;
    const Status status = impl_->link.read(message, deadline);
    if (status.code() == Code::timeout && !impl_->link.cancelled()) return std::optional<Value>{};
    if (!status) {
      impl_->drop();
      return error_of(status);
    }
    if (message.form() != Form::push) {
      impl_->drop();
      return Error{ErrorCode::protocol, "the server sent a reply to nothing"};
    }
    impl_->keep_push(std::move(message));
  }
  std::optional<Value> message(std::move(impl_->pushes.front()));
  impl_->pushes.pop_front();
  return message;
}

}  // namespace kv::client
