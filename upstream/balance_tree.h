// SPDX-License-Identifier: Apache-2.0
// Two trees over slots that live in flat arrays: one knows who is least, the other draws by weight. Changing a slot and
// asking cost log2(slots) steps. Memory is taken in grow() alone.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

namespace headgate::upstream {

/// Which slot has the least key. Equal keys: the lowest slot.
class LeastTree {
 public:
  static constexpr std::uint32_t kNone = ~0U;

  struct Key {
    double value = std::numeric_limits<double>::infinity();
    std::uint64_t turn = 0;  ///< decides between equal values
    bool operator<(const Key& other) const {
      return value < other.value || (value == other.value && turn < other.turn);
    }
  };

  /// Room for slots below `slots`; those that are new are absent.
  void grow(std::size_t slots) {
    if (slots <= keys_.size()) return;
    keys_.resize(std::bit_ceil(std::max<std::size_t>(slots, 2)));
    winners_.resize(2 * keys_.size());
    for (std::uint32_t slot = 0; slot < keys_.size(); ++slot) winners_[keys_.size() + slot] = slot;
    for (std::size_t node = keys_.size() - 1; node > 0; --node) winners_[node] = winner_of(node);
  }

  void set(std::uint32_t slot, Key key) {
    keys_[slot] = key;
    for (std::size_t node = (keys_.size() + slot) / 2; node > 0; node /= 2) {
      const std::uint32_t winner = winner_of(node);
      if (winner == winners_[node] && winner != slot) return;  // nothing changes above
      winners_[node] = winner;
    }
  }

  void remove(std::uint32_t slot) { set(slot, {}); }

  const Key& key(std::uint32_t slot) const { return keys_[slot]; }
  bool has(std::uint32_t slot) const { return keys_[slot].value != std::numeric_limits<double>::infinity(); }

  /// kNone when all are absent.
  std::uint32_t least() const { return !keys_.empty() && has(winners_[1]) ? winners_[1] : kNone; }

 private:
  std::uint32_t winner_of(std::size_t node) const {
    const std::uint32_t left = winners_[2 * node];
    const std::uint32_t right = winners_[2 * node + 1];
    return keys_[right] < keys_[left] ? right : left;
  }

  std::vector<Key> keys_;               // a power of two
  std::vector<std::uint32_t> winners_;  // [1] is the root, the second half the slots themselves
};

/// Slots with weights, for drawing.
class WeightTree {
 public:
  struct Found {
    std::uint32_t slot;
    double before;  ///< the sum of the weights of all lower slots
  };

  void grow(std::size_t slots) {
    if (slots <= size_) return;
    const std::size_t size = std::bit_ceil(std::max<std::size_t>(slots, 2));
    std::vector<double> sums(2 * size, 0.0);
    std::copy_n(sums_.begin() + static_cast<std::ptrdiff_t>(size_), size_,
                sums.begin() + static_cast<std::ptrdiff_t>(size));
    for (std::size_t node = size - 1; node > 0; --node) sums[node] = sums[2 * node] + sums[2 * node + 1];
    sums_ = std::move(sums);
    size_ = size;
  }

  /// Sums are added up anew from below, never corrected: a weight that goes and comes back leaves no error behind.
  void set(std::uint32_t slot, double weight) {
    sums_[size_ + slot] = weight;
    for (std::size_t node = (size_ + slot) / 2; node > 0; node /= 2)
      sums_[node] = sums_[2 * node] + sums_[2 * node + 1];
  }

  double weight(std::uint32_t slot) const { return sums_[size_ + slot]; }
  double total() const { return size_ == 0 ? 0 : sums_[1]; }

  /// The slot at `at`, from 0 to less than total(), which must not be 0. Never one of weight 0.
  Found find(double at) const {
    std::size_t node = 1;
    double before = 0;
    while (node < size_) {
      const double left = sums_[2 * node];
      const bool right = at >= left && sums_[2 * node + 1] > 0;  // rounding may leave `at` past the end
      const double step = right ? left : 0;
      at -= step;
      before += step;
      node = 2 * node + (right ? 1 : 0);
    }
    return {static_cast<std::uint32_t>(node - size_), before};
  }

 private:
  std::vector<double> sums_;  // [1] is the root, the second half the weights
  std::size_t size_ = 0;      // a power of two
};

}  // namespace headgate::upstream
