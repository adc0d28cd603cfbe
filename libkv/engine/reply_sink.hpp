// Where the engine puts replies: the sibling's channel to the session's child, or a test.
#pragma once

#include <string>
#include <string_view>

#include "libkv/commands/session.hpp"

namespace kv {

class ReplySink {
 public:
  virtual ~ReplySink() = default;
  /// The buffer for one reply to this session. Nothing else may be begun before end_reply.
  virtual std::string& begin_reply(Session& session) = 0;
  /// translate: RESP2 and RESP3 clients get different bytes of it. rest: bytes and a line break
  /// that follow what is in the buffer (Reply::rest), valid until this returns.
  virtual void end_reply(Session& session, bool translate, std::string_view rest) = 0;
  /// One of the two has thrown std::bad_alloc. Nothing is said, and nobody may take the next answer
  /// for this one: the session has to end.
  virtual void lose_reply(Session& session) = 0;
  /// The session's request waits for its reply from now on, and with it whatever the session asks
  /// next. No reply is begun.
  virtual void begin_wait(Session& session) = 0;
  /// It waits no longer: the next reply is the one to it.
  virtual void end_wait(Session& session) = 0;
};

}  // namespace kv
