// SPDX-License-Identifier: Apache-2.0
#include "upstream/resolver.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/base/run.h"

namespace headgate::upstream {
namespace {

TEST(Resolver, FindsLocalhost) {
  Resolver resolver;
  Loop loop;
  run(loop, [](Loop& l, Resolver& r) -> Task<> {
    std::string host = "localhost";
    const auto found = co_await r.resolve(l, host, 8080, kNoDeadline);
    CO_REQUIRE(found);
    EXPECT_FALSE(found->empty());
    for (const auto& address : *found) {
      EXPECT_EQ(address.port(), 8080);
      const auto text = address.host().to_string();
      EXPECT_TRUE(text == "::1" || text.starts_with("127.")) << text;
    }
  }(loop, resolver));
}

TEST(Resolver, SaysWhenThereIsNoAddress) {
  Resolver resolver;
  Loop loop;
  run(loop, [](Loop& l, Resolver& r) -> Task<> {
    std::string host(300, 'x');  // no name can be that long: no name server is asked
    const auto found = co_await r.resolve(l, host, 80, kNoDeadline);
    CO_REQUIRE(!found);
    EXPECT_EQ(found.error().code, Errc::kResolve);
    EXPECT_EQ(found.error().side, Side::kUpstream);
    EXPECT_STREQ(found.error().reason, "resolve_failed");
  }(loop, resolver));
}

Task<> look_up(Loop& loop, Resolver& resolver, TimePoint deadline, int& found, int& late, int& busy) {
  std::string host = "localhost";
  const auto addresses = co_await resolver.resolve(loop, host, 80, deadline);
  if (addresses) {
    ++found;
  } else if (addresses.error().code == Errc::kTimeout) {
    ++late;
  } else {
    EXPECT_STREQ(addresses.error().reason, "resolver_busy");
    ++busy;
  }
}

TEST(Resolver, TakesABoundedNumberOfQuestions) {
  constexpr int kQuestions = 20'000;
  Resolver resolver;
  Loop loop;
  int found = 0;
  int late = 0;
  int busy = 0;
  run(loop, [](Loop& l, Resolver& r, int& f, int& t, int& b) -> Task<> {
    TaskGroup group(l);
    for (int i = 0; i < kQuestions; ++i) group.spawn(look_up(l, r, kNoDeadline, f, t, b));
    co_await group.join(kNoDeadline);
  }(loop, resolver, found, late, busy));
  EXPECT_EQ(found + busy, kQuestions);
  EXPECT_GE(found, 1024);
  EXPECT_GT(busy, 0);
}

// The thread told a loop of its answer after the one who asked had given up, and the loop with it.
TEST(Resolver, ALoopMayEndBeforeItsAnswersCome) {
  Resolver resolver;
  for (int round = 0; round < 5; ++round) {
    int found = 0;
    int late = 0;
    int busy = 0;
    const auto loop = std::make_unique<Loop>();  // on the heap, where the sanitizer sees its end
    run(*loop, [](Loop& l, Resolver& r, int& f, int& t, int& b) -> Task<> {
      TaskGroup group(l);
      for (int i = 0; i < 1000; ++i) group.spawn(look_up(l, r, l.now(), f, t, b));
      co_await group.join(kNoDeadline);
    }(*loop, resolver, found, late, busy));
    EXPECT_EQ(found + late + busy, 1000);
  }
}

TEST(Resolver, EndsWithQuestionsLeft) {
  Loop loop;
  int found = 0;
  int late = 0;
  int busy = 0;
  {
    Resolver resolver;
    run(loop, [](Loop& l, Resolver& r, int& f, int& t, int& b) -> Task<> {
      TaskGroup group(l);
      for (int i = 0; i < 1000; ++i) group.spawn(look_up(l, r, l.now(), f, t, b));
      co_await group.join(kNoDeadline);
    }(loop, resolver, found, late, busy));
  }
  turn(loop);
  EXPECT_EQ(found + late + busy, 1000);
}

}  // namespace
}  // namespace headgate::upstream
