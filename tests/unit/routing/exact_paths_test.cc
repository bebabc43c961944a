// SPDX-License-Identifier: Apache-2.0
#include "routing/exact_paths.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace headgate::routing {
namespace {

using Paths = ExactPaths<int>;

TEST(ExactPaths, FindsAWholePathOnly) {
  const Paths::Entry entries[] = {{"/", 1}, {"/a", 2}, {"/a/b", 3}, {"", 4}};
  const Paths paths(entries);
  for (const auto& [path, value] : entries) {
    ASSERT_NE(paths.find(path), nullptr) << path;
    EXPECT_EQ(*paths.find(path), value);
  }
  for (const auto* missing : {"/b", "/a/", "/A", "/a/b/c", "a"}) EXPECT_EQ(paths.find(missing), nullptr) << missing;
}

TEST(ExactPaths, WithoutPathsFindsNothing) {
  EXPECT_EQ(Paths().find("/"), nullptr);
  EXPECT_EQ(Paths(std::span<const Paths::Entry>()).find(""), nullptr);
}

TEST(ExactPaths, AgreesWithAMap) {
  std::mt19937 random(11);
  std::map<std::string, int> expected;
  while (expected.size() < 3000) expected.emplace("/" + std::to_string(random() % 100'000), random() % 1000);
  std::vector<Paths::Entry> entries;
  for (const auto& [path, value] : expected) entries.push_back({path, value});
  const Paths paths(entries);
  for (int i = 0; i < 100'000; ++i) {
    const auto path = "/" + std::to_string(i);
    const auto found = expected.find(path);
    const int* value = paths.find(path);
    ASSERT_EQ(value != nullptr, found != expected.end()) << path;
    if (value != nullptr) {
      EXPECT_EQ(*value, found->second);
    }
  }
}

}  // namespace
}  // namespace headgate::routing
