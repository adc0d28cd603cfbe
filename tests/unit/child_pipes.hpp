// A channel of the sibling without a child: for the tests of channels.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "libkv/process/channel.hpp"

namespace kv::test {

/// A channel, and the ends of its pipes that its child would hold.
struct ChildPipes {
  ChildPipes() {
    int in[2], out[2];
    REQUIRE(::pipe2(in, O_NONBLOCK) == 0);
    REQUIRE(::pipe2(out, O_NONBLOCK) == 0);
    child_writes.reset(in[1]);
    child_reads.reset(out[0]);
    channel = std::make_unique<Channel>(1, Fd(in[0]), Fd(out[1]));
  }
  /// What the child finds in its pipe now.
  std::string sent() {
    std::string all(1 << 20, '\0');
    std::size_t got = 0;
    all.resize(read_some(child_reads.get(), all.data(), all.size(), got) == Io::done ? got : 0);
    return all;
  }
  bool send() {
    channel->release();
    return channel->flush();
  }
  Fd child_writes, child_reads;
  std::unique_ptr<Channel> channel;
};

}  // namespace kv::test
