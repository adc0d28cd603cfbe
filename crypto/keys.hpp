// For whom values are sealed: the list of recipients, and for each one whether its key can be used
// and, if not, why and what to type next.
//
// Keys are never trusted on somebody else's word: the list usually comes from the server, so a key
// that this user's own keyring does not vouch for is refused, always.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libkv/base/status.hpp"

namespace kv::crypto {

/// The key of the server under which the list of recipients is kept, as in picolisp-kv.
inline constexpr std::string_view recipients_key = "secrets/gpg-id";
/// The environment variable that is asked last.
inline constexpr const char* recipients_variable = "KV_RECIPIENTS";

/// Which GnuPG to use and how.
struct Engine {
  /// Whether GnuPG may ask a person for a passphrase.
  enum class Prompt : unsigned char {
    automatic,  // when there is a terminal or a display; sets GPG_TTY if it is missing
    never,      // a locked key fails at once
  };
  std::string program;  // path of gpg; empty: the one GPGME finds
  std::string home;     // keyring folder; empty: GNUPGHOME or ~/.gnupg
  Prompt prompt = Prompt::automatic;
};

/// Splits a list of key ids: lines, commas, or blanks between things that are ids or addresses
/// ("Alice Smith" stays one name); '#' at the start of a line or behind a blank starts a comment.
/// Doubles are dropped. Code::limit over limits::recipients_max or limits::recipient_bytes_max.
Result<std::vector<std::string>> parse_recipients(std::string_view text);

struct Recipients {
  std::vector<std::string> ids;
  std::string source;  // in words: "--recipient", "the list at secrets/gpg-id", "KV_RECIPIENTS"
};

/// The first of the three that names anybody: the options given, the list stored on the server
/// (nullopt or empty: none), the variable. Code::crypto with the three ways to name one if none.
Result<Recipients> choose_recipients(std::span<const std::string> options,
                                     std::optional<std::string_view> stored, const char* variable);

enum class KeyProblem : unsigned char {
  none,
  unknown,    // no such key in the keyring
  ambiguous,  // several usable keys match
  untrusted,  // nothing in this keyring says whose key it is
  expired,    // the key, or every subkey that could encrypt
  revoked,
  disabled,
  sign_only,  // it can't encrypt
};

struct KeyReport {
  std::string asked;  // as it stands in the list
  KeyProblem problem = KeyProblem::none;
  std::string fingerprint;  // empty when unknown or ambiguous
  std::string user_id;      // the first one
  std::string sentence;     // "" when usable; else what is wrong and what to type
};

/// One report for each id, in order. Fails only when GnuPG itself can't be used.
Result<std::vector<KeyReport>> check_recipients(const Engine& engine,
                                                std::span<const std::string> ids);

/// The text of `./client --keys`, for people: the source of the list, every recipient with the
/// reason why it can or can't be used, and whether this user can open what is sealed for it (tried
/// with an empty value, asking nobody). `usable` is false when sealing would be refused.
struct KeyExplanation {
  std::string text;
  bool usable = false;
};
Result<KeyExplanation> explain_keys(const Engine& engine, const Recipients& recipients);

}  // namespace kv::crypto
