// See sealing.hpp.
#include "libkv/client/sealing.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "libkv/base/text.hpp"
#include "libkv/client/command_docs.hpp"
#include "libkv/client/convert.hpp"

namespace kv::client {
namespace {

using crypto::Place;

/// What the value at words[i] of a request is bound to.
Place place_of_value(const CommandDoc& doc, const std::vector<std::string>& words, std::size_t i) {
  const auto key = static_cast<std::size_t>(doc.key_first);
  if (doc.group == "list") return Place::element(words[key]);
  if (doc.group == "hash") return Place::hash_field(words[key], words[i - 1]);
  // MSET and its like: the key stands before its value.
  return Place::value(doc.key_step == 2 ? words[i - 1] : words[key]);
}

int last_value(const CommandDoc& doc, int count) noexcept {
  return doc.value_last < 0 ? count + doc.value_last : doc.value_last;
}

Status check_sealable(const CommandDoc* doc, const std::vector<std::string>& words) {
  const std::string word = to_upper(shown(words[0], 40));
  if (doc == nullptr) {
    return {Code::crypto, word +
                              " is not in the command table, so which of its arguments are "
                              "values is not known; nothing was sent"};
  }
  if (doc->name == "append") {
    return {Code::crypto,
            "APPEND would join two sealed values into one that cannot be opened; nothing was sent"};
  }
  if (doc->name == "sadd" || doc->name == "zadd") {
    return {Code::crypto,
            word +
                " would store a member that is another one each time it is sealed, so that it "
                "could be neither found nor removed; nothing was sent"};
  }
  if (doc->value_first == 0) {
    return {Code::crypto, word + " stores no value that could be sealed; nothing was sent"};
  }
  const auto count = static_cast<int>(words.size());
  const bool enough = doc->arity >= 0 ? count == doc->arity : count >= -doc->arity;
  // MSET a 1 b: the server would refuse it, but who forgot a key has put a value in its place.
  const bool whole =
      doc->value_last >= 0 ||
      (last_value(*doc, count) - doc->value_first) % std::max(doc->value_step, 1) == 0;
  if (!enough || !whole) {
    return {Code::crypto, "wrong number of arguments for " + word + "; nothing was sent"};
  }
  return {};
}

std::optional<std::string> text_of_list(const Value& value) {
  if (value.kind() == Kind::text) return value.text();
  if (value.kind() != Kind::list) return std::nullopt;
  std::string lines;
  for (const Value& item : value.list()) lines += item.to_text() + "\n";
  return lines;
}

}  // namespace

std::vector<std::size_t> places_of_values(const CommandDoc& doc, std::size_t words) {
  std::vector<std::size_t> places;
  if (doc.value_first == 0) return places;
  const auto count = static_cast<int>(words);
  for (int i = doc.value_first; i <= std::min(last_value(doc, count), count - 1);
       i += std::max(doc.value_step, 1)) {
    places.push_back(static_cast<std::size_t>(i));
  }
  return places;
}

Status Sealing::seal(std::vector<std::string>& words) {
  const CommandDoc* doc = find_command_doc(words[0]);
  if (auto status = check_sealable(doc, words); !status) return status;
  if (!sealer_) {
    auto made = crypto::Sealer::create(
        {.recipients = recipients_, .sign = options_.sign, .sign_with = {}, .engine = {}});
    if (!made) return made.status();
    sealer_.emplace(*std::move(made));
  }
  for (const std::size_t i : places_of_values(*doc, words.size())) {
    std::string& word = words[i];
    const Place place = place_of_value(*doc, words, i);
    if (place.key == crypto::recipients_key) {
      return {Code::crypto, std::string(place.key) +
                                " is the list of whom to seal for and nobody can read it sealed: "
                                "leave --encrypt out; nothing was sent"};
    }
    auto sealed = sealer_->seal(word, place);
    crypto::wipe(word);
    if (!sealed) return sealed.status();
    word = *std::move(sealed);
  }
  return {};
}

namespace {

/// The stored list: a text, or a list with an id an element. Nothing if there is none.
Result<std::optional<std::string>> stored_recipients(Access::Impl& connection) {
  constexpr std::string_view key = crypto::recipients_key;
  auto reply = connection.exchange(std::array<std::string_view, 2>{"GET", key});
  if (reply && reply->is_error() && reply->text().starts_with("WRONGTYPE")) {
    reply = connection.exchange(std::array<std::string_view, 4>{"LRANGE", key, "0", "-1"});
  }
  if (!reply) return reply.error();
  if (!reply->is_error()) return text_of_list(*reply);
  Error error = error_of_reply(reply->text());
  error.message =
      "cannot read the list of recipients at " + std::string(key) + ": " + error.message;
  return error;
}

}  // namespace

Result<crypto::Recipients> recipients_for(Access::Impl& connection, const SealOptions& options) {
  std::optional<std::string> stored;
  if (options.recipients.empty()) {
    auto read = stored_recipients(connection);
    if (!read) return read.error();
    stored = *std::move(read);
  }
  auto chosen = crypto::choose_recipients(options.recipients, stored,
                                          std::getenv(crypto::recipients_variable));
  if (!chosen) return error_of(chosen.status());
  return *std::move(chosen);
}

namespace {

bool same(const SealOptions& a, const SealOptions& b) {
  return a.seal == b.seal && a.open == b.open && a.recipients == b.recipients && a.sign == b.sign &&
         a.require_sealed == b.require_sealed && a.require_signed == b.require_signed &&
         a.allow_moved == b.allow_moved;
}

}  // namespace

Result<Sealing*> sealing_of(Access::Impl& connection, const SealOptions& options) {
  if (connection.sealing == nullptr || !same(connection.sealing->options(), options)) {
    auto made = std::make_unique<Sealing>(options);
    if (options.seal) {
      auto recipients = recipients_for(connection, options);
      if (!recipients) return recipients.error();
      made->recipients_ = std::move(recipients->ids);
    }
    connection.sealing = std::move(made);
  }
  connection.sealing->options_.on_note = options.on_note;
  return connection.sealing.get();
}

Result<Sealing*> sealing_of_today(Access::Impl& connection, const SealOptions& options) {
  const Sealing* known = connection.sealing.get();
  // Inside a transaction the list cannot be read.
  if (options.seal && options.recipients.empty() && known != nullptr && !connection.in_multi) {
    auto recipients = recipients_for(connection, options);
    if (!recipients) return recipients.error();
    if (recipients->ids != known->recipients_) connection.sealing.reset();
  }
  return sealing_of(connection, options);
}

}  // namespace kv::client
