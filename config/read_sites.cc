// SPDX-License-Identifier: Apache-2.0
// Sites, without their routes.
#include <set>

#include "config/sections.h"

namespace headgate::config {
namespace {

void read_hosts(Section& section, Site& site) {
  section.list("hosts", "a host name such as example.com", parse_host, site.hosts);
  const Node* node = section.node().find("hosts");
  if (node != nullptr && node->kind == Node::Kind::kList && node->items.empty()) return;
  std::set<std::string_view> seen;
  for (const std::string& host : site.hosts) {
    if (!seen.insert(host).second)
      section.reader().error(*node, section.path("hosts") + ": duplicate host '" + host + "'");
  }
}

void read_site_listeners(Section& section, Site& site) {
  const Node* node = section.find("listeners");
  if (node == nullptr) return;
  Reader& reader = section.reader();
  std::size_t index = 0;
  for (const Node* item : reader.elements(*node, section.path("listeners"), "a list of addresses")) {
    const std::string at = element(section.path("listeners"), index++);
    Address address;
    if (!reader.parse(*item, at, kListenText, parse_listen_address, address)) continue;
    reader.pending().listeners.push_back({reader.position(*item), at, address.text});
    site.listeners.push_back(std::move(address));
  }
}

Site read_site(Reader& reader, const Node& node, const std::string& path) {
  Site site;
  site.position = reader.position(node);
  Section section(reader, node, schema::kSite, path);
  read_hosts(section, site);
  read_site_listeners(section, site);
  section.choice<bool>("https", site.https_redirect, {{"redirect", true}, {"off", false}});
  site.response_headers = read_header_changes(section, "response_headers");
  section.choice<bool>("security_headers", site.strict_security_headers, {{"off", false}, {"strict", true}});
  if (auto compress = read_compress(section)) site.compress = *std::move(compress);
  site.cors = read_cors(section);
  if (site.cors && site.cors->off) site.cors = Rare<Cors>();
  read_error_pages(section, site);
  read_who(section, site.access, site.basic_auth, site.forward_auth);
  read_maintenance(section, site);
  if (const Node* routes = section.find("routes")) {
    std::size_t index = 0;
    for (const Node* item : reader.elements(*routes, section.path("routes"), "a list of mappings")) {
      site.routes.push_back(read_route(reader, *item, element(section.path("routes"), index++)));
    }
    site.routes.shrink_to_fit();
  }
  section.finish();
  return site;
}

}  // namespace

HeaderChanges read_header_changes(Section& parent, std::string_view key) {
  HeaderChanges changes;
  const Node* node = parent.find(key);
  if (node == nullptr) return changes;
  Section section(parent.reader(), *node, schema::kHeaderChanges, parent.path(key));
  section.pairs("set", changes.set, TextRule::kTemplate, true);
  section.pairs("add", changes.add, TextRule::kTemplate, true);
  section.list("remove", "a header's name", parse_token, changes.remove);
  section.finish();
  return changes;
}

void read_sites(Section& top) {
  const Node* node = top.find("sites");
  if (node == nullptr) return;
  Reader& reader = top.reader();
  std::size_t index = reader.config().sites.size();
  for (const Node* item : reader.elements(*node, "sites", "a list of mappings")) {
    reader.config().sites.push_back(read_site(reader, *item, element("sites", index++)));
  }
}

}  // namespace headgate::config
