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

/// Of several lists the answer comes from one, and says from which.
bool names_its_list(std::string_view word) noexcept {
  constexpr std::string_view words[] = {"lmpop", "blmpop", "blpop", "brpop"};
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view w) { return equals_ignoring_case(word, w); });
}

std::optional<std::string> text_of_list(const Value& value) {
  if (value.kind() == Kind::text) return value.text();
  if (value.kind() != Kind::list) return std::nullopt;
  std::string lines;
  for (const Value& item : value.list()) lines += item.to_text() + "\n";
  return lines;
}

}  // namespace

Status Sealing::seal(std::vector<std::string>& words) {
  const CommandDoc* doc = find_command_doc(words[0]);
  if (auto status = check_sealable(doc, words); !status) return status;
  if (!sealer_) {
    auto made = crypto::Sealer::create(
        {.recipients = recipients_, .sign = options_.sign, .sign_with = {}, .engine = {}});
    if (!made) return made.status();
    sealer_.emplace(*std::move(made));
  }
  const auto count = static_cast<int>(words.size());
  for (int i = doc->value_first; i <= std::min(last_value(*doc, count), count - 1);
       i += std::max(doc->value_step, 1)) {
    std::string& word = words[static_cast<std::size_t>(i)];
    const Place place = place_of_value(*doc, words, static_cast<std::size_t>(i));
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

Status Sealing::ready_to_open() {
  if (opener_) return {};
  auto made = crypto::Sealer::create({});
  if (!made) return made.status();
  opener_.emplace(*std::move(made));
  return {};
}

Status Sealing::open_text(const Place& place, Value& value) {
  if (value.kind() != Kind::text || value.form() == Form::status) return {};
  if (!crypto::is_sealed(value.text())) {
    if (!options_.require_sealed && !options_.require_signed) return {};
    return {Code::crypto, "not sealed: " + crypto::describe(place)};
  }
  if (auto status = ready_to_open(); !status) return status;
  auto opened = opener_->open(value.text(), place,
                              {.require_sealed = options_.require_sealed,
                               .require_signed = options_.require_signed,
                               .allow_moved = options_.allow_moved});
  // Whatever is wrong with a sealed value, a damaged one included, is a failure to open it.
  if (!opened) return {Code::crypto, opened.status().message()};
  if (options_.on_note) {
    if (!opened->signature_note.empty()) {
      options_.on_note(crypto::describe(place) + ": " + opened->signature_note);
    }
    if (!opened->moved_from.empty()) {
      options_.on_note(crypto::describe(place) + " holds what was sealed for " +
                       opened->moved_from);
    }
  }
  Value plain{std::string(opened->plaintext.view())};
  plain.mark_secret();
  value = std::move(plain);
  return {};
}

/// Every text in the value, all found at that place.
Status Sealing::open_all(const Place& place, Value& value) {
  Status status;
  if (value.kind() == Kind::text) return open_text(place, value);
  if (value.kind() == Kind::list) {
    for (Value& item : value.mutable_list()) {
      if (status.ok()) status = open_all(place, item);
    }
  }
  if (value.kind() == Kind::map) {
    for (Value::Pair& pair : value.mutable_map()) {
      if (status.ok()) status = open_all(place, pair.value);
    }
  }
  return status;
}

/// Fields and values of a hash, in turns or as lists of two.
Status Sealing::open_pairs(std::string_view key, Value& list) {
  Status status;
  Value::List& items = list.mutable_list();
  for (std::size_t i = 0; i < items.size() && status.ok(); ++i) {
    if (items[i].kind() == Kind::list && items[i].size() == 2) {
      Value::List& pair = items[i].mutable_list();
      status = open_text(Place::hash_field(key, pair[0].text()), pair[1]);
    } else if (i % 2 == 1) {
      status = open_text(Place::hash_field(key, items[i - 1].text()), items[i]);
    }
  }
  return status;
}

/// The replies of the hash commands: the fields are in the request or in the reply.
Status Sealing::open_fields(Arguments request, Value& reply) {
  const std::string_view key = request[1];
  const auto is = [&request](std::string_view word) {
    return equals_ignoring_case(request[0], word);
  };
  Status status;
  if (is("hkeys") || is("hfind")) return status;  // names, which are never sealed
  if (is("hget") && request.size() == 3) {
    return open_text(Place::hash_field(key, request[2]), reply);
  }
  if (is("hmget") && reply.size() + 2 == request.size()) {
    for (std::size_t i = 0; i < reply.list().size() && status.ok(); ++i) {
      status = open_text(Place::hash_field(key, request[i + 2]), reply.mutable_list()[i]);
    }
    return status;
  }
  if (is("hgetall") && reply.kind() == Kind::map) {
    for (Value::Pair& pair : reply.mutable_map()) {
      if (status.ok()) status = open_text(Place::hash_field(key, pair.key.text()), pair.value);
    }
    return status;
  }
  if (is("hscan") && reply.kind() == Kind::list && reply.size() == 2) {
    Value& page = reply.mutable_list()[1];
    return page.kind() == Kind::list ? open_pairs(key, page) : status;
  }
  if (is("hrandfield")) {
    const bool with_values = request.size() == 4 && reply.kind() == Kind::list;
    return with_values ? open_pairs(key, reply) : status;
  }
  return open_all(Place::some_field(key), reply);
}

Status Sealing::open(Arguments request, Value& reply) {
  const CommandDoc* doc = find_command_doc(request[0]);
  const auto key = doc == nullptr ? 0 : static_cast<std::size_t>(std::max(doc->key_first, 0));
  Status status;
  if (names_its_list(request[0]) && reply.size() == 2) {
    Value::List& named = reply.mutable_list();  // the list's name and its elements
    status = open_all(Place::element(named[0].text()), named[1]);
  } else if (key == 0 || key >= request.size()) {
    status = open_all(Place::anywhere(), reply);
  } else if (doc->group == "hash") {
    status = open_fields(request, reply);
  } else if (doc->group == "list") {
    status = open_all(Place::element(request[key]), reply);
  } else if (equals_ignoring_case(request[0], "mget") && reply.size() + 1 == request.size()) {
    for (std::size_t i = 0; i < reply.list().size() && status.ok(); ++i) {
      status = open_text(Place::value(request[i + 1]), reply.mutable_list()[i]);
    }
  } else if (doc->group == "string" && reply.kind() == Kind::text) {
    status = open_text(Place::value(request[key]), reply);
  } else {
    status = open_all(Place::anywhere(), reply);
  }
  if (!status) reply = {};
  return status;
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
