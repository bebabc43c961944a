// SPDX-License-Identifier: Apache-2.0
// Consistent hashing's ring. Points lie in buckets by their first bits, so that a point is found, added and taken away
// in a few steps, whatever the size: nothing is ever sorted or built anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace headgate::upstream {

/// One thread only. Where a member's points are follows from its id alone: they are a sequence, of which it has the
/// first `points`. So all processes agree, a member that grows only takes keys and one that shrinks only gives them.
class HashRing {
 public:
  /// A point on the ring, until the next add or remove.
  using Place = std::uint32_t;

  /// Gives a member the points from `from` to before `to` of its sequence.
  void add(std::uint32_t slot, std::uint64_t id, std::uint32_t from, std::uint32_t to);
  /// Takes them away again; all of them were added.
  void remove(std::uint32_t slot, std::uint64_t id, std::uint32_t from, std::uint32_t to);

  std::size_t size() const { return size_; }

  /// The first point at or after `position`; round the end to the beginning. The ring must not be empty.
  Place find(std::uint64_t position) const;
  Place next(Place place) const;
  std::uint32_t slot(Place place) const { return points_[place].slot; }

 private:
  static constexpr std::uint32_t kNone = ~0U;
  struct Point {
    std::uint64_t position;
    std::uint32_t slot;
    std::uint32_t next;  // in its bucket, ascending; of a free one: the next free one
  };

  std::size_t bucket(std::uint64_t position) const { return position >> shift_; }
  Place first_from(std::size_t bucket) const;
  void link(std::uint32_t point);
  void spread();

  std::vector<Point> points_;
  std::vector<std::uint32_t> buckets_;  // the first point of each; a power of two of them
  int shift_ = 0;
  std::uint32_t free_ = kNone;
  std::size_t size_ = 0;
};

}  // namespace headgate::upstream
