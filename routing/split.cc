// SPDX-License-Identifier: Apache-2.0
#include "routing/split.h"

#include <cmath>
#include <limits>
#include <utility>

namespace headgate::routing {

Split::Split(std::vector<Pool> pools) : pools_(std::move(pools)) {
  if (pools_.size() > kMostPools) pools_.resize(kMostPools);
  ids_.reserve(pools_.size());
  std::size_t weighted = 0;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    ids_.push_back(hash_of(pools_[i].name));
    if (!(pools_[i].weight > 0)) continue;
    only_ = i;
    ++weighted;
  }
  if (weighted != 1) only_.reset();
}

std::optional<Split::Choice> Split::choose(Point point, Usable usable) const {
  if (only_) return Choice{*only_, false};
  constexpr std::size_t kNone = kMostPools;
  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::size_t first = kNone;
  std::size_t first_usable = kNone;
  double shortest = kNever;
  double shortest_usable = kNever;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    if (!(pools_[i].weight > 0)) continue;
    // Half a step above zero: the logarithm is finite.
    const double u = (static_cast<double>(mix(point.bits() ^ ids_[i]) >> 11) + 0.5) * 0x1p-53;
    const double time = -std::log(u) / pools_[i].weight;
    if (time < shortest) {
      shortest = time;
      first = i;
    }
    if (((usable >> i) & 1) != 0 && time < shortest_usable) {
      shortest_usable = time;
      first_usable = i;
    }
  }
  if (first == kNone) return std::nullopt;
  if (first_usable == kNone) return Choice{first, false};
  return Choice{first_usable, first_usable != first};
}

std::optional<Split::Choice> Split::choose_keeping(Point point, std::optional<std::size_t> present,
                                                   Usable usable) const {
  if (present && *present < pools_.size() && !(pools_[*present].weight > 0)) {
    if (((usable >> *present) & 1) != 0) return Choice{*present, false};
    auto other = choose(point, usable);
    if (other) other->spilled = true;
    return other;
  }
  return choose(point, usable);
}

std::optional<std::size_t> Split::find(std::string_view name) const {
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    if (pools_[i].name == name) return i;
  }
  return std::nullopt;
}

double Split::share(std::size_t pool) const {
  double sum = 0;
  for (const Pool& each : pools_) sum += each.weight;
  return sum > 0 && pool < pools_.size() ? pools_[pool].weight / sum : 0;
}

std::optional<Split> Split::with_share(const Split& rest, std::string_view name, double percent) {
  const auto growing = rest.find(name);
  if (!growing) return std::nullopt;
  double others = 0;
  for (std::size_t i = 0; i < rest.pools_.size(); ++i) others += i == *growing ? 0 : rest.pools_[i].weight;
  auto pools = rest.pools_;
  bool given = false;  // the rest, to the first other pool
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (i == *growing) {
      pools[i].weight = percent;
    } else if (others > 0) {
      pools[i].weight *= (100 - percent) / others;
    } else if (!std::exchange(given, true)) {
      pools[i].weight = 100 - percent;
    }
  }
  return Split(std::move(pools));
}

}  // namespace headgate::routing
