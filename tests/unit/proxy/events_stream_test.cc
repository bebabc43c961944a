// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/events_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/base/run.h"
#include "tests/unit/proxy/fake_exchange.h"

namespace headgate::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::chrono::system_clock::time_point kStart{std::chrono::microseconds(0x1234)};

TEST(EventIdsTest, KnowWhichStartTheyAreOf) {
  const EventIds ids(kStart);
  EXPECT_EQ(ids.text(17), "1234-17");
  EXPECT_EQ(ids.seen("1234-17"), 17u);
  for (const char* other :
       {"", "17", "1233-17", "1234-", "1234-x", "1234-17x", "1234--1", "1234-99999999999999999999"}) {
    EXPECT_EQ(ids.seen(other), 0u) << other;
  }
}

TEST(EventText, IsOneLineOfData) {
  observe::Event event;
  event.id = 3;
  event.type = "ejected";
  event.fields = {{"upstream", "api"}, {"reason", "a\nb\r\"c\" \xff"}};
  EXPECT_EQ(
      event_text(event, EventIds(kStart)),
      "id: 1234-3\nevent: ejected\n"
      "data: {\"reason\":\"a\\nb\\r\\\"c\\\" \xef\xbf\xbd\",\"time\":\"1970-01-01T00:00:00.000Z\",\"type\":\"ejected\","
      "\"upstream\":\"api\"}\n\n");
}

class EventsStreamTest : public testing::Test {
 protected:
  /// A whole answer to a reader that has seen `last`; the stream ends when `before_the_end` has been called.
  template <class Function>
  std::string read(const char* last, const Function& before_the_end) {
    FakeExchange exchange(loop_, connection_);
    if (last != nullptr) exchange.request.fields.add("Last-Event-ID", last);
    EventsStream stream(loop_, events_, kStart);
    loop_.post([&] {
      before_the_end();
      stream.close();
    });
    run(loop_, stream.respond(exchange));
    EXPECT_TRUE(exchange.finished);
    EXPECT_EQ(exchange.status(), 200);
    EXPECT_EQ(exchange.field("Content-Type"), "text/event-stream");
    return exchange.body;
  }

  Loop loop_;
  http::ConnectionInfo connection_;
  observe::Events events_;
};

TEST_F(EventsStreamTest, LiveOnesOnlyWithoutAnId) {
  events_.add("before", {});
  const auto text = read(nullptr, [&] { events_.add("after", {}); });
  EXPECT_THAT(text, StartsWith(":"));
  EXPECT_THAT(text, Not(HasSubstr("event: before\n")));
  EXPECT_THAT(text, HasSubstr("id: 1234-2\nevent: after\n"));
}

TEST_F(EventsStreamTest, GoesOnAfterWhatWasSeen) {
  for (const char* type : {"one", "two", "three"}) events_.add(type, {});
  const auto text = read("1234-2", [&] { events_.add("four", {}); });
  EXPECT_THAT(text, Not(HasSubstr("event: two\n")));
  EXPECT_THAT(text, HasSubstr("event: three\n"));
  EXPECT_THAT(text, HasSubstr("event: four\n"));
}

TEST_F(EventsStreamTest, AllThatAreKeptForAnIdOfAnotherStart) {
  events_.add("one", {});
  EXPECT_THAT(read("9-7", [] {}), HasSubstr("event: one\n"));
}

TEST_F(EventsStreamTest, SaysWhatIsMissing) {
  for (std::size_t i = 0; i < observe::Events::kKept + 5; ++i) events_.add("many", {});
  const auto text = read("1234-1", [] {});
  EXPECT_THAT(text, HasSubstr(": 4 events are no longer kept\n"));
  EXPECT_THAT(text, HasSubstr("id: 1234-6\n"));
  EXPECT_THAT(text, HasSubstr("id: 1234-1005\n"));
}

TEST_F(EventsStreamTest, OneThatTakesNothingIsLetGo) {
  FakeExchange exchange(loop_, connection_);
  exchange.fail_from = 0;
  EventsStream stream(loop_, events_, kStart);
  run(loop_, stream.respond(exchange));
  EXPECT_EQ(exchange.body, "");
}

TEST_F(EventsStreamTest, AnEventAfterItsEndIsNobodys) {
  { EventsStream stream(loop_, events_, kStart); }
  events_.add("late", {});
  EventsStream again(loop_, events_, kStart);
  again.close();
  FakeExchange exchange(loop_, connection_);
  run(loop_, again.respond(exchange));
  EXPECT_EQ(exchange.status(), 503);
}

}  // namespace
}  // namespace headgate::proxy
