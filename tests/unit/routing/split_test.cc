// SPDX-License-Identifier: Apache-2.0
#include "routing/split.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::routing {
namespace {

constexpr std::size_t kClients = 2'000;

std::string client(std::size_t number) {
  return "client-" + std::to_string(number);
}

/// The pool of each of the first kClients clients.
std::vector<std::size_t> drawn(const Split& split, const std::string& salt, Split::Usable usable = Split::kAll) {
  const Points points(salt);
  std::vector<std::size_t> pools;
  for (std::size_t i = 0; i < kClients; ++i) pools.push_back(split.choose(points.of(client(i)), usable)->pool);
  return pools;
}

double share_of(const std::vector<std::size_t>& pools, std::size_t pool) {
  return static_cast<double>(std::count(pools.begin(), pools.end(), pool)) / static_cast<double>(pools.size());
}

/// Clients that were in `pool` and are no longer.
std::size_t left(const std::vector<std::size_t>& before, const std::vector<std::size_t>& after, std::size_t pool) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < before.size(); ++i) count += before[i] == pool && after[i] != pool ? 1 : 0;
  return count;
}

Split blue_green(double blue, double green) {
  return Split({{"blue", blue}, {"green", green}});
}

TEST(Split, SharesAreWithinTwoPoints) {
  for (const double percent : {1.0, 5.0, 10.0, 30.0, 50.0, 90.0}) {
    for (const char* salt : {"r1", "r2", "r3"}) {
      EXPECT_NEAR(share_of(drawn(blue_green(100 - percent, percent), salt), 1), percent / 100,
                  percent == 10 ? 0.02 : 0.035)
          << percent << " " << salt;
    }
  }
}

TEST(Split, WeightsAreRelative) {
  EXPECT_EQ(drawn(blue_green(95, 5), "r"), drawn(blue_green(19, 1), "r"));
}

TEST(Split, GrowingFlipsNobodyOut) {
  auto before = drawn(blue_green(100, 0), "r");
  for (const double percent : {0.1, 1.0, 5.0, 10.0, 30.0, 50.0, 99.0, 100.0}) {
    const auto after = drawn(blue_green(100 - percent, percent), "r");
    EXPECT_EQ(left(before, after, 1), 0U) << percent;
    before = after;
  }
  EXPECT_EQ(share_of(before, 1), 1.0);
}

TEST(Split, OfThreePoolsTheOneThatGrowsLosesNobody) {
  const auto before = drawn(Split({{"a", 60}, {"b", 30}, {"c", 10}}), "r");
  const auto at_one_s_cost = drawn(Split({{"a", 60}, {"b", 10}, {"c", 30}}), "r");
  EXPECT_EQ(left(before, at_one_s_cost, 2), 0U);
  EXPECT_NEAR(share_of(at_one_s_cost, 2), 0.3, 0.035);
  const auto at_both_s_cost = drawn(Split({{"a", 40}, {"b", 20}, {"c", 40}}), "r");
  EXPECT_EQ(left(before, at_both_s_cost, 2), 0U);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (at_both_s_cost[i] != 2) {
      EXPECT_EQ(at_both_s_cost[i], before[i]) << "moved between pools that kept their ratio";
    }
  }
}

TEST(Split, ANewPoolMovesNobodyElse) {
  const auto before = drawn(blue_green(50, 50), "r");
  const auto after = drawn(Split({{"red", 25}, {"green", 50}, {"blue", 50}}), "r");
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (after[i] != 0) {
      EXPECT_EQ(after[i] == 1, before[i] == 1);
    }
  }
  EXPECT_NEAR(share_of(after, 0), 0.2, 0.035);
}

TEST(Split, AnotherReleaseDrawsOthers) {
  const auto one = drawn(blue_green(90, 10), "release 1");
  const auto other = drawn(blue_green(90, 10), "release 2");
  std::size_t both = 0;
  for (std::size_t i = 0; i < kClients; ++i) both += one[i] == 1 && other[i] == 1 ? 1 : 0;
  EXPECT_GT(both, 2U);   // independent: 1 % of all, 20
  EXPECT_LT(both, 40U);  // and not the 200 of the first
}

TEST(Split, SimilarKeysAndSaltsFallApart) {
  double sum = 0;
  double product = 0;
  double neighbours = 0;
  for (int i = 0; i < 4'000; ++i) {
    const double here = Points("salt").of(client(static_cast<std::size_t>(i))).in_unit();
    const double next = Points("salt").of(client(static_cast<std::size_t>(i) + 1)).in_unit();
    const double elsewhere = Points("salu").of(client(static_cast<std::size_t>(i))).in_unit();
    ASSERT_GE(here, 0);
    ASSERT_LT(here, 1);
    sum += here;
    product += (here - 0.5) * (elsewhere - 0.5);
    neighbours += (here - 0.5) * (next - 0.5);
  }
  EXPECT_NEAR(sum / 4'000, 0.5, 0.02);
  EXPECT_NEAR(product / 4'000 * 12, 0, 0.05);  // correlation
  EXPECT_NEAR(neighbours / 4'000 * 12, 0, 0.05);
}

TEST(Split, EveryProcessAgrees) {
  // Of all versions: an upgrade that changed one of these numbers would move clients of running fleets.
  const Points points("2026-11-20T12:00:00Z");
  EXPECT_EQ(points.of("").bits(), 0xa82bdb4b39089ca6U);
  EXPECT_EQ(points.of("a").bits(), 0xf5b24a409f12faacU);
  EXPECT_EQ(points.of("client-1").bits(), 0xeec5810b93208523U);
  EXPECT_EQ(points.of("0123456789abcdef").bits(), 0xd0c43c3b5e9df543U);
  std::string pools;
  const Split split({{"blue", 60}, {"green", 30}, {"red", 10}});
  for (std::size_t i = 0; i < 40; ++i) pools += "bgr"[split.choose(points.of(client(i)))->pool];
  EXPECT_EQ(pools, "gbbrgbbbgbgrggggbggbbgbbbgbbggbbbbbbgrbb");
}

TEST(Split, ZeroWeightMeansNobody) {
  EXPECT_EQ(share_of(drawn(blue_green(1, 0), "r"), 0), 1.0);
  EXPECT_FALSE(blue_green(0, 0).choose(Point(7)));
  EXPECT_FALSE(Split({}).choose(Point(7)));
}

TEST(Split, APoolWithoutHealthSpills) {
  const Split split({{"a", 50}, {"b", 30}, {"c", 20}});
  const auto all = drawn(split, "r");
  const Points points("r");
  for (std::size_t i = 0; i < kClients; ++i) {
    const auto choice = *split.choose(points.of(client(i)), 0b101);
    EXPECT_NE(choice.pool, 1U);
    EXPECT_EQ(choice.spilled, all[i] == 1);
    if (all[i] != 1) {
      EXPECT_EQ(choice.pool, all[i]);
    }
  }
  const auto spilled = drawn(split, "r", 0b101);
  EXPECT_NEAR(share_of(spilled, 0), 5.0 / 7, 0.035);
}

TEST(Split, WithoutAnyHealthyPoolTheChoiceIsTheUsualOne) {
  const Split split = blue_green(50, 50);
  const auto choice = split.choose(Points("r").of("x"), 0);
  EXPECT_EQ(choice, split.choose(Points("r").of("x")));
}

TEST(Split, APoolOfNoWeightTakesNoSpill) {
  const Split split({{"a", 50}, {"b", 50}, {"c", 0}});
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_NE(split.choose(Point(mix(i)), 0b101)->pool, 2U);
}

TEST(Split, KeepLetsThoseStayWhoAreThere) {
  const Split split = blue_green(100, 0);
  const Point point = Points("r").of("x");
  EXPECT_EQ(split.choose_keeping(point, 1)->pool, 1U);
  EXPECT_EQ(split.choose_keeping(point, std::nullopt)->pool, 0U);
  EXPECT_EQ(split.choose(point)->pool, 0U);
  EXPECT_EQ(split.choose_keeping(point, 1, 0b01), (Split::Choice{0, true})) << "its servers are gone";
  EXPECT_EQ(split.choose_keeping(point, 7)->pool, 0U) << "no such pool any more";
}

TEST(Split, KeepDoesNotHoldWhereThereIsAWeight) {
  const Split split = blue_green(0.001, 100);
  const Point point = Points("r").of("x");
  ASSERT_EQ(split.choose(point)->pool, 1U);
  EXPECT_EQ(split.choose_keeping(point, 0)->pool, 1U);
}

TEST(Split, WithShareKeepsTheOthersRatios) {
  const Split start({{"a", 60}, {"b", 20}, {"c", 0}});
  const auto grown = Split::with_share(start, "c", 20);
  ASSERT_TRUE(grown);
  EXPECT_DOUBLE_EQ(grown->share(0), 0.6);
  EXPECT_DOUBLE_EQ(grown->share(1), 0.2);
  EXPECT_DOUBLE_EQ(grown->share(2), 0.2);
  EXPECT_FALSE(Split::with_share(start, "d", 20));
  const auto alone = Split::with_share(Split({{"a", 0}, {"b", 0}, {"c", 1}}), "c", 30);
  EXPECT_DOUBLE_EQ(alone->share(0), 0.7);
  EXPECT_DOUBLE_EQ(alone->share(1), 0);
  EXPECT_DOUBLE_EQ(Split::with_share(start, "c", 100)->share(2), 1);
}

TEST(Split, RolloutOfOneOfThreePoolsLosesNobody) {
  const Split start({{"a", 60}, {"b", 40}, {"c", 0}});
  auto before = drawn(start, "r");
  for (const double percent : {1.0, 5.0, 25.0, 50.0, 100.0}) {
    const auto after = drawn(*Split::with_share(start, "c", percent), "r");
    EXPECT_EQ(left(before, after, 2), 0U);
    before = after;
  }
}

TEST(Split, TheOrderOfPoolsDecidesNothing) {
  const Split one({{"a", 50}, {"b", 30}, {"c", 20}});
  const Split other({{"c", 20}, {"a", 50}, {"b", 30}});
  for (std::uint64_t i = 0; i < 500; ++i) {
    const Point point(mix(i));
    EXPECT_EQ(one.pools()[one.choose(point)->pool].name, other.pools()[other.choose(point)->pool].name);
  }
}

TEST(Split, RequestsAreDrawnByAnyRandomBits) {
  const Split split = blue_green(90, 10);
  std::size_t green = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) green += split.choose(Point(mix(i)))->pool;
  EXPECT_NEAR(static_cast<double>(green) / 20'000, 0.1, 0.01);
}

}  // namespace
}  // namespace headgate::routing
