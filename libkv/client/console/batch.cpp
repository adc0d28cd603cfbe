// One command a line from standard input, many under way at once, replies in the lines' order.
//
// A line that fails is named and the rest still runs; the exit status is that of the first
// one. When the connection is lost nothing is sent again: which lines may have been carried
// out is said instead.
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "libkv/base/text.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/console/lines.hpp"
#include "libkv/client/console/program.hpp"
#include "libkv/client/console/progress.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/sealing.hpp"
#include "libkv/wire/inline.hpp"

namespace kv {
namespace {

using client::Access;
using client::Connection;
using client::Value;
using Flow = Access::Impl::Flow;

int exit_code_of(const Status& status) {
  return client::exit_code_of(client::error_of(status).code);
}

std::uint64_t input_size() {
  struct stat info {};
  if (fstat(STDIN_FILENO, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  return static_cast<std::uint64_t>(info.st_size);
}

bool quits(const std::vector<std::string>& words) { return equals_ignoring_case(words[0], "quit"); }

class Batch {
 public:
  explicit Batch(ClientArguments& arguments)
      : arguments_(arguments),
        output_(arguments.form, arguments.quiet),
        reader_(STDIN_FILENO),
        progress_(input_size(), "lines") {}

  int run();

 private:
  struct UnderWay {
    std::uint64_t line;
    bool ends_server = false;               // SHUTDOWN: a closed connection is its answer
    bool quits = false;                     // QUIT: the connection is closed behind its answer
    Status failure = {};                    // it was not sent, and this is why
    std::vector<std::string> request = {};  // only where the reply has to be opened
  };

  Flow::Next next(std::vector<std::string_view>& out);
  bool read_line(Flow::Next& otherwise);
  bool has_to_wait() const;
  Status prepare(std::string_view line, bool& blank);
  bool take(Value&& reply);
  void show(const UnderWay& item, Value&& reply);
  void report_unsent();
  void fail(std::uint64_t line, std::string_view why, int status);
  bool flush();
  int lost(const Status& status);
  int ended(std::string_view how);
  int finish();

  ClientArguments& arguments_;
  Output output_;
  LineReader reader_;
  Progress progress_;
  Access::Impl* inside_ = nullptr;
  Flow flow_;
  std::deque<UnderWay> under_way_;
  std::vector<std::string> words_;
  bool held_ = false;  // words_ wait to be sent
  int status_ = 0;
  bool saw_nil_ = false;
  bool broken_output_ = false;
  bool has_quit_ = false;
};

void Batch::fail(std::uint64_t line, std::string_view why, int status) {
  flush();
  complain("line " + std::to_string(line) + ": " + std::string(why));
  if (status_ == 0) status_ = status;  // of several failures the first decides
}

bool Batch::flush() {
  if (output_.empty()) return true;
  progress_.hide();
  if (!output_.flush()) broken_output_ = true;
  return !broken_output_;
}

/// Splits, checks and seals one line into words_.
Status Batch::prepare(std::string_view line, bool& blank) {
  for (std::string& word : words_) explicit_bzero(word.data(), word.size());
  words_.clear();
  if (!split_quoted(line, words_)) return {Code::usage, "the quotes do not match"};
  blank = words_.empty();
  if (blank) return {};
  if (auto status = client::check_arguments(views_of(words_)); !status) return status;
  if (client::answers_by_push(words_[0])) {
    return {Code::usage, to_upper(words_[0]) + " has no place among piped commands"};
  }
  if (!arguments_.seal.seal) return {};
  auto sealing = client::sealing_of(*inside_, arguments_.seal);
  if (!sealing) return {Code::crypto, sealing.error().message};
  return (*sealing)->seal(words_);
}

/// The next line that can be sent, in words_. False: there is none now.
bool Batch::read_line(Flow::Next& otherwise) {
  for (;;) {
    std::string_view line;
    const LineReader::State state = reader_.next(line);
    otherwise = Flow::Next::end;
    // Before waiting for more lines, what there is to see is shown.
    if (state == LineReader::State::wait && flush()) otherwise = Flow::Next::wait;
    if (state != LineReader::State::line || broken_output_) return false;
    bool blank = false;
    if (auto status = prepare(line, blank); !status) {
      under_way_.push_back({.line = reader_.number(), .failure = std::move(status)});
      report_unsent();
    } else if (!blank) {
      return true;
    }
  }
}

/// A server that ends sends no replies that wait, and carries out nothing that follows; nor does
/// one that was told to hang up. SHUTDOWN and QUIT go out alone, so that nothing is in doubt.
bool Batch::has_to_wait() const {
  if (under_way_.empty()) return false;
  const UnderWay& first = under_way_.front();
  return ends_server(words_) || quits(words_) || first.ends_server || first.quits;
}

Flow::Next Batch::next(std::vector<std::string_view>& out) {
  Flow::Next otherwise{};
  if (!held_ && !read_line(otherwise)) return otherwise;
  held_ = has_to_wait();
  flow_.input_fd = held_ ? -1 : STDIN_FILENO;
  if (held_) return flush() ? Flow::Next::wait : Flow::Next::end;
  UnderWay& item = under_way_.emplace_back();
  item.line = reader_.number();
  item.ends_server = ends_server(words_);
  item.quits = quits(words_);
  if (arguments_.seal.open) item.request = words_;
  out.assign(words_.begin(), words_.end());
  return Flow::Next::request;
}

/// What was not sent is reported when all lines before it have their reply, so in order.
void Batch::report_unsent() {
  while (!under_way_.empty() && !under_way_.front().failure) {
    const UnderWay item = std::move(under_way_.front());
    under_way_.pop_front();
    fail(item.line, item.failure.message(), exit_code_of(item.failure));
  }
}

bool Batch::take(Value&& reply) {
  const UnderWay item = std::move(under_way_.front());
  under_way_.pop_front();
  progress_.update(reader_.bytes_read(), item.line);
  has_quit_ = item.quits && !reply.is_error();
  show(item, std::move(reply));
  report_unsent();
  if (has_quit_) return false;
  return output_.full() ? flush() : true;
}

void Batch::show(const UnderWay& item, Value&& reply) {
  if (reply.is_error()) {
    const client::Error error = client::error_of_reply(reply.text());
    return fail(item.line, error.message, client::exit_code_of(error.code));
  }
  if (reply.is_nil()) saw_nil_ = true;
  if (arguments_.seal.open) {
    auto sealing = client::sealing_of(*inside_, arguments_.seal);
    const Status status = sealing ? (*sealing)->open(views_of(item.request), reply)
                                  : Status(Code::crypto, sealing.error().message);
    if (!status) return fail(item.line, status.message(), exit_code_of(status));
  }
  output_.reply(reply);
  // In the answer to EXEC an error looks like a text, and with --quiet like nothing.
  for (const Value& element : reply.list()) {
    if (!element.is_error()) continue;
    const client::Error error = client::error_of_reply(element.text());
    fail(item.line, error.message, client::exit_code_of(error.code));
  }
}

/// The server has ended, or hung up, as it was asked to.
int Batch::ended(std::string_view how) {
  std::string_view line;
  std::uint64_t first = held_ ? reader_.number() : 0;
  if (!under_way_.empty()) first = under_way_.front().line;
  while (first == 0 && reader_.next(line) == LineReader::State::line) {
    if (line.find_first_not_of(" \t") != line.npos) first = reader_.number();
  }
  if (first == 0) return finish();
  flush();
  complain(std::string(how) + "; what follows was not carried out, from line " +
           std::to_string(first) + " on");
  return exit_lost;
}

int Batch::lost(const Status& status) {
  flush();
  if (status.code() == Code::lost && !under_way_.empty() && under_way_.front().ends_server) {
    under_way_.pop_front();
    return ended("the server was shut down");
  }
  std::string sentence = status.message();
  if (!under_way_.empty()) {
    const std::uint64_t first = under_way_.front().line, last = under_way_.back().line;
    sentence += first == last ? "; line " + std::to_string(first)
                              : "; lines " + std::to_string(first) + " to " + std::to_string(last);
    sentence += " had been sent without an answer and may or may not have been carried out";
  }
  sentence += " (" + std::to_string(flow_.answered) + " answered)";
  complain(sentence);
  return client::exit_code_of(client::error_of(status).code);
}

int Batch::finish() {
  if (!flush() || broken_output_) return exit_error_reply;
  if (!reader_.status()) return report(reader_.status());
  if (status_ != 0) return status_;
  return arguments_.fail_nil && saw_nil_ ? exit_nil : 0;
}

int Batch::run() {
  auto connection = Connection::open(arguments_.connection);
  if (!connection) return report(connection.error());
  inside_ = &Access::of(*connection);
  flow_.next_request = [this](auto& out) { return next(out); };
  flow_.on_reply = [this](Value&& reply) { return take(std::move(reply)); };
  flow_.input_fd = STDIN_FILENO;
  const Status status = inside_->stream(flow_);
  progress_.hide();
  if (!status) return lost(status);
  return has_quit_ ? ended("QUIT closed the connection") : finish();
}

}  // namespace

int run_lines(ClientArguments& arguments) { return Batch(arguments).run(); }

}  // namespace kv
