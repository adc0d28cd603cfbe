// Messages between sibling and child: their frames, and where they may stand among replies (P11).
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "libkv/process/channel.hpp"
#include "libkv/process/connection.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/child_pipes.hpp"

namespace kv {
namespace {

using test::ChildPipes;

/// The frames in the order in which a child takes them: "reply 7 x1: bytes", "message: payload".
std::vector<std::string> frames_of(std::string_view bytes) {
  std::vector<std::string> frames;
  FrameHeader header;
  std::string_view payload;
  bool bad = false;
  while (take_frame(bytes, header, payload, bad)) {
    const bool message = header.kind == FrameKind::message;
    CHECK(header.count == (message ? 0 : 1));
    const std::string more = (header.flags & kMore) != 0 ? " more" : "";
    frames.push_back((message ? "message" + more : "reply") + ": " +
                     std::string(message ? payload.substr(payload.find('>')) : payload));
  }
  CHECK((bytes.empty() && !bad));
  return frames;
}

void say(Channel& channel, const Session& session, std::string_view reply) {
  channel.begin_reply(session).append(reply);
  channel.end_reply(session, false);
}

TEST_CASE("process/messages: one frame for all who listen, which says who and counts no reply") {
  ChildPipes child;
  const std::vector<std::uint32_t> to{7, 1, 300};
  child.channel->append_message(to, ">3 hello");
  REQUIRE(child.send());
  const std::string bytes = child.sent();
  FrameHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  CHECK(header.kind == FrameKind::message);
  CHECK(header.count == 0);
  CHECK(header.size == 4 + 3 * 4 + 8);
  std::uint32_t words[4];
  std::memcpy(words, bytes.data() + sizeof header, sizeof words);
  CHECK((words[0] == 3 && words[1] == 7 && words[2] == 1 && words[3] == 300));
}

TEST_CASE("process/messages: behind the reply that is being made, between two, in their order") {
  ChildPipes child;
  Session session;
  session.number = 7;
  const std::vector<std::uint32_t> to{7};
  say(*child.channel, session, "+one\r\n");
  child.channel->append_message(to, ">1");
  child.channel->begin_reply(session).append("+two\r\n");
  child.channel->append_message(to, ">2");
  child.channel->append_message(to, ">3");
  CHECK(child.channel->has_messages_behind());
  child.channel->end_reply(session, false);
  child.channel->append_messages_behind();
  CHECK_FALSE(child.channel->has_messages_behind());
  say(*child.channel, session, "+four\r\n");
  child.channel->begin_reply(session).append("+fi");  // which finds no memory
  child.channel->append_message(to, ">5");
  child.channel->forget_reply();
  child.channel->append_messages_behind();
  REQUIRE(child.send());
  CHECK(frames_of(child.sent()) ==
        std::vector<std::string>{"reply: +one\r\n", "message: >1", "reply: +two\r\n", "message: >2",
                                 "message: >3", "reply: +four\r\n", "message: >5"});
}

TEST_CASE("process/messages: a large one comes in pieces, whole, or not at all (E1)") {
  ChildPipes child;
  const std::vector<std::uint32_t> to{1, 2};
  const std::string body = ">" + std::string(100'000, 'x');
  {
    const test::AllocationLimit little(50'000);
    CHECK_THROWS_AS(child.channel->append_message(to, body), std::bad_alloc);
  }
  CHECK(child.channel->unsent() == 0);
  child.channel->append_message(to, body);
  child.channel->append_message(to, ">next");
  REQUIRE(child.send());
  std::string bytes = child.sent();
  for (std::string more; !(child.send(), more = child.sent()).empty();) bytes += more;
  std::string_view rest = bytes, payload;
  FrameHeader header;
  bool bad = false;
  std::string got;
  for (bool more = true; more;) {
    REQUIRE(take_frame(rest, header, payload, bad));
    got += payload;
    more = (header.flags & kMore) != 0;
  }
  CHECK(got.substr(12) == body);
  CHECK(frames_of(rest) == std::vector<std::string>{"message: >next"});
}

TEST_CASE("process/messages: a connection gets them in its protocol, and tells soon that it has") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  const Fd client(ends[1]);
  Connection connection(Fd(ends[0]), 7, true);
  FrameWriter out;
  const auto received = [&] {
    REQUIRE(connection.flush());
    std::string all(1 << 16, '\0');
    std::size_t got = 0;
    all.resize(read_some(client.get(), all.data(), all.size(), got) == Io::done ? got : 0);
    return all;
  };
  connection.push(">3\r\nabc");
  CHECK(received() == "*3\r\nabc");
  connection.take("HELLO 3\r\n", out);
  CHECK(connection.owes_answer());
  connection.push(">3\r\n");
  CHECK(connection.owes_answer());
  CHECK(received() == "*3\r\n");
  connection.reply({5, 7, FrameKind::reply, kResp3, 1}, "+OK\r\n");
  CHECK_FALSE(connection.owes_answer());
  connection.push(">3\r\n");
  CHECK(received() == "+OK\r\n>3\r\n");
  out.bytes.clear();
  connection.report_taken(out);
  CHECK(out.bytes.empty());
  connection.push(">" + std::string(limits::taken_message_step_bytes, 'x'));
  connection.report_taken(out);
  CHECK(out.bytes.empty());  // it still lies here
  CHECK(received().size() > limits::taken_message_step_bytes);
  connection.report_taken(out);
  CHECK(out.bytes.size() == frame_header_bytes + 8);
  connection.end_of_input(out);
  connection.push(">3\r\n");
  CHECK(connection.finished());
}

}  // namespace
}  // namespace kv
