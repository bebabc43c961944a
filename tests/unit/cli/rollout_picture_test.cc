// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/rollout_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace headgate::cli {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;

const json kRunning = json::parse(R"({
  "upstream": "api", "pool": "green", "against": "blue", "state": "running", "over": false, "step": 2,
  "steps": [1, 5, 25, 100], "percent": 5, "in_step_s": 12.5, "step_time_s": 30, "certainty": 0.0123,
  "sentence": "the step's time is not over", "more_requests": 1200, "more_time_s": 90,
  "in_this_step": {"route": null, "new": {"requests": 1234, "errors": 3, "p99_ms": 12.34},
                   "old": {"requests": 23000, "errors": 23, "p99_ms": null}},
  "since_start": {"failed_for_clients": 1, "shielded": 2}})");

TEST(RolloutPicture, HasBothPoolsSideBySide) {
  const auto lines = rollout_picture(kRunning, false);
  EXPECT_EQ(lines.front(), "api: rollout of green against blue: running");
  EXPECT_THAT(lines, Contains("  steps       1 %   [5 %]   25 %    100 %"));
  EXPECT_THAT(lines, Contains("  share      [##......................................] 5 %"));
  EXPECT_THAT(lines, Contains("  step time  12s of 30s at least"));
  EXPECT_THAT(lines, Contains("  requests   1,234                23,000"));
  EXPECT_THAT(lines, Contains("  errors     3 (0.243 %)          23 (0.1 %)"));
  EXPECT_THAT(lines, Contains("  p99        12.3 ms              -"));
  EXPECT_THAT(lines, Contains("  suspicion  0.0123 (1 rolls back)"));
  EXPECT_THAT(lines, Contains("  needs      about 1,200 more requests, 1m30s at the present rate"));
  EXPECT_THAT(lines, Contains("  clients    1 request failed for clients, 2 shielded"));
  EXPECT_EQ(lines.back(), "  the step's time is not over");
}

TEST(RolloutPicture, OneLine) {
  EXPECT_EQ(rollout_line(kRunning), "api: green running at 5 %, step 2 of 4: the step's time is not over");
  json over = kRunning;
  over["over"] = true;
  over["state"] = "rolled_back";
  over["sentence"] = "green rolled back in step 2: by command";
  EXPECT_EQ(rollout_line(over), "api: green rolled back in step 2: by command");
  EXPECT_THAT(rollout_picture(over, true).front(), HasSubstr("\033[31mrolled back\033[0m"));
}

TEST(RolloutPicture, TakesWhatIsMissingOrOfAnotherKind) {
  for (const char* const text : {"{}", "[]", "null", R"({"steps": [null, "x"], "percent": 1e300, "over": 1})",
                                 R"({"in_this_step": 7, "since_start": [], "sentence": {}, "more_requests": -1})"}) {
    EXPECT_FALSE(rollout_picture(json::parse(text), true).empty()) << text;
    EXPECT_FALSE(rollout_damage(json::parse(text)).empty()) << text;
    EXPECT_FALSE(rollout_line(json::parse(text)).empty()) << text;
  }
  json rollout = kRunning;
  rollout["sentence"] = "bad\033[2J";
  EXPECT_EQ(rollout_picture(rollout, false).back(), "  bad?[2J");
}

}  // namespace
}  // namespace headgate::cli
