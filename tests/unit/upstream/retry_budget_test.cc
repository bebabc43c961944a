// SPDX-License-Identifier: Apache-2.0
#include "upstream/retry_budget.h"

#include <gtest/gtest.h>

namespace headgate::upstream {
namespace {

TEST(RetryBudget, AFewAreAlwaysAllowed) {
  RetryBudget budget(1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.may_retry(0));
  EXPECT_FALSE(budget.may_retry(0));
  budget.retry_ended();
  EXPECT_TRUE(budget.may_retry(0));
}

TEST(RetryBudget, MoreAreAShareOfWhatIsUnderWay) {
  RetryBudget budget(2);
  for (int i = 0; i < 60; ++i) budget.begin(0);
  for (int i = 0; i < 40; ++i) budget.begin(1);
  EXPECT_EQ(budget.active(), 100u);
  int allowed = 0;
  while (budget.may_retry(0.2)) ++allowed;
  EXPECT_EQ(allowed, 20);
  for (int i = 0; i < 50; ++i) budget.end(0);
  EXPECT_FALSE(budget.may_retry(0.2));
  for (int i = 0; i < 11; ++i) budget.retry_ended();
  EXPECT_TRUE(budget.may_retry(0.2)) << "10 of 50";
  EXPECT_FALSE(budget.may_retry(0.2));
}

}  // namespace
}  // namespace headgate::upstream
