// SPDX-License-Identifier: Apache-2.0
// Which Cache-Control a served file gets: the route's patterns first, then what `spa: true` knows about builds of
// single-page applications. Immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate::proxy {

class CachePolicy {
 public:
  /// `several_builds`: of pages there is more than one at a time, so each must be asked for again also without `spa`.
  CachePolicy(std::vector<std::pair<std::string, std::string>> patterns, bool spa, bool several_builds = false);

  /// `path` is that of the file, below its root, with a leading slash. Empty: no field. The view lives as long as this.
  std::string_view of(std::string_view path) const;

 private:
  struct Rule {
    std::string pattern;
    std::string value;
  };
  std::vector<Rule> rules_;  // the most specific first
  bool spa_;
  bool several_builds_;
};

/// "*" stands for any bytes, slashes too. A pattern without a slash is held against the last segment alone.
bool path_matches(std::string_view pattern, std::string_view path);

/// True when the name carries a hash of the content as bundlers write it: "app-BqXy12Zd.js" (Vite, Rollup, esbuild),
/// "main.3f2a1b9c.chunk.js" (webpack and what is built on it), "3f2a1b9cdeadbeef.woff2". Words and dates that merely
/// have the length of a hash are not taken for one: a year of stale copies is worse than a question too many.
bool has_content_hash(std::string_view path);

/// True for HTML, by the name.
bool is_page(std::string_view path);

/// Files that a browser must ask for each time, or a deploy would not reach it: pages, service workers, manifests.
bool must_revalidate(std::string_view path);

}  // namespace headgate::proxy
