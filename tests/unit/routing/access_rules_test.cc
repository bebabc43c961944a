// SPDX-License-Identifier: Apache-2.0
#include "routing/access_rules.h"

#include <random>

#include <gtest/gtest.h>

namespace headgate::routing {
namespace {

std::vector<Cidr> networks(const std::vector<std::string>& texts) {
  std::vector<Cidr> out;
  for (const auto& text : texts) out.push_back(Cidr::parse(text).value());
  return out;
}

bool admits(const std::vector<std::string>& allow, const std::vector<std::string>& deny, const std::string& client) {
  return AccessRules({networks(allow), networks(deny)})
      .admits(client.empty() ? IpAddress() : *IpAddress::parse(client));
}

TEST(AccessRules, WithoutAnAllowAllComeInButTheDenied) {
  EXPECT_TRUE(admits({}, {}, "192.0.2.1"));
  EXPECT_TRUE(admits({}, {"10.0.0.0/8"}, "192.0.2.1"));
  EXPECT_FALSE(admits({}, {"10.0.0.0/8"}, "10.255.255.255"));
  EXPECT_FALSE(admits({}, {"10.0.0.0/8"}, "10.0.0.0"));
  EXPECT_TRUE(admits({}, {"10.0.0.0/8"}, "11.0.0.0"));
  EXPECT_TRUE(admits({}, {"10.0.0.0/8"}, "9.255.255.255"));
}

TEST(AccessRules, WithAnAllowNobodyElseComesIn) {
  EXPECT_TRUE(admits({"10.0.0.0/8"}, {}, "10.1.2.3"));
  EXPECT_FALSE(admits({"10.0.0.0/8"}, {}, "192.0.2.1"));
  EXPECT_FALSE(admits({"10.0.0.0/8"}, {}, "2001:db8::1"));
  EXPECT_FALSE(admits({"10.0.0.0/8"}, {"192.0.2.0/24"}, "198.51.100.1"));
}

TEST(AccessRules, TheSmallerNetworkDecides) {
  EXPECT_FALSE(admits({"10.0.0.0/8"}, {"10.1.0.0/16"}, "10.1.2.3"));
  EXPECT_TRUE(admits({"10.0.0.0/8"}, {"10.1.0.0/16"}, "10.2.0.0"));
  EXPECT_TRUE(admits({"10.1.2.3"}, {"10.0.0.0/8"}, "10.1.2.3"));
  EXPECT_FALSE(admits({"10.1.2.3"}, {"10.0.0.0/8"}, "10.1.2.4"));
  EXPECT_TRUE(admits({"10.0.0.0/8"}, {"0.0.0.0/0"}, "10.1.2.3")) << "allow 10.0.0.0/8; deny all; as nginx has it";
  EXPECT_TRUE(admits({"10.0.0.0/8", "10.1.2.0/24"}, {"10.1.0.0/16"}, "10.1.2.3"));
  EXPECT_FALSE(admits({"10.0.0.0/8", "10.1.2.0/24"}, {"10.1.0.0/16"}, "10.1.3.0"));
}

TEST(AccessRules, TheEndsOfTheAddressSpace) {
  EXPECT_FALSE(admits({}, {"0.0.0.0/0"}, "255.255.255.255"));
  EXPECT_FALSE(admits({}, {"255.255.255.255"}, "255.255.255.255"));
  EXPECT_FALSE(admits({}, {"::/0"}, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_FALSE(admits({}, {"::/0"}, "::"));
  EXPECT_TRUE(admits({}, {"::/0"}, "10.0.0.1")) << "a network of IPv6 holds no address of IPv4";
  EXPECT_TRUE(admits({}, {"0.0.0.0/0"}, "2001:db8::1"));
  EXPECT_FALSE(admits({}, {"2001:db8::/33"}, "2001:db8:7fff::1"));
  EXPECT_TRUE(admits({}, {"2001:db8::/33"}, "2001:db8:8000::"));
  EXPECT_FALSE(admits({}, {"10.0.0.0/8"}, "::ffff:10.0.0.1"));
}

TEST(AccessRules, APeerWithoutAnAddress) {
  EXPECT_TRUE(admits({}, {}, ""));
  EXPECT_TRUE(admits({}, {"0.0.0.0/0", "::/0"}, ""));
  EXPECT_FALSE(admits({"0.0.0.0/0", "::/0"}, {}, ""));
}

TEST(AccessRules, SaysWhatDecided) {
  const AccessRules rules({networks({"10.0.0.0/8"}), networks({"10.1.0.0/16"})});
  const auto denied = rules.judge(*IpAddress::parse("10.1.2.3"));
  EXPECT_FALSE(denied.admitted);
  ASSERT_NE(denied.network, nullptr);
  EXPECT_EQ(denied.network->to_string(), "10.1.0.0/16");
  EXPECT_EQ(rules.judge(*IpAddress::parse("192.0.2.1")).network, nullptr);
}

/// As it is written in the documents, one network after another.
bool as_written(const config::Access& access, const IpAddress& client) {
  const Cidr* best = nullptr;
  bool allowed = access.allow.empty();
  const auto look = [&](const std::vector<Cidr>& list, bool verdict) {
    for (const Cidr& network : list) {
      if (!network.contains(client) || (best != nullptr && best->bits() >= network.bits())) continue;
      best = &network;
      allowed = verdict;
    }
  };
  look(access.allow, true);
  look(access.deny, false);
  return allowed;
}

TEST(AccessRules, ManyNetworksAreAsOneAfterAnother) {
  std::mt19937 random(7);
  const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  const auto address = [&] {
    // Few different bytes, so that networks nest and touch.
    if (pick(3) == 0) {
      return "2001:db8:" + std::to_string(pick(3)) + "::" + std::to_string(pick(3));
    }
    return std::to_string(10 + pick(2)) + "." + std::to_string(pick(3)) + "." + std::to_string(pick(3)) + "." +
           std::to_string(pick(4) * 85);
  };
  for (int round = 0; round < 200; ++round) {
    config::Access access;
    for (unsigned i = pick(40); i > 0; --i) {
      const std::string text = address();
      const unsigned most = text.find(':') == std::string::npos ? 32 : 128;
      const auto network = Cidr::parse(text + "/" + std::to_string(pick(most + 1))).value();
      const auto same = [&](const Cidr& other) {
        return other.first() == network.first() && other.bits() == network.bits();
      };
      auto& list = pick(2) == 0 ? access.allow : access.deny;
      auto& other = &list == &access.allow ? access.deny : access.allow;
      if (std::none_of(other.begin(), other.end(), same)) list.push_back(network);
    }
    const AccessRules rules(access);
    for (int i = 0; i < 200; ++i) {
      const auto client = *IpAddress::parse(address());
      ASSERT_EQ(rules.admits(client), as_written(access, client)) << client.to_string();
    }
  }
}

}  // namespace
}  // namespace headgate::routing
