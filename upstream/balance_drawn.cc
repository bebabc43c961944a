// SPDX-License-Identifier: Apache-2.0
// random_two and peak_ewma: two members are drawn by weight, and the better one is taken. Two draws come close to the
// best of all, and workers that know nothing of each other do not all run to the same member.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "upstream/balance_kinds.h"
#include "upstream/balance_tree.h"
#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

/// Draws members by weight.
class Lot {
 public:
  explicit Lot(std::uint64_t seed) : numbers_(seed) {}

  void set(std::uint32_t slot, double weight) {
    if (slot >= weights_.size()) {
      weights_.resize(slot + std::size_t{1});
      tree_.grow(weights_.size());
    }
    members_ += (weight > 0 ? 1 : 0) - (weights_[slot] > 0 ? 1 : 0);
    weights_[slot] = weight;
    tree_.set(slot, weight);
  }

  double weight(std::uint32_t slot) const { return weights_[slot]; }
  double mean_weight() const { return tree_.total() / members_; }

  /// Two different ones while there are two; the same one twice when it is alone; kNone when there is nobody.
  std::pair<std::uint32_t, std::uint32_t> draw_two(std::span<const std::uint32_t> but) {
    int left = members_;
    for (const auto slot : but) {
      if (slot >= weights_.size() || tree_.weight(slot) == 0) continue;
      tree_.set(slot, 0);
      --left;
    }
    std::pair<std::uint32_t, std::uint32_t> result{Balancer::kNone, Balancer::kNone};
    if (left > 0) {
      const auto first = tree_.find(numbers_.unit() * tree_.total());
      result = {first.slot, first.slot};
      if (left > 1) {
        // As if the first were not there: what lies at or behind it moves up by its weight.
        const double own = tree_.weight(first.slot);
        double at = numbers_.unit() * (tree_.total() - own);
        if (at >= first.before) at += own;
        result.second = tree_.find(at).slot;
      }
    }
    for (const auto slot : but) {
      if (slot < weights_.size()) tree_.set(slot, weights_[slot]);
    }
    return result;
  }

 private:
  WeightTree tree_;
  std::vector<double> weights_;
  int members_ = 0;  // with a weight
  RandomNumbers numbers_;
};

/// Of two, the one with fewer in flight for its weight; of equals the one that was drawn first, which is by weight.
class RandomTwo final : public Balancer {
 public:
  explicit RandomTwo(std::uint64_t seed) : lot_(seed) {}

  void set(std::uint32_t slot, std::uint64_t /*id*/, double weight) override {
    if (slot >= in_flight_.size()) in_flight_.resize(slot + std::size_t{1});
    lot_.set(slot, usable_weight(weight));
  }

  std::uint32_t pick(const Question& question) override {
    const auto [first, second] = lot_.draw_two(question.but);
    if (first == second) return first;
    return in_flight_[second] * lot_.weight(first) < in_flight_[first] * lot_.weight(second) ? second : first;
  }

  void began(std::uint32_t slot) override { ++in_flight_[slot]; }
  void ended(std::uint32_t slot) override { --in_flight_[slot]; }

 private:
  Lot lot_;
  std::vector<std::uint32_t> in_flight_;
};

/// Of two, the one with the lower latency * (in flight + 1). Latency is an average over time: an answer weighs less the
/// longer ago it came, but one that is slower than the average becomes the average at once, so that a member that
/// stalls is left alone after one answer and not after ten seconds of them.
class PeakEwma final : public Balancer {
 public:
  explicit PeakEwma(std::uint64_t seed) : lot_(seed) {}

  void set(std::uint32_t slot, std::uint64_t id, double weight) override {
    if (slot >= members_.size()) members_.resize(slot + std::size_t{1});
    if (members_[slot].id != id) members_[slot] = {.id = id, .in_flight = members_[slot].in_flight};
    lot_.set(slot, usable_weight(weight));
  }

  std::uint32_t pick(const Question& question) override {
    const auto [first, second] = lot_.draw_two(question.but);
    if (first == second) return first;
    const double mean = lot_.mean_weight();
    return cost(second, mean) < cost(first, mean) ? second : first;
  }

  void began(std::uint32_t slot) override {
    Member& member = members_[slot];
    ++member.in_flight;
    if (member.latency > 0) return;
    // The first request finds out. Until it has, the member counts as slow, or a burst would all go there.
    member.latency = slow();
    member.measured = now_;
    member.guessed = true;
  }

  void ended(std::uint32_t slot) override { --members_[slot].in_flight; }

  void measured(std::uint32_t slot, std::optional<Duration> until_head, TimePoint now) override {
    if (now_ == TimePoint{}) {
      for (auto& other : members_) other.measured = now;  // guesses made before there was a clock
    }
    now_ = std::max(now_, now);
    Member& member = members_[slot];
    if (until_head) {
      answered(member, std::max(std::chrono::duration<double>(*until_head).count(), kLeastLatency));
    } else {
      member.latency = std::max(faded(member), slow());
    }
    member.measured = now_;
  }

 private:
  struct Member {
    std::uint64_t id = 0;
    double latency = 0;    // seconds; 0: nothing is known
    TimePoint measured{};  // when that was
    std::uint32_t in_flight = 0;
    bool guessed = false;  // no answer has come yet
  };
  static constexpr std::chrono::duration<double> kMemory{10};  // an answer so long ago weighs 1/e
  static constexpr double kLeastLatency = 1e-6;
  static constexpr double kFadesTo = 0.5;
  static constexpr double kSlow = 10;  // times what is usual: a member that failed or is not known yet

  double slow() const { return usual_ > 0 ? kSlow * usual_ : 1; }

  double age_factor(const Member& member) const {
    return std::exp(-(std::chrono::duration<double>(now_ - member.measured) / kMemory));
  }

  /// What is known fades, to half of what is usual in the pool and no further. So a member that was slow is tried again
  /// in time, and no more than twice as much is given to it as to others before it has answered.
  double faded(const Member& member) const {
    const double floor = kFadesTo * usual_;
    return member.latency <= floor ? member.latency : std::max(member.latency * age_factor(member), floor);
  }

  /// In flight is taken for the weight, 1 is not: an idle member is as fast as it is, and drawn by its weight already.
  double cost(std::uint32_t slot, double mean_weight) const {
    const Member& member = members_[slot];
    return faded(member) * (1 + member.in_flight * mean_weight / lot_.weight(slot));
  }

  void answered(Member& member, double latency) {
    if (member.guessed || member.latency == 0) {
      member.latency = latency;
      member.guessed = false;
    } else {
      const double old = latency > faded(member) ? 0 : age_factor(member);
      member.latency = member.latency * old + latency * (1 - old);
    }
    usual_ = usual_ == 0 ? member.latency : usual_ + (member.latency - usual_) / 64;
  }

  Lot lot_;
  std::vector<Member> members_;
  double usual_ = 0;  // Member::latency of those that answered last, with its peaks; seconds
  TimePoint now_{};   // of the last answer: picking needs no clock of its own
};

}  // namespace

std::unique_ptr<Balancer> make_random_two(std::uint64_t seed) {
  return std::make_unique<RandomTwo>(seed);
}
std::unique_ptr<Balancer> make_peak_ewma(std::uint64_t seed) {
  return std::make_unique<PeakEwma>(seed);
}

}  // namespace headgate::upstream
