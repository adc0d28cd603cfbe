// Who may come in: the password as a salted digest, and what a wrong one costs.
//
// Only the sibling asks. The password itself is forgotten when this has been made from it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

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
  /// How long the next login from this address waits before it is looked at, in milliseconds. 0
  /// until several failed within a minute; then logins of one address pass one at a time.
  std::int64_t delay_ms(std::string_view address, std::int64_t now_ms);

 private:
  using Digest = std::array<std::uint32_t, 5>;
  struct Source {
    unsigned failures = 0;
    std::int64_t last_failure_ms = 0;
    std::int64_t next_turn_ms = 0;
  };
  Digest digest(std::string_view password) const;
  void forget_old(std::int64_t now_ms);

  std::array<unsigned char, 32> salt_;
  Digest digest_{};
  std::uint32_t plio_hash_;
  std::unordered_map<std::string, Source> sources_;
};

/// Overwrites the bytes so that they are in no memory dump, then empties the text.
void wipe(std::string& secret) noexcept;

/// "127.0.0.1:40312" without the port; a Unix socket's address stays whole.
std::string_view host_of(std::string_view address) noexcept;

}  // namespace kv
