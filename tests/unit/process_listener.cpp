// What connections inherit from the sockets that listen.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <string>

#include "libkv/process/listener.hpp"

namespace kv::test {
namespace {

/// Of a connection that this listener takes.
std::string congestion_control(const Listener& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const Fd client(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  const Fd server(::accept(listener.fd.get(), nullptr, nullptr));
  char name[16] = {};
  socklen_t length = sizeof name;
  REQUIRE(::getsockopt(server.get(), IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0);
  return name;
}

}  // namespace

TEST_CASE("process/listener: within the machine nothing is paced, elsewhere the system decides") {
  const Fd fresh(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  char chosen[16] = {};
  socklen_t length = sizeof chosen;
  REQUIRE(::getsockopt(fresh.get(), IPPROTO_TCP, TCP_CONGESTION, chosen, &length) == 0);
  int port = 0;
  const auto local = listen_tcp({}, port);
  REQUIRE(local.ok());
  for (const Listener& listener : *local) CHECK(congestion_control(listener) == "reno");
  port = 0;
  const auto anywhere = listen_tcp({"0.0.0.0"}, port);
  REQUIRE(anywhere.ok());
  CHECK(congestion_control(anywhere->front()) == chosen);
}

}  // namespace kv::test
