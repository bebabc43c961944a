// SPDX-License-Identifier: Apache-2.0
// The balancers that Balancer::make chooses from, one function for each; balancer.h says what they have in common.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>

#include "upstream/balancer.h"

namespace headgate::upstream {

std::unique_ptr<Balancer> make_round_robin();
std::unique_ptr<Balancer> make_least_requests();
std::unique_ptr<Balancer> make_random_two(std::uint64_t seed);
std::unique_ptr<Balancer> make_peak_ewma(std::uint64_t seed);
std::unique_ptr<Balancer> make_hash();

/// A weight as the balancers count with it: 0 for what is none.
inline double usable_weight(double weight) {
  constexpr double kLeast = 1e-6;  // so that 1 / weight stays a number to count with
  constexpr double kMost = 1e9;
  return weight > 0 ? std::clamp(weight, kLeast, kMost) : 0;
}

inline bool contains(std::span<const std::uint32_t> slots, std::uint32_t slot) {
  return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

}  // namespace headgate::upstream
