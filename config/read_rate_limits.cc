// SPDX-License-Identifier: Apache-2.0
#include "config/sections.h"

namespace headgate::config {
namespace {

void read_lease(Section& section, RateLimit& limit) {
  const auto parser = [](std::string_view text) -> Parsed<std::optional<std::uint64_t>> {
    if (text == "auto") return std::optional<std::uint64_t>();
    if (const auto count = parse_integer(text, 1, 1'000'000'000)) return std::optional<std::uint64_t>(*count);
    return expected("auto or a whole number of at least 1", text);
  };
  section.parse("lease", "auto or a whole number", parser, limit.lease);
}

RateLimit read_rate_limit(Reader& reader, const std::string& name, const Node& node) {
  RateLimit limit;
  limit.name = name;
  limit.position = reader.position(node);
  Section section(reader, node, schema::kRateLimit, join("rate_limits", name));
  section.required_text("key", limit.key, TextRule::kTemplate);
  if (const Node* rate = section.require("rate")) {
    reader.parse(*rate, section.path("rate"), kRateText, parse_rate, limit.rate);
  }
  section.integer("burst", limit.burst, 1, 1'000'000'000);
  if (limit.burst == 0) limit.burst = limit.rate.count;
  section.choice<RateLimit::Store>("store", limit.store,
                                   {{"local", RateLimit::Store::kLocal}, {"redis", RateLimit::Store::kRedis}});
  read_lease(section, limit);
  section.percent("max_overshoot", limit.max_overshoot);
  section.integer("ipv6_prefix", limit.ipv6_prefix, 1, 128);
  section.choice<RateLimit::OnStoreFailure>("on_store_failure", limit.on_store_failure,
                                            {{"local", RateLimit::OnStoreFailure::kLocal},
                                             {"allow", RateLimit::OnStoreFailure::kAllow},
                                             {"deny", RateLimit::OnStoreFailure::kDeny}});
  section.integer("status", limit.status, 400, 599);
  section.boolean("dry_run", limit.dry_run);
  section.boolean("headers", limit.headers);
  section.finish();
  return limit;
}

}  // namespace

void read_rate_limits(Section& top) {
  Reader& reader = top.reader();
  for (const Node::Entry& entry : top.entries("rate_limits", "a mapping of names to rate limits")) {
    if (const auto name = parse_name(entry.key); !name) {
      reader.out().errors.push_back(
          {{reader.file(), entry.line, entry.column}, "rate_limits: " + name.error().message});
    }
    reader.config().rate_limits.push_back(read_rate_limit(reader, entry.key, *entry.value));
  }
}

}  // namespace headgate::config
