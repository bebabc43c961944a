// SPDX-License-Identifier: Apache-2.0
// Compressed answers of a real worker. What clients see of them is in the e2e tests; here is what they cost.
#include <future>

#include "compress/encoder_store.h"
#include "tests/unit/proxy/edge.h"
#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

using compress::EncoderStore;

const std::string kRequest = "GET /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n";

class CompressionTest : public testing::Test {
 protected:
  CompressionTest() { tree.write("root/a.txt", std::string(100'000, 'x')); }

  std::string yaml(const std::string& compress) const {
    return "sites: [{ compress: " + compress + ", routes: [{ path: /*, static: { root: \"" + tree.path("root") +
           "\" } }] }]";
  }
  /// Bytes that went into encoders and came out of them.
  static std::pair<std::uint64_t, std::uint64_t> bytes(const Edge& edge) {
    std::pair<std::uint64_t, std::uint64_t> sum;
    edge.metrics().compression->each([&](const observe::CompressionCells& cells) {
      sum.first += cells.bytes_in.value();
      sum.second += cells.bytes_out.value();
    });
    return sum;
  }
  /// On the worker's thread.
  static void on(Edge& edge, std::function<void()> function) {
    std::promise<void> done;
    edge.worker().post([&] {
      function();
      done.set_value();
    });
    done.get_future().get();
  }

  FileTree tree;
};

TEST_F(CompressionTest, AFileIsKeptFromTheSecondRequestOn) {
  Edge edge(yaml("on"));
  const auto first = edge.ask(kRequest);
  const auto second = edge.ask(kRequest);
  const auto third = edge.ask(kRequest);
  EXPECT_EQ(first.field("Transfer-Encoding"), "chunked");
  EXPECT_EQ(second.field("Transfer-Encoding"), "chunked");
  EXPECT_EQ(third.field("Content-Length"), std::to_string(first.body.size()));
  EXPECT_EQ(third.body, first.body);
  EXPECT_EQ(third.body, second.body);
  EXPECT_LT(third.body.size(), 1000U);
  EXPECT_EQ(bytes(edge).first, 300'000U);
  EXPECT_EQ(bytes(edge).second, 3 * first.body.size());
}

TEST_F(CompressionTest, WhatWouldTakeTooMuchMemoryGoesOutAsItIs) {
  Edge edge(yaml("on"));
  std::vector<EncoderStore::Lease> leases;
  on(edge, [&] {
    for (;;) {
      auto lease = EncoderStore::of_this_thread().lease(http::Coding::kGzip, {5, {}, true});
      if (!lease) break;
      leases.push_back(std::move(lease));
    }
  });
  const auto plain = edge.ask(kRequest);
  EXPECT_EQ(plain.field("Content-Encoding"), "<none>");
  EXPECT_EQ(plain.field("Vary"), "Accept-Encoding");
  EXPECT_EQ(plain.field("Content-Length"), "100000");
  EXPECT_EQ(plain.body.size(), 100'000U);
  on(edge, [&] { leases.clear(); });
  EXPECT_EQ(edge.ask(kRequest).field("Content-Encoding"), "gzip");
  std::size_t left = 1;
  on(edge, [&] { left = EncoderStore::of_this_thread().in_use(); });
  EXPECT_EQ(left, 0U);
}

TEST_F(CompressionTest, AClientThatLeavesGivesTheEncoderBack) {
  tree.write("root/a.txt", [] {
    std::string text;
    for (unsigned i = 0; text.size() < 30'000'000; ++i) text += std::to_string(i * 2'654'435'761U);
    return text;
  }());
  Edge edge(yaml("on"));
  {
    Peer client = edge.client();
    client.send(kRequest);
    EXPECT_NE(client.read_head(), "");
    client.reset();
  }
  const auto lines = edge.stop();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["encoding"], "gzip");
  EXPECT_LT(lines[0]["bytes_out"], 30'000'000);
}

TEST_F(CompressionTest, ARouteWithoutPaysNothing) {
  Edge edge(yaml("off"));
  const auto plain = edge.ask(kRequest);
  EXPECT_EQ(plain.field("Vary"), "<none>");
  EXPECT_EQ(plain.field("Content-Length"), "100000");
  EXPECT_EQ(bytes(edge).first, 0U);
}

}  // namespace
}  // namespace headgate::proxy
