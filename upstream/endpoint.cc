// SPDX-License-Identifier: Apache-2.0
#include "upstream/endpoint.h"

namespace headgate::upstream {

Endpoint::Grounds Endpoint::failed(std::size_t worker, TimePoint now, const config::Ejection& rules) {
  outcomes_.add(worker, now, true);
  return grounds(1, now, rules);
}

Endpoint::Grounds Endpoint::broken_off(std::size_t worker, TimePoint now, const config::Ejection& rules,
                                       std::uint32_t row) {
  outcomes_.add_second_thought(worker, now);
  return grounds(row + 1, now, rules);
}

/// With so many errors more in the row.
Endpoint::Grounds Endpoint::grounds(std::uint32_t errors, TimePoint now, const config::Ejection& rules) {
  Grounds grounds;
  const std::uint32_t in_row = errors_in_row_.fetch_add(errors, std::memory_order_relaxed) + errors;
  if (rules.consecutive_errors != 0 && in_row >= rules.consecutive_errors) {
    grounds.errors_in_row = in_row;
    return grounds;
  }
  if (rules.error_rate <= 0) return grounds;
  const auto sum = outcomes_.sum(now);
  const bool many = sum.all >= rules.min_requests;
  if (many && static_cast<double>(sum.failed) >= rules.error_rate * static_cast<double>(sum.all)) grounds.window = sum;
  return grounds;
}

}  // namespace headgate::upstream
