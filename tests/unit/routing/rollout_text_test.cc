// SPDX-License-Identifier: Apache-2.0
// What a rollout says of itself.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "rollout_fixture.h"
#include "routing/rollout.h"

namespace headgate::routing {
namespace {

using Kind = RolloutDecision::Kind;
using State = RolloutState;
using Reason = RolloutReason;

TEST(RolloutText, SaysWhatWasSeen) {
  RolloutDecision decision{Kind::kRolledBack, Reason::kErrorsWorse, 1, 0, {}};
  decision.numbers.figures = {460, 23, 8'740, 9, 12ms, 11ms};
  EXPECT_EQ(sentence(decision, "green", "blue", ""),
            "green rolled back in step 2: more errors than blue: 23 of 460 requests (5 %) failed, blue's 9 of 8,740 "
            "requests (0.1 %)");
  decision.numbers.route_class = 3;
  EXPECT_NE(sentence(decision, "green", "blue", "/api/cart").find(" on /api/cart: "), std::string::npos);
  decision.reason = Reason::kLatencyWorse;
  decision.numbers.route_class.reset();
  EXPECT_EQ(sentence(decision, "green", "blue", ""),
            "green rolled back in step 2: slower than blue: p99 12 ms against 11 ms, after 460 requests");
}

TEST(RolloutText, SaysWhatIsMissing) {
  RolloutNumbers numbers;
  numbers.more_requests = 12'345;
  numbers.more_time = 90s;
  EXPECT_EQ(sentence(Reason::kErrorsUnclear, numbers, "green", "blue", ""),
            "not enough data on errors: about 12,345 more requests, 90 s at the present rate");
  numbers.more_time = 3h;
  EXPECT_EQ(sentence(Reason::kLatencyUnclear, numbers, "green", "blue", ""),
            "not enough data on latency: about 12,345 more requests, 3 h at the present rate");
  numbers.more_requests.reset();
  EXPECT_NE(sentence(Reason::kErrorsUnclear, numbers, "green", "blue", "").find("cannot be said"), std::string::npos);
}

TEST(RolloutText, EachReasonAndKindHasWordsOfItsOwn) {
  std::vector<std::string> seen;
  const auto is_new = [&seen](std::string text) {
    const bool fresh = !text.empty() && std::find(seen.begin(), seen.end(), text) == seen.end();
    seen.push_back(std::move(text));
    return fresh;
  };
  for (int i = 0; i <= static_cast<int>(Reason::kOperator); ++i) {
    EXPECT_TRUE(is_new(std::string(name_of(static_cast<Reason>(i))))) << i;
    if (i > 0) {
      EXPECT_TRUE(is_new(sentence(static_cast<Reason>(i), {}, "green", "blue", "/x"))) << i;
    }
  }
  EXPECT_EQ(name_of(Reason::kNoVerdict), "no_verdict");
  EXPECT_EQ(name_of(Reason::kStalled), "stalled");
  EXPECT_EQ(name_of(Reason::kOperator), "operator");
  seen.clear();
  for (int i = 0; i <= static_cast<int>(Kind::kRolledBack); ++i) {
    EXPECT_TRUE(is_new(std::string(name_of(static_cast<Kind>(i))))) << i;
    EXPECT_TRUE(is_new(sentence(RolloutDecision{static_cast<Kind>(i), Reason::kOperator, 0, 5, {}}, "g", "b", "")));
  }
  EXPECT_EQ(name_of(Kind::kRolledBack), "rolled_back");
  seen.clear();
  for (int i = 0; i <= static_cast<int>(State::kRolledBack); ++i) {
    EXPECT_TRUE(is_new(std::string(name_of(static_cast<State>(i))))) << i;
  }
}

}  // namespace
}  // namespace headgate::routing
