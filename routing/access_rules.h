// SPDX-License-Identifier: Apache-2.0
// Who may come in by address: the rules of `access`. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "config/model.h"

namespace headgate::routing {

/// The smallest network that holds an address decides, whichever list it stands in. An address that none holds may come
/// in unless there is an `allow`; so it is with a peer that has no address. Immutable; shared by all threads.
///
/// Networks nest or are apart, so an address space falls into ranges of one verdict each: asking is a binary search.
class AccessRules {
 public:
  explicit AccessRules(const config::Access& access);

  bool admits(const IpAddress& client) const;

  /// What decided, for `explain`.
  struct Verdict {
    bool admitted = true;
    const Cidr* network = nullptr;  ///< null: none holds the address
  };
  Verdict judge(const IpAddress& client) const;

 private:
  using Bytes = std::array<std::uint8_t, 16>;
  /// From this address up to the next range's.
  struct Range {
    Bytes from;
    std::int32_t rule;  // of rules_; -1: none
  };
  struct Rule {
    Cidr network;
    bool allowed;
  };

  std::vector<Range> ranges_of(bool v4) const;
  const Rule* find(const IpAddress& client) const;

  std::vector<Rule> rules_;
  std::vector<Range> v4_;  // in the order of their addresses
  std::vector<Range> v6_;
  bool by_default_;
};

}  // namespace headgate::routing
