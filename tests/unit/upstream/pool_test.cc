// SPDX-License-Identifier: Apache-2.0
// A worker's pool and the Monitor together: what attempts tell, and who is picked because of it.
#include "upstream/pool.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/upstream/origin.h"
#include "upstream/upstream.h"

namespace headgate::upstream {
namespace {

using namespace std::chrono_literals;

class PoolTest : public ::testing::Test {
 protected:
  PoolTest() {
    config.upstreams.resize(1);
    config.upstreams[0].name = "api";
    config.upstreams[0].pools.resize(1);
    config.upstreams[0].pools[0].name = "blue";
    config.upstreams[0].ejection.base_time = 50ms;
    config.upstreams[0].ejection.consecutive_errors = 3;
    monitor.subscribe(loop, [this] { side.changes.happened(); });
  }
  ~PoolTest() override { monitor.unsubscribe(loop); }

  config::Server& add(std::uint16_t port) {
    auto& servers = config.upstreams[0].pools[0].servers;
    servers.emplace_back().address = ip_address("127.0.0.1", port);
    return servers.back();
  }
  Pool& make() {
    upstream.reset();
    watches = monitor.watch(config);
    upstream = std::make_unique<Upstream>(config.upstreams[0], watches[0], side);
    return upstream->pool(0);
  }
  Pool& make(int servers) {
    for (int i = 0; i < servers; ++i) add(static_cast<std::uint16_t>(1000 + i));
    return make();
  }

  /// The port of the server that is picked, 0 for nobody; the turn ends at once.
  static int pick(Pool& pool, Pool::Ask ask = {}) {
    const auto picked = pool.pick(ask);
    return picked.turn ? picked.turn->server().address().port() : 0;
  }
  static std::map<int, int> picks(Pool& pool, int count) {
    std::map<int, int> counts;
    for (int i = 0; i < count; ++i) ++counts[pick(pool)];
    return counts;
  }
  /// Requests fail at the server with this port for as long as it is picked, at most so many.
  static void fail(Pool& pool, int port, int times) {
    for (int i = 0; i < 200 && times > 0; ++i) {
      auto picked = pool.pick({});
      ASSERT_TRUE(bool(picked.turn));
      if (picked.turn->server().address().port() != port) continue;
      picked.turn->failed(true);
      --times;
    }
  }
  /// Until it holds, as changes come in.
  void until(const std::function<bool()>& holds) {
    run(loop, [](WorkerSide& s, const std::function<bool()>& what) -> Task<> {
      const TimePoint deadline = Clock::now() + 20s;
      bool held = what();
      while (!held && Clock::now() < deadline) {
        co_await s.changes.next(Clock::now() + 20ms);
        held = what();
      }
      EXPECT_TRUE(held);
    }(side, holds));
  }
  std::string standing(const std::string& server) {
    const auto pools = monitor.status();  // outlives the loop over a part of it
    for (const auto& one : pools.at(0).servers) {
      if (one.server == server) return std::string(to_string(one.verdict.standing));
    }
    return "nobody";
  }

  Loop loop;
  observe::Events events;
  Monitor monitor{2, config::Dns(), events};
  WorkerSide side{loop, 0, monitor};
  config::Config config;
  std::vector<UpstreamWatch> watches;
  std::unique_ptr<Upstream> upstream;
};

TEST_F(PoolTest, ServersTakeTurns) {
  EXPECT_EQ(picks(make(3), 9), (std::map<int, int>{{1000, 3}, {1001, 3}, {1002, 3}}));
}

TEST_F(PoolTest, OneThatFailsIsEjectedAndTriedAgain) {
  Pool& pool = make(3);
  fail(pool, 1001, 3);
  until([&] { return picks(pool, 30).count(1001) == 0; });
  EXPECT_EQ(standing("127.0.0.1:1001"), "ejected");
  // After its time one request may try, and only one that can be repeated.
  std::optional<Turn> trial;
  until([&] {
    Pool::Ask ask;
    ask.repeatable = true;
    auto picked = pool.pick(ask);
    if (picked.turn->server().address().port() == 1001) trial.emplace(std::move(*picked.turn));
    return trial.has_value();
  });
  EXPECT_EQ(standing("127.0.0.1:1001"), "trial");
  Pool::Ask repeatable;
  repeatable.repeatable = true;
  for (int i = 0; i < 10; ++i) EXPECT_NE(pick(pool, repeatable), 1001) << "one is enough";
  trial->succeeded(1ms);
  trial.reset();
  until([&] { return picks(pool, 30)[1001] == 10; });
  EXPECT_EQ(standing("127.0.0.1:1001"), "serving");
  EXPECT_EQ(monitor.ejections().at(0).count, 1u);
}

TEST_F(PoolTest, AFailedTrialEjectsForTwiceTheTime) {
  Pool& pool = make(3);
  fail(pool, 1001, 3);
  until([&] { return standing("127.0.0.1:1001") == "trial"; });
  until([&] {
    Pool::Ask ask;
    ask.repeatable = true;
    auto picked = pool.pick(ask);
    const bool tried = picked.turn->server().address().port() == 1001;
    if (!tried) return false;
    picked.turn->failed(true);
    picked.turn.reset();
    EXPECT_NE(pick(pool, ask), 1001) << "a second trial before the Monitor has heard of the first";
    return true;
  });
  until([&] { return standing("127.0.0.1:1001") == "ejected"; });
  const auto status = monitor.status().at(0).servers.at(1);
  EXPECT_EQ(status.ejections, 2u);
  EXPECT_LE(status.ejected_for, 0.1);
  EXPECT_GT(status.ejected_for + status.for_seconds, 0.09);
}

TEST_F(PoolTest, TheLastOneStays) {
  Pool& pool = make(2);
  fail(pool, 1000, 3);
  until([&] { return picks(pool, 10).count(1000) == 0; });
  fail(pool, 1001, 10);
  until([&] { return !monitor.status().at(0).servers.at(1).reason.empty(); });
  EXPECT_NE(monitor.status().at(0).servers.at(1).reason.find("not ejected"), std::string::npos);
  EXPECT_EQ(picks(pool, 10)[1001] > 0, true);
}

TEST_F(PoolTest, ASuccessInBetweenIsNoRow) {
  Pool& pool = make(2);
  for (int i = 0; i < 40; ++i) {
    auto picked = pool.pick({});
    if (i % 4 < 2) {
      picked.turn->failed(true);
    } else {
      picked.turn->succeeded(1ms);
    }
  }
  EXPECT_EQ(monitor.status().at(0).servers.at(0).ejections, 0u);
}

TEST_F(PoolTest, AnswersThatAreBrokenOffEjectToo) {
  Pool& pool = make(2);
  until([&] {
    auto picked = pool.pick({});
    if (picked.turn->server().address().port() == 1001) return standing("127.0.0.1:1000") == "ejected";
    picked.turn->succeeded(1ms);
    picked.turn->failed(true);
    return false;
  });
}

TEST_F(PoolTest, WhatIsKnownOutlivesAReload) {
  fail(make(3), 1001, 3);
  until([&] { return standing("127.0.0.1:1001") == "ejected" || standing("127.0.0.1:1001") == "trial"; });
  Pool& pool = make();  // the same configuration again
  EXPECT_EQ(picks(pool, 30).count(1001), 0u);
}

TEST_F(PoolTest, DrainedByAnOperator) {
  Pool& pool = make(2);
  EXPECT_TRUE(monitor.drain("api", "127.0.0.1:1000", true));
  until([&] { return picks(pool, 10).count(1000) == 0; });
  EXPECT_EQ(monitor.drains(), (Monitor::Drains{{"api", "127.0.0.1:1000"}}));
  EXPECT_TRUE(monitor.drain("api", "127.0.0.1:1001", true));
  until([&] { return pick(pool) == 0; });
  EXPECT_EQ(pool.pick({}).missing, Pool::Missing::kNobody);
  EXPECT_FALSE(monitor.drain("api", "127.0.0.1:1", true));
  EXPECT_FALSE(monitor.drain("nobody", "127.0.0.1:1000", true));
  EXPECT_TRUE(monitor.drain("api", "127.0.0.1:1000", false));
  until([&] { return pick(pool) == 1000; });
}

TEST_F(PoolTest, ThoseTriedArePassedOver) {
  Pool& pool = make(2);
  const auto first = pool.pick({}).turn->slot();
  const std::vector<std::uint32_t> tried{first};
  Pool::Ask ask;
  ask.but = tried;
  EXPECT_TRUE(pool.has_other(tried));
  EXPECT_NE(pool.pick(ask).turn->slot(), first);
  const std::vector<std::uint32_t> both{0, 1};
  ask.but = both;
  EXPECT_FALSE(pool.has_other(both));
  EXPECT_EQ(pool.pick(ask).missing, Pool::Missing::kNobody);
}

TEST_F(PoolTest, NoMoreThanMaxConnections) {
  add(1000).max_connections = 2;
  add(1001).max_connections = 1;
  Pool& pool = make();
  std::vector<Turn> turns;
  for (int i = 0; i < 3; ++i) {
    auto picked = pool.pick({});
    ASSERT_TRUE(bool(picked.turn));
    turns.push_back(std::move(*picked.turn));
  }
  EXPECT_EQ(pool.pick({}).missing, Pool::Missing::kBusy);
  const auto before = side.changes.count();
  monitor.want_place();
  turns.pop_back();
  until([&] { return side.changes.count() > before; });
  monitor.want_no_place();
  EXPECT_TRUE(bool(pool.pick({}).turn));
}

TEST_F(PoolTest, AClientStaysWithItsServer) {
  config.upstreams[0].sticky = config::Sticky{"srv", 1h};
  Pool& pool = make(3);
  const Sticky sticky("api", *config.upstreams[0].sticky);
  Pool::Ask ask;
  ask.token = sticky.token(Endpoint(SocketAddress::ip(*IpAddress::parse("127.0.0.1"), 1002), 1, 1s).id);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pick(pool, ask), 1002);
  monitor.drain("api", "127.0.0.1:1002", true);
  until([&] { return pick(pool, ask) != 1002; });
  ask.token = 12345;
  EXPECT_NE(pick(pool, ask), 0) << "a server that is not known";
}

TEST_F(PoolTest, AReturningServerGetsItsShareGradually) {
  config.upstreams[0].slow_start = 500ms;
  Pool& pool = make(2);
  EXPECT_NEAR(picks(pool, 100)[1000], 50, 1) << "all are new: all are alike";
  const TimePoint begun = Clock::now();
  until([&] { return Clock::now() - begun > 500ms; });
  monitor.drain("api", "127.0.0.1:1000", true);
  until([&] { return picks(pool, 10).count(1000) == 0; });
  monitor.drain("api", "127.0.0.1:1000", false);
  int first = 0;
  until([&] { return (first = picks(pool, 100)[1000]) > 0; });
  EXPECT_LT(first, 45);
  until([&] { return picks(pool, 100)[1000] == 50; });
}

TEST_F(PoolTest, ABackupHelpsOut) {
  add(1000);
  add(1001).backup = true;
  Pool& pool = make();
  EXPECT_EQ(picks(pool, 4), (std::map<int, int>{{1000, 4}}));
  monitor.drain("api", "127.0.0.1:1000", true);
  until([&] { return pick(pool) == 1001; });
  EXPECT_TRUE(pool.serving());
}

TEST_F(PoolTest, OneAddressTwiceServesWhenEitherDoes) {
  auto& first = add(1000);
  first.address.text = "api.internal:1000";
  add(1000).backup = true;
  Pool& pool = make();
  EXPECT_EQ(picks(pool, 4), (std::map<int, int>{{1000, 4}}));
  monitor.drain("api", "api.internal:1000", true);
  until([&] { return standing("api.internal:1000") == "drained"; });
  EXPECT_EQ(picks(pool, 4), (std::map<int, int>{{1000, 4}}));
  monitor.drain("api", "127.0.0.1:1000", true);
  until([&] { return pick(pool) == 0; });
}

TEST_F(PoolTest, ChecksDecideWhoServes) {
  const Origin origin;  // takes connections, and answers nothing
  const RefusingPort nobody;
  config.upstreams[0].health = config::Health();
  config.upstreams[0].health->interval = 10ms;
  add(origin.port);
  add(nobody.port);
  Pool& pool = make();
  EXPECT_EQ(pool.pick({}).missing, Pool::Missing::kUnknown) << "nothing is known of either yet";
  Pool::Ask impatient;
  impatient.patient = false;
  EXPECT_NE(pick(pool, impatient), 0);
  until([&] { return standing("127.0.0.1:" + std::to_string(nobody.port)) == "unhealthy"; });
  until([&] { return pick(pool) == origin.port; });
  EXPECT_EQ(picks(pool, 5), (std::map<int, int>{{origin.port, 5}}));
  EXPECT_EQ(monitor.status().at(0).servers.at(1).reason, "connect_refused");
}

TEST_F(PoolTest, OneScheduleForAllWhoAsk) {
  const Origin origin;
  config.upstreams[0].health = config::Health();
  config.upstreams[0].health->interval = 20ms;
  add(origin.port);
  auto copy = config.upstreams[0];
  for (int i = 0; i < 20; ++i) {
    copy.name = "api" + std::to_string(i);
    copy.keepalive.idle_connections = static_cast<std::uint32_t>(i);
    config.upstreams.push_back(copy);
  }
  set_blocking(origin.listener.get(), false);
  Pool& pool = make();
  until([&] { return pick(pool) != 0; });
  int checks = 0;
  while (origin.accept()) ++checks;
  EXPECT_LE(checks, 4) << "21 upstreams are one server";
}

TEST_F(PoolTest, ANewServerGetsNothingBeforeItsCheck) {
  const Origin origin;
  const Origin silent;
  config.upstreams[0].health = config::Health();
  config.upstreams[0].health->interval = 10ms;
  add(origin.port);
  Pool* pool = &make();
  until([&] { return pick(*pool) == origin.port; });
  config.upstreams[0].health->path = "/";  // which neither answers
  config.upstreams[0].health->timeout = 1h;
  add(silent.port);
  pool = &make();
  EXPECT_EQ(pool->pick({}).missing, Pool::Missing::kUnknown) << "asked in another way, it is not known either";
  config.upstreams[0].health = config::Health();
  config.upstreams[0].health->interval = 10ms;
  pool = &make();
  EXPECT_EQ(pick(*pool), origin.port) << "known, while the new one is not";
}

TEST_F(PoolTest, NewsAreEvents) {
  fail(make(3), 1001, 3);
  until([&] { return !events.after(0).empty(); });
  const auto event = events.after(0).at(0);
  EXPECT_EQ(event.type, "ejected");
  EXPECT_EQ(event.fields.at(2), std::pair(std::string("server"), std::string("127.0.0.1:1001")));
}

}  // namespace
}  // namespace headgate::upstream
