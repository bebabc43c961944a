// SPDX-License-Identifier: Apache-2.0
// What users would see: servers with queues, requests at random times, one server ten times as slow as the others.
// Simulated time and fixed seeds, so that each run gives the same figures.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "upstream/balancer.h"
#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

using Kind = config::Balance::Kind;

constexpr std::uint32_t kServers = 10;
constexpr std::uint32_t kSlow = 3;
constexpr int kPlaces = 4;  // what a server works on at once; the rest waits in its queue
constexpr double kService = 0.010;

constexpr double kNever = 1e9;

struct Scenario {
  double rate;           // requests a second
  double slowness = 10;  // of the slow server: times kService
  double seconds = 60;   // in which requests come
  double slow_until = kNever;
  double fails_from = kNever;  // from then on it fails at once instead
  double count_from = 0;       // what arrives before is not counted
};

struct Outcome {
  std::vector<int> served = std::vector<int>(kServers);
  std::vector<double> latencies;  // of those answered, sorted
  int failed = 0;

  double p99() const { return latencies.at(latencies.size() * 99 / 100); }
  double share(std::uint32_t slot) const {
    return served[slot] / static_cast<double>(std::accumulate(served.begin(), served.end(), 0));
  }
  /// The busiest of the nine that are alike, over their mean.
  double spread() const {
    const auto others = std::accumulate(served.begin(), served.end(), 0) - served[kSlow];
    int most = 0;
    for (std::uint32_t slot = 0; slot < kServers; ++slot) most = slot == kSlow ? most : std::max(most, served[slot]);
    return most * (kServers - 1.0) / others;
  }
  std::string text() const {
    return "the slow one's share " + std::to_string(share(kSlow)) + ", busiest of the others " +
           std::to_string(spread()) + " of their mean, p99 " + std::to_string(p99()) + " s, failed " +
           std::to_string(failed);
  }
};

/// A clock, a queue of arrivals and ends, and servers that work first come, first served.
class Simulation {
 public:
  Simulation(Kind kind, const Scenario& scenario)
      : scenario_(scenario), balancer_(Balancer::make(kind, 42)), servers_(kServers) {
    for (std::uint32_t slot = 0; slot < kServers; ++slot) balancer_->set(slot, mix(slot), 1);
  }

  Outcome run() {
    double arrival = exponential(1 / scenario_.rate);
    while (arrival < scenario_.seconds || !ends_.empty()) {
      if (arrival < scenario_.seconds && (ends_.empty() || arrival < ends_.top().at)) {
        arrive(arrival);
        arrival += exponential(1 / scenario_.rate);
      } else {
        const End end = ends_.top();
        ends_.pop();
        finish(end);
      }
    }
    std::sort(outcome_.latencies.begin(), outcome_.latencies.end());
    return std::move(outcome_);
  }

 private:
  struct End {
    double at;
    double arrived;
    std::uint32_t slot;
    bool operator>(const End& other) const { return at > other.at; }
  };
  struct Server {
    int busy = 0;
    std::queue<double> waiting;  // when they arrived
  };

  double exponential(double mean) { return -mean * std::log(1 - numbers_.unit()); }

  static TimePoint time(double at) {
    return TimePoint(std::chrono::hours(1)) + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(at));
  }

  void arrive(double now) {
    const auto slot = balancer_->pick({.key = numbers_.next()});
    balancer_->began(slot);
    const bool counts = now >= scenario_.count_from;
    outcome_.served.at(slot) += counts ? 1 : 0;
    if (slot == kSlow && now >= scenario_.fails_from) {
      outcome_.failed += counts ? 1 : 0;
      balancer_->measured(slot, std::nullopt, time(now));
      balancer_->ended(slot);
    } else if (servers_[slot].busy < kPlaces) {
      work(slot, now, now);
    } else {
      servers_[slot].waiting.push(now);
    }
  }

  void work(std::uint32_t slot, double arrived, double now) {
    ++servers_[slot].busy;
    const double mean = kService * (slot == kSlow && now < scenario_.slow_until ? scenario_.slowness : 1);
    ends_.push({now + exponential(mean), arrived, slot});
  }

  void finish(const End& end) {
    Server& server = servers_[end.slot];
    --server.busy;
    const double latency = end.at - end.arrived;
    if (end.arrived >= scenario_.count_from) outcome_.latencies.push_back(latency);
    balancer_->measured(end.slot, std::chrono::duration_cast<Duration>(std::chrono::duration<double>(latency)),
                        time(end.at));
    balancer_->ended(end.slot);
    if (server.waiting.empty()) return;
    const double arrived = server.waiting.front();
    server.waiting.pop();
    work(end.slot, arrived, end.at);
  }

  Scenario scenario_;
  std::unique_ptr<Balancer> balancer_;
  RandomNumbers numbers_{7};
  std::vector<Server> servers_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  Outcome outcome_;
};

Outcome simulate(Kind kind, const Scenario& scenario) {
  return Simulation(kind, scenario).run();
}

class SimulationTest : public ::testing::TestWithParam<Kind> {};

TEST_P(SimulationTest, EqualServersShareEqually) {
  for (const double rate : {300.0, 3000.0}) {
    const auto outcome = simulate(GetParam(), {.rate = rate, .slowness = 1});
    EXPECT_NEAR(outcome.share(kSlow), 0.1, 0.02) << outcome.text();
    EXPECT_LT(outcome.spread(), 1.2) << outcome.text();
  }
}

/// When the slow server is well again it gets its share again, within the minute.
TEST_P(SimulationTest, OneThatWasSlowComesBack) {
  const auto outcome =
      simulate(GetParam(), {.rate = 1800, .seconds = 110, .slow_until = 30, .fails_from = kNever, .count_from = 90});
  EXPECT_NEAR(outcome.share(kSlow), 0.1, 0.03) << outcome.text();
}

std::string name_of(const ::testing::TestParamInfo<Kind>& kind) {
  const std::vector<std::string> names{"round_robin", "least_requests", "random_two", "peak_ewma", "hash"};
  return names.at(static_cast<std::size_t>(kind.param));
}

INSTANTIATE_TEST_SUITE_P(Every, SimulationTest,
                         ::testing::Values(Kind::kRoundRobin, Kind::kLeastRequests, Kind::kRandomTwo, Kind::kPeakEwma,
                                           Kind::kHash),
                         name_of);

/// Light load: everybody is idle most of the time, and even the slow one keeps up with a tenth.
TEST(SlowServerTest, AtLightLoad) {
  const Scenario scenario{.rate = 300};
  const auto in_turn = simulate(Kind::kRoundRobin, scenario);
  EXPECT_NEAR(in_turn.share(kSlow), 0.1, 0.001) << in_turn.text();
  // Not for hash, whose keys stay where they are until there is more to do.
  const std::map<Kind, double> most{{Kind::kLeastRequests, 0.05}, {Kind::kRandomTwo, 0.05}, {Kind::kPeakEwma, 0.01}};
  for (const auto& [kind, share] : most) {
    const auto outcome = simulate(kind, scenario);
    EXPECT_LT(outcome.share(kSlow), share) << outcome.text();
    EXPECT_LT(outcome.spread(), 1.2) << outcome.text();
    EXPECT_LT(outcome.p99(), in_turn.p99() * 0.6) << outcome.text();
  }
}

/// Half of what all together can do: given its tenth, the slow one's queue grows for ever.
TEST(SlowServerTest, AtHalfLoad) {
  const Scenario scenario{.rate = 1800};
  const auto in_turn = simulate(Kind::kRoundRobin, scenario);
  EXPECT_NEAR(in_turn.share(kSlow), 0.1, 0.001) << in_turn.text();
  EXPECT_GT(in_turn.p99(), 10) << in_turn.text();
  const std::map<Kind, double> most{
      {Kind::kLeastRequests, 0.03}, {Kind::kRandomTwo, 0.03}, {Kind::kPeakEwma, 0.01}, {Kind::kHash, 0.03}};
  for (const auto& [kind, share] : most) {
    const auto outcome = simulate(kind, scenario);
    EXPECT_LT(outcome.share(kSlow), share) << outcome.text();
    EXPECT_LT(outcome.spread(), 1.2) << outcome.text();
    EXPECT_LT(outcome.p99(), kind == Kind::kHash ? 0.3 : 0.15) << outcome.text();
  }
}

/// A server that fails at once is the idlest of all. peak_ewma is not taken in by that; the others need it to be
/// ejected.
TEST(FailingServerTest, IsNotTakenForFast) {
  const Scenario scenario{.rate = 1800, .slowness = 1, .fails_from = 30, .count_from = 30};
  const auto in_turn = simulate(Kind::kRoundRobin, scenario);
  EXPECT_NEAR(in_turn.share(kSlow), 0.1, 0.001) << in_turn.text();
  const auto outcome = simulate(Kind::kPeakEwma, scenario);
  EXPECT_LT(outcome.share(kSlow), 0.001) << outcome.text();
  EXPECT_GT(outcome.failed, 1) << outcome.text();  // it is tried again
}

}  // namespace
}  // namespace headgate::upstream
