// SPDX-License-Identifier: Apache-2.0
#include "upstream/name_resolver.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "tests/unit/upstream/dns_server.h"

namespace headgate::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Task<> look_up(NameResolver& resolver, std::string host, Result<Answer>& out) {
  Task<Result<Answer>> lookup = resolver.resolve(std::move(host));
  out = co_await lookup;
}

class NameResolverTest : public testing::Test {
 protected:
  NameResolver& resolver() {
    if (!resolver_) resolver_ = std::make_unique<NameResolver>(loop_, settings(), names());
    return *resolver_;
  }
  config::Dns settings() const {
    config::Dns dns;
    dns.servers = {server_.address()};
    dns.timeout = timeout_;
    return dns;
  }
  NameResolver::Files names() const { return {files_.path("hosts"), files_.path("resolv.conf")}; }

  Result<Answer> resolve(const std::string& host) {
    Result<Answer> out = Error{};
    run(loop_, look_up(resolver(), host, out));
    return out;
  }
  /// The reason for which the lookup fails.
  std::string failure(const std::string& host) {
    const Result<Answer> out = resolve(host);
    if (out) return "an answer";
    EXPECT_EQ(out.error().code,
              std::string_view(out.error().reason) == "resolve_timeout" ? Errc::kTimeout : Errc::kResolve);
    return out.error().reason;
  }

  Loop loop_;
  DnsServer server_{loop_};
  ResolverFiles files_;
  milliseconds timeout_ = seconds(30);
  std::unique_ptr<NameResolver> resolver_;
};

TEST_F(NameResolverTest, BothKindsSortedWithTheSmallestTtl) {
  server_["api.internal"] = {
      .v4 = addresses({"10.0.0.9", "10.0.0.2", "10.0.0.9"}), .v6 = addresses({"fd00::2", "fd00::1"}), .ttl = 17};
  const auto found = resolve("api.internal");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses, addresses({"10.0.0.2", "10.0.0.9", "fd00::1", "fd00::2"}));
  EXPECT_EQ(found->ttl, seconds(17));
  EXPECT_TRUE(found->v4_known);
  EXPECT_TRUE(found->v6_known);
  EXPECT_EQ(found->left_out, 0u);
  EXPECT_EQ(resolver().lookups(), 0u);
}

TEST_F(NameResolverTest, OneKindIsEnough) {
  server_["four.internal"] = {.v4 = addresses({"10.0.0.1"})};
  server_["six.internal"] = {.v6 = addresses({"fd00::1"}), .ttl = 3};
  EXPECT_EQ(resolve("four.internal")->addresses, addresses({"10.0.0.1"}));
  const auto six = resolve("Six.Internal.");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->addresses, addresses({"fd00::1"}));
  EXPECT_EQ(six->ttl, seconds(3));
  EXPECT_TRUE(six->v4_known);
}

TEST_F(NameResolverTest, AliasesCountForTheTtl) {
  server_["api.internal"] = {
      .v4 = addresses({"10.0.0.1"}), .ttl = 300, .aliases = {"one.internal", "two.internal"}, .alias_ttl = 7};
  const auto found = resolve("api.internal");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses, addresses({"10.0.0.1"}));
  EXPECT_EQ(found->ttl, seconds(7));
  server_["loose.internal"] = {.aliases = {"nowhere.internal"}};
  EXPECT_EQ(failure("loose.internal"), "name_has_no_address");
}

TEST_F(NameResolverTest, TtlsAtTheirEnds) {
  server_["zero.internal"] = {.v4 = addresses({"10.0.0.1"}), .ttl = 0};
  server_["huge.internal"] = {.v4 = addresses({"10.0.0.1"}), .ttl = 0x7fffffff};
  server_["high.internal"] = {.v4 = addresses({"10.0.0.1"}), .ttl = 0xffffffff};
  EXPECT_EQ(resolve("zero.internal")->ttl, seconds(0));
  EXPECT_EQ(resolve("huge.internal")->ttl, seconds(0x7fffffff));
  EXPECT_EQ(resolve("high.internal")->ttl, seconds(0));
}

TEST_F(NameResolverTest, TheReasonsOfFailure) {
  server_["none.internal"] = {};
  server_["failed.internal"] = {.code = 2};
  server_["refused.internal"] = {.code = 5};
  server_["odd.internal"] = {.code = 9};
  EXPECT_EQ(failure("nowhere.internal"), "name_does_not_exist");
  EXPECT_EQ(failure("none.internal"), "name_has_no_address");
  EXPECT_EQ(failure("failed.internal"), "name_server_failed");
  EXPECT_EQ(failure("refused.internal"), "name_server_refused");
  EXPECT_EQ(failure("odd.internal"), "name_server_failed");
  EXPECT_EQ(in_words("name_does_not_exist"), "name does not exist");
}

TEST_F(NameResolverTest, NoNamesAreNotAskedFor) {
  for (const std::string& name : {std::string(), std::string("."), std::string(300, 'x'), std::string("a b.internal"),
                                  std::string("a\0.internal", 11), std::string("a..internal"),
                                  std::string("a\\.internal"), std::string(64, 'x') + ".internal"}) {
    EXPECT_EQ(failure(name), "name_malformed") << name;
  }
}

TEST_F(NameResolverTest, SilenceEndsAtTheTimeout) {
  timeout_ = milliseconds(60);
  server_["silent.internal"] = {.silent = true};
  EXPECT_EQ(failure("silent.internal"), "resolve_timeout");
  EXPECT_GE(server_.asked("silent.internal"), 1);
}

TEST_F(NameResolverTest, AFewLostDatagramsDoNotMatter) {
  server_["lost.internal"] = {.v4 = addresses({"10.0.0.1"}), .silent = true};
  timeout_ = seconds(3);
  Result<Answer> found = Error{};
  run(loop_, [](DnsServer& server, NameResolver& names, Result<Answer>& out) -> Task<> {
    Task<> lookup = look_up(names, "lost.internal", out);
    lookup.start();
    co_await server.until_asked("lost.internal", 1);
    server["lost.internal"].silent = false;
    co_await lookup;
  }(server_, resolver(), found));
  ASSERT_TRUE(found);
  EXPECT_GE(server_.asked("lost.internal"), 2);
}

TEST_F(NameResolverTest, HalfOfAnAnswerIsOne) {
  timeout_ = milliseconds(500);
  server_["half.internal"] = {.v4 = addresses({"10.0.0.1"}), .v6_silent = true};
  server_["other.internal"] = {.v4 = addresses({"10.0.0.1"}), .v6_code = 2};
  for (const char* name : {"half.internal", "other.internal"}) {
    const auto found = resolve(name);
    ASSERT_TRUE(found) << name;
    EXPECT_EQ(found->addresses, addresses({"10.0.0.1"}));
    EXPECT_TRUE(found->v4_known);
    EXPECT_FALSE(found->v6_known);
  }
  server_["empty.internal"] = {.v6_code = 2};  // there might be IPv6 addresses
  EXPECT_EQ(failure("empty.internal"), "name_server_failed");
}

TEST_F(NameResolverTest, NobodyThere) {
  const UnreachableServer down;
  config::Dns dns = settings();
  dns.servers[0].port = down.port;
  resolver().configure(dns);
  EXPECT_EQ(failure("api.internal"), "name_servers_unreachable");
}

TEST_F(NameResolverTest, TheSecondServerWhenTheFirstIsDown) {
  const UnreachableServer down;
  config::Dns dns = settings();
  dns.servers.insert(dns.servers.begin(), dns.servers[0]);
  dns.servers[0].port = down.port;
  server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
  resolver().configure(dns);
  EXPECT_EQ(resolve("api.internal")->addresses, addresses({"10.0.0.1"}));
}

TEST_F(NameResolverTest, ATruncatedAnswerIsAskedForOverTcp) {
  server_["cut.internal"] = {.v4 = addresses({"10.0.0.1"}), .truncated = true};
  EXPECT_EQ(resolve("cut.internal")->addresses, addresses({"10.0.0.1"}));
  EXPECT_EQ(server_.over_tcp(), 2);
}

TEST_F(NameResolverTest, OfManyAddressesAlwaysTheSame) {
  Zone& zone = server_["many.internal"];
  for (int i = 1; i <= 200; ++i) zone.v4.push_back(*IpAddress::parse("10.0.0." + std::to_string(i)));
  const auto first = resolve("many.internal");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->addresses.size(), NameResolver::kMaxAddresses);
  EXPECT_EQ(first->left_out, 200 - NameResolver::kMaxAddresses);
  std::reverse(zone.v4.begin(), zone.v4.end());
  EXPECT_EQ(resolve("many.internal")->addresses, first->addresses);
}

TEST_F(NameResolverTest, MoreRecordsThanAnybodyNeeds) {
  Zone& zone = server_["most.internal"];
  for (int i = 0; i < 4000; ++i) {
    zone.v4.push_back(*IpAddress::parse("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1)));
  }
  const auto found = resolve("most.internal");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses.front(), *IpAddress::parse("10.0.0.1"));
  EXPECT_EQ(found->left_out, 4000 - NameResolver::kMaxAddresses);
}

TEST_F(NameResolverTest, AddressesThatSayNothingAreLeftOut) {
  server_["some.internal"] = {.v4 = addresses({"0.0.0.0", "10.0.0.1"}), .v6 = addresses({"::"})};
  server_["blocked.internal"] = {.v4 = addresses({"0.0.0.0"}), .v6 = addresses({"::"})};
  EXPECT_EQ(resolve("some.internal")->addresses, addresses({"10.0.0.1"}));
  EXPECT_EQ(failure("blocked.internal"), "name_has_no_address");
}

TEST_F(NameResolverTest, GarbageIsPassedOver) {
  server_["noise.internal"] = {.v4 = addresses({"10.0.0.1"}), .noise = "\x01"};
  EXPECT_EQ(resolve("noise.internal")->addresses, addresses({"10.0.0.1"}));
  server_["noise.internal"].noise = std::string(1500, '\xff');
  EXPECT_EQ(resolve("noise.internal")->addresses, addresses({"10.0.0.1"}));
}

TEST_F(NameResolverTest, RecordsThatAreNone) {
  const std::string loop = "\xc0\x1f";  // a name that points into itself, in several places
  for (const std::string& records : {std::string(30, '\xc0'), loop + loop + loop + std::string(40, '\xc0'),
                                     std::string("\x3f"), std::string(200, '\x3f'), std::string(11, '\0')}) {
    server_["broken.internal"] = {.broken = records};
    EXPECT_EQ(failure("broken.internal"), "name_answer_malformed");
  }
}

// Whatever comes: an answer within its bounds, or a reason.
TEST_F(NameResolverTest, AnyBytesInPlaceOfRecords) {
  std::minstd_rand random(1);
  const auto upto = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  const std::string start("\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04", 12);  // of a record that would be good
  int answers = 0;
  for (int round = 0; round < 500; ++round) {
    std::string records;
    for (int i = upto(8); i >= 0; --i) {
      records += start;
      for (int left = upto(12); left >= 0; --left) records += static_cast<char>(upto(255));
    }
    for (int i = upto(4); i > 0; --i)
      records[static_cast<std::size_t>(upto(int(records.size()) - 1))] = static_cast<char>(upto(255));
    server_["any.internal"] = {.broken = records};
    const auto found = resolve("any.internal");
    if (found) {
      ++answers;
      EXPECT_FALSE(found->addresses.empty());
      EXPECT_LE(found->addresses.size(), NameResolver::kMaxAddresses);
    } else {
      const std::string_view reason = found.error().reason;
      EXPECT_TRUE(reason == "name_answer_malformed" || reason == "name_has_no_address") << reason;
    }
  }
  EXPECT_LT(answers, 500);
}

TEST_F(NameResolverTest, TheHostsFileFirst) {
  files_.write("hosts", "10.9.9.9 api.internal\n0.0.0.0 blocked.internal\n");
  server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
  server_["blocked.internal"] = {.v4 = addresses({"10.0.0.2"})};
  const auto found = resolve("API.internal");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses, addresses({"10.9.9.9"}));
  EXPECT_EQ(found->ttl, NameResolver::kLocalTtl);
  EXPECT_EQ(server_.asked("api.internal"), 0);
  EXPECT_EQ(resolve("blocked.internal")->addresses, addresses({"10.0.0.2"}));
  files_.write("hosts", "");
  EXPECT_EQ(resolve("api.internal")->addresses, addresses({"10.0.0.1"}));
}

TEST_F(NameResolverTest, LocalhostStaysHere) {
  for (const char* name : {"localhost", "LOCALHOST.", "api.localhost"}) {
    EXPECT_EQ(resolve(name)->addresses, addresses({"::1", "127.0.0.1"})) << name;
  }
  files_.write("hosts", "127.0.0.2 localhost\n");
  EXPECT_EQ(resolve("localhost")->addresses, addresses({"127.0.0.2"}));
  EXPECT_EQ(server_.asked("localhost"), 0);
}

TEST_F(NameResolverTest, AnAddressIsItsOwnAnswer) {
  EXPECT_EQ(resolve("10.0.0.7")->addresses, addresses({"10.0.0.7"}));
  EXPECT_EQ(resolve("[fd00::7]")->addresses, addresses({"fd00::7"}));
}

TEST_F(NameResolverTest, TheSearchListInItsOrder) {
  files_.write("resolv.conf", "search first.internal second.internal\noptions ndots:2\n");
  server_["api.second.internal"] = {.v4 = addresses({"10.0.0.2"})};
  EXPECT_EQ(resolve("api")->addresses, addresses({"10.0.0.2"}));
  EXPECT_EQ(server_.asked("api.first.internal"), 1);
  EXPECT_EQ(server_.asked("api"), 0);

  // As many dots as it takes: as it is first, then the list.
  server_["a.b.c.first.internal"] = {.v4 = addresses({"10.0.0.3"})};
  EXPECT_EQ(resolve("a.b.c")->addresses, addresses({"10.0.0.3"}));
  EXPECT_EQ(server_.asked("a.b.c"), 1);

  EXPECT_EQ(failure("api."), "name_does_not_exist");  // a final dot: as it is only
  EXPECT_EQ(failure("web"), "name_does_not_exist");
  EXPECT_EQ(server_.asked("web"), 1);
  EXPECT_EQ(server_.asked("web.second.internal"), 1);
}

TEST_F(NameResolverTest, TheSearchGoesOnWhereAServerFails) {
  files_.write("resolv.conf", "search first.internal second.internal\n");
  server_["api.first.internal"] = {.code = 2};
  server_["api.second.internal"] = {.v4 = addresses({"10.0.0.2"})};
  EXPECT_EQ(resolve("api")->addresses, addresses({"10.0.0.2"}));
  server_["api.second.internal"] = {};
  EXPECT_EQ(failure("api"), "name_server_failed");  // says more than "no address" and "no such name"
  server_.forget("api.first.internal");
  EXPECT_EQ(failure("api"), "name_has_no_address");
}

TEST_F(NameResolverTest, ResolvConfIsReadAgainWhenItHasChanged) {
  server_["api.first.internal"] = {.v4 = addresses({"10.0.0.1"})};
  EXPECT_EQ(failure("api"), "name_does_not_exist");
  files_.write("resolv.conf", "search first.internal\n");
  EXPECT_EQ(resolve("api")->addresses, addresses({"10.0.0.1"}));
}

TEST_F(NameResolverTest, ALookupUnderWayGoesToTheNewServers) {
  DnsServer other(loop_);
  server_["api.internal"] = {.silent = true};
  other["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
  config::Dns dns = settings();
  dns.servers = {other.address()};
  Result<Answer> found = Error{};
  run(loop_, [](DnsServer& server, NameResolver& names, const config::Dns& later, Result<Answer>& out) -> Task<> {
    Task<> lookup = look_up(names, "api.internal", out);
    lookup.start();
    co_await server.until_asked("api.internal", 1);
    names.configure(later);
    co_await lookup;
  }(server_, resolver(), dns, found));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses, addresses({"10.0.0.1"}));
}

TEST_F(NameResolverTest, TakesABoundedNumberOfLookups) {
  server_["silent.internal"] = {.silent = true};
  constexpr std::size_t kMore = 10;
  std::vector<Result<Answer>> found(NameResolver::kMaxLookups + kMore, Result<Answer>(Error{}));
  run(loop_, [](Loop& loop, NameResolver& names, std::vector<Result<Answer>>& out) -> Task<> {
    TaskGroup group(loop);
    for (auto& one : out) group.spawn(look_up(names, "silent.internal", one));
    EXPECT_EQ(names.lookups(), NameResolver::kMaxLookups);
    names.cancel();
    co_await group.join(kNoDeadline);
    Result<Answer> late = Error{};
    co_await look_up(names, "localhost", late);
    EXPECT_STREQ(late.error().reason, "resolve_cancelled");
  }(loop_, resolver(), found));
  std::size_t busy = 0;
  for (const auto& one : found) {
    ASSERT_FALSE(one);
    const std::string_view reason = one.error().reason;
    if (reason == "resolver_busy") {
      ++busy;
    } else {
      EXPECT_EQ(reason, "resolve_cancelled");
      EXPECT_EQ(one.error().code, Errc::kCancelled);
    }
  }
  EXPECT_EQ(busy, kMore);
}

// The questions that were given up are c-ares' until it ends, and then nobody's.
TEST_F(NameResolverTest, EndsWithQuestionsLeft) {
  timeout_ = milliseconds(20);
  server_["silent.internal"] = {.silent = true};
  EXPECT_EQ(failure("silent.internal"), "resolve_timeout");
  resolver_.reset();
  turn(loop_);
}

}  // namespace
}  // namespace headgate::upstream
