// SPDX-License-Identifier: Apache-2.0
#include "upstream/hash_ring.h"

#include <vector>

#include <gtest/gtest.h>

#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

std::uint64_t id_of(std::uint32_t slot) {
  return mix(slot + 77);
}

TEST(HashRingTest, FindsTheNextPoint) {
  HashRing ring;
  RandomNumbers numbers(9);
  std::vector<std::uint32_t> members(20);  // their numbers of points
  for (int round = 0; round < 200; ++round) {
    const auto slot = static_cast<std::uint32_t>(numbers.next() % members.size());
    auto& points = members[slot];
    const auto wanted = static_cast<std::uint32_t>(numbers.next() % 3 == 0 ? 0 : numbers.next() % 400);
    ring.add(slot, id_of(slot), points, wanted);
    ring.remove(slot, id_of(slot), wanted, points);
    points = wanted;
    std::size_t size = 0;
    for (const auto number : members) size += number;
    ASSERT_EQ(ring.size(), size);
    if (size == 0) continue;
    // A walk from anywhere meets every point once and is back at the first.
    std::vector<std::uint32_t> met(members.size());
    const auto first = ring.find(numbers.next());
    auto place = first;
    for (std::size_t i = 0; i < size; ++i, place = ring.next(place)) ++met[ring.slot(place)];
    ASSERT_EQ(place, first);
    for (std::size_t other = 0; other < members.size(); ++other) ASSERT_EQ(met[other], members[other]);
    // Before the first point and behind the last is the same place.
    ASSERT_EQ(ring.find(0), ring.find(~std::uint64_t{0}));
  }
}

}  // namespace
}  // namespace headgate::upstream
