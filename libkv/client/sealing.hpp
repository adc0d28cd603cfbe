// Sealing and opening as a connection needs it: which arguments are values, what each one is bound
// to, whose keys. The work itself is done in crypto/.
//
// Internal. Must never let plain text into a message, and never half-seal: either every value of a
// request is sealed or the request is refused.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/seal.hpp"
#include "libkv/base/status.hpp"
#include "libkv/client/command_docs.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/kv/client.hpp"

namespace kv::client {

class Sealing {
 public:
  explicit Sealing(SealOptions options) : options_(std::move(options)) {}

  /// Replaces every value among the words of a request by its sealed form and wipes the plain one.
  /// crypto for a command that has none, or whose values cannot be sealed one by one (APPEND).
  Status seal(std::vector<std::string>& words);
  /// Opens every sealed element of the reply to that request. On failure the reply is nil. What
  /// has another shape than the replies of that command have is a failure: it would get round the
  /// question whether a value belongs where it was found. To be told of each request of a
  /// transaction, or the answer to its EXEC cannot be opened.
  Status open(Arguments request, Value& reply);
  /// What follows is queued until EXEC; MULTI itself need not have been seen by open().
  void enter_transaction();
  const SealOptions& options() const noexcept { return options_; }

 private:
  friend Result<Sealing*> sealing_of(Access::Impl&, const SealOptions&);
  friend Result<Sealing*> sealing_of_today(Access::Impl&, const SealOptions&);
  // opening.cpp
  Status open_text(const crypto::Place& place, Value& value);
  Status open_all(const crypto::Place& place, Value& value);
  Status open_stored(Arguments request, const crypto::Place& place, Value& value);
  Status open_each(Arguments request, const crypto::Place& place, Value& list);
  Status open_pairs(Arguments request, Value& list);
  Status open_named(Arguments request, Arguments names, Value& reply);
  Status open_value(Arguments request, Value& reply);
  Status open_replaced(Arguments request, Value& reply);
  Status open_values(Arguments request, Value& reply);
  Status open_field(Arguments request, Value& reply);
  Status open_named_fields(Arguments request, Value& reply);
  Status open_hash(Arguments request, Value& reply);
  Status open_any_fields(Arguments request, Value& reply);
  Status open_page(Arguments request, Value& reply);
  Status open_random_fields(Arguments request, Value& reply);
  Status leave_names(Arguments request, Value& reply);
  Status open_element(Arguments request, Value& reply);
  Status open_elements(Arguments request, Value& reply);
  Status open_named_list(Arguments request, Value& reply);
  Status open_transaction(Value& reply);
  void note_queued(Arguments request);
  Status open_reply(Arguments request, Value& reply);
  Status ready_to_open();

  SealOptions options_;
  std::vector<std::string> recipients_;
  std::optional<crypto::Sealer> sealer_, opener_;
  std::vector<std::vector<std::string>> queued_;  // since MULTI, without what they would store
  bool in_multi_ = false;
};

/// Which of so many words of a request are values, as its command's row says.
std::vector<std::size_t> places_of_values(const CommandDoc& doc, std::size_t words);

/// Whom values are sealed for: the options, else the server's secrets/gpg-id, else the environment.
Result<crypto::Recipients> recipients_for(Access::Impl& connection, const SealOptions& options);

/// The connection's Sealing for these options, made when first asked for.
Result<Sealing*> sealing_of(Access::Impl& connection, const SealOptions& options);
/// The same, made anew if the stored list of recipients has changed: who was taken off it must not
/// be sealed for as long as a connection lasts. Asks the server, so nothing may be under way.
Result<Sealing*> sealing_of_today(Access::Impl& connection, const SealOptions& options);

}  // namespace kv::client
