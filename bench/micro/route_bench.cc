// SPDX-License-Identifier: Apache-2.0
// What finding a site and a route costs, with one of each and with 1,000 sites of 100 routes; what a table of that size
// takes to build, and in memory. "same" asks for one request again and again, as a busy site does; "all" goes through
// every site and route, so that nothing it needs is in the processor's caches.
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <malloc.h>

#include "routing/regex.h"
#include "routing/route_table.h"

namespace {

namespace config = headgate::config;
using headgate::routing::Captures;
using headgate::routing::RequestView;
using headgate::routing::RouteTable;

std::string host_of(std::size_t site) {
  return "host-" + std::to_string(1000 + site) + ".example.com";
}
std::string prefix_of(std::size_t route) {
  return "/section-" + std::to_string(100 + route) + "/";
}

config::Config config_of(std::size_t sites, std::size_t routes) {
  config::Config result;
  result.sites.resize(sites);
  for (std::size_t s = 0; s < sites; ++s) {
    result.sites[s].hosts = {host_of(s)};
    result.sites[s].routes.resize(routes);
    for (std::size_t r = 0; r < routes; ++r) result.sites[s].routes[r].paths = {{prefix_of(r), true}};
  }
  return result;
}

struct Question {
  std::string host;
  std::string path;
};

std::vector<Question> questions(std::size_t sites, std::size_t routes, bool all) {
  std::vector<Question> result;
  // A step that is prime to both numbers visits every pair without an order that a prefetcher could guess.
  const std::size_t count = all ? sites * routes : 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = count == 1 ? sites * routes / 2 : (i * 7919) % count;
    result.push_back({host_of(at / routes), prefix_of(at % routes) + "products/42"});
  }
  return result;
}

void lookup(benchmark::State& state, bool all) {
  const auto sites = static_cast<std::size_t>(state.range(0));
  const auto routes = static_cast<std::size_t>(state.range(1));
  const auto settings = config_of(sites, routes);
  const RouteTable table(settings);
  const auto asked = questions(sites, routes, all);
  RequestView request;
  request.method = "GET";
  Captures captures;
  std::size_t next = 0;
  for (auto _ : state) {
    const auto& question = asked[next];
    if (++next == asked.size()) next = 0;
    request.path = question.path;
    const auto site = table.find_site(":8080", question.host);
    const auto route = table.find_route(site, request, captures);
    if (route == RouteTable::kNone) state.SkipWithError("no route");
    benchmark::DoNotOptimize(route);
  }
}

void same(benchmark::State& state) {
  lookup(state, false);
}
void all(benchmark::State& state) {
  lookup(state, true);
}

void build(benchmark::State& state) {
  const auto settings = config_of(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  std::size_t bytes = 0;
  for (auto _ : state) {
    const auto before = mallinfo2().uordblks;
    const auto table = std::make_unique<RouteTable>(settings);
    bytes = mallinfo2().uordblks - before;
    benchmark::DoNotOptimize(table.get());
  }
  state.counters["table_KiB"] = static_cast<double>(bytes) / 1024;
}

void regex(benchmark::State& state) {
  const auto compiled = std::move(headgate::routing::Regex::compile("^/users/([0-9]+)/(.*)$").value());
  const std::string path = "/users/42/orders/2024";
  Captures captures;
  for (auto _ : state) {
    auto outcome = compiled.search(path, captures);
    benchmark::DoNotOptimize(outcome);
  }
}

BENCHMARK(same)->Args({1, 1})->Args({1, 100})->Args({1000, 100});
BENCHMARK(all)->Args({1, 1})->Args({1, 100})->Args({1000, 100});
BENCHMARK(build)->Args({1, 1})->Args({1000, 100})->Unit(benchmark::kMillisecond);
BENCHMARK(regex);

}  // namespace
