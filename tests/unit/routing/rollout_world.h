// SPDX-License-Identifier: Apache-2.0
// Two pools that answer requests by chance, for rollouts to judge. Deterministic: a seed is a world's whole life.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "base/hash.h"
#include "observe/scorecard.h"
#include "routing/rollout.h"

namespace headgate::routing {

/// splitmix64.
class Chance {
 public:
  using result_type = std::uint64_t;
  explicit Chance(std::uint64_t seed) : state_(mix(seed + 1)) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return mix(state_ += 0x9e3779b97f4a7c15); }

 private:
  std::uint64_t state_;
};

/// The buckets of 4,096 equally likely latencies.
using Latencies = std::array<std::uint16_t, 4096>;

/// exp(spread * normal) * median.
inline Latencies log_normal(double median_ms, double spread, double factor = 1) {
  Latencies table;
  for (std::size_t i = 0; i < table.size(); ++i) {
    // The normal quantile by bisection of its distribution function: exact enough, and nowhere near the hot path.
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(table.size());
    double low = -6;
    double high = 6;
    for (int k = 0; k < 50; ++k) {
      const double middle = (low + high) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
    }
    const double us = median_ms * 1000 * factor * std::exp(spread * low);
    table[i] = static_cast<std::uint16_t>(observe::LatencyScale::of(static_cast<std::uint64_t>(us)));
  }
  return table;
}

struct SimulatedRoute {
  double share = 1;  // of the requests
  double old_errors = 0;
  double new_errors = 0;
  const Latencies* old_latencies = nullptr;
  const Latencies* new_latencies = nullptr;
};

struct World {
  double rate = 1000;  // requests a second, of both pools
  std::vector<SimulatedRoute> routes;
  std::chrono::milliseconds tick{100};
  std::chrono::seconds limit{600};  // of simulated time
  double slack = 0;  // how far the new pool's mix of routes is from the old one's: 0 not at all, 1 wholly
  // Changes the routes as time goes by (seconds); what strikes both pools, or a fault that begins late.
  std::function<void(double, World&)> weather;
};

struct Life {
  RolloutState state = RolloutState::kRunning;
  RolloutReason reason = RolloutReason::kNone;
  std::size_t step = 0;
  double seconds = 0;
  std::uint64_t exposed = 0;  // requests of the new pool
  std::uint64_t failed = 0;   // of those
};

class Simulation {
 public:
  Simulation(const config::Rollout& settings, World world, std::uint64_t seed)
      : settings_(settings), world_(std::move(world)), chance_(seed) {}

  Life live() {
    observe::Scorecard fresh(world_.routes.size());
    observe::Scorecard old(world_.routes.size());
    TimePoint now{};
    Rollout rollout(settings_, world_.routes.size(), now);
    const TimePoint end = now + world_.limit;
    const double tick = std::chrono::duration<double>(world_.tick).count();
    while (!rollout.over() && now < end) {
      rollout.tick({now, fresh, old, {}, {}});
      if (world_.weather) world_.weather(std::chrono::duration<double>(now.time_since_epoch()).count(), world_);
      const double share = rollout.percent() / 100;
      for (std::size_t i = 0; i < world_.routes.size(); ++i) {
        const SimulatedRoute& route = world_.routes[i];
        const double other = world_.routes[world_.routes.size() - 1 - i].share;
        const double new_share = route.share + (other - route.share) * world_.slack;
        serve(fresh, i, world_.rate * tick * share * new_share, route.new_errors, *route.new_latencies);
        serve(old, i, world_.rate * tick * (1 - share) * route.share, route.old_errors, *route.old_latencies);
      }
      now += world_.tick;
    }
    return {rollout.state(),  rollout.reason(),
            rollout.step(),   std::chrono::duration<double>(now.time_since_epoch()).count(),
            fresh.requests(), fresh.errors()};
  }

 private:
  void serve(observe::Scorecard& card, std::size_t index, double mean, double errors, const Latencies& latencies) {
    if (!(mean > 0)) return;
    const auto requests = static_cast<std::uint64_t>(std::poisson_distribution<int>(mean)(chance_));
    const auto limit = static_cast<std::uint64_t>(errors * 0x1p52);
    observe::ClassScore& score = card.classes[index];
    std::uint64_t failed = 0;
    for (std::uint64_t i = 0; i < requests; ++i) {
      const std::uint64_t bits = chance_();
      if ((bits >> 12) < limit) {
        ++failed;
      } else {
        ++score.latencies[latencies[bits & 4095]];
      }
    }
    score.outcomes[static_cast<std::size_t>(observe::Outcome::k500)] += failed;
    score.outcomes[static_cast<std::size_t>(observe::Outcome::kAnswered)] += requests - failed;
    card.started += requests;
  }

  config::Rollout settings_;
  World world_;
  Chance chance_;
};

}  // namespace headgate::routing
