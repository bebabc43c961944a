// SPDX-License-Identifier: Apache-2.0
// round_robin and least_requests: nothing is drawn, the least of a tree has its turn.
#include <cstddef>
#include <vector>

#include "upstream/balance_kinds.h"
#include "upstream/balance_tree.h"

namespace headgate::upstream {
namespace {

/// Smooth and weighted. Virtual time passes by 1 / (sum of weights) with each pick, and the k-th turn of a member has a
/// window in it: from k / weight to (k + 1) / weight. Of the windows that are open the one that closes first is served.
/// That keeps every member within one turn of its share at every moment (the windows of fair scheduling, and earliest
/// deadline first, which meets them all). Virtual time is not counted but found: it is where what members are owed adds
/// up to nothing, sum(weight * begin) / sum(weight). So it is right whoever comes, goes or is passed over.
class RoundRobin final : public Balancer {
 public:
  void set(std::uint32_t slot, std::uint64_t /*id*/, double weight) override {
    if (slot >= members_.size()) {
      members_.resize(slot + std::size_t{1});
      open_.grow(members_.size());
      waiting_.grow(members_.size());
    }
    Member& member = members_[slot];
    weight = usable_weight(weight);
    if (weight == member.weight) return;
    const double now = virtual_time();
    // What a member is owed, in turns, stays when its weight changes. One that joins is owed nothing: it has no absence
    // to make up for.
    const double owed = member.weight > 0 ? member.weight * (now - member.begin) : 0;
    weights_ -= member.weight;
    begins_ -= member.weight * member.begin;
    active_ += (weight > 0 ? 1 : 0) - (member.weight > 0 ? 1 : 0);
    if (active_ == 0) weights_ = begins_ = 0;  // and no remainder of rounding
    member.weight = weight;
    if (weight > 0) {
      member.begin = now - owed / weight;
      weights_ += weight;
      begins_ += weight * member.begin;
    }
    place(slot);
    if (++changes_ >= members_.size()) settle();
  }

  std::uint32_t pick(const Question& question) override {
    if (!started_) start();
    open_windows();
    for (const auto slot : question.but) hide(slot);
    std::uint32_t slot = open_.least();
    if (slot == kNone) slot = waiting_.least();  // those whose turn it is were tried
    for (const auto hidden : question.but) passed_over(hidden);
    if (slot == kNone) return kNone;
    Member& member = members_[slot];
    member.begin += 1 / member.weight;
    begins_ += 1;
    place(slot);
    if (virtual_time() > kSettleAfter) settle();
    return slot;
  }

  void began(std::uint32_t /*slot*/) override {}
  void ended(std::uint32_t /*slot*/) override {}

 private:
  struct Member {
    double weight = 0;
    double begin = 0;  // of the window of its next turn
  };
  static constexpr double kSettleAfter = 1024;  // numbers stay small, and so their rounding

  double virtual_time() const { return weights_ > 0 ? begins_ / weights_ : 0; }

  /// A window that begins before the coming pick is over is open. The hair's breadth is for rounding.
  double horizon() const { return (begins_ + (1 - 1e-6)) / weights_; }

  /// Puts the slot into the tree where it belongs, or into none.
  void place(std::uint32_t slot) {
    if (slot >= members_.size()) return;
    const Member& member = members_[slot];
    if (member.weight == 0) {
      hide(slot);
    } else if (member.begin < horizon()) {
      if (waiting_.has(slot)) waiting_.remove(slot);
      open_.set(slot, {member.begin + 1 / member.weight, 0});
    } else {
      if (open_.has(slot)) open_.remove(slot);
      waiting_.set(slot, {member.begin, 0});
    }
  }

  void hide(std::uint32_t slot) {
    if (slot >= members_.size()) return;
    if (open_.has(slot)) open_.remove(slot);
    if (waiting_.has(slot)) waiting_.remove(slot);
  }

  /// What it is owed for that is one turn at most: a member that cannot take requests for a while does not get them all
  /// at once afterwards.
  void passed_over(std::uint32_t slot) {
    if (slot >= members_.size() || members_[slot].weight == 0) return;
    Member& member = members_[slot];
    const double earliest = virtual_time() - 1 / member.weight;
    if (member.begin < earliest) {
      begins_ += member.weight * (earliest - member.begin);
      member.begin = earliest;
    }
    place(slot);
  }

  void open_windows() {
    if (weights_ == 0) return;
    const double horizon = this->horizon();
    for (auto slot = waiting_.least(); slot != kNone && waiting_.key(slot).value < horizon; slot = waiting_.least()) {
      waiting_.remove(slot);
      open_.set(slot, {members_[slot].begin + 1 / members_[slot].weight, 0});
    }
  }

  /// Windows that all begin at the start would put the light ones at the end of the first round: of 5 and 1 the order
  /// a a a a a b. Light ones are given a head start of up to half a turn; the hundredth less keeps windows from ending
  /// at the same moment, where rounding would decide. It costs nobody more than half a turn.
  void start() {
    if (active_ == 0) return;
    started_ = true;
    double heaviest = 0;
    for (const auto& member : members_) heaviest = std::max(heaviest, member.weight);
    const double lead = active_ * heaviest / weights_ - 1;  // of the heaviest, in head starts
    const double head_start = 0.49 / std::max(lead, 1.0);
    for (auto& member : members_) {
      if (member.weight > 0) member.begin -= head_start / member.weight;
    }
    settle();
  }

  /// Virtual time begins at 0 again, and the sums are free of what rounding has left in them.
  void settle() {
    double weights = 0;
    double begins = 0;
    for (const auto& member : members_) {
      weights += member.weight;
      begins += member.weight * member.begin;
    }
    const double now = weights > 0 ? begins / weights : 0;
    weights_ = weights;
    begins_ = 0;
    for (auto& member : members_) {
      member.begin -= now;
      begins_ += member.weight * member.begin;
    }
    for (std::uint32_t slot = 0; slot < members_.size(); ++slot) place(slot);
    changes_ = 0;
  }

  std::vector<Member> members_;
  LeastTree open_;     // by the end of the window
  LeastTree waiting_;  // by its begin
  double weights_ = 0;
  double begins_ = 0;  // sum(weight * begin): one more with each pick
  int active_ = 0;     // members with a weight
  std::size_t changes_ = 0;
  bool started_ = false;
};

/// The least in flight / weight; of equals, the idle ones most of all, the one whose turn it is by weight.
class LeastRequests final : public Balancer {
 public:
  void set(std::uint32_t slot, std::uint64_t /*id*/, double weight) override {
    if (slot >= members_.size()) {
      members_.resize(slot + std::size_t{1});
      tree_.grow(members_.size());
    }
    Member& member = members_[slot];
    if (member.weight <= 0) member.turn = std::max(member.turn, now_);  // nothing to make up for
    member.weight = usable_weight(weight);
    place(slot);
  }

  std::uint32_t pick(const Question& question) override {
    for (const auto slot : question.but) {
      if (slot < members_.size()) tree_.remove(slot);
    }
    const std::uint32_t slot = tree_.least();
    for (const auto hidden : question.but) {
      if (hidden < members_.size()) place(hidden);
    }
    if (slot == kNone) return kNone;
    Member& member = members_[slot];
    now_ = std::max(now_, member.turn);
    member.turn = now_ + static_cast<std::uint64_t>(kTurn / member.weight);
    place(slot);
    return slot;
  }

  void began(std::uint32_t slot) override {
    ++members_[slot].in_flight;
    place(slot);
  }

  void ended(std::uint32_t slot) override {
    --members_[slot].in_flight;
    place(slot);
  }

 private:
  struct Member {
    double weight = 0;
    std::uint32_t in_flight = 0;
    std::uint64_t turn = 0;  // when it is due, in virtual time
  };
  static constexpr double kTurn = 1 << 20;  // of virtual time, for weight 1

  void place(std::uint32_t slot) {
    const Member& member = members_[slot];
    if (member.weight > 0) {
      tree_.set(slot, {member.in_flight / member.weight, member.turn});
    } else {
      tree_.remove(slot);
    }
  }

  std::vector<Member> members_;
  LeastTree tree_;
  std::uint64_t now_ = 0;  // virtual time
};

}  // namespace

std::unique_ptr<Balancer> make_round_robin() {
  return std::make_unique<RoundRobin>();
}
std::unique_ptr<Balancer> make_least_requests() {
  return std::make_unique<LeastRequests>();
}

}  // namespace headgate::upstream
