// G3 and signatures: a value that somebody changed never gives plain text, whatever was changed.
#include <algorithm>
#include <catch2/catch.hpp>

#include "crypto/seal.hpp"
#include "tests/unit/crypto_fixture.hpp"

using namespace kv;
using namespace kv::crypto;
using kv::crypto::test::Keyrings;
using kv::crypto::test::sealer_for;
using kv::crypto::test::shell;

namespace {

constexpr std::string_view plain = "the plain text";
const Place place = Place::value("k");

std::string sealed_value(Sealer& sealer) {
  auto sealed = sealer.seal(plain, place);
  REQUIRE(sealed.ok());
  return *sealed;
}

/// Without the checksum line, which anybody can compute again: so that gpg's own protection of
/// what is encrypted is tested and not a CRC-24.
std::string without_checksum(std::string sealed) {
  const std::size_t line = sealed.rfind("\n=");
  REQUIRE(line != std::string::npos);
  sealed.erase(line, sealed.find('\n', line + 1) - line);
  return sealed;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// A value signed by `signer` of that home, sealed for alice by hand. `between` is a filter that
/// the signed packets go through before they are encrypted.
std::string signed_value(const std::string& home, const std::string& signer,
                         const std::string& between = "cat", const std::string& words = "") {
  const auto& keyrings = Keyrings::get();
  const std::string gpg = "gpg --batch --quiet --homedir " + keyrings.folder() + "/";
  return shell("printf 'kv-sealed 1 key k\\nthe plain text' | " + gpg + home +
               " --pinentry-mode loopback --passphrase '' -z 0 " + words + " --local-user " +
               signer + " --sign 2>/dev/null | " + between + " | " + gpg +
               "ours --armor --no-literal --encrypt -r alice@kv.test 2>/dev/null");
}

Result<Opened> open(const std::string& sealed, const OpenOptions& options = {}) {
  auto sealer = sealer_for({});
  return sealer.open(sealed, place, options);
}

}  // namespace

TEST_CASE("crypto/tamper G3: no flipped bit gives other plain text") {
  auto sealer = sealer_for({"alice@kv.test"});
  for (const bool checksum : {true, false}) {
    const std::string sealed =
        checksum ? sealed_value(sealer) : without_checksum(sealed_value(sealer));
    const std::size_t body = sealed.find("\n\n") + 2, end = sealed.find("\n-----END");
    for (std::size_t i = body; i < end; i += 7) {
      if (sealed[i] == '\n' || sealed[i] == '=') continue;
      std::string changed = sealed;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';  // another base64 digit
      const auto opened = sealer.open(changed, place, {});
      INFO("byte " << i << " of " << sealed.size());
      // The last digit of a message carries bits that mean nothing; all others must be noticed.
      if (opened) CHECK(i + 4 >= end);
      else CHECK(opened.status().code() == Code::crypto);
    }
  }
}

TEST_CASE("crypto/tamper G3: no cut value gives plain text") {
  auto sealer = sealer_for({"alice@kv.test"});
  const std::string sealed = sealed_value(sealer);
  const std::size_t shortest = std::string_view("-----BEGIN PGP MESSAGE-----").size();
  for (std::size_t size = shortest; size + 1 < sealed.size(); size += 11) {
    const auto opened = sealer.open(sealed.substr(0, size), place, {});
    INFO("cut to " << size << " of " << sealed.size());
    CHECK_FALSE(opened.ok());
  }
  // Lines lost from the middle, so that both ends are there.
  const std::size_t first = sealed.find("\n\n") + 2, second = sealed.find('\n', first) + 1;
  CHECK_FALSE(sealer.open(sealed.substr(0, first) + sealed.substr(second), place, {}).ok());
}

TEST_CASE("crypto/tamper G3: a value with something hung on is refused") {
  auto sealer = sealer_for({"alice@kv.test"});
  const std::string sealed = sealed_value(sealer);
  CHECK(sealer.open(sealed + "\r\n", place, {}).ok());
  CHECK(sealer.open(sealed + sealed, place, {}).status().code() == Code::crypto);
  CHECK(sealer.open(sealed + "x", place, {}).status().code() == Code::crypto);
}

TEST_CASE("crypto/tamper G3: messages that were never encrypted for a key are refused") {
  const auto& keyrings = Keyrings::get();
  const std::string text = "kv-sealed 1 key k\nforged";
  for (const char* words :
       {"--armor --store", "--armor --sign --local-user alice@kv.test",
        "--armor --batch --pinentry-mode loopback --passphrase p --symmetric"}) {
    INFO(words);
    const std::string forged = keyrings.gpg("ours", words, text);
    REQUIRE(is_sealed(forged));
    const auto opened = open(forged);
    CHECK(opened.status().code() == Code::crypto);
  }
}

TEST_CASE("crypto/tamper: nothing but an envelope, nothing at all") {
  for (const char* body : {"", "\n", "\n\n=\n", "\n\nAAAA\n", "\n\n%%%%\n"}) {
    CHECK_FALSE(
        open(std::string("-----BEGIN PGP MESSAGE-----") + body + "\n-----END PGP MESSAGE-----\n")
            .ok());
  }
}

TEST_CASE("crypto/signature: --sign is seen as good by whoever trusts the signer") {
  const auto& keyrings = Keyrings::get();
  for (const char* with : {"", "alice@kv.test"}) {
    auto sealer = Sealer::create({.recipients = {"alice@kv.test", "bob@kv.test"},
                                  .sign = true,
                                  .sign_with = with,
                                  .engine = keyrings.ours()});
    REQUIRE(sealer.ok());
    const std::string sealed = sealed_value(*sealer);
    const auto opened = sealer->open(sealed, place, {.require_signed = true});
    INFO(opened.status().message());
    REQUIRE(opened.ok());
    CHECK(opened->plaintext.view() == plain);
    CHECK(opened->signature == Signature::good);
    CHECK(opened->signature_note.empty());
    CHECK(contains(opened->signer, "Alice Able"));
    CHECK(sealer->is_current(*opened));
    // Bob has never signed Alice's key.
    auto bob = Sealer::create({.engine = keyrings.others()});
    REQUIRE(bob.ok());
    const auto at_bob = bob->open(sealed, place, {});
    REQUIRE(at_bob.ok());
    CHECK(at_bob->signature == Signature::unknown_signer);
    CHECK(contains(at_bob->signature_note, "not in your keyring"));
    CHECK_FALSE(bob->open(sealed, place, {.require_signed = true}).ok());
  }
}

TEST_CASE("crypto/signature: unsigned, untrusted, expired and revoked signers are told apart") {
  const auto& keyrings = Keyrings::get();
  struct Row {
    std::string sealed;
    Signature state;
    const char* note;
  };
  const Row rows[] = {
      {signed_value("others", "bob@kv.test"), Signature::good, ""},
      {signed_value("others", keyrings.fingerprint("untrusted")), Signature::untrusted,
       "nothing in your keyring says"},
      {signed_value("others", keyrings.fingerprint("revoked")), Signature::revoked, "revoked"},
      {signed_value("others", keyrings.fingerprint("expired"), "cat",
                    "--faked-system-time 20200101T000100"),
       Signature::expired, "expired"},
  };
  for (const Row& row : rows) {
    const auto opened = open(row.sealed);
    INFO(opened.status().message());
    REQUIRE(opened.ok());
    INFO(opened->signature_note);
    CHECK(opened->plaintext.view() == plain);
    CHECK(opened->signature == row.state);
    CHECK(contains(opened->signature_note, row.note));
    CHECK(open(row.sealed, {.require_signed = true}).ok() == (row.state == Signature::good));
  }
  auto sealer = sealer_for({"alice@kv.test"});
  const auto unsigned_value = open(sealed_value(sealer), {.require_signed = true});
  CHECK(contains(unsigned_value.status().message(), "it is not signed"));
}

TEST_CASE("crypto/signature G3: a recipient who changes a signed value is found out") {
  const auto opened = open(signed_value("others", "bob@kv.test", "sed 's/plain text/other text/'"));
  CHECK(opened.status().code() == Code::crypto);
  CHECK(contains(opened.status().message(), "bad signature"));
  CHECK(contains(opened.status().message(), "Bob"));
}

TEST_CASE("crypto/signature: a key that can't sign is named before anything is sealed") {
  const auto& keyrings = Keyrings::get();
  const auto sealer = Sealer::create({.recipients = {"alice@kv.test"},
                                      .sign = true,
                                      .sign_with = "bob@kv.test",
                                      .engine = keyrings.ours()});
  CHECK(sealer.status().code() == Code::crypto);
  CHECK(contains(sealer.status().message(), "no secret key \"bob@kv.test\""));
}
