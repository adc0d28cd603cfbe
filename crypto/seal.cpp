// See seal.hpp. One GPGME context for each Sealer; every result structure is read before its
// output is believed.
#include "crypto/seal.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "crypto/gpgme_data.hpp"
#include "crypto/keyring.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"

namespace kv::crypto {
namespace {

constexpr const char* locked_key =
    "the secret key is locked and there is no terminal to ask for its passphrase: run this in a "
    "terminal (export GPG_TTY=$(tty) helps), or unlock the key there first: gpg-agent remembers it";

/// What went wrong with the secret key, in words; empty if it was something else.
std::string secret_key_trouble(gpgme_error_t error) {
  switch (gpgme_err_code(error)) {
    case GPG_ERR_NO_PIN_ENTRY:
    case GPG_ERR_PIN_ENTRY: return locked_key;
    case GPG_ERR_CANCELED:
    case GPG_ERR_FULLY_CANCELED: return "the passphrase was not given";
    case GPG_ERR_BAD_PASSPHRASE: return "the passphrase was wrong";
    case GPG_ERR_NO_AGENT:
    case GPG_ERR_AGENT: return Context::silent_agent;
    default: return "";
  }
}

std::vector<std::string> recipient_ids(const gpgme_decrypt_result_t result) {
  std::vector<std::string> ids;
  if (result == nullptr) return ids;
  for (auto* recipient = result->recipients; recipient != nullptr; recipient = recipient->next) {
    ids.emplace_back(recipient->keyid != nullptr ? recipient->keyid : "");
  }
  return ids;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

Status open_failure(const Context& context, gpgme_error_t error) {
  const Gpgme& gpgme = context.gpgme();
  const gpgme_decrypt_result_t result = gpgme.gpgme_op_decrypt_result(context.get());
  std::string trouble = secret_key_trouble(error);
  const auto code = gpgme_err_code(error);
  if (trouble.empty() && code == GPG_ERR_NO_SECKEY) {
    trouble = context.agent_answers()
                  ? "you have the secret key of none of its recipients (" +
                        joined(recipient_ids(result)) +
                        "). Ask one of them to put your key on the list and to run ./client "
                        "--reencrypt"
                  : Context::silent_agent;
  }
  if (trouble.empty() && result != nullptr && result->legacy_cipher_nomdc) {
    trouble = "it was sealed without protection against changes, by a very old program";
  }
  if (trouble.empty() && (code == GPG_ERR_NO_DATA || code == GPG_ERR_BAD_DATA ||
                          code == GPG_ERR_DECRYPT_FAILED || code == GPG_ERR_CHECKSUM)) {
    trouble =
        "it was damaged or changed since it was sealed, or never was encrypted; restore it from a "
        "backup";
  }
  if (trouble.empty()) return context.failure(error, "gpg can't open it");
  return {Code::crypto, trouble};
}

std::string invalid_keys(const Gpgme& gpgme, gpgme_invalid_key_t keys) {
  std::string text;
  for (; keys != nullptr; keys = keys->next) {
    text += (text.empty() ? "" : ", ") + std::string(keys->fpr != nullptr ? keys->fpr : "?") +
            " (" + gpgme.gpgme_strerror(keys->reason) + ")";
  }
  return text;
}

Status seal_failure(const Context& context, gpgme_error_t error, bool signing) {
  const Gpgme& gpgme = context.gpgme();
  if (const auto* result = gpgme.gpgme_op_encrypt_result(context.get());
      result != nullptr && result->invalid_recipients != nullptr) {
    return {Code::crypto, "gpg refuses to seal for " +
                              invalid_keys(gpgme, result->invalid_recipients) +
                              "; ./client --keys explains every key"};
  }
  if (const std::string trouble = secret_key_trouble(error); signing && !trouble.empty()) {
    return {Code::crypto, "can't sign: " + trouble};
  }
  if (const auto* result = signing ? gpgme.gpgme_op_sign_result(context.get()) : nullptr;
      result != nullptr && result->invalid_signers != nullptr) {
    return {Code::crypto,
            "gpg refuses to sign with " + invalid_keys(gpgme, result->invalid_signers)};
  }
  return context.failure(error, "gpg can't seal it");
}

Signature state_of(const struct _gpgme_signature& signature) {
  switch (gpgme_err_code(signature.status)) {
    case GPG_ERR_NO_ERROR:
      return signature.validity >= GPGME_VALIDITY_FULL ? Signature::good : Signature::untrusted;
    case GPG_ERR_NO_PUBKEY: return Signature::unknown_signer;
    case GPG_ERR_CERT_REVOKED: return Signature::revoked;
    default: return Signature::expired;
  }
}

std::string note_for(Signature state, const std::string& signer) {
  switch (state) {
    case Signature::untrusted:
      return "signed by " + signer +
             ", and nothing in your keyring says whose key that is (gpg --lsign-key ID)";
    case Signature::expired: return "signed by " + signer + ", whose key or signature has expired";
    case Signature::revoked: return "signed by " + signer + ", whose key has been revoked";
    case Signature::unknown_signer:
      return "signed by " + signer +
             ", which can't be checked: that key is not in your keyring (gpg --import FILE)";
    case Signature::none:
    case Signature::good: break;
  }
  return "";
}

bool is_bad(const struct _gpgme_signature& signature) noexcept {
  if (signature.wrong_key_usage) return true;
  switch (gpgme_err_code(signature.status)) {
    case GPG_ERR_NO_ERROR:
    case GPG_ERR_NO_PUBKEY:
    case GPG_ERR_CERT_REVOKED:
    case GPG_ERR_KEY_EXPIRED:
    case GPG_ERR_SIG_EXPIRED: return false;
    default: return true;
  }
}

struct Verdict {
  Signature state = Signature::none;
  bool bad = false;
  std::string signer;  // fingerprint, or key id if that is all there is
};

/// One bad signature spoils the value; of several that are not bad the best counts.
Verdict judge(gpgme_verify_result_t result) {
  Verdict verdict;
  if (result == nullptr) return verdict;
  for (auto* one = result->signatures; one != nullptr; one = one->next) {
    const std::string signer = one->fpr != nullptr ? one->fpr : "an unnamed key";
    if (is_bad(*one)) return {Signature::none, true, signer};
    const Signature state = state_of(*one);
    // The enumerators after none stand from best to worst.
    if (verdict.state != Signature::none && state >= verdict.state) continue;
    verdict = {state, false, signer};
  }
  return verdict;
}

}  // namespace

struct Sealer::Impl {
  SealerOptions options;
  Context context;
  std::vector<Key> keys;
  Key signer;
  std::map<std::string, std::string> signer_names;  // by fingerprint, as far as looked up

  explicit Impl(Context c) : context(std::move(c)) {}
  Status find_keys();
  Status encrypt(std::string_view header, std::string_view plaintext, std::string& sealed);
  Status decrypt(std::string_view sealed, Opened& opened);
  Status read_signatures(const Verdict& verdict, Opened& opened);
};

Status Sealer::Impl::find_keys() {
  auto found = find_recipients(context, options.recipients);
  if (!found) return found.status();
  std::string problems;
  for (FoundKey& one : *found) {
    if (one.key == nullptr) {
      problems += (problems.empty() ? "" : "\n") + one.report.sentence;
      continue;
    }
    // The same key by two names is one recipient.
    const auto same = [&](const Key& key) {
      return std::string_view(key->fpr) == one.report.fingerprint;
    };
    if (std::none_of(keys.begin(), keys.end(), same)) keys.push_back(std::move(one.key));
  }
  if (!problems.empty()) return {Code::crypto, problems};
  if (!options.sign) return {};
  auto key = find_signer(context, options.sign_with);
  if (!key) return key.status();
  signer = std::move(*key);
  if (signer != nullptr) {
    const auto error = context.gpgme().gpgme_signers_add(context.get(), signer.get());
    if (error) return context.failure(error, "can't sign");
  }
  return {};
}

Status Sealer::Impl::encrypt(std::string_view header, std::string_view plaintext,
                             std::string& sealed) {
  const Gpgme& gpgme = context.gpgme();
  auto in = Data::source(gpgme, header, plaintext);
  if (!in) return in.status();
  auto out = Data::sink(gpgme, sealed, limits::value_bytes_max);
  if (!out) return out.status();
  std::vector<gpgme_key_t> recipients;
  for (const Key& key : keys) recipients.push_back(key.get());
  recipients.push_back(nullptr);
  // The list alone decides who reads: no encrypt-to of gpg.conf, and never ALWAYS_TRUST. No
  // compression: the length of what is sealed must not depend on its content.
  const auto flags =
      static_cast<gpgme_encrypt_flags_t>(GPGME_ENCRYPT_NO_ENCRYPT_TO | GPGME_ENCRYPT_NO_COMPRESS);
  const auto operation = options.sign ? gpgme.gpgme_op_encrypt_sign : gpgme.gpgme_op_encrypt;
  const auto error =
      operation(context.get(), recipients.data(), flags, (*in)->get(), (*out)->get());
  if ((*out)->overflowed()) {
    return {Code::limit, "sealed, it would be larger than a value may be (512 MiB)"};
  }
  const auto* result = gpgme.gpgme_op_encrypt_result(context.get());
  if (error || result == nullptr || result->invalid_recipients != nullptr) {
    return seal_failure(context, error, options.sign);
  }
  if (options.sign) {
    const auto* signature = gpgme.gpgme_op_sign_result(context.get());
    if (signature == nullptr || signature->signatures == nullptr) {
      return {Code::crypto, "gpg sealed the value without signing it; nothing was sent"};
    }
  }
  return check_armour(sealed);
}

Status Sealer::Impl::decrypt(std::string_view sealed, Opened& opened) {
  const Gpgme& gpgme = context.gpgme();
  auto in = Data::source(gpgme, sealed);
  if (!in) return in.status();
  auto out = Data::sink(gpgme, opened.plaintext, limits::value_bytes_max);
  if (!out) return out.status();
  const auto error = gpgme.gpgme_op_decrypt_verify(context.get(), (*in)->get(), (*out)->get());
  if ((*out)->overflowed()) {
    return {Code::limit, "opened, it would be larger than a value may be (512 MiB)"};
  }
  const Verdict verdict = judge(gpgme.gpgme_op_verify_result(context.get()));
  // A bad signature makes the whole operation fail: then that is the reason to give.
  if (error && !verdict.bad) return open_failure(context, error);
  opened.sealed_for = recipient_ids(gpgme.gpgme_op_decrypt_result(context.get()));
  if (opened.sealed_for.empty()) {
    return {Code::crypto, "it was encrypted for no key: anybody may have written it"};
  }
  return read_signatures(verdict, opened);
}

/// Fills the signature members of opened. Looks the signer's name up, so that the results of the
/// operation before are gone.
Status Sealer::Impl::read_signatures(const Verdict& verdict, Opened& opened) {
  if (verdict.signer.empty()) return {};
  const auto [entry, is_new] = signer_names.try_emplace(verdict.signer);
  if (is_new) entry->second = user_id_of(context, verdict.signer);
  opened.signature = verdict.state;
  opened.signer = verdict.signer + (entry->second.empty() ? "" : " (" + entry->second + ")");
  if (verdict.bad) {
    return {Code::crypto, "it carries a bad signature in the name of " + opened.signer +
                              ": somebody changed it after it was signed; do not use it"};
  }
  opened.signature_note = note_for(opened.signature, opened.signer);
  return {};
}

Sealer::Sealer(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;
Sealer::~Sealer() = default;

Result<Sealer> Sealer::create(SealerOptions options) {
  auto context = Context::open(options.engine);
  if (!context) return context.status();
  auto impl = std::make_unique<Impl>(std::move(*context));
  impl->options = std::move(options);
  if (const Status status = impl->find_keys(); !status) return status;
  return Sealer(std::move(impl));
}

Result<std::string> Sealer::seal(std::string_view plaintext, const Place& place) {
  if (impl_->keys.empty()) {
    return Status{Code::usage, "nothing can be sealed without a recipient"};
  }
  auto header = envelope_header(place);
  if (!header) return header.status();
  std::string sealed;
  if (const Status status = impl_->encrypt(*header, plaintext, sealed); !status) {
    return Status{status.code(), "can't seal " + describe(place) + ": " + status.message()};
  }
  return sealed;
}

Result<Opened> Sealer::open(std::string_view stored, const Place& place,
                            const OpenOptions& options) {
  Opened opened;
  const auto refuse = [&](const Status& status) {
    // One code whatever was wrong with the value, so that a script has one exit status to look at.
    return Status{Code::crypto, "can't open " + describe(place) + ": " + status.message()};
  };
  if (!is_sealed(stored)) {
    if (options.require_sealed || options.require_signed) {
      return refuse({Code::crypto, "it is not sealed, so anybody may have written it"});
    }
    opened.plaintext.append(stored);
    return opened;
  }
  if (const Status status = check_armour(stored); !status) return refuse(status);
  if (const Status status = impl_->decrypt(stored, opened); !status) return refuse(status);
  auto envelope = read_envelope(opened.plaintext.view());
  if (!envelope) return refuse(envelope.status());
  opened.plaintext.remove_prefix(envelope->header_bytes);
  opened.was_sealed = true;
  opened.in_place = envelope->binding != Envelope::Binding::foreign;
  if (options.require_signed && opened.signature != Signature::good) {
    return refuse({Code::crypto, opened.signature == Signature::none ? "it is not signed"
                                                                     : opened.signature_note});
  }
  if (const auto home = belongs_elsewhere(*envelope, place)) {
    if (!options.allow_moved) {
      return refuse({Code::crypto, "it was sealed for " + *home +
                                       "; somebody moved it. --allow-moved opens it all the same"});
    }
    opened.moved_from = *home;
    opened.in_place = false;
  }
  return opened;
}

bool Sealer::is_current(const Opened& opened) const {
  if (!opened.was_sealed || !opened.in_place) return false;
  if (impl_->options.sign && opened.signature != Signature::good) return false;
  if (opened.sealed_for.size() != impl_->keys.size()) return false;
  return std::all_of(impl_->keys.begin(), impl_->keys.end(), [&](const Key& key) {
    const auto ids = encryption_key_ids(*key);
    return std::any_of(ids.begin(), ids.end(), [&](const std::string& id) {
      return std::find(opened.sealed_for.begin(), opened.sealed_for.end(), id) !=
             opened.sealed_for.end();
    });
  });
}

}  // namespace kv::crypto
