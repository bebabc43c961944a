// SPDX-License-Identifier: Apache-2.0
#include "proxy/overrides.h"

#include <fstream>

#include <gtest/gtest.h>

#include "proxy/state_file.h"
#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

using Drains = upstream::Monitor::Drains;

const Drains kTwo = {{"api", "127.0.0.1:1"}, {"http://127.0.0.1:2", "unix:/run/a \"b\".sock"}};

/// What it says of drains; nothing when it cannot be read.
std::optional<Drains> drains_of(std::string_view text) {
  const auto saved = read_overrides(text);
  return saved ? std::optional(saved->drains) : std::nullopt;
}

TEST(OverridesText, ComesBack) {
  EXPECT_EQ(drains_of(overrides_text({kTwo, {}, {}})), kTwo);
  EXPECT_EQ(drains_of(overrides_text({})), Drains());
  EXPECT_EQ(drains_of(R"({"version": 1, "later": [1, 2]})"), Drains());
}

TEST(OverridesText, OfSplitsToo) {
  const traffic::Traffic::Saved set{"api", traffic::Weights{{"blue", 90.5}, {"green", 9.5}}, {{"blue", 1}}, 7};
  const traffic::Traffic::Saved only_a_release{"web", std::nullopt, {}, 2};
  const auto read = read_overrides(overrides_text({kTwo, {set, only_a_release}, {}}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->drains, kTwo);
  ASSERT_EQ(read->traffic.size(), 2u);
  EXPECT_EQ(read->traffic[0].upstream, "api");
  EXPECT_EQ(read->traffic[0].set, set.set);
  EXPECT_EQ(read->traffic[0].before, set.before);
  EXPECT_EQ(read->traffic[0].release, 7u);
  EXPECT_EQ(read->traffic[1].set, std::nullopt);
  for (const char* text : {R"({"version": 1, "traffic": 1})", R"({"version": 1, "traffic": [{}]})",
                           R"({"version": 1, "traffic": [{"upstream": "a", "release": -1}]})",
                           R"({"version": 1, "traffic": [{"upstream": "a", "release": 1, "split": 3}]})",
                           R"({"version": 1, "traffic": [{"upstream": "a", "release": 1, "split": [{"pool": "b"}]}]})",
                           R"({"version": 1, "traffic": [{"upstream": "a", "release": 1,
                               "split": [{"pool": "b", "weight": -2}]}]})"}) {
    EXPECT_FALSE(read_overrides(text)) << text;
  }
}

TEST(OverridesText, OfClosedSitesToo) {
  Closure full;
  full.since = 1'700'000'000;
  full.retry_after = std::chrono::seconds(0);
  full.allow = {*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd00::/8")};
  full.message = "Back at \"noon\"";
  const auto read = read_overrides(overrides_text({kTwo, {}, {}, {{"a.example", full}, {"default", {}}}}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->drains, kTwo);
  ASSERT_EQ(read->closed.size(), 2u);
  const Closure& a = read->closed.at("a.example");
  EXPECT_EQ(a.since, full.since);
  EXPECT_EQ(a.retry_after, full.retry_after);
  EXPECT_EQ(a.allow, full.allow);
  EXPECT_EQ(a.message, full.message);
  EXPECT_EQ(read->closed.at("default").retry_after, std::nullopt);
  for (const char* text : {R"({"version": 1, "maintenance": {}})", R"({"version": 1, "maintenance": [{}]})",
                           R"({"version": 1, "maintenance": [{"site": "a"}]})",
                           R"({"version": 1, "maintenance": [{"site": "a", "since": 1, "allow": ["x"]}]})",
                           R"({"version": 1, "maintenance": [{"site": "a", "since": 1, "allow": {}}]})",
                           R"({"version": 1, "maintenance": [{"site": "a", "since": 1, "retry_after_s": -1}]})"}) {
    EXPECT_FALSE(read_overrides(text)) << text;
  }
}

TEST(OverridesText, WhatIsDamagedIsNone) {
  const std::string whole = overrides_text({kTwo, {}, {}});
  for (std::size_t length = 0; length < whole.size() - 2; ++length) {
    EXPECT_FALSE(read_overrides(whole.substr(0, length))) << length;
  }
  for (const char* text : {"null", "[]", "{}", "1", R"({"version": 2, "drained": []})", R"({"version": "1"})",
                           R"({"version": 1, "drained": {}})", R"({"version": 1, "drained": [1]})",
                           R"({"version": 1, "drained": [{"upstream": "a"}]})",
                           R"({"version": 1, "drained": [{"upstream": "a", "server": null}]})", "\xff\xfe"}) {
    EXPECT_FALSE(read_overrides(text)) << text;
  }
}

class OverridesTest : public testing::Test {
 protected:
  OverridesTest()
      : watched_(monitor_.watch(read_config(R"(
upstreams: { api: { servers: ["127.0.0.1:1", "127.0.0.1:2"] } }
sites: [{ routes: [{ path: /*, proxy: api }] }]
)"))) {}

  const TemporaryFolder folder_;
  const std::string file_ = folder_ / "overrides.json";
  observe::Events events_;
  upstream::Monitor monitor_{1, config::Dns(), events_};
  traffic::Traffic traffic_{events_, [] {}};
  traffic::Rollouts rollouts_{traffic_, events_, 1};
  Maintenance maintenance_{events_, [](const auto&) {}};
  std::vector<upstream::UpstreamWatch> watched_;
};

TEST_F(OverridesTest, EachChangeIsSaved) {
  Overrides overrides(monitor_, traffic_, rollouts_, maintenance_);
  overrides.restore(folder_ / ".");
  EXPECT_EQ(overrides.drain("api", "127.0.0.1:2", true), Overrides::Outcome::kDone);
  EXPECT_EQ(drains_of(*load_file(file_)), (Drains{{"api", "127.0.0.1:2"}}));
  EXPECT_EQ(overrides.drain("api", "127.0.0.1:2", false), Overrides::Outcome::kDone);
  EXPECT_EQ(drains_of(*load_file(file_)), Drains());
  EXPECT_EQ(overrides.drain("api", "127.0.0.1:3", true), Overrides::Outcome::kUnknown);
}

TEST_F(OverridesTest, IsInEffectAfterARestart) {
  ASSERT_TRUE(save_privately(file_, overrides_text({{{"api", "127.0.0.1:2"}, {"gone", "127.0.0.1:9"}}, {}, {}})));
  Overrides overrides(monitor_, traffic_, rollouts_, maintenance_);
  overrides.restore(folder_ / ".");
  const auto pools = monitor_.status();
  ASSERT_EQ(pools.size(), 1u);
  EXPECT_FALSE(pools[0].servers[0].drained);
  EXPECT_TRUE(pools[0].servers[1].drained);
  EXPECT_EQ(overrides.drain("api", "127.0.0.1:1", true), Overrides::Outcome::kDone);
  EXPECT_EQ(drains_of(*load_file(file_)),
            (Drains{{"api", "127.0.0.1:1"}, {"api", "127.0.0.1:2"}, {"gone", "127.0.0.1:9"}}));
  EXPECT_EQ(overrides.drain("gone", "127.0.0.1:9", false), Overrides::Outcome::kDone) << "given back without effect";
  EXPECT_EQ(overrides.drain("gone", "127.0.0.1:9", false), Overrides::Outcome::kUnknown);
}

TEST_F(OverridesTest, AClosedSiteStaysClosed) {
  {
    Overrides overrides(monitor_, traffic_, rollouts_, maintenance_);
    overrides.restore(folder_ / ".");
    EXPECT_TRUE(overrides.maintain([](Maintenance& maintenance) { maintenance.close("a", {}); }));
  }
  Maintenance later(events_, [](const auto&) {});
  Overrides overrides(monitor_, traffic_, rollouts_, later);
  overrides.restore(folder_ / ".");
  EXPECT_TRUE(later.closed().contains("a"));
  EXPECT_TRUE(overrides.maintain([](Maintenance& maintenance) { maintenance.open("a"); }));
  EXPECT_TRUE(read_overrides(*load_file(file_))->closed.empty());
}

TEST_F(OverridesTest, ADamagedFileIsPutAside) {
  ASSERT_TRUE(save_privately(file_, "{ half"));
  Overrides overrides(monitor_, traffic_, rollouts_, maintenance_);
  overrides.restore(folder_ / ".");
  EXPECT_EQ(load_file(file_ + ".damaged"), "{ half");
  EXPECT_EQ(load_file(file_), std::nullopt);
  EXPECT_EQ(monitor_.drains(), Drains());
  EXPECT_EQ(overrides.drain("api", "127.0.0.1:1", true), Overrides::Outcome::kDone);
}

TEST_F(OverridesTest, WhatCannotBeSavedIsDoneAllTheSame) {
  Overrides overrides(monitor_, traffic_, rollouts_, maintenance_);
  EXPECT_EQ(overrides.drain("api", "127.0.0.1:1", true), Overrides::Outcome::kNotSaved) << "no folder";
  overrides.restore(folder_ / "missing");
  EXPECT_EQ(overrides.drain("api", "127.0.0.1:2", true), Overrides::Outcome::kNotSaved);
  EXPECT_EQ(monitor_.drains().size(), 2u);
}

}  // namespace
}  // namespace headgate::proxy
