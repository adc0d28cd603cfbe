// See keys.hpp: the list of recipients as text, and the report on it for people.
#include "crypto/keys.hpp"

#include <algorithm>
#include <utility>

#include "crypto/keyring.hpp"
#include "crypto/seal.hpp"
#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"

namespace kv::crypto {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t from = text.find_first_not_of(blanks);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

std::string_view without_comment(std::string_view line) noexcept {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '#' && (i == 0 || blanks.find(line[i - 1]) != std::string_view::npos)) {
      return line.substr(0, i);
    }
  }
  return line;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(separators);
    if (const auto part = trimmed(text.substr(0, end)); !part.empty()) parts.push_back(part);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return parts;
}

/// A key id, a fingerprint or a bare mail address: something that can't be one word of a name.
bool is_single_id(std::string_view word) noexcept {
  if (word.find('@') != std::string_view::npos) return word.find('<') == std::string_view::npos;
  if (word.starts_with("0x")) word.remove_prefix(2);
  return word.size() >= 8 && word.find_first_not_of("0123456789abcdefABCDEF") == word.npos;
}

Status add(std::vector<std::string>& ids, std::string_view id) {
  if (std::find(ids.begin(), ids.end(), id) != ids.end()) return {};
  if (id.size() > limits::recipient_bytes_max || ids.size() >= limits::recipients_max) {
    return {Code::limit, "the list of recipients is too long: at most " +
                             std::to_string(limits::recipients_max) + " of at most " +
                             std::to_string(limits::recipient_bytes_max) + " bytes"};
  }
  ids.emplace_back(id);
  return {};
}

/// Whether this user can open what is sealed for one key: tried, with nothing in the envelope.
std::string opening_sentence(const Engine& engine, const std::string& fingerprint) {
  Engine silent = engine;
  silent.prompt = Engine::Prompt::never;
  auto context = Context::open(silent);
  if (!context) return context.status().message();
  const auto secret = has_secret_key(*context, fingerprint);
  if (!secret) return secret.status().message();
  if (!*secret) return "you don't have its secret key, so only its owner can open the values";
  auto sealer = Sealer::create({.recipients = {fingerprint}, .engine = silent});
  if (!sealer) return sealer.status().message();
  const auto sealed = sealer->seal("", Place::anywhere());
  if (!sealed) return sealed.status().message();
  const auto opened = sealer->open(*sealed, Place::anywhere(), {});
  if (opened) return "you have its secret key, and it opens now";
  auto asking = Context::open(engine);
  if (asking && asking->may_ask()) {
    return "you have its secret key; its passphrase will be asked for";
  }
  return "you have its secret key, but: " + opened.status().message();
}

}  // namespace

Result<std::vector<std::string>> parse_recipients(std::string_view text) {
  std::vector<std::string> ids;
  for (const auto line : split(text, "\n")) {
    for (const auto entry : split(without_comment(line), ",")) {
      const auto words = split(entry, blanks);
      const bool each = std::all_of(words.begin(), words.end(), is_single_id);
      for (const auto id : each ? words : std::vector{entry}) {
        if (const Status status = add(ids, id); !status) return status;
      }
    }
  }
  return ids;
}

Result<Recipients> choose_recipients(std::span<const std::string> options,
                                     std::optional<std::string_view> stored, const char* variable) {
  Recipients chosen;
  for (const std::string& option : options) {
    auto ids = parse_recipients(option);
    if (!ids) return ids.status();
    for (const auto& id : *ids) {
      if (const Status status = add(chosen.ids, id); !status) return status;
    }
  }
  chosen.source = "--recipient";
  if (chosen.ids.empty() && stored) {
    auto ids = parse_recipients(*stored);
    if (!ids) return ids.status();
    chosen = {std::move(*ids), "the list stored at " + std::string(recipients_key)};
  }
  if (chosen.ids.empty() && variable != nullptr) {
    auto ids = parse_recipients(variable);
    if (!ids) return ids.status();
    chosen = {std::move(*ids), std::string(recipients_variable)};
  }
  if (chosen.ids.empty()) {
    return Status{Code::crypto,
                  "there is nobody to seal for. Name a key with --recipient ID, store the list for "
                  "everybody with ./client SET " +
                      std::string(recipients_key) + " ID, or set " + recipients_variable};
  }
  return chosen;
}

Result<std::vector<KeyReport>> check_recipients(const Engine& engine,
                                                std::span<const std::string> ids) {
  auto context = Context::open(engine);
  if (!context) return context.status();
  auto found = find_recipients(*context, ids);
  if (!found) return found.status();
  std::vector<KeyReport> reports;
  for (FoundKey& one : *found) reports.push_back(std::move(one.report));
  return reports;
}

Result<KeyExplanation> explain_keys(const Engine& engine, const Recipients& recipients) {
  auto reports = check_recipients(engine, recipients.ids);
  if (!reports) return reports.status();
  KeyExplanation explained{"recipients from " + recipients.source + ":\n", !reports->empty()};
  for (const KeyReport& report : *reports) {
    explained.text += "  " + shown(report.asked) + "\n";
    if (report.problem != KeyProblem::none) {
      explained.usable = false;
      explained.text += "    can't be used: " + report.sentence + "\n";
      continue;
    }
    explained.text += "    usable: " + report.fingerprint + " (" + report.user_id + ")\n";
    explained.text += "    " + opening_sentence(engine, report.fingerprint) + "\n";
  }
  explained.text += explained.usable ? "--encrypt seals for all of them.\n"
                                     : "--encrypt sends nothing until every one can be used.\n";
  return explained;
}

}  // namespace kv::crypto
