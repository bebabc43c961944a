// SPDX-License-Identifier: Apache-2.0
#include "upstream/hash_ring.h"

#include <algorithm>
#include <utility>

#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

constexpr std::size_t kFewestBuckets = 256;

std::uint64_t position_of(std::uint64_t id, std::uint32_t number) {
  return mix(mix(id) + (number + 1) * kGolden);
}

}  // namespace

void HashRing::add(std::uint32_t slot, std::uint64_t id, std::uint32_t from, std::uint32_t to) {
  if (from >= to) return;
  size_ += to - from;
  if (size_ > buckets_.size()) spread();
  for (std::uint32_t number = from; number < to; ++number) {
    std::uint32_t point = free_;
    if (point == kNone) {
      point = static_cast<std::uint32_t>(points_.size());
      points_.emplace_back();
    } else {
      free_ = points_[point].next;
    }
    points_[point] = {.position = position_of(id, number), .slot = slot, .next = kNone};
    link(point);
  }
}

void HashRing::remove(std::uint32_t slot, std::uint64_t id, std::uint32_t from, std::uint32_t to) {
  for (std::uint32_t number = from; number < to; ++number) {
    const std::uint64_t position = position_of(id, number);
    std::uint32_t* where = &buckets_[bucket(position)];
    while (*where != kNone && (points_[*where].position != position || points_[*where].slot != slot))
      where = &points_[*where].next;
    if (*where == kNone) continue;
    const std::uint32_t point = *where;
    *where = points_[point].next;
    points_[point].next = std::exchange(free_, point);
    --size_;
  }
}

HashRing::Place HashRing::find(std::uint64_t position) const {
  const std::size_t home = bucket(position);
  for (std::uint32_t point = buckets_[home]; point != kNone; point = points_[point].next) {
    if (points_[point].position >= position) return point;
  }
  return first_from(home + 1);
}

HashRing::Place HashRing::next(Place place) const {
  const Point& point = points_[place];
  return point.next != kNone ? point.next : first_from(bucket(point.position) + 1);
}

HashRing::Place HashRing::first_from(std::size_t bucket) const {
  const std::size_t mask = buckets_.size() - 1;
  while (buckets_[bucket & mask] == kNone) ++bucket;
  return buckets_[bucket & mask];
}

void HashRing::link(std::uint32_t point) {
  Point& added = points_[point];
  std::uint32_t* where = &buckets_[bucket(added.position)];
  while (*where != kNone && points_[*where].position < added.position) where = &points_[*where].next;
  added.next = std::exchange(*where, point);
}

/// More buckets, with every point in its new one. The number doubles at least, so that growing stays cheap.
void HashRing::spread() {
  std::vector<std::uint32_t> linked;
  for (std::uint32_t point : buckets_) {
    for (; point != kNone; point = points_[point].next) linked.push_back(point);
  }
  std::size_t count = std::max(buckets_.size(), kFewestBuckets);
  int bits = 0;
  while (count < size_) count *= 2;
  while ((std::size_t{1} << bits) < count) ++bits;
  buckets_.assign(count, kNone);
  shift_ = 64 - bits;
  for (const auto point : linked) link(point);
}

}  // namespace headgate::upstream
