// Frames, channels and bulk slots: what a child sends is believed only as far as it was checked
// (P11, P14).
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "libkv/process/auth.hpp"
#include "libkv/process/bulk.hpp"
#include "libkv/process/channel.hpp"
#include "libkv/process/frame.hpp"
#include "tests/unit/child_pipes.hpp"

namespace kv {
namespace {

using test::ChildPipes;

TEST_CASE("process/frame: arguments come back as they went, kinds too") {
  const std::string any("\0\r\n\xff\"", 5);
  const std::vector<Scalar> sent{"SET", Scalar(any), Scalar("12", Kind::number),
                                 Scalar("", Kind::nil), Scalar("s", Kind::symbol)};
  std::string bytes;
  append_request(bytes, 7, sent, arguments_bytes(sent));
  std::string_view rest = bytes, payload;
  FrameHeader header;
  bool bad = true;
  REQUIRE(take_frame(rest, header, payload, bad));
  CHECK(rest.empty());
  CHECK(header.connection == 7);
  std::vector<Scalar> got;
  REQUIRE(read_arguments(payload, got));
  CHECK(got == sent);
}

TEST_CASE("process/frame: a cut frame waits, an oversize one is bad (P14)") {
  std::string bytes;
  const std::vector<Scalar> ping{"PING"};
  append_request(bytes, 1, ping, arguments_bytes(ping));
  FrameHeader header;
  std::string_view payload;
  bool bad = true;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    std::string_view cut = std::string_view(bytes).substr(0, n);
    CHECK_FALSE(take_frame(cut, header, payload, bad));
    CHECK_FALSE(bad);
  }
  std::string huge;
  append_header(huge, {limits::frame_bytes_max + 1, 1, FrameKind::request, 0, 0});
  std::string_view view = huge;
  CHECK_FALSE(take_frame(view, header, payload, bad));
  CHECK(bad);
}

TEST_CASE("process/frame: lying lengths and counts are refused without memory (P14)") {
  std::vector<Scalar> args;
  const auto refused = [&](std::string_view payload) {
    args.clear();
    return !read_arguments(payload, args);
  };
  CHECK(refused(""));
  CHECK(refused(std::string_view("\xff\xff\xff\xff", 4)));
  CHECK(refused(std::string_view("\x01\0\0\0\xff\xff\xff\xff\0", 9)));
  CHECK(refused(std::string_view("\x01\0\0\0\x01\0\0\0\x09x", 10)));  // no such kind
  CHECK(refused(std::string_view("\x01\0\0\0\x01\0\0\0\0xy", 11)));   // bytes left over
  CHECK(refused(std::string_view("\x02\0\0\0\x01\0\0\0\0x", 10)));    // one missing
  CHECK_FALSE(refused(std::string_view("\x01\0\0\0\x01\0\0\0\0x", 10)));
}

TEST_CASE("process/frame: random payloads never read outside (P14)") {
  std::mt19937 random(20261120);
  std::vector<Scalar> args;
  std::size_t accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string payload(random() % 64, '\0');
    for (char& c : payload) c = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
    args.clear();
    if (!read_arguments(payload, args)) continue;
    ++accepted;
    for (const Scalar& arg : args) {
      REQUIRE(arg.bytes.data() >= payload.data());
      REQUIRE(arg.bytes.data() + arg.bytes.size() <= payload.data() + payload.size());
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("process/channel: replies of one connection share a frame, others do not") {
  ChildPipes p;
  Session a, b;
  a.number = 1, b.number = 2;
  for (Session* session : {&a, &a, &b, &a}) {
    p.channel->begin_reply(*session).append("+OK\r\n");
    p.channel->end_reply(*session, false);
  }
  REQUIRE(p.send());
  const std::string bytes = p.sent();
  std::string_view rest = bytes, payload;
  FrameHeader header;
  bool bad = false;
  std::vector<std::pair<std::uint32_t, std::uint16_t>> frames;
  while (take_frame(rest, header, payload, bad))
    frames.emplace_back(header.connection, header.count);
  CHECK(frames == std::vector<std::pair<std::uint32_t, std::uint16_t>>{{1, 2}, {2, 1}, {1, 1}});
}

TEST_CASE("process/channel: a connection is found until it is gone, by whatever number it came") {
  ChildPipes p;
  const auto add = [&](std::uint32_t number) {
    auto session = std::make_unique<Session>();
    session->number = number;
    Session* const added = session.get();
    p.channel->add(std::move(session));
    return added;
  };
  Session* const first = add(1);
  CHECK(p.channel->find(1) == first);
  CHECK(p.channel->find(2) == nullptr);
  Session* const second = add(2);
  CHECK(p.channel->find(2) == second);
  CHECK(p.channel->find(1) == first);
  CHECK(p.channel->remove(1).get() == first);
  CHECK(p.channel->find(1) == nullptr);
  CHECK(p.channel->find(2) == second);
  Session* const again = add(2);
  CHECK(p.channel->find(2) == again);
}

TEST_CASE("process/channel: a reply that needs translation does not drag others along") {
  ChildPipes p;
  Session a;
  p.channel->begin_reply(a).append("+OK\r\n");
  p.channel->end_reply(a, false);
  p.channel->begin_reply(a).append("_\r\n");
  p.channel->end_reply(a, true);
  REQUIRE(p.send());
  const std::string bytes = p.sent();
  std::string_view rest = bytes, payload;
  FrameHeader header;
  bool bad = false;
  REQUIRE(take_frame(rest, header, payload, bad));
  CHECK(payload == "+OK\r\n");
  CHECK((header.flags & kTranslate) == 0);
  REQUIRE(take_frame(rest, header, payload, bad));
  CHECK(payload == "_\r\n");
  CHECK((header.flags & kTranslate) != 0);
}

TEST_CASE("process/channel: a large reply comes in pieces that are the whole") {
  ChildPipes p;
  Session a;
  std::string value(200'000, 'x');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7);
  p.channel->begin_reply(a).append(value);
  p.channel->end_reply(a, false);
  std::string bytes, whole;
  while (p.channel->unsent() > 0) {
    REQUIRE(p.send());
    bytes += p.sent();
  }
  std::string_view rest = bytes, payload;
  FrameHeader header;
  bool bad = false;
  unsigned replies = 0;
  while (take_frame(rest, header, payload, bad)) {
    whole += payload;
    replies += header.count;
    CHECK(((header.flags & kMore) != 0) == !rest.empty());
  }
  CHECK(whole == value);
  CHECK(replies == 1);
}

TEST_CASE("process/channel: what is released goes, what comes later does not") {
  ChildPipes p;
  Session a;
  const auto answer = [&](std::string_view text) {
    p.channel->begin_reply(a).append(text);
    p.channel->end_reply(a, false);
  };
  answer("+first\r\n");
  REQUIRE(p.channel->flush());
  CHECK(p.sent().empty());
  CHECK(p.channel->unsent() > 0);
  p.channel->release();
  answer("+second\r\n");
  REQUIRE(p.channel->flush());
  const std::string one = p.sent();
  CHECK(one.find("+first") != one.npos);
  CHECK(one.find("+second") == one.npos);
  REQUIRE(p.send());
  CHECK(p.sent().find("+second") != one.npos);
  CHECK(p.channel->unsent() == 0);
}

TEST_CASE("process/bulk: slots are handed out once, references outside are refused (P13)") {
  const std::string name = "kv-test-bulk." + std::to_string(::getpid());
  Result<Fd> made = BulkSegment::create(name);
  REQUIRE(made.ok());
  auto child = BulkSegment::map(*std::move(made), true);
  auto sibling = BulkSegment::open(name);
  REQUIRE(child.ok());
  REQUIRE(sibling.ok());
  CHECK_FALSE(BulkSegment::open(name).ok());  // the name is gone once it has been opened
  std::vector<std::uint64_t> taken;
  while (const auto slot = (*child)->take(bulk_slot_bytes)) taken.push_back(*slot);
  CHECK(taken.size() == bulk_request_slots);
  std::memcpy((*child)->at(taken[1]), "hello", 5);
  CHECK((*sibling)->view(taken[1], 5) == "hello");
  CHECK((*sibling)->view(taken[1] + 1, 4) == "ello");
  CHECK_FALSE((*sibling)->view(taken[1] + 1, bulk_slot_bytes).has_value());
  CHECK_FALSE((*sibling)->view(taken[0], bulk_slot_bytes + 1).has_value());
  CHECK_FALSE((*sibling)->view(bulk_segment_bytes, 1).has_value());
  CHECK_FALSE((*sibling)->view(UINT64_MAX - bulk_slot_bytes + 1, 1).has_value());
  CHECK_FALSE((*sibling)->view(*(*sibling)->take(1), 1).has_value());  // its own
  CHECK((*child)->give_back(taken[1]));
  CHECK_FALSE((*child)->give_back(taken[1]));
  CHECK_FALSE((*child)->give_back(UINT64_MAX));
  CHECK((*child)->take(bulk_slot_bytes) == taken[1]);
}

/// A segment as its child has it, with no sibling.
std::unique_ptr<BulkSegment> child_segment() {
  const std::string name = "kv-test-child." + std::to_string(::getpid());
  auto made = BulkSegment::create(name);
  REQUIRE(made.ok());
  auto mapped = BulkSegment::map(*std::move(made), true);
  BulkSegment::remove(name);
  REQUIRE(mapped.ok());
  return *std::move(mapped);
}

TEST_CASE("process/bulk: smaller pieces share a slot, which is free when all of them are back") {
  const auto child = child_segment();
  BulkSegment& segment = *child;
  const auto first = segment.take(10'000), second = segment.take(bulk_slot_bytes - 10'000);
  REQUIRE((first && second));
  CHECK(*second == *first + 10'000);
  const auto third = segment.take(1);
  CHECK(third == bulk_slot_bytes);  // the next slot
  std::vector<std::uint64_t> others;
  while (const auto whole = segment.take(bulk_slot_bytes)) others.push_back(*whole);
  CHECK(others.size() == bulk_request_slots - 2);
  CHECK(segment.has_room(bulk_slot_bytes - 1));  // behind the third
  CHECK_FALSE(segment.has_room(bulk_slot_bytes));
  CHECK(segment.give_back(*second));
  CHECK_FALSE(segment.has_room(bulk_slot_bytes));  // the first is still there
  CHECK(segment.give_back(*first));
  CHECK_FALSE(segment.give_back(*first));
  CHECK(segment.take(bulk_slot_bytes) == first);
}

TEST_CASE("process/bulk: a slot to fill by and by is never the last one") {
  const auto child = child_segment();
  std::vector<std::uint64_t> kept;
  while (const auto slot = child->keep()) kept.push_back(*slot);
  CHECK(kept.size() == bulk_request_slots - 1);
  const auto last = child->take(bulk_slot_bytes);
  REQUIRE(last.has_value());
  CHECK_FALSE(child->has_room(1));
  child->hand_over(kept[0]);
  CHECK_FALSE(child->keep().has_value());  // none is free yet
  CHECK(child->give_back(kept[0] + 100));
  CHECK(child->keep() == kept[0]);
}

/// A channel with a segment, and its child, which reads frames and gives slots back when told to.
struct BulkPipes : ChildPipes {
  BulkPipes() {
    const std::string name = "kv-test-replies." + std::to_string(::getpid());
    auto made = BulkSegment::create(name);
    REQUIRE(made.ok());
    auto mapped = BulkSegment::map(*std::move(made), true);
    auto sibling = BulkSegment::open(name);
    REQUIRE((mapped.ok() && sibling.ok()));
    child = *std::move(mapped);
    channel->bulk = *std::move(sibling);
  }
  void answer(std::size_t bytes) {
    std::string value(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) value[i] = static_cast<char>(i * 31 + bytes);
    channel->begin_reply(session).append(value);
    channel->end_reply(session, false);
    want += value;
  }
  /// The last bytes of it are not in the buffer.
  void answer_with_rest(std::size_t bytes, Session& to) {
    const std::string rest(bytes, static_cast<char>('a' + bytes % 26));
    channel->begin_reply(to).append("$");
    CHECK(channel->end_reply(to, false, rest) == bytes + 3);
    want += "$" + rest + "\r\n";
  }
  void receive() {
    REQUIRE(send());
    kept += sent();
    std::string_view rest = kept, payload;
    FrameHeader header;
    bool bad = false;
    while (take_frame(rest, header, payload, bad)) take(header, payload);
    REQUIRE_FALSE(bad);
    kept.erase(0, kept.size() - rest.size());
  }
  void take(const FrameHeader& header, std::string_view payload) {
    replies += header.count;
    if (header.kind == FrameKind::reply) {
      got += payload;
      return;
    }
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    REQUIRE(header.kind == FrameKind::bulk_reply);
    REQUIRE(read_bulk_reference(payload, offset, size));
    got += child->view(offset, size).value();
    full_slots.push_back(offset);
  }
  void give_back() {
    for (const std::uint64_t offset : std::exchange(full_slots, {}))
      REQUIRE(channel->bulk->give_back(offset));
  }
  std::unique_ptr<BulkSegment> child;
  Session session;
  std::string want, got, kept;
  std::vector<std::uint64_t> full_slots;
  unsigned replies = 0;
};

TEST_CASE("process/channel: large replies wait for slots and come whole, in their order") {
  BulkPipes p;
  for (const std::size_t size : {5, 3'000'000, 7, 70'000, 2 << 20, 100, 4 << 20}) p.answer(size);
  p.receive();
  CHECK(p.channel->waits_for_slot);
  CHECK(p.full_slots.size() >= bulk_reply_slots);
  p.give_back();
  p.answer(6 << 20);  // would take every slot, before the ones that wait
  for (int i = 0; p.channel->unsent() > 0; ++i) {
    REQUIRE(i < 1000);
    p.receive();
    p.give_back();
  }
  CHECK(p.got == p.want);
  CHECK(p.replies == 8);
}

TEST_CASE(
    "process/channel: replies of some KiB lie in the segment, in their order, while it has room") {
  BulkPipes p;
  Session other;
  other.number = 7;
  std::size_t in_slots = 0;
  for (int i = 0; i < 1500; ++i) {
    const std::size_t size =
        std::array{5, 8191, 8192, 20'000, 65'000}[static_cast<std::size_t>(i) % 5];
    if (i % 3 == 0) p.answer_with_rest(size, i % 2 == 0 ? p.session : other);
    else p.answer(size);
    if (i % 100 != 99) continue;
    p.receive();  // a hundred are more than the segment takes at once, now and then
    if (i % 400 != 399) continue;
    in_slots += p.full_slots.size();
    p.give_back();
  }
  for (int i = 0; p.channel->unsent() > 0; ++i) {
    REQUIRE(i < 1000);
    p.receive();
    in_slots += p.full_slots.size();
    p.give_back();
  }
  CHECK(in_slots > 100);
  CHECK(in_slots < 900);
  CHECK(p.got == p.want);
  CHECK(p.replies == 1500);
}

TEST_CASE("process/channel: what a reply ends with comes behind the rest of it, slots or not") {
  BulkPipes p;
  Session other;
  other.number = 7;
  const bool slots = GENERATE(true, false);
  if (!slots) p.channel->bulk.reset();
  p.answer(5);
  p.answer_with_rest(70'000, p.session);  // it could have been joined to the one before
  p.answer(6);
  p.answer_with_rest(bulk_slot_bytes - 3, p.session);  // a slot to the last byte
  p.answer_with_rest(bulk_slot_bytes - 2, other);      // one byte more
  p.answer_with_rest(3'000'000, p.session);
  p.answer_with_rest(5 << 20, other);  // some of it finds no slot
  p.answer_with_rest(100'000, p.session);
  p.answer(7);
  for (int i = 0; p.channel->unsent() > 0; ++i) {
    REQUIRE(i < 1000);
    p.receive();
    if (slots) p.give_back();
  }
  CHECK(p.got == p.want);
  CHECK(p.replies == 9);
}

TEST_CASE("process/channel: with too much unsent no reply waits for a slot") {
  BulkPipes p;
  // More is unsent than is read from a child with: nobody could say that a slot is free.
  for (int i = 0; i < 40; ++i) p.answer(1 << 20);
  while (p.channel->unsent() > Channel::unsent_pause_bytes) p.receive();
  CHECK(p.full_slots.size() == bulk_reply_slots);
  p.receive();
  CHECK(p.channel->waits_for_slot);
  p.channel->paused = true;
  while (p.channel->unsent() > 0) {
    p.receive();
    CHECK_FALSE(p.channel->waits_for_slot);
  }
  CHECK(p.got == p.want);
}

TEST_CASE("process/bulk: a segment of a wrong size is refused without a look inside (P13)") {
  const Fd small(::memfd_create("kv-test", 0));
  REQUIRE(::ftruncate(small.get(), 4096) == 0);
  CHECK_FALSE(BulkSegment::map(Fd(::dup(small.get())), true).ok());
}

TEST_CASE("process/auth: passwords of any length are compared whole (A3)") {
  const Gatekeeper keeper("secret");
  CHECK(keeper.password_fits("secret"));
  for (const std::string& wrong : {std::string(), std::string("secre"), std::string("secret "),
                                   std::string("secret\0", 7), std::string(1 << 20, 's')}) {
    CHECK_FALSE(keeper.password_fits(wrong));
  }
  CHECK(keeper.plio_hash_fits(62011));
  CHECK_FALSE(keeper.plio_hash_fits(62012));
}

Gatekeeper after_five_failures(std::int64_t now) {
  Gatekeeper keeper("secret");
  for (std::uint64_t i = 0; i < 5; ++i) {
    CHECK_FALSE(keeper.must_queue("10.0.0.1:1000", i, now));
    keeper.note_failure("10.0.0.1:1000", now);
  }
  return keeper;
}

using Turns = std::vector<std::uint64_t>;

TEST_CASE("process/auth: guessing slows down its own address, and is forgiven (A1)") {
  const std::int64_t now = 1'000'000;
  Gatekeeper keeper = after_five_failures(now);
  CHECK(keeper.must_queue("10.0.0.1:1001", 7, now));
  CHECK(keeper.must_queue("10.0.0.1:1002", 6, now));
  CHECK_FALSE(keeper.must_queue("10.0.0.2:1000", 8, now));
  CHECK(keeper.turns(now).empty());
  CHECK(keeper.turns(now + 250) == Turns{7});  // in the order they asked
  CHECK(keeper.turns(now + 251).empty());
  CHECK(keeper.turns(now + 500) == Turns{6});
  CHECK(keeper.turns(now + 10'000).empty());
  CHECK_FALSE(keeper.must_queue("10.0.0.1:1003", 9, now + 61'000));
}

TEST_CASE("process/auth: one who has many addresses is slowed down as one (A1)") {
  const std::int64_t now = 1'000'000;
  Gatekeeper keeper("secret");
  for (int i = 1; i <= 5; ++i) {
    keeper.note_failure("127.0.0." + std::to_string(i) + ":1000", now);
    keeper.note_failure("[2001:db8:0:7::" + std::to_string(i) + "]:1000", now);
    keeper.note_failure("10.0.0." + std::to_string(i) + ":1000", now);
  }
  for (const char* same :
       {"127.9.8.7:1", "[::1]:1", "[::ffff:127.1.2.3]:1", "[2001:db8:0:7:ffff:ffff:ffff:ffff]:1"}) {
    INFO(same);
    CHECK(keeper.must_queue(same, 1, now));
  }
  for (const char* other : {"[2001:db8:0:8::1]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1",
                            "128.0.0.1:1", "unix:0", "[::2]:1"}) {
    INFO(other);
    CHECK_FALSE(keeper.must_queue(other, 2, now));
  }
}

TEST_CASE("process/auth: an address in one line leaves it under any of its names (A1)") {
  const std::int64_t now = 1'000'000;
  Gatekeeper keeper("secret");
  for (int i = 0; i < 5; ++i) keeper.note_failure("127.0.0.1:1", now);
  CHECK(keeper.must_queue("127.0.0.2:1", 1, now));
  CHECK(keeper.must_queue("[::1]:1", 2, now));
  keeper.leave("127.0.0.2:1", 1);
  CHECK(keeper.turns(now + 250) == Turns{2});
}

TEST_CASE("process/auth: who guesses and hangs up gives the turn back (A1)") {
  const std::int64_t now = 1'000'000;
  Gatekeeper keeper = after_five_failures(now);
  for (std::uint64_t id = 100; id < 200; ++id) CHECK(keeper.must_queue("10.0.0.1:1", id, now));
  CHECK(keeper.must_queue("10.0.0.1:2", 200, now));
  for (std::uint64_t id = 100; id < 200; ++id) keeper.leave("10.0.0.1:1", id);
  CHECK(keeper.turns(now + 250) == Turns{200});
  // An empty line starts anew: hanging up does not buy a faster guess.
  CHECK(keeper.must_queue("10.0.0.1:3", 201, now + 250));
  keeper.leave("10.0.0.1:3", 201);
  CHECK(keeper.must_queue("10.0.0.1:4", 202, now + 260));
  CHECK(keeper.turns(now + 500).empty());
  CHECK(keeper.turns(now + 510) == Turns{202});
}

TEST_CASE("process/auth: who still listens goes before who may have hung up (A1)") {
  const std::int64_t now = 1'000'000;
  Gatekeeper keeper = after_five_failures(now);
  for (std::uint64_t id = 1; id < 4; ++id) CHECK(keeper.must_queue("10.0.0.1:1", id, now));
  keeper.step_back("10.0.0.1:1", 1);
  keeper.step_back("10.0.0.1:1", 2);
  CHECK(keeper.turns(now + 250) == Turns{3});
  CHECK(keeper.turns(now + 500) == Turns{1});
  keeper.leave("10.0.0.1:1", 2);
  CHECK(keeper.turns(now + 750).empty());
}

TEST_CASE("process/auth: when failures are forgiven nobody waits on (A1)") {
  const std::int64_t now = 1'000'000;
  Gatekeeper keeper = after_five_failures(now);
  for (std::uint64_t id = 1; id < 4; ++id) CHECK(keeper.must_queue("10.0.0.1:1", id, now));
  CHECK(keeper.turns(now + 61'000) == Turns{1, 2, 3});
}

}  // namespace
}  // namespace kv
