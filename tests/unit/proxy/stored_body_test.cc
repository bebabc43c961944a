// SPDX-License-Identifier: Apache-2.0
// A request's body in memory and in a file, within its bounds.
#include "proxy/handlers/stored_body.h"

#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

class StoredBodyTest : public ::testing::Test {
 protected:
  std::string read_all(const StoredBody& body, std::size_t block) {
    std::string text;
    std::string into(block, '\0');
    while (text.size() < body.size()) {
      const auto piece = body.read(text.size(), into);
      if (!piece) return "failed";
      text.append(piece->data(), piece->size());
    }
    return text;
  }

  BufferPool pool;
  BodyBudget budget;
  TemporaryFolder folder;
  const std::string directory = folder / "";
};

TEST_F(StoredBodyTest, StaysInMemoryUpToItsBoundAndMovesToAFileBeyond) {
  StoredBody body(pool, budget, {1000, 1 << 20, directory});
  const std::string text = pattern(200'000);
  ASSERT_TRUE(body.add(std::span(text).first(400)));
  ASSERT_TRUE(body.add(std::span(text).subspan(400, 600)));
  EXPECT_FALSE(body.in_file());
  EXPECT_EQ(std::string(body.bytes().data(), body.bytes().size()), text.substr(0, 1000));
  ASSERT_TRUE(body.add(std::span(text).subspan(1000, 1)));
  EXPECT_TRUE(body.in_file());
  EXPECT_TRUE(body.bytes().empty());
  ASSERT_TRUE(body.add(std::span(text).subspan(1001)));
  EXPECT_EQ(body.size(), text.size());
  EXPECT_EQ(read_all(body, 65536), text);
  EXPECT_EQ(read_all(body, 7777), text);
  EXPECT_TRUE(std::filesystem::is_empty(directory));
}

TEST_F(StoredBodyTest, GivesBackWhatItTook) {
  {
    StoredBody one(pool, budget, {10, 1000, directory});
    StoredBody other(pool, budget, {10, 1000, directory});
    ASSERT_TRUE(one.add(pattern(600)));
    const auto refused = other.add(pattern(401));
    ASSERT_FALSE(refused);
    EXPECT_STREQ(refused.error().reason, "body_buffers_full");
    EXPECT_EQ(other.size(), 0u);
    ASSERT_TRUE(other.add(pattern(400)));
    EXPECT_EQ(budget.used(), 1000u);
    one.drop();
    EXPECT_EQ(budget.used(), 400u);
    ASSERT_TRUE(other.add(pattern(600)));
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST_F(StoredBodyTest, ADirectoryThatIsNotThereIsAFailure) {
  const std::string nowhere = directory + "/nowhere";
  StoredBody body(pool, budget, {0, 1000, nowhere});
  const auto refused = body.add(pattern(1));
  ASSERT_FALSE(refused);
  EXPECT_STREQ(refused.error().reason, "body_file_failed");
  EXPECT_EQ(refused.error().sys, ENOENT);
}

/// A limit of the process stands for a disk that is full.
TEST_F(StoredBodyTest, AFullDiskIsAFailureOfItsOwn) {
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  StoredBody body(pool, budget, {0, 1 << 20, directory});
  const auto kept = body.add(pattern(90'000));
  const auto refused = body.add(pattern(20'000));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_TRUE(kept);
  ASSERT_FALSE(refused);
  EXPECT_STREQ(refused.error().reason, "body_disk_full");
  EXPECT_EQ(refused.error().sys, EFBIG);
}

// --- on the way to an origin ----------------------------------------------------------------------------------------

class BufferedRouteTest : public ::testing::Test {
 protected:
  std::string yaml(const std::string& limits) {
    return "state_dir: " + (folder / "") + "\nlimits: { " + limits + " }\nupstreams: { api: { servers: [\"" +
           origin.address() + "\"] } }\nsites: [{ routes: [{ path: /*, proxy: api, buffering: request }] }]\n";
  }
  TemporaryFolder folder;
  Origin origin;
};

TEST_F(BufferedRouteTest, TheBodyIsDroppedWhenTheAnswerBegins) {
  for (const char* memory : {"body_memory: 64KiB", "body_memory: 0"}) {
    Edge edge(yaml(memory));
    Peer client = edge.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    Peer server = origin.accept();
    const auto request = server.read();
    EXPECT_EQ(request.body, "hello");
    EXPECT_EQ(request.field("Content-Length"), "5");
    EXPECT_EQ(request.field("Transfer-Encoding"), "<none>");
    EXPECT_EQ(edge.bodies().used(), 5u);
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    client.read_until("ab");
    EXPECT_EQ(edge.bodies().used(), 0u);
    server.send("cd");
    EXPECT_EQ(client.read_until("cd"), "cd");
  }
}

TEST_F(BufferedRouteTest, AFullDiskIs507) {
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  Edge edge(yaml("body_memory: 1KiB"));
  const rlimit small{4000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto refused = edge.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" + pattern(5000));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(refused.status(), 507);
  EXPECT_FALSE(origin.asked());
  EXPECT_EQ(edge.stop()[0]["error"], "body_disk_full");
}

}  // namespace
}  // namespace headgate::proxy
