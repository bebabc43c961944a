// SPDX-License-Identifier: Apache-2.0
// Copies of requests on their way, moment by moment; tests/e2e/test_mirror.py has what becomes of many.
#include "proxy/handlers/mirror.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class MirrorTest : public ::testing::Test {
 protected:
  std::string yaml(const std::string& settings = "", const std::string& route = "") {
    return "upstreams: { api: { servers: [\"" + origin.address() + "\"] }, shadow: { servers: [\"" + shadow.address() +
           "\"]" + settings + " } }\nsites: [{ routes: [{ path: /*, proxy: api, " + route +
           "mirror: { upstream: shadow, percent: 100 } }] }]\n";
  }

  /// One request that is answered, and its copy; leaves a kept connection at the shadow.
  Peer warm_up(Edge& edge) {
    Peer client = edge.client();
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
    Peer copied = shadow.accept();
    EXPECT_TRUE(copied.read().head.starts_with("GET /first "));
    copied.send(kOk);
    Peer server = origin.accept();
    server.read();
    server.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(client.read().status(), 200);
    return copied;
  }

  struct Figures {
    std::uint64_t sent = 0, skipped = 0, failed = 0;
  };
  /// After the worker's end.
  static Figures figures(const observe::Metrics& metrics) {
    Figures sum;
    for (const auto& series : metrics.mirrors.all()) {
      series->each([&](const observe::MirrorCells& cells) {
        sum.sent += cells.sent.value();
        sum.skipped += cells.skipped.value();
        sum.failed += cells.failed.value();
      });
    }
    return sum;
  }

  Origin origin;
  Origin shadow;
};

TEST_F(MirrorTest, TheCopyComesWhenTheBodyIsWhole) {
  Edge edge(yaml());
  Peer client = edge.client();
  client.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  Peer server = origin.accept();
  EXPECT_EQ(server.read_until("abc\r\n").substr(0, 8), "POST /a ");
  EXPECT_FALSE(shadow.asked());
  client.send("3\r\ndef\r\n0\r\n\r\n");
  server.read_until("0\r\n\r\n");
  Peer copied = shadow.accept();
  const auto copy = copied.read();
  EXPECT_EQ(copy.body, "abcdef");
  EXPECT_EQ(copy.field("Content-Length"), "6");
  EXPECT_EQ(copy.field("X-Mirrored"), "1");
  // No answer to either yet, and the client gets its own.
  server.send(kOk);
  EXPECT_EQ(client.read().body, "ok");
  client.close();
  server.close();
  edge.stop();
  EXPECT_EQ(figures(edge.metrics()).failed, 1u);  // broken off at the end
}

TEST_F(MirrorTest, AKeptConnectionThatIsClosedIsTriedAgainWhereTwiceDoesNoHarm) {
  Edge edge(yaml());
  Peer kept = warm_up(edge);
  Peer client = edge.client();
  client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(kept.read().head.starts_with("GET /second "));
  kept.close();
  Peer again = shadow.accept();
  EXPECT_TRUE(again.read().head.starts_with("GET /second "));
  again.send(kOk);
  Peer server = origin.accept();
  server.read();
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  client.send("POST /third HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
  server.read();
  EXPECT_TRUE(again.read().head.starts_with("POST /third "));
  again.close();
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  client.close();
  edge.stop();
  EXPECT_FALSE(shadow.asked());
  const auto counted = figures(edge.metrics());
  EXPECT_EQ(counted.sent, 2u);
  EXPECT_EQ(counted.failed, 1u);
}

TEST_F(MirrorTest, AnUpstreamThatWantsAProxyHeaderGetsTheClients) {
  Edge edge(yaml(", proxy_protocol: v1"));
  Peer client = edge.client();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  Peer copied = shadow.accept();
  EXPECT_TRUE(copied.read_until("\r\n").starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
  EXPECT_TRUE(copied.read().head.starts_with("GET / "));
  copied.send(kOk);
  Peer server = origin.accept();
  server.read();
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
}

TEST_F(MirrorTest, ASwitchThatNobodyAskedForIsAFailure) {
  Edge edge(yaml());
  Peer client = edge.client();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  Peer copied = shadow.accept();
  copied.read();
  copied.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
  EXPECT_TRUE(copied.ended());
  Peer server = origin.accept();
  server.read();
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  client.close();
  edge.stop();
  EXPECT_EQ(figures(edge.metrics()).failed, 1u);
}

}  // namespace
}  // namespace headgate::proxy
