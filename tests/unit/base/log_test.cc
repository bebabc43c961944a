// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/base/sockets.h"

namespace headgate {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void TearDown() override { log::configure("info", log::Format::kText, "stderr"); }

  std::vector<std::string> lines(const std::string& name) const {
    std::ifstream file(name);
    std::vector<std::string> result;
    for (std::string line; std::getline(file, line);) result.push_back(line);
    return result;
  }

  const TemporaryFolder folder;
  const std::string path = folder / "log";
};

TEST_F(LogTest, TextHasTimeLevelAndMessage) {
  log::configure("info", log::Format::kText, path);
  log::debug("not shown");
  log::info("listening on {}", "127.0.0.1:80");
  log::warn("careful");
  const auto written = lines(path);
  ASSERT_EQ(written.size(), 2u);
  EXPECT_TRUE(written[0].ends_with(" info listening on 127.0.0.1:80")) << written[0];
  EXPECT_TRUE(written[1].ends_with(" warning careful")) << written[1];
  EXPECT_EQ(written[0].substr(4, 1), "-");
  EXPECT_EQ(written[0].substr(10, 1), "T");
}

TEST_F(LogTest, JsonLinesAreJsonWhateverTheMessage) {
  log::configure("debug", log::Format::kJson, path);
  const std::string odd = "quote \" backslash \\ newline \n tab \t escape \x1b end";
  log::error("{}", odd);
  log::debug("plain");
  const auto written = lines(path);
  ASSERT_EQ(written.size(), 2u);
  const auto line = nlohmann::json::parse(written[0]);
  EXPECT_EQ(line["message"], odd);
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["time"].get<std::string>().size(), 29u);
  EXPECT_EQ(nlohmann::json::parse(written[1])["message"], "plain");
}

TEST_F(LogTest, LevelsAreTheConfigurationsWords) {
  const struct {
    const char* level;
    std::size_t shown;
  } table[] = {{"trace", 4}, {"debug", 4}, {"info", 3}, {"warn", 2}, {"error", 1}};
  for (const auto& row : table) {
    std::filesystem::remove(path);
    log::configure(row.level, log::Format::kText, path);
    log::debug("d");
    log::info("i");
    log::warn("w");
    log::error("e");
    EXPECT_EQ(lines(path).size(), row.shown) << row.level;
  }
}

TEST_F(LogTest, ReopenFollowsARotation) {
  log::configure("info", log::Format::kText, path);
  log::info("before");
  std::filesystem::rename(path, path + ".1");
  log::info("still the old file");
  log::reopen();
  log::info("after");
  EXPECT_EQ(lines(path + ".1").size(), 2u);
  EXPECT_EQ(lines(path).size(), 1u);
}

TEST_F(LogTest, AFailedReopenKeepsTheOldFile) {
  std::filesystem::create_directory(folder / "inner");
  const std::string inner = folder / "inner/log";
  log::configure("info", log::Format::kText, inner);
  std::filesystem::rename(folder / "inner", folder / "moved");
  log::reopen();
  log::info("kept");
  EXPECT_EQ(lines(folder / "moved/log").size(), 1u);
}

TEST_F(LogTest, AnOutputThatCannotBeOpenedThrowsAndChangesNothing) {
  log::configure("info", log::Format::kText, path);
  EXPECT_THROW(log::configure("info", log::Format::kText, folder / "no/such/folder"), std::system_error);
  log::info("still here");
  EXPECT_EQ(lines(path).size(), 1u);
}

TEST_F(LogTest, LinesOfManyThreadsStayWhole) {
  log::configure("info", log::Format::kJson, path);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) log::info("thread {} line {} {}", t, i, std::string(200, 'x'));
    });
  }
  for (auto& thread : threads) thread.join();
  const auto written = lines(path);
  EXPECT_EQ(written.size(), 800u);
  for (const auto& line : written) EXPECT_TRUE(nlohmann::json::accept(line));
}

}  // namespace
}  // namespace headgate
