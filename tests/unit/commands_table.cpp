// The command table as a whole: every row complete, found by its name, and tested.
#include <set>

#include "tests/unit/command_talk.hpp"

namespace {

using kv::all_commands;
using kv::Command;
using kv::find_command;

TEST_CASE("commands/table: rows are sorted, complete and named once") {
  std::string_view last;
  for (const Command* row : all_commands()) {
    INFO(row->name);
    CHECK(last < row->name);
    last = row->name;
    CHECK(row->run != nullptr);
    CHECK(row->arity != 0);
    CHECK(row->name == kv::to_lower(row->name));
    CHECK_FALSE(row->summary.empty());
    CHECK(row->summary.substr(row->summary.size() - 1) != ".");
    CHECK_FALSE(row->complexity.empty());
    CHECK((row->since == "0.18" || row->since == "1.0"));
    CHECK((row->arity == 1 || row->arity == -1) == (row->syntax.empty() || row->arity == -1));
    const bool write = (row->flags & kv::kWrite) != 0, read = (row->flags & kv::kReadonly) != 0;
    CHECK_FALSE((write && read));
    CHECK((row->values.first == 0 || write));  // only what stores something has values
  }
  CHECK(all_commands().size() > 90);
}

TEST_CASE("commands/table: a name is found in any case, and nothing else is") {
  for (const Command* row : all_commands()) {
    const std::string name(row->name);
    INFO(name);
    CHECK(find_command(name) == row);
    CHECK(find_command(kv::to_upper(name)) == row);
    std::string mixed = name;
    mixed[0] = static_cast<char>(mixed[0] - 32);
    CHECK(find_command(mixed) == row);
    for (std::size_t i = 0; i < name.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string wrong = name;
        wrong[i] = static_cast<char>(wrong[i] ^ (1 << bit));
        const Command* found = find_command(wrong);
        CHECK((found == nullptr || kv::equals_ignoring_case(found->name, wrong)));
      }
      const Command* shorter = find_command(name.substr(0, i));
      CHECK((shorter == nullptr || shorter->name == name.substr(0, i)));
    }
  }
  for (const char* wrong :
       {"", "nosuch", "getget", "set ", " set", "a very long name of nothing"}) {
    CHECK(find_command(wrong) == nullptr);
  }
  CHECK(find_command(std::string_view("get\0", 4)) == nullptr);
  CHECK(find_command(std::string(100'000, 'x')) == nullptr);
}

TEST_CASE("commands/table: what the client seals") {
  const auto values = [](std::string_view name) {
    const kv::ArgSpan span = find_command(name)->values;
    return std::vector<int>{span.first, span.last, span.step};
  };
  using Span = std::vector<int>;
  CHECK(values("set") == Span{2, 2, 1});
  CHECK(values("getset") == Span{2, 2, 1});
  CHECK(values("setex") == Span{3, 3, 1});
  CHECK(values("mset") == Span{2, -1, 2});
  CHECK(values("rpush") == Span{2, -1, 1});
  CHECK(values("linsert") == Span{4, 4, 1});
  CHECK(values("lset") == Span{3, 3, 1});
  CHECK(values("hset") == Span{3, -1, 2});
  CHECK(values("hsetnx") == Span{3, 3, 1});
  for (const char* none : {"append", "setrange", "incrby", "hincrby", "get", "del"}) {
    CHECK(values(none) == Span{0, 0, 0});
  }
}

/// Does this text hold name as a word, in any case?
bool mentions(const std::string& text, std::string_view name) {
  const std::string lower = kv::to_lower(text);
  const auto inside = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t at = lower.find(name); at != lower.npos; at = lower.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    if ((at == 0 || !inside(lower[at - 1])) && (end == lower.size() || !inside(lower[end]))) {
      return true;
    }
  }
  return false;
}

TEST_CASE("commands/table: every row has a test that names it") {
  std::vector<std::string> names;
  for (const auto& test : Catch::getRegistryHub().getTestCaseRegistry().getAllTests()) {
    if (test.name.starts_with("commands/")) names.push_back(test.name);
  }
  for (const Command* row : all_commands()) {
    INFO(row->name << " has no TEST_CASE(\"commands/" << row->name << ": ...\")");
    CHECK(std::any_of(names.begin(), names.end(),
                      [&](const std::string& name) { return mentions(name, row->name); }));
  }
}

TEST_CASE("commands/table: every data command keeps its key spans within its arity") {
  for (const Command* row : all_commands()) {
    INFO(row->name);
    if (row->keys.first == 0) continue;
    CHECK(row->keys.step >= 1);
    const int least = row->arity < 0 ? -row->arity : row->arity;
    CHECK(row->keys.first < least);
    if (row->keys.last > 0) CHECK(row->keys.last < least);
  }
}

}  // namespace
