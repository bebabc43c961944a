// SPDX-License-Identifier: Apache-2.0
#include "upstream/names.h"

#include <memory>

#include <gtest/gtest.h>

#include "tests/unit/upstream/dns_server.h"

namespace headgate::upstream {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class NamesTest : public testing::Test {
 public:
  NamesTest() {
    settings_.servers = {server_.address()};
    settings_.timeout = seconds(30);
    settings_.min_ttl = hours(1);  // a test that waits for the TTL shortens it
    settings_.max_ttl = hours(2);
  }

  /// Runs a test's coroutine with names that are followed, and ends them.
  void with_names(Task<> (*test)(NamesTest&)) {
    const NameResolver::Files files{files_.path("hosts"), files_.path("resolv.conf")};
    resolver_ = std::make_unique<NameResolver>(loop_, settings_, files);
    names_ = std::make_unique<Names>(loop_, *resolver_, settings_, intervals_);
    names_->on_change([this](Name& name) {
      ++changes_;
      last_ = name.host();
      changed_.set();
    });
    run(loop_, within(*this, test));
    kept_ = {};
    names_.reset();
    resolver_.reset();
  }
  static Task<> within(NamesTest& t, Task<> (*test)(NamesTest&)) {
    co_await test(t);
    t.resolver_->cancel();
    co_await t.names_->close();
  }

  Task<> until_changes(int count) {
    while (changes_ < count) {
      changed_.clear();
      co_await changed_.wait(kNoDeadline);
    }
  }

  Loop loop_;
  DnsServer server_{loop_};
  ResolverFiles files_;
  config::Dns settings_;
  // A test in which a name fails, or is refreshed, waits this long.
  Names::Intervals intervals_{milliseconds(1), milliseconds(4), milliseconds(1)};
  Event changed_{loop_};
  int changes_ = 0;
  std::string last_;
  NameRef kept_;
  std::unique_ptr<NameResolver> resolver_;
  std::unique_ptr<Names> names_;
};

TEST_F(NamesTest, LookedUpAtOnceAndSharedByAllWhoFollow) {
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.2", "10.0.0.1"})};
    const NameRef name = t.names_->follow("api.internal");
    const NameRef other = t.names_->follow("API.internal");
    EXPECT_EQ(name, other);
    EXPECT_TRUE(name->addresses().empty());
    EXPECT_FALSE(name->resolved());
    EXPECT_EQ(t.changes_, 0);
    co_await t.until_changes(1);
    EXPECT_EQ(t.last_, "api.internal");
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.1", "10.0.0.2"}));
    EXPECT_EQ(name->error(), "");
    CO_REQUIRE(name->resolved());
    EXPECT_EQ(name->due(), *name->resolved() + hours(1));  // the floor: its TTL is a minute
    EXPECT_EQ(t.server_.asked("api.internal"), 1);
  });
}

TEST_F(NamesTest, TheCeilingOfTheTtl) {
  settings_.min_ttl = milliseconds(1);
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"}), .ttl = 0x7fffffff};
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    EXPECT_EQ(name->due(), *name->resolved() + hours(2));
    t.server_["two.internal"] = {.v4 = addresses({"10.0.0.1"}), .ttl = 4000};
    const NameRef between = t.names_->follow("two.internal");
    co_await t.until_changes(2);
    EXPECT_EQ(between->due(), *between->resolved() + seconds(4000));
  });
}

TEST_F(NamesTest, AnotherAnswerIsFoundWhenTheTtlHasEnded) {
  settings_.min_ttl = milliseconds(1);
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1", "10.0.0.2"}), .ttl = 0};
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    // The same in another order is no change.
    t.server_["api.internal"].v4 = addresses({"10.0.0.2", "10.0.0.1"});
    const int before = t.server_.asked("api.internal");
    co_await t.server_.until_asked("api.internal", before + 2);
    EXPECT_EQ(t.changes_, 1);
    t.server_["api.internal"].v4 = addresses({"10.0.0.3"});
    co_await t.until_changes(2);
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.3"}));
  });
}

TEST_F(NamesTest, TheLastGoodAnswerStaysWhileNothingBetterComes) {
  settings_.min_ttl = milliseconds(1);
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"}), .ttl = 0};
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    const auto good = name->addresses();
    for (const int code : {2, 3, 0}) {  // fails; does not exist; has no address
      t.server_["api.internal"] = {.ttl = 0, .code = code};
      const int before = t.server_.asked("api.internal");
      co_await t.server_.until_asked("api.internal", before + 8);
      EXPECT_EQ(name->addresses(), good);
      EXPECT_FALSE(name->error().empty());
    }
    EXPECT_EQ(name->error(), "name_has_no_address");
    EXPECT_EQ(t.changes_, 1);
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.2"}), .ttl = 0};
    co_await t.until_changes(2);
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.2"}));
    EXPECT_EQ(name->error(), "");
  });
}

TEST_F(NamesTest, HalfOfAnAnswerTakesNothingAway) {
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"}), .v6 = addresses({"fd00::1"})};
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.2"}), .v6_code = 2};
    name->refresh();
    co_await t.until_changes(2);
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.2", "fd00::1"}));
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.2"})};  // and now it is said that there is none
    // Nobody needs to ask for another look: the other half is wanted sooner than the TTL says.
    co_await t.until_changes(3);
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.2"}));
  });
}

TEST_F(NamesTest, TheFirstFailureIsToldOnceAndThenTheFirstAnswer) {
  with_names([](NamesTest& t) -> Task<> {
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    EXPECT_EQ(name->error(), "name_does_not_exist");
    EXPECT_TRUE(name->addresses().empty());
    co_await t.server_.until_asked("api.internal", 5);
    EXPECT_EQ(t.changes_, 1);
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
    co_await t.until_changes(2);
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.1"}));
  });
}

TEST_F(NamesTest, TriesAfterAFailureComeLessAndLessOften) {
  intervals_ = {hours(10), hours(30), Duration::zero()};
  with_names([](NamesTest& t) -> Task<> {
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    // A try is told apart by its due time, hours away; a refresh puts it to now until the try has ended.
    for (const int longest : {10, 20, 30, 30}) {
      while (name->due() <= t.loop_.now() + hours(1)) co_await t.loop_.yield();
      const Duration wait = name->due() - t.loop_.now();
      EXPECT_LE(wait, hours(longest));
      EXPECT_GE(wait, hours(longest) * 3 / 4);
      name->refresh();
    }
    EXPECT_EQ(t.changes_, 1);
  });
}

TEST_F(NamesTest, ARefreshLooksAtOnceButNotTooOften) {
  intervals_.between_looks = hours(1);
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
    t.settings_.min_ttl = t.settings_.max_ttl;
    t.names_->configure(t.settings_);
    const NameRef name = t.names_->follow("api.internal");
    name->refresh();  // before the first look: nothing to add
    co_await t.until_changes(1);
    EXPECT_EQ(name->due(), *name->resolved() + hours(2));
    name->refresh();
    name->refresh();
    EXPECT_GT(name->due(), *name->resolved());
    EXPECT_LE(name->due(), *name->resolved() + hours(1));
    EXPECT_EQ(t.server_.asked("api.internal"), 1);
  });
}

TEST_F(NamesTest, ARefreshFindsWhatHasMoved) {
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    t.server_["api.internal"].v4 = addresses({"10.0.0.2"});
    name->refresh();
    co_await t.until_changes(2);
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.2"}));
  });
}

TEST_F(NamesTest, ForgottenWithTheLastWhoFollows) {
  settings_.min_ttl = milliseconds(1);
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"}), .ttl = 0};
    t.server_["silent.internal"] = {.silent = true};
    NameRef name = t.names_->follow("api.internal");
    NameRef again = name;
    NameRef silent = t.names_->follow("silent.internal");
    const NameRef at_once = t.names_->follow("at-once.internal");
    t.names_->follow("never.internal");
    EXPECT_EQ(t.names_->size(), 3u);
    co_await t.until_changes(1);
    co_await t.server_.until_asked("silent.internal", 1);
    silent.reset();  // in the middle of its lookup
    name.reset();
    EXPECT_EQ(t.names_->size(), 2u);
    again.reset();
    EXPECT_EQ(t.names_->size(), 1u);
    // Two more looks of another: what was on its way when the name was let go has come.
    int others = t.server_.asked("at-once.internal");
    co_await t.server_.until_asked("at-once.internal", others + 2);
    const int asked = t.server_.asked("api.internal");
    others = t.server_.asked("at-once.internal");
    co_await t.server_.until_asked("at-once.internal", others + 4);
    EXPECT_EQ(t.server_.asked("api.internal"), asked);
    EXPECT_EQ(t.server_.asked("never.internal"), 0);
    name = t.names_->follow("api.internal");  // as if it had never been
    EXPECT_TRUE(name->addresses().empty());
    co_await t.server_.until_asked("api.internal", asked + 1);
  });
}

TEST_F(NamesTest, WhoIsToldMayLetGo) {
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
    t.names_->on_change([&t](Name&) {
      t.kept_.reset();
      t.kept_ = t.names_->follow("other.internal");
      ++t.changes_;
      t.changed_.set();
    });
    t.kept_ = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    EXPECT_EQ(t.kept_->host(), "other.internal");
    EXPECT_EQ(t.names_->size(), 1u);
  });
}

TEST_F(NamesTest, OtherServersAreAskedAtOnce) {
  with_names([](NamesTest& t) -> Task<> {
    t.server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
    DnsServer other(t.loop_);
    other["api.internal"] = {.v4 = addresses({"10.0.0.2"})};
    const NameRef name = t.names_->follow("api.internal");
    co_await t.until_changes(1);
    t.names_->configure(t.settings_);  // nothing is new
    EXPECT_EQ(name->due(), *name->resolved() + hours(1));
    t.settings_.servers = {other.address()};
    t.resolver_->configure(t.settings_);
    t.names_->configure(t.settings_);
    co_await t.until_changes(2);
    EXPECT_EQ(name->addresses(), addresses({"10.0.0.2"}));
    t.resolver_->cancel();
    co_await t.names_->close();  // before the other server goes
  });
}

TEST_F(NamesTest, ManyNamesTakeTurns) {
  with_names([](NamesTest& t) -> Task<> {
    constexpr int kNames = 500;
    std::vector<NameRef> names;
    for (int i = 0; i < kNames; ++i) {
      const std::string host = "n" + std::to_string(i) + ".internal";
      t.server_[host] = {.v4 = addresses({"10.0.0.1"})};
      names.push_back(t.names_->follow(host));
    }
    for (int i = 0; i < kNames; i += 3) names[static_cast<std::size_t>(i)].reset();  // some before their turn
    co_await t.until_changes(kNames - (kNames + 2) / 3);
    for (const NameRef& name : names) {
      EXPECT_TRUE(!name || name->addresses() == addresses({"10.0.0.1"}));
    }
    names[1]->refresh();  // turns are given back
    co_await t.server_.until_asked("n1.internal", 2);
  });
}

TEST_F(NamesTest, EndsInTheMiddleOfEverything) {
  with_names([](NamesTest& t) -> Task<> {
    std::vector<NameRef> silent;  // more than may look at once
    for (std::size_t i = 0; i < Names::kMaxAtOnce + 5; ++i) {
      const std::string host = "s" + std::to_string(i) + ".internal";
      t.server_[host] = {.silent = true};
      silent.push_back(t.names_->follow(host));
    }
    co_await t.server_.until_asked("s0.internal", 1);
    t.resolver_->cancel();
    co_await t.names_->close();
    EXPECT_EQ(t.changes_, 0);
    EXPECT_EQ(t.resolver_->lookups(), 0u);
    EXPECT_EQ(t.names_->follow("late.internal")->host(), "late.internal");
  });
}

TEST_F(NamesTest, ANameMayOutliveItsNames) {
  NameRef left;
  {
    NameResolver resolver(loop_, settings_, {files_.path("hosts"), files_.path("resolv.conf")});
    Names names(loop_, resolver, settings_);
    server_["api.internal"] = {.v4 = addresses({"10.0.0.1"})};
    left = names.follow("api.internal");
    names.on_change([this](Name&) { changed_.set(); });
    run(loop_, [](NamesTest& t, NameResolver& r, Names& n) -> Task<> {
      co_await t.changed_.wait(kNoDeadline);
      r.cancel();
      co_await n.close();
    }(*this, resolver, names));
  }
  left->refresh();
  EXPECT_EQ(left->addresses(), addresses({"10.0.0.1"}));
}

}  // namespace
}  // namespace headgate::upstream
