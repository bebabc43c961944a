// SPDX-License-Identifier: Apache-2.0
#include "upstream/hosts_file.h"

#include <gtest/gtest.h>

#include "tests/unit/upstream/dns_server.h"

namespace headgate::upstream {
namespace {

TEST(HostsFile, NamesAndTheirAliases) {
  const ResolverFiles files;
  files.write("hosts",
              "# a comment\n"
              "127.0.0.1\tlocalhost   loop.internal\r\n"
              "\n"
              "  10.0.0.7 api.internal API2.Internal # api3.internal\n"
              "fd00::7 api.internal\n"
              "fe80::1%eth0 zone.internal\n"
              "nonsense bad.internal\n"
              "10.0.0.8\n"
              "10.0.0.9 last.internal");
  HostsFile hosts(files.path("hosts"));
  EXPECT_EQ(hosts.find("localhost"), addresses({"127.0.0.1"}));
  EXPECT_EQ(hosts.find("loop.internal"), addresses({"127.0.0.1"}));
  EXPECT_EQ(hosts.find("api.internal"), addresses({"10.0.0.7", "fd00::7"}));
  EXPECT_EQ(hosts.find("api2.internal"), addresses({"10.0.0.7"}));
  EXPECT_EQ(hosts.find("last.internal"), addresses({"10.0.0.9"}));
  for (const char* name : {"api3.internal", "zone.internal", "bad.internal", "10.0.0.8", "#", ""}) {
    EXPECT_TRUE(hosts.find(name).empty()) << name;
  }
}

TEST(HostsFile, IsReadAgainWhenItHasChanged) {
  const ResolverFiles files;
  HostsFile hosts(files.path("hosts"));
  EXPECT_TRUE(hosts.find("api.internal").empty());
  files.write("hosts", "10.0.0.7 api.internal\n");
  EXPECT_EQ(hosts.find("api.internal"), addresses({"10.0.0.7"}));
  files.write("hosts", "10.0.0.8 api.internal\n");
  EXPECT_EQ(hosts.find("api.internal"), addresses({"10.0.0.8"}));
  std::filesystem::remove(files.path("hosts"));
  EXPECT_TRUE(hosts.find("api.internal").empty());
}

TEST(HostsFile, WhatIsTooLongIsCutAtALine) {
  const ResolverFiles files;
  std::string text = "10.0.0.1 first.internal\n";
  const std::string line = "10.0.0.2 more.internal\n";
  while (text.size() + line.size() <= HostsFile::kMaxBytes) text += line;
  files.write("hosts", text + "10.0.0.3 last.internal.with.a.name.that.is.cut\n");
  HostsFile hosts(files.path("hosts"));
  EXPECT_EQ(hosts.find("first.internal"), addresses({"10.0.0.1"}));
  EXPECT_TRUE(hosts.find("last.internal.with.a.name.that.is.cut").empty());
  files.write("hosts", std::string(HostsFile::kMaxBytes + 1, 'x'));
  EXPECT_TRUE(hosts.find("first.internal").empty());
}

}  // namespace
}  // namespace headgate::upstream
