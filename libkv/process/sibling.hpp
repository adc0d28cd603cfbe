// The sibling: the one process that holds the keyspace. One thread, one loop.
//
// It hears of children and connections over pipe_sibling, reads request frames from every child's
// pipe, lets the engine run them a batch at a time, and sends reply frames back. It decides who is
// authenticated. It must never block on a child, a client or a slow reader, and never believe a
// frame beyond what it has checked. Of one child it takes no more in a round than what keeps the
// engine busy for limits::channel_turn. It forks the snapshot writers and ends when the parent
// does.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "libkv/base/env.hpp"
#include "libkv/base/fd.hpp"
#include "libkv/engine/engine.hpp"
#include "libkv/process/announcement.hpp"
#include "libkv/process/auth.hpp"
#include "libkv/process/channel.hpp"
#include "libkv/process/frames_ahead.hpp"
#include "libkv/process/options.hpp"
#include "libkv/process/patience.hpp"
#include "libkv/process/run_folder.hpp"
#include "libkv/process/saver.hpp"
#include "persistence/persistence.hpp"

namespace kv {

/// The sibling's exit status when the log cannot be synced under --fsync always: not to be started
/// again, since what is in the kernel's memory may differ from what is on the disk.
inline constexpr int sibling_sync_failed = 3;
/// When it ends as asked, but the log could not be marked as ended, or was gone and not replaced by
/// a save: the next one would find less than this one had.
inline constexpr int sibling_close_failed = 4;

/// What the parent tells a new sibling. References must outlive it.
struct SiblingSetup {
  const Options& options;
  const Gatekeeper& gatekeeper;
  const RunFolder& folder;
  int port = 0;  // the one really listened on
  std::string run_id;
  std::string executable;
  bool binary = false;  // how snapshots are written
  Fsync fsync = Fsync::everysec;
  bool had_data = false;  // a sibling before this one had files in the folder
  /// One byte each: 'o' pipe_sibling is open, 'r' ready. And what CONVERT and CONFIG SET said,
  /// which holds as long as the server runs, so for the next sibling too: 'b' binary, 't' text; '0'
  /// and on: this Fsync; 'd' there is data in the folder.
  Fd parent;
};

class Sibling : public Services, public ReplySink {
 public:
  explicit Sibling(SiblingSetup setup);
  ~Sibling() override;

  /// Restores the data, serves until told to end. The process's exit status.
  int run();

  // --- Services (sibling_services.cpp) ---
  Keyspace& database(unsigned number) override { return *databases_[number]; }
  unsigned databases() const override { return static_cast<unsigned>(databases_.size()); }
  Counters& counters() override { return counters_; }
  const PersistenceState& persistence() const override;
  const std::vector<Setting>& settings() const override { return settings_; }
  const std::map<std::uint64_t, Session*>& sessions() const override { return sessions_; }
  bool check_password(Session& session, std::string_view password) override;
  bool check_password_hash(Session& session, std::uint32_t hash) override;
  void close_session(Session& session) override;
  bool unblock(Session& session, bool with_error) override;
  void watch_key(Session& session, std::string_view key, bool there) override {
    engine_.watch(session, key, there);
  }
  void unwatch_keys(Session& session) override { engine_.unwatch(session); }
  void monitor(Session& session, bool on) override;
  Subscriptions& subscriptions() override { return subscriptions_; }
  Result<std::uint64_t> publish(const Session& from, Topic topic, std::string_view channel,
                                const Scalar& message) override;
  Status save_in_background() override;
  Status save_now() override;
  Status sync_log() override;
  Status convert_format() override;
  Status reload() override;
  Status shutdown(SaveAtEnd save) override;
  void set_active_expire(bool on) override { engine_.set_active_expire(on); }
  void sleep_ms(std::int64_t ms) override;
  int port() const override { return setup_.port; }
  std::string run_id() const override { return setup_.run_id; }
  std::string executable() const override { return setup_.executable; }
  std::string config_file() const override { return setup_.options.config_file; }
  std::uint64_t children() const override { return channels_.size(); }
  std::uint64_t max_clients() const override { return setup_.options.max_clients; }
  bool plio_remote() const override { return setup_.options.plio_remote; }

  // --- ReplySink ---
  std::string& begin_reply(Session& session) override;
  void end_reply(Session& session, bool translate, std::string_view rest) override;
  void lose_reply(Session& session) override;
  void begin_wait(Session& session) override;
  void end_wait(Session& session) override;

 private:
  using Clock = std::chrono::steady_clock;

  // sibling.cpp: the loop
  Status open_pipes();
  Status restore();
  void round(int timeout_ms);
  void serve_events(int timeout_ms);
  int timeout_ms() const;
  void timers();
  void measure_rates();
  void close_overdue_guests();
  void handle_signals();
  void background_save_ended();
  int finish_up();

  // sibling_channels.cpp: announcements, frames, connections
  void read_announcements();
  void announced_child(const Announcement& announcement);
  void open_unopened();
  void announced_connection(const Announcement& announcement);
  void announced_withdrawn(const Announcement& announcement);
  void announced_gone(std::int32_t pid);
  void retire(std::int32_t pid);
  void read_channel(Channel& channel, bool from_pipe);
  void read_or_drop(Channel& channel, bool from_pipe);
  void pause(Channel& channel);
  void resume(Channel& channel);
  bool turn_is_over(Channel& channel);
  void go_on_next_round(Channel& channel);
  std::size_t take_frames(Channel& channel, std::string_view bytes);
  bool handle_frame(Channel& channel, const FramesAhead::Frame& frame);
  bool handle_other(Channel& channel, const FrameHeader& header, std::string_view payload);
  bool use_segment(Channel& channel);
  bool open_connection(Session& session, std::string_view payload);
  bool take_piece(Channel& channel, Session& session, std::string_view payload, bool of_argument);
  bool take_assembled(Channel& channel, Session& session, std::string_view payload);
  void carry_out(Session& session, std::span<const Scalar> args, std::size_t bytes,
                 const KnownHashes& hashes);
  bool take_bulk(Channel& channel, Session& session, std::uint8_t flags, std::string_view payload);
  void submit(Session& session, std::span<const Scalar> args, const KnownHashes& hashes = {});
  bool must_wait(Session& session, std::span<const Scalar> args);
  /// Its requests wait for the answer to one before, or until its client has read.
  static bool is_held(const Session& session) noexcept {
    return session.waiting || session.unread > limits::unread_bytes_max;
  }
  /// Then must_wait() says no, whatever is asked.
  bool nothing_waits(const Session& session) const noexcept {
    return deferred_.empty() && session.authenticated && !is_held(session);
  }
  bool note_taken(Session& session, std::string_view payload);
  void run_backlog(Session& session);
  void answer_unblocked();
  void run_deferred();
  void close_connection(Channel& channel, std::uint32_t number);
  void drop_channel(Channel& channel, std::string_view why);
  void forget(std::unique_ptr<Session> session);
  void note_request(const Session& session, std::span<const Scalar> args);
  Session* session_of(Channel& channel, std::uint32_t number);
  static constexpr std::string_view no_memory_for_it = "asked for more memory than there is";

  // sibling_messages.cpp: what is published
  class Sending;
  void make_room_for_messages(std::size_t bytes);
  void send_to(const Subscriptions::Listeners& listeners, std::string_view body);
  void send_message(Channel& channel, std::string_view body);
  void note_sent(Session& session, std::size_t bytes);
  void hang_up_on_unheard();
  void forget_messages(Session& session, std::uint64_t left) noexcept;
  void close_slow_subscribers();
  void show_to_monitors(const Session& from, std::span<const Scalar> args);
  void hold_publisher(const Session& from);
  void release_publishers();
  void forget_held(const Channel& channel) noexcept;

  // sibling_replies.cpp: what goes back
  void append_messages_behind(Channel& channel);
  void append_closes();
  void mark_dirty(Channel& channel);
  void flush_channels();
  bool written_is_safe();
  void send(Channel& channel, bool all);
  void watch_for_room(Channel& channel);

  Status load_again();
  void make_settings();
  void make_slow_log_settings();
  void tell_parent(char word);
  void tell_of_data();

  SiblingSetup setup_;
  Gatekeeper gatekeeper_;
  Counters counters_;
  mutable PersistenceState state_;
  std::vector<Setting> settings_;
  std::vector<std::unique_ptr<Keyspace>> databases_;
  Engine engine_;
  std::unique_ptr<Persistence> store_;
  std::unique_ptr<Saver> saver_;

  Patience patience_;
  Fd epoll_, signals_, announcements_;
  std::unordered_map<int, Channel*> by_request_fd_, by_reply_fd_;
  std::string nowhere_;  // replies to a connection that has gone
  std::unordered_map<std::int32_t, std::unique_ptr<Channel>> channels_;  // by pid
  std::vector<std::unique_ptr<Channel>> retired_;  // their children have ended
  std::vector<std::unique_ptr<Channel>> dropped_;  // until the round ends
  std::vector<std::int32_t> resumed_;  // descriptors: what was kept of them is taken first
  std::int64_t turn_began_us_ = 0;     // as Engine::busy_us() has it
  std::unordered_map<std::int32_t, std::vector<std::unique_ptr<Session>>> early_;  // before a child
  std::map<std::uint64_t, Session*> sessions_;                                     // by id
  std::vector<std::unique_ptr<Session>> graveyard_;  // until the batch ends
  std::vector<Session*> closing_;                    // to be hung up on at the round's end
  std::vector<Announcement> unopened_;               // children whose pipes found no descriptor
  std::vector<Channel*> dirty_;
  std::vector<Channel*> sending_;     // empty between two rounds
  std::vector<Channel*> slots_back_;  // whose child has given back a slot they wait for
  std::vector<char> arena_;           // what was read this batch; arguments point into it
  std::size_t arena_used_ = 0;
  std::vector<Scalar> args_;

  /// Requests of a connection that have to wait: for its login's turn, until its client has taken
  /// the replies it already has, or for the answer to one before that waits for a list.
  struct Deferred {
    bool for_turn = false;
    std::deque<std::string> requests;
    std::size_t bytes = 0;
  };
  std::map<std::uint64_t, Deferred> deferred_;  // by session id
  // Sessions whose request waits no longer and is to be told so, and whether as an error.
  std::vector<std::pair<std::uint64_t, bool>> unblocked_;

  Subscriptions subscriptions_;
  Subscriptions::Listeners monitors_;
  std::uint64_t unread_messages_ = 0;  // bytes, of all sessions
  // Of the message that is being sent; empty between two.
  std::vector<Subscriptions::Audience> audiences_;
  std::string message_;
  std::vector<Channel*> receiving_;
  std::vector<std::uint32_t> receivers_;
  std::vector<std::pair<Session*, std::string_view>> unheard_;  // who do not get it, and why
  /// A child whose connections publish faster than another one hands it out.
  struct Held {
    Channel* publisher;
    Channel* lagging;  // null: it has gone
    std::size_t unsent;
    Clock::time_point until;
  };
  std::vector<Held> held_;

  std::uint64_t next_session_id_ = 1;
  Clock::time_point next_expire_{}, next_second_{};
  std::uint64_t measured_commands_ = 0, measured_in_ = 0, measured_out_ = 0;
  bool loading_ = true;
  bool ending_ = false;
  bool save_at_end_ = false;  // what has changed by then
};

}  // namespace kv
