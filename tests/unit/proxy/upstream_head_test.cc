// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/upstream_head.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "proxy/generation.h"
#include "proxy/grpc.h"
#include "proxy/serve.h"
#include "tests/unit/proxy/edge.h"
#include "tests/unit/proxy/fake_exchange.h"

namespace headgate::proxy {
namespace {

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

class UpstreamHeadTest : public ::testing::Test {
 protected:
  UpstreamHeadTest() {
    connection.peer = *IpAddress::parse("198.51.100.1");
    connection.peer_text = "198.51.100.1";
  }

  /// What the origin gets of a GET for `target`, whose path means `path`.
  http::RequestHead& forward(std::string_view target, std::string_view path, const Pairs& fields = {},
                             const std::string& route = "", bool path_as_sent = true) {
    const auto config = read_config("sites: [{ routes: [{ path: /*, proxy: \"http://127.0.0.1:1\"" +
                                    (route.empty() ? "" : ", " + route) + " }] }]");
    generation = std::make_unique<Generation>(1, config, monitor(), traffic());
    exchange = std::make_unique<FakeExchange>(loop, connection);
    auto& head = exchange->request;
    head.method_name = "GET";
    head.target = target;
    head.path = target.substr(0, target.find('?'));
    head.query = target.find('?') == std::string_view::npos ? "" : target.substr(target.find('?') + 1);
    head.authority = "shop.example:8080";
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    request = std::make_unique<Request>(*exchange, nullptr);
    request->route = &generation->sites[0].routes[0];
    request->path = path;
    request->query = head.query;
    request->path_as_sent = path_as_sent;
    request->host = "shop.example";
    request->request_id = "the-id";
    request->client_text = "203.0.113.5";
    request->server = server;
    request->peer_trusted = trusted;
    request->grpc = grpc;
    request->deadline = deadline;
    out = upstream_request(*request);
    return out;
  }

  std::string field(std::string_view name) const {
    std::string values = "<none>";
    for (const auto& one : out.fields) {
      if (!http::iequals(one.name, name)) continue;
      values = (values == "<none>" ? "" : values + "|") + std::string(one.value);
    }
    return values;
  }

  Loop loop;
  http::ConnectionInfo connection;
  std::unique_ptr<Generation> generation;
  std::unique_ptr<FakeExchange> exchange;
  std::unique_ptr<Request> request;
  http::RequestHead out;
  std::string server = "127.0.0.1:1";
  bool trusted = false;
  bool grpc = false;
  TimePoint deadline = kNoDeadline;
};

TEST_F(UpstreamHeadTest, ACallsTimeoutIsWhatIsLeftOfIt) {
  const Pairs fields{{"grpc-timeout", "20S"}};
  forward("/", "/", fields);
  EXPECT_EQ(field("grpc-timeout"), "20S");  // no call: nobody keeps a deadline
  grpc = true;
  forward("/", "/", fields);
  EXPECT_EQ(field("grpc-timeout"), "20S");  // longer than we keep it
  deadline = loop.now() + std::chrono::seconds(20);
  forward("/", "/", {{"grpc-timeout", "20S"}, {"grpc-timeout", "99S"}});
  const auto left = parse_grpc_timeout(field("grpc-timeout"));
  ASSERT_TRUE(left) << field("grpc-timeout");
  EXPECT_LE(*left, std::chrono::seconds(20));
  EXPECT_GT(*left, Duration(0));
}

TEST_F(UpstreamHeadTest, TheTargetIsAsSentWhereThatSaysTheSame) {
  EXPECT_EQ(forward("/a%2Fb//c?x=%20", "/a/b/c").target, "/a%2Fb//c?x=%20");
  EXPECT_EQ(forward("/a/../b?x", "/b", {}, "", false).target, "/b?x");
  EXPECT_EQ(forward("/x", "/caf\xc3\xa9 a?b", {}, "", false).target, "/caf%C3%A9%20a%3Fb");
}

TEST_F(UpstreamHeadTest, APrefixIsCutOffTheEncodedPath) {
  const std::string strip = "strip_prefix: /api";
  EXPECT_EQ(forward("/api/v1?x=1", "/api/v1", {}, strip).target, "/v1?x=1");
  EXPECT_EQ(forward("/api/a%2Fb", "/api/a/b", {}, strip).target, "/a%2Fb");
  EXPECT_EQ(forward("/api", "/api", {}, strip).target, "/");
  EXPECT_EQ(forward("/api/", "/api/", {}, strip).target, "/");
  EXPECT_EQ(forward("/apix", "/apix", {}, strip).target, "/apix");
  EXPECT_EQ(forward("/%61pi/v1", "/api/v1", {}, strip).target, "/v1");
  EXPECT_EQ(forward("//api/v1?y", "/api/v1", {}, strip).target, "/v1?y");
  EXPECT_EQ(forward("/z/../api/v1", "/api/v1", {}, strip, false).target, "/v1");
}

TEST_F(UpstreamHeadTest, AStrangersClaimsAreReplaced) {
  forward("/", "/",
          {{"X-Forwarded-For", "6.6.6.6"},
           {"X-Forwarded-Host", "evil.example"},
           {"X-Forwarded-Proto", "https"},
           {"X-Real-IP", "6.6.6.6"},
           {"Forwarded", "for=6.6.6.6"},
           {"X-Request-Id", "theirs"}});
  EXPECT_EQ(field("X-Forwarded-For"), "198.51.100.1");
  EXPECT_EQ(field("X-Forwarded-Host"), "shop.example:8080");
  EXPECT_EQ(field("X-Forwarded-Proto"), "http");
  EXPECT_EQ(field("X-Real-IP"), "<none>");
  EXPECT_EQ(field("Forwarded"), "<none>");
  EXPECT_EQ(field("X-Request-Id"), "the-id");
}

TEST_F(UpstreamHeadTest, ATrustedProxysClaimsAreKeptAndAddedTo) {
  trusted = true;
  forward("/", "/",
          {{"X-Forwarded-For", "203.0.113.5"},
           {"X-Forwarded-For", "10.0.0.1"},
           {"X-Forwarded-Host", "outer.example"},
           {"X-Forwarded-Proto", "https"},
           {"X-Real-IP", "203.0.113.5"}});
  EXPECT_EQ(field("X-Forwarded-For"), "203.0.113.5, 10.0.0.1, 198.51.100.1");
  EXPECT_EQ(field("X-Forwarded-Host"), "outer.example");
  EXPECT_EQ(field("X-Forwarded-Proto"), "https");
  EXPECT_EQ(field("X-Real-IP"), "203.0.113.5");
  forward("/", "/");
  EXPECT_EQ(field("X-Forwarded-For"), "198.51.100.1");
}

// CGI, WSGI and the like make one variable of both spellings.
TEST_F(UpstreamHeadTest, AClaimInAnotherSpellingIsNoneEither) {
  forward("/", "/",
          {{"X_Forwarded_For", "6.6.6.6"},
           {"x-forwarded_proto", "https"},
           {"X_Real_IP", "6.6.6.6"},
           {"X_REQUEST_ID", "theirs"},
           {"X_Api_Key", "kept"},
           {"some_name_that_is_much_longer_than_any_of_those_that_matter", "kept"}});
  for (const auto& one : out.fields) {
    EXPECT_TRUE(one.name.find('_') == std::string_view::npos || one.value == "kept") << one.name;
  }
  EXPECT_EQ(field("X_Api_Key"), "kept");
  EXPECT_EQ(field("some_name_that_is_much_longer_than_any_of_those_that_matter"), "kept");
}

TEST_F(UpstreamHeadTest, HopByHopFieldsStayHere) {
  forward("/", "/",
          {{"Connection", "close, X-Hop"},
           {"Connection", "x-more"},
           {"X-Hop", "1"},
           {"X-More", "2"},
           {"Keep-Alive", "timeout=5"},
           {"Proxy-Connection", "close"},
           {"Proxy-Authorization", "Basic x"},
           {"TE", "trailers"},
           {"Transfer-Encoding", "chunked"},
           {"Content-Length", "5"},
           {"Upgrade", "websocket"},
           {"Expect", "100-continue"},
           {"Host", "shop.example:8080"},
           {"Accept", "*/*"},
           {"Authorization", "Bearer x"}});
  for (const char* name : {"Connection", "X-Hop", "X-More", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
                           "TE", "Transfer-Encoding", "Content-Length", "Upgrade", "Expect", "Host"}) {
    EXPECT_EQ(field(name), "<none>") << name;
  }
  EXPECT_EQ(field("Accept"), "*/*");
  EXPECT_EQ(field("Authorization"), "Bearer x");
}

TEST_F(UpstreamHeadTest, ARoutesRulesComeLast) {
  forward("/", "/", {{"X-Drop", "1"}, {"X-Keep", "2"}, {"X-Twice", "3"}, {"X-Twice", "4"}},
          "request_headers: { remove: [X-Drop], set: { X-Real-IP: $remote_addr, X-Twice: once, Host: \"$host\" }, "
          "add: { X-Keep: more } }");
  EXPECT_EQ(field("X-Drop"), "<none>");
  EXPECT_EQ(field("X-Real-IP"), "203.0.113.5");
  EXPECT_EQ(field("X-Twice"), "once");
  EXPECT_EQ(field("X-Keep"), "2|more");
  EXPECT_EQ(out.authority, "shop.example");
  EXPECT_EQ(field("Host"), "<none>");
}

TEST_F(UpstreamHeadTest, HostIsTheClientsOrSomeHost) {
  EXPECT_EQ(forward("/", "/").authority, "shop.example:8080");
  exchange->request.authority = {};
  EXPECT_EQ(upstream_request(*request).authority, "127.0.0.1:1");
  request->server = "unix:/run/app.sock";
  EXPECT_EQ(upstream_request(*request).authority, "localhost");
}

TEST_F(UpstreamHeadTest, UpgradesPassButNotToHttp2) {
  forward("/", "/");
  exchange->request.upgrade = "websocket";
  EXPECT_EQ(upstream_request(*request).upgrade, "websocket");
  exchange->request.upgrade = "h2c";
  EXPECT_EQ(upstream_request(*request).upgrade, "");
  exchange->request.upgrade = "websocket, H2C";
  EXPECT_EQ(upstream_request(*request).upgrade, "");
}

TEST(RemoveHopByHop, TakesOutWhatIsForThisHop) {
  http::Fields fields;
  for (const auto& [name, value] : Pairs{{"Connection", "close, X-Hop, set-cookie2"},
                                         {"X-Hop", "1"},
                                         {"Set-Cookie2", "2"},
                                         {"Set-Cookie", "a=b"},
                                         {"Keep-Alive", "x"},
                                         {"Transfer-Encoding", "chunked"},
                                         {"Content-Length", "1"},
                                         {"Upgrade", "h2c"},
                                         {"Content-Type", "text/html"}}) {
    fields.add(name, value);
  }
  remove_hop_by_hop(fields, false);
  std::string left;
  for (const auto& field : fields) left += std::string(field.name) + ",";
  EXPECT_EQ(left, "Set-Cookie,Content-Type,");
}

TEST(RemoveHopByHop, ASwitchKeepsItsUpgrade) {
  http::Fields fields;
  fields.add("Connection", "Upgrade, X-Hop");
  fields.add("Upgrade", "websocket");
  fields.add("X-Hop", "1");
  fields.add("Sec-WebSocket-Accept", "x");
  remove_hop_by_hop(fields, true);
  std::string left;
  for (const auto& field : fields) left += std::string(field.name) + ",";
  EXPECT_EQ(left, "Upgrade,Sec-WebSocket-Accept,");
}

}  // namespace
}  // namespace headgate::proxy
