// The header line and the armour, without gpg: exactly the forms of FORMAT.md and no other.
#include <catch2/catch.hpp>

#include "crypto/envelope.hpp"
#include "libkv/base/limits.hpp"

using namespace kv;
using namespace kv::crypto;

TEST_CASE("crypto/envelope: the header lines of FORMAT.md") {
  CHECK(*envelope_header(Place::value("k")) == "kv-sealed 1 key k\n");
  CHECK(*envelope_header(Place::value("")) == "kv-sealed 1 key \n");
  CHECK(*envelope_header(Place::value("mail/my host")) == "kv-sealed 1 key mail/my%20host\n");
  CHECK(*envelope_header(Place::value("100%\n")) == "kv-sealed 1 key 100%25%0A\n");
  CHECK(*envelope_header(Place::value("gr\xc3\xb6\xc3\x9f"
                                      "e")) == "kv-sealed 1 key größe\n");
  CHECK(*envelope_header(Place::hash_field("h", "f")) == "kv-sealed 1 field h f\n");
  CHECK(*envelope_header(Place::hash_field("", "")) == "kv-sealed 1 field  \n");
  CHECK(*envelope_header(Place::element("q")) == "kv-sealed 1 element\n");
  CHECK(*envelope_header(Place::anywhere()) == "kv-sealed 1 element\n");
}

TEST_CASE("crypto/envelope: every header reads back, and its length is taken off") {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  for (const auto& place :
       {Place::value(every_byte), Place::hash_field(every_byte, ""), Place::hash_field("", "f")}) {
    const std::string header = *envelope_header(place);
    CHECK(header.find('\n') == header.size() - 1);
    const auto envelope = read_envelope(header + "\nplain\n");
    REQUIRE(envelope.ok());
    CHECK(envelope->key == place.key);
    CHECK(envelope->field == place.field);
    CHECK(envelope->header_bytes == header.size());
    CHECK_FALSE(belongs_elsewhere(*envelope, place));
    CHECK(belongs_elsewhere(*envelope, Place::value("elsewhere")));
  }
}

TEST_CASE("crypto/envelope: a message without header is foreign and belongs everywhere") {
  for (const char* text :
       {"", "plain", "kv-sealed", "kv-sealed\t1 key k\n", "KV-SEALED 1 key k\n"}) {
    const auto envelope = read_envelope(text);
    REQUIRE(envelope.ok());
    CHECK(envelope->binding == Envelope::Binding::foreign);
    CHECK(envelope->header_bytes == 0);
    CHECK_FALSE(belongs_elsewhere(*envelope, Place::value("k")));
  }
}

TEST_CASE("crypto/envelope: a name has one spelling only") {
  for (const char* line :
       {"kv-sealed 1\n", "kv-sealed 1 \n", "kv-sealed 1 key\n", "kv-sealed 1 key a b\n",
        "kv-sealed 1 field a\n", "kv-sealed 1 field a b c\n", "kv-sealed 1 element q\n",
        "kv-sealed 1 element \n", "kv-sealed 1  key k\n", "kv-sealed 1 key %\n",
        "kv-sealed 1 key %2\n", "kv-sealed 1 key %41\n", "kv-sealed 1 key %0a\n",
        "kv-sealed 1 key a\tb\n", "kv-sealed 1 key a\r\n", "kv-sealed 1 KEY k\n",
        "kv-sealed 1 key k"}) {
    INFO(line);
    CHECK(read_envelope(line).status().code() == Code::corrupt);
  }
}

TEST_CASE("crypto/envelope: any other version is one to come") {
  for (const char* line : {"kv-sealed 2 key k\n", "kv-sealed 01 key k\n", "kv-sealed 11 x\n",
                           "kv-sealed  1 key k\n", "kv-sealed 1\tkey k\n"}) {
    INFO(line);
    CHECK(read_envelope(line).status().code() == Code::unsupported);
  }
}

TEST_CASE("crypto/envelope: a header is bounded both ways") {
  const std::string name(limits::envelope_header_bytes_max, 'a');
  CHECK(envelope_header(Place::value(name)).status().code() == Code::limit);
  CHECK(read_envelope("kv-sealed 1 key " + name + "\nv").status().code() == Code::corrupt);
}

TEST_CASE("crypto/envelope: sealed values are known by their first bytes") {
  CHECK(is_sealed("-----BEGIN PGP MESSAGE-----\n\n"));
  CHECK_FALSE(is_sealed(" -----BEGIN PGP MESSAGE-----"));
  CHECK_FALSE(is_sealed("-----BEGIN PGP SIGNED MESSAGE-----"));
  CHECK_FALSE(is_sealed("-----BEGIN PGP PUBLIC KEY BLOCK-----"));
  CHECK_FALSE(is_sealed(""));
}

TEST_CASE("crypto/envelope: messages show names so that a terminal is safe") {
  CHECK(describe(Place::value("a\x1b[2J")) == "the key \"a\\x1b[2J\"");
  CHECK(describe(Place::hash_field("h", "f")) == "the field \"f\" of the key \"h\"");
  CHECK(describe(Place::value(std::string(5000, 'a'))).size() < 300);
}
