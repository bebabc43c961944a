// SPDX-License-Identifier: Apache-2.0
#include "routing/access_rules.h"

#include <algorithm>
#include <optional>

namespace headgate::routing {
namespace {

/// The address behind `address`; nothing behind the last one.
template <class Bytes>
std::optional<Bytes> next(Bytes address) {
  for (std::size_t i = address.size(); i > 0; --i) {
    if (++address[i - 1] != 0) return address;
  }
  return std::nullopt;
}

}  // namespace

AccessRules::AccessRules(const config::Access& access) : by_default_(access.allow.empty()) {
  rules_.reserve(access.allow.size() + access.deny.size());
  for (const Cidr& network : access.allow) rules_.push_back({network, true});
  for (const Cidr& network : access.deny) rules_.push_back({network, false});
  v4_ = ranges_of(true);
  v6_ = ranges_of(false);
}

/// From the lowest address to the highest, with the networks that the place is in on a stack, the smallest on top.
std::vector<AccessRules::Range> AccessRules::ranges_of(bool v4) const {
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (rules_[i].network.is_v4() == v4) order.push_back(static_cast<std::int32_t>(i));
  }
  const auto network = [&](std::int32_t rule) -> const Cidr& { return rules_[static_cast<std::size_t>(rule)].network; };
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const auto& first = network(a).first();
    const auto& second = network(b).first();
    if (first != second) return first < second;
    const auto bits = network(a).bits();
    return bits != network(b).bits() ? bits < network(b).bits() : a < b;  // in both lists: denied
  });
  std::vector<Range> ranges;
  std::vector<std::int32_t> open;
  const auto begin = [&](const Bytes& from, std::int32_t rule) {
    if (!ranges.empty() && ranges.back().from == from) {
      ranges.back().rule = rule;
    } else {
      ranges.push_back({from, rule});
    }
  };
  const auto close = [&] {
    const auto after = next(network(open.back()).last());
    open.pop_back();
    if (after) begin(*after, open.empty() ? -1 : open.back());
  };
  for (const std::int32_t rule : order) {
    while (!open.empty() && network(open.back()).last() < network(rule).first()) close();
    begin(network(rule).first(), rule);
    open.push_back(rule);
  }
  while (!open.empty()) close();
  return ranges;
}

const AccessRules::Rule* AccessRules::find(const IpAddress& client) const {
  if (!client.is_known()) return nullptr;
  const auto& ranges = client.is_v4() ? v4_ : v6_;
  const auto above = std::upper_bound(ranges.begin(), ranges.end(), client.bytes(),
                                      [](const Bytes& address, const Range& range) { return address < range.from; });
  if (above == ranges.begin()) return nullptr;
  const std::int32_t rule = std::prev(above)->rule;
  return rule < 0 ? nullptr : &rules_[static_cast<std::size_t>(rule)];
}

bool AccessRules::admits(const IpAddress& client) const {
  const Rule* const rule = find(client);
  return rule != nullptr ? rule->allowed : by_default_;
}

AccessRules::Verdict AccessRules::judge(const IpAddress& client) const {
  const Rule* const rule = find(client);
  return rule != nullptr ? Verdict{rule->allowed, &rule->network} : Verdict{by_default_, nullptr};
}

}  // namespace headgate::routing
