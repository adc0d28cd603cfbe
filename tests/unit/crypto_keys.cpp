// Who values are sealed for: the list, the lookup of every kind of key, and the sentences.
#include <catch2/catch.hpp>

#include "crypto/keys.hpp"
#include "libkv/base/limits.hpp"
#include "tests/unit/crypto_fixture.hpp"

using namespace kv;
using namespace kv::crypto;
using kv::crypto::test::Keyrings;
using kv::crypto::test::shell;
using Ids = std::vector<std::string>;

namespace {

Ids parsed(std::string_view text) {
  auto ids = parse_recipients(text);
  REQUIRE(ids.ok());
  return *ids;
}

KeyReport report_on(const std::string& id) {
  auto reports = check_recipients(Keyrings::get().ours(), Ids{id});
  INFO(reports.status().message());
  REQUIRE(reports.ok());
  REQUIRE(reports->size() == 1);
  return reports->front();
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("crypto/keys: a list is read as lines, commas, blanks and pass's comments") {
  CHECK(parsed("0xDEADBEEFDEADBEEF") == Ids{"0xDEADBEEFDEADBEEF"});
  CHECK(parsed("a@x.org\nb@x.org\r\n\n") == Ids{"a@x.org", "b@x.org"});
  CHECK(parsed("a@x.org, b@x.org DEADBEEF") == Ids{"a@x.org", "b@x.org", "DEADBEEF"});
  CHECK(parsed("# us\na@x.org # Ann\nb#c@x.org") == Ids{"a@x.org", "b#c@x.org"});
  CHECK(parsed("Alice Able") == Ids{"Alice Able"});
  CHECK(parsed("Alice Able <alice@x.org>, b@x.org") == Ids{"Alice Able <alice@x.org>", "b@x.org"});
  CHECK(parsed("ABCD 1234 ABCD 1234 ABCD  1234 ABCD 1234 ABCD 1234") ==
        Ids{"ABCD 1234 ABCD 1234 ABCD  1234 ABCD 1234 ABCD 1234"});
  CHECK(parsed("a@x.org a@x.org\na@x.org") == Ids{"a@x.org"});
  CHECK(parsed("").empty());
  CHECK(parsed(" \n,,\t# nobody").empty());
}

TEST_CASE("crypto/keys: a list without end is refused") {
  std::string many;
  for (std::size_t i = 0; i <= limits::recipients_max; ++i) many += std::to_string(i) + "@x.org\n";
  CHECK(parse_recipients(many).status().code() == Code::limit);
  const std::string one(limits::recipient_bytes_max + 1, 'a');
  CHECK(parse_recipients(one).status().code() == Code::limit);
}

TEST_CASE("crypto/keys: options go before the stored list, and that before the variable") {
  const Ids none, option{"o@x.org,p@x.org", "o@x.org"};
  CHECK(choose_recipients(option, "s@x.org", "v@x.org")->ids == Ids{"o@x.org", "p@x.org"});
  CHECK(choose_recipients(none, "s@x.org", "v@x.org")->ids == Ids{"s@x.org"});
  CHECK(choose_recipients(none, "s@x.org", "v@x.org")->source ==
        "the list stored at secrets/gpg-id");
  CHECK(choose_recipients(none, "", "v@x.org")->ids == Ids{"v@x.org"});
  CHECK(choose_recipients(none, std::nullopt, "v@x.org")->source == "KV_RECIPIENTS");
  const auto nobody = choose_recipients(none, std::nullopt, nullptr);
  CHECK(nobody.status().code() == Code::crypto);
  for (const char* way : {"--recipient", "secrets/gpg-id", "KV_RECIPIENTS"}) {
    CHECK(contains(nobody.status().message(), way));
  }
}

TEST_CASE("crypto/keys: a usable key is found by fingerprint, key id, address and name") {
  const auto& alice = Keyrings::get().fingerprint("alice");
  std::string spaced;
  for (std::size_t i = 0; i < alice.size(); i += 4)
    spaced += (i > 0 ? " " : "") + alice.substr(i, 4);
  for (const std::string& id :
       {alice, "0x" + alice.substr(24), spaced, std::string("alice@kv.test"),
        std::string("ALICE@KV.TEST"), std::string("Alice Able"), std::string("<alice@kv.test>")}) {
    INFO(id);
    const KeyReport report = report_on(id);
    CHECK(report.problem == KeyProblem::none);
    CHECK(report.fingerprint == alice);
    CHECK(report.sentence.empty());
  }
}

TEST_CASE("crypto/keys G1: every key that can't be used says why and what to type") {
  struct Row {
    const char* id;
    const char* key;  // null: found under no fingerprint
    KeyProblem problem;
    const char* why;
    const char* next_step;
  };
  const Row rows[] = {
      {"mallory@kv.test", "untrusted", KeyProblem::untrusted, "is not trusted", "gpg --lsign-key "},
      {"old@kv.test", "expired", KeyProblem::expired, "expired on 2020-01-02",
       "gpg --quick-set-expire "},
      {"sub@kv.test", "subkey_expired", KeyProblem::expired, "expired on 2020-01-02",
       "gpg --quick-set-expire "},
      {"rita@kv.test", "revoked", KeyProblem::revoked, "was revoked", "gpg --import"},
      {"dis@kv.test", "disabled", KeyProblem::disabled, "is disabled", " enable quit"},
      {"signer@kv.test", "sign_only", KeyProblem::sign_only, "can only sign", "--quick-add-key"},
      {"nobody@kv.test", nullptr, KeyProblem::unknown, "no key", "gpg --import FILE"},
      {"0123456789ABCDEF", nullptr, KeyProblem::unknown, "no key", "gpg --list-keys"},
      {"wins@kv.test", nullptr, KeyProblem::unknown, "no key", "gpg --import FILE"},
      {"twin@kv.test", nullptr, KeyProblem::ambiguous, "several keys", "fingerprint"},
      {"kv.test", nullptr, KeyProblem::ambiguous, "several keys", "fingerprint"},
  };
  const auto& keyrings = Keyrings::get();
  for (const Row& row : rows) {
    INFO(row.id);
    const KeyReport report = report_on(row.id);
    CHECK(report.problem == row.problem);
    CHECK(contains(report.sentence, row.why));
    CHECK(contains(report.sentence, row.next_step));
    const std::string expected = row.key == nullptr ? "" : keyrings.fingerprint(row.key);
    CHECK(report.fingerprint == expected);
    CHECK(contains(report.sentence, expected));
    // And nothing is produced: there is no Sealer, even when somebody else on the list is fine.
    const auto sealer =
        Sealer::create({.recipients = {"alice@kv.test", row.id}, .engine = keyrings.ours()});
    CHECK(sealer.status().code() == Code::crypto);
    CHECK(contains(sealer.status().message(), row.why));
  }
}

TEST_CASE("crypto/keys G1: the step that the sentence names does help") {
  const auto& keyrings = Keyrings::get();
  const std::string home = "cp -r " + keyrings.folder() + "/ours " + keyrings.folder() + "/fixed";
  shell(home + " 2>/dev/null; rm -f " + keyrings.folder() + "/fixed/S.*; true");
  Engine engine = keyrings.ours();
  engine.home = keyrings.folder() + "/fixed";
  const auto problem = [&](const std::string& id) {
    return check_recipients(engine, Ids{id})->front().problem;
  };
  REQUIRE(problem("mallory@kv.test") == KeyProblem::untrusted);
  keyrings.gpg("fixed", "--batch --yes --quick-lsign-key " + keyrings.fingerprint("untrusted"));
  CHECK(problem("mallory@kv.test") == KeyProblem::none);
  REQUIRE(problem("dis@kv.test") == KeyProblem::disabled);
  keyrings.gpg("fixed", "--batch --edit-key " + keyrings.fingerprint("disabled") + " enable quit");
  CHECK(problem("dis@kv.test") == KeyProblem::none);
  shell("gpgconf --homedir " + engine.home + " --kill all; rm -rf " + engine.home);
}

TEST_CASE("crypto/keys: an old key beside its successor is not ambiguous") {
  const auto& keyrings = Keyrings::get();
  keyrings.gpg("others",
               "--batch --quiet --faked-system-time 20200101T000000 --pinentry-mode "
               "loopback --passphrase '' --quick-generate-key 'Alice 2020 "
               "<alice@kv.test>' future-default default 1d");
  shell("gpg --homedir " + keyrings.folder() + "/others --export alice@kv.test | gpg --homedir " +
        keyrings.folder() + "/ours --quiet --batch --import 2>/dev/null");
  CHECK(report_on("alice@kv.test").fingerprint == keyrings.fingerprint("alice"));
}

TEST_CASE("crypto/keys: a choice of subkey is refused, since it could not be kept") {
  const KeyReport report = report_on(Keyrings::get().fingerprint("alice") + "!");
  CHECK(report.problem != KeyProblem::none);
  CHECK(contains(report.sentence, "leave the ! out"));
}

TEST_CASE("crypto/keys: --keys explains every recipient and whether we can open the values") {
  const auto& keyrings = Keyrings::get();
  keyrings.forget_passphrases();
  const auto all = explain_keys(
      keyrings.ours(), {{"alice@kv.test", "bob@kv.test", "locked@kv.test"}, "--recipient"});
  REQUIRE(all.ok());
  INFO(all->text);
  CHECK(all->usable);
  CHECK(contains(all->text, "recipients from --recipient"));
  CHECK(contains(all->text, "it opens now"));
  CHECK(contains(all->text, "only its owner can open"));
  CHECK(contains(all->text, "the secret key is locked and there is no terminal"));
  const auto some = explain_keys(keyrings.ours(), {{"alice@kv.test", "old@kv.test"}, "x"});
  REQUIRE(some.ok());
  CHECK_FALSE(some->usable);
  CHECK(contains(some->text, "can't be used: the key " + keyrings.fingerprint("expired")));
}

TEST_CASE("crypto/keys: a gpg that is missing is named, not guessed at") {
  Engine engine = Keyrings::get().ours();
  engine.program = "/nonexistent/gpg";
  const auto reports = check_recipients(engine, Ids{"alice@kv.test"});
  CHECK_FALSE(reports.ok());
  CHECK(contains(reports.status().message(), "apt-get install"));
}
