// Looking keys up in the user's keyring: the part of keys.hpp that Sealer needs as GPGME objects.
//
// Private to crypto/. Reads the keyring, never changes it, never asks the network.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/gpgme_library.hpp"
#include "crypto/keys.hpp"

namespace kv::crypto {

struct FoundKey {
  Key key;  // null unless report.problem is none
  KeyReport report;
};

/// One result for each id, in order.
Result<std::vector<FoundKey>> find_recipients(const Context& context,
                                              std::span<const std::string> ids);

/// The key to sign with: the one that `id` names, or null for an empty id, which leaves the choice
/// to gpg. Code::crypto with the reason when there is no usable secret key.
Result<Key> find_signer(const Context& context, std::string_view id);

/// True when the keyring holds a secret key with this fingerprint.
Result<bool> has_secret_key(const Context& context, const std::string& fingerprint);

/// The first user id of the key with this fingerprint or key id, or "" if the keyring has none.
std::string user_id_of(const Context& context, const std::string& id);

/// The key ids of the subkeys that gpg may choose to encrypt for this key.
std::vector<std::string> encryption_key_ids(const struct _gpgme_key& key);

}  // namespace kv::crypto
