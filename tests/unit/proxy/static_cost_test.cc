// SPDX-License-Identifier: Apache-2.0
// What a request for a cached file may cost, in countable things: allocations and looks at the disk.
#include <gtest/gtest.h>

#include "proxy/handlers/static_files.h"
#include "tests/unit/base/count_allocations.h"
#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

struct NoValues final : routing::Variables {
  void append(const routing::Variable&, std::string&) const override {}
};

class StaticCostTest : public testing::TestWithParam<std::string_view> {
 protected:
  StaticCostTest() {
    tree.write("root/index.html", "home");
    tree.write("root/assets/application-BqXy12Zd.js", "script");
    tree.write("root/assets/application-BqXy12Zd.js.br", "brotli");
    tree.write("root/download/large.bin", std::string(kSmallFile + 1, 'x'));
    fields.add("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    fields.add("Accept-Encoding", "gzip, deflate, br, zstd");
    fields.add("If-None-Match", "\"something-else\", W/\"and-another\"");
    fields.add("Range", "bytes=0-1");
    fields.add("If-Range", "Sun, 06 Nov 1994 08:49:37 GMT");
  }

  FileTree tree;
  http::Fields fields;
  FileCache cache;
};

TEST_P(StaticCostTest, ACachedAnswerAllocatesNothing) {
  config::Static settings;
  settings.root = tree.path("root");
  settings.spa = true;
  settings.cache_control = {{"*.bin", "no-store"}};
  const StaticFiles files(settings);
  const NoValues values;
  const StaticQuestion question{http::Method::kGet, GetParam(), GetParam(), "", fields, values, Clock::now()};
  ASSERT_EQ(files.plan(question, cache).status, 200);
  const auto checks = cache.usage().checks;
  const auto before = allocations_here();
  const auto status = files.plan(question, cache).status;
  EXPECT_EQ(allocations_here(), before);
  EXPECT_EQ(cache.usage().checks, checks);
  EXPECT_EQ(status, 200);
}

INSTANTIATE_TEST_SUITE_P(Paths, StaticCostTest,
                         testing::Values("/", "/index.html", "/assets/application-BqXy12Zd.js", "/download/large.bin",
                                         "/a/deep/link/into/the/application"));

}  // namespace
}  // namespace headgate::proxy
