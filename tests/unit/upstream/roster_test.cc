// SPDX-License-Identifier: Apache-2.0
#include "upstream/roster.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::upstream {
namespace {

/// One letter for each server: s serving, u unknown, x unhealthy, e ejected, t trial, d drained; a capital is a backup.
/// Those ejected were so in the order in which they stand.
std::vector<Facts> facts_of(const std::string& servers) {
  std::vector<Facts> all;
  for (const char c : servers) {
    Facts facts;
    facts.backup = c >= 'A' && c <= 'Z';
    switch (facts.backup ? c - 'A' + 'a' : c) {
      case 'u': facts.health = Health::kUnknown; break;
      case 'x': facts.health = Health::kUnhealthy; break;
      case 'e': facts.passive = Passive::kEjected; break;
      case 't': facts.passive = Passive::kTrial; break;
      case 'd': facts.drained = true; break;
      default: facts.health = Health::kHealthy; break;
    }
    facts.ejected_at = TimePoint(std::chrono::seconds(all.size()));
    all.push_back(facts);
  }
  return all;
}

/// The rotation, and a star for each server that is in it.
std::string judged(const std::string& servers, double max_ejected = 0.5) {
  const auto facts = facts_of(servers);
  std::vector<Verdict> verdicts(facts.size());
  std::string text(to_string(judge(facts, max_ejected, verdicts)));
  text += ' ';
  for (const auto& verdict : verdicts) text += verdict.in_rotation ? '*' : '.';
  return text;
}

TEST(Judge, ThoseThatAreWellServe) {
  EXPECT_EQ(judged("sss"), "serving ***");
  EXPECT_EQ(judged("sxs"), "serving *.*");
  EXPECT_EQ(judged("sud"), "serving *..");
  EXPECT_EQ(judged("set"), "serving *.*") << "of three, one may be ejected";
  EXPECT_EQ(judged("sets"), "serving *..*");
}

TEST(Judge, BackupsServeOnlyWhenNobodyElseDoes) {
  EXPECT_EQ(judged("sS"), "serving *.");
  EXPECT_EQ(judged("xSS"), "backup .**");
  EXPECT_EQ(judged("uS"), "backup .*");
  EXPECT_EQ(judged("eS"), "backup .*");
  EXPECT_EQ(judged("xX"), "panic **");
}

TEST(Judge, WhatIsNotKnownYetIsWaitedFor) {
  EXPECT_EQ(judged("uu"), "unknown **");
  EXPECT_EQ(judged("ux"), "unknown *.");
  EXPECT_EQ(judged("ud"), "unknown *.");
}

TEST(Judge, WithNobodyWellAllButDrainedOnesAreUsed) {
  EXPECT_EQ(judged("xx"), "panic **");
  EXPECT_EQ(judged("xd"), "panic *.");
  EXPECT_EQ(judged("dd"), "none ..");
  EXPECT_EQ(judged(""), "none ");
}

TEST(Judge, TheLastOneIsNeverEjected) {
  EXPECT_EQ(judged("e", 1), "serving *");
  EXPECT_EQ(judged("t", 1), "serving *");
  EXPECT_EQ(judged("ee", 1), "serving .*") << "the one ejected first stays so";
  EXPECT_EQ(judged("exd", 1), "serving *..");
  EXPECT_EQ(judged("es", 1), "serving .*");
}

TEST(Judge, TheLimitIsInWholeServers) {
  EXPECT_EQ(judged("ees"), "serving .**");
  EXPECT_EQ(judged("eess"), "serving ..**");
  EXPECT_EQ(judged("eesss", 0.3), "serving .****");
  EXPECT_EQ(judged("es", 0.3), "serving **");
  EXPECT_EQ(judged("eeessss" "sss", 0.3), "serving ...*******") << "30 % of 10 is 3";
  EXPECT_EQ(judged("es", 0), "serving **");
}

/// Every combination of six servers: what holds whatever they are.
TEST(Judge, HoldsItsPromises) {
  const std::string kinds = "suxetdSE";
  std::size_t combinations = 1;
  for (int i = 0; i < 6; ++i) combinations *= kinds.size();
  for (std::size_t number = 0; number < combinations; ++number) {
    std::string servers;
    for (std::size_t rest = number, i = 0; i < 6; ++i, rest /= kinds.size()) servers += kinds[rest % kinds.size()];
    const auto facts = facts_of(servers);
    std::vector<Verdict> verdicts(facts.size());
    const auto rotation = judge(facts, 0.5, verdicts);
    const auto count = [&](const auto& which) { return std::count_if(verdicts.begin(), verdicts.end(), which); };
    const auto out = count([](const Verdict& v) { return v.standing == Standing::kEjected || v.standing == Standing::kTrial; });
    const auto serving = count([](const Verdict& v) { return v.standing == Standing::kServing; });
    const auto used = count([](const Verdict& v) { return v.in_rotation; });
    ASSERT_LE(out, 3) << servers;
    ASSERT_TRUE(out == 0 || serving > 0) << servers << ": the last one that was well was ejected";
    ASSERT_EQ(used == 0, rotation == Rotation::kNone) << servers;
    ASSERT_EQ(rotation == Rotation::kNone, servers == "dddddd") << servers;
    for (std::size_t i = 0; i < facts.size(); ++i) {
      ASSERT_FALSE(facts[i].drained && verdicts[i].in_rotation) << servers;
      const bool well = verdicts[i].standing == Standing::kServing;
      if (rotation == Rotation::kServing) {
        ASSERT_EQ(verdicts[i].in_rotation, well && !facts[i].backup) << servers;
      } else if (rotation == Rotation::kBackup) {
        ASSERT_EQ(verdicts[i].in_rotation, well) << servers;
      }
    }
  }
}

}  // namespace
}  // namespace headgate::upstream
