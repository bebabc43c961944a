// SPDX-License-Identifier: Apache-2.0
#include "proxy/traffic_meter.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/proxy/edge.h"
#include "tests/unit/proxy/fake_exchange.h"

namespace headgate::proxy {
namespace {

using namespace std::chrono_literals;

constexpr const char* kConfig = R"(
upstreams:
  one: { servers: ["127.0.0.1:1", "127.0.0.1:2"] }
  two: { servers: ["127.0.0.1:1"] }
sites:
  - hosts: [a.test]
    routes: [{ path: /x, respond: { status: 200 } }, { path: /y, respond: { status: 200 } }]
  - hosts: [b.test]
    routes: [{ path: /x, respond: { status: 200 } }]
)";

/// By "site route".
std::map<std::string, std::uint64_t> requests(const observe::Metrics& metrics) {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& series : metrics.routes.all()) {
    auto& count = counts[series->labels[0] + " " + series->labels[1]];
    series->each([&](const observe::RouteCells& cells) {
      cells.each([&](std::size_t, const observe::CodeCounts& codes, const observe::DurationHistogram&) {
        codes.each([&](int, std::uint64_t seen) { count += seen; });
      });
    });
  }
  return counts;
}

/// By "server code".
std::map<std::string, std::uint64_t> attempts(const observe::Metrics& metrics) {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& series : metrics.servers.all()) {
    series->each([&](const observe::ServerCells& cells) {
      EXPECT_EQ(cells.in_flight.value(), 0u);
      cells.codes.each(
          [&](int code, std::uint64_t seen) { counts[series->labels[2] + " " + std::to_string(code)] += seen; });
    });
  }
  return counts;
}

struct PoolSums {
  std::uint64_t retries = 0;
  std::uint64_t durations = 0;
};
PoolSums pool_sums(const observe::Metrics& metrics) {
  PoolSums sums;
  observe::DurationHistogram::Sum sum;
  for (const auto& series : metrics.pools.all()) {
    series->each([&](const observe::PoolCells& cells) {
      sums.retries += cells.retries.value();
      cells.durations.add_to(sum);
    });
  }
  sums.durations = sum.count();
  return sums;
}

class TrafficMeterTest : public testing::Test {
 protected:
  /// One request that went to this route of this site; -1: to none.
  void count(TrafficMeter& meter, const Generation& generation, int site, int route) {
    FakeExchange exchange(loop_, connection_);
    Request request(exchange, nullptr);
    if (site >= 0) request.site = &generation.sites[static_cast<std::size_t>(site)];
    if (route >= 0) request.route = &request.site->routes[static_cast<std::size_t>(route)];
    meter.count(request, 1ms);
  }

  Loop loop_;
  http::ConnectionInfo connection_;
  observe::Metrics metrics_{1};
};

TEST_F(TrafficMeterTest, EachRouteHasItsOwnSeriesAndSoHasNone) {
  const Generation generation(1, read_config(kConfig), monitor(), traffic());
  TrafficMeter meter(metrics_, 0, generation);
  EXPECT_EQ(metrics_.routes.size(), 0u) << "before its first request a route costs nothing";
  for (int i = 0; i < 2; ++i) count(meter, generation, 0, 0);
  for (int i = 0; i < 3; ++i) count(meter, generation, 0, 1);
  for (int i = 0; i < 4; ++i) count(meter, generation, 0, -1);
  for (int i = 0; i < 5; ++i) count(meter, generation, 1, 0);
  for (int i = 0; i < 6; ++i) count(meter, generation, 1, -1);
  for (int i = 0; i < 7; ++i) count(meter, generation, -1, -1);
  EXPECT_EQ(requests(metrics_),
            (std::map<std::string, std::uint64_t>{
                {"a.test /x", 2}, {"a.test /y", 3}, {"a.test ", 4}, {"b.test /x", 5}, {"b.test ", 6}, {" ", 7}}));
}

TEST_F(TrafficMeterTest, TargetsAreInTheOrderOfTheConfiguration) {
  const Generation generation(1, read_config(kConfig), monitor(), traffic());
  const TrafficMeter meter(metrics_, 0, generation);
  { AttemptMeter(meter.target(0, 1)).answered(200, 1ms); }
  { AttemptMeter(meter.target(1, 0)).answered(404, 1ms); }
  std::map<std::string, std::string> seen;
  for (const auto& series : metrics_.servers.all()) {
    series->each([&](const observe::ServerCells& cells) {
      cells.codes.each([&](int code, std::uint64_t) {
        seen[series->labels[0] + " " + series->labels[1] + " " + series->labels[2]] = std::to_string(code);
      });
    });
  }
  EXPECT_EQ(seen, (std::map<std::string, std::string>{{"one default 127.0.0.1:2", "200"},
                                                      {"two default 127.0.0.1:1", "404"}}));
}

TEST_F(TrafficMeterTest, CountsGoOnOverGenerationsThatMoveTheRoutes) {
  const Generation first(1, read_config(kConfig), monitor(), traffic());
  const Generation second(2, read_config("sites: [{ hosts: [b.test], routes: [{ path: /new, respond: { status: 200 } },"
                                         " { path: /x, respond: { status: 200 } }] }]"),
                          monitor(), traffic());
  {
    TrafficMeter meter(metrics_, 0, first);
    count(meter, first, 0, 0);
    count(meter, first, 1, 0);
  }
  TrafficMeter meter(metrics_, 0, second);
  count(meter, second, 0, 1);
  EXPECT_EQ(requests(metrics_), (std::map<std::string, std::uint64_t>{{"a.test /x", 1}, {"b.test /x", 2}}));
}

TEST_F(TrafficMeterTest, OnlyWhatIsNotNamedAnyMoreGoes) {
  const Generation first(1, read_config(kConfig), monitor(), traffic());
  const Generation second(
      2, read_config("sites: [{ hosts: [b.test], routes: [{ path: /x, respond: { status: 200 } }] }]"), monitor(), traffic());
  {
    TrafficMeter meter(metrics_, 0, first);
    count(meter, first, 0, 0);
    count(meter, first, 1, 0);
    count(meter, first, 1, -1);
    count(meter, first, -1, -1);
  }
  TrafficMeter meter(metrics_, 0, second);  // and no request yet
  name_routes(metrics_, second);
  const TimePoint now{1h};
  metrics_.drop_unnamed(2, now);
  EXPECT_EQ(metrics_.routes.size(), 4u);
  metrics_.drop_unnamed(2, now + observe::kKeepUnnamed);
  EXPECT_EQ(requests(metrics_), (std::map<std::string, std::uint64_t>{{"b.test /x", 1}, {"b.test ", 1}, {" ", 1}}));
  EXPECT_EQ(metrics_.servers.size(), 0u);
  EXPECT_EQ(metrics_.pools.size(), 0u);
}

TEST_F(TrafficMeterTest, AFailedAttemptCountsAsWhatTheClientIsTold) {
  const Generation generation(1, read_config(kConfig), monitor(), traffic());
  const TrafficMeter meter(metrics_, 0, generation);
  for (const auto& error :
       {Error{Errc::kTimeout, Side::kUpstream, "first_byte_timeout", 0},
        Error{Errc::kReset, Side::kUpstream, "reset", 0}, Error{Errc::kCancelled, Side::kUpstream, "cancelled", 0},
        Error{Errc::kTimeout, Side::kDownstream, "slow", 0}}) {
    AttemptMeter(meter.target(0, 0)).failed(error);
  }
  { AttemptMeter(meter.target(0, 0)).answered(0, 1ms); }
  EXPECT_EQ(attempts(metrics_),
            (std::map<std::string, std::uint64_t>{
                {"127.0.0.1:1 502", 1}, {"127.0.0.1:1 503", 1}, {"127.0.0.1:1 504", 1}, {"127.0.0.1:1 499", 2}}));
}

TEST_F(TrafficMeterTest, ATunnelIsCountedApart) {
  const Generation generation(1, read_config(kConfig), monitor(), traffic());
  const TrafficMeter meter(metrics_, 0, generation);
  const auto traffic = [&] { return *traffic_of(metrics_, "one", "default", "127.0.0.1:1"); };
  {
    const AttemptMeter request(meter.target(0, 0));
    AttemptMeter other(meter.target(0, 0));
    EXPECT_EQ(traffic().in_flight, 2u);
    other.became_tunnel();
    EXPECT_EQ(traffic().in_flight, 1u);
    EXPECT_EQ(traffic().tunnels, 1u);
  }
  EXPECT_EQ(traffic().in_flight, 0u);
  EXPECT_EQ(traffic().tunnels, 0u);
  EXPECT_FALSE(traffic_of(metrics_, "one", "default", "127.0.0.1:9").has_value());
}

// --- through a real worker ------------------------------------------------------------------------------------------

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An idle connection that its origin closes is no failure of it.
TEST(ForwardCounted, AStaleConnectionIsARetryAndNoError) {
  Origin origin;
  Edge edge("sites: [{ routes: [{ path: /*, proxy: \"http://" + origin.address() + "\" }] }]");
  Peer client = edge.client();
  client.send(kGet);
  Peer first = origin.accept();
  first.read();
  first.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  client.send(kGet);
  first.read();
  first.reset();  // before a byte of its answer
  Peer second = origin.accept();
  second.read();
  second.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  edge.stop();
  EXPECT_EQ(attempts(edge.metrics()), (std::map<std::string, std::uint64_t>{{origin.address() + " 200", 2}}));
  EXPECT_EQ(pool_sums(edge.metrics()).retries, 1u);
  EXPECT_EQ(pool_sums(edge.metrics()).durations, 2u);
}

TEST(ForwardCounted, ConnectionsComeBackToNothing) {
  Edge edge("sites: [{ routes: [{ path: /*, respond: { status: 200, body: ok } }] }]");
  Peer client = edge.client();
  for (int i = 0; i < 3; ++i) {
    client.send(kGet);
    EXPECT_EQ(client.read().status(), 200);
  }
  client.send("nonsense\r\n\r\n");
  EXPECT_EQ(client.read().status(), 400);
  client.close();
  edge.stop();
  std::uint64_t left = 0;
  for (const auto& series : edge.metrics().listeners.all()) {
    series->each([&](const observe::ListenerCells& cells) {
      left += cells.open.value() + cells.active.value() + cells.shaking_hands.value();
    });
  }
  EXPECT_EQ(edge.metrics().listeners.size(), 1u);
  EXPECT_EQ(left, 0u);
  EXPECT_EQ(requests(edge.metrics()), (std::map<std::string, std::uint64_t>{{"default /*", 3}, {"default ", 1}}));
}

}  // namespace
}  // namespace headgate::proxy
