// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/server_path.h"

#include <gtest/gtest.h>

namespace headgate::proxy {
namespace {

using Action = ServerPath::Action;

TEST(ServerPathTest, NamesOfEveryKind) {
  const struct {
    const char* path;
    const char* upstream;
    const char* server;
    Action action;
  } cases[] = {
      {"/v1/upstreams/api/servers/127.0.0.1:3000", "api", "127.0.0.1:3000", Action::kNone},
      {"/v1/upstreams/api/servers/127.0.0.1:3000/drain", "api", "127.0.0.1:3000", Action::kDrain},
      {"/v1/upstreams/api/servers/%5b::1%5D:80/undrain", "api", "[::1]:80", Action::kUndrain},
      {"/v1/upstreams/api/servers/[::1]:80/drain", "api", "[::1]:80", Action::kDrain},
      {"/v1/upstreams/api/servers/unix:/run/app.sock/drain", "api", "unix:/run/app.sock", Action::kDrain},
      {"/v1/upstreams/api/servers/unix%3A%2Frun%2Fapp.sock/drain", "api", "unix:/run/app.sock", Action::kDrain},
      {"/v1/upstreams/api/servers/unix:%2Frun%2Fdrain", "api", "unix:/run/drain", Action::kNone},
      {"/v1/upstreams/http%3A%2F%2F127.0.0.1%3A1/servers/127.0.0.1:1", "http://127.0.0.1:1", "127.0.0.1:1",
       Action::kNone},
      {"/v1/upstreams/api/servers/unix:/srv/servers/a/drain", "api", "unix:/srv/servers/a", Action::kDrain},
  };
  for (const auto& one : cases) {
    const auto parsed = parse_server_path(one.path);
    ASSERT_TRUE(parsed) << one.path;
    EXPECT_EQ(parsed->upstream, one.upstream) << one.path;
    EXPECT_EQ(parsed->server, one.server) << one.path;
    EXPECT_EQ(parsed->action, one.action) << one.path;
  }
}

TEST(ServerPathTest, RolloutsOfAnUpstream) {
  const auto parsed = parse_upstream_path("/v1/upstreams/a%20b/rollout");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->upstream, "a b");
  EXPECT_EQ(parsed->action, UpstreamPath::Action::kRollout);
  EXPECT_EQ(parse_upstream_path("/v1/upstreams/rollout")->action, UpstreamPath::Action::kNone);
}

TEST(ServerPathTest, WhatIsNone) {
  for (const char* path :
       {"", "/", "/v1/status", "/v1/upstreams", "/v1/upstreams/", "/v1/upstreams/api", "/v1/upstreams/api/servers",
        "/v1/upstreams/api/servers/", "/v1/upstreams//servers/x", "/v1/upstreams/api/servers//drain",
        "/v1/upstreams/api/servers/%", "/v1/upstreams/api/servers/%4", "/v1/upstreams/api/servers/%zz",
        "/v1/upstreams/%/servers/x", "/v2/upstreams/api/servers/x"}) {
    EXPECT_FALSE(parse_server_path(path)) << path;
  }
}

}  // namespace
}  // namespace headgate::proxy
