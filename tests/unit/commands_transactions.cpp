// MULTI, EXEC, DISCARD, WATCH and UNWATCH as commands: what they say of a session's state. Queueing
// and carrying out are the engine's (engine_transaction.cpp).
#include <catch2/catch.hpp>

#include "tests/unit/command_talk.hpp"

namespace kv::test {
namespace {

TEST_CASE("commands/multi: begins a transaction, one at a time, for RESP clients") {
  Talk t;
  t.redis({{"MULTI", "OK"}, {"MULTI", "(ERR MULTI calls can not be nested)"}});
  CHECK(t.resp.session.transaction != nullptr);
  CHECK(t.p("MULTI") == "'Error: a transaction needs a client that speaks RESP'");
  CHECK(t.plio.session.transaction == nullptr);
}

TEST_CASE("commands/exec: without MULTI there is nothing to carry out") {
  Talk t;
  t.redis({{"EXEC", "(ERR EXEC without MULTI)"},
           {"EXEC now", "(ERR wrong number of arguments for 'exec' command)"}});
}

TEST_CASE("commands/discard: ends the transaction and what it was bound to") {
  Talk t;
  t.redis({{"DISCARD", "(ERR DISCARD without MULTI)"},
           {"WATCH k", "OK"},
           {"MULTI", "OK"},
           {"DISCARD", "OK"}});
  CHECK(t.resp.session.transaction == nullptr);
  CHECK(t.server.watched.empty());
}

TEST_CASE("commands/watch: notes each key and whether it is there, not behind MULTI") {
  Talk t;
  t.redis({{"SET a 1", "OK"}, {"WATCH a b", "OK"}});
  using Watched = std::vector<std::pair<std::string, bool>>;
  CHECK(t.server.watched == Watched{{"a", true}, {"b", false}});
  t.redis({{"MULTI", "OK"}, {"WATCH c", "(ERR WATCH inside MULTI is not allowed)"}});
  CHECK(t.server.watched.size() == 2);
}

TEST_CASE("commands/unwatch: forgets all keys") {
  Talk t;
  t.redis({{"WATCH a b", "OK"}, {"UNWATCH", "OK"}});
  CHECK(t.server.watched.empty());
}

}  // namespace
}  // namespace kv::test
