// See reply_gate.hpp.
#include "libkv/process/reply_gate.hpp"

namespace kv {
namespace {

void release(Channel* channel, std::vector<Channel*>& free) {
  channel->release();
  if (!channel->to_send) free.push_back(channel);
  channel->to_send = true;
}

}  // namespace

std::vector<Channel*> ReplyGate::pass(Persistence* store, std::vector<Channel*>& dirty) {
  std::vector<Channel*> free;
  std::erase_if(held_, [&](const Held& one) {
    if (store->synced_ns() < one.until_ns) return false;
    one.channel->held = false;
    release(one.channel, free);
    return true;
  });
  const bool always = store != nullptr && store->fsync() == Fsync::always;
  const std::int64_t written_ns = always ? store->written_ns() : 0;
  const bool on_disk = !always || store->synced_ns() >= written_ns;
  std::erase_if(dirty, [&](Channel* channel) {
    if (channel->held) return false;
    channel->stage();
    if (on_disk) {
      release(channel, free);
    } else {
      channel->held = true;
      held_.push_back({channel, written_ns});
    }
    return true;
  });
  if (!on_disk) store->want_sync();
  return free;
}

}  // namespace kv
