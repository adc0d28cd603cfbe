// See dump.hpp: writing.
#include "persistence/dump.hpp"

#include <cerrno>
#include <cmath>

#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "persistence/json.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

constexpr std::size_t write_bytes = 256 * 1024;
constexpr std::size_t elements_at_a_time = 512;  // of one RPUSH, HSET, SADD or ZADD

/// A stdio stream as a File, for the text snapshot's writer.
class StreamFile final : public File {
 public:
  explicit StreamFile(std::FILE* stream) : File("standard output"), stream_(stream) {}
  std::int64_t write_some(const char* bytes, std::size_t size) noexcept override {
    const std::size_t n = std::fwrite(bytes, 1, size, stream_);
    return n == 0 && size > 0 ? -static_cast<std::int64_t>(errno) : static_cast<std::int64_t>(n);
  }
  std::int64_t read_some(char*, std::size_t) noexcept override { return -EBADF; }
  int sync_data() noexcept override { return std::fflush(stream_) == 0 ? 0 : errno; }
  int truncate(std::uint64_t) noexcept override { return EBADF; }
  int allocate(std::uint64_t, std::uint64_t) noexcept override { return EBADF; }
  int info(FileInfo&) const noexcept override { return EBADF; }

 private:
  std::FILE* stream_;
};

// --- JSON ---

void write_scalar(JsonWriter& json, const Scalar& value) {
  const auto wrapped = [&](std::string_view name, std::string_view text) {
    json.begin_object();
    json.member(name, text);
    json.end_object();
  };
  switch (value.kind) {
    case Kind::string:
      if (is_utf8(value.bytes)) json.string(value.bytes);
      else wrapped("base64", to_base64(value.bytes));
      return;
    case Kind::number: json.number(value.bytes); return;
    case Kind::symbol: wrapped("symbol", value.bytes); return;
    case Kind::nil: json.null(); return;
    case Kind::list: wrapped("lisp", lisp_text(value.bytes)); return;
  }
}

/// Of a list or a set.
void visit_elements(Keyspace& keys, const Keyspace::Item& item,
                    FunctionRef<bool(const Scalar&)> visit) {
  Place place = item.place;
  if (item.type == Type::set) return keys.set(place).visit(visit);
  const List list = keys.list(place);
  list.visit(0, list.size(), visit);
}

/// In pairs. What JSON has no number for is a string.
void write_sorted_set(JsonWriter& json, const SortedSet& set) {
  json.begin_array();
  set.visit(0, SIZE_MAX, Direction::up, [&](const SortedSet::Element& element) {
    json.begin_array();
    write_scalar(json, element.member);
    const std::string score = format_decimal(element.score);
    if (std::isfinite(element.score)) json.number(score);
    else json.string(score);
    json.end_array();
    return true;
  });
  json.end_array();
}

bool has_plain_fields(const Hash& hash) {
  bool plain = true;
  hash.visit([&](const Hash::Pair& pair) {
    plain = pair.field.kind == Kind::string && is_utf8(pair.field.bytes);
    return plain;
  });
  return plain;
}

void write_hash(JsonWriter& json, const Hash& hash) {
  const bool plain = has_plain_fields(hash);
  plain ? json.begin_object() : json.begin_array();
  hash.visit([&](const Hash::Pair& pair) {
    if (plain) {
      json.key(pair.field.bytes);
      write_scalar(json, pair.value);
    } else {
      json.begin_array();
      write_scalar(json, pair.field);
      write_scalar(json, pair.value);
      json.end_array();
    }
    return true;
  });
  plain ? json.end_object() : json.end_array();
}

void append_json(std::string& out, Keyspace& keys, const Keyspace::Item& item, unsigned database) {
  JsonWriter json;
  Place place = item.place;
  json.begin_object();
  json.key("key");
  write_scalar(json, Scalar(item.key));
  json.member("type", type_name(item.type));
  json.key("value");
  if (item.type == Type::string) {
    write_scalar(json, keys.string(place));
  } else if (item.type == Type::hash) {
    write_hash(json, keys.hash(place));
  } else if (item.type == Type::zset) {
    write_sorted_set(json, keys.sorted_set(place));
  } else {
    json.begin_array();
    visit_elements(keys, item, [&](const Scalar& element) {
      write_scalar(json, element);
      return true;
    });
    json.end_array();
  }
  if (database != 0) json.member("db", std::uint64_t{database});
  if (item.expiry_ms) json.key("expires"), json.number(std::to_string(*item.expiry_ms));
  json.end_object();
  out.append(json.text()).push_back('\n');
}

// --- RESP ---

void append_bulk(std::string& out, std::string_view bytes) {
  out.append("$").append(std::to_string(bytes.size())).append("\r\n").append(bytes).append("\r\n");
}

void append_command(std::string& out, std::span<const std::string_view> words) {
  out.append("*").append(std::to_string(words.size())).append("\r\n");
  for (const std::string_view word : words) append_bulk(out, word);
}

/// Collects elements and writes a command every so many of them.
class Pieces {
 public:
  Pieces(std::string& out, std::string_view command, std::string_view key) : out_(out) {
    head_ = {std::string(command), std::string(key)};
  }
  void add(std::string_view element) { elements_.emplace_back(element); }
  void flush_if(std::size_t enough) {
    if (elements_.empty() || elements_.size() < enough) return;
    std::vector<std::string_view> words(head_.begin(), head_.end());
    words.insert(words.end(), elements_.begin(), elements_.end());
    append_command(out_, words);
    elements_.clear();
  }

 private:
  std::string& out_;
  std::vector<std::string> head_, elements_;
};

std::string_view adding_command(Type type) {
  switch (type) {
    case Type::list: return "RPUSH";
    case Type::set: return "SADD";
    case Type::zset: return "ZADD";
    default: return "HSET";
  }
}

void append_resp(std::string& out, Keyspace& keys, const Keyspace::Item& item) {
  Place place = item.place;
  const auto bytes_of = [](const Scalar& s) {
    return s.kind == Kind::list ? lisp_text(s.bytes) : std::string(s.bytes);
  };
  if (item.type == Type::string) {
    const std::string value = bytes_of(keys.string(place));
    append_command(out, std::vector<std::string_view>{"SET", item.key, value});
  } else {
    append_command(out, std::vector<std::string_view>{"DEL", item.key});
    Pieces pieces(out, adding_command(item.type), item.key);
    if (item.type == Type::zset) {
      keys.sorted_set(place).visit(0, SIZE_MAX, Direction::up, [&](const auto& element) {
        pieces.add(format_decimal(element.score));
        pieces.add(bytes_of(element.member));
        pieces.flush_if(elements_at_a_time);
        return true;
      });
    } else if (item.type != Type::hash) {
      visit_elements(keys, item, [&](const Scalar& element) {
        pieces.add(bytes_of(element));
        pieces.flush_if(elements_at_a_time);
        return true;
      });
    } else {
      keys.hash(place).visit([&](const Hash::Pair& pair) {
        pieces.add(bytes_of(pair.field));
        pieces.add(bytes_of(pair.value));
        pieces.flush_if(elements_at_a_time);
        return true;
      });
    }
    pieces.flush_if(0);
  }
  if (item.expiry_ms) {
    const std::string at = std::to_string(*item.expiry_ms);
    append_command(out, std::vector<std::string_view>{"PEXPIREAT", item.key, at});
  }
}

Status write_out(std::string& text, std::FILE* out) {
  const bool good = std::fwrite(text.data(), 1, text.size(), out) == text.size();
  text.clear();
  return good ? Status{} : Status::from_errno(errno, "cannot write the dump");
}

}  // namespace

Status dump(std::span<Keyspace* const> databases, std::string_view form, const SaveJob& as_of,
            std::FILE* out) {
  if (form == "text") {
    StreamFile file(out);
    if (Status s = write_text_snapshot(file, as_of, databases, {}); !s) return s;
    return file.sync();
  }
  const bool resp = form == "resp";
  if (!resp && form != "json") {
    return {Code::usage, "a dump is text, json or resp, not '" + std::string(form) + "'"};
  }
  std::string text;
  Status status;
  for (unsigned number = 0; number < databases.size() && status; ++number) {
    Keyspace& keys = *databases[number];
    if (resp && number > 0 && keys.size() > 0) {
      const std::string index = std::to_string(number);
      append_command(text, std::vector<std::string_view>{"SELECT", index});
    }
    keys.for_each([&](const Keyspace::Item& item) {
      resp ? append_resp(text, keys, item) : append_json(text, keys, item, number);
      if (text.size() >= write_bytes) status = write_out(text, out);
      return status.ok();
    });
  }
  if (status) status = write_out(text, out);
  if (status && std::fflush(out) != 0) status = Status::from_errno(errno, "cannot write the dump");
  return status;
}

}  // namespace kv
