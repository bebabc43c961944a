// SPDX-License-Identifier: Apache-2.0
// Who may come in, of a site or a route: access, basic_auth, forward_auth.
#include <algorithm>

#include "config/sections.h"

namespace headgate::config {
namespace {

constexpr std::string_view kUrlText = "a URL such as http://127.0.0.1:9000/verify";

/// "off" in place of the mapping takes away what the site has.
bool is_off(Reader& reader, const Node& node, const std::string& path) {
  if (node.kind != Node::Kind::kScalar) return false;
  const auto text = reader.scalar(node, path, "a mapping or off");
  if (text && *text != "off") {
    reader.error(node, path + ": " + expected("a mapping or off", *text).message);
  }
  return true;
}

void read_access(Section& section, Rare<Access>& out) {
  const Node* node = section.find("access");
  if (node == nullptr) return;
  Access& access = out.change();
  Reader& reader = section.reader();
  if (is_off(reader, *node, section.path("access"))) return;
  Section inner(reader, *node, schema::kAccess, section.path("access"));
  inner.list("allow", kCidrText, parse_network, access.allow);
  inner.list("deny", kCidrText, parse_network, access.deny);
  inner.finish();
  for (const Cidr& network : access.deny) {
    const auto same = [&](const Cidr& other) {
      return other.first() == network.first() && other.bits() == network.bits();
    };
    if (std::none_of(access.allow.begin(), access.allow.end(), same)) continue;
    reader.error(*node, inner.path() + ": " + network.to_string() + " stands in allow and in deny");
  }
}

void read_basic_auth(Section& section, Rare<BasicAuth>& out) {
  const Node* node = section.find("basic_auth");
  if (node == nullptr) return;
  BasicAuth& auth = out.change();
  Reader& reader = section.reader();
  auth.position = reader.position(*node);
  if (is_off(reader, *node, section.path("basic_auth"))) return;
  Section inner(reader, *node, schema::kBasicAuth, section.path("basic_auth"));
  inner.text("realm", auth.realm);
  inner.text("users_file", auth.users_file, TextRule::kFile);
  if (const Node* file = node->find("users_file")) auth.position = reader.position(*file);
  if (auth.users_file.empty() && !auth.realm.empty()) {
    reader.error(*node, inner.path() + ": expected users_file beside realm");
  }
  inner.finish();
}

/// What every message to the service has, or none may have, whatever the client or the service says.
bool is_settled_here(std::string_view name) {
  constexpr std::string_view kNames[] = {"connection",
                                         "content-length",
                                         "expect",
                                         "forwarded",
                                         "host",
                                         "http2-settings",
                                         "keep-alive",
                                         "proxy-connection",
                                         "te",
                                         "trailer",
                                         "transfer-encoding",
                                         "upgrade",
                                         "x-forwarded-for",
                                         "x-forwarded-host",
                                         "x-forwarded-method",
                                         "x-forwarded-proto",
                                         "x-forwarded-uri",
                                         "x-real-ip",
                                         "x-request-id"};
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c == '_' ? '-' : c;
  });
  return std::find(std::begin(kNames), std::end(kNames), lower) != std::end(kNames);
}

Parsed<std::string> parse_free_field(std::string_view text) {
  if (is_settled_here(text)) return ParseError{"'" + std::string(text) + "' cannot be chosen: it is settled here"};
  return parse_token(text);
}

bool is_target(std::string_view text) {
  return text.starts_with('/') && std::all_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '#';
         });
}

/// The upstream of a URL and the path that it ends with.
void read_url(Section& section, const Node& node, ForwardAuth& auth) {
  Reader& reader = section.reader();
  const std::string path = section.path("url");
  const auto text = reader.text(node, path, TextRule::kLine, kUrlText);
  if (!text) return;
  const auto scheme = text->find("://");
  const auto slash = scheme == std::string::npos ? scheme : text->find('/', scheme + 3);
  auth.path = slash == std::string::npos ? "/" : text->substr(slash);
  if (scheme == std::string::npos || !is_target(auth.path)) {
    reader.error(node, path + ": " + expected(kUrlText, *text).message);
    return;
  }
  if (auto name = read_upstream_url(reader, node, path, text->substr(0, slash))) auth.upstream = *std::move(name);
}

void read_upstream_and_path(Section& section, ForwardAuth& auth) {
  Reader& reader = section.reader();
  const Node& node = *section.node().find("upstream");
  section.required_text("upstream", auth.upstream);
  if (!auth.upstream.empty()) {
    reader.pending().upstreams.push_back({reader.position(node), section.path("upstream"), auth.upstream});
  }
  section.text("path", auth.path);
  if (!is_target(auth.path)) {
    reader.mismatch(*section.node().find("path"), section.path("path"), "a path such as /verify");
  }
}

void read_forward_auth(Section& section, Rare<ForwardAuth>& out) {
  const Node* node = section.find("forward_auth");
  if (node == nullptr) return;
  ForwardAuth& auth = out.change();
  Reader& reader = section.reader();
  auth.position = reader.position(*node);
  if (is_off(reader, *node, section.path("forward_auth"))) return;
  Section inner(reader, *node, schema::kForwardAuth, section.path("forward_auth"));
  const bool has_url = inner.has("url");
  if (has_url == inner.has("upstream") && node->kind == Node::Kind::kMap) {
    reader.error(*node, inner.path() + ": expected either url or upstream, got " + (has_url ? "both" : "neither"));
  }
  if (has_url && inner.has("path")) {
    reader.error(*node->find("path"), inner.path("path") + ": has no effect beside url, which ends with the path");
  }
  if (const Node* url = inner.find("url")) read_url(inner, *url, auth);
  if (!has_url && inner.has("upstream")) read_upstream_and_path(inner, auth);
  inner.find("upstream");
  inner.find("path");
  inner.duration("timeout", auth.timeout, 1ms);
  inner.list("copy_headers", "a header's name", parse_free_field, auth.copy_headers);
  std::vector<std::string> sent;
  inner.list("request_headers", "a header's name", parse_free_field, sent);
  if (inner.has("request_headers")) auth.request_headers = std::move(sent);
  inner.finish();
}

}  // namespace

void read_who(Section& section, Rare<Access>& access, Rare<BasicAuth>& basic, Rare<ForwardAuth>& forward) {
  read_access(section, access);
  read_basic_auth(section, basic);
  read_forward_auth(section, forward);
}

}  // namespace headgate::config
