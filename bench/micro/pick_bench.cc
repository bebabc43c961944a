// SPDX-License-Identifier: Apache-2.0
// What balancing costs a request: pick, began and ended, with ten members and with a thousand. Some requests are in
// flight all the time, and they end in another order than they began.
#include <cstdint>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "upstream/balancer.h"
#include "upstream/random_numbers.h"

namespace {

using headgate::Duration;
using headgate::mix;
using headgate::TimePoint;
using headgate::upstream::Balancer;
using headgate::upstream::RandomNumbers;
using Kind = headgate::config::Balance::Kind;

std::unique_ptr<Balancer> balancer_of(Kind kind, std::uint32_t members, bool weighted) {
  auto balancer = Balancer::make(kind, 1);
  for (std::uint32_t slot = 0; slot < members; ++slot) balancer->set(slot, mix(slot), weighted ? 1 + slot % 3 : 1);
  return balancer;
}

void request(benchmark::State& state, Kind kind, bool weighted) {
  const auto members = static_cast<std::uint32_t>(state.range(0));
  const auto balancer = balancer_of(kind, members, weighted);
  RandomNumbers numbers(7);
  std::vector<std::uint32_t> in_flight(std::size_t{2} * members);
  for (auto& slot : in_flight) {
    slot = balancer->pick({.key = numbers.next()});
    balancer->began(slot);
  }
  std::size_t next = 0;
  TimePoint now{std::chrono::hours(1)};
  for (auto _ : state) {
    const std::uint64_t random = numbers.next();
    now += std::chrono::microseconds(10);
    const auto slot = balancer->pick({.key = random});
    balancer->began(slot);
    balancer->measured(in_flight[next], std::chrono::microseconds(500 + random % 1024), now);
    balancer->ended(in_flight[next]);
    in_flight[next] = slot;
    next = next + 1 < in_flight.size() ? next + 1 : 0;
  }
}

/// A weight that changes, as in slow start.
void weight(benchmark::State& state, Kind kind) {
  const auto members = static_cast<std::uint32_t>(state.range(0));
  const auto balancer = balancer_of(kind, members, false);
  std::uint32_t slot = 0;
  double weight = 0.5;
  for (auto _ : state) {
    balancer->set(slot, mix(slot), weight);
    if (++slot < members) continue;
    slot = 0;
    weight = weight < 1 ? weight + 0.1 : 0.5;
  }
}

/// As at a reload.
void build(benchmark::State& state, Kind kind) {
  for (auto _ : state) benchmark::DoNotOptimize(balancer_of(kind, static_cast<std::uint32_t>(state.range(0)), false));
}

BENCHMARK_CAPTURE(request, round_robin, Kind::kRoundRobin, false)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, round_robin_weighted, Kind::kRoundRobin, true)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, least_requests, Kind::kLeastRequests, false)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, least_requests_weighted, Kind::kLeastRequests, true)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, random_two, Kind::kRandomTwo, false)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, random_two_weighted, Kind::kRandomTwo, true)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, peak_ewma, Kind::kPeakEwma, false)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, peak_ewma_weighted, Kind::kPeakEwma, true)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, hash, Kind::kHash, false)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(request, hash_weighted, Kind::kHash, true)->Arg(10)->Arg(1000);

BENCHMARK_CAPTURE(weight, round_robin, Kind::kRoundRobin)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(weight, least_requests, Kind::kLeastRequests)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(weight, random_two, Kind::kRandomTwo)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(weight, peak_ewma, Kind::kPeakEwma)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(weight, hash, Kind::kHash)->Arg(10)->Arg(1000);

BENCHMARK_CAPTURE(build, round_robin, Kind::kRoundRobin)->Arg(1000);
BENCHMARK_CAPTURE(build, hash, Kind::kHash)->Arg(1000);

}  // namespace
