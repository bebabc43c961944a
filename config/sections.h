// SPDX-License-Identifier: Apache-2.0
// The readers of the file's parts, and what follows them. Internal to this folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/document.h"
#include "config/reader.h"

namespace headgate::config {

/// One file of a configuration.
struct Document {
  std::string file;
  NodePtr root;
};

/// All of a configuration's own file but `include`, which has been followed by then.
void read_main(Reader& reader, const Node& root);
/// An included file: upstreams, rate_limits and sites.
void read_included(Reader& reader, const Node& root);

void read_listeners(Section& top);
void read_tls(Section& top);
void read_limits(Section& top);
void read_upstreams(Section& top);
void read_rate_limits(Section& top);
void read_sites(Section& top);
Static read_static(Section& parent, const Node& node);
Route read_route(Reader& reader, const Node& node, const std::string& path);
/// The keys of a site or a route that say who may come in.
void read_who(Section& section, Rare<Access>& access, Rare<BasicAuth>& basic, Rare<ForwardAuth>& forward);
/// The name of the upstream that a URL without a path makes, which is added to the pending ones when it is new; nothing
/// (and an error) for what is none.
std::optional<std::string> read_upstream_url(Reader& reader, const Node& node, const std::string& path,
                                             const std::string& text);
Rare<Cors> read_cors(Section& parent);
void read_error_pages(Section& section, Site& site);
void read_maintenance(Section& section, Site& site);
HeaderChanges read_header_changes(Section& parent, std::string_view key);
/// `compress:` of a site or a route. Nothing: the key is absent; nothing inside: off.
std::optional<std::optional<Compress>> read_compress(Section& parent);
/// `split:` and what belongs to it, of upstreams and static pools, for pools of these names.
void read_split_rules(Section& section, const std::vector<std::string_view>& pools, SplitRules& rules);

/// The paths that the include patterns of the main file name, in order. Errors go to `reader`.
std::vector<std::string> included_files(Reader& reader, const Node& root);

/// What no section can judge alone: dangling names, duplicates, contradictions. Adds the anonymous upstreams first.
void validate(Loaded& out, Pending& pending);

}  // namespace headgate::config
