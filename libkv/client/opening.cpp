// Opening replies: what a command answers with, and where each value of the answer is stored. See
// sealing.hpp.
//
// Must never open a value as found somewhere where the request did not ask for it: what an answer
// looks like is the server's word, which is not trusted.
#include <algorithm>
#include <utility>

#include "libkv/base/text.hpp"
#include "libkv/client/command_docs.hpp"
#include "libkv/client/sealing.hpp"

namespace kv::client {
namespace {

using crypto::Place;

bool is(std::string_view word, std::string_view name) noexcept {
  return equals_ignoring_case(word, name);
}

/// Bytes that may have been stored, or nil for none.
bool may_be_stored(const Value& value) noexcept {
  return value.is_nil() || (value.kind() == Kind::text && value.form() != Form::status);
}

bool holds_text(const Value& value) noexcept {
  if (value.kind() == Kind::text) return value.form() != Form::status;
  const Value::List& items = value.list();
  const Value::Map& pairs = value.map();
  return std::any_of(items.begin(), items.end(), holds_text) ||
         std::any_of(pairs.begin(), pairs.end(), [](const Value::Pair& pair) {
           return holds_text(pair.key) || holds_text(pair.value);
         });
}

Status no_answer_to(Arguments request) {
  return {Code::crypto, "the server answered " + to_upper(shown(request[0], 40)) +
                            " with something that is no answer to it, so where its values are "
                            "stored is not known; nothing was opened"};
}

bool has_word(Arguments request, std::size_t first, std::string_view word) noexcept {
  return std::any_of(request.begin() + static_cast<std::ptrdiff_t>(std::min(first, request.size())),
                     request.end(), [&](std::string_view w) { return is(w, word); });
}

}  // namespace

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

/// Every text in the value, all found at that place: of commands that answer with no stored value,
/// or with one whose place cannot be known.
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

Status Sealing::open_stored(Arguments request, const Place& place, Value& value) {
  return may_be_stored(value) ? open_text(place, value) : no_answer_to(request);
}

Status Sealing::open_each(Arguments request, const Place& place, Value& list) {
  if (list.kind() != Kind::list) return no_answer_to(request);
  Status status;
  for (Value& item : list.mutable_list()) {
    if (status.ok()) status = open_stored(request, place, item);
  }
  return status;
}

/// Fields and values of a hash, in turns or as lists of two.
Status Sealing::open_pairs(Arguments request, Value& list) {
  if (list.kind() != Kind::list) return no_answer_to(request);
  Value::List& items = list.mutable_list();
  const bool flat = items.empty() || items[0].kind() != Kind::list;
  if (flat && items.size() % 2 != 0) return no_answer_to(request);
  Status status;
  for (std::size_t i = 0; i < items.size() && status.ok(); i += flat ? 2 : 1) {
    const bool whole = flat || (items[i].kind() == Kind::list && items[i].size() == 2);
    if (!whole) return no_answer_to(request);
    Value& field = flat ? items[i] : items[i].mutable_list()[0];
    Value& value = flat ? items[i + 1] : items[i].mutable_list()[1];
    if (field.kind() != Kind::text) return no_answer_to(request);
    status = open_stored(request, Place::hash_field(request[1], field.text()), value);
  }
  return status;
}

Status Sealing::open_value(Arguments request, Value& reply) {
  return open_stored(request, Place::value(request[1]), reply);
}

/// SET answers with what was there before if that is asked for.
Status Sealing::open_replaced(Arguments request, Value& reply) {
  if (has_word(request, 3, "get")) return open_value(request, reply);
  const bool done = reply.is_nil() || reply.form() == Form::status;
  return done ? Status{} : no_answer_to(request);
}

/// One for each name in the request, of which names[0] is the first.
Status Sealing::open_named(Arguments request, Arguments names, Value& reply) {
  if (reply.kind() != Kind::list || reply.size() != names.size()) return no_answer_to(request);
  const bool keys = names.size() + 1 == request.size();
  Status status;
  for (std::size_t i = 0; i < names.size() && status.ok(); ++i) {
    const Place place = keys ? Place::value(names[i]) : Place::hash_field(request[1], names[i]);
    status = open_stored(request, place, reply.mutable_list()[i]);
  }
  return status;
}

Status Sealing::open_values(Arguments request, Value& reply) {
  return open_named(request, request.subspan(1), reply);
}

Status Sealing::open_field(Arguments request, Value& reply) {
  if (request.size() != 3) return no_answer_to(request);
  return open_stored(request, Place::hash_field(request[1], request[2]), reply);
}

Status Sealing::open_named_fields(Arguments request, Value& reply) {
  return open_named(request, request.subspan(2), reply);
}

Status Sealing::open_hash(Arguments request, Value& reply) {
  if (reply.kind() != Kind::map) return open_pairs(request, reply);  // RESP2
  Status status;
  for (Value::Pair& pair : reply.mutable_map()) {
    if (pair.key.kind() != Kind::text) return no_answer_to(request);
    if (status.ok()) {
      status = open_stored(request, Place::hash_field(request[1], pair.key.text()), pair.value);
    }
  }
  return status;
}

Status Sealing::open_any_fields(Arguments request, Value& reply) {
  return open_each(request, Place::some_field(request[1]), reply);
}

Status Sealing::open_page(Arguments request, Value& reply) {
  if (reply.kind() != Kind::list || reply.size() != 2) return no_answer_to(request);
  return open_pairs(request, reply.mutable_list()[1]);
}

Status Sealing::open_random_fields(Arguments request, Value& reply) {
  return request.size() == 4 ? open_pairs(request, reply) : leave_names(request, reply);
}

/// Names of fields, which are never sealed: what is found among them is shown as it is.
Status Sealing::leave_names(Arguments, Value&) { return {}; }

Status Sealing::open_element(Arguments request, Value& reply) {
  return open_stored(request, Place::element(request[1]), reply);
}

/// LPOP and RPOP: one, or several if they were told how many.
Status Sealing::open_elements(Arguments request, Value& reply) {
  if (reply.kind() != Kind::list) return open_element(request, reply);
  return open_each(request, Place::element(request[1]), reply);
}

/// Of several lists the answer comes from one, and says from which.
Status Sealing::open_named_list(Arguments request, Value& reply) {
  if (reply.is_nil()) return {};
  const bool named = reply.kind() == Kind::list && reply.size() == 2;
  if (!named || reply.list()[0].kind() != Kind::text) return no_answer_to(request);
  Value::List& items = reply.mutable_list();
  const Place place = Place::element(items[0].text());
  if (items[1].kind() == Kind::list) return open_each(request, place, items[1]);
  return open_stored(request, place, items[1]);
}

void Sealing::enter_transaction() {
  if (!std::exchange(in_multi_, true)) queued_.clear();
}

void Sealing::note_queued(Arguments request) {
  std::vector<std::string>& words = queued_.emplace_back(request.begin(), request.end());
  // What is to be stored may be a secret, and says nothing about the answer.
  const CommandDoc* doc = find_command_doc(words[0]);
  if (doc == nullptr) return;
  for (const std::size_t i : places_of_values(*doc, words.size())) crypto::wipe(words[i]);
}

/// The answer to EXEC: an answer for each request since MULTI.
Status Sealing::open_transaction(Value& reply) {
  const auto queued = std::exchange(queued_, {});
  if (reply.is_nil()) return {};
  if (reply.kind() != Kind::list || reply.size() != queued.size()) {
    if (!holds_text(reply)) return {};
    return {Code::crypto,
            "the answer to EXEC is not one for each request that was queued here to be opened, so "
            "where its values are stored is not known; nothing was opened"};
  }
  Status status;
  for (std::size_t i = 0; i < queued.size() && status.ok(); ++i) {
    Value& answer = reply.mutable_list()[i];
    if (answer.is_error()) continue;
    const std::vector<std::string_view> views(queued[i].begin(), queued[i].end());
    status = open_reply(views, answer);
  }
  return status;
}

Status Sealing::open_reply(Arguments request, Value& reply) {
  struct Row {
    std::string_view word;
    Status (Sealing::*open)(Arguments, Value&);
  };
  static constexpr Row rows[] = {
      {"get", &Sealing::open_value},          {"getex", &Sealing::open_value},
      {"getdel", &Sealing::open_value},       {"getset", &Sealing::open_value},
      {"set", &Sealing::open_replaced},       {"mget", &Sealing::open_values},
      {"hget", &Sealing::open_field},         {"hmget", &Sealing::open_named_fields},
      {"hgetall", &Sealing::open_hash},       {"hvals", &Sealing::open_any_fields},
      {"hscan", &Sealing::open_page},         {"hrandfield", &Sealing::open_random_fields},
      {"hkeys", &Sealing::leave_names},       {"hfind", &Sealing::leave_names},
      {"lindex", &Sealing::open_element},     {"lmove", &Sealing::open_element},
      {"blmove", &Sealing::open_element},     {"rpoplpush", &Sealing::open_element},
      {"brpoplpush", &Sealing::open_element}, {"lpop", &Sealing::open_elements},
      {"rpop", &Sealing::open_elements},      {"lrange", &Sealing::open_elements},
      {"blpop", &Sealing::open_named_list},   {"brpop", &Sealing::open_named_list},
      {"lmpop", &Sealing::open_named_list},   {"blmpop", &Sealing::open_named_list},
  };
  const auto row = std::find_if(std::begin(rows), std::end(rows),
                                [&](const Row& r) { return is(request[0], r.word); });
  if (row != std::end(rows) && request.size() > 1) return (this->*row->open)(request, reply);
  const CommandDoc* doc = find_command_doc(request[0]);
  const auto key = doc == nullptr ? 0 : static_cast<std::size_t>(std::max(doc->key_first, 0));
  if (key == 0 || key >= request.size()) return open_all(Place::anywhere(), reply);
  if (doc->group == "hash") return open_all(Place::some_field(request[key]), reply);
  if (doc->group == "list") return open_all(Place::element(request[key]), reply);
  const bool text = doc->group == "string" && reply.kind() == Kind::text;
  return open_all(text ? Place::value(request[key]) : Place::anywhere(), reply);
}

Status Sealing::open(Arguments request, Value& reply) {
  Status status;
  if (is(request[0], "multi")) {
    in_multi_ = false;  // if it was in one, that has ended
    enter_transaction();
  } else if (is(request[0], "discard")) {
    in_multi_ = false;
  } else if (is(request[0], "exec")) {
    in_multi_ = false;
    status = open_transaction(reply);
  } else if (in_multi_ && reply.form() == Form::status && reply.text() == "QUEUED") {
    note_queued(request);
  } else {
    status = open_reply(request, reply);
  }
  if (!status) reply = {};
  return status;
}

}  // namespace kv::client
