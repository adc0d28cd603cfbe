// --keys and --reencrypt: whose keys are used, and sealing again what was sealed for others.
//
// A value is replaced only by one that was sealed from what it held a moment before; what is
// already sealed for today's recipients is left alone, so a run that was cut short just goes on.
// Plain values are never touched: the list of recipients itself may lie under the prefix.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "crypto/seal.hpp"
#include "libkv/base/text.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/console/program.hpp"
#include "libkv/client/console/progress.hpp"
#include "libkv/client/convert.hpp"
#include "libkv/client/sealing.hpp"

namespace kv {
namespace {

using client::Access;
using client::Connection;
using client::Kind;
using crypto::Place;

class Reencryption {
 public:
  Reencryption(ClientArguments& arguments, Connection& connection, crypto::Sealer sealer)
      : arguments_(arguments), connection_(connection), sealer_(std::move(sealer)) {}

  int run();

 private:
  client::Result<std::vector<std::string>> find_keys();
  void take_key(const std::string& key);
  void take_string(const std::string& key);
  void take_hash(const std::string& key);
  void take_list(const std::string& key);
  /// The value sealed again; empty if it needs nothing or could not be (which is counted).
  std::string sealed_again(const std::string& stored, const Place& place);
  void replace(const std::vector<std::string>& read, const std::string& before,
               const std::vector<std::string>& write);
  void fail(const std::string& sentence);
  void fail_at(const std::string& key, const client::Error& error);
  int finish();

  ClientArguments& arguments_;
  Connection& connection_;
  crypto::Sealer sealer_;
  Progress* progress_ = nullptr;
  std::uint64_t done_ = 0, current_ = 0, plain_ = 0, failed_ = 0;
  int lost_ = 0;  // the exit status when the server is gone
};

std::string glob_literal(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

void Reencryption::fail(const std::string& sentence) {
  progress_->hide();
  complain(sentence);
  ++failed_;
}

/// What the server said, or that it is gone, which ends the walk.
void Reencryption::fail_at(const std::string& key, const client::Error& error) {
  if (client::exit_code_of(error.code) == exit_lost) lost_ = exit_lost;
  fail(shown(key, 200) + ": " + error.message);
}

std::string Reencryption::sealed_again(const std::string& stored, const Place& place) {
  if (!crypto::is_sealed(stored)) return ++plain_, std::string();
  auto opened = sealer_.open(stored, place,
                             {.require_signed = arguments_.seal.require_signed,
                              .allow_moved = arguments_.seal.allow_moved});
  if (!opened) return fail(opened.status().message()), std::string();
  if (sealer_.is_current(*opened)) return ++current_, std::string();
  auto sealed = sealer_.seal(opened->plaintext.view(), place);
  if (!sealed) return fail(sealed.status().message()), std::string();
  return *std::move(sealed);
}

/// Writes if reading still gives what was there before. With WATCH nothing can come between; a
/// server without it leaves a gap of one round trip.
void Reencryption::replace(const std::vector<std::string>& read, const std::string& before,
                           const std::vector<std::string>& write) {
  const bool watched = connection_.call({"WATCH", read[1]}).ok();
  const auto now = connection_.call(views_of(read));
  if (!now || now->text() != before) {
    if (watched) (void)connection_.call({"UNWATCH"});
    if (!now) return fail_at(read[1], now.error());
    return fail(shown(read[1], 200) + " changed meanwhile; it was left as it is");
  }
  if (watched) (void)connection_.call({"MULTI"});
  auto written = connection_.call(views_of(write));
  if (watched && written) written = connection_.call({"EXEC"});
  else if (watched) (void)connection_.call({"DISCARD"});  // or all that follows would be queued
  if (!written) return fail_at(read[1], written.error());
  if (watched && written->is_nil()) {
    return fail(shown(read[1], 200) + " changed meanwhile; it was left as it is");
  }
  if (watched && written->list().size() != 1) {
    return fail(shown(read[1], 200) + ": the server answered EXEC as nobody does; whether it was " +
                "sealed again is not known");
  }
  if (watched && written->list()[0].is_error()) {
    return fail(shown(read[1], 200) + ": " + written->list()[0].text());
  }
  ++done_;
}

void Reencryption::take_string(const std::string& key) {
  const auto value = connection_.call({"GET", key});
  if (!value) return fail_at(key, value.error());
  if (value->kind() != Kind::text) return;  // deleted meanwhile
  const std::string sealed = sealed_again(value->text(), Place::value(key));
  if (!sealed.empty()) {
    replace({"GET", key}, value->text(), {"SET", key, sealed, "KEEPTTL"});
  }
}

void Reencryption::take_hash(const std::string& key) {
  const auto fields = connection_.call({"HGETALL", key});
  if (!fields) return fail_at(key, fields.error());
  for (const auto& [field, value] : fields->map()) {
    const std::string& name = field.text();
    const std::string sealed = sealed_again(value.text(), Place::hash_field(key, name));
    if (!sealed.empty()) {
      replace({"HGET", key, name}, value.text(), {"HSET", key, name, sealed});
    }
  }
}

void Reencryption::take_list(const std::string& key) {
  const auto elements = connection_.call({"LRANGE", key, "0", "-1"});
  if (!elements) return fail_at(key, elements.error());
  for (std::size_t i = 0; i < elements->list().size(); ++i) {
    const std::string& element = elements->list()[i].text();
    const std::string sealed = sealed_again(element, Place::element(key));
    const std::string index = std::to_string(i);
    if (!sealed.empty()) replace({"LINDEX", key, index}, element, {"LSET", key, index, sealed});
  }
}

void Reencryption::take_key(const std::string& key) {
  const auto type = connection_.call({"TYPE", key});
  if (!type) return fail_at(key, type.error());
  if (type->text() == "string") return take_string(key);
  if (type->text() == "hash") return take_hash(key);
  if (type->text() == "list") return take_list(key);
}

client::Result<std::vector<std::string>> Reencryption::find_keys() {
  std::vector<std::string> keys;
  auto walked =
      connection_.scan(glob_literal(arguments_.pattern) + "*", [&keys](const std::string& key) {
        if (key != crypto::recipients_key) keys.push_back(key);
        return true;
      });
  if (!walked) return walked.error();
  // A walk may give a key twice.
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

int Reencryption::finish() {
  const std::string sentence = std::to_string(done_) + " sealed again, " +
                               std::to_string(current_) + " were already for these recipients, " +
                               std::to_string(plain_) + " not sealed, " + std::to_string(failed_) +
                               " failed\n";
  Output output(OutputForm::plain, false);
  output.text(sentence);
  if (!output.flush()) return exit_error_reply;
  if (lost_ != 0) return lost_;
  return failed_ == 0 ? 0 : exit_code(Code::crypto);
}

int Reencryption::run() {
  const auto keys = find_keys();
  if (!keys) return report(keys.error());
  Progress progress(keys->size(), "keys");
  progress_ = &progress;
  std::uint64_t n = 0;
  for (const std::string& key : *keys) {
    take_key(key);
    if (lost_ != 0) break;
    ++n;
    progress.update(n, n);
  }
  progress.hide();
  return finish();
}

}  // namespace

int run_reencrypt(ClientArguments& arguments) {
  auto connection = Connection::open(arguments.connection);
  if (!connection) return report(connection.error());
  auto recipients = client::recipients_for(Access::of(*connection), arguments.seal);
  if (!recipients) return report(recipients.error());
  auto sealer = crypto::Sealer::create(
      {.recipients = recipients->ids, .sign = arguments.seal.sign, .sign_with = {}, .engine = {}});
  if (!sealer) return report(sealer.status());
  return Reencryption(arguments, *connection, *std::move(sealer)).run();
}

int run_keys(ClientArguments& arguments) {
  std::optional<Connection> connection;
  client::Result<crypto::Recipients> recipients = client::Error{};
  if (!arguments.seal.recipients.empty()) {
    auto chosen = crypto::choose_recipients(arguments.seal.recipients, std::nullopt, nullptr);
    if (!chosen) return report(chosen.status());
    recipients = *std::move(chosen);
  } else {
    auto opened = Connection::open(arguments.connection);
    if (!opened) return report(opened.error());
    recipients = client::recipients_for(Access::of(*opened), arguments.seal);
  }
  if (!recipients) return report(recipients.error());
  const auto explanation = crypto::explain_keys({}, *recipients);
  if (!explanation) return report(explanation.status());
  Output output(OutputForm::plain, false);
  output.text(explanation->text);
  if (!output.flush()) return exit_error_reply;
  return explanation->usable ? 0 : exit_code(Code::crypto);
}

}  // namespace kv
