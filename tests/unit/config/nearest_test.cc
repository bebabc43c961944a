// SPDX-License-Identifier: Apache-2.0
#include "config/nearest.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

const std::vector<std::string_view> kKnown = {"listen", "token_file", "path", "api"};

TEST(Nearest, FindsSlips) {
  EXPECT_EQ(nearest("lisen", kKnown), "listen");
  EXPECT_EQ(nearest("listne", kKnown), "listen");
  EXPECT_EQ(nearest("tokenfile", kKnown), "token_file");
  EXPECT_EQ(nearest("paht", kKnown), "path");
  EXPECT_EQ(nearest("aip", kKnown), "api");
}

TEST(Nearest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("workers", kKnown), "");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest(std::string(10'000, 'a'), kKnown), "");
  EXPECT_EQ(suggestion("lisen", kKnown), "; did you mean 'listen'?");
  EXPECT_EQ(suggestion("workers", kKnown), "");
}

}  // namespace
}  // namespace headgate::config
