// SPDX-License-Identifier: Apache-2.0
#include "base/line_limit.h"

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(LineLimit, AdmitsOneInAPeriodAndTellsWhatWasLeftOut) {
  LineLimit limit;
  const TimePoint begun = Clock::now();
  EXPECT_EQ(limit.admit(begun), 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limit.admit(begun + LineLimit::kPeriod - Duration(1)), std::nullopt);
  EXPECT_EQ(limit.admit(begun + LineLimit::kPeriod), 5u);
  EXPECT_EQ(limit.admit(begun + LineLimit::kPeriod), std::nullopt);
  EXPECT_EQ(limit.admit(begun + 2 * LineLimit::kPeriod), 1u);
  EXPECT_EQ(limit.admit(begun + 9 * LineLimit::kPeriod), 0u);
}

}  // namespace
}  // namespace headgate
