// What the sibling sends to its children: replies, released after what they promise is safe, and
// words to hang up. See sibling.hpp. A child for which there is no memory is dropped, never waited
// for.
#include <sys/epoll.h>

#include <new>
#include <utility>

#include "libkv/base/log.hpp"
#include "libkv/base/memory.hpp"
#include "libkv/base/text.hpp"
#include "libkv/process/sibling.hpp"

namespace kv {

std::string& Sibling::begin_reply(Session& session) {
  if (session.channel != nullptr && !session.lost) return session.channel->begin_reply(session);
  nowhere_.clear();  // it has gone meanwhile
  return nowhere_;
}

void Sibling::end_reply(Session& session, bool translate, std::string_view rest) {
  if (session.channel == nullptr || session.lost) return;
  if (log::verbose()) {
    log::note("[msg]    to child: " + shown(session.channel->reply_so_far(), 80));
  }
  mark_dirty(*session.channel);
  const std::size_t bytes = session.channel->end_reply(session, translate, rest);
  if (session.channel->has_messages_behind()) append_messages_behind(*session.channel);
  session.was_authenticated |= session.authenticated;
  session.unread += bytes;
  session.last_reply = bytes;
  counters_.net_output_bytes += bytes;
  session.bytes_out += bytes;
}

void Sibling::lose_reply(Session& session) {
  if (session.channel == nullptr || std::exchange(session.lost, true)) return;
  session.channel->forget_reply();
  if (session.channel->has_messages_behind()) append_messages_behind(*session.channel);
  log::warn("a connection is closed: there is no memory for what it asked");
  close_session(session);
}

void Sibling::begin_wait(Session& session) {
  if (session.channel == nullptr) return;
  mark_dirty(*session.channel);
  session.channel->append_later(session);
}

/// What its client has asked meanwhile comes in the next round.
void Sibling::end_wait(Session& session) {
  if (session.channel == nullptr || !deferred_.contains(session.id)) return;
  session.channel->backlogs.push_back(session.number);
  go_on_next_round(*session.channel);
}

void Sibling::answer_unblocked() {
  for (const auto& [id, with_error] : std::exchange(unblocked_, {})) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || found->second->dead) continue;
    constexpr std::string_view error = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    engine_.end_wait(*found->second, with_error ? error : std::string_view());
  }
}

/// What was published while a reply of this child's was being made.
void Sibling::append_messages_behind(Channel& channel) {
  const memory::MayUseReserve whole;
  try {
    channel.append_messages_behind();
  } catch (const std::bad_alloc&) {
    drop_channel(channel, no_memory_for_it);
  }
}

void Sibling::append_closes() {
  for (const Session* session : closing_) {
    Channel* const channel = session->channel;
    if (channel == nullptr) continue;  // it has gone by itself meanwhile
    try {
      mark_dirty(*channel);
      channel->append_close(*session);
    } catch (const std::bad_alloc&) {
      drop_channel(*channel, no_memory_for_it);
    }
  }
  closing_.clear();
}

void Sibling::mark_dirty(Channel& channel) {
  if (channel.dirty) return;
  dirty_.push_back(&channel);
  channel.dirty = true;
}

void Sibling::flush_channels() {
  append_closes();
  if (!written_is_safe()) return;
  sending_.swap(dirty_);
  for (Channel* channel : sending_) send(*channel, true);
  sending_.clear();
  while (!slots_back_.empty()) {
    Channel* const channel = slots_back_.back();
    slots_back_.pop_back();
    if (channel->waits_for_slot) send(*channel, false);  // not only just sent
  }
  if (!held_.empty()) release_publishers();
}

/// Under --fsync always one sync covers all that was written in this round, and no reply may leave
/// before it: a read may have seen a write. The loop waits for it. A thread that syncs while the
/// next requests are taken splits the clients into groups, each with a sync of its own: 33,000 SETs
/// a second instead of 40,000 (50 clients), 1,850 instead of 2,480 where a sync takes 10 ms.
bool Sibling::written_is_safe() {
  if (store_ == nullptr || store_->fsync() != Fsync::always) return true;
  return store_->sync_now().ok();
}

/// What has been released, or, with all, everything.
void Sibling::send(Channel& channel, bool all) {
  bool there = false;
  try {
    if (all) channel.release();
    there = channel.flush();
  } catch (const std::bad_alloc&) {
    return drop_channel(channel, no_memory_for_it);
  }
  if (!there) {
    // What has been read of it is carried out all the same.
    if (!channel.behind) drop_channel(channel, {});
  } else if (channel.unsent() > limits::child_output_bytes_max) {
    drop_channel(channel, "does not read its replies");
  } else {
    watch_for_room(channel);
    const bool little = channel.unsent() <= Channel::unsent_pause_bytes / 2;
    if (channel.paused && !channel.held && little) resume(channel);
  }
}

void Sibling::watch_for_room(Channel& channel) {
  if (channel.wants_write == channel.watched) return;
  if (channel.wants_write) watch(epoll_.get(), channel.reply_fd(), EPOLLOUT);
  else unwatch(epoll_.get(), channel.reply_fd());
  channel.watched = channel.wants_write;
}

}  // namespace kv
