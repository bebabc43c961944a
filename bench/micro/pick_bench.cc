// SPDX-License-Identifier: Apache-2.0
// What choosing a server costs, with few and with many of them.
#include <string>

#include <benchmark/benchmark.h>

#include "base/loop.h"
#include "upstream/upstream.h"

namespace {

namespace config = headgate::config;

config::Upstream upstream_of(std::int64_t servers, bool weighted) {
  config::Upstream result;
  result.name = "api";
  result.pools.resize(1);
  result.pools[0].name = "blue";
  for (std::int64_t i = 0; i < servers; ++i) {
    config::Server server;
    server.address.kind = config::Address::Kind::kIp;
    server.address.ip = *headgate::IpAddress::parse("127.0.0.1");
    server.address.port = static_cast<std::uint16_t>(10000 + i);
    server.address.text = "127.0.0.1:" + std::to_string(10000 + i);
    server.weight = weighted ? static_cast<std::uint32_t>(1 + i % 3) : 1;
    result.pools[0].servers.push_back(server);
  }
  return result;
}

void pick(benchmark::State& state, bool weighted) {
  headgate::Loop loop;
  headgate::upstream::Resolver resolver;
  headgate::upstream::ServerSet servers(loop, resolver);
  const auto settings = upstream_of(state.range(0), weighted);
  headgate::upstream::Upstream upstream(settings, servers);
  for (auto _ : state) {
    auto index = upstream.pick(0);
    benchmark::DoNotOptimize(index);
  }
}

BENCHMARK_CAPTURE(pick, equal, false)->Arg(1)->Arg(2)->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(pick, weighted, true)->Arg(2)->Arg(10)->Arg(1000);

}  // namespace
