// SPDX-License-Identifier: Apache-2.0
#include "observe/access_log.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace headgate::observe {
namespace {

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() {
    std::string name = (std::filesystem::temp_directory_path() / "headgate-log-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    root_ = name;
  }
  ~AccessLogTest() override { std::filesystem::remove_all(root_); }

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  config::AccessLog to(const std::string& output) const { return {config::AccessLog::Format::kJson, output}; }

  static AccessRecord record(std::string_view uri) {
    AccessRecord r;
    r.uri = uri;
    r.status = 200;
    return r;
  }

  static std::vector<std::string> uris_in(const std::string& file) {
    std::ifstream in(file);
    std::vector<std::string> uris;
    for (std::string line; std::getline(in, line);) uris.push_back(nlohmann::json::parse(line)["uri"]);
    return uris;
  }

  std::string root_;
};

TEST_F(AccessLogTest, OffOpensNothing) {
  AccessLog log({config::AccessLog::Format::kOff, path("no/such/folder")});
  EXPECT_FALSE(log.enabled());
  AccessLog::Writer writer(log);
  writer.log(record("/"), Clock::now());
  EXPECT_TRUE(writer.empty());
  writer.flush();
  log.reopen();
  EXPECT_EQ(log.dropped(), 0u);
}

TEST_F(AccessLogTest, NamesAPathThatCannotBeOpened) {
  try {
    AccessLog log(to(path("no/such/folder")));
    FAIL() << "opened";
  } catch (const std::system_error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("no/such/folder"));
  }
}

TEST_F(AccessLogTest, EverythingIsWrittenAtTheEnd) {
  {
    AccessLog log(to(path("log")));
    EXPECT_TRUE(log.enabled());
    AccessLog::Writer writer(log);
    writer.log(record("/1"), Clock::now());
    EXPECT_FALSE(writer.empty());
    writer.flush();
    EXPECT_TRUE(writer.empty());
    writer.log(record("/2"), Clock::now());
  }
  EXPECT_THAT(uris_in(path("log")), testing::ElementsAre("/1", "/2"));
  EXPECT_EQ(std::filesystem::status(path("log")).permissions() & std::filesystem::perms::others_all,
            std::filesystem::perms::none);
}

TEST_F(AccessLogTest, CombinedFormat) {
  {
    AccessLog log({config::AccessLog::Format::kCombined, path("log")});
    AccessLog::Writer writer(log);
    writer.log(record("/1"), Clock::now());
  }
  std::ifstream in(path("log"));
  std::string line;
  std::getline(in, line);
  EXPECT_THAT(line, testing::EndsWith("] \"- /1 -\" 200 0 \"-\" \"-\""));
}

TEST_F(AccessLogTest, AppendsToWhatIsThere) {
  for (const char* uri : {"/1", "/2"}) {
    AccessLog log(to(path("log")));
    AccessLog::Writer writer(log);
    writer.log(record(uri), Clock::now());
  }
  EXPECT_THAT(uris_in(path("log")), testing::ElementsAre("/1", "/2"));
}

TEST_F(AccessLogTest, WorkersWriteWholeLinesInTheirOwnOrder) {
  constexpr int kWorkers = 4;
  constexpr int kLines = 1500;
  {
    AccessLog log(to(path("log")));
    std::vector<std::thread> workers;
    for (int w = 0; w < kWorkers; ++w) {
      workers.emplace_back([&log, w] {
        AccessLog::Writer writer(log);
        for (int i = 0; i < kLines; ++i) {
          writer.log(record(std::string("/").append(std::to_string(w)).append("/").append(std::to_string(i))), Clock::now());
          if (i % 97 == 0) writer.flush();
        }
      });
    }
    for (auto& worker : workers) worker.join();
    EXPECT_EQ(log.dropped(), 0u);
  }
  std::vector<int> next(kWorkers, 0);
  for (const auto& uri : uris_in(path("log"))) {
    const int worker = uri[1] - '0';
    EXPECT_EQ(uri.substr(3), std::to_string(next[static_cast<std::size_t>(worker)]++));
  }
  EXPECT_THAT(next, testing::Each(kLines));
}

TEST_F(AccessLogTest, ReopenAfterARename) {
  {
    AccessLog log(to(path("log")));
    AccessLog::Writer writer(log);
    writer.log(record("/old1"), Clock::now());
    writer.flush();
    std::filesystem::rename(path("log"), path("log.1"));
    writer.log(record("/old2"), Clock::now());
    writer.flush();
    log.reopen();
    writer.log(record("/new"), Clock::now());
  }
  EXPECT_THAT(uris_in(path("log.1")), testing::ElementsAre("/old1", "/old2"));
  EXPECT_THAT(uris_in(path("log")), testing::ElementsAre("/new"));
}

TEST_F(AccessLogTest, AFailedReopenKeepsTheOldFile) {
  std::filesystem::create_directory(path("sub"));
  {
    AccessLog log(to(path("sub/log")));
    AccessLog::Writer writer(log);
    std::filesystem::rename(path("sub"), path("moved"));
    log.reopen();
    writer.log(record("/1"), Clock::now());
  }
  EXPECT_THAT(uris_in(path("moved/log")), testing::ElementsAre("/1"));
}

TEST_F(AccessLogTest, APipeThatNobodyReadsHoldsNobodyUp) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_TRUE(reader);
  constexpr std::uint64_t kLines = 20'000;
  const std::string uri(1000, 'x');
  std::uint64_t lost = 0;
  {
    AccessLog log(to(path("pipe")));
    AccessLog::Writer writer(log);
    for (std::uint64_t i = 0; i < kLines; ++i) writer.log(record(uri), Clock::now());  // 27 MB, more than queue and pipe take
    writer.flush();
    lost = log.dropped();
    EXPECT_GT(lost, 0u);
    EXPECT_LT(lost, kLines);
  }
  // What did reach the pipe are whole lines.
  std::string got;
  std::vector<char> piece(1 << 20);
  for (ssize_t n; (n = ::read(reader.get(), piece.data(), piece.size())) > 0;)
    got.append(piece.data(), static_cast<std::size_t>(n));
  ASSERT_FALSE(got.empty());
  std::istringstream lines(got.substr(0, got.rfind('\n') + 1));
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(nlohmann::json::parse(line)["uri"], uri);
}

TEST_F(AccessLogTest, ASlowPipeGetsEverything) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_TRUE(reader);
  AccessLog log(to(path("pipe")));
  ASSERT_EQ(::fcntl(reader.get(), F_SETFL, 0), 0);
  constexpr int kLines = 3000;
  std::atomic<int> seen{0};
  std::thread reading([&] {
    std::vector<char> piece(1000);
    while (seen < kLines) {
      const ssize_t n = ::read(reader.get(), piece.data(), piece.size());
      if (n <= 0) return;
      seen += static_cast<int>(std::count(piece.begin(), piece.begin() + n, '\n'));
    }
  });
  {
    AccessLog::Writer writer(log);
    const std::string uri(900, 'y');
    for (int i = 0; i < kLines; ++i) writer.log(record(uri), Clock::now());
  }
  reading.join();
  EXPECT_EQ(seen, kLines);
  EXPECT_EQ(log.dropped(), 0u);
}

TEST_F(AccessLogTest, AReaderThatLeavesIsNoSignalAndLinesAreCounted) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_TRUE(reader);
  std::signal(SIGPIPE, SIG_DFL);  // would end the test program
  AccessLog log(to(path("pipe")));
  reader.reset();
  {
    AccessLog::Writer writer(log);
    for (int i = 0; i < 10; ++i) writer.log(record("/lost"), Clock::now());
  }
  while (log.dropped() < 10) std::this_thread::yield();
  EXPECT_EQ(log.dropped(), 10u);
}

}  // namespace
}  // namespace headgate::observe
