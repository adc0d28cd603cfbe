// SUBSCRIBE, PUBLISH and their kin: messages to whoever listens now. No key is read or changed.
//
// Each name that a connection begins or ceases to listen to is answered by itself, in the form of a
// message, so that one request has as many answers as it has names. To send messages is the
// server's (Services::publish).
#include <algorithm>
#include <new>
#include <vector>

#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"
#include "libkv/commands/support.hpp"

namespace kv {
namespace {

constexpr std::size_t confirmation_bytes = 80;  // what one has beside the name, at most

/// As Redis counts: those to shard channels by themselves.
std::int64_t subscriptions_with(const Session& session, Topic topic) noexcept {
  const auto& all = session.subscriptions;
  const auto of = [&](Topic one) -> std::int64_t { return all[static_cast<std::size_t>(one)]; };
  return topic == Topic::shard ? of(topic) : of(Topic::channel) + of(Topic::pattern);
}

void confirm(Call& call, Topic topic, std::string_view name) {
  call.reply.push(3);
  call.reply.bulk(call.command.name);
  call.reply.bulk(name);
  call.reply.integer(subscriptions_with(call.session, topic));
}

/// Takes the memory for all answers, so that nothing can fail half-way. False, and an error is
/// said, if they are more than a reply may be, or nobody could read them.
bool can_confirm(Call& call, std::size_t names, std::size_t bytes) {
  if (call.plio()) return call.fail("ERR messages need a client that speaks RESP"), false;
  bytes += names * confirmation_bytes;
  if (bytes > limits::reply_bytes_max) {
    return call.fail("ERR the reply would be larger than " +
                     std::to_string(limits::reply_bytes_max) + " bytes"),
           false;
  }
  call.reply.reserve(bytes);
  return true;
}

std::size_t bytes_of(std::span<const Scalar> names) noexcept {
  std::size_t bytes = 0;
  for (const Scalar& name : names) bytes += name.bytes.size();
  return bytes;
}

void listen(Call& call, Topic topic) {
  const std::span<const Scalar> names = call.args().subspan(1);
  Subscriptions& subscriptions = call.server.subscriptions();
  if (!can_confirm(call, names.size(), bytes_of(names))) return;
  if (const auto why = subscriptions.why_not(call.session, topic, names); !why.empty()) {
    return call.fail(why);
  }
  std::vector<std::string_view> added;
  added.reserve(names.size());
  try {
    for (const Scalar& name : names) {
      if (subscriptions.add(call.session, topic, name.bytes)) added.push_back(name.bytes);
      confirm(call, topic, name.bytes);
    }
  } catch (const std::bad_alloc&) {
    for (const auto& name : added) subscriptions.remove(call.session, topic, name);
    throw;
  }
}

void leave_all(Call& call, Topic topic) {
  Subscriptions& subscriptions = call.server.subscriptions();
  std::vector<std::string> names;  // copies: with its last listener a name goes, too
  std::size_t bytes = 0;
  subscriptions.for_each_of(call.session, topic, [&](std::string_view name) {
    names.emplace_back(name);
    bytes += name.size();
  });
  if (!can_confirm(call, names.size() + 1, bytes)) return;
  for (const std::string& name : names) {
    subscriptions.remove(call.session, topic, name);
    confirm(call, topic, name);
  }
  if (!names.empty()) return;
  call.reply.push(3);
  call.reply.bulk(call.command.name);
  call.reply.nil();
  call.reply.integer(subscriptions_with(call.session, topic));
}

void leave(Call& call, Topic topic) {
  if (call.argc() == 1) return leave_all(call, topic);
  const std::span<const Scalar> names = call.args().subspan(1);
  if (!can_confirm(call, names.size(), bytes_of(names))) return;
  for (const Scalar& name : names) {
    call.server.subscriptions().remove(call.session, topic, name.bytes);
    confirm(call, topic, name.bytes);
  }
}

void subscribe(Call& call) { listen(call, Topic::channel); }
void psubscribe(Call& call) { listen(call, Topic::pattern); }
void ssubscribe(Call& call) { listen(call, Topic::shard); }
void unsubscribe(Call& call) { leave(call, Topic::channel); }
void punsubscribe(Call& call) { leave(call, Topic::pattern); }
void sunsubscribe(Call& call) { leave(call, Topic::shard); }

void send(Call& call, Topic topic) {
  const auto receivers = call.server.publish(call.session, topic, call.arg(1), call.scalar(2));
  if (!receivers.ok()) return call.fail("ERR " + receivers.status().message());
  call.reply.integer(static_cast<std::int64_t>(*receivers));
}

void publish(Call& call) { send(call, Topic::channel); }
void spublish(Call& call) { send(call, Topic::shard); }

// --- PUBSUB ---

void list_names(Call& call, Topic topic) {
  if (call.argc() > 3) {
    return call.fail("ERR unknown subcommand or wrong number of arguments for '" +
                     std::string(as_c_text(call.arg(1), c_text_bytes_max)) + "'. Try PUBSUB HELP.");
  }
  std::vector<std::string_view> names;
  call.server.subscriptions().for_each(topic, [&](std::string_view name) {
    if (call.argc() == 2 || glob_match(call.arg(2), name)) names.push_back(name);
  });
  call.reply.array(names.size());
  for (const std::string_view name : names) call.reply.bulk(name);
}

void count_listeners(Call& call, Topic topic) {
  call.reply.array(2 * (call.argc() - 2));
  for (std::size_t i = 2; i < call.argc(); ++i) {
    call.reply.bulk(call.arg(i));
    const std::size_t listeners = call.server.subscriptions().listeners(topic, call.arg(i));
    call.reply.integer(static_cast<std::int64_t>(listeners));
  }
}

void channels(Call& call) { list_names(call, Topic::channel); }
void shard_channels(Call& call) { list_names(call, Topic::shard); }
void numsub(Call& call) { count_listeners(call, Topic::channel); }
void shard_numsub(Call& call) { count_listeners(call, Topic::shard); }

void numpat(Call& call) {
  call.reply.integer(static_cast<std::int64_t>(call.server.subscriptions().count(Topic::pattern)));
}

constexpr std::uint32_t kAsks = kPubSub | kLoading | kStale;

// A row is read as a row:
// clang-format off
constexpr Subcommand subcommand_rows[] = {
    {"channels", -2, kAsks, {}, channels, "[pattern]",
     "Lists the channels that somebody listens to"},
    {"help", 2, kLoading | kStale, {}, run_help, "", "Shows these lines"},
    {"numpat", 2, kAsks, {}, numpat, "", "Counts the patterns that somebody listens to"},
    {"numsub", -2, kAsks, {}, numsub, "[channel ...]",
     "Counts who listens to each of these channels, not by a pattern"},
    {"shardchannels", -2, kAsks, {}, shard_channels, "[pattern]",
     "Lists the shard channels that somebody listens to"},
    {"shardnumsub", -2, kAsks, {}, shard_numsub, "[shardchannel ...]",
     "Counts who listens to each of these shard channels"},
};

constexpr std::uint32_t kOfListeners =
    kPubSub | kNoScript | kLoading | kStale | kListens | kWhileListening;
constexpr std::uint32_t kOfSpeakers = kPubSub | kLoading | kStale | kFast;

constexpr Command rows[] = {
    {"subscribe", -2, kOfListeners, {}, {}, Group::pubsub, subscribe,
     "channel [channel ...]",
     "Listens to channels: what is published there comes as it comes",
     "O(N) where N is the number of channels", "1.0"},
    {"psubscribe", -2, kOfListeners, {}, {}, Group::pubsub, psubscribe,
     "pattern [pattern ...]",
     "Listens to all channels that match one of these patterns",
     "O(N) where N is the number of patterns", "1.0"},
    {"ssubscribe", -2, kOfListeners, {}, {}, Group::pubsub, ssubscribe,
     "shardchannel [shardchannel ...]",
     "Listens to channels of the shard, which is all of kv; they are others than SUBSCRIBE's",
     "O(N) where N is the number of channels", "1.0"},
    {"unsubscribe", -1, kOfListeners, {}, {}, Group::pubsub, unsubscribe,
     "[channel [channel ...]]",
     "Ceases to listen to these channels, or to all",
     "O(N) where N is the number of channels", "1.0"},
    {"punsubscribe", -1, kOfListeners, {}, {}, Group::pubsub, punsubscribe,
     "[pattern [pattern ...]]",
     "Ceases to listen by these patterns, or by all",
     "O(N) where N is the number of patterns", "1.0"},
    {"sunsubscribe", -1, kOfListeners, {}, {}, Group::pubsub, sunsubscribe,
     "[shardchannel [shardchannel ...]]",
     "Ceases to listen to these channels of the shard, or to all",
     "O(N) where N is the number of channels", "1.0"},
    {"publish", 3, kOfSpeakers, {}, {}, Group::pubsub, publish,
     "channel message",
     "Sends a message to all who listen to the channel, and tells how many they are",
     "O(N+M) where N is the number of listeners and M that of all patterns", "1.0"},
    {"spublish", 3, kOfSpeakers, {}, {}, Group::pubsub, spublish,
     "shardchannel message",
     "Sends a message to all who listen to the channel of the shard",
     "O(N) where N is the number of listeners", "1.0"},
    {"pubsub", -2, 0, {}, {}, Group::pubsub, run_container,
     "subcommand [argument ...]",
     "Tells what is listened to",
     "O(N) where N is the number of channels", "1.0",
     "channels help numpat numsub shardchannels shardnumsub"},
};
// clang-format on

}  // namespace

std::span<const Command> pubsub_commands() noexcept { return rows; }
std::span<const Subcommand> pubsub_subcommands() noexcept { return subcommand_rows; }

}  // namespace kv
