// SPDX-License-Identifier: Apache-2.0
// Thousands of rollouts of pools that are alike, and of pools that are not. The same every time.
// HEADGATE_SIMULATION_RUNS=N lives N times as many lives.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "rollout_world.h"

namespace headgate::routing {
namespace {

using namespace std::chrono_literals;

std::size_t times() {
  const char* const text = std::getenv("HEADGATE_SIMULATION_RUNS");
  const long number = text == nullptr ? 1 : std::strtol(text, nullptr, 10);
  return number > 0 ? static_cast<std::size_t>(number) : 1;
}

const Latencies kQuick = log_normal(4, 0.5);
const Latencies kUsual = log_normal(20, 1);
const Latencies kUsualTwiceAsSlow = log_normal(20, 1, 2);
const Latencies kUsualTenthSlower = log_normal(20, 1, 1.1);
const Latencies kScattered = log_normal(30, 2);
const Latencies kSteady = log_normal(20, 0.3);
const Latencies kSteadyTwiceAsSlow = log_normal(20, 0.3, 2);

/// What many lives had in common.
struct Lives {
  std::vector<Life> all;

  std::size_t rolled_back() const {
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [](const Life& life) { return life.state == RolloutState::kRolledBack; }));
  }
  template <class Member>
  auto median(Member Life::*member) const {
    std::vector<Member> values;
    for (const Life& life : all) values.push_back(life.*member);
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
  }
  std::string endings() const {
    std::map<std::string, int> counts;
    for (const Life& life : all) {
      ++counts[std::string(name_of(life.state)) + " (" + std::string(name_of(life.reason)) + ")"];
    }
    std::string text;
    for (const auto& [ending, count] : counts) text += " " + ending + ": " + std::to_string(count);
    return text;
  }
};

// Under a sanitizer a life takes several times as long.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kSlower = 5;
#else
constexpr std::size_t kSlower = 1;
#endif

Lives live(const config::Rollout& settings, const World& world, std::size_t runs, std::uint64_t seed) {
  Lives lives;
  for (std::size_t i = 0; i < runs * times() / kSlower; ++i) {
    lives.all.push_back(Simulation(settings, world, mix(seed) + i).live());
  }
  return lives;
}

config::Rollout from_five_percent() {
  config::Rollout settings;
  settings.steps = {5, 25, 50, 100};
  return settings;
}

World one_route(double rate, double old_errors, double new_errors, const Latencies& old_latencies = kUsual,
                const Latencies& new_latencies = kUsual) {
  World world;
  world.rate = rate;
  world.routes = {{1, old_errors, new_errors, &old_latencies, &new_latencies}};
  return world;
}

/// Three routes of different kinds; `slack` as World's.
World three_routes(double rate, double errors, double slack) {
  World world;
  world.rate = rate;
  world.routes = {{0.6, errors / 2, errors / 2, &kQuick, &kQuick},
                  {0.3, errors, errors, &kUsual, &kUsual},
                  {0.1, std::min(errors * 4, 0.5), std::min(errors * 4, 0.5), &kScattered, &kScattered}};
  world.slack = slack;
  return world;
}

/// The mix turns over, and what both pools need is in trouble from time to time.
World stormy(double rate, double errors) {
  World world = three_routes(rate, errors, 0.3);
  world.weather = [calm = world](double seconds, World& now) {
    const double turn = 0.5 + 0.5 * std::sin(seconds / 40);
    now.routes[0].share = 0.1 + 0.6 * turn;
    now.routes[1].share = 0.8 - 0.6 * turn;
    const bool storm = std::fmod(seconds, 120) > 100;
    for (std::size_t i = 0; i < now.routes.size(); ++i) {
      const double usual = calm.routes[i].old_errors;
      now.routes[i].old_errors = now.routes[i].new_errors = storm ? std::min(0.02 + usual * 5, 0.6) : usual;
      now.routes[i].old_latencies = now.routes[i].new_latencies = storm ? &kScattered : calm.routes[i].old_latencies;
    }
  };
  return world;
}

/// With pools that are alike: the world's kind and its requests a second.
class AlikePools : public testing::TestWithParam<std::tuple<std::string, double>> {};

TEST_P(AlikePools, AreSeldomRolledBack) {
  const auto& [kind, rate] = GetParam();
  std::size_t runs = 0;
  std::size_t false_alarms = 0;
  std::string endings;
  for (const double errors : {0.0, 0.001, 0.01, 0.1}) {
    World world = kind == "one_route"      ? one_route(rate, errors, errors)
                  : kind == "three_routes" ? three_routes(rate, errors, 0.4)
                                           : stormy(rate, errors);
    if (rate < 100) world.tick = 1s;
    world.limit = rate < 100 ? 2400s : rate < 1000 ? 900s : 240s;
    const auto lives = live(config::Rollout(), world, rate > 1000 ? 25 : 75,
                            mix(hash_of(kind) + static_cast<std::uint64_t>(rate + errors * 1e6)));
    runs += lives.all.size();
    false_alarms += lives.rolled_back();
    endings += "\n  " + std::to_string(errors * 100) + " % errors:" + lives.endings();
  }
  const double agreed = static_cast<double>(runs) / 1000;
  std::printf("%s, %g requests/s: %zu false alarms in %zu rollouts%s\n", kind.c_str(), rate, false_alarms, runs,
              endings.c_str());
  EXPECT_LE(static_cast<double>(false_alarms), agreed + 2 * std::sqrt(agreed));
}
INSTANTIATE_TEST_SUITE_P(Rollouts, AlikePools,
                         testing::Combine(testing::Values("one_route", "three_routes", "stormy"),
                                          testing::Values(1.0, 20.0, 200.0, 1000.0, 5000.0)),
                         [](const auto& each) {
                           return std::get<0>(each.param) + "_" +
                                  std::to_string(static_cast<int>(std::get<1>(each.param))) + "_a_second";
                         });

struct Fault {
  std::string name;
  World world;
  double seconds;  // median, at most
  RolloutReason reason;
};

class BadPools : public testing::TestWithParam<Fault> {};

// At 5 % of 1,000 requests a second.
TEST_P(BadPools, AreRolledBackWithinSeconds) {
  const Fault& fault = GetParam();
  const auto lives = live(from_five_percent(), fault.world, 150, hash_of(fault.name));
  std::printf("%s: rolled back after %.1f s, %llu requests to the new pool, %llu failed (medians);%s\n",
              fault.name.c_str(), lives.median(&Life::seconds),
              static_cast<unsigned long long>(lives.median(&Life::exposed)),
              static_cast<unsigned long long>(lives.median(&Life::failed)), lives.endings().c_str());
  EXPECT_EQ(lives.rolled_back(), lives.all.size());
  EXPECT_LT(lives.median(&Life::seconds), fault.seconds);
  const auto blamed =
      std::count_if(lives.all.begin(), lives.all.end(), [&](const Life& life) { return life.reason == fault.reason; });
  EXPECT_GT(static_cast<double>(blamed), 0.5 * static_cast<double>(lives.all.size()));
}

World one_broken_of_three() {
  World world = three_routes(1000, 0.001, 0);
  world.routes[2].new_errors = 0.2;
  return world;
}

INSTANTIATE_TEST_SUITE_P(
    Rollouts, BadPools,
    testing::Values(
        Fault{"errors_from_a_tenth_of_a_percent_to_5", one_route(1000, 0.001, 0.05), 3, RolloutReason::kErrorsWorse},
        Fault{"errors_from_a_tenth_of_a_percent_to_1", one_route(1000, 0.001, 0.01), 40, RolloutReason::kErrorsWorse},
        Fault{"errors_from_none_to_5_percent", one_route(1000, 0, 0.05), 3, RolloutReason::kErrorsWorse},
        Fault{"everything_fails", one_route(1000, 0.001, 1), 0.5, RolloutReason::kErrorsWorse},
        Fault{"errors_from_10_to_15_percent", one_route(1000, 0.1, 0.15), 60, RolloutReason::kErrorsWorse},
        Fault{"a_tenth_of_the_requests_fails_one_time_in_five", one_broken_of_three(), 6, RolloutReason::kErrorsWorse},
        Fault{"p99_doubled", one_route(1000, 0.001, 0.001, kUsual, kUsualTwiceAsSlow), 15,
              RolloutReason::kLatencyWorse},
        Fault{"p99_doubled_of_steady_answers", one_route(1000, 0.001, 0.001, kSteady, kSteadyTwiceAsSlow), 8,
              RolloutReason::kLatencyWorse}),
    [](const auto& each) { return each.param.name; });

TEST(LateFaults, AreFoundWithinSeconds) {
  World world = one_route(1000, 0.001, 0.001);
  constexpr double kBegin = 75;  // in the step at 50 %
  world.weather = [](double seconds, World& now) { now.routes[0].new_errors = seconds > kBegin ? 0.05 : 0.001; };
  const auto lives = live(from_five_percent(), world, 60, 5);
  std::printf("5 %% errors from the second %.0f on: rolled back %.1f s later;%s\n", kBegin,
              lives.median(&Life::seconds) - kBegin, lives.endings().c_str());
  EXPECT_LT(lives.median(&Life::seconds), kBegin + 3);
  EXPECT_EQ(lives.rolled_back(), lives.all.size());
}

class Tolerated : public testing::TestWithParam<std::pair<std::string, World>> {};

TEST_P(Tolerated, DifferencesDoNotStopARollout) {
  World world = GetParam().second;
  world.limit = 900s;
  const auto lives = live(from_five_percent(), world, 60, hash_of(GetParam().first));
  std::printf("%s:%s\n", GetParam().first.c_str(), lives.endings().c_str());
  EXPECT_LE(static_cast<double>(lives.rolled_back()), 0.04 * static_cast<double>(lives.all.size()));
}
INSTANTIATE_TEST_SUITE_P(
    Rollouts, Tolerated,
    testing::Values(std::pair("a_tenth_of_a_point_more_errors", one_route(1000, 0.001, 0.002)),
                    std::pair("a_fifth_of_a_point_more_errors", one_route(1000, 0.001, 0.003)),
                    std::pair("a_quarter_of_a_point_of_many_errors", one_route(1000, 0.05, 0.0525)),
                    std::pair("a_tenth_slower", one_route(1000, 0.001, 0.001, kUsual, kUsualTenthSlower))),
    [](const auto& each) { return each.param.first; });

// A version that is worse by what is tolerated is promoted as seldom as one that is alike is rolled back.
TEST(Promotion, OfAWorseVersionIsRare) {
  World world = one_route(1000, 0.001, 0.0065);
  world.limit = 900s;
  const auto lives = live(config::Rollout(), world, 100, 77);
  const auto promoted = std::count_if(lives.all.begin(), lives.all.end(),
                                      [](const Life& life) { return life.state == RolloutState::kPromoted; });
  std::printf("worse by more than is tolerated:%s\n", lives.endings().c_str());
  EXPECT_LE(static_cast<double>(promoted), 0.01 * static_cast<double>(lives.all.size()));
}

TEST(Promotion, OfAnEqualVersionTakesLittleMoreThanTheStepsTime) {
  World world = one_route(1000, 0.001, 0.001);
  const auto lives = live(config::Rollout(), world, 60, 78);
  std::printf("1,000 requests/s: promoted after %.0f s (median);%s\n", lives.median(&Life::seconds),
              lives.endings().c_str());
  EXPECT_GE(lives.median(&Life::seconds), 150);
  EXPECT_LT(lives.median(&Life::seconds), 225);
}

TEST(Simulation, IsTheSameEveryTime) {
  const World world = one_route(1000, 0.001, 0.01);
  const auto one = Simulation(config::Rollout(), world, 3).live();
  const auto other = Simulation(config::Rollout(), world, 3).live();
  EXPECT_EQ(one.exposed, other.exposed);
  EXPECT_EQ(one.failed, other.failed);
  EXPECT_EQ(one.seconds, other.seconds);
}

}  // namespace
}  // namespace headgate::routing
