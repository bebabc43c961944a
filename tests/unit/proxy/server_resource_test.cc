// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/server_resource.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate::proxy {
namespace {

using testing::HasSubstr;
using upstream::PoolStatus;
using upstream::ServerStatus;
using upstream::Standing;

ServerStatus server(const char* name, Standing standing) {
  ServerStatus status;
  status.server = name;
  status.verdict.standing = standing;
  status.drained = standing == Standing::kDrained;
  return status;
}

PoolStatus pool(const char* name, std::vector<ServerStatus> servers) {
  PoolStatus status;
  status.upstream = "api";
  status.pool = name;
  status.servers = std::move(servers);
  return status;
}

TEST(RefusalToDrain, OneOfTwoMayGo) {
  EXPECT_EQ(
      refusal_to_drain({pool("blue", {server("a", Standing::kServing), server("b", Standing::kServing)})}, "api", "a"),
      "");
}

TEST(RefusalToDrain, TheLastOneStays) {
  EXPECT_THAT(refusal_to_drain({pool("blue", {server("a", Standing::kServing)})}, "api", "a"),
              HasSubstr("last server of pool 'blue'"));
  EXPECT_THAT(
      refusal_to_drain({pool("blue", {server("a", Standing::kServing), server("b", Standing::kDrained)})}, "api", "a"),
      HasSubstr("last server of pool 'blue'"));
}

TEST(RefusalToDrain, AddressesOfOneNameGoTogether) {
  EXPECT_THAT(
      refusal_to_drain({pool("blue", {server("a", Standing::kServing), server("a", Standing::kServing)})}, "api", "a"),
      HasSubstr("last server of pool 'blue'"));
}

TEST(RefusalToDrain, TheLastOneThatIsWellStays) {
  for (const auto other : {Standing::kUnhealthy, Standing::kEjected, Standing::kTrial, Standing::kUnknown}) {
    const std::vector<PoolStatus> pools = {pool("blue", {server("a", Standing::kServing), server("b", other)})};
    EXPECT_THAT(refusal_to_drain(pools, "api", "a"), HasSubstr("no other server of pool 'blue' is well"));
    EXPECT_EQ(refusal_to_drain(pools, "api", "b"), "") << "one that is not well may go";
  }
}

TEST(RefusalToDrain, EachPoolThatHasItCounts) {
  const std::vector<PoolStatus> pools = {
      pool("blue", {server("a", Standing::kServing), server("b", Standing::kServing)}),
      pool("green", {server("a", Standing::kServing)}),
  };
  EXPECT_THAT(refusal_to_drain(pools, "api", "a"), HasSubstr("pool 'green'"));
  EXPECT_EQ(refusal_to_drain(pools, "api", "b"), "");
  EXPECT_EQ(refusal_to_drain(pools, "other", "a"), "");
}

TEST(RefusalToDrain, WhatIsDrainedAlreadyMayBeDrainedAgain) {
  EXPECT_EQ(refusal_to_drain({pool("blue", {server("a", Standing::kDrained)})}, "api", "a"), "");
}

}  // namespace
}  // namespace headgate::proxy
