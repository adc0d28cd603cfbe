// Runs requests: look up, check, log, apply, answer. Replays the log without logging.
//
// Requests are submitted as they are read and finished as a batch. A write is tried first without
// changing anything (Call::set_trial); if it would change something its line joins the batch's log
// lines. finish() writes them all with one write, and only then are the requests run and answered,
// in order. A trial must see the truth, so a write whose key an earlier write of the batch touches
// ends that batch first, unless what it will meet can be foretold (forecast.hpp). A request that
// finds nothing and wants to wait (BLPOP) is set aside; the write that feeds it ends its batch, and
// who waits is served before anybody else may take from the key (engine_waiting.cpp). What MULTI
// queues is logged as one line and applied as one (engine_transaction.cpp). Must never know a pipe,
// a process or a protocol's bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "libkv/base/clock.hpp"
#include "libkv/base/status.hpp"
#include "libkv/base/text.hpp"
#include "libkv/commands/call.hpp"
#include "libkv/commands/services.hpp"
#include "libkv/engine/forecast.hpp"
#include "libkv/engine/reply_sink.hpp"
#include "libkv/engine/touched.hpp"
#include "libkv/engine/waiting.hpp"
#include "libkv/engine/watches.hpp"
#include "libkv/keyspace/function_ref.hpp"
#include "persistence/write_log.hpp"

namespace kv {

class Engine {
 public:
  Engine(Services& services, ReplySink& sink, const Clocks& clocks = {})
      : services_(services),
        counters_(services.counters()),
        sink_(sink),
        clocks_(clocks),
        coarse_ns_(clocks.coarse()) {}

  /// Not owned; null: nothing is logged. Set once recovery is over.
  void set_log(WriteLog* log);
  /// While loading, only commands with kLoading are run; others are told LOADING.
  void set_loading(bool loading) noexcept { loading_ = loading; }
  /// A sentence: every write is refused with it. Empty: writes are taken.
  void refuse_writes(std::string why) { refusal_ = std::move(why); }

  /// Takes one request. args[0] is the command word; all bytes must stay until finish().
  void submit(Session& session, std::span<const Scalar> args, const KnownHashes& hashes = {});
  /// Answers a request for which there is no memory.
  void refuse_for_memory(Session& session);
  /// Logs, applies and answers everything submitted. Afterwards the bytes are no longer needed.
  void finish();

  /// Runs a line of the log as of its time; no reply, no logging. A line that fails now failed
  /// then.
  Status replay(std::int64_t time_ns, unsigned database, Dialect dialect,
                std::span<const Scalar> args);

  /// The clock of commands: never behind the last logged line, so what a read saw as expired stays
  /// so. While the wall clock is behind it (it was set back, or a line was logged with a clock that
  /// was ahead) time goes on from that line: without that no key would expire until the wall clock
  /// has caught up. A 128th slower than it should, so that it does catch up: an hour in five days.
  std::int64_t now_ns();
  /// Removes keys whose time has come, for a bounded time. Returns when it wants to be called
  /// again, by the steady clock: soon if there may be more of them.
  std::int64_t expire_some();
  // --- requests that wait: of sessions with Session::waiting ---
  std::size_t waiting() const noexcept { return waiting_.size(); }
  /// When the next one has waited long enough, by the steady clock; INT64_MAX: never.
  std::int64_t next_wait_end_ns() const noexcept { return waiting_.first_deadline_ns(); }
  /// Answers null to those that have. False: there were none.
  bool end_overdue_waits();
  /// From now on nothing is taken for the session's request. False: none waits. It is answered by
  /// end_wait(), or not at all.
  bool withdraw_wait(const Session& session) noexcept { return waiting_.take(session) != nullptr; }
  /// Answers a withdrawn request with an error or, where that is empty, null.
  void end_wait(Session& session, std::string_view error);

  // --- WATCH ---
  /// there: the key of the session's database is there, now.
  void watch(Session& session, std::string_view key, bool there);
  void unwatch(Session& session) noexcept { watches_.forget(session); }

  /// How long all commands so far took, by the coarse clock: in steps of some milliseconds, but
  /// right in the long run.
  std::int64_t busy_us() const noexcept { return busy_ns_ / 1000; }
  void set_active_expire(bool on) noexcept { active_expire_ = on; }

 private:
  static constexpr std::string_view no_memory =
      "OOM command not allowed: there is not enough memory for it";

  /// One request that may be run. A key is hashed once on its way through trial, marks and batch:
  /// 20 ns each time.
  struct Request {
    Session& session;
    const Command& command;
    std::span<const Scalar> args;
    KnownHashes hashes;  // key: always known where the row says that args[1] is one; else 0
  };
  struct Item {
    Session* session;
    const Command* command;
    std::uint32_t first, count;  // in arguments_
    KnownHashes hashes;
    std::int64_t time_ns;
    bool needs_log;  // refused if the batch's lines cannot be written
    bool has_line;   // in the log
  };

  static bool arity_is_fine(const Session& session, const Command& command, std::size_t argc);
  inline bool admissible(const Session& session, const Command* command, std::size_t argc) const;
  void refuse_inadmissible(Session& session, const Command* command, std::span<const Scalar> args);
  CommandStats& stats_of(const Command& command, std::string_view subcommand) {
    return counted_ == &command ? *counted_stats_ : stats_of_another(command, subcommand);
  }
  CommandStats& stats_of_another(const Command& command, std::string_view subcommand);
  void count_refusal(const Command* command, std::span<const Scalar> args, std::string_view text);
  void count_error(const Call& call, std::string_view text);
  std::int64_t batch_ns();
  void refuse(Session& session, const Command* command, std::string_view text,
              std::span<const Scalar> args = {});
  void say_no(Session& session, const Command* command, std::string_view text);
  void say(Session& session, FunctionRef<void(Reply&)> words);
  bool conflicts(const Request& request) const;
  void touch(const Request& request);
  Outcome foresee(const Request& request);
  KeyForecast* forecast_of(const Request& request);
  /// What a request would do.
  struct Trial {
    bool commits;
    std::optional<Call::Wait> wait;
    std::int64_t missing_database;  // Call::missing_database()
  };
  Trial try_out(const Request& request, std::int64_t time_ns);
  void submit_write(const Request& request);
  void add_line(const Request& request, std::int64_t time_ns);
  Request request_of(const Item& item, std::span<const Scalar> arguments) const noexcept;
  void enqueue(const Request& request, std::int64_t time_ns, bool needs_log, bool has_line = false);
  void make_room(std::size_t arguments) {
    const bool room =
        items_.size() < items_.capacity() && arguments <= arguments_.capacity() - arguments_.size();
    if (!room) make_more_room(arguments);
  }
  void make_more_room(std::size_t arguments);
  const Command* named(std::string_view word) {
    // find_command() takes some hundred instructions; mostly it is the word of the request before.
    return same_bytes(word, last_word_) ? last_named_ : named_anew(word);
  }
  const Command* named_anew(std::string_view word);
  // Steps of every request, which one function takes each, are part of that function: what calling
  // them costs comes with every request.
  [[gnu::always_inline]] inline void take(Session& session, std::span<const Scalar> args,
                                          const KnownHashes& hashes);
  bool has_memory_for(const Request& request) const;
  static bool has_memory_for(std::size_t bytes);
  Status take_back_from(std::span<const Item> items, std::span<const Scalar> arguments);
  inline bool apply(Call& call);
  bool run(const Request& request, std::int64_t time_ns);
  [[gnu::always_inline]] inline void apply_and_answer(const Request& request, std::int64_t time_ns,
                                                      bool& applied);
  void carry_out(Call& call, std::size_t start, bool& applied);
  [[gnu::always_inline]] inline void apply_and_count(Call& call, bool& applied);
  [[gnu::always_inline]] inline void settle(Call& call, std::size_t start);
  inline void answer(Session& session, Call& call, std::string& out, std::size_t start);
  // engine_waiting.cpp
  bool begins_to_wait(const Request& request);
  void feed_waiting(const Request& request);
  void note_fed(const Request& request);
  void serve_waiting();
  void serve(Waiter& waiter, const Waiter::Key& key);

  // engine_transaction.cpp
  bool goes_into_transaction(const Request& request);
  std::unique_ptr<Transaction> end_transaction(Session& session) noexcept;
  void queue(const Request& request);
  void execute(const Request& exec);
  std::string why_not(const Transaction& transaction) const;
  void log_and_carry_out(Session& session, const Transaction& transaction, Reply& reply);
  bool would_change(Session& session, const Transaction& transaction, std::int64_t time_ns);
  struct TransactionLine {
    std::vector<std::string> numbers;  // that words point to
    std::vector<Scalar> words;
    std::vector<std::size_t> ends;  // of words, behind each request
  };
  static bool has_place_in_line(const Command& command) noexcept;
  bool is_logged(Session& session, const Transaction::Request& queued, std::int64_t time_ns);
  void compose(Session& session, const Transaction& transaction, std::int64_t time_ns,
               TransactionLine& line);
  std::string log_transaction(Session& session, const Transaction& transaction,
                              std::int64_t time_ns, TransactionLine& line);
  void log_again(TransactionLine line, std::size_t applied, unsigned database,
                 std::int64_t time_ns);
  struct Elements {
    Reply& whole;
    std::size_t begin;  // in its out()
    bool full = false;  // they are as many bytes as they may be
    bool lost = false;  // one found no memory: none can be sent
  };
  std::size_t carry_out(Session& session, const Transaction& transaction, std::int64_t time_ns,
                        Elements& said);
  static void say_element(Reply& whole, std::string_view error);
  bool run_queued(const Request& request, std::int64_t time_ns, Elements& said) noexcept;
  static void end_element(Call& call, std::size_t start, Elements& said);
  void note_changed(const Call& call);

  // engine_replay.cpp
  Status replay_one(Session& session, std::int64_t time_ns, std::span<const Scalar> args);
  static Status next_request(const Session& session, std::span<const Scalar>& args,
                             std::span<const Scalar>& request);
  Status replay_transaction(Session& session, std::int64_t time_ns, std::span<const Scalar> args);

  bool expire_until(std::int64_t end_ns);
  bool expire_in(Keyspace& keys, std::int64_t now_ms, std::int64_t end_ns);

  Services& services_;
  Counters& counters_;  // its own, which a request is noted in several times
  ReplySink& sink_;
  const Clocks clocks_;
  WriteLog* log_ = nullptr;
  std::vector<Item> items_;
  std::vector<Scalar> arguments_;
  TouchedKeys touched_;
  struct Foreseen {
    std::uint32_t item;  // the first request of the batch that touched the key
    KeyForecast state;
  };
  std::vector<Foreseen> foreseen_;  // keys that several requests of the batch touch
  Watches watches_;
  WaitingRequests waiting_;
  bool serving_ = false;  // those that wait
  std::string trial_out_;
  std::string refusal_;
  std::unordered_map<const Command*, CommandStats*> stats_;
  std::uint32_t timing_ = 0;
  std::int64_t last_ns_ = 0;
  std::int64_t coarse_ns_;     // the coarse clock when now_ns() was asked last
  std::int64_t batch_ns_ = 0;  // the time of this batch's reads; 0: not looked up yet
  // The coarse clock at the end of the command before; 0: look. Commands of a batch run one after
  // the other, so one look each tells how long it took.
  std::int64_t looked_ns_ = 0;
  std::int64_t busy_ns_ = 0;
  std::size_t slow_items_ = 0;  // of the batch, that may take long and need no line
  std::string last_word_;       // that named a command, as it was spelt, and which
  const Command* last_named_ = nullptr;
  const Command* counted_ = nullptr;  // whose calls were counted last
  CommandStats* counted_stats_ = nullptr;
  std::size_t batch_replies_ = 0;      // bytes of this batch's replies so far
  unsigned expire_next_ = 0;           // the database that is looked at first
  std::int64_t expired_until_ns_ = 0;  // when expiry ran out of time; 0: it did not, the last time
  bool loading_ = false;
  bool active_expire_ = true;
};

}  // namespace kv
