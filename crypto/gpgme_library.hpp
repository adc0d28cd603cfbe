// libgpgme, loaded when the first value is sealed or opened, and one context of it.
//
// A program that links libgpgme pays at every start for loading it with libassuan and libgpg-error:
// 0.19 ms of the 1.18 ms that an otherwise empty C++ program takes to start and end (best of 7
// times 300 starts, Debian 12). Its first context costs 7.6 ms more, since GPGME then asks gpgconf
// where everything is. So GPGME is opened by name at first use, behind a table with the types of
// its own header. This is the only file that knows; nothing else may call a gpgme function
// directly.
#pragma once

#include <gpgme.h>

#include <memory>
#include <string>

#include "crypto/keys.hpp"
#include "libkv/base/status.hpp"

namespace kv::crypto {

// Every function of GPGME that kv calls.
#define KV_GPGME_FUNCTIONS(X)     \
  X(gpgme_check_version_internal) \
  X(gpgme_set_locale)             \
  X(gpgme_new)                    \
  X(gpgme_release)                \
  X(gpgme_set_protocol)           \
  X(gpgme_ctx_set_engine_info)    \
  X(gpgme_ctx_get_engine_info)    \
  X(gpgme_set_armor)              \
  X(gpgme_set_offline)            \
  X(gpgme_set_pinentry_mode)      \
  X(gpgme_strerror)               \
  X(gpgme_get_dirinfo)            \
  X(gpgme_op_keylist_start)       \
  X(gpgme_op_keylist_next)        \
  X(gpgme_op_keylist_end)         \
  X(gpgme_key_ref)                \
  X(gpgme_key_unref)              \
  X(gpgme_signers_clear)          \
  X(gpgme_signers_add)            \
  X(gpgme_data_new_from_cbs)      \
  X(gpgme_data_set_flag)          \
  X(gpgme_data_release)           \
  X(gpgme_op_encrypt)             \
  X(gpgme_op_encrypt_result)      \
  X(gpgme_op_encrypt_sign)        \
  X(gpgme_op_sign_result)         \
  X(gpgme_op_decrypt_verify)      \
  X(gpgme_op_decrypt_result)      \
  X(gpgme_op_verify_result)

/// GPGME's functions under their own names: gpgme.gpgme_new(&context).
struct Gpgme {
#define KV_DECLARE(name) decltype(&::name) name = nullptr;
  KV_GPGME_FUNCTIONS(KV_DECLARE)
#undef KV_DECLARE
};

/// Loads the library at the first call; thread-safe; never unloaded. Code::crypto with what
/// to install when it is missing or too old. GPGME then ignores SIGPIPE for the whole process if
/// nobody has handled it (it writes to gpg through pipes).
Result<const Gpgme*> gpgme_library();

struct KeyRelease {
  void operator()(gpgme_key_t key) const noexcept;
};
using Key = std::unique_ptr<struct _gpgme_key, KeyRelease>;

/// One GPGME context for OpenPGP: armoured, offline (a lookup never asks the network), and asking
/// a person only if the engine may and there is a way to ask.
class Context {
 public:
  static Result<Context> open(const Engine& engine);

  gpgme_ctx_t get() const noexcept { return context_.get(); }
  const Gpgme& gpgme() const noexcept { return *gpgme_; }
  bool may_ask() const noexcept { return may_ask_; }
  /// Whether gpg's agent, which has the secret keys, can be talked to. Asked after gpg wanted them,
  /// which starts it: of one that it cannot start gpg says no more than that there is no key.
  bool agent_answers() const;
  static constexpr const char* silent_agent =
      "gpg-agent does not answer; type: gpgconf --launch gpg-agent";
  /// "doing: what GPGME says", in Code::crypto.
  Status failure(gpgme_error_t error, std::string_view doing) const;

 private:
  struct Release {
    void operator()(gpgme_ctx_t context) const noexcept;
  };
  Context(const Gpgme* gpgme, gpgme_ctx_t context) : gpgme_(gpgme), context_(context) {}

  const Gpgme* gpgme_;
  std::unique_ptr<struct gpgme_context, Release> context_;
  bool may_ask_ = false;
  bool usual_home_ = true;
};

}  // namespace kv::crypto
