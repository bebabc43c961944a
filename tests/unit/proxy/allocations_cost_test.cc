// SPDX-License-Identifier: Apache-2.0
// What a request may allocate once everything is warm: a real worker on loopback, one connection that is kept, requests
// one after another. Counted are all threads but the test's own. Run by hand it prints the numbers.
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>

#include "tests/unit/base/count_allocations.h"
#include "tests/unit/proxy/edge.h"
#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

constexpr int kWarm = 50;
constexpr int kCounted = 400;

const std::string kRequest =
    "GET /assets/app.js?v=2 HTTP/1.1\r\nHost: shop.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n";

const std::string kAnswer =
    "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 1024\r\n\r\n" +
    std::string(1024, 'x');

/// once() many times: how many allocations each of the later ones cost the program on average. It returns whether the
/// answer was right.
template <typename Once>
double per_request(const char* what, Once once) {
  for (int i = 0; i < kWarm; ++i) {
    if (!once()) throw std::runtime_error("a wrong answer");
  }
  const auto before = allocations_elsewhere();
  for (int i = 0; i < kCounted; ++i) {
    if (!once()) throw std::runtime_error("a wrong answer");
  }
  const double each = static_cast<double>(allocations_elsewhere() - before) / kCounted;
  std::printf("%s: %.3f allocations a request\n", what, each);
  return each;
}

// The worker's chores between requests and the log's writer may allocate now and then; a request may not.
constexpr double kNextToNothing = 0.1;

class AllocationsCostTest : public testing::Test {
 protected:
  /// Requests of one connection through to an origin that is answered by hand.
  double proxied(const char* what, const std::string& request, const std::string& answer, const std::string& content) {
    Origin origin;
    Edge edge("sites: [{ routes: [{ path: /*, proxy: \"http://" + origin.address() + "\" }] }]");
    Peer client = edge.client();
    std::optional<Peer> server;
    return per_request(what, [&] {
      client.send(request);
      if (!server) server.emplace(origin.accept());
      const bool arrived = server->read().body == content;
      server->send(answer);
      return arrived && client.read().status() == 200;
    });
  }

  /// Requests of one connection that are answered here.
  double answered(const char* what, const std::string& action) {
    Edge edge("sites: [{ routes: [{ path: /*, " + action + " }] }]");
    Peer client = edge.client();
    return per_request(what, [&] {
      client.send(kRequest);
      return client.read().status() == 200;
    });
  }
};

TEST_F(AllocationsCostTest, AProxiedRequestAllocatesNextToNothing) {
  EXPECT_LE(proxied("proxied", kRequest, kAnswer, ""), kNextToNothing);
}

TEST_F(AllocationsCostTest, AProxiedUploadAllocatesNextToNothing) {
  const std::string content(3000, 'y');
  const std::string upload =
      "POST /orders HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 3000\r\n\r\n" + content;
  EXPECT_LE(proxied("proxied upload", upload, kAnswer, content), kNextToNothing);
}

TEST_F(AllocationsCostTest, AProxiedChunkedAnswerAllocatesNextToNothing) {
  const std::string answer =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n, edge\r\n0\r\n\r\n";
  EXPECT_LE(proxied("proxied, chunked", kRequest, answer, ""), kNextToNothing);
}

TEST_F(AllocationsCostTest, AStaticRequestAllocatesNextToNothing) {
  FileTree tree;
  tree.write("root/assets/app.js", std::string(1024, 'x'));
  EXPECT_LE(answered("static", "static: { root: \"" + tree.path("root") + "\" }"), kNextToNothing);
}

TEST_F(AllocationsCostTest, AFixedAnswerAllocatesNextToNothing) {
  EXPECT_LE(answered("respond", "respond: { status: 200, body: ok }"), kNextToNothing);
}

}  // namespace
}  // namespace headgate::proxy
