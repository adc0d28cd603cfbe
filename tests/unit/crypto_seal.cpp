// Sealing and opening through the real gpg: what comes back, who can open it, where it belongs.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "crypto/seal.hpp"
#include "libkv/base/limits.hpp"
#include "tests/unit/crypto_fixture.hpp"

using namespace kv;
using namespace kv::crypto;
using kv::crypto::test::Keyrings;
using kv::crypto::test::sealer_for;
using kv::crypto::test::shell;

namespace {

Result<Sealer> opener(const Engine& engine) { return Sealer::create({.engine = engine}); }

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string seal_as(Sealer& sealer, std::string_view plain, const Place& place) {
  auto sealed = sealer.seal(plain, place);
  INFO(sealed.status().message());
  REQUIRE(sealed.ok());
  return *sealed;
}

std::string text_of(const Result<Opened>& opened) {
  INFO(opened.status().message());
  REQUIRE(opened.ok());
  return std::string(opened->plaintext.view());
}

}  // namespace

TEST_CASE("crypto/seal: any bytes come back, and nothing of them shows") {
  auto sealer = sealer_for({"alice@kv.test"});
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  for (const std::string& plain :
       {std::string(), std::string("v"), std::string("line\nline\r\n"), every_byte,
        std::string("\0\0", 2), std::string("kv-sealed 1 key other\n"),
        std::string("-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n")}) {
    const std::string sealed = seal_as(sealer, plain, Place::value("k"));
    CHECK(is_sealed(sealed));
    CHECK(sealed.ends_with("-----END PGP MESSAGE-----\n"));
    const auto opened = sealer.open(sealed, Place::value("k"), {});
    CHECK(text_of(opened) == plain);
    CHECK(opened->was_sealed);
    CHECK(opened->in_place);
    CHECK(opened->moved_from.empty());
    CHECK(opened->signature == Signature::none);
  }
  const std::string twice = seal_as(sealer, "the same", Place::value("k"));
  CHECK(twice != seal_as(sealer, "the same", Place::value("k")));
}

TEST_CASE("crypto/seal: 5 MiB in, 5 MiB out") {
  auto sealer = sealer_for({"alice@kv.test"});
  std::string plain(std::size_t{5} << 20, '\0');
  std::uint32_t random = 1;
  for (char& c : plain) c = static_cast<char>((random = random * 1664525 + 1013904223) >> 24);
  const std::string sealed = seal_as(sealer, plain, Place::value("k"));
  CHECK(text_of(sealer.open(sealed, Place::value("k"), {})) == plain);
}

TEST_CASE("crypto/seal: a value's size says nothing about what it repeats") {
  auto sealer = sealer_for({"alice@kv.test"});
  const std::string zeros(4096, '0');
  CHECK(seal_as(sealer, zeros, Place::value("k")).size() > zeros.size());
}

TEST_CASE("crypto/seal: a plain value passes through, unless only sealed ones will do") {
  auto sealer = sealer_for({"alice@kv.test"});
  const auto opened = sealer.open("plain", Place::value("k"), {});
  CHECK(text_of(opened) == "plain");
  CHECK_FALSE(opened->was_sealed);
  CHECK_FALSE(sealer.is_current(*opened));
  const auto strict = sealer.open("plain", Place::value("k"), {.require_sealed = true});
  CHECK(strict.status().code() == Code::crypto);
  CHECK(contains(strict.status().message(), "can't open the key \"k\": it is not sealed"));
  CHECK_FALSE(sealer.open("", Place::value("k"), {.require_sealed = true}).ok());
  CHECK_FALSE(sealer.open("plain", Place::value("k"), {.require_signed = true}).ok());
}

TEST_CASE("crypto/seal: without a recipient nothing is sealed") {
  auto sealer = sealer_for({});
  CHECK(sealer.seal("v", Place::value("k")).status().code() == Code::usage);
}

TEST_CASE("crypto/seal G3: two values that changed places are noticed, and both names said") {
  auto sealer = sealer_for({"alice@kv.test"});
  const std::string a = seal_as(sealer, "of a", Place::value("a"));
  const std::string f = seal_as(sealer, "of f", Place::hash_field("h", "f"));
  const std::string e = seal_as(sealer, "of e", Place::element("q"));
  struct Row {
    const std::string* sealed;
    Place found;
    const char* message;  // null: it belongs there
  };
  const Row rows[] = {
      {&a, Place::value("a"), nullptr},
      {&a, Place::value("b"), "can't open the key \"b\": it was sealed for the key \"a\""},
      {&a, Place::hash_field("a", "a"), "sealed for the key \"a\""},
      {&a, Place::element("a"), "can't open an element of the list \"a\": it was sealed for the"},
      {&a, Place::anywhere(), nullptr},
      {&f, Place::hash_field("h", "f"), nullptr},
      {&f, Place::hash_field("h", "g"),
       "can't open the field \"g\" of the key \"h\": it was sealed "
       "for the field \"f\" of the key \"h\""},
      {&f, Place::hash_field("i", "f"), "sealed for the field \"f\" of the key \"h\""},
      {&f, Place::value("h"), "sealed for the field"},
      {&f, Place::some_field("h"), nullptr},
      {&f, Place::some_field("i"),
       "can't open a field of the key \"i\": it was sealed for the field \"f\" of the key \"h\""},
      {&a, Place::some_field("a"), "sealed for the key \"a\""},
      {&e, Place::element("q"), nullptr},
      {&e, Place::element("other"), nullptr},
      {&e, Place::value("q"), "sealed for an element of a list"},
      {&e, Place::hash_field("q", "e"), "sealed for an element of a list"},
  };
  for (const Row& row : rows) {
    INFO(describe(row.found));
    const auto opened = sealer.open(*row.sealed, row.found, {});
    CHECK(opened.ok() == (row.message == nullptr));
    if (row.message == nullptr) continue;
    CHECK(opened.status().code() == Code::crypto);
    CHECK(contains(opened.status().message(), row.message));
    CHECK(contains(opened.status().message(), "--allow-moved"));
    const auto moved = sealer.open(*row.sealed, row.found, {.allow_moved = true});
    CHECK(contains(text_of(moved), "of "));
    CHECK(contains(opened.status().message(), "sealed for " + moved->moved_from + ";"));
    CHECK_FALSE(moved->in_place);
    CHECK_FALSE(sealer.is_current(*moved));
  }
}

TEST_CASE("crypto/seal: names of any bytes bind") {
  auto sealer = sealer_for({"alice@kv.test"});
  const std::string odd("a b%\n\0\x7f\xff", 8);
  for (const auto& place : {Place::value(odd), Place::value(""), Place::hash_field("", odd),
                            Place::hash_field(odd, "")}) {
    CHECK(text_of(sealer.open(seal_as(sealer, "v", place), place, {})) == "v");
  }
  // Two pairs of names that would be alike if they were only written one behind the other.
  const std::string sealed = seal_as(sealer, "v", Place::hash_field("a b", "c"));
  CHECK_FALSE(sealer.open(sealed, Place::hash_field("a", "b c"), {}).ok());
}

TEST_CASE("crypto/seal G5: each of several recipients opens, and a changed list is re-sealed") {
  const auto& keyrings = Keyrings::get();
  auto alone = sealer_for({"alice@kv.test"});
  auto both = sealer_for({"alice@kv.test", "bob@kv.test", "Alice Able"});
  auto bob = opener(keyrings.others());
  REQUIRE(bob.ok());
  const Place place = Place::value("k");
  const std::string for_both = seal_as(both, "shared", place);
  CHECK(text_of(bob->open(for_both, place, {})) == "shared");
  auto opened = alone.open(for_both, place, {});
  CHECK(text_of(opened) == "shared");
  CHECK(opened->sealed_for.size() == 2);
  CHECK(both.is_current(*opened));
  CHECK_FALSE(alone.is_current(*opened));
  // Bob leaves.
  const std::string for_alice = seal_as(alone, opened->plaintext.view(), place);
  opened = alone.open(for_alice, place, {});
  CHECK(text_of(opened) == "shared");
  CHECK(alone.is_current(*opened));
  CHECK_FALSE(both.is_current(*opened));
  const auto refused = bob->open(for_alice, place, {});
  CHECK(refused.status().code() == Code::crypto);
  CHECK(contains(refused.status().message(), "secret key of none of its recipients"));
  CHECK(contains(refused.status().message(), opened->sealed_for.front()));
}

TEST_CASE("crypto/seal G2: a locked key without a terminal fails within 5 seconds") {
  const auto& keyrings = Keyrings::get();
  auto sealer = sealer_for({"locked@kv.test"});
  const std::string sealed = seal_as(sealer, "v", Place::value("k"));
  keyrings.forget_passphrases();
  Engine engine = keyrings.ours();
  engine.prompt = Engine::Prompt::automatic;
  const auto start = std::chrono::steady_clock::now();
  const int status = kv::crypto::test::without_terminal(5, [&] {
    auto locked = opener(engine);
    if (!locked) return 100;
    const auto opened = locked->open(sealed, Place::value("k"), {});
    if (!contains(opened.status().message(), "locked and there is no terminal")) return 101;
    return exit_code(opened.status().code());
  });
  CHECK(status == 5);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  // Signing needs the secret key as well.
  const int signing = kv::crypto::test::without_terminal(5, [&] {
    auto signer = Sealer::create({.recipients = {"alice@kv.test"},
                                  .sign = true,
                                  .sign_with = "locked@kv.test",
                                  .engine = engine});
    if (!signer) return 100;
    const auto signed_value = signer->seal("v", Place::value("k"));
    if (!contains(signed_value.status().message(), "can't sign: the secret key is locked")) {
      return 101;
    }
    return exit_code(signed_value.status().code());
  });
  CHECK(signing == 5);
}

TEST_CASE("crypto/seal G6: noise and a bad exit code of a gpg that did its work are no failure") {
  const auto& keyrings = Keyrings::get();
  const Engine noisy = keyrings.ours_through(
      "\"$GPG\" \"$@\"; status=$?; echo 'gpg: error: everything is on fire' >&2\n"
      "case \"$*\" in *--decrypt*|*--encrypt*) exit 2;; esac; exit $status");
  auto sealer = Sealer::create({.recipients = {"alice@kv.test"}, .engine = noisy});
  REQUIRE(sealer.ok());
  const std::string sealed = seal_as(*sealer, "v", Place::value("k"));
  CHECK(text_of(sealer->open(sealed, Place::value("k"), {})) == "v");
}

TEST_CASE("crypto/seal G6: a silent gpg that did not do its work is a failure") {
  const auto& keyrings = Keyrings::get();
  const Engine lazy = keyrings.ours_through(
      "case \"$*\" in *--decrypt*|*--encrypt*) cat >/dev/null; exit 0;; esac; exec \"$GPG\" "
      "\"$@\"");
  auto sealer = Sealer::create({.recipients = {"alice@kv.test"}, .engine = lazy});
  REQUIRE(sealer.ok());
  CHECK_FALSE(sealer->seal("v", Place::value("k")).ok());
  auto honest = sealer_for({"alice@kv.test"});
  CHECK_FALSE(sealer->open(seal_as(honest, "v", Place::value("k")), Place::value("k"), {}).ok());
}

TEST_CASE("crypto/seal: what picolisp-kv sealed opens, bound to nothing") {
  const auto& keyrings = Keyrings::get();
  auto sealer = sealer_for({"alice@kv.test"});
  const std::string sealed =
      keyrings.gpg("ours", "-v --output - --yes -a --encrypt -r alice@kv.test", "old value");
  for (const std::string& stored : {sealed, sealed.substr(0, sealed.size() - 1)}) {
    const auto opened = sealer.open(stored, Place::value("any"), {.require_sealed = true});
    CHECK(text_of(opened) == "old value");
    CHECK(opened->was_sealed);
    CHECK_FALSE(opened->in_place);
    CHECK_FALSE(sealer.is_current(*opened));
  }
}

TEST_CASE("crypto/seal: a person opens a value with gpg alone, as FORMAT.md says") {
  const auto& keyrings = Keyrings::get();
  auto sealer = sealer_for({"alice@kv.test"});
  const std::string sealed = seal_as(sealer, "two\nlines\n", Place::value("mail/my host"));
  CHECK(keyrings.gpg("ours", "--quiet --decrypt", sealed) ==
        "kv-sealed 1 key mail/my%20host\ntwo\nlines\n");
  // And makes one: nothing about the form is private to kv.
  const std::string by_hand = keyrings.gpg("ours", "--armor --encrypt -r alice@kv.test",
                                           "kv-sealed 1 field h f%20g\nby hand");
  CHECK(text_of(sealer.open(by_hand, Place::hash_field("h", "f g"), {})) == "by hand");
}

TEST_CASE("crypto/seal: the example in FORMAT.md opens, with gpg alone and with kv") {
  // It stays as it is for ever: values sealed by the first version must open in every later one.
  const char* top = std::getenv("KV_TOP");
  std::ifstream file(std::string(top != nullptr ? top : ".") + "/crypto/FORMAT.md");
  REQUIRE(file.is_open());
  std::string text, line, home = Keyrings::get().folder() + "/example";
  while (std::getline(file, line))
    text += (line.starts_with("    ") ? line.substr(4) : line) + "\n";
  const auto block = [&](const std::string& what) {
    const std::size_t from = text.find("-----BEGIN PGP " + what + "-----\n\n");
    const std::string end = "-----END PGP " + what + "-----\n";
    return text.substr(from, text.find(end, from) + end.size() - from);
  };
  shell("mkdir -m 700 " + home);
  Keyrings::get().gpg("example", "--batch --quiet --import", block("PRIVATE KEY BLOCK"));
  CHECK(Keyrings::get().gpg("example", "--quiet --decrypt", block("MESSAGE")) ==
        "kv-sealed 1 key mail/my%20host\nmy password");
  auto sealer = opener({{}, home, Engine::Prompt::never});
  REQUIRE(sealer.ok());
  CHECK(text_of(sealer->open(block("MESSAGE"), Place::value("mail/my host"), {})) == "my password");
  shell("gpgconf --homedir " + home + " --kill all");
}

TEST_CASE("crypto/seal: several sealers work in several threads") {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  const Engine engine = Keyrings::get().ours();
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      auto sealer = Sealer::create({.recipients = {"alice@kv.test"}, .engine = engine});
      if (!sealer) return;
      for (int round = 0; round < 3; ++round) {
        const std::string plain = std::to_string(i) + "/" + std::to_string(round);
        const auto sealed = sealer->seal(plain, Place::value("k"));
        if (!sealed) return;
        const auto opened = sealer->open(*sealed, Place::value("k"), {});
        right += opened.ok() && opened->plaintext.view() == plain;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == 12);
}

TEST_CASE("crypto/seal: forms of later versions and broken headers are refused by name") {
  const auto& keyrings = Keyrings::get();
  auto sealer = sealer_for({"alice@kv.test"});
  const auto open = [&](const std::string& plain) {
    const auto sealed = keyrings.gpg("ours", "--armor --encrypt -r alice@kv.test", plain);
    return sealer.open(sealed, Place::value("k"), {.allow_moved = true}).status();
  };
  const Status later = open("kv-sealed 2 key k\nv");
  CHECK(later.code() == Code::crypto);
  CHECK(contains(later.message(), "form \"2\""));
  CHECK(contains(later.message(), "use a newer client"));
  CHECK(open("kv-sealed 1 key k").code() == Code::crypto);
  CHECK(open("kv-sealed 1 box k\nv").code() == Code::crypto);
}

TEST_CASE("crypto/seal: a gpg.conf with encrypt-to and throw-keyids changes nobody who reads") {
  const auto& keyrings = Keyrings::get();
  const Engine configured = keyrings.ours_through(
      "exec \"$GPG\" --encrypt-to bob@kv.test --comment '-----END PGP MESSAGE' \"$@\"");
  auto sealer = Sealer::create({.recipients = {"alice@kv.test"}, .engine = configured});
  REQUIRE(sealer.ok());
  const std::string sealed = seal_as(*sealer, "v", Place::value("k"));
  auto bob = opener(keyrings.others());
  REQUIRE(bob.ok());
  CHECK_FALSE(bob->open(sealed, Place::value("k"), {}).ok());
}

TEST_CASE("crypto/secret: a secret grows, moves and loses its front without losing bytes") {
  SecretString secret;
  std::string twin;
  for (int i = 0; i < 3000; ++i) {
    const std::string part = std::to_string(i);
    secret.append(part);
    twin += part;
  }
  CHECK(secret.view() == twin);
  secret.remove_prefix(1000);
  SecretString moved = std::move(secret);
  CHECK(moved.view() == std::string_view(twin).substr(1000));
  moved.append("end");
  CHECK(moved.view() == twin.substr(1000) + "end");
  moved.clear();
  CHECK(moved.view().empty());
}

TEST_CASE("crypto/secret: wiping reaches every byte, also behind the end") {
  std::string text = "a password that is longer than any small buffer";
  const std::size_t capacity = text.capacity();
  const char* bytes = text.data();
  text.resize(3);
  wipe(text);
  CHECK(text.empty());
  REQUIRE(text.data() == bytes);
  text.resize(capacity, 'x');  // the same memory: only what wipe() left can be in it
  char buffer[] = "secret";
  wipe(buffer, 6);
  CHECK(std::string_view(buffer, 6) == std::string_view("\0\0\0\0\0\0", 6));
}
