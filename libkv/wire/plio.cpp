// See plio.hpp: atoms, lists and the hash. Numbers are in plio_number.cpp, replies in
// plio_reply.cpp, requests in plio_request.cpp.
#include "libkv/wire/plio.hpp"

#include <algorithm>

#include "libkv/base/text.hpp"
#include "libkv/wire/plio_atom.hpp"

namespace kv {
namespace {

/// What PicoLisp cannot tell from NIL.
bool is_nil(const Scalar& s) noexcept {
  return s.bytes.empty() || s.kind == Kind::nil || (s.kind == Kind::symbol && s.bytes == "NIL");
}

}  // namespace

bool symbol_survives_text(std::string_view name) noexcept {
  if (looks_like_number(name)) return false;
  while (!name.empty()) {
    const std::size_t n = utf8_length(name);
    const auto first = static_cast<unsigned char>(name[0]);
    if (n == 0 || first < 0x20 || first == 0x7F) return false;
    name.remove_prefix(n);
  }
  return true;
}

bool append_plio(std::string& out, const Scalar& value) {
  if (is_nil(value)) return out.push_back('\0'), true;
  switch (value.kind) {
    case Kind::number: return append_plio_number(out, value.bytes);
    case Kind::symbol: return append_plio_atom(out, plio_symbol, value.bytes), true;
    case Kind::list: return out.append(value.bytes), true;
    default: return append_plio_atom(out, plio_string, value.bytes), true;
  }
}

// --- PlioWriter ---

void PlioWriter::begin_element() {
  if (depth_ == 0 || top().started) return;
  if (!top().merged) out_->push_back(static_cast<char>(plio_open));
  top().started = true;
}

bool PlioWriter::open() noexcept {
  if (depth_ == frames_.size() || !takes_value()) return false;
  const bool merged = depth_ > 0 && top().tail_next;
  if (merged) top().tail_next = false, top().tail_done = true;
  else begin_element();
  frames_[depth_++] = Frame{.merged = merged};
  return true;
}

bool PlioWriter::close() {
  if (depth_ == 0 || top().tail_next) return false;
  const Frame frame = frames_[--depth_];
  if (frame.tail_done) return true;
  const bool ends_list = frame.started || frame.merged;
  out_->push_back(static_cast<char>(ends_list ? plio_close : plio_nil));
  return true;
}

bool PlioWriter::dot() noexcept {
  if (depth_ == 0 || !top().started || top().tail_next || top().tail_done) return false;
  top().tail_next = true;
  return true;
}

bool PlioWriter::value(const Scalar& value) {
  if (!takes_value()) return false;
  if (depth_ == 0 || !top().tail_next) {
    begin_element();
    return append_plio(*out_, value);
  }
  if (is_nil(value)) {
    out_->push_back(static_cast<char>(plio_close));
  } else if (value.kind == Kind::list) {
    out_->append(value.bytes.substr(1));
  } else {
    out_->push_back(static_cast<char>(plio_dot));
    if (!append_plio(*out_, value)) return out_->pop_back(), false;
  }
  top().tail_next = false;
  top().tail_done = true;
  return true;
}

// --- PlioReader ---

namespace {
enum : std::uint8_t { list_empty, list_filled, list_tail };  // PlioReader::state_
}

PlioReader::Token PlioReader::refuse(const char* why) noexcept {
  if (error_ == nullptr) error_ = why;
  in_.fail();
  return Token::error;
}

PlioReader::Token PlioReader::next() {
  if (error_ != nullptr) return Token::error;
  if (in_.at_end()) return depth_ == 0 ? Token::end : refuse("list without an end");
  const std::uint8_t byte = in_.u8();
  if (byte == plio_open) return open_list();
  if (byte == plio_dot || byte == plio_close) return mark(byte);
  return read_atom(byte);
}

PlioReader::Token PlioReader::open_list() {
  if (depth_ == state_.size()) return refuse("list nested too deep");
  state_[depth_++] = list_empty;
  return Token::open;
}

PlioReader::Token PlioReader::mark(std::uint8_t byte) {
  if (depth_ == 0) return refuse("list mark outside a list");
  std::uint8_t& state = state_[depth_ - 1];
  if (state == list_tail) return refuse("circular list");
  if (state == list_empty) return refuse("list mark at the beginning of a list");
  if (byte == plio_dot) {
    state = list_tail;
    return Token::dot;
  }
  --depth_;
  value_done();
  return Token::close;
}

void PlioReader::value_done() noexcept {
  while (depth_ > 0 && state_[depth_ - 1] == list_tail) --depth_;
  if (depth_ > 0) state_[depth_ - 1] = list_filled;
}

PlioReader::Token PlioReader::read_atom(std::uint8_t tag) {
  if (tag == plio_nil) return atom_done({{}, Kind::nil});
  const std::size_t first = tag >> 2;
  std::string_view payload = in_.take(first);
  if (first == plio_part_max) {
    payload_.assign(payload);
    for (std::size_t n = plio_chunk_max; n == plio_chunk_max && in_.ok();) {
      n = in_.u8();
      payload_.append(in_.take(n));
    }
    payload = payload_;
  }
  if (!in_.ok()) return refuse("atom cut short");
  return finish_atom(tag & 3, payload);
}

PlioReader::Token PlioReader::finish_atom(std::uint8_t kind, std::string_view payload) {
  if (kind == plio_external) return refuse("external symbol");
  if (kind == plio_number) {
    digits_.clear();
    if (!append_decimal_of_plio(digits_, payload)) return refuse("number too long");
    return atom_done({digits_, Kind::number});
  }
  return atom_done(plio_text_scalar(kind, payload));
}

PlioReader::Token PlioReader::atom_done(const Scalar& atom) noexcept {
  atom_ = atom;
  value_done();
  return Token::atom;
}

bool PlioReader::value(Scalar& value) {
  const std::size_t base = depth_;
  list_.clear();
  PlioWriter writer(list_);
  do {
    const Token token = next();
    switch (token) {
      case Token::atom:
        if (writer.depth() == 0) return value = atom_, true;
        writer.value(atom_);
        break;
      case Token::open: writer.open(); break;
      case Token::dot: writer.dot(); break;
      case Token::close:
        if (writer.depth() == 0) return false;
        writer.close();
        break;
      default: return false;
    }
    // A list that ended with its tail has no mark of its own.
    while (writer.depth() > 0 && base + writer.depth() > depth_) writer.close();
  } while (writer.depth() > 0);
  value = {list_, Kind::list};
  return true;
}

Scalar plio_text_scalar(std::uint8_t kind, std::string_view payload) noexcept {
  if (kind == plio_symbol && payload == "NIL") return {{}, Kind::nil};
  const bool symbol = kind == plio_symbol && symbol_survives_text(payload);
  return {payload, symbol ? Kind::symbol : Kind::string};
}

// --- the hash: a sum over the atoms, then a CRC-16 over the sum's 64 bits ---

void PlioHash::add(const Scalar& value) {
  if (is_nil(value)) return;
  if (value.kind == Kind::number) return add_number(value.bytes);
  if (value.kind != Kind::list) return add_text(value.bytes);
  PlioReader reader(value.bytes);
  for (auto token = reader.next(); token > PlioReader::Token::error; token = reader.next()) {
    if (token != PlioReader::Token::atom || is_nil(reader.atom())) continue;
    if (reader.atom().kind == Kind::number) add_number(reader.atom().bytes);
    else add_text(reader.atom().bytes);
  }
}

void PlioHash::add_number(std::string_view digits) {
  constexpr std::uint64_t short_end = std::uint64_t{1} << 60;  // PicoLisp's short numbers
  std::string magnitude;
  bool negative = false;
  if (!append_magnitude(magnitude, digits, negative)) return;
  magnitude.append((16 - magnitude.size() % 8) % 8 + 8, '\0');
  ByteReader words(magnitude);
  std::uint64_t word = words.u64();
  const auto rest_is_zero = [&words] {
    return words.rest().find_first_not_of('\0') == std::string_view::npos;
  };
  if (word < short_end && rest_is_zero()) {
    sum_ += 2 * word + (negative ? 1 : 0);
    return;
  }
  sum_ += negative ? 1 : 0;
  while (words.ok() && !(word < short_end && rest_is_zero())) {
    sum_ += word;
    word = words.u64();
  }
  sum_ += word;
}

void PlioHash::add_text(std::string_view text) noexcept {
  constexpr std::size_t word_bytes = 8;
  const bool short_name = text.size() < word_bytes;
  for (std::uint64_t word = 0; !text.empty(); word = 0) {
    const std::size_t n = std::min(text.size(), word_bytes);
    for (std::size_t i = n; i > 0; --i) word = word << 8 | static_cast<unsigned char>(text[i - 1]);
    sum_ += short_name ? 2 * word : word;
    text.remove_prefix(n);
  }
}

std::uint32_t PlioHash::value() const noexcept {
  constexpr std::uint32_t polynomial = 0x14002;  // x^16 + x^15 + x^2 + 1, reflected, before >> 1
  std::uint64_t sum = sum_;
  std::uint32_t crc = 0;
  for (int i = 0; i < 64; ++i, sum >>= 1) {
    if (((static_cast<std::uint32_t>(sum) ^ crc) & 1) != 0) crc ^= polynomial;
    crc >>= 1;
  }
  return crc + 1;
}

std::uint32_t plio_hash(const Scalar& value) {
  PlioHash hash;
  hash.add(value);
  return hash.value();
}

std::uint32_t plio_proof(std::string_view name) {
  // From picolisp-kv's protocol: any server of it knows this text, so it proves no secret.
  const std::string text = std::string(name) + "7672FDB2-4D29-4F10-BA7C-8EAD0E29626E";
  return plio_hash(Scalar(text));
}

void append_plio_message(std::string& out, std::string_view tag, const Scalar& value) {
  PlioWriter writer(out);
  writer.open();
  writer.value(tag);
  writer.dot();
  writer.value(value);
  writer.close();
}

}  // namespace kv
