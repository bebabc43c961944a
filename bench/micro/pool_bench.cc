// SPDX-License-Identifier: Apache-2.0
// What a worker pays for the choice of a server as requests meet it: the pool's pick, the attempt counted, its outcome
// told to the endpoint. Without a request between them.
#include <memory>
#include <string>

#include <benchmark/benchmark.h>

#include "upstream/upstream.h"

namespace {

using namespace headgate;
using Kind = config::Balance::Kind;

void pick_and_account(benchmark::State& state, Kind kind) {
  config::Config config;
  auto& settings = config.upstreams.emplace_back();
  settings.name = "bench";
  settings.balance.kind = kind;
  auto& pool_settings = settings.pools.emplace_back();
  pool_settings.name = "default";
  for (int i = 0; i < state.range(0); ++i) {
    auto& server = pool_settings.servers.emplace_back();
    server.address.kind = config::Address::Kind::kIp;
    server.address.ip = *IpAddress::parse("127.0.0." + std::to_string(1 + i / 200));
    server.address.port = static_cast<std::uint16_t>(1000 + i % 200);
    server.address.text = server.address.ip.to_string() + ":" + std::to_string(server.address.port);
  }
  observe::Events events;
  upstream::Monitor monitor(1, config::Dns(), events);
  Loop loop;
  upstream::WorkerSide side(loop, 0, monitor);
  const auto watches = monitor.watch(config);
  upstream::Upstream upstream(settings, watches.front(), side);
  upstream::Pool::Ask ask;
  for (auto _ : state) {
    ask.key = ask.key * 6364136223846793005 + 1442695040888963407;
    upstream::Upstream::Active active(upstream);
    auto pick = upstream.pool(0).pick(ask);
    pick.turn->succeeded(std::chrono::microseconds(500));
    benchmark::DoNotOptimize(pick.turn->slot());
  }
}

BENCHMARK_CAPTURE(pick_and_account, round_robin, Kind::kRoundRobin)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(pick_and_account, least_requests, Kind::kLeastRequests)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(pick_and_account, random_two, Kind::kRandomTwo)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(pick_and_account, peak_ewma, Kind::kPeakEwma)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(pick_and_account, hash, Kind::kHash)->Arg(10)->Arg(1000);

}  // namespace
