// SPDX-License-Identifier: Apache-2.0
// What a site or a route adds to its answers: CORS, error pages, maintenance.
#include <algorithm>

#include "config/sections.h"

namespace headgate::config {
namespace {

/// 404 as it is, 4xx as 4.
Parsed<int> parse_error_status(std::string_view text) {
  if (text == "4xx") return 4;
  if (text == "5xx") return 5;
  if (const auto status = parse_integer(text, 400, 599)) return static_cast<int>(*status);
  return expected("a status from 400 to 599, 4xx or 5xx", text);
}

Parsed<std::string> parse_page(std::string_view text) {
  const auto path = parse_path_pattern(text);
  if (!path || path->prefix || text.ends_with('/')) return expected("the path of a file such as /404.html", text);
  return std::string(text);
}

}  // namespace

Rare<Cors> read_cors(Section& parent) {
  const Node* node = parent.find("cors");
  if (node == nullptr) return {};
  Cors cors;
  cors.off = node->kind == Node::Kind::kScalar && node->text == "off";
  if (cors.off) return cors;
  Section section(parent.reader(), *node, schema::kCors, parent.path("cors"));
  section.list("origins", kOriginText, parse_origin, cors.origins);
  if (!section.has("origins")) section.require("origins");
  section.list("methods", "a method", parse_method, cors.methods);
  section.list("headers", "a header's name", parse_token, cors.headers);
  section.list("expose_headers", "a header's name", parse_token, cors.expose_headers);
  section.boolean("credentials", cors.credentials);
  section.duration("max_age", cors.max_age);
  const bool everyone = std::find(cors.origins.begin(), cors.origins.end(), "*") != cors.origins.end();
  if (everyone && cors.credentials) {
    section.reader().error(*node->find("credentials"),
                           section.path("credentials") + ": expected false beside the origin \"*\", got 'true'");
  }
  section.finish();
  return cors;
}

void read_error_pages(Section& section, Site& site) {
  Reader& reader = section.reader();
  for (const Node::Entry& entry : section.entries("error_pages", "a mapping of statuses to paths")) {
    const std::string at = join(section.path("error_pages"), entry.key);
    const auto status = parse_error_status(entry.key);
    if (!status) {
      reader.out().errors.push_back(
          {{reader.file(), entry.line, entry.column}, section.path("error_pages") + ": " + status.error().message});
    }
    ErrorPage page;
    if (!reader.parse(*entry.value, at, "the path of a file such as /404.html", parse_page, page.path) || !status) {
      continue;
    }
    page.status = *status;
    page.position = reader.position(*entry.value);
    site.error_pages.push_back(std::move(page));
  }
  section.boolean("error_pages_intercept", site.error_pages_intercept);
  if (site.error_pages_intercept && site.error_pages.empty()) {
    reader.error(*section.node().find("error_pages_intercept"),
                 section.path("error_pages_intercept") + ": has no effect without error_pages");
  }
}

void read_maintenance(Section& section, Site& site) {
  const Node* node = section.find("maintenance");
  if (node == nullptr) return;
  Maintenance& maintenance = site.maintenance.change();
  Section inner(section.reader(), *node, schema::kMaintenance, section.path("maintenance"));
  inner.list("allow", kCidrText, parse_network, maintenance.allow);
  inner.list("except", "a path such as /healthz", parse_path_pattern, maintenance.except);
  inner.duration("retry_after", maintenance.retry_after);
  inner.text("message", maintenance.message);
  inner.finish();
}

}  // namespace headgate::config
