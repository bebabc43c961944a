// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/leases.h"

#include <algorithm>

namespace headgate::ratelimit {
namespace {

// Tokens and until when they are valid, in one word: 20 bits and 43 of milliseconds.
constexpr unsigned kTimeBits = 43;
constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << kTimeBits) - 1;
constexpr Nanos kMillisecond = 1'000'000;

std::uint64_t tokens_of(Nanos word, Nanos now) {
  const auto bits = static_cast<std::uint64_t>(word);
  return static_cast<Nanos>(bits & kTimeMask) > now / kMillisecond ? bits >> kTimeBits : 0;
}

}  // namespace

bool Leases::Entry::spend(Nanos now, std::uint64_t& left) {
  auto& word = cell_.words[kTokens];
  Nanos known = word.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t tokens = tokens_of(known, now);
    if (tokens == 0) return false;
    left = tokens - 1;
    const Nanos next = known - static_cast<Nanos>(std::uint64_t{1} << kTimeBits);
    if (word.compare_exchange_weak(known, next, std::memory_order_relaxed)) return true;
  }
}

void Leases::Entry::add(std::uint64_t tokens, Nanos valid_until, Nanos now) {
  if (tokens == 0) return;
  auto& word = cell_.words[kTokens];
  Nanos known = word.load(std::memory_order_relaxed);
  const auto until = static_cast<std::uint64_t>(valid_until / kMillisecond) & kTimeMask;
  for (;;) {
    const std::uint64_t sum = std::min(tokens_of(known, now) + tokens, kMostTokens);
    const auto next = static_cast<Nanos>((sum << kTimeBits) | until);
    if (word.compare_exchange_weak(known, next, std::memory_order_relaxed)) break;
  }
  keep(valid_until);
}

bool Leases::Entry::claim(Word which, Nanos now, Nanos until) {
  auto& word = cell_.words[which];
  Nanos known = word.load(std::memory_order_relaxed);
  if (known > now) return false;
  if (!word.compare_exchange_strong(known, until, std::memory_order_relaxed)) return false;
  keep(until);
  return true;
}

bool Leases::Entry::claim_question(Nanos now, Nanos until) {
  return claim(kClosed, now, until);
}

bool Leases::Entry::claim_refill(Nanos now, Nanos until) {
  return claim(kRefill, now, until);
}

void Leases::Entry::close(Nanos until) {
  set(kClosed, until);
  keep(until);
}

void Leases::Entry::keep(Nanos until) {
  auto& word = cell_.words[kNeeded];
  Nanos known = word.load(std::memory_order_relaxed);
  while (known < until && !word.compare_exchange_weak(known, until, std::memory_order_relaxed)) {
  }
}

void Leases::Entry::refused() {
  if (refused_since() < (1u << kHalf) - 1) cell_.words[kHistory].fetch_add(1, std::memory_order_relaxed);
}

void Leases::Entry::heard(std::uint64_t granted, std::uint64_t remaining, Nanos now) {
  set(kRemaining, static_cast<Nanos>(remaining));
  set(kHistory, static_cast<Nanos>(std::min(granted, kMostTokens) << kHalf));
  set(kHeard, now);
}

void Leases::forget(std::uint16_t owner, Nanos now) {
  table_.each(now, [&](KeyTable<7>::Cell& cell) {
    if (cell.owner() != owner) return;
    for (auto& word : cell.words) word.store(0, std::memory_order_relaxed);
  });
}

}  // namespace headgate::ratelimit
