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
  if (held_for_ns_ != 0 && store->synced_ns() >= held_for_ns_) {
    held_for_ns_ = 0;
    for (Channel* channel : held_) release(channel, free);
    held_.clear();
  }
  if (held_for_ns_ != 0) return free;
  const bool always = store != nullptr && store->fsync() == Fsync::always;
  if (always && store->synced_ns() < store->written_ns()) {
    if (!store->start_sync()) return free;  // one for another reason is running
    held_for_ns_ = store->written_ns();
    for (Channel* channel : dirty) channel->stage();
    held_.swap(dirty);
    return free;
  }
  for (Channel* channel : dirty) {
    channel->stage();
    release(channel, free);
  }
  dirty.clear();
  return free;
}

}  // namespace kv
