// SPDX-License-Identifier: Apache-2.0
// What a rate limit costs a request that passes: the key's hash and its counter in this process, or a token of a lease
// in hand. One key, as under a flood, and very many, of which each is in no cache.
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "ratelimit/key_hash.h"
#include "ratelimit/leases.h"
#include "ratelimit/local_store.h"
#include "ratelimit/shared_store.h"

namespace {

using namespace headgate;
using namespace headgate::ratelimit;

constexpr Nanos kNow = 1'000'000'000'000;

std::vector<std::array<char, 16>> addresses(std::int64_t count) {
  std::vector<std::array<char, 16>> result(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) std::memcpy(result[static_cast<std::size_t>(i)].data() + 8, &i, sizeof i);
  return result;
}

void hash(benchmark::State& state) {
  const HashSeed seed{1, 2};
  const std::string key(static_cast<std::size_t>(state.range(0)), 'k');
  for (auto _ : state) benchmark::DoNotOptimize(key_hash(seed, key));
}
BENCHMARK(hash)->Arg(9)->Arg(16)->Arg(64);

/// Hash, look-up, decision, and one compare-and-swap.
void local(benchmark::State& state) {
  const HashSeed seed{1, 2};
  LocalStore store;
  const Pace pace = Pace::of(1, 1'000'000'000);
  store.set_pace(1, pace, kNow);
  const auto keys = addresses(state.range(0));
  Nanos now = kNow;
  std::size_t next = 0;
  for (auto _ : state) {
    const auto& key = keys[next];
    next = next + 7919 < keys.size() ? next + 7919 : (next + 7919) % keys.size();
    benchmark::DoNotOptimize(store.take({key_hash(seed, {key.data(), key.size()}), 1}, pace, ++now));
  }
}
BENCHMARK(local)->Arg(1)->Arg(1000)->Arg(1'000'000);

void local_refused(benchmark::State& state) {
  const HashSeed seed{1, 2};
  LocalStore store;
  const Pace pace = Pace::of(60'000'000'000, 1);
  store.set_pace(1, pace, kNow);
  const auto keys = addresses(1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(store.take({key_hash(seed, {keys[0].data(), keys[0].size()}), 1}, pace, kNow));
  }
}
BENCHMARK(local_refused);

class Text final : public KeyText {
 public:
  std::string text() const override { return "key"; }
};

/// The whole of a shared limit's fast path, with leases that no store has to fill.
void lease_in_hand(benchmark::State& state) {
  Loop loop;
  Stores stores;
  SharedStore shared(loop, stores, {});
  config::RateLimit limit;
  limit.name = "shared";
  limit.rate = {1'000'000, std::chrono::seconds(1)};
  limit.burst = 1'000'000;
  limit.store = config::RateLimit::Store::kRedis;
  config::Config config;
  config.rate_limits.push_back(limit);
  stores.adopt(config, kNow);
  const auto rule = std::make_shared<const SharedRule>(limit, stores.id_of("shared"));
  const auto keys = addresses(state.range(0));
  const Text text;
  std::vector<std::uint64_t> spent(keys.size(), Leases::kMostTokens);
  std::size_t next = 0;
  for (auto _ : state) {
    const auto& bytes = keys[next];
    const KeyId key{key_hash(rule->id.seed, {bytes.data(), bytes.size()}), rule->id.owner};
    if (++spent[next] > Leases::kMostTokens / 2) {
      // Filled up again once in half a million.
      state.PauseTiming();
      stores.leases().of(key, kNow).add(Leases::kMostTokens, 2 * kNow, kNow);
      spent[next] = 0;
      state.ResumeTiming();
    }
    next = next + 7919 < keys.size() ? next + 7919 : (next + 7919) % keys.size();
    benchmark::DoNotOptimize(shared.try_take(rule, key, kNow, text));
  }
}
BENCHMARK(lease_in_hand)->Arg(1)->Arg(1000)->MinTime(2);

}  // namespace
