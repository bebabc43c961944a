// SPDX-License-Identifier: Apache-2.0
// How requests are spread over pools, of upstreams and of static files.
#include <algorithm>

#include "config/nearest.h"
#include "config/sections.h"

namespace headgate::config {
namespace {

/// Weights by name, not all of them zero.
std::vector<std::pair<std::string, double>> read_split(Section& section) {
  std::vector<std::pair<std::string, double>> split;
  double sum = 0;
  for (const Node::Entry& entry : section.entries("split", "a mapping of pools to weights")) {
    double weight = 0;
    const std::string at = join(section.path("split"), entry.key);
    if (!section.reader().parse(*entry.value, at, kWeightText, parse_weight, weight)) continue;
    sum += weight;
    split.emplace_back(entry.key, weight);
  }
  if (!split.empty() && sum <= 0) {
    section.reader().error(*section.node().find("split"), section.path("split") + ": expected a weight above 0");
  }
  return split;
}

void check_split(Section& section, const std::vector<std::string_view>& pools, const SplitRules& rules) {
  for (const auto& [name, weight] : rules.split) {
    if (std::find(pools.begin(), pools.end(), name) != pools.end()) continue;
    section.reader().error(*section.node().find("split"),
                           section.path("split") + ": unknown pool '" + name + "'" + suggestion(name, pools));
  }
}

/// As many as a choice can tell apart.
constexpr std::size_t kMostPools = 64;

Parsed<std::string> parse_optional_token(std::string_view text) {
  if (text.empty()) return std::string();
  return parse_token(text);
}

}  // namespace

void read_split_rules(Section& section, const std::vector<std::string_view>& pools, SplitRules& rules) {
  if (pools.size() > kMostPools) {
    section.reader().error(*section.node().find("pools"),
                           section.path("pools") + ": expected at most " + std::to_string(kMostPools) + " pools");
  }
  rules.split = read_split(section);
  check_split(section, pools, rules);
  section.choice<SplitBy>("split_by", rules.split_by, {{"request", SplitBy::kRequest}, {"client", SplitBy::kClient}});
  section.text("split_key", rules.split_key, TextRule::kTemplate);
  section.parse("split_cookie", "a cookie's name", parse_token, rules.split_cookie);
  section.choice<AtZeroWeight>("at_zero_weight", rules.at_zero_weight,
                               {{"release", AtZeroWeight::kRelease}, {"keep", AtZeroWeight::kKeep}});
  if (const Node* node = section.find("split_override")) {
    SplitOverride& rule = rules.split_override.emplace();
    Section inner(section.reader(), *node, schema::kSplitOverride, section.path("split_override"));
    inner.parse("header", "a header's name", parse_optional_token, rule.header);
    inner.parse("cookie", "a cookie's name", parse_optional_token, rule.cookie);
    inner.list("allow", kCidrText, parse_network, rule.allow);
    inner.finish();
  }
}

}  // namespace headgate::config
