// COMMAND: the command table, told to clients in the shapes of Redis 7.
//
// Rows and subcommands are told alike; both become an Entry first. Nothing here is written down
// twice: names, arity, flags and keys come from the rows alone.
#include <algorithm>
#include <optional>
#include <string>

#include "libkv/base/text.hpp"
#include "libkv/commands/admin.hpp"
#include "libkv/commands/syntax.hpp"

namespace kv {
namespace {

// One command or "container|subcommand".
struct Entry {
  std::string name;
  int arity = 0;
  std::uint32_t flags = 0;
  ArgSpan keys;
  std::string_view syntax, summary;
  const Command* row = nullptr;  // its own, or its container's
  bool is_subcommand = false;
  std::span<const Subcommand> subcommands;
};

Entry entry_of(const Command& row) {
  return {
      std::string(row.name),   row.arity, row.flags, row.keys, row.syntax, row.summary, &row, false,
      subcommands_of(row.name)};
}

Entry entry_of(const Command& row, const Subcommand& sub) {
  return {std::string(row.name) + "|" + std::string(sub.name),
          sub.arity,
          sub.flags,
          sub.keys,
          sub.syntax,
          sub.summary,
          &row,
          true,
          {}};
}

// By "get" or "config|get", in any case.
std::optional<Entry> find_entry(std::string_view name) {
  const std::size_t bar = name.find('|');
  const Command* row = find_command(name.substr(0, bar));
  if (row == nullptr) return std::nullopt;
  if (bar == std::string_view::npos) return entry_of(*row);
  const Subcommand* sub = find_subcommand(subcommands_of(row->name), name.substr(bar + 1));
  if (sub == nullptr) return std::nullopt;
  return entry_of(*row, *sub);
}

bool is_listed(const Command& row) { return (row.flags & kHidden) == 0; }

template <class Visit>
void for_each_row(Visit visit) {
  for (const Command* row : all_commands())
    if (is_listed(*row)) visit(*row);
}

std::size_t count_rows() {
  std::size_t count = 0;
  for_each_row([&](const Command&) { ++count; });
  return count;
}

// --- flags and categories ---

struct FlagName {
  std::uint32_t flag;
  std::string_view name;
};
constexpr FlagName kFlagNames[] = {
    {kWrite, "write"},       {kReadonly, "readonly"}, {kDenyOom, "denyoom"},
    {kAdmin, "admin"},       {kPubSub, "pubsub"},     {kNoScript, "noscript"},
    {kBlocking, "blocking"}, {kLoading, "loading"},   {kStale, "stale"},
    {kFast, "fast"},         {kNoAuth, "no_auth"},    {kMovableKeys, "movablekeys"},
};

constexpr std::string_view kCategories[] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting",
};

std::string_view group_category(Group group) {
  switch (group) {
    case Group::string: return "string";
    case Group::list: return "list";
    case Group::hash: return "hash";
    case Group::set: return "set";
    case Group::sorted_set: return "sortedset";
    case Group::bitmap: return "bitmap";
    case Group::generic: return "keyspace";
    case Group::connection: return "connection";
    case Group::transaction: return "transaction";
    case Group::pubsub:
    case Group::server: return {};
  }
  return {};
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// As Redis has them: from the flags and the group, but for the few it names one by one.
bool in_category(const Entry& entry, std::string_view category) {
  const std::uint32_t flags = entry.flags;
  if (category == "fast") return (flags & kFast) != 0;
  if (category == "slow") return (flags & kFast) == 0;
  // A container alone does nothing; COMMAND is one that does.
  if (!entry.subcommands.empty() && entry.arity == -2 && (flags & kAdmin) == 0) return false;
  if (category == "read") return (flags & kReadonly) != 0;
  if (category == "write") return (flags & kWrite) != 0;
  if (category == "pubsub") return (flags & kPubSub) != 0;
  if (category == "blocking") return (flags & kBlocking) != 0;
  const bool admin = (flags & kAdmin) != 0 || is_one_of(entry.name, {"lastsave", "role"});
  if (category == "admin") return admin;
  if (category == "dangerous")
    return admin || is_one_of(entry.name, {"flushall", "flushdb", "info", "keys"});
  return category == group_category(entry.row->group);
}

void tell_flags(Reply& reply, const Entry& entry) {
  const auto has = [&](const FlagName& f) { return (entry.flags & f.flag) != 0; };
  reply.set(
      static_cast<std::size_t>(std::count_if(std::begin(kFlagNames), std::end(kFlagNames), has)));
  for (const FlagName& f : kFlagNames)
    if (has(f)) reply.simple(f.name);
}

void tell_categories(Reply& reply, const Entry& entry) {
  const auto in = [&](std::string_view category) { return in_category(entry, category); };
  reply.set(
      static_cast<std::size_t>(std::count_if(std::begin(kCategories), std::end(kCategories), in)));
  for (const std::string_view category : kCategories)
    if (in(category)) reply.simple("@" + std::string(category));
}

// --- where the keys are ---

// What happens to a key: the row says only whether the command writes.
void tell_access(Reply& reply, const Entry& entry) {
  reply.set(2);
  const bool write = (entry.flags & kWrite) != 0;
  reply.simple(write ? "RW" : "RO");
  reply.simple(write ? "update" : "access");
}

void tell_begin(Reply& reply, int index) {
  reply.bulk("begin_search");
  reply.map(2);
  reply.bulk("type"), reply.bulk("index");
  reply.bulk("spec");
  reply.map(1);
  reply.bulk("index"), reply.integer(index);
}

void tell_numbers(Reply& reply, std::string_view type,
                  std::initializer_list<std::pair<std::string_view, int>> numbers) {
  reply.bulk("find_keys");
  reply.map(2);
  reply.bulk("type"), reply.bulk(type);
  reply.bulk("spec");
  reply.map(numbers.size());
  for (const auto& [name, number] : numbers) reply.bulk(name), reply.integer(number);
}

void tell_key_specs(Reply& reply, const Entry& entry) {
  const bool counted = (entry.flags & kMovableKeys) != 0, placed = entry.keys.first != 0;
  reply.set(std::size_t{counted} + std::size_t{placed});
  const auto begin = [&](int index) {
    reply.map(3);
    reply.bulk("flags");
    tell_access(reply, entry);
    tell_begin(reply, index);
  };
  if (placed) {
    begin(entry.keys.first);
    const int last = entry.keys.last < 0 ? entry.keys.last : entry.keys.last - entry.keys.first;
    tell_numbers(reply, "range", {{"lastkey", last}, {"keystep", entry.keys.step}, {"limit", 0}});
  }
  if (!counted) return;
  begin(key_count_at(entry.flags, entry.keys));
  tell_numbers(reply, "keynum", {{"keynumidx", 0}, {"firstkey", 1}, {"keystep", 1}});
}

// --- COMMAND INFO ---

void tell_info(Reply& reply, const Entry& entry) {
  reply.array(10);
  reply.bulk(entry.name);
  reply.integer(entry.arity);
  tell_flags(reply, entry);
  const ArgSpan& keys = entry.keys;
  for (const int position : {keys.first, keys.last, keys.step}) reply.integer(position);
  tell_categories(reply, entry);
  reply.set(0);  // tips for clusters
  tell_key_specs(reply, entry);
  if (entry.subcommands.empty()) return reply.set(0);
  reply.array(entry.subcommands.size());
  for (const Subcommand& sub : entry.subcommands) tell_info(reply, entry_of(*entry.row, sub));
}

void tell_all(Call& call) {
  call.reply.array(count_rows());
  for_each_row([&](const Command& row) { tell_info(call.reply, entry_of(row)); });
}

void info(Call& call) {
  if (call.argc() == 2) return tell_all(call);
  call.reply.array(call.argc() - 2);
  for (std::size_t i = 2; i < call.argc(); ++i) {
    if (const std::optional<Entry> entry = find_entry(call.arg(i))) tell_info(call.reply, *entry);
    else call.reply.nil();
  }
}

// --- COMMAND DOCS ---

void tell_docs(Reply& reply, const Entry& entry) {
  const SyntaxTree arguments = parse_syntax(entry.subcommands.empty() ? entry.syntax : "");
  reply.bulk(entry.name);
  reply.map(4 + !arguments.empty() + !entry.subcommands.empty());
  reply.bulk("summary"), reply.bulk(entry.summary);
  reply.bulk("since"), reply.bulk(entry.row->since);
  reply.bulk("group"), reply.bulk(group_name(entry.row->group));
  reply.bulk("complexity"), reply.bulk(entry.row->complexity);
  if (!arguments.empty()) {
    reply.bulk("arguments");
    tell_arguments(reply, arguments);
  }
  if (entry.subcommands.empty()) return;
  reply.bulk("subcommands");
  reply.map(entry.subcommands.size());
  for (const Subcommand& sub : entry.subcommands) tell_docs(reply, entry_of(*entry.row, sub));
}

void docs(Call& call) {
  if (call.argc() == 2) {
    call.reply.map(count_rows());
    for_each_row([&](const Command& row) { tell_docs(call.reply, entry_of(row)); });
    return;
  }
  std::vector<Entry> entries;
  for (std::size_t i = 2; i < call.argc(); ++i)
    if (std::optional<Entry> entry = find_entry(call.arg(i))) entries.push_back(std::move(*entry));
  call.reply.map(entries.size());
  for (const Entry& entry : entries) tell_docs(call.reply, entry);
}

// --- COMMAND LIST, COUNT ---

void count(Call& call) { call.reply.integer(static_cast<std::int64_t>(count_rows())); }

template <class Accept>
std::vector<std::string> names_of(Accept accept) {
  std::vector<std::string> names;
  for_each_row([&](const Command& row) {
    const Entry entry = entry_of(row);
    if (accept(entry)) names.push_back(entry.name);
    for (const Subcommand& sub : entry.subcommands) {
      Entry part = entry_of(row, sub);
      if (accept(part)) names.push_back(std::move(part.name));
    }
  });
  return names;
}

void list(Call& call) {
  std::vector<std::string> names;
  if (call.argc() == 2) {
    names = names_of([](const Entry&) { return true; });
  } else if (call.argc() != 5 || !call.is(2, "FILTERBY")) {
    return call.syntax_error();
  } else if (call.is(3, "ACLCAT")) {
    names = commands_of_category(call.arg(4));
  } else if (call.is(3, "PATTERN")) {
    names = names_of([&](const Entry& e) { return glob_match(call.arg(4), e.name, true); });
  } else if (!call.is(3, "MODULE")) {  // there are no modules
    return call.syntax_error();
  }
  call.reply.array(names.size());
  for (const std::string& name : names) call.reply.bulk(name);
}

// --- COMMAND GETKEYS ---

// The whole command begins at argument 2. Answers an error and returns nothing if it is not one.
std::optional<Entry> inner_command(Call& call) {
  std::optional<Entry> entry = find_entry(call.arg(2));
  if (entry && !entry->subcommands.empty() && call.argc() > 3) {
    const Subcommand* sub = find_subcommand(entry->subcommands, call.arg(3));
    if (sub == nullptr) entry.reset();
    else entry = entry_of(*entry->row, *sub);
  }
  if (!entry) {
    call.fail("ERR Invalid command specified");
  } else if (entry->keys.first == 0 && (entry->flags & kMovableKeys) == 0) {
    call.fail("ERR The command has no key arguments");
    entry.reset();
  } else if (!arity_allows(entry->arity, call.argc() - 2)) {
    call.fail("ERR Invalid number of arguments specified for command");
    entry.reset();
  }
  return entry;
}

// Positions of the keys in call's arguments.
std::vector<std::size_t> key_positions(const Call& call, const Entry& entry) {
  std::vector<std::size_t> positions;
  const auto argc = static_cast<std::int64_t>(call.argc()) - 2;
  std::int64_t first = entry.keys.first, last = entry.keys.last, step = entry.keys.step;
  if (last < 0) last += argc;
  if ((entry.flags & kMovableKeys) != 0) {
    const int at = key_count_at(entry.flags, entry.keys);
    std::int64_t keys = 0;
    if (!parse_integer(call.arg(static_cast<std::size_t>(at) + 2), keys)) return {};
    if (keys < 1 || keys > argc - at - 1) return {};
    if (first > 0) positions.push_back(static_cast<std::size_t>(first) + 2);
    first = at + 1, last = at + keys, step = 1;
  }
  for (std::int64_t i = first; i <= last && i < argc; i += std::max<std::int64_t>(step, 1))
    positions.push_back(static_cast<std::size_t>(i) + 2);
  return positions;
}

void get_keys(Call& call, bool with_flags) {
  const std::optional<Entry> entry = inner_command(call);
  if (!entry) return;
  const std::vector<std::size_t> positions = key_positions(call, *entry);
  if (positions.empty()) return call.fail("ERR Invalid arguments specified for command");
  call.reply.array(positions.size());
  for (const std::size_t position : positions) {
    if (with_flags) call.reply.array(2);
    call.reply.bulk(call.arg(position));
    if (with_flags) tell_access(call.reply, *entry);
  }
}
void get_keys_alone(Call& call) { get_keys(call, false); }
void get_keys_and_flags(Call& call) { get_keys(call, true); }

constexpr std::uint32_t kAsk = kLoading | kStale;

constexpr Subcommand kRows[] = {
    {"count", 2, kAsk, {}, count, "", "Counts the commands"},
    {"docs", -2, kAsk, {}, docs, "[name ...]", "Shows summary, syntax and cost of commands"},
    {"getkeys",
     -4,
     kAsk,
     {},
     get_keys_alone,
     "command [argument ...]",
     "Picks the keys out of a whole command"},
    {"getkeysandflags",
     -4,
     kAsk,
     {},
     get_keys_and_flags,
     "command [argument ...]",
     "Picks the keys out of a whole command and says what happens to them"},
    {"help", 2, kAsk, {}, run_help, "", "Shows these lines"},
    {"info", -2, kAsk, {}, info, "[name ...]", "Shows arity, flags and keys of commands"},
    {"list",
     -2,
     kAsk,
     {},
     list,
     "[FILTERBY MODULE name | ACLCAT category | PATTERN pattern]",
     "Lists the names of commands"},
};

}  // namespace

std::span<const std::string_view> all_acl_categories() noexcept { return kCategories; }

std::vector<std::string> commands_of_category(std::string_view category) {
  const std::string wanted = to_lower(category);
  if (std::find(std::begin(kCategories), std::end(kCategories), wanted) == std::end(kCategories))
    return {};
  return names_of([&](const Entry& entry) { return in_category(entry, wanted); });
}

void run_command_container(Call& call) {
  if (call.argc() == 1) return tell_all(call);
  run_container(call);
}

std::span<const Subcommand> command_subcommands() noexcept { return kRows; }

}  // namespace kv
