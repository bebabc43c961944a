// SPDX-License-Identifier: Apache-2.0
#include "config/nearest.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace headgate::config {
namespace {

constexpr std::size_t kLongest = 200;  // longer names are not compared: the cost is the product of the lengths

// Damerau's distance with adjacent swaps, three rows at a time.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({change, above[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view wrong, std::span<const std::string_view> known) {
  std::string_view best;
  std::size_t best_distance = kLongest;
  if (wrong.size() > kLongest) return best;
  for (const std::string_view name : known) {
    if (name.size() > kLongest) continue;
    const std::size_t slack = std::max<std::size_t>(1, std::max(name.size(), wrong.size()) / 3);
    const std::size_t apart = distance(wrong, name);
    if (apart <= slack && apart < best_distance && apart < name.size()) {
      best = name;
      best_distance = apart;
    }
  }
  return best;
}

std::string suggestion(std::string_view wrong, std::span<const std::string_view> known) {
  const std::string_view best = nearest(wrong, known);
  return best.empty() ? std::string() : "; did you mean '" + std::string(best) + "'?";
}

}  // namespace headgate::config
