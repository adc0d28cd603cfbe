// Who may come in: the password as a salted digest, and what a wrong one costs.
//
// Only the sibling asks. The password itself is forgotten when this has been made from it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kv {

class Gatekeeper {
 public:
  explicit Gatekeeper(std::string_view password);

  /// Constant time for any password of any length.
  bool password_fits(std::string_view password) const;
  /// PLIO's 16-bit hash of the password: guessable, see README.
  bool plio_hash_fits(std::uint32_t hash) const noexcept;

  /// A login from this address failed or succeeded.
  void note_failure(std::string_view address, std::int64_t now_ms);
  /// Does a login from this address have to wait? Not until several failed within a minute; then
  /// logins of one source pass one at a time, and this connection is put in its source's line.
  bool must_queue(std::string_view address, std::uint64_t connection, std::int64_t now_ms);
  /// Its client will send no more, and may have hung up: all that have not go before it.
  void step_back(std::string_view address, std::uint64_t connection);
  /// The connections whose turn has come: the first of each source's line, which leaves it.
  std::vector<std::uint64_t> turns(std::int64_t now_ms);
  /// A connection has gone. What it waited for is the next one's: who guesses and hangs up must not
  /// keep the owner out.
  void leave(std::string_view address, std::uint64_t connection);

 private:
  using Digest = std::array<std::uint32_t, 5>;
  struct Source {
    unsigned failures = 0;
    std::int64_t last_failure_ms = 0;
  };
  struct Line {
    std::int64_t next_turn_ms = 0;
    std::deque<std::uint64_t> connections, ended;  // in the order they asked; never both empty
  };
  bool slowed(const std::string& source, std::int64_t now_ms);
  Digest digest(std::string_view password) const;
  void forget_old(std::int64_t now_ms);

  std::array<unsigned char, 32> salt_;
  Digest digest_{};
  std::uint32_t plio_hash_;
  std::unordered_map<std::string, Source> sources_;
  std::unordered_map<std::string, Line> lines_;
};

/// Overwrites the bytes so that they are in no memory dump, then empties the text.
void wipe(std::string& secret) noexcept;

/// Whom a client's address ("127.0.0.1:40312") stands for when failures are counted: all that one
/// client may call itself is one source. Any local program may bind any of 127.0.0.0/8, so loopback
/// is one, IPv6's as well, and whoever has an IPv6 address has all of its /64.
std::string source_of(std::string_view address);

}  // namespace kv
