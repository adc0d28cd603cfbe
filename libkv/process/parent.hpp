// The parent: listens, forks, hands connections over, reaps, forwards signals, restarts the
// sibling.
//
// It reads no client byte and holds no key, stays small so that forking stays cheap, and must never
// block on a client or a child. It forks the sibling first.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libkv/base/fd.hpp"
#include "libkv/process/announcement.hpp"
#include "libkv/process/auth.hpp"
#include "libkv/process/listener.hpp"
#include "libkv/process/options.hpp"
#include "libkv/process/run_folder.hpp"
#include "persistence/persistence.hpp"

namespace kv {

class Parent {
 public:
  Parent(const Options& options, Gatekeeper gatekeeper, RunFolder folder,
         std::vector<Listener> listeners, int port);
  ~Parent();

  /// Serves until told to end. The server's exit status. In forked processes it never returns.
  int run();

 private:
  using Clock = std::chrono::steady_clock;
  struct ChildProcess {
    pid_t pid = -1;
    Fd control;
    std::uint32_t connections = 0;
    std::uint32_t next_number = 1;
    std::uint32_t served = 0;
    Clock::time_point idle_since{};
    bool has_segment = false;
  };

  /// A connection as the parent sees it.
  struct Newcomer {
    Fd socket;
    std::string address, own_address;
    bool local, trusted;
  };

  // parent.cpp
  Status start();
  void round();
  void handle_signals();
  void stop(int signal);
  void reap();
  void child_ended(pid_t pid, int wait_status);
  int clean_up();

  // parent_sibling.cpp
  Status start_sibling();
  [[noreturn]] void be_sibling(int status_fd, pid_t parent);
  void hear_sibling();
  void sibling_ended(int wait_status);
  void open_announcements();
  void announce_ready();
  bool announce(const Announcement& announcement);
  bool put_announcement(const Announcement& announcement);
  void announce_surely(const Announcement& announcement);
  bool tell_untold();
  void listen_if(bool open);
  void keep_command_pipe();
  void start_command_pipe();

  // parent_children.cpp
  void accept_from(const Listener& listener);
  void turn_away(int fd, std::string_view why);
  void admit(Newcomer newcomer);
  void admit_waiting();
  bool hand_over(const Newcomer& newcomer);
  ChildProcess* choose_child();
  ChildProcess* fork_child();
  void hear_child(ChildProcess& child);
  void connection_closed(ChildProcess& child);
  void set_turns(const ChildProcess& child) const noexcept;
  void note_saving(bool saving);
  void give_segment(ChildProcess& child);
  void retire_idle();
  void dismiss(pid_t pid);

  const Options& options_;
  Gatekeeper gatekeeper_;
  RunFolder folder_;
  std::vector<Listener> listeners_;
  int port_;
  std::string run_id_, executable_;

  Fd epoll_, signals_, sibling_status_, announcements_;
  pid_t sibling_ = -1;
  pid_t command_pipe_ = -1;
  Clock::time_point command_pipe_pause_{};  // no new one until then
  bool sibling_reads_ = false;              // has made the pipe for announcements
  bool sibling_open_ = false;               // takes them: we have it open
  bool sibling_ready_ = false;              // this one has restored the data
  bool ready_said_ = false;
  bool had_data_ = false;  // a sibling had files in the folder
  bool saving_ = false;    // a snapshot writer is at work
  // How the sibling writes: as the options say, then as CONVERT and CONFIG SET say.
  bool binary_;
  Fsync fsync_ = Fsync::everysec;
  Clock::time_point sibling_started_{};
  unsigned sibling_quick_deaths_ = 0;

  std::deque<Announcement> untold_;  // ends for which the sibling's pipe had no room
  std::unordered_map<pid_t, std::unique_ptr<ChildProcess>> children_;
  std::unordered_map<int, ChildProcess*> by_control_;
  std::uint64_t connections_ = 0;
  std::optional<Newcomer> waiting_;  // there was no room to hand it over; the next are not accepted
  Clock::time_point fork_pause_{};   // children die young: no new ones until then
  unsigned young_deaths_ = 0;

  bool stopping_ = false;
  int exit_status_ = -1;  // set: the end
};

}  // namespace kv
