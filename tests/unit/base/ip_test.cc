// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <stdexcept>
#include <string>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace headgate {
namespace {

TEST(IpAddress, ReadsAndWrites) {
  const struct {
    const char* text;
    const char* written;
    bool v4;
  } table[] = {
      {"127.0.0.1", "127.0.0.1", true},
      {"255.255.255.255", "255.255.255.255", true},
      {"0.0.0.0", "0.0.0.0", true},
      {"::1", "::1", false},
      {"[::1]", "::1", false},
      {"::", "::", false},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false},
      {"::ffff:10.1.2.3", "10.1.2.3", true},
      {"[::ffff:10.1.2.3]", "10.1.2.3", true},
      {"fe80:1111:2222:3333:4444:5555:6666:7777", "fe80:1111:2222:3333:4444:5555:6666:7777", false},
  };
  for (const auto& row : table) {
    const auto address = IpAddress::parse(row.text);
    ASSERT_TRUE(address.has_value()) << row.text;
    EXPECT_TRUE(address->is_known());
    EXPECT_EQ(address->to_string(), row.written);
    EXPECT_EQ(address->is_v4(), row.v4) << row.text;
    EXPECT_EQ(IpAddress::parse(row.written), address) << row.text;
  }
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const std::string text : {"",
                                 " ",
                                 "localhost",
                                 "1.2.3",
                                 "1.2.3.4.5",
                                 "256.1.1.1",
                                 "01.2.3.4",
                                 "1.2.3.4:80",
                                 "1.2.3.4 ",
                                 " 1.2.3.4",
                                 "0x7f.0.0.1",
                                 ":",
                                 "::1::",
                                 "[::1",
                                 "::1]",
                                 "[]",
                                 "[",
                                 "fe80::1%eth0",
                                 "12345::",
                                 "1:2:3:4:5:6:7:8:9",
                                 "-",
                                 "unknown",
                                 "1111111111111111111111111111111111111111111111111"}) {
    EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
  }
}

// inet_pton reads up to the NUL and would believe the rest away.
TEST(IpAddress, RefusesANulInside) {
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0.5", 10)).has_value());
  EXPECT_FALSE(IpAddress::parse(std::string_view("::1\0", 4)).has_value());
  EXPECT_FALSE(Cidr::parse(std::string_view("10.0.0.0\0/8", 11)).has_value());
}

TEST(IpAddress, NetworksOfIpv6) {
  const auto network = [](const char* text, unsigned prefix) {
    return IpAddress::parse(text)->ipv6_network(prefix).to_string();
  };
  EXPECT_EQ(network("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::");
  EXPECT_EQ(network("2001:db8:1:2ff::", 56), "2001:db8:1:200::");
  EXPECT_EQ(network("2001:db8:1:2ff::", 57), "2001:db8:1:280::");
  EXPECT_EQ(network("2001:db8::1", 128), "2001:db8::1");
  EXPECT_EQ(network("ffff::", 1), "8000::");
  EXPECT_EQ(network("192.0.2.1", 1), "192.0.2.1");
  EXPECT_EQ(IpAddress().ipv6_network(64), IpAddress());
}

TEST(IpAddress, UnknownIsNoAddress) {
  const IpAddress unknown;
  EXPECT_FALSE(unknown.is_known());
  EXPECT_FALSE(unknown.is_v4());
  EXPECT_EQ(unknown.to_string(), "-");
  EXPECT_NE(unknown, *IpAddress::parse("::"));
  EXPECT_FALSE(Cidr::parse("::/0")->contains(unknown));
}

TEST(Cidr, Contains) {
  const struct {
    const char* network;
    const char* address;
    bool inside;
  } table[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.9.8.7/8", "10.1.1.1", true},
      {"192.168.1.128/25", "192.168.1.127", false},
      {"192.168.1.128/25", "192.168.1.128", true},
      {"192.168.1.1", "192.168.1.1", true},
      {"192.168.1.1", "192.168.1.2", false},
      {"192.168.1.1/32", "192.168.1.1", true},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"10.0.0.0/8", "::ffff:10.0.0.1", true},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::1", false},
      {"2001:db8::1", "2001:db8::1", true},
      {"2001:db8::/127", "2001:db8::2", false},
      {"fd00::/8", "10.0.0.1", false},
      {"::1/128", "::1", true},
  };
  for (const auto& row : table) {
    const auto network = Cidr::parse(row.network);
    ASSERT_TRUE(network.has_value()) << row.network;
    EXPECT_EQ(network->contains(*IpAddress::parse(row.address)), row.inside) << row.network << " " << row.address;
  }
}

TEST(Cidr, RefusesWhatIsNone) {
  for (const char* text : {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8 ",
                           "10.0.0.0/8/8", "::/129", "10.0.0/8", "10.0.0.0/99999999999", "x/8"}) {
    EXPECT_FALSE(Cidr::parse(text).has_value()) << text;
  }
}

TEST(Cidr, OneFamilyAtATime) {
  EXPECT_FALSE(Cidr::parse("::/0")->contains(*IpAddress::parse("10.1.2.3")));
  EXPECT_TRUE(Cidr::parse("::/0")->contains(*IpAddress::parse("2001:db8::1")));
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("2001:db8::1")));
  EXPECT_TRUE(Cidr::parse("::ffff:0:0/96")->contains(*IpAddress::parse("10.1.2.3")));
}

TEST(Cidr, WritesItself) {
  for (const char* text : {"10.0.0.0/8", "0.0.0.0/0", "192.168.1.1/32", "2001:db8::/32", "::/0", "::1/128"}) {
    EXPECT_EQ(Cidr::parse(text)->to_string(), text);
  }
  EXPECT_EQ(Cidr::parse("192.168.1.1")->to_string(), "192.168.1.1/32");
  EXPECT_EQ(Cidr::parse("::ffff:10.0.0.0/104")->to_string(), "10.0.0.0/8");
}

TEST(SocketAddress, OfEachFamily) {
  const auto v4 = SocketAddress::ip(*IpAddress::parse("10.1.2.3"), 8080);
  EXPECT_EQ(v4.family(), AF_INET);
  EXPECT_EQ(v4.port(), 8080);
  EXPECT_EQ(v4.to_string(), "10.1.2.3:8080");
  EXPECT_EQ(v4.host(), *IpAddress::parse("10.1.2.3"));

  const auto v6 = SocketAddress::ip(*IpAddress::parse("2001:db8::1"), 65535);
  EXPECT_EQ(v6.family(), AF_INET6);
  EXPECT_EQ(v6.port(), 65535);
  EXPECT_EQ(v6.to_string(), "[2001:db8::1]:65535");

  EXPECT_EQ(SocketAddress::any(true, 80).to_string(), "[::]:80");
  EXPECT_EQ(SocketAddress::any(false, 80).to_string(), "0.0.0.0:80");

  const auto path = SocketAddress::unix_path("/tmp/a.sock");
  EXPECT_EQ(path.family(), AF_UNIX);
  EXPECT_EQ(path.port(), 0);
  EXPECT_EQ(path.to_string(), "unix:/tmp/a.sock");
  EXPECT_FALSE(path.host().is_known());
  EXPECT_EQ(SocketAddress().to_string(), "-");
}

// A dual-stack socket names its IPv4 peers ::ffff:a.b.c.d: they are the IPv4 address.
TEST(SocketAddress, AMappedPeerIsItsIpv4Address) {
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(99);
  ASSERT_EQ(::inet_pton(AF_INET6, "::ffff:10.1.2.3", &mapped.sin6_addr), 1);
  const auto address = SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&mapped), sizeof mapped);
  EXPECT_EQ(address.to_string(), "10.1.2.3:99");
  EXPECT_EQ(address.host(), *IpAddress::parse("10.1.2.3"));
}

TEST(SocketAddress, APathMustFit) {
  EXPECT_NO_THROW(SocketAddress::unix_path(std::string(107, 'a')));
  EXPECT_THROW(SocketAddress::unix_path(std::string(108, 'a')), std::invalid_argument);
  EXPECT_THROW(SocketAddress::unix_path(""), std::invalid_argument);
}

}  // namespace
}  // namespace headgate
