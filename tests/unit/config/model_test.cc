// SPDX-License-Identifier: Apache-2.0
// What a configuration costs in memory: there may be a hundred thousand routes.
#include "config/model.h"

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

TEST(ModelSize, ARouteIsSmall) {
  EXPECT_LE(sizeof(Route), 320U);
  EXPECT_LE(sizeof(Position), 24U);
}

TEST(Rare, ReadsAsItsDefaultUntilItIsChanged) {
  Rare<RouteTimeouts> timeouts;
  EXPECT_FALSE(timeouts);
  EXPECT_FALSE(timeouts->idle);
  timeouts.change().idle = 5s;
  ASSERT_TRUE(timeouts);
  EXPECT_EQ(timeouts->idle, milliseconds(5000));
  timeouts.change().connect = 1s;
  EXPECT_EQ(timeouts->idle, milliseconds(5000));
  EXPECT_FALSE(Rare<RouteTimeouts>()->idle) << "another one's default is not touched";
}

TEST(Rare, CopiesAreDeep) {
  Rare<Mirror> one(Mirror{"shadow", 5});
  Rare<Mirror> other = one;
  other.change().percent = 7;
  EXPECT_EQ(one->percent, 5);
  one = other;
  EXPECT_EQ(one->percent, 7);
  one = Rare<Mirror>();
  EXPECT_FALSE(one);
  EXPECT_EQ(other->upstream, "shadow");
}

TEST(FileName, IsSharedByThePositionsInAFile) {
  const FileName name("headgate.yaml");
  const Position first{name, 1, 1};
  const Position second{name, 2, 1};
  EXPECT_EQ(first.file.text(), "headgate.yaml");
  EXPECT_EQ(&first.file.text(), &second.file.text());
  EXPECT_EQ(Position().file.text(), "");
}

}  // namespace
}  // namespace headgate::config
