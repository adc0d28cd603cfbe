// What is published: to whom it goes, and what becomes of who does not read. See sibling.hpp.
//
// A message is written once for each child that has listeners; who they are stands in its frame. A
// session's messages that its client has not taken are counted, as well as the child tells; they
// lie in its child, whose pipe is read whatever the client does. So who does not read holds up
// nobody, and is hung up on before its messages take too much memory. A child that has no time to
// hand out is another matter: who publishes faster than that is not read from for a moment, or
// those who read well would be hung up on.
#include <algorithm>
#include <cstdio>
#include <new>
#include <utility>

#include "libkv/base/clock.hpp"
#include "libkv/base/log.hpp"
#include "libkv/base/memory.hpp"
#include "libkv/base/text.hpp"
#include "libkv/process/sibling.hpp"

namespace kv {
namespace {

constexpr std::string_view does_not_read = "does not read its messages";
constexpr std::string_view too_large = "is sent a message larger than may wait for a subscriber";
constexpr std::string_view others_need_room =
    "does not read its messages, and those of all take too much memory";
constexpr std::string_view no_memory = "is sent a message for which there is no memory";
constexpr std::size_t frame_words_bytes = 64;  // of a message, beside what is in it; about

/// What listeners of this kind get.
void write_body(std::string& out, const Subscriptions::Audience& audience, std::string_view channel,
                const Scalar& message) {
  out.clear();
  Reply body(out, Dialect::resp);
  const bool by_pattern = audience.topic == Topic::pattern;
  body.push(by_pattern ? 4 : 3);
  body.bulk(by_pattern ? "pmessage" : audience.topic == Topic::shard ? "smessage" : "message");
  if (by_pattern) body.bulk(audience.name);
  body.bulk(channel);
  body.scalar(message);
}

}  // namespace

/// However it ends, nothing of one message is left for the next.
class Sibling::Sending {
 public:
  explicit Sending(Sibling& sibling) noexcept : sibling_(sibling) {}
  ~Sending() {
    for (Channel* const channel : sibling_.receiving_) channel->receivers.clear();
    sibling_.receiving_.clear();
    sibling_.unheard_.clear();
    if (sibling_.message_.capacity() > limits::frame_bytes_max)
      std::string().swap(sibling_.message_);
  }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

 private:
  Sibling& sibling_;
};

Result<std::uint64_t> Sibling::publish(const Session& from, Topic topic, std::string_view channel,
                                       const Scalar& message) {
  const Sending sending(*this);
  std::uint64_t receivers = 0, bytes = 0;
  const auto look = [&] {
    receivers = bytes = 0;
    subscriptions_.find_audiences(topic, channel, audiences_);
    for (const Subscriptions::Audience& audience : audiences_) {
      const std::uint64_t listeners = audience.listeners->size();
      receivers += listeners;
      bytes += listeners *
               (message.bytes.size() + channel.size() + audience.name.size() + frame_words_bytes);
    }
  };
  look();
  if (bytes > limits::publish_bytes_max) {
    return Status(Code::limit, "the message would take more than " +
                                   std::to_string(limits::publish_bytes_max) +
                                   " bytes for all who listen");
  }
  if (unread_messages_ + bytes > limits::all_unread_messages_bytes_max) {
    make_room_for_messages(bytes);
    look();
  }
  for (const Subscriptions::Audience& audience : audiences_) {
    write_body(message_, audience, channel, message);
    send_to(*audience.listeners, message_);
  }
  hang_up_on_unheard();
  hold_publisher(from);
  return receivers;
}

/// Hangs up on those who have left most unread, until there is room.
void Sibling::make_room_for_messages(std::size_t bytes) {
  const memory::MayUseReserve whole;
  while (unread_messages_ + bytes > limits::all_unread_messages_bytes_max) {
    std::uint64_t most = 0;
    for (const auto& [id, session] : sessions_) most = std::max(most, session->unread_messages);
    if (most == 0) return;
    // Half of it as well: a look at all of them must not be needed for each.
    std::uint64_t left = unread_messages_;
    for (const auto& [id, session] : sessions_) {
      if (left + bytes <= limits::all_unread_messages_bytes_max) break;
      if (session->unread_messages <= most / 2) continue;
      unheard_.emplace_back(session, others_need_room);
      left -= session->unread_messages;
    }
    hang_up_on_unheard();
  }
}

/// Sorted by their children.
void Sibling::send_to(const Subscriptions::Listeners& listeners, std::string_view body) {
  const memory::MayUseReserve whole;  // some pointers, without which some would get it, others not
  const std::size_t first = receiving_.size();
  for (Session* const session : listeners) {
    if (session->channel == nullptr || session->lost || session->close_after_reply) continue;
    if (session->unread_messages + body.size() > limits::unread_messages_bytes_max) {
      const bool alone = body.size() > limits::unread_messages_bytes_max;
      unheard_.emplace_back(session, alone ? too_large : does_not_read);
      continue;
    }
    Channel& channel = *session->channel;
    if (channel.receivers.empty()) receiving_.push_back(&channel);
    channel.receivers.push_back(session);
  }
  for (std::size_t i = first; i < receiving_.size(); ++i) send_message(*receiving_[i], body);
}

/// To its receivers.
void Sibling::send_message(Channel& channel, std::string_view body) {
  std::span<Session* const> left = channel.receivers;
  while (!left.empty()) {
    const auto some = left.first(std::min(left.size(), limits::message_receivers_max));
    left = left.subspan(some.size());
    receivers_.clear();
    for (const Session* session : some) receivers_.push_back(session->number);
    try {
      const memory::MayUseReserve may(false);
      mark_dirty(channel);
      channel.append_message(receivers_, body);
    } catch (const std::bad_alloc&) {
      for (Session* session : some) unheard_.emplace_back(session, no_memory);
      continue;
    }
    for (Session* session : some) note_sent(*session, body.size());
  }
  channel.receivers.clear();
}

void Sibling::note_sent(Session& session, std::size_t bytes) {
  session.unread += bytes;
  session.unread_messages += bytes;
  unread_messages_ += bytes;
  session.bytes_out += bytes;
  counters_.net_output_bytes += bytes;
  const bool many = session.unread_messages > limits::unread_messages_long_bytes;
  if (many && session.behind_since_ms == 0) session.behind_since_ms = monotonic_ms();
}

/// Of what the session has not read so many bytes may be messages.
void Sibling::forget_messages(Session& session, std::uint64_t left) noexcept {
  if (session.unread_messages <= left) return;
  unread_messages_ -= session.unread_messages - left;
  session.unread_messages = left;
  if (left <= limits::unread_messages_long_bytes) session.behind_since_ms = 0;
}

/// They would miss a message and not know.
void Sibling::hang_up_on_unheard() {
  for (const auto& [session, why] : unheard_) {
    if (session->dead) continue;  // it listens to two of the audiences
    log::warn("a subscriber is hung up on: " + session->address + " " + std::string(why));
    close_session(*session);
  }
  unheard_.clear();
}

void Sibling::close_slow_subscribers() {
  const std::int64_t latest =
      monotonic_ms() - std::chrono::milliseconds(limits::unread_messages_long).count();
  for (const auto& [id, session] : sessions_) {
    if (session->behind_since_ms != 0 && session->behind_since_ms < latest) {
      unheard_.emplace_back(session, does_not_read);
    }
  }
  hang_up_on_unheard();
}

// --- MONITOR ---

namespace {

/// A line of MONITOR, as Redis has it: time, database, address and the request in quotes.
void write_line(std::string& out, const Session& from, std::span<const Scalar> args) {
  const std::int64_t micros = wall_ns() / 1000;
  char time[48];
  std::snprintf(time, sizeof time, "+%lld.%06lld [%u ", static_cast<long long>(micros / 1'000'000),
                static_cast<long long>(micros % 1'000'000), from.database);
  out.assign(time);
  out.append(from.address.starts_with('/') ? "unix:" : "").append(from.address).append("]");
  const std::size_t shown = std::min(args.size(), limits::monitored_args_max);
  for (const Scalar& arg : args.first(shown)) {
    const std::string_view bytes = arg.bytes.substr(0, limits::monitored_arg_bytes_max);
    out.append(" ").append(quoted(bytes));
    if (bytes.size() == arg.bytes.size()) continue;
    out.append("... (").append(std::to_string(arg.bytes.size())).append(" bytes)");
  }
  if (shown < args.size())
    out.append(" ... (").append(std::to_string(args.size())).append(" words)");
  out.append("\r\n");
}

}  // namespace

void Sibling::monitor(Session& session, bool on) {
  if (session.monitor == on) return;
  if (on) monitors_.push_back(&session);
  else std::erase(monitors_, &session);
  session.monitor = on;
}

/// Nothing of logins, and as with Redis nothing of what administers the server. Who monitors and
/// does not read is hung up on like a subscriber.
void Sibling::show_to_monitors(const Session& from, std::span<const Scalar> args) {
  const Command* const command = find_command(args[0].bytes);
  if (!from.authenticated || command == nullptr) return;
  const std::string_view second = args.size() > 1 ? args[1].bytes : std::string_view();
  if ((flags_with(*command, second) & (kAdmin | kNoAuth)) != 0) return;
  const Sending sending(*this);
  try {
    write_line(message_, from, args);
    make_room_for_messages(message_.size() * monitors_.size());
    send_to(monitors_, message_);
  } catch (const std::bad_alloc&) {
    const memory::MayUseReserve whole;
    for (Session* const session : monitors_) unheard_.emplace_back(session, no_memory);
  }
  hang_up_on_unheard();
  hold_publisher(from);
}

// --- children that lag ---

/// If a child that has just been sent a message is behind. But one that has taken long to catch up
/// holds up nobody until it has.
void Sibling::hold_publisher(const Session& from) {
  Channel* const publisher = from.channel;
  const auto lags = [](const Channel* channel) {
    return !channel->lags && channel->unsent() > limits::lagging_bytes;
  };
  const auto found = std::find_if(receiving_.begin(), receiving_.end(), lags);
  Channel* const lagging = found == receiving_.end() ? nullptr : *found;
  if (lagging == nullptr || publisher == nullptr || publisher->held) return;
  held_.push_back({publisher, lagging, lagging->unsent(), Clock::now() + limits::lagging_wait});
  pause(*publisher);
  publisher->held = true;
  turn_began_us_ = engine_.busy_us() - limits::channel_turn.count();  // whoever's it is
}

void Sibling::release_publishers() {
  const auto now = Clock::now();
  for (Held& held : held_) {
    const bool behind =
        held.lagging != nullptr && held.lagging->unsent() > limits::lagging_bytes / 2;
    if (behind && now < held.until) continue;
    if (behind && held.lagging->unsent() >= held.unsent) held.lagging->lags = true;
    held.publisher->held = false;
    resume(*held.publisher);
  }
  std::erase_if(held_, [](const Held& held) { return !held.publisher->held; });
}

/// A channel that goes.
void Sibling::forget_held(const Channel& channel) noexcept {
  std::erase_if(held_, [&](const Held& held) { return held.publisher == &channel; });
  for (Held& held : held_) {
    if (held.lagging == &channel) held.lagging = nullptr;
  }
}

}  // namespace kv
