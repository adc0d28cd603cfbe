// Throw-away keyrings for the tests of crypto/, made once by the real gpg and removed at the end.
//
// Two homes: "ours" is the user's, "others" belongs to everybody else. No key outside them is
// ever read; no passphrase is ever asked for.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "crypto/seal.hpp"

namespace kv::crypto::test {

class Keyrings {
 public:
  /// Makes them at the first call (about half a second).
  static Keyrings& get();
  ~Keyrings();

  Engine ours() const;    ///< asks nobody
  Engine others() const;  ///< asks nobody
  /// As ours(), but with this shell script in front of gpg; $GPG is the real one.
  Engine ours_through(const std::string& script) const;

  /// Fingerprint of alice, locked, bob, twin1, twin2, untrusted, expired, subkey_expired, revoked,
  /// disabled, sign_only.
  const std::string& fingerprint(const std::string& name) const;
  const std::string& folder() const { return folder_; }

  /// Runs gpg on `input` in ours (or others) with these words; its standard output. Aborts the
  /// test when it fails.
  std::string gpg(const std::string& home, const std::string& words,
                  const std::string& input = "") const;
  /// gpg-agent forgets every passphrase.
  void forget_passphrases() const;

 private:
  Keyrings();
  std::string generate(const std::string& home, const std::string& name, const std::string& words);
  void befriend();

  std::string folder_;
  std::map<std::string, std::string> fingerprints_;
};

/// What a shell command prints; fails the test when it ends badly.
std::string shell(const std::string& command);

/// The exit code of `body` in a child process without terminal, display and standard input, or -1
/// if it has not ended after that many seconds (it is killed then).
int without_terminal(int seconds, const std::function<int()>& body);

/// A sealer over ours for these recipients; fails the test when it can't be made.
Sealer sealer_for(std::vector<std::string> recipients);

}  // namespace kv::crypto::test
