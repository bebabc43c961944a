// SPDX-License-Identifier: Apache-2.0
#include "proxy/acceptor.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/log.h"
#include "tests/unit/base/run.h"
#include "tests/unit/base/sockets.h"

namespace headgate::proxy {
namespace {

struct Collector final : Acceptor::Sink {
  explicit Collector(Loop& loop) : arrived(loop) {}
  void accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor&) override {
    fds.push_back(std::move(fd));
    peers.push_back(peer);
    arrived.set();
  }
  std::vector<UniqueFd> fds;
  std::vector<SocketAddress> peers;
  Event arrived;
};

Task<> until(Collector& collector, std::size_t count) {
  while (collector.fds.size() < count) {
    co_await collector.arrived.wait(kNoDeadline);
    collector.arrived.clear();
  }
}

Task<> ended(TaskGroup& group) {
  co_await group.join(kNoDeadline);
}

class AcceptorTest : public ::testing::Test {
 protected:
  AcceptorTest() {
    config::Listener listener;
    listener.address.kind = config::Address::Kind::kIp;
    listener.address.ip = *IpAddress::parse("127.0.0.1");
    listener.address.text = "127.0.0.1:0";
    bound = bind_listener(listener, 1);
  }

  Loop loop;
  std::shared_ptr<const BoundListener> bound;
  Collector collector{loop};
};

TEST_F(AcceptorTest, TakesWhatWaitsAndWhatComes) {
  const UniqueFd early = dial(bound->local);
  Acceptor acceptor(loop, bound, bound->sockets->share_of(0, 1).front());
  TaskGroup group(loop);
  group.spawn(acceptor.run(collector));
  run(loop, until(collector, 1));
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(dial(bound->local));
  run(loop, until(collector, 201));
  EXPECT_EQ(collector.peers[0].to_string(), local_address(early.get()).to_string());
  EXPECT_EQ(::fcntl(collector.fds[0].get(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  acceptor.cancel();
  run(loop, ended(group));
  EXPECT_EQ(acceptor.listener(), bound);
}

TEST_F(AcceptorTest, TurnsNobodyAwayWhenItEnds) {
  Acceptor acceptor(loop, bound, bound->sockets->share_of(0, 1).front());
  TaskGroup group(loop);
  group.spawn(acceptor.run(collector));
  turn(loop);
  // These are in the queue, unknown to the loop, when it is told to end.
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(dial(bound->local));
  acceptor.cancel();
  EXPECT_TRUE(acceptor.cancelled());
  run(loop, ended(group));
  EXPECT_EQ(collector.fds.size(), 100u);
}

TEST_F(AcceptorTest, GoesOnForAListenerOfAnotherMeaning) {
  Acceptor acceptor(loop, bound, bound->sockets->share_of(0, 1).front());
  TaskGroup group(loop);
  group.spawn(acceptor.run(collector));
  auto config = bound->config;
  config.h2c = true;
  const auto changed = bind_listeners({config}, {bound}, 1);
  acceptor.accept_for(changed[0]);
  const UniqueFd client = dial(changed[0]->local);
  run(loop, until(collector, 1));
  EXPECT_TRUE(acceptor.listener()->config.h2c);
  acceptor.cancel();
  run(loop, ended(group));
}

TEST_F(AcceptorTest, LeavesConnectionsWaitingWhileItIsHeld) {
  Acceptor acceptor(loop, bound, bound->sockets->share_of(0, 1).front());
  TaskGroup group(loop);
  acceptor.hold();
  group.spawn(acceptor.run(collector));
  const UniqueFd client = dial(bound->local);
  turn(loop);
  EXPECT_TRUE(collector.fds.empty());
  acceptor.resume();
  run(loop, until(collector, 1));
  acceptor.hold();
  const UniqueFd other = dial(bound->local);
  acceptor.cancel();
  run(loop, ended(group));
  EXPECT_EQ(collector.fds.size(), 1u);
}

TEST_F(AcceptorTest, ClosesTheSocketWithItsEnd) {
  const SocketAddress local = bound->local;
  {
    Acceptor acceptor(loop, bound, bound->sockets->share_of(0, 1).front());
    bound->sockets->release();
    TaskGroup group(loop);
    group.spawn(acceptor.run(collector));
    const UniqueFd client = dial(local);
    acceptor.cancel();
    run(loop, ended(group));
  }
  const UniqueFd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(late.get(), local.get(), local.length()), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
}

TEST_F(AcceptorTest, PausesWithoutDescriptorsAndGoesOnWhenThereAreSome) {
  Acceptor acceptor(loop, bound, bound->sockets->share_of(0, 1).front());
  TaskGroup group(loop);
  group.spawn(acceptor.run(collector));
  // The undefined-behaviour sanitizer needs descriptors of its own to look at an object of a type that it has not met
  // before: it shall meet what an accept and its failure call now.
  const UniqueFd first = dial(bound->local);
  run(loop, until(collector, 1));
  collector.fds.clear();
  log::info("descriptors run out");
  const UniqueFd client = dial(bound->local);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd next(::dup(client.get()));
  const rlimit none{static_cast<rlim_t>(next.get()) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  turn(loop);
  turn(loop);
  EXPECT_TRUE(collector.fds.empty());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  run(loop, until(collector, 1));
  acceptor.cancel();
  run(loop, ended(group));
}

}  // namespace
}  // namespace headgate::proxy
