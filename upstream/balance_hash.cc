// SPDX-License-Identifier: Apache-2.0
// hash: consistent hashing with bounded load. A key goes to the member whose point on the ring comes next, unless that
// one has more than its share in flight already: then to the next member on the ring.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "upstream/balance_kinds.h"
#include "upstream/hash_ring.h"
#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

/// Slow start needs no way of its own: a member whose weight grows gets a few more points of its sequence each time,
/// and so takes over its keys little by little.
class Hash final : public Balancer {
 public:
  void set(std::uint32_t slot, std::uint64_t id, double weight) override {
    if (slot >= members_.size()) members_.resize(slot + std::size_t{1});
    weight = usable_weight(weight);
    if (members_[slot].id != id) forget(slot, id);
    Member& member = members_[slot];
    active_ += (weight > 0 ? 1 : 0) - (member.weight > 0 ? 1 : 0);
    if (member.weight > 0) in_flight_ -= member.in_flight;
    if (weight > 0) in_flight_ += member.in_flight;
    weights_ = active_ == 0 ? 0 : weights_ + weight - member.weight;
    member.weight = weight;
    if (weight > member.full_weight) {
      known_ += member.full_weight == 0 ? 1 : 0;
      full_weights_ += weight - member.full_weight;
      member.full_weight = weight;
      if (rescale()) return;
    }
    give_points(slot);
  }

  std::uint32_t pick(const Question& question) override {
    if (active_ == 0) return kNone;
    // in flight + 1 <= ceil(limit) is in flight < limit; the hair's breadth is for rounding.
    const double limit_of_one = kBound * (static_cast<double>(in_flight_) + 1) / weights_ * (1 - 1e-9);
    std::uint32_t fallback = kNone;
    auto place = ring_.find(mix(question.key));
    for (std::size_t left = ring_.size(); left > 0; --left, place = ring_.next(place)) {
      const std::uint32_t slot = ring_.slot(place);
      if (contains(question.but, slot)) continue;
      const auto in_flight = members_[slot].in_flight;
      if (in_flight < kUnbounded || in_flight < limit_of_one * members_[slot].weight) return slot;
      if (fallback == kNone) fallback = slot;
    }
    return fallback;  // all that have not been tried are above the bound
  }

  void began(std::uint32_t slot) override {
    Member& member = members_[slot];
    ++member.in_flight;
    in_flight_ += member.weight > 0 ? 1 : 0;
  }

  void ended(std::uint32_t slot) override {
    Member& member = members_[slot];
    --member.in_flight;
    in_flight_ -= member.weight > 0 ? 1 : 0;
  }

 private:
  struct Member {
    std::uint64_t id = 0;
    double weight = 0;
    double full_weight = 0;  // the largest that this id has had
    std::uint32_t points = 0;
    std::uint32_t in_flight = 0;
  };
  static constexpr double kBound = 1.25;  // times the mean in flight, by weight
  /// So few do not wander: what one browser asks for at once stays together on a quiet site.
  static constexpr std::uint32_t kUnbounded = 8;
  static constexpr double kPoints = 160;  // of a member of mean weight: its share is right within 8 % (one deviation)

  void forget(std::uint32_t slot, std::uint64_t id) {
    Member& member = members_[slot];
    ring_.remove(slot, member.id, 0, member.points);
    if (member.full_weight > 0) --known_;
    full_weights_ -= member.full_weight;
    active_ -= member.weight > 0 ? 1 : 0;
    if (member.weight > 0) in_flight_ -= member.in_flight;
    weights_ -= member.weight;
    member = {.id = id, .in_flight = member.in_flight};
  }

  /// The weight that has kPoints. It follows the mean, or large weights would fill memory with points, but in powers of
  /// two and over full weights, with members that are out for now: so no failure and no slow start changes it, since
  /// that would move keys between members that are well. Whether it changed, and everybody's points with it.
  bool rescale() {
    const double unit = std::exp2(std::round(std::log2(full_weights_ / known_)));
    if (unit == unit_) return false;
    unit_ = unit;
    for (std::uint32_t slot = 0; slot < members_.size(); ++slot) give_points(slot);
    return true;
  }

  void give_points(std::uint32_t slot) {
    Member& member = members_[slot];
    const auto points =
        member.weight > 0 ? std::max<std::uint32_t>(1, std::lround(kPoints * member.weight / unit_)) : 0;
    ring_.add(slot, member.id, member.points, points);
    ring_.remove(slot, member.id, points, member.points);
    member.points = points;
  }

  HashRing ring_;
  std::vector<Member> members_;
  double unit_ = 0;
  double full_weights_ = 0;  // of all ids that are known
  int known_ = 0;
  double weights_ = 0;  // of those with a weight
  int active_ = 0;
  std::int64_t in_flight_ = 0;  // at those with a weight
};

}  // namespace

std::unique_ptr<Balancer> make_hash() {
  return std::make_unique<Hash>();
}

}  // namespace headgate::upstream
