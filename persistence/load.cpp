// See dump.hpp: reading a dump back.
#include "libkv/base/clock.hpp"
#include "libkv/base/text.hpp"
#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/resp.hpp"
#include "persistence/dump.hpp"
#include "persistence/json.hpp"
#include "persistence/rdb.hpp"
#include "persistence/recovery.hpp"
#include "persistence/snapshot.hpp"

namespace kv {
namespace {

/// A Scalar that owns its bytes.
struct Owned {
  std::string bytes;
  Kind kind = Kind::string;
  Scalar scalar() const { return {bytes, kind}; }
};

bool is_integer_text(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos &&
         (text.size() == 1 || text[0] != '0');
}

bool to_scalar(const Json& json, Owned& out) {
  switch (json.type) {
    case Json::Type::null: out = {{}, Kind::nil}; return true;
    case Json::Type::string: out = {json.text, Kind::string}; return true;
    case Json::Type::boolean: out = {json.truth ? "true" : "false", Kind::string}; return true;
    case Json::Type::number:
      out = {json.text, is_integer_text(json.text) ? Kind::number : Kind::string};
      return true;
    case Json::Type::array: return false;
    case Json::Type::object: break;
  }
  if (json.members.size() != 1 || json.members[0].second.type != Json::Type::string) return false;
  const auto& [name, value] = json.members[0];
  if (name == "base64") {
    out.kind = Kind::string;
    return from_base64(value.text, out.bytes);
  }
  if (name == "symbol") {
    out = {value.text, Kind::symbol};
    return true;
  }
  if (name != "lisp") return false;
  LispReader reader(value.text);
  Scalar scalar;
  if (!reader.value(scalar)) return false;
  out = {std::string(scalar.bytes), scalar.kind};
  return true;
}

/// One line of a JSON dump into its database.
class JsonLine {
 public:
  explicit JsonLine(const Replay& replay) : replay_(replay) {}
  const char* load(const Json& line);

 private:
  const char* load_list(Keyspace& keys, Place& place, const Json& value);
  const char* load_hash(Keyspace& keys, Place& place, const Json& value);
  const char* load_set(Keyspace& keys, Place& place, const Json& value);
  const char* load_sorted_set(Keyspace& keys, Place& place, const Json& value);
  const Replay& replay_;
};

const char* JsonLine::load_list(Keyspace& keys, Place& place, const Json& value) {
  if (value.type != Json::Type::array || value.elements.empty()) return "a list needs elements";
  List list = keys.make_list(place);
  Owned element;
  for (const Json& one : value.elements) {
    if (!to_scalar(one, element)) return "an element of the list is of no kind kv has";
    list.push_back(element.scalar());
  }
  return nullptr;
}

const char* JsonLine::load_hash(Keyspace& keys, Place& place, const Json& value) {
  Hash hash = keys.make_hash(place);
  Owned field, content;
  if (value.type == Json::Type::object && !value.members.empty()) {
    for (const auto& [name, one] : value.members) {
      if (!to_scalar(one, content)) return "a value of the hash is of no kind kv has";
      hash.set(Scalar(name), content.scalar());
    }
    return nullptr;
  }
  if (value.type != Json::Type::array || value.elements.empty()) return "a hash needs fields";
  for (const Json& pair : value.elements) {
    if (pair.elements.size() != 2 || !to_scalar(pair.elements[0], field) ||
        !to_scalar(pair.elements[1], content)) {
      return "a pair of the hash is not [field, value]";
    }
    hash.set(field.scalar(), content.scalar());
  }
  return nullptr;
}

const char* JsonLine::load_set(Keyspace& keys, Place& place, const Json& value) {
  if (value.type != Json::Type::array || value.elements.empty()) return "a set needs members";
  Set set = keys.make_set(place);
  Owned member;
  for (const Json& one : value.elements) {
    if (!to_scalar(one, member)) return "a member of the set is of no kind kv has";
    if (!set.add(member.scalar())) return "a member of the set is there twice";
  }
  return nullptr;
}

const char* JsonLine::load_sorted_set(Keyspace& keys, Place& place, const Json& value) {
  if (value.type != Json::Type::array || value.elements.empty()) return "a zset needs members";
  SortedSet set = keys.make_sorted_set(place);
  Owned member;
  double score = 0;
  for (const Json& pair : value.elements) {
    if (pair.elements.size() != 2 || !to_scalar(pair.elements[0], member) ||
        !parse_decimal(pair.elements[1].text, score)) {
      return "a pair of the zset is not [member, score]";
    }
    if (!set.set(member.scalar(), score)) return "a member of the zset is there twice";
  }
  return nullptr;
}

const char* JsonLine::load(const Json& line) {
  const Json* const key = line.find("key");
  const Json* const value = line.find("value");
  const Json* const type = line.find("type");
  Owned name, content;
  if (key == nullptr || value == nullptr || !to_scalar(*key, name)) return "key or value missing";
  std::uint64_t number = 0;
  if (const Json* db = line.find("db"); db != nullptr && !parse_unsigned(db->text, number)) {
    return "db is not a number";
  }
  Keyspace* const keys =
      number > UINT32_MAX ? nullptr : replay_.database(static_cast<unsigned>(number));
  if (keys == nullptr) return "this database does not exist (see --databases)";
  Place place = keys->peek(name.bytes, 0);
  if (place.found()) keys->erase(place);
  const char* wrong = nullptr;
  if (type == nullptr || type->text == "string") {
    if (!to_scalar(*value, content)) return "the value is of no kind kv has";
    keys->set_string(place, content.scalar());
  } else if (type->text == "list") {
    wrong = load_list(*keys, place, *value);
  } else if (type->text == "hash") {
    wrong = load_hash(*keys, place, *value);
  } else if (type->text == "set") {
    wrong = load_set(*keys, place, *value);
  } else if (type->text == "zset") {
    wrong = load_sorted_set(*keys, place, *value);
  } else {
    return "this type does not exist in kv";
  }
  std::int64_t expires_ms = 0;
  const Json* const expires = line.find("expires");
  if (wrong == nullptr && expires != nullptr) {
    if (!parse_integer(expires->text, expires_ms)) return "expires is not a number";
    keys->set_expiry(place, expires_ms);
  }
  return wrong;
}

Status load_json(std::string_view bytes, const Replay& replay, std::uint64_t& keys) {
  JsonLine reader(replay);
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size() - 1) + 1;
    const std::string_view line = bytes.substr(at, end - at);
    at = end;
    ++number;
    if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) continue;
    const Result<Json> json = read_json(line);
    const std::string where = "line " + std::to_string(number) + ": ";
    if (!json) return {Code::protocol, where + json.status().message()};
    if (const char* wrong = reader.load(*json); wrong != nullptr) {
      return {Code::protocol, where + wrong};
    }
    ++keys;
  }
  return {};
}

bool is_only(std::span<const Scalar> args, std::string_view word) {
  return args.size() == 1 && equals_ignoring_case(args[0].bytes, word);
}

/// What is between MULTI and EXEC, as in a log of Redis, is loaded like the rest.
Status load_resp(std::string_view bytes, std::int64_t time_ns, const Replay& replay,
                 LoadReport& report) {
  RespRequestParser parser;
  std::uint64_t database = 0, number = 0;
  std::size_t at = 0;
  std::string begun;  // where a MULTI is whose EXEC has not come
  while (at < bytes.size()) {
    const ParseState state = parser.next(bytes.substr(at));
    const std::string where = "byte " + std::to_string(at) + ": ";
    if (state == ParseState::error) return {Code::protocol, where + parser.error()};
    if (state == ParseState::need_more && parser.consumed() == 0) {
      return {Code::protocol, where + "the last command is not complete"};
    }
    if (state == ParseState::request) {
      const std::span<const Scalar> args = parser.args();
      ++number;
      if (equals_ignoring_case(args[0].bytes, "SELECT") && args.size() == 2) {
        if (!parse_unsigned(args[1].bytes, database) || database > UINT32_MAX) {
          return {Code::protocol, where + "not the number of a database"};
        }
      } else if (begun.empty() && is_only(args, "MULTI")) {
        begun = where;
      } else if (!begun.empty() && is_only(args, "EXEC")) {
        begun.clear();
      } else {
        Status s = replay.apply(time_ns, static_cast<unsigned>(database), Dialect::resp, args);
        if (!s && s.code() != Code::reply) return {s.code(), where + s.message()};
        if (s) ++report.loaded;
        else
          report.refused.push_back("command " + std::to_string(number) + ", " + where +
                                   s.message());
      }
    }
    at += parser.consumed();
  }
  return begun.empty() ? Status{} : Status{Code::protocol, begun + "this MULTI has no EXEC"};
}

/// A text dump, also one without header and trailer: lines written by hand.
Status load_text(std::string_view bytes, const Replay& replay, std::uint64_t& keys) {
  if (bytes.starts_with("# kv snapshot ")) {
    SnapshotLoad load{.replace = true};
    Status s = load_text_snapshot(bytes, "the file", replay, load);
    keys = load.keys;
    return s;
  }
  KeyLineReader reader(replay, true);
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size() - 1) + 1;
    std::string line(bytes.substr(at, end - at));
    at = end;
    ++number;
    if (line[0] == '#' || line.find_first_not_of(" \t\r\n") == std::string::npos) continue;
    if (line.back() != '\n') line += '\n';
    if (!reader.load(line)) {
      return {Code::protocol, "line " + std::to_string(number) + ": " + reader.error()};
    }
    ++keys;
  }
  return {};
}

/// An RDB file, perhaps with the commands behind it that Redis logged after it was written.
Status load_redis_files(std::string_view bytes, std::int64_t time_ns, const Replay& replay,
                        LoadReport& report) {
  std::string_view commands;
  Status s = load_rdb(bytes, replay, report, commands);
  if (!s || commands.empty()) return s;
  s = load_resp(commands, time_ns, replay, report);
  if (s) return s;
  return {s.code(), "in the commands behind the RDB file, which begin at byte " +
                        std::to_string(bytes.size() - commands.size()) + ": " + s.message()};
}

}  // namespace

Status load_dump(std::string_view bytes, std::int64_t time_ns, const Replay& replay,
                 LoadReport& report) {
  if (bytes.empty()) return {};
  if (is_rdb(bytes)) return load_redis_files(bytes, time_ns, replay, report);
  const Result<SnapshotHeader> binary = read_binary_header(bytes, "the file");
  if (!binary) return binary.status();
  if (binary->version != 0) {
    SnapshotLoad load{.replace = true};
    Status s = load_binary_snapshot(bytes, "the file", replay, load);
    report.loaded = load.keys;
    return s;
  }
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  const char sign = first == std::string_view::npos ? '#' : bytes[first];
  if (sign == '{') return load_json(bytes, replay, report.loaded);
  if (sign == '(' || sign == '#') return load_text(bytes, replay, report.loaded);
  return load_resp(bytes, time_ns, replay, report);
}

}  // namespace kv
