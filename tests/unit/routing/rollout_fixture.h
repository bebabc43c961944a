// SPDX-License-Identifier: Apache-2.0
// A rollout, and two pools that do exactly as they are told.
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "observe/scorecard.h"
#include "routing/rollout.h"

namespace headgate::routing {

using namespace std::chrono_literals;

/// The defaults, but for the steps.
inline config::Rollout steps(std::vector<double> percents) {
  config::Rollout settings;
  settings.steps = std::move(percents);
  return settings;
}

/// What happens in a tick of 100 ms.
struct Traffic {
  int new_requests = 0;
  int new_errors = 0;
  int old_requests = 0;
  int old_errors = 0;
  std::chrono::microseconds new_latency = 10ms;
  std::chrono::microseconds old_latency = 10ms;
  std::size_t route_class = 0;
};

inline void count(observe::Scorecard& card, std::size_t route_class, int requests, int errors,
                  std::chrono::microseconds latency) {
  for (int i = 0; i < requests; ++i) {
    card.classes[route_class].add(i < errors ? observe::Outcome::k500 : observe::Outcome::kAnswered, latency);
  }
  card.started += static_cast<std::uint64_t>(requests);
}

class Stage {
 public:
  explicit Stage(config::Rollout settings = {}, std::size_t route_classes = 1)
      : settings_(std::move(settings)),
        new_pool(route_classes),
        old_pool(route_classes),
        rollout(settings_, route_classes, now) {
    rollout.take_decisions();
    look();
  }

  void look() { rollout.tick({now, new_pool, old_pool, new_health, old_health, may_advance}); }
  void serve(const Traffic& traffic) {
    count(new_pool, traffic.route_class, traffic.new_requests, traffic.new_errors, traffic.new_latency);
    count(old_pool, traffic.route_class, traffic.old_requests, traffic.old_errors, traffic.old_latency);
  }
  /// Until the rollout's state or step changes, or the time is over. Whether it changed.
  bool pass(std::chrono::milliseconds time, const Traffic& traffic = {}) {
    const auto state = rollout.state();
    const auto step = rollout.step();
    for (auto passed = 0ms; passed < time; passed += 100ms) {
      now += 100ms;
      serve(traffic);
      look();
      if (rollout.state() != state || rollout.step() != step) return true;
    }
    return false;
  }
  RolloutDecision last_decision() {
    const auto decisions = rollout.take_decisions();
    return decisions.empty() ? RolloutDecision{} : decisions.back();
  }
  /// As another process would go on with it.
  void restart() {
    const auto record = rollout.record();
    rollout = Rollout::restored(settings_, new_pool.classes.size(), now, record);
    new_pool = observe::Scorecard(new_pool.classes.size());
    old_pool = observe::Scorecard(old_pool.classes.size());
  }

 private:
  config::Rollout settings_;

 public:
  observe::Scorecard new_pool;
  observe::Scorecard old_pool;
  PoolHealth new_health;
  PoolHealth old_health;
  bool may_advance = true;
  TimePoint now{};
  Rollout rollout;
};

/// Plenty of it, and nothing wrong: 5 % of 2,000 requests a second.
inline constexpr Traffic kGood{10, 0, 190, 0};

}  // namespace headgate::routing
