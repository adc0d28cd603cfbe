// The gate that holds replies back until their lines are on the disk, over the real log writer and
// a disk whose syncs the test lets hang and fail.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "libkv/process/reply_gate.hpp"
#include "tests/unit/child_pipes.hpp"
#include "tests/unit/persistence_fixture.hpp"

namespace kv::test {
namespace {

class Gated {
 public:
  explicit Gated(FaultEnv& env, Fsync policy) : server_(env, with(policy)) {
    REQUIRE(server_.start().ok());
    server_.store().defer_syncs(true);
  }
  /// A write is logged and its answer written; the loop then ends its round.
  void write(ChildPipes& child, std::string_view answer) {
    REQUIRE(server_.write({"SET", "key", std::string(answer)}, 0, now_ += 1000).ok());
    reply(child, answer);
  }
  void reply(ChildPipes& child, std::string_view answer) {
    const bool was_dirty = child.channel->dirty;
    child.channel->begin_reply(session_).append(answer);
    child.channel->end_reply(session_, false);
    if (!was_dirty) dirty_.push_back(child.channel.get());
    round();
  }
  void round() {
    for (Channel* channel : gate_.pass(&server_.store(), dirty_)) REQUIRE(channel->flush());
  }
  /// Waits for the sync's event, as the loop does.
  void wait_for_sync() {
    pollfd event{server_.store().sync_descriptor(), POLLIN, 0};
    REQUIRE(::poll(&event, 1, 60'000) == 1);
    server_.store().sync_noticed();
    round();
  }
  Persistence& store() { return server_.store(); }

 private:
  TestServer server_;
  ReplyGate gate_;
  Session session_;
  std::vector<Channel*> dirty_;
  std::int64_t now_ = 1'700'000'000 * ns_per_second;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("process/gate: under always no reply passes before the sync that covers it (D9)") {
  FaultEnv env;
  Gated server(env, Fsync::always);
  ChildPipes one, two;
  env.sync_hangs = true;
  server.write(one, "+first\r\n");
  server.write(two, "+second\r\n");
  server.reply(one, "+read\r\n");  // it may have seen what is not on the disk
  CHECK(one.sent().empty());
  CHECK(two.sent().empty());
  env.sync_hangs = false;
  server.wait_for_sync();  // the one that covers the first; the next is under way at once
  std::string got = one.sent();
  CHECK(has(got, "+first"));
  CHECK_FALSE(has(got, "+read"));
  CHECK(two.sent().empty());
  server.wait_for_sync();
  CHECK(has(one.sent(), "+read"));
  CHECK(has(two.sent(), "+second"));
  CHECK(server.store().synced_ns() == server.store().written_ns());
}

TEST_CASE("process/gate: after a failed sync nothing passes any more (D9)") {
  FaultEnv env;
  Gated server(env, Fsync::always);
  ChildPipes child;
  env.only = "sync";
  env.calls = 0;
  env.fault = Fault::error;
  env.fault_at = 1;
  server.write(child, "+lost\r\n");
  server.wait_for_sync();
  server.reply(child, "+read\r\n");
  CHECK(child.sent().empty());
  CHECK(server.store().log_failed());
}

TEST_CASE("process/gate: other policies and reads alone never wait") {
  FaultEnv env;
  Gated everysec(env, Fsync::everysec);
  ChildPipes child;
  env.sync_hangs = true;
  everysec.write(child, "+at once\r\n");
  CHECK(has(child.sent(), "+at once"));
  env.sync_hangs = false;
  FaultEnv other;
  Gated always(other, Fsync::always);
  always.reply(child, "+read\r\n");
  CHECK(has(child.sent(), "+read"));
}

}  // namespace kv::test
