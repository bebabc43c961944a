// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "config/units.h"

namespace headgate::config {
namespace {

TEST(ListenAddress, TakesTheFourForms) {
  const auto any = parse_listen_address(":80");
  ASSERT_TRUE(any);
  EXPECT_EQ(any->kind, Address::Kind::kAny);
  EXPECT_EQ(any->port, 80);
  EXPECT_EQ(any->text, ":80");
  const auto v4 = parse_listen_address("127.0.0.1:0");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->kind, Address::Kind::kIp);
  EXPECT_EQ(v4->ip.to_string(), "127.0.0.1");
  EXPECT_EQ(v4->port, 0);
  const auto v6 = parse_listen_address("[::1]:443");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->ip.to_string(), "::1");
  EXPECT_EQ(v6->port, 443);
  const auto path = parse_listen_address("unix:/run/a.sock");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->kind, Address::Kind::kUnix);
  EXPECT_EQ(path->path, "/run/a.sock");
}

TEST(ListenAddress, RefusesAllElse) {
  for (const char* text : {"", "80", ":", ":65536", ":-1", ":8o", "localhost:80", "::1:80", "[::1]", "[127.0.0.1]:80",
                           "256.0.0.1:80", "unix:", "unix:dir/", "unix:/", "127.0.0.1", "127.0.0.1:", " :80"}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
  EXPECT_FALSE(parse_listen_address("unix:/" + std::string(107, 'x')));
  EXPECT_TRUE(parse_listen_address("unix:/" + std::string(106, 'x')));
}

TEST(ServerAddress, TakesNamesAndNeedsAPort) {
  const auto name = parse_server_address("App.Internal:3000");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->kind, Address::Kind::kName);
  EXPECT_EQ(name->host, "app.internal");
  EXPECT_EQ(name->text, "App.Internal:3000");
  EXPECT_TRUE(parse_server_address("my_service-1:80"));
  for (const char* text :
       {":80", "app", "app:0", "127.0.0.1:0", "300.1.1.1:80", "a..b:80", ".a:80", "a b:80", "a/b:80"}) {
    EXPECT_FALSE(parse_server_address(text)) << text;
  }
}

TEST(ResolverAddress, IsAnIpAddressAndHasItsPort) {
  const auto plain = parse_resolver_address("10.0.0.53");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->kind, Address::Kind::kIp);
  EXPECT_EQ(plain->ip.to_string(), "10.0.0.53");
  EXPECT_EQ(plain->port, 53);
  EXPECT_EQ(plain->text, "10.0.0.53:53");
  EXPECT_EQ(parse_resolver_address("127.0.0.1:5353")->port, 5353);
  const auto v6 = parse_resolver_address("[fd00::53]");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->ip.to_string(), "fd00::53");
  EXPECT_EQ(v6->port, 53);
  EXPECT_EQ(parse_resolver_address("[::1]:5353")->port, 5353);
  for (const char* text : {"", ":53", "dns.internal", "dns.internal:53", "fd00::53", "10.0.0.53:", "10.0.0.53:0",
                           "unix:/run/dns", "[10.0.0.53]", "10.0.0.53:65536", "10.0.0.53 ", "https://10.0.0.53"}) {
    EXPECT_FALSE(parse_resolver_address(text)) << text;
  }
}

TEST(ServerAddress, SaysWhereASchemeGoes) {
  const auto url = parse_server_address("http://127.0.0.1:80");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().message,
            "expected a server such as 127.0.0.1:3000, app.internal:3000, unix:/path, got 'http://127.0.0.1:80'; the "
            "scheme is a key of the upstream (scheme: https)");
}

TEST(ProxyUrl, HasOneNameForOneTarget) {
  EXPECT_EQ(parse_proxy_url("http://127.0.0.1:3000")->name, "http://127.0.0.1:3000");
  EXPECT_EQ(parse_proxy_url("http://127.0.0.1:3000/")->name, "http://127.0.0.1:3000");
  EXPECT_EQ(parse_proxy_url("http://Example.COM")->name, "http://example.com:80");
  EXPECT_EQ(parse_proxy_url("https://example.com")->name, "https://example.com:443");
  EXPECT_EQ(parse_proxy_url("http://[::1]")->name, "http://[::1]:80");
  EXPECT_EQ(parse_proxy_url("https://example.com")->scheme, Scheme::kHttps);
  EXPECT_EQ(parse_proxy_url("h2c://127.0.0.1:50051")->scheme, Scheme::kH2c);
  EXPECT_EQ(parse_proxy_url("h2://example.com")->scheme, Scheme::kH2);
  EXPECT_EQ(parse_proxy_url("unix:/run/app.sock")->server.path, "/run/app.sock");
}

TEST(ProxyUrl, PointsFromAPathToTheKeysThatMakeOne) {
  const auto url = parse_proxy_url("http://127.0.0.1:3000/api");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().message,
            "expected a URL without a path, got 'http://127.0.0.1:3000/api'; the path sent upstream is made by "
            "strip_prefix or rewrite");
  EXPECT_FALSE(parse_proxy_url("http://127.0.0.1:3000?x=1"));
  EXPECT_FALSE(parse_proxy_url("http://user@127.0.0.1:3000"));
  EXPECT_FALSE(parse_proxy_url("ftp://127.0.0.1:3000"));
  EXPECT_FALSE(parse_proxy_url("http://"));
  EXPECT_FALSE(parse_proxy_url("http://:3000"));
  EXPECT_FALSE(parse_proxy_url("unix:"));
}

TEST(ProxyUrl, IsToldFromAName) {
  EXPECT_TRUE(is_proxy_url("http://x"));
  EXPECT_TRUE(is_proxy_url("unix:/x"));
  EXPECT_FALSE(is_proxy_url("api"));
}

TEST(Host, IsLowerCaseAndMayBeAWildcard) {
  EXPECT_EQ(*parse_host("Example.COM"), "example.com");
  EXPECT_EQ(*parse_host("*.Example.com"), "*.example.com");
  EXPECT_EQ(*parse_host("localhost"), "localhost");
  EXPECT_EQ(*parse_host("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(*parse_host("[::1]"), "[::1]");
  for (const char* text :
       {"", "*", "a.*.b", "*example.com", "example.com:80", "a..b", "http://a", "a b", "::1", "*."}) {
    EXPECT_FALSE(parse_host(text)) << text;
  }
}

TEST(Tokens, AreNamesOfFieldsAndMethods) {
  EXPECT_EQ(*parse_token("X-Frame-Options"), "X-Frame-Options");
  for (const char* text : {"", "a b", "a:b", "a\r\nb", "\xc3\xa4"}) EXPECT_FALSE(parse_token(text)) << text;
  EXPECT_EQ(*parse_method("M-SEARCH"), "M-SEARCH");
  EXPECT_EQ(parse_method("get").error().message, "expected a method such as GET, in upper case, got 'get'");
  EXPECT_TRUE(parse_name("api-1.blue_x"));
  for (const char* text : {"", "a/b", "a b", "http://x", "a:1"}) EXPECT_FALSE(parse_name(text)) << text;
}

TEST(PathPatternText, CutsTheStarOff) {
  const auto exact = parse_path_pattern("/healthz");
  ASSERT_TRUE(exact);
  EXPECT_EQ(exact->text, "/healthz");
  EXPECT_FALSE(exact->prefix);
  EXPECT_EQ(parse_path_pattern("/api/*")->text, "/api/");
  EXPECT_TRUE(parse_path_pattern("/api/*")->prefix);
  EXPECT_EQ(parse_path_pattern("/merchant/admin*")->text, "/merchant/admin");
  EXPECT_EQ(parse_path_pattern("/*")->text, "/");
  EXPECT_TRUE(parse_path_pattern("/.well-known/*"));
  EXPECT_TRUE(parse_path_pattern("/a.*"));
}

TEST(PathPatternText, RefusesWhatNoRequestCouldMeet) {
  for (const char* text : {"", "api", "*", "/a*b", "/**", "/a?x=1", "/a//b", "/a/../b", "/a/./b", "/a/..", "/a/.",
                           "/a\\b", "/..", "/a\nb"}) {
    EXPECT_FALSE(parse_path_pattern(text)) << text;
  }
  EXPECT_EQ(parse_path_pattern("/a*b").error().message,
            "expected a star only at the end of a path, got '/a*b'; path_regex can do more");
}

TEST(Network, IsAnAddressOrACidr) {
  EXPECT_EQ(parse_network("10.0.0.0/8")->to_string(), "10.0.0.0/8");
  EXPECT_EQ(parse_network("10.1.2.3")->to_string(), "10.1.2.3/32");
  EXPECT_EQ(parse_network("10.0.0.0/33").error().message,
            "expected an address or a network such as 10.0.0.0/8, fd00::/8, got '10.0.0.0/33'");
}

}  // namespace
}  // namespace headgate::config
