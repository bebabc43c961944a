// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/content_type.h"
#include "proxy/demo/sample_spa.h"
#include "proxy/handlers/cache_policy.h"

namespace headgate::proxy {
namespace {

const std::filesystem::path kDist = std::filesystem::path(HEADGATE_SOURCE_DIR) / "examples" / "spa-api" / "dist";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(SampleSpa, IsThatOfTheExample) {
  std::set<std::string> embedded;
  for (const auto& file : kSampleSpa) {
    embedded.insert(std::string(file.path));
    EXPECT_EQ(read(kDist / file.path.substr(1)), file.content) << file.path;
  }
  std::set<std::string> on_disk;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kDist)) {
    if (entry.is_regular_file()) on_disk.insert("/" + entry.path().lexically_relative(kDist).string());
  }
  EXPECT_EQ(embedded, on_disk);
}

TEST(SampleSpa, ThePageNamesFilesThatExistAndMayBeKept) {
  const std::string page(kSampleSpa.front().content);
  ASSERT_EQ(kSampleSpa.front().path, "/index.html");
  for (const auto& file : kSampleSpa) {
    if (file.path == "/index.html") continue;
    EXPECT_THAT(page, testing::HasSubstr("\"" + std::string(file.path) + "\""));
    EXPECT_TRUE(http::is_asset_name(file.path));
    EXPECT_EQ(has_content_hash(file.path), file.path.starts_with("/assets/")) << file.path;
  }
}

}  // namespace
}  // namespace headgate::proxy
