// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate::observe {
namespace {

using Table = SeriesTable<PoolCells, 2>;

std::uint64_t retries(const Table::One& series) {
  std::uint64_t sum = 0;
  series.each([&](const PoolCells& cells) { sum += cells.retries.value(); });
  return sum;
}

TEST(SeriesTable, WorkersCountApartAndAreAddedUp) {
  Table table(3, 10);
  table.cells(0, {"api", "blue"}, 1).retries.add(1);
  table.cells(2, {"api", "blue"}, 1).retries.add(4);
  table.cells(1, {"api", "green"}, 1).retries.add(2);
  const auto all = table.all();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]->labels[1], "blue");
  EXPECT_EQ(retries(*all[0]), 5u);
  EXPECT_EQ(retries(*all[1]), 2u);
}

TEST(SeriesTable, LabelsDoNotRunIntoEachOther) {
  Table table(1, 10);
  EXPECT_NE(&table.cells(0, {"ab", "c"}, 1), &table.cells(0, {"a", "bc"}, 1));
}

TEST(SeriesTable, TheNextGenerationCountsOn) {
  Table table(1, 10);
  auto& before = table.cells(0, {"api", "blue"}, 1);
  before.retries.add(1);
  auto& after = table.cells(0, {"api", "blue"}, 2);
  EXPECT_EQ(&before, &after);
}

TEST(SeriesTable, IsBounded) {
  Table table(2, 3);
  for (int i = 0; i < 100; ++i) {
    const std::string name = std::to_string(i);
    table.cells(static_cast<std::size_t>(i % 2), {name, "default"}, 1).retries.add(1);
  }
  EXPECT_EQ(table.size(), 3u);
  std::uint64_t sum = 0;
  std::uint64_t other = 0;
  for (const auto& series : table.all()) {
    sum += retries(*series);
    if (series->labels[0] == kOtherLabel) other = retries(*series);
  }
  EXPECT_EQ(sum, 100u);
  EXPECT_EQ(other, 97u);
}

class Dropping : public testing::Test {
 protected:
  Dropping() { table_.cells(0, {"old", "default"}, 1).retries.add(1); }
  std::size_t left_after(Duration time, std::uint64_t oldest_alive) {
    table_.drop_unnamed(oldest_alive, start_ + time);
    return table_.size();
  }
  Table table_{1, 10};
  const TimePoint start_{std::chrono::hours(1)};
};

TEST_F(Dropping, NothingThatALivingGenerationNames) {
  EXPECT_EQ(left_after(Duration::zero(), 1), 1u);
  EXPECT_EQ(left_after(2 * kKeepUnnamed, 1), 1u);
}

TEST_F(Dropping, WhatNoneNamesStaysForSomeScrapes) {
  EXPECT_EQ(left_after(Duration::zero(), 2), 1u);
  EXPECT_EQ(left_after(kKeepUnnamed - std::chrono::seconds(1), 2), 1u);
  EXPECT_EQ(left_after(kKeepUnnamed, 2), 0u);
}

TEST_F(Dropping, ARouteWithoutRequestsStaysWhileItIsNamed) {
  table_.name({"old", "default"}, 2);
  table_.name({"never asked for", "default"}, 2);
  EXPECT_EQ(left_after(Duration::zero(), 2), 1u);
  EXPECT_EQ(left_after(2 * kKeepUnnamed, 2), 1u);
}

TEST_F(Dropping, WhatComesBackInTimeBeginsAnew) {
  EXPECT_EQ(left_after(Duration::zero(), 2), 1u);
  table_.name({"old", "default"}, 3);
  EXPECT_EQ(left_after(kKeepUnnamed, 4), 1u) << "unnamed again only now";
  EXPECT_EQ(retries(*table_.all().front()), 1u);
}

TEST_F(Dropping, ASnapshotKeepsWhatItTells) {
  const auto all = table_.all();
  left_after(Duration::zero(), 2);
  EXPECT_EQ(left_after(kKeepUnnamed, 2), 0u);
  EXPECT_EQ(retries(*all.front()), 1u);
}

}  // namespace
}  // namespace headgate::observe
