// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"

#include "upstream/balance_kinds.h"

namespace headgate::upstream {

std::unique_ptr<Balancer> Balancer::make(config::Balance::Kind kind, std::uint64_t seed) {
  using Kind = config::Balance::Kind;
  switch (kind) {
    case Kind::kRoundRobin:
      return make_round_robin();
    case Kind::kLeastRequests:
      return make_least_requests();
    case Kind::kRandomTwo:
      return make_random_two(seed);
    case Kind::kPeakEwma:
      return make_peak_ewma(seed);
    case Kind::kHash:
      return make_hash();
  }
  return make_round_robin();
}

}  // namespace headgate::upstream
