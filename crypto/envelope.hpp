// The sealed value: what it looks like from outside, and the header that binds it to its place.
//
// From outside a sealed value is an ASCII-armoured OpenPGP message. Inside, before the plain text,
// stands one line that names the key (and hash field) it was sealed for; FORMAT.md has the grammar
// and the weaknesses. Nothing here calls GPG, and nothing here copies plain text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libkv/base/status.hpp"

namespace kv::crypto {

/// Where a value is stored, or was found. The views are the caller's.
struct Place {
  enum class Kind : unsigned char {
    value,       // the string stored at `key`
    field,       // the field `field` of the hash at `key`
    some_field,  // a field of the hash at `key`, which one the reply does not tell; only opened
    element,     // an element of a list: not bound, since queues move elements between lists
    anywhere,    // the place can't be known: sealed like an element, opened without a check
  };
  Kind kind = Kind::anywhere;
  std::string_view key, field;

  static Place value(std::string_view key) { return {Kind::value, key, {}}; }
  static Place hash_field(std::string_view key, std::string_view field) {
    return {Kind::field, key, field};
  }
  static Place some_field(std::string_view key) { return {Kind::some_field, key, {}}; }
  static Place element(std::string_view list_key) { return {Kind::element, list_key, {}}; }
  static Place anywhere() { return {}; }
};

/// For messages: `the key "a"`, `the field "f" of the key "h"`, `an element of the list "q"`.
std::string describe(const Place& place);

/// True for everything that claims to be sealed: decided by the first bytes, without GPG.
bool is_sealed(std::string_view bytes) noexcept;

/// Code::corrupt unless the bytes are one armoured message and nothing before or after it, so
/// that a cut value, or one with something hung on behind, is found before GPG sees it.
Status check_armour(std::string_view sealed);

/// The header line of a value sealed for this place, line break included. Code::limit for a name
/// whose line would be over limits::envelope_header_bytes_max.
Result<std::string> envelope_header(const Place& place);

/// What a header line says. The names are decoded; a foreign message has no header.
struct Envelope {
  enum class Binding : unsigned char {
    value,    // bound to `key`
    field,    // bound to `key` and `field`
    element,  // by kv, and bound to nothing
    foreign,  // by another program (picolisp-kv, gpg itself): no header, bound to nothing
  };
  Binding binding = Binding::foreign;
  std::string key, field;
  std::size_t header_bytes = 0;  // to be taken off the front of the plain text
};

/// Reads the header at the front of an opened message. Code::unsupported for a version this build
/// does not know, Code::corrupt for a line that is none of the forms in FORMAT.md.
Result<Envelope> read_envelope(std::string_view opened);

/// Nothing if a value with this envelope belongs there; else where it does belong, in words.
/// A foreign message belongs everywhere, and everything belongs to Place::anywhere().
std::optional<std::string> belongs_elsewhere(const Envelope& envelope, const Place& found);

}  // namespace kv::crypto
