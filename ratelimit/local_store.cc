// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/local_store.h"

namespace headgate::ratelimit {

LocalStore::LocalStore(unsigned most_bits) : table_(most_bits), paces_(new KnownPace[kMostOwners]) {}

LocalStore::Table::Cell& LocalStore::cell_of(const KeyId& key, Nanos now) {
  return table_.find_or_make(key, now, [&](const Table::Cell& cell) {
    // The part of its burst that a key has used.
    const double tolerance = static_cast<double>(paces_[cell.owner()].tolerance.load(std::memory_order_relaxed));
    return static_cast<double>(cell.needed_until() - now) / tolerance;
  });
}

Decision LocalStore::take(const KeyId& key, const Pace& pace, Nanos now, std::uint64_t cost) {
  auto& arrival = cell_of(key, now).words[0];
  Nanos known = arrival.load(std::memory_order_relaxed);
  for (;;) {
    const Decision decision = decide(pace, known, now, cost);
    if (!decision.allowed) return decision;
    if (arrival.compare_exchange_weak(known, decision.arrival, std::memory_order_relaxed)) return decision;
  }
}

Decision LocalStore::look(const KeyId& key, const Pace& pace, Nanos now, std::uint64_t cost) {
  const auto* const cell = table_.find(key);
  return decide(pace, cell != nullptr ? cell->needed_until() : 0, now, cost);
}

void LocalStore::give_back(const KeyId& key, const Pace& pace, Nanos now, std::uint64_t cost) {
  auto* const cell = table_.find(key);
  if (cell == nullptr) return;
  auto& arrival = cell->words[0];
  Nanos known = arrival.load(std::memory_order_relaxed);
  while (known > now &&
         !arrival.compare_exchange_weak(known, ratelimit::give_back(pace, known, cost), std::memory_order_relaxed)) {
  }
}

void LocalStore::set_pace(std::uint16_t owner, const Pace& pace, Nanos now) {
  KnownPace& known = paces_[owner];
  const Pace before{known.interval.load(std::memory_order_relaxed), known.tolerance.load(std::memory_order_relaxed)};
  known.tolerance.store(pace.tolerance, std::memory_order_relaxed);
  known.interval.store(pace.interval, std::memory_order_relaxed);
  if (before.interval == 0 || before.interval == pace.interval) return;
  table_.each(now, [&](Table::Cell& cell) {
    if (cell.owner() != owner) return;
    auto& arrival = cell.words[0];
    Nanos old = arrival.load(std::memory_order_relaxed);
    while (!arrival.compare_exchange_weak(old, rescale(old, now, before, pace), std::memory_order_relaxed)) {
    }
  });
}

}  // namespace headgate::ratelimit
