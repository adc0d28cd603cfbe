// See envelope.hpp; the grammar is in FORMAT.md.
#include "crypto/envelope.hpp"

#include <utility>

#include "libkv/base/limits.hpp"
#include "libkv/base/text.hpp"

namespace kv::crypto {
namespace {

constexpr std::string_view armour_begin = "-----BEGIN PGP MESSAGE-----";
constexpr std::string_view armour_end = "-----END PGP MESSAGE-----";
constexpr std::string_view magic = "kv-sealed ";
constexpr std::string_view version = "1";
constexpr std::size_t shown_bytes_max = 200;  // of a name, in a message

bool must_escape(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7F || c == '%';
}

void append_escaped(std::string& out, std::string_view name) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : name) {
    if (!must_escape(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The reverse of append_escaped, and of nothing else: each name has exactly one spelling.
std::optional<std::string> unescaped(std::string_view word) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] != '%') {
      if (must_escape(word[i])) return std::nullopt;
      out.push_back(word[i]);
      continue;
    }
    if (word.size() - i < 3) return std::nullopt;
    const int high = hex_digit(word[i + 1]), low = hex_digit(word[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    const char c = static_cast<char>(high * 16 + low);
    if (!must_escape(c)) return std::nullopt;
    out.push_back(c);
    i += 2;
  }
  return out;
}

/// Takes the word before the next blank, or all, off the front of text.
std::string_view take_word(std::string_view& text) noexcept {
  const std::size_t blank = text.find(' ');
  const std::string_view word = text.substr(0, blank);
  text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
  return word;
}

/// What follows the version, without the line break.
std::optional<Envelope> parse_binding(std::string_view text) {
  Envelope envelope;
  const bool has_name = text.find(' ') != std::string_view::npos;
  const std::string_view kind = take_word(text);
  if (kind == "element" && !has_name) {
    envelope.binding = Envelope::Binding::element;
    return envelope;
  }
  if (!has_name || (kind != "key" && kind != "field")) return std::nullopt;
  const bool two_names = text.find(' ') != std::string_view::npos;
  if (two_names != (kind == "field")) return std::nullopt;
  auto key = unescaped(take_word(text));
  auto field = unescaped(text);
  if (!key || !field) return std::nullopt;
  envelope.binding = two_names ? Envelope::Binding::field : Envelope::Binding::value;
  envelope.key = std::move(*key);
  envelope.field = std::move(*field);
  return envelope;
}

std::string shown_name(std::string_view name) { return '"' + shown(name, shown_bytes_max) + '"'; }

Place place_of(const Envelope& envelope) {
  if (envelope.binding == Envelope::Binding::value) return Place::value(envelope.key);
  return Place::hash_field(envelope.key, envelope.field);
}

}  // namespace

std::string describe(const Place& place) {
  switch (place.kind) {
    case Place::Kind::value: return "the key " + shown_name(place.key);
    case Place::Kind::field:
      return "the field " + shown_name(place.field) + " of the key " + shown_name(place.key);
    case Place::Kind::some_field: return "a field of the key " + shown_name(place.key);
    case Place::Kind::element: return "an element of the list " + shown_name(place.key);
    case Place::Kind::anywhere: break;
  }
  return "a value";
}

bool is_sealed(std::string_view bytes) noexcept { return bytes.starts_with(armour_begin); }

Status check_armour(std::string_view sealed) {
  if (!is_sealed(sealed)) return {Code::corrupt, "the value is not an armoured OpenPGP message"};
  const std::size_t end = sealed.find(armour_end);
  if (end == std::string_view::npos || sealed[end - 1] != '\n') {
    return {Code::corrupt,
            "the sealed value has no end line: it was cut off; restore it from a backup"};
  }
  const std::string_view rest = sealed.substr(end + armour_end.size());
  if (rest.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    return {Code::corrupt,
            "something was added behind the sealed value; look at it with "
            "./client GET and restore it from a backup"};
  }
  return {};
}

Result<std::string> envelope_header(const Place& place) {
  std::string line{magic};
  line.append(version);
  switch (place.kind) {
    case Place::Kind::value:
      line += " key ";
      append_escaped(line, place.key);
      break;
    case Place::Kind::field:
      line += " field ";
      append_escaped(line, place.key);
      line += ' ';
      append_escaped(line, place.field);
      break;
    case Place::Kind::some_field:
      return Status{Code::usage, "what is sealed for a hash is sealed for one field"};
    case Place::Kind::element:
    case Place::Kind::anywhere: line += " element"; break;
  }
  line += '\n';
  if (line.size() > limits::envelope_header_bytes_max) {
    return Status{Code::limit, "the name of " + describe(place) + " is too long to be sealed"};
  }
  return line;
}

Result<Envelope> read_envelope(std::string_view opened) {
  if (!opened.starts_with(magic)) return Envelope{};
  const std::size_t end = opened.substr(0, limits::envelope_header_bytes_max).find('\n');
  const Status unreadable{Code::corrupt,
                          "the sealed value has a header this build can't read; open it by hand "
                          "with gpg --decrypt and look at its first line"};
  if (end == std::string_view::npos) return unreadable;
  std::string_view line = opened.substr(magic.size(), end - magic.size());
  const std::string_view found = take_word(line);
  if (found != version) {
    return Status{Code::unsupported, "the value was sealed in form " + shown_name(found) +
                                         ", and this build knows only form 1: use a newer client"};
  }
  auto envelope = parse_binding(line);
  if (!envelope) return unreadable;
  envelope->header_bytes = end + 1;
  return std::move(*envelope);
}

std::optional<std::string> belongs_elsewhere(const Envelope& envelope, const Place& found) {
  if (found.kind == Place::Kind::anywhere) return std::nullopt;
  switch (envelope.binding) {
    case Envelope::Binding::foreign: return std::nullopt;
    case Envelope::Binding::element:
      if (found.kind == Place::Kind::element) return std::nullopt;
      return "an element of a list";
    case Envelope::Binding::value:
      if (found.kind == Place::Kind::value && found.key == envelope.key) return std::nullopt;
      break;
    case Envelope::Binding::field:
      if (found.key != envelope.key) break;
      if (found.kind == Place::Kind::some_field) return std::nullopt;
      if (found.kind == Place::Kind::field && found.field == envelope.field) return std::nullopt;
      break;
  }
  return describe(place_of(envelope));
}

}  // namespace kv::crypto
