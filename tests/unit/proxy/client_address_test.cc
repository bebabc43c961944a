// SPDX-License-Identifier: Apache-2.0
#include "proxy/client_address.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::proxy {
namespace {

const std::vector<Cidr> kTrusted = {*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd00::/8")};

std::string derive(const char* peer, const std::vector<std::string>& lists,
                   const std::vector<Cidr>& trusted = kTrusted) {
  http::Fields fields;
  fields.add("X-Real-IP", "198.51.100.99");
  for (const auto& list : lists) fields.add("X-Forwarded-For", list);
  fields.add("Forwarded", "for=198.51.100.98");
  return client_address(*IpAddress::parse(peer), fields, trusted).to_string();
}

TEST(ClientAddress, IsThePeerUnlessThePeerIsTrusted) {
  EXPECT_EQ(derive("203.0.113.1", {"198.51.100.7"}), "203.0.113.1");
  EXPECT_EQ(derive("10.0.0.1", {"198.51.100.7"}, {}), "10.0.0.1");
  EXPECT_EQ(derive("10.0.0.1", {}), "10.0.0.1");
}

TEST(ClientAddress, IsReadFromRightToLeft) {
  const struct {
    std::vector<std::string> lists;
    const char* client;
  } table[] = {
      {{"198.51.100.7"}, "198.51.100.7"},
      {{"1.1.1.1, 198.51.100.7"}, "198.51.100.7"},
      {{"1.1.1.1, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
      {{"1.1.1.1,198.51.100.7,10.0.0.2,fd00::1"}, "198.51.100.7"},
      {{"1.1.1.1", "198.51.100.7", "10.0.0.2"}, "198.51.100.7"},
      {{"1.1.1.1, 198.51.100.7", "10.0.0.3, 10.0.0.2"}, "198.51.100.7"},
      // Trusted ones only: the leftmost is the best that is known.
      {{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
      // With ports, and as IPv6.
      {{"198.51.100.7:4711"}, "198.51.100.7"},
      {{"[2001:db8::1]:4711"}, "2001:db8::1"},
      {{"[2001:db8::1]"}, "2001:db8::1"},
      {{"2001:db8::1"}, "2001:db8::1"},
      {{" \t198.51.100.7\t "}, "198.51.100.7"},
      {{"::ffff:10.0.0.2"}, "10.0.0.2"},
      // What cannot be read ends the search at the last address that could be believed.
      {{"198.51.100.7, unknown"}, "10.0.0.1"},
      {{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
      {{"198.51.100.7, , 10.0.0.2"}, "10.0.0.2"},
      {{"198.51.100.7,"}, "10.0.0.1"},
      {{""}, "10.0.0.1"},
      {{"198.51.100.7", ""}, "10.0.0.1"},
      {{"[2001:db8::1"}, "10.0.0.1"},
      {{"_hidden"}, "10.0.0.1"},
      {{"198.51.100.7 10.0.0.2"}, "10.0.0.1"},
  };
  for (const auto& row : table) EXPECT_EQ(derive("10.0.0.1", row.lists), row.client) << row.lists.front();
}

TEST(ClientAddress, NobodyTrustsAnUnknownPeer) {
  EXPECT_FALSE(is_trusted({*Cidr::parse("0.0.0.0/0"), *Cidr::parse("::/0")}, IpAddress()));
  EXPECT_FALSE(is_trusted({}, *IpAddress::parse("10.0.0.1")));
  EXPECT_TRUE(is_trusted(kTrusted, *IpAddress::parse("10.0.0.1")));
}

}  // namespace
}  // namespace headgate::proxy
