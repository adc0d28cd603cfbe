// See keyring.hpp. The sentences for every problem a key can have are in this file only.
#include "crypto/keyring.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include "libkv/base/text.hpp"

namespace kv::crypto {
namespace {

constexpr std::size_t user_id_shown_bytes_max = 120;

bool is_mail_address(std::string_view id) noexcept {
  const std::size_t at = id.find('@');
  return at != std::string_view::npos && at > 0 && id.find('@', at + 1) == std::string_view::npos &&
         id.find_first_of(" <>=*") == std::string_view::npos;
}

/// A bare address must match whole: gpg's search would otherwise find bob@x in notbob@x too.
std::string search_pattern(const std::string& id) {
  return is_mail_address(id) ? '<' + id + '>' : id;
}

Result<std::vector<Key>> list_keys(const Context& context, const char* pattern, bool secret) {
  const Gpgme& gpgme = context.gpgme();
  std::vector<Key> keys;
  auto error = gpgme.gpgme_op_keylist_start(context.get(), pattern, secret ? 1 : 0);
  while (!error) {
    gpgme_key_t key = nullptr;
    error = gpgme.gpgme_op_keylist_next(context.get(), &key);
    if (!error) keys.emplace_back(key);
  }
  gpgme.gpgme_op_keylist_end(context.get());
  if (gpgme_err_code(error) != GPG_ERR_EOF) return context.failure(error, "can't read the keyring");
  if (secret && keys.empty() && !context.agent_answers()) {
    return Status{Code::crypto, Context::silent_agent};
  }
  return keys;
}

std::string user_id(const struct _gpgme_key& key) {
  if (key.uids == nullptr || key.uids->uid == nullptr) return "no user id";
  return shown(key.uids->uid, user_id_shown_bytes_max);
}

std::string fingerprint(const struct _gpgme_key& key) {
  if (key.fpr != nullptr) return key.fpr;
  return key.subkeys != nullptr && key.subkeys->fpr != nullptr ? key.subkeys->fpr : "";
}

/// Whether this user id is one that `id` can have meant.
bool names_user_id(std::string_view id, const struct _gpgme_user_id& uid) {
  if (is_mail_address(id)) return uid.email != nullptr && equals_ignoring_case(uid.email, id);
  return uid.uid != nullptr && to_lower(uid.uid).find(to_lower(id)) != std::string::npos;
}

/// How far the keyring vouches for the name by which the key was asked for; for a key id, which
/// says no name, the best of all user ids. gpg itself goes by the same rule.
gpgme_validity_t validity_for(std::string_view id, const struct _gpgme_key& key) {
  bool named = false;
  gpgme_validity_t best_named = GPGME_VALIDITY_UNKNOWN, best = GPGME_VALIDITY_UNKNOWN;
  for (auto* uid = key.uids; uid != nullptr; uid = uid->next) {
    if (uid->revoked || uid->invalid) continue;
    best = std::max(best, uid->validity);
    if (!names_user_id(id, *uid)) continue;
    named = true;
    best_named = std::max(best_named, uid->validity);
  }
  return named ? best_named : best;
}

bool is_dead(const struct _gpgme_subkey& subkey) noexcept {
  return subkey.revoked || subkey.expired || subkey.disabled || subkey.invalid;
}

/// Why none of the subkeys can encrypt; none if one can.
KeyProblem subkey_problem(const struct _gpgme_key& key) {
  KeyProblem problem = KeyProblem::sign_only;
  for (auto* subkey = key.subkeys; subkey != nullptr; subkey = subkey->next) {
    if (!subkey->can_encrypt) continue;
    if (!is_dead(*subkey)) return KeyProblem::none;
    problem = subkey->expired ? KeyProblem::expired : KeyProblem::revoked;
  }
  return problem;
}

KeyProblem problem_of(std::string_view id, const struct _gpgme_key& key) {
  if (key.revoked) return KeyProblem::revoked;
  if (key.expired) return KeyProblem::expired;
  if (key.disabled) return KeyProblem::disabled;
  const KeyProblem problem = subkey_problem(key);
  if (problem != KeyProblem::none) return problem;
  if (key.invalid) return KeyProblem::revoked;
  return validity_for(id, key) >= GPGME_VALIDITY_MARGINAL ? KeyProblem::none
                                                          : KeyProblem::untrusted;
}

/// " on 2024-05-31" for the key or the subkey that expired last, or nothing.
std::string expiry_day(const struct _gpgme_key& key) {
  long when = 0;
  for (auto* subkey = key.subkeys; subkey != nullptr; subkey = subkey->next) {
    if (subkey->expired && (subkey == key.subkeys || subkey->can_encrypt)) {
      when = std::max(when, subkey->expires);
    }
  }
  if (when <= 0) return "";
  const std::time_t seconds = when;
  std::tm day{};
  char text[32];
  if (::gmtime_r(&seconds, &day) == nullptr) return "";
  return {text, std::strftime(text, sizeof text, " on %Y-%m-%d", &day)};
}

std::string sentence(KeyProblem problem, const struct _gpgme_key& key) {
  const std::string id = fingerprint(key);
  const std::string name = "the key " + id + " (" + user_id(key) + ") ";
  switch (problem) {
    case KeyProblem::untrusted:
      return name +
             "is not trusted: nothing in your keyring says whose it is. Compare the fingerprint "
             "with its owner, then type: gpg --lsign-key " +
             id + " (if it is your own key: gpg --edit-key " + id + " trust)";
    case KeyProblem::expired:
      return name + "expired" + expiry_day(key) +
             ". Ask its owner for the renewed key and gpg --import it; if it is yours, type: "
             "gpg --quick-set-expire " +
             id + " 2y; gpg --quick-set-expire " + id + " 2y '*'";
    case KeyProblem::revoked:
      return name +
             "was revoked. Ask its owner for the new key, gpg --import it and put it in the "
             "list in place of this one";
    case KeyProblem::disabled:
      return name + "is disabled in your keyring. Type: gpg --edit-key " + id + " enable quit";
    case KeyProblem::sign_only:
      return name + "can only sign. Its owner adds an encryption key with: gpg --quick-add-key " +
             id + " cv25519 encr, and exports it again";
    case KeyProblem::none:
    case KeyProblem::unknown:
    case KeyProblem::ambiguous: break;
  }
  return "";
}

std::string list_fingerprints(const std::vector<Key>& keys) {
  std::string text;
  for (const Key& key : keys) {
    text += (text.empty() ? "" : ", ") + fingerprint(*key) + " (" + user_id(*key) + ")";
  }
  return text;
}

void refuse(FoundKey& found, KeyProblem problem, std::string why) {
  found.report.problem = problem;
  found.report.sentence = std::move(why);
}

/// Chooses among the keys that match. Dead keys do not make a live one ambiguous: people renew
/// their keys and keep the old one.
void choose(FoundKey& found, std::vector<Key> keys) {
  const std::string& id = found.report.asked;
  if (keys.empty()) {
    return refuse(found, KeyProblem::unknown,
                  "there is no key " + quoted(id) +
                      " in your keyring. Ask its owner for it and type: gpg --import FILE; "
                      "gpg --list-keys shows what you have");
  }
  std::vector<Key> usable;
  for (Key& key : keys) {
    if (problem_of(id, *key) == KeyProblem::none) usable.push_back(std::move(key));
  }
  if (usable.size() > 1) {
    return refuse(found, KeyProblem::ambiguous,
                  quoted(id) + " means several keys: " + list_fingerprints(usable) +
                      ". Put the fingerprint of the right one in its place");
  }
  found.key = std::move(usable.empty() ? keys.front() : usable.front());
  found.report.fingerprint = fingerprint(*found.key);
  found.report.user_id = user_id(*found.key);
  const KeyProblem problem = problem_of(id, *found.key);
  if (problem == KeyProblem::none) return;
  refuse(found, problem, sentence(problem, *found.key));
  found.key.reset();
}

bool can_sign_now(const struct _gpgme_key& key) noexcept {
  if (key.revoked || key.expired || key.disabled || key.invalid) return false;
  for (auto* subkey = key.subkeys; subkey != nullptr; subkey = subkey->next) {
    if (subkey->can_sign && subkey->secret && !is_dead(*subkey)) return true;
  }
  return false;
}

}  // namespace

Result<std::vector<FoundKey>> find_recipients(const Context& context,
                                              std::span<const std::string> ids) {
  std::vector<FoundKey> all;
  for (const std::string& id : ids) {
    FoundKey& found = all.emplace_back();
    found.report.asked = id;
    if (id.ends_with('!')) {
      // GPGME passes whole keys on and would silently drop the choice.
      refuse(found, KeyProblem::unknown,
             quoted(id) + " asks for one subkey; kv seals for whole keys: leave the ! out");
      continue;
    }
    auto keys = list_keys(context, search_pattern(id).c_str(), false);
    if (!keys) return keys.status();
    choose(found, std::move(*keys));
  }
  return all;
}

Result<Key> find_signer(const Context& context, std::string_view id) {
  const std::string pattern = search_pattern(std::string(id));
  auto keys = list_keys(context, id.empty() ? nullptr : pattern.c_str(), true);
  if (!keys) return keys.status();
  std::erase_if(*keys, [](const Key& key) { return !can_sign_now(*key); });
  if (keys->empty()) {
    return Status{Code::crypto, id.empty()
                                    ? std::string("you have no secret key to sign with. Type: gpg "
                                                  "--quick-generate-key NAME")
                                    : "you have no secret key " + quoted(id) +
                                          " that can sign now. gpg --list-secret-keys shows yours"};
  }
  if (id.empty()) return Key{};
  if (keys->size() > 1) {
    return Status{Code::crypto, quoted(id) + " means several of your keys: " +
                                    list_fingerprints(*keys) + ". Name one by its fingerprint"};
  }
  return std::move(keys->front());
}

Result<bool> has_secret_key(const Context& context, const std::string& fingerprint) {
  auto keys = list_keys(context, fingerprint.c_str(), true);
  if (!keys) return keys.status();
  return !keys->empty();
}

std::string user_id_of(const Context& context, const std::string& id) {
  auto keys = list_keys(context, id.c_str(), false);
  return keys && keys->size() == 1 ? user_id(*keys->front()) : "";
}

std::vector<std::string> encryption_key_ids(const struct _gpgme_key& key) {
  std::vector<std::string> ids;
  for (auto* subkey = key.subkeys; subkey != nullptr; subkey = subkey->next) {
    if (subkey->can_encrypt && !is_dead(*subkey) && subkey->keyid != nullptr) {
      ids.emplace_back(subkey->keyid);
    }
  }
  return ids;
}

}  // namespace kv::crypto
