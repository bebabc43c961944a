// SPDX-License-Identifier: Apache-2.0
// What counting a request costs its worker, with its cells in the cache and spread over many routes; and what a scrape
// costs the main thread.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "observe/exposition.h"

namespace {

using namespace std::chrono_literals;
namespace observe = headgate::observe;

/// One request: its route, its server and its pool.
void count_request(benchmark::State& state) {
  observe::Metrics metrics(1);
  auto& route = metrics.routes.cells(0, {"shop.test", "/api/*"}, 1);
  auto& server = metrics.servers.cells(0, {"api", "blue", "127.0.0.1:8001"}, 1);
  auto& pool = metrics.pools.cells(0, {"api", "blue"}, 1);
  std::chrono::nanoseconds duration = 37us;
  for (auto _ : state) {
    benchmark::DoNotOptimize(duration);
    server.in_flight.add(1);
    server.codes.add(200);
    pool.durations.add(duration);
    server.in_flight.subtract(1);
    route.count(0, 200, duration);
  }
}

/// As many routes as there may be, taken in an order that no prefetcher guesses.
void count_spread_requests(benchmark::State& state) {
  observe::Metrics metrics(1);
  std::vector<observe::RouteCells*> routes;
  for (std::size_t i = 0; i < observe::Metrics::kMostRoutes; ++i) {
    routes.push_back(&metrics.routes.cells(0, {"shop.test", std::to_string(i)}, 1));
  }
  std::size_t next = 0;
  for (auto _ : state) {
    next = (next * 1'103'515'245 + 12'345) % routes.size();
    routes[next]->count(0, 200, 37us);
  }
}

void scrape(benchmark::State& state) {
  observe::Metrics metrics(1);
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    metrics.routes.cells(0, {"shop.test", std::to_string(i)}, 1).count(0, 200, 37us);
  }
  std::size_t bytes = 0;
  std::string piece;
  for (auto _ : state) {
    observe::Exposition exposition(metrics, {});
    while (exposition.next(piece)) bytes += piece.size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

BENCHMARK(count_request);
BENCHMARK(count_spread_requests);
BENCHMARK(scrape)->Arg(10)->Arg(1000)->Arg(10'000)->Unit(benchmark::kMicrosecond);

}  // namespace
