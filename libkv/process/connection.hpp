// One client's connection inside a child: bytes in to requests, replies to bytes out.
//
// Holds no password, no key, no file. Everything read here is hostile until it has become a
// request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libkv/base/fd.hpp"
#include "libkv/commands/session.hpp"
#include "libkv/process/frame.hpp"
#include "libkv/process/input_buffer.hpp"
#include "libkv/process/large_request.hpp"
#include "libkv/wire/plio.hpp"
#include "libkv/wire/plio_request.hpp"
#include "libkv/wire/resp.hpp"

namespace kv {

class Connection {
 public:
  Connection(Fd socket, std::uint32_t number, bool trusted)
      : socket_(std::move(socket)), number_(number), authenticated_(trusted) {
    resp_.set_guest(!trusted);
    plio_.set_guest(!trusted);
  }

  int fd() const noexcept { return socket_.get(); }
  std::uint32_t number() const noexcept { return number_; }
  /// Nothing can be done with the connection afterwards.
  Fd give_away_socket() noexcept { return std::move(socket_); }

  /// Takes bytes received; appends frames to out.
  void take(std::string_view bytes, FrameWriter& out);
  /// Where to read to when a large request is half here: room behind what is kept. Null: nothing is
  /// kept, read anywhere and call take().
  char* read_room(std::size_t& room, BulkSegment* segment);
  /// After reading to read_room()'s place: room as it was given, and how much came.
  void took_in_place(std::size_t room, std::size_t got, FrameWriter& out);
  /// Goes on with what was held back until a login was answered, for want of a slot, or until the
  /// client has taken its replies.
  void resume(FrameWriter& out);
  bool may_resume() const noexcept { return !in_.empty() && !large_.active() && may_parse(); }
  /// It was the first of out.queue and has been taken off.
  void leave_queue() noexcept { large_.leave_queue(); }
  /// The client will send no more. A guest's waiting login then lets others go first.
  void end_of_input(FrameWriter& out);

  /// A frame of replies from the sibling.
  void reply(const FrameHeader& header, std::string_view payload);
  /// The next reply may be long in coming: what the client asks until then is kept here. If it goes
  /// away, so does this connection, so that nothing is taken from a list for nobody.
  void wait_for_reply() noexcept { waits_ = true; }
  /// What the client has not asked for, as RESP3.
  void push(std::string_view message);
  /// A piece of a reply, more of which follows.
  void reply_piece(std::uint8_t flags, std::string_view piece);

  /// Sends what the socket takes. False: the client is gone, or shall be.
  bool flush();
  std::size_t unsent() const noexcept { return out_.size() - sent_; }
  /// After flush(): tells the sibling what the client has taken, in steps.
  void report_taken(FrameWriter& out);
  /// May more be read from the client now, or has it enough under way?
  bool wants_input() const noexcept;
  /// A request of the client is not answered yet.
  bool owes_answer() const noexcept { return under_way_ > 0; }
  bool wants_output() const noexcept { return unsent() > 0; }
  /// Nothing more will happen: close it.
  bool finished() const noexcept;

  // The loop's notes.
  bool readable = false;  // the socket may hold more than has been read
  bool hung_up = false;   // and behind that comes its end
  bool queued = false;    // waits for its turn to be read
  bool dirty = false;     // has something to send this round

 private:
  /// A guest's next request waits until the one before is answered: it may be the login that lifts
  /// the limits.
  bool held() const noexcept { return !authenticated_ && under_way_ > 0; }
  bool behind() const noexcept;
  bool may_parse() const noexcept;
  std::size_t parse(std::string_view bytes, FrameWriter& out);
  std::size_t parse_resp(std::string_view bytes, FrameWriter& out);
  std::size_t parse_plio(std::string_view bytes, FrameWriter& out);
  void parse_kept(FrameWriter& out);
  std::size_t stay(std::size_t used) noexcept;
  bool send_request(std::span<const Scalar> args, FrameWriter& out);
  void begin(char first, FrameWriter& out);
  void fail(std::string_view error);
  void translate(std::string_view payload);

  Fd socket_;
  std::uint32_t number_;
  RespRequestParser resp_;
  PlioRequestParser plio_;
  InputBuffer in_;             // the beginning of a request that is not all here, or what must wait
  LargeRequest large_;         // one that is, but waits for slots; in_ must not move meanwhile
  std::size_t large_end_ = 0;  // of in_, where that one ends
  std::string out_;
  std::size_t sent_ = 0;
  std::string pieces_;      // of a reply that comes in several frames
  std::string last_words_;  // a protocol error, to be said after all replies under way
  std::size_t under_way_ = 0;
  std::uint64_t untold_ = 0;  // bytes of replies the sibling does not know to be taken
  std::size_t taken_step_ = limits::taken_step_bytes;  // it is told about so many
  Dialect dialect_ = Dialect::resp;
  bool begun_ = false;
  bool authenticated_;
  bool resp3_ = false;
  bool waits_ = false;  // for a reply that may be long in coming
  bool input_ended_ = false;
  bool failed_ = false;   // it broke the rules: what else it sends is not looked at
  bool closing_ = false;  // hang up when all is sent
  bool cut_off_ = false;  // or as much of it as the client takes now: it may never take the rest
};

}  // namespace kv
