// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/routing/table_fixture.h"

namespace headgate::routing {
namespace {

using ::testing::HasSubstr;

constexpr auto kNone = RouteTable::kNone;

std::size_t found(const config::Config& config, std::string_view host, std::string_view listener = ":80") {
  return RouteTable(config).find_site(listener, host);
}

TEST(FindSite, ExactBeforeWildcardBeforeDefault) {
  config::Config config;
  config.sites = {site({}), site({"*.shop.example.com"}), site({"shop.example.com", "www.shop.example.com"}),
                  site({"*.example.com"})};
  EXPECT_EQ(found(config, "shop.example.com"), 2U);
  EXPECT_EQ(found(config, "www.shop.example.com"), 2U);
  EXPECT_EQ(found(config, "a.shop.example.com"), 1U);
  EXPECT_EQ(found(config, "a.example.com"), 3U);
  EXPECT_EQ(found(config, "example.com"), 0U);
  EXPECT_EQ(found(config, "other.org"), 0U);
  EXPECT_EQ(found(config, ""), 0U);
}

TEST(FindSite, AWildcardStandsForAnyDepthButNotForNothing) {
  config::Config config;
  config.sites = {site({"*.example.com"})};
  EXPECT_EQ(found(config, "a.example.com"), 0U);
  EXPECT_EQ(found(config, "a.b.c.example.com"), 0U);
  EXPECT_EQ(found(config, "example.com"), kNone);
  EXPECT_EQ(found(config, ".example.com"), kNone);
  EXPECT_EQ(found(config, "notexample.com"), kNone);
  EXPECT_EQ(found(config, "a.example.com.evil.org"), kNone);
}

TEST(FindSite, NoDefaultSite) {
  config::Config config;
  config.sites = {site({"a.example.com"})};
  EXPECT_EQ(found(config, "b.example.com"), kNone);
  EXPECT_EQ(found(config, "a.example.com"), 0U);
}

TEST(FindSite, ADotAtTheEndIsNotLookedAt) {
  config::Config config;
  config.sites = {site({"a.example.com"}), site({"*.b.example.com"})};
  EXPECT_EQ(found(config, "a.example.com."), 0U);
  EXPECT_EQ(found(config, "x.b.example.com."), 1U);
  EXPECT_EQ(found(config, "a.example.com.."), kNone);
}

TEST(FindSite, AddressesAsHosts) {
  config::Config config;
  config.sites = {site({"127.0.0.1"}), site({"[::1]"})};
  EXPECT_EQ(found(config, "127.0.0.1"), 0U);
  EXPECT_EQ(found(config, "[::1]"), 1U);
}

TEST(FindSite, AHugeNameGoesToTheDefaultSite) {
  config::Config config;
  config.sites = {site({}), site({"*.example.com"})};
  std::string huge;
  for (int i = 0; i < 16000; ++i) huge += "a.";
  EXPECT_EQ(found(config, huge + "example.com"), 0U);
  EXPECT_EQ(found(config, std::string(240, 'a') + ".example.com"), 1U);
}

TEST(FindSite, ListenersRestrictASite) {
  config::Config config;
  config.listeners.resize(2);
  config.listeners[0].address = address(":80", 80);
  config.listeners[1].address = address(":443", 443);
  config.sites = {site({"a.example.com"}), site({"a.example.com"}), site({"*.example.com"}), site({})};
  config.sites[1].listeners = {address(":443", 443)};
  config.sites[3].listeners = {address(":443", 443)};
  EXPECT_EQ(found(config, "a.example.com", ":80"), 0U);
  EXPECT_EQ(found(config, "a.example.com", ":443"), 1U);
  EXPECT_EQ(found(config, "b.example.com", ":80"), 2U);
  EXPECT_EQ(found(config, "other.org", ":443"), 3U);
  EXPECT_EQ(found(config, "other.org", ":80"), kNone);
}

TEST(FindSite, ARestrictedExactNameLeavesTheRestToTheWildcard) {
  config::Config config;
  config.sites = {site({"a.example.com"}), site({"*.example.com"})};
  config.sites[0].listeners = {address(":443", 443)};
  EXPECT_EQ(found(config, "a.example.com", ":80"), 1U);
}

TEST(FindSite, TheSameAddressInAnotherSpelling) {
  config::Config config;
  config.listeners.resize(1);
  config.listeners[0].address = address("[0:0::1]:8080", 8080);
  config.listeners[0].address.kind = config::Address::Kind::kIp;
  config.listeners[0].address.ip = *IpAddress::parse("::1");
  config.sites = {site({})};
  config.sites[0].listeners = {address("[::1]:8080", 8080)};
  config.sites[0].listeners[0].kind = config::Address::Kind::kIp;
  config.sites[0].listeners[0].ip = *IpAddress::parse("::1");
  EXPECT_EQ(found(config, "x", "[0:0::1]:8080"), 0U);
  EXPECT_EQ(found(config, "x", "[::1]:8081"), kNone);
}

TEST(FindSite, TheFirstOfTwoEqualSites) {
  config::Config config;
  config.sites = {site({"a"}), site({"a"}), site({}), site({})};
  EXPECT_EQ(found(config, "a"), 0U);
  EXPECT_EQ(found(config, "b"), 2U);
}

TEST(FindSite, ExplainsItself) {
  config::Config config;
  config.sites = {site({"a.example.com"}), site({"*.example.com"}), site({})};
  config.sites[0].listeners = {address(":443", 443)};
  const RouteTable table(config);
  Trace trace;
  EXPECT_EQ(table.find_site(":80", "a.example.com", &trace), 1U);
  ASSERT_EQ(trace.steps.size(), 2U);
  EXPECT_FALSE(trace.steps[0].taken);
  EXPECT_EQ(trace.steps[0].route, nullptr);
  EXPECT_EQ(trace.steps[0].why,
            "site a.example.com: the name is its host a.example.com, but it answers only on :443, not on :80");
  EXPECT_TRUE(trace.steps[1].taken);
  EXPECT_EQ(trace.steps[1].why, "site *.example.com: the name is under its wildcard *.example.com");

  Trace other;
  EXPECT_EQ(table.find_site(":80", "b.org", &other), 2U);
  ASSERT_EQ(other.steps.size(), 2U);
  EXPECT_THAT(other.steps[0].why, HasSubstr("no site has the host \"b.org\""));
  EXPECT_TRUE(other.steps[1].taken);
  EXPECT_THAT(other.steps[1].why, HasSubstr("default site"));

  config::Config bare;
  bare.sites = {site({"a"})};
  Trace none;
  EXPECT_EQ(RouteTable(bare).find_site(":80", "b", &none), kNone);
  EXPECT_THAT(none.steps.back().why, HasSubstr("there is no default site"));
}

}  // namespace
}  // namespace headgate::routing
