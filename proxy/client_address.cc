// SPDX-License-Identifier: Apache-2.0
#include "proxy/client_address.h"

#include <algorithm>
#include <optional>

namespace headgate::proxy {
namespace {

/// "203.0.113.7", "203.0.113.7:4711", "2001:db8::1", "[2001:db8::1]:4711".
std::optional<IpAddress> parse_entry(std::string_view text) {
  text = http::trim(text);
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    return end == std::string_view::npos ? std::nullopt : IpAddress::parse(text.substr(0, end + 1));
  }
  if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
  return IpAddress::parse(text);
}

}  // namespace

bool is_trusted(const std::vector<Cidr>& trusted, const IpAddress& address) {
  return std::any_of(trusted.begin(), trusted.end(), [&](const Cidr& network) { return network.contains(address); });
}

IpAddress client_address(const IpAddress& peer, const http::Fields& fields, const std::vector<Cidr>& trusted) {
  IpAddress believed = peer;
  if (trusted.empty() || !is_trusted(trusted, peer)) return believed;
  for (auto field = fields.end(); field != fields.begin();) {
    --field;
    if (field->id != http::FieldId::kXForwardedFor) continue;
    std::string_view list = field->value;
    for (;;) {
      const auto comma = list.rfind(',');
      const auto entry = parse_entry(comma == std::string_view::npos ? list : list.substr(comma + 1));
      if (!entry) return believed;
      believed = *entry;
      if (!is_trusted(trusted, believed)) return believed;
      if (comma == std::string_view::npos) break;
      list = list.substr(0, comma);
    }
  }
  return believed;
}

}  // namespace headgate::proxy
