// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/gcra.h"

#include <algorithm>

namespace headgate::ratelimit {
namespace {

__extension__ using Wide = unsigned __int128;

Nanos span_of(Nanos interval, std::uint64_t count) {
  const Wide span = Wide(static_cast<std::uint64_t>(interval)) * count;
  return span > Wide(kLongestSpan) ? kLongestSpan : static_cast<Nanos>(span);
}

}  // namespace

Pace Pace::of(const config::Rate& rate, std::uint64_t burst) {
  const auto per = static_cast<std::uint64_t>(std::chrono::nanoseconds(rate.per).count());
  const std::uint64_t count = std::max<std::uint64_t>(rate.count, 1);
  return of(static_cast<Nanos>((per + count / 2) / count), burst);
}

Pace Pace::of(Nanos interval, std::uint64_t burst) {
  Pace pace;
  pace.interval = std::clamp<Nanos>(interval, 1, kLongestSpan);
  pace.tolerance = span_of(pace.interval, std::max<std::uint64_t>(burst, 1));
  return pace;
}

Decision decide(const Pace& pace, Nanos arrival, Nanos now, std::uint64_t cost) {
  const Nanos limit = now + pace.tolerance;
  const Nanos due = std::clamp(arrival, now, limit);
  const Nanos next = due + (cost == 1 ? pace.interval : span_of(pace.interval, cost));
  Decision decision;
  decision.allowed = next <= limit;
  decision.arrival = decision.allowed ? next : arrival;
  decision.retry_after = decision.allowed ? 0 : next - limit;
  decision.until_full = (decision.allowed ? next : due) - now;
  decision.remaining = static_cast<std::uint64_t>((pace.tolerance - decision.until_full) / pace.interval);
  return decision;
}

Nanos give_back(const Pace& pace, Nanos arrival, std::uint64_t cost) {
  return std::max<Nanos>(arrival - span_of(pace.interval, cost), 0);
}

Nanos rescale(Nanos arrival, Nanos now, const Pace& from, const Pace& to) {
  if (arrival <= now) return arrival;
  const auto ahead = static_cast<std::uint64_t>(std::min(arrival - now, from.tolerance));
  const Wide scaled = Wide(ahead) * static_cast<std::uint64_t>(to.interval) / static_cast<std::uint64_t>(from.interval);
  const auto tolerance = static_cast<std::uint64_t>(to.tolerance);
  return now + static_cast<Nanos>(scaled > Wide(tolerance) ? tolerance : static_cast<std::uint64_t>(scaled));
}

}  // namespace headgate::ratelimit
