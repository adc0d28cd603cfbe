// Sealing and opening values with GnuPG: the one class the client and libkvclient use.
//
//   auto sealer = Sealer::create({.recipients = ids});          // looks every recipient up
//   auto sealed = sealer->seal(plain, Place::value("k"));       // -----BEGIN PGP MESSAGE-----...
//   auto opened = sealer->open(*sealed, Place::value("k"), {}); // opened->plaintext.view()
//
// Nothing is produced unless everything went well: an error means no sealed value, no plain text.
// No temporary files; libgpgme is loaded by the first create(), so a program that never calls it
// pays nothing. Results are judged by GPGME's result structures, never by what gpg prints.
// Every failure that is GnuPG's, and every failure to open, has Code::crypto (exit code 5) and says
// what to do.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/envelope.hpp"
#include "crypto/keys.hpp"
#include "crypto/secret.hpp"
#include "libkv/base/status.hpp"

namespace kv::crypto {

struct SealerOptions {
  std::vector<std::string> recipients = {};  // empty: can only open
  bool sign = false;                         // add the sender's signature
  std::string sign_with = {};                // key id; empty: gpg's default key
  Engine engine = {};
};

struct OpenOptions {
  bool require_sealed = false;  // a value that is not sealed is an error instead of itself
  bool require_signed = false;  // only with a good signature by a key this keyring vouches for
  bool allow_moved = false;     // open what was sealed for another name; Opened says which
};

enum class Signature : unsigned char {
  none,
  good,            // and this keyring vouches for the signer
  untrusted,       // correct, but nothing says whose key it is
  expired,         // correct; the key or the signature has expired since
  revoked,         // correct; the key was revoked
  unknown_signer,  // can't be checked: the signer's key is not in the keyring
};                 // a bad signature is not a state but an error: nothing is opened

struct Opened {
  SecretString plaintext;
  bool was_sealed = false;  // false: passed through as it was
  bool in_place = false;    // sealed by kv, for this place (an element: for any list)
  std::string moved_from;   // in words, when allow_moved opened it elsewhere; else empty
  Signature signature = Signature::none;
  std::string signer;                   // fingerprint or key id and, where known, user id
  std::string signature_note;           // a sentence for the user unless none or good; else empty
  std::vector<std::string> sealed_for;  // key ids (16 hex digits) of the encryption subkeys
};

/// Not thread-safe; several Sealers in several threads are. Each call runs gpg once (10-20 ms).
class Sealer {
 public:
  /// Loads GPGME and looks up every recipient and the signing key. Fails unless all are usable:
  /// the message has one sentence for each one that is not.
  static Result<Sealer> create(SealerOptions options);
  Sealer(Sealer&&) noexcept;
  Sealer& operator=(Sealer&&) noexcept;
  ~Sealer();

  /// The plain text may hold any bytes and stays the caller's, also to wipe. Code::usage without
  /// recipients; Code::limit when the sealed value would be over limits::value_bytes_max.
  Result<std::string> seal(std::string_view plaintext, const Place& place);

  /// Opens a value found at `place`. Not sealed: passed through unless require_sealed. Sealed for
  /// another place: refused with a sentence that names both, unless allow_moved.
  Result<Opened> open(std::string_view stored, const Place& place, const OpenOptions& options);

  /// True when what was opened is what seal() would make now: the same recipients, meant for its
  /// place, signed if this Sealer signs. What --reencrypt may skip.
  bool is_current(const Opened& opened) const;

 private:
  struct Impl;
  explicit Sealer(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kv::crypto
