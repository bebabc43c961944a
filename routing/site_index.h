// SPDX-License-Identifier: Apache-2.0
// Which site answers to a host name on a listener.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "routing/route_table.h"

namespace headgate::routing {

/// Immutable; shared by all threads. Keeps views into the configuration, which outlives it. Finding allocates nothing
/// and costs one hash for each label that a wildcard of the file may stand for.
class SiteIndex {
 public:
  explicit SiteIndex(const config::Config& config);

  /// See RouteTable::find_site. Names longer than any DNS name (RFC 1035 section 2.3.4) belong to the default site; one
  /// dot at the end is not looked at.
  std::size_t find(std::string_view listener, std::string_view host, Trace* trace) const;

 private:
  using Candidates = std::vector<std::uint32_t>;  // indices of sites, in the order in which they are asked
  using Names = std::unordered_map<std::string_view, Candidates>;

  /// Said in a trace: the words, then the name.
  struct Reason {
    std::string_view words;
    std::string_view name;
  };

  bool answers_on(std::uint32_t site, std::string_view listener) const;
  std::size_t choose(const Candidates& candidates, std::string_view listener, Reason reason, Trace* trace) const;
  std::size_t find_wildcard(std::string_view listener, std::string_view host, Trace* trace) const;

  const config::Config& config_;
  Names exact_;
  Names wildcards_;  // "*.example.com" under "example.com"
  Candidates default_;
  std::size_t longest_wildcard_ = 0;                      // no longer name is looked for there
  std::vector<std::vector<std::string_view>> listeners_;  // by site; empty: all
};

}  // namespace headgate::routing
