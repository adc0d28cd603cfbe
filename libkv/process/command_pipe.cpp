// See command_pipe.hpp.
#include "libkv/process/command_pipe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "libkv/base/limits.hpp"
#include "libkv/base/log.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/command.hpp"
#include "libkv/process/run_folder.hpp"
#include "libkv/process/sandbox.hpp"
#include "libkv/process/title.hpp"
#include "libkv/wire/resp.hpp"

namespace kv {
namespace {

using Clock = std::chrono::steady_clock;

// A reader may be started a moment after its request was written.
constexpr std::chrono::seconds answer_wait{10};
constexpr int retry_ms = 20;
constexpr std::size_t answers_max = 1000;  // waiting for a reader at a time
constexpr std::size_t requests_under_way_max = 256;
constexpr std::chrono::seconds complaint_interval{1};

struct Answer {
  std::string name;  // of the pipe beside PATH
  std::string text;
  Clock::time_point give_up;
  Fd pipe;
  std::size_t sent = 0;
};

/// Requests about a connection that all lines share: after them no longer one reply came for each
/// request, in one protocol, to somebody who is logged in; or those behind would wait, too.
bool is_for_one_connection(const std::vector<std::string_view>& args) {
  for (const std::string_view word : {"auth", "hello", "quit", "reset"}) {
    if (equals_ignoring_case(args[0], word)) return true;
  }
  const Command* const command = find_command(args[0]);
  if (command != nullptr && command->group == Group::transaction) return true;
  if (command != nullptr && (command->flags & (kBlocking | kListens)) != 0) return true;
  return equals_ignoring_case(args[0], "client") && args.size() > 1 &&
         equals_ignoring_case(args[1], "reply");
}

class CommandPipe {
 public:
  CommandPipe(const std::string& path, Fd connection)
      : path_(path),
        folder_path_(path.substr(0, path.rfind('/') + 1)),
        socket_(std::move(connection)) {}

  Status open();
  void round();

 private:
  void read_lines();
  void take_line(std::string_view line);
  void refuse(std::string_view name, std::string_view error);
  void complain(std::string_view error);
  void read_replies();
  void deliver(const Value& value);
  void push_answers();
  bool push(Answer& answer);
  bool give_up(const Answer& answer, const char* why);
  void send();

  std::string path_, folder_path_;
  Fd lines_fd_, folder_, socket_;
  std::string lines_, replies_, requests_;
  std::deque<std::string> expected_;  // names of the pipes, one a request; empty: nobody asks
  std::vector<Answer> answers_;
  bool skipping_ = false;     // the rest of a line that was too long
  std::uint64_t untold_ = 0;  // refusals since the last complaint
  Clock::time_point next_complaint_{};
  RespReplyParser parser_;
};

Status CommandPipe::open() {
  // Both ends, so that it stays open between two writers.
  Result<Fd> lines = open_pipe(path_, O_RDWR);
  if (!lines.ok()) return lines.status();
  lines_fd_ = *std::move(lines);
  folder_.reset(::open(folder_path_.empty() ? "." : folder_path_.c_str(),
                       O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_) return Status::from_errno(errno, "cannot open the folder of " + path_);
  return {};
}

void CommandPipe::round() {
  const bool full = expected_.size() >= requests_under_way_max || answers_.size() >= answers_max;
  pollfd watched[2] = {{lines_fd_.get(), static_cast<short>(full ? 0 : POLLIN), 0},
                       {socket_.get(), POLLIN, 0}};
  if (!requests_.empty()) watched[1].events |= POLLOUT;
  (void)::poll(watched, 2, answers_.empty() ? -1 : retry_ms);
  if ((watched[0].revents & POLLIN) != 0) read_lines();
  if ((watched[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) read_replies();
  send();
  push_answers();
}

void CommandPipe::read_lines() {
  char buffer[4096];
  std::size_t got = 0;
  if (read_some(lines_fd_.get(), buffer, sizeof buffer, got) != Io::done) return;
  lines_.append(buffer, got);
  std::size_t start = 0;
  for (std::size_t end = 0; (end = lines_.find('\n', start)) != lines_.npos; start = end + 1) {
    if (!std::exchange(skipping_, false))
      take_line(std::string_view(lines_).substr(start, end - start));
  }
  lines_.erase(0, start);
  if (lines_.size() <= limits::inline_bytes_max) return;
  // No line that anybody could mean; but its end must not be taken for a request of its own.
  lines_.clear();
  if (!std::exchange(skipping_, true)) {
    refuse({}, "ERR a line longer than " + std::to_string(limits::inline_bytes_max) + " bytes");
  }
}

void CommandPipe::take_line(std::string_view line) {
  std::string name;
  if (!line.empty() && line[0] == '@') {
    const std::size_t blank = line.find(' ');
    name = line.substr(1, blank == line.npos ? line.npos : blank - 1);
    line = blank == line.npos ? std::string_view() : line.substr(blank + 1);
    if (name.empty() || name[0] == '.' || name.find('/') != name.npos || name.size() > 255)
      return refuse({}, "ERR @" + name + " is not a name of a pipe in this folder");
  }
  RespRequestParser probe;
  const std::string request = std::string(line) + "\n";
  const ParseState state = probe.next(request);
  if (state == ParseState::need_more) {
    if (line.find_first_not_of(" \t\r") != line.npos)
      refuse(name, "ERR a line is one request as a person types it, not RESP");
    return;
  }
  if (state != ParseState::request) return refuse(name, probe.error());
  std::vector<std::string_view> args;
  for (const Scalar& arg : probe.args()) args.push_back(arg.bytes);
  if (is_for_one_connection(args))
    return refuse(
        name,
        "ERR AUTH, HELLO, QUIT, RESET, CLIENT REPLY, transactions, commands that wait (BLPOP), "
        "SUBSCRIBE and MONITOR are for a connection of one's own");
  append_request(requests_, args);
  expected_.push_back(std::move(name));
}

/// A line that is no request: told to who asked for an answer, otherwise to the operator.
void CommandPipe::refuse(std::string_view name, std::string_view error) {
  if (name.empty()) return complain(error);
  answers_.push_back(
      {std::string(name), std::string(error) + "\n", Clock::now() + answer_wait, {}, 0});
}

/// At most once a second: a script that is wrong is wrong in every line.
void CommandPipe::complain(std::string_view error) {
  ++untold_;
  if (Clock::now() < next_complaint_) return;
  next_complaint_ = Clock::now() + complaint_interval;
  // Not what was given as arguments: it may be a secret.
  std::string text = "--pipe: " + shown(error.substr(0, error.find(", with args")), 200);
  if (untold_ > 1) text += " (" + std::to_string(untold_ - 1) + " more since the last such line)";
  log::warn(text);
  untold_ = 0;
}

void append_text(const Value& value, std::string& out) {
  if (value.is_list()) {
    for (const Value& item : value.items) append_text(item, out);
    return;
  }
  out.append(value.str()).push_back('\n');
}

void CommandPipe::read_replies() {
  char buffer[65536];
  std::size_t got = 0;
  const Io io = read_some(socket_.get(), buffer, sizeof buffer, got);
  if (io == Io::closed) ::_exit(0);
  replies_.append(buffer, got);
  std::size_t used = 0;
  while (used < replies_.size()) {
    const auto state = parser_.next(std::string_view(replies_).substr(used));
    used += parser_.consumed();
    if (state == RespReplyParser::State::error) ::_exit(1);
    if (state == RespReplyParser::State::need_more) break;
    deliver(parser_.value());
  }
  replies_.erase(0, used);
}

void CommandPipe::deliver(const Value& value) {
  if (expected_.empty()) return;
  std::string name = std::move(expected_.front());
  expected_.pop_front();
  if (name.empty()) return value.is_error() ? complain(value.text) : void();
  Answer answer{std::move(name), {}, Clock::now() + answer_wait, {}, 0};
  append_text(value, answer.text);
  answers_.push_back(std::move(answer));
}

/// True: it will never be delivered. That it was asked for and is lost, somebody must be told.
bool CommandPipe::give_up(const Answer& answer, const char* why) {
  complain("ERR the answer for @" + answer.name + " is lost: " + why);
  return true;
}

/// True when the answer is delivered or will never be.
bool CommandPipe::push(Answer& answer) {
  const bool late = Clock::now() > answer.give_up;
  if (!answer.pipe) {
    answer.pipe.reset(::openat(folder_.get(), answer.name.c_str(),
                               O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    struct stat facts {};
    if (!answer.pipe && (errno == ENXIO || errno == ENOENT) && !late) return false;
    if (!answer.pipe)
      return give_up(answer, errno == ENXIO ? "nobody reads" : std::strerror(errno));
    if (::fstat(answer.pipe.get(), &facts) != 0 || !S_ISFIFO(facts.st_mode)) {
      return give_up(answer, "that is not a pipe");
    }
  }
  while (answer.sent < answer.text.size()) {
    std::size_t put = 0;
    const Io io =
        write_some(answer.pipe.get(), std::string_view(answer.text).substr(answer.sent), put);
    if (io == Io::closed) return give_up(answer, "its reader has gone");
    if (io == Io::again) return late && give_up(answer, "its reader is too slow");
    answer.sent += put;
  }
  return true;
}

void CommandPipe::push_answers() {
  // Answers to one pipe keep their order: a later one waits for the earlier.
  std::vector<std::string> waiting;
  std::erase_if(answers_, [&](Answer& answer) {
    for (const std::string& name : waiting) {
      if (name == answer.name) return false;
    }
    if (push(answer)) return true;
    waiting.push_back(answer.name);
    return false;
  });
}

void CommandPipe::send() {
  while (!requests_.empty()) {
    std::size_t put = 0;
    const Io io = write_some(socket_.get(), requests_, put);
    if (io == Io::closed) ::_exit(0);
    if (io == Io::again) return;
    requests_.erase(0, put);
  }
}

}  // namespace

Result<Fd> prepare_command_pipe(const std::string& path) {
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) {
    if (const Status made = make_pipe(path); !made.ok()) return made;
  } else if (!S_ISFIFO(facts.st_mode)) {
    return Status(Code::usage, "--pipe " + path + ": something else is there");
  } else if (facts.st_uid != ::geteuid()) {
    return Status(Code::denied, "--pipe " + path + " belongs to another user");
  } else if ((facts.st_mode & 077) != 0) {
    return Status(Code::denied, "--pipe " + path + ": others can use it; chmod 600 it");
  }
  Result<Fd> pipe = open_pipe(path, O_RDWR);
  if (pipe.ok() && ::flock(pipe->get(), LOCK_EX | LOCK_NB) != 0) {
    return Status(Code::busy, "--pipe " + path + " is served by another server");
  }
  return pipe;
}

void serve_command_pipe(const std::string& path, Fd connection) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  set_title("kv command pipe " + path);
  CommandPipe pipe(path, std::move(connection));
  Status status = pipe.open();
  if (status.ok()) status = enter_pipe_sandbox();
  if (!status.ok()) {
    log::warn(status.message());
    ::_exit(1);
  }
  for (;;) pipe.round();
}

}  // namespace kv
